//! Valid documents → definitions, and what depends on how they are written: nothing.

use expect_test::{Expect, expect};
use streamgauge_definitions::{Bundle, BundleSettings, Definitions};

const SERVICE: &str = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: checkout}\nspec: {}\n";

/// An SLI by the `spec` of its metric source.
fn sli(name: &str, spec: &str) -> String {
    let source = format!("{{metricSource: {{type: streamgauge, spec: {{service: checkout, {spec}}}}}}}");
    let metric = match spec.contains("slice:") {
        true => format!("thresholdMetric: {source}"),
        false => format!("ratioMetric: {{counter: true, rawType: success, raw: {source}}}"),
    };
    format!("---\napiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: {name}}}\nspec: {{{metric}}}\n")
}

fn read(text: &str) -> Definitions {
    Definitions::of_text("slis.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// An SLI in the form in which a bundle holds it.
#[track_caller]
fn check(spec: &str, expected: Expect) {
    let definitions = read(&format!("{SERVICE}{}", sli("tested", spec)));
    let json = serde_json::to_string(&definitions.slis["tested"]).expect("texts and integers have a JSON form");
    expected.assert_eq(&json);
}

#[test]
fn slis_that_judge_events() {
    check(
        "topic: requests, good: status < 500",
        expect![[r#"{"service":"checkout","filter":null,"good":{"when":"status < 500"}}"#]],
    );
    check(
        "topic: requests, filter: route == '/pay', latencyThresholdUs: 300000",
        expect![[
            r#"{"service":"checkout","filter":"route == '/pay'","good":{"latency":{"threshold_us":300000,"failures":"bad"}}}"#
        ]],
    );
    check(
        "topic: requests, latencyThresholdUs: 300000, failures: exclude, thresholdsUs: [900000, 100000, 900000]",
        expect![[
            r#"{"service":"checkout","filter":null,"good":{"latency":{"threshold_us":300000,"failures":"exclude","thresholds_us":[100000,900000]}}}"#
        ]],
    );
    check(
        "topic: scores, goodCount: good, totalCount: total",
        expect![[r#"{"service":"checkout","topic":"scores","filter":null,"good":"counts"}"#]],
    );
    check(
        "topic: scores, good: value >= 0.85, groupBy: {metric: [b, a, b], attributes.plan: null}",
        expect![[
            r#"{"service":"checkout","topic":"scores","filter":null,"group_by":{"attributes.plan":[],"metric":["a","b"]},"good":{"when":"value >= 0.85"}}"#
        ]],
    );
}

#[test]
fn slis_that_judge_slices() {
    check(
        "topic: requests, slice: 5m, percentile: {quantile: 0.990, atMostUs: 500000}",
        expect![[
            r#"{"service":"checkout","filter":null,"good":{"slice":{"slice":{"length_us":300000000,"empty":"ignore"},"rule":{"percentile":{"quantile":{"numerator":990,"denominator":1000},"at_most_us":500000}}}}}"#
        ]],
    );
    check(
        "topic: scores, slice: 1h, empty: bad, mean: {atLeast: -0.5}",
        expect![[
            r#"{"service":"checkout","topic":"scores","filter":null,"good":{"slice":{"slice":{"length_us":3600000000,"empty":"bad"},"rule":{"mean":{"at_least":-500000}}}}}"#
        ]],
    );
    check(
        "topic: requests, slice: 10s, traffic: {atLeastPerSec: 0.5, atMostPerSec: 1000}",
        expect![[
            r#"{"service":"checkout","filter":null,"good":{"slice":{"slice":{"length_us":10000000,"empty":"ignore"},"rule":{"traffic":{"at_least":500000,"at_most":1000000000}}}}}"#
        ]],
    );
    check(
        "topic: resources, slice: 1d, empty: good, saturation: {atMost: 0.8}",
        expect![[
            r#"{"service":"checkout","topic":"resources","filter":null,"good":{"slice":{"slice":{"length_us":86400000000,"empty":"good"},"rule":{"saturation":{"aggregate":"mean","bounds":{"at_most":800000}}}}}}"#
        ]],
    );
    check(
        "topic: resources, slice: 1m, saturation: {aggregate: p95, atLeast: 0, atMost: 35184372.088832}",
        expect![[
            r#"{"service":"checkout","topic":"resources","filter":null,"good":{"slice":{"slice":{"length_us":60000000,"empty":"ignore"},"rule":{"saturation":{"aggregate":{"quantile":{"numerator":95,"denominator":100}},"bounds":{"at_least":0,"at_most":35184372088832}}}}}}"#
        ]],
    );
    check(
        "topic: resources, slice: 1m, freshness: {atMost: 10m}",
        expect![[
            r#"{"service":"checkout","topic":"resources","filter":null,"good":{"slice":{"slice":{"length_us":60000000,"empty":"ignore"},"rule":{"freshness":{"at_most_us":600000000}}}}}"#
        ]],
    );
}

#[test]
fn sources_say_what_a_topic_holds() {
    let text = "
apiVersion: openslo/v1
kind: DataSource
metadata: {name: judged, labels: {team: quality}, annotations: {a: b}}
spec:
  description: What people say of answers
  type: streamgauge
  connectionDetails: {topic: quality.scores-v2, event: score, format: json}
";
    let reference = "---
apiVersion: openslo/v1
kind: SLI
metadata: {name: by-reference}
spec: {ratioMetric: {counter: true, rawType: success, raw: {metricSource: {metricSourceRef: judged, spec: {service: checkout, good: value > 3}}}}}
";
    let by_topic = sli("by-topic", "topic: quality.scores-v2, good: value > 3");
    let definitions = read(&format!("{SERVICE}---{text}{reference}{by_topic}"));
    assert_eq!(definitions.slis["by-reference"], definitions.slis["by-topic"]);
    assert_eq!(definitions.topics(), ["quality.scores-v2"]);
    let json = serde_json::to_string(&definitions.sources).expect("texts and integers have a JSON form");
    expect![[r#"{"quality.scores-v2":{"name":"judged","event":"score","format":"json"}}"#]].assert_eq(&json);
}

/// An SLO over an SLI that judges events, in the form in which a bundle holds it.
#[track_caller]
fn check_slo(spec: &str, expected: Expect) {
    let definitions =
        read(&format!("{SERVICE}{}{}", sli("answered", "topic: requests, good: status < 500"), slo(spec)));
    let json = serde_json::to_string(&definitions.slos["tested"]).expect("texts and integers have a JSON form");
    expected.assert_eq(&json);
}

fn slo(spec: &str) -> String {
    format!(
        "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: tested}}\nspec: {{service: checkout, indicatorRef: answered, {spec}}}\n"
    )
}

#[test]
fn slos_over_windows_and_by_methods() {
    let rolling = "timeWindow: [{duration: 30d, isRolling: true}]";
    check_slo(
        &format!("{rolling}, budgetingMethod: Occurrences, objectives: [{{target: 0.999}}], description: Most"),
        expect![[
            r#"{"description":"Most","service":"checkout","indicator":"answered","target":{"numerator":999,"denominator":1000},"budgeting":"occurrences","window":{"rolling":{"length_us":2592000000000}}}"#
        ]],
    );
    check_slo(
        &format!(
            "{rolling}, budgetingMethod: Timeslices, \
            objectives: [{{targetPercent: 99.95, timeSliceTarget: 0.950, timeSliceWindow: 5m}}]"
        ),
        expect![[
            r#"{"service":"checkout","indicator":"answered","target":{"numerator":9995,"denominator":10000},"budgeting":{"timeslices":{"target":{"numerator":950,"denominator":1000},"width_us":300000000}},"window":{"rolling":{"length_us":2592000000000}}}"#
        ]],
    );
    check_slo(
        &format!(
            "{rolling}, budgetingMethod: RatioTimeslices, objectives: [{{targetPercent: 99, timeSliceWindow: 1m}}]"
        ),
        expect![[
            r#"{"service":"checkout","indicator":"answered","target":{"numerator":990,"denominator":1000},"budgeting":{"ratio_timeslices":{"width_us":60000000}},"window":{"rolling":{"length_us":2592000000000}}}"#
        ]],
    );
    check_slo(
        "timeWindow: [{duration: 1Q, calendar: {startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin}}], \
        budgetingMethod: Occurrences, objectives: [{target: 0.99}]",
        expect![[
            r#"{"service":"checkout","indicator":"answered","target":{"numerator":99,"denominator":100},"budgeting":"occurrences","window":{"calendar":{"unit":"months","count":3,"start":"2026-01-01","time_zone":"Europe/Berlin"}}}"#
        ]],
    );
}

fn hash(files: &[&str]) -> String {
    let files = files.iter().map(|text| ("some.yaml", *text));
    let definitions = Definitions::read(files, &|_, _| Err("no files".to_owned())).expect("valid definitions");
    Bundle { settings: BundleSettings::default(), definitions }.hash()
}

#[test]
fn a_hash_depends_on_what_is_said_and_not_on_how() {
    let (one, two) = (sli("one", "topic: requests, good: status < 500"), sli("two", "topic: scores, good: value > 3"));
    let all = hash(&[&format!("{SERVICE}{one}{two}")]);
    let said_otherwise = [
        hash(&[&two, SERVICE, &one]),
        hash(&[&format!("# a comment\n{two}"), &format!("{SERVICE}\n\n{one}")]),
        hash(&[
            SERVICE,
            &one,
            &two.replace("{service: checkout, ", "{\n  # which one\n  \"service\": 'checkout',\n  "),
        ]),
    ];
    assert!(said_otherwise.iter().all(|hash| *hash == all));
    let changed = [
        hash(&[SERVICE, &one]),
        hash(&[SERVICE, &one, &two.replace("> 3", ">= 3")]),
        hash(&[SERVICE, &one, &two.replace("name: two", "name: too")]),
    ];
    assert!(changed.iter().all(|hash| *hash != all));
}

#[test]
fn definitions_come_back_from_the_form_in_which_facts_cite_them() {
    let text = [
        SERVICE.to_owned(),
        sli("one", "topic: requests, latencyThresholdUs: 300000, groupBy: {route: [/pay], attributes.plan: []}"),
        sli("two", "topic: resources, slice: 5m, empty: bad, saturation: {aggregate: p95, atMost: 0.8}"),
        sli("three", "topic: scores, goodCount: good, totalCount: total"),
    ];
    let bundle = Bundle { settings: BundleSettings::default(), definitions: read(&text.concat()) };
    let back: Bundle = serde_json::from_slice(&bundle.to_json()).expect("what was written can be read");
    assert_eq!(bundle, back);
    assert_eq!(bundle.hash(), back.hash());
}
