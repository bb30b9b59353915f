//! Policies, conditions and targets → the alarms of an objective.

use expect_test::expect;
use streamgauge_definitions::{Bundle, BundleSettings, Definitions};

fn read(text: &str) -> Definitions {
    Definitions::of_text("alerts.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// A service, its SLI, and an SLO of 30 days that says `more`.
fn slo(source: &str, more: &str) -> String {
    let source = format!("{{metricSource: {{type: streamgauge, spec: {{service: checkout, {source}}}}}}}");
    let metric = match source.contains("slice:") {
        true => format!("thresholdMetric: {source}"),
        false => format!("ratioMetric: {{counter: true, rawType: success, raw: {source}}}"),
    };
    format!(
        "apiVersion: openslo/v1
kind: Service
metadata: {{name: checkout}}
spec: {{}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {{name: answered}}
spec: {{{metric}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {{name: tested}}
spec:
  service: checkout
  indicatorRef: answered
  timeWindow: [{{duration: 30d, isRolling: true}}]
  budgetingMethod: Occurrences
  objectives: [{{target: 0.999}}]
  {more}
"
    )
}

const REQUESTS: &str = "topic: requests, good: status < 500";

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts and integers have a JSON form")
}

fn bundle(text: &str) -> Bundle {
    Bundle { settings: BundleSettings::default(), definitions: read(text) }
}

/// Three policies: by name, with everything written out in place, and with what OpenSLO leaves out.
const ALERTS: &str = "---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: pager, displayName: People on call}
spec: {target: pagerduty, description: Wakes somebody up}
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: fast-burn, annotations: {streamgauge.io/short-window: 5m}}
spec:
  description: Two hundredths of the budget within an hour
  severity: sev1
  condition: {kind: burnrate, op: gt, threshold: 14.40, lookbackWindow: 1h, alertAfter: 25s}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: fast}
spec: {alertWhenBreaching: true, conditions: [{conditionRef: fast-burn}], notificationTargets: [{targetRef: pager}]}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: low}
spec:
  description: Less than a tenth is left
  conditions:
    - kind: AlertCondition
      metadata: {name: low}
      spec: {severity: P2, condition: {kind: remaining, op: lt, threshold: 0.125}}
  notificationTargets:
    - targetRef: pager
    - {kind: AlertNotificationTarget, metadata: {name: chat}, spec: {target: slack}}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: gone}
spec:
  conditions:
    - kind: AlertCondition
      metadata: {name: gone}
      spec: {severity: page, condition: {kind: absence}}
  notificationTargets: []
";

#[test]
fn alarms_are_those_of_the_policies_that_an_objective_cites() {
    let bundle = bundle(&format!("{}{ALERTS}", slo(REQUESTS, "alertPolicies: [gone, low, fast]")));
    let definitions = &bundle.definitions;
    expect![[r#"{"chat":{"target":"slack"},"pager":{"display_name":"People on call","description":"Wakes somebody up","target":"pagerduty"}}"#]].assert_eq(&json(&definitions.notification_targets));
    let alerts = definitions.slos["tested"].alerts.as_deref().unwrap_or_default();
    let lines: Vec<String> = alerts.iter().map(json).collect();
    expect![[r#"
        {"name":"gone","severity":"critical","condition":{"absence":{"silent_us":60000000,"within_us":86400000000}}}
        {"name":"low","description":"Less than a tenth is left","severity":"major","condition":{"remaining":{"below":{"numerator":125,"denominator":1000},"clears_at":{"numerator":175,"denominator":1000}}},"targets":["chat","pager"]}
        {"name":"fast","description":"Two hundredths of the budget within an hour","severity":"critical","condition":{"burn":{"factor":{"numerator":144,"denominator":10},"long_us":3600000000,"short_us":300000000}},"pending_us":25000000,"targets":["pager"]}"#]].assert_eq(&lines.join("\n"));
    let back: Bundle = serde_json::from_slice(&bundle.to_json()).expect("what was written can be read");
    assert_eq!(bundle, back);
}

#[test]
fn without_policies_there_are_the_default_alarms_and_with_none_there_are_none() {
    let pane_us = 10_000_000;
    let of = |source: &str, more: &str| {
        let definitions = read(&slo(source, more));
        let rules = definitions.alerts_of(&definitions.slos["tested"], pane_us);
        rules.iter().map(|rule| format!("{} {}", rule.severity.as_str(), rule.name)).collect::<Vec<_>>().join(", ")
    };
    let of_requests = of(REQUESTS, "");
    expect!["critical burn-1h-5m, critical burn-6h-30m, warning burn-1d-2h, warning burn-3d-6h, major budget-low, critical budget-exhausted, critical absence"].assert_eq(&of_requests);
    // Slices and scores come when they come: silence says nothing.
    let of_slices = of("topic: requests, slice: 5m, percentile: {quantile: 0.99, atMostUs: 500000}", "");
    assert_eq!(Some(of_slices.as_str()), of_requests.strip_suffix(", critical absence"));
    assert_eq!(of("topic: scores, good: value > 3", ""), of_slices);
    assert_eq!(of(REQUESTS, "alertPolicies: []"), "");
}

/// Documents that are cited by nobody, and what was said before there were alarms, leave the hash as it was.
#[test]
fn policies_that_nobody_cites_change_nothing() {
    let policy = "---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: gone}
spec: {conditions: [{kind: AlertCondition, metadata: {name: c}, spec: {severity: info, condition: {kind: absence}}}], notificationTargets: []}
";
    let hash = |more: &str, policy: &str| bundle(&format!("{}{policy}", slo(REQUESTS, more))).hash();
    let alone = hash("", "");
    expect!["e17ee06419bed035"].assert_eq(&alone);
    assert_eq!(hash("", policy), alone);
    assert_ne!(hash("alertPolicies: [gone]", policy), alone);
}

#[test]
fn three_vocabularies_of_severities() {
    let severity = |word: &str| {
        let policies = format!(
            "alertPolicies: [{{kind: AlertPolicy, metadata: {{name: p}}, spec: {{notificationTargets: [], conditions: \
            [{{kind: AlertCondition, metadata: {{name: c}}, spec: {{severity: {word}, condition: {{kind: absence}}}}}}]}}}}]"
        );
        read(&slo(REQUESTS, &policies)).slos["tested"].alerts.as_ref().expect("policies")[0].severity.as_str()
    };
    for (expected, words) in [
        ("critical", ["critical", "P1", "sev1", "page"].as_slice()),
        ("major", &["major", "P2", "SEV2"]),
        ("warning", &["Warning", "p3", "sev3", "ticket"]),
        ("info", &["info", "P4", "sev4", "log"]),
    ] {
        words.iter().for_each(|word| assert_eq!(severity(word), expected, "{word}"));
    }
}

/// Which SLOs of `slos` (name and a part of the SLI's spec) look out for silence.
fn watching(slos: &[(&str, &str)]) -> Vec<String> {
    let mut text = "{apiVersion: openslo/v1, kind: Service, metadata: {name: checkout}, spec: {}}\n".to_owned();
    for (name, source) in slos {
        text.push_str(&format!(
            "---
{{apiVersion: openslo/v1, kind: SLI, metadata: {{name: {name}-sli}}, spec: {{ratioMetric: {{counter: true, rawType: success,
  raw: {{metricSource: {{type: streamgauge, spec: {{service: checkout, good: status < 500, {source}}}}}}}}}}}}}
---
{{apiVersion: openslo/v1, kind: SLO, metadata: {{name: {name}}}, spec: {{service: checkout, indicatorRef: {name}-sli,
  timeWindow: [{{duration: 30d, isRolling: true}}], budgetingMethod: Occurrences, objectives: [{{target: 0.999}}]}}}}
"
        ));
    }
    let definitions = read(&text);
    let watches = |name: &&String| {
        let alarms = definitions.alerts_of(&definitions.slos[*name], 10_000_000);
        alarms.iter().any(|alarm| alarm.name == "absence")
    };
    definitions.slos.keys().filter(watches).cloned().collect()
}

#[test]
fn one_outage_of_a_service_pages_once() {
    let (all, some) = ("topic: requests", "topic: requests, filter: route == \"/pay\"");
    assert_eq!(watching(&[("b", all), ("c", all)]), ["b"]);
    assert_eq!(watching(&[("a", some), ("b", all)]), ["b"]);
    assert_eq!(watching(&[("a", some), ("b", some)]), ["a"]);
}
