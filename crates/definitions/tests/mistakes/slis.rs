//! Mistakes of SLIs: what judges an event, what judges a slice, labels, predicates, numbers.

use expect_test::expect;

use crate::shown::{SERVICE, check, check_spec};

#[test]
fn an_sli_judges_events_or_slices() {
    for (spec, expected) in [
        (
            "{}",
            expect![[r#"
                slis.yaml:4:7: SLI/tested: spec: found neither `ratioMetric` nor `thresholdMetric`; expected one of them. Single events are judged by `ratioMetric`, slices of time by `thresholdMetric`.
            "#]],
        ),
        (
            "{ratioMetric: {}, thresholdMetric: {}}",
            expect![[r#"
                slis.yaml:4:7: SLI/tested: spec: found both `ratioMetric` and `thresholdMetric`; expected one of them. Single events are judged by `ratioMetric`, slices of time by `thresholdMetric`.
            "#]],
        ),
        (
            "{ratioMetric: {counter: true, rawType: success}}",
            expect![[r#"
            slis.yaml:4:21: SLI/tested: spec.ratioMetric.raw: found no such key; expected a block with the metric source. Add `raw:`.
        "#]],
        ),
        (
            "{ratioMetric: {good: {}, total: {}, counter: true}}",
            expect![[r#"
            slis.yaml:4:21: SLI/tested: spec.ratioMetric.raw: found no such key; expected a block with the metric source. Add `raw:`.
            slis.yaml:4:21: SLI/tested: spec.ratioMetric.rawType: found no such key; expected `success`. Add `rawType:`.
            slis.yaml:4:22: SLI/tested: spec.ratioMetric: found the unknown key `good`; expected one of `counter`, `rawType`, `raw`. Remove it: what can't be honoured is refused, never ignored.
            slis.yaml:4:32: SLI/tested: spec.ratioMetric: found the unknown key `total`; expected one of `counter`, `rawType`, `raw`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
        ),
        (
            "{thresholdMetric: {metricSource: {type: Prometheus, spec: {query: up}}}}",
            expect![[r#"
                slis.yaml:4:47: SLI/tested: spec.thresholdMetric.metricSource.type: found `Prometheus`; expected `streamgauge`. Other types are for other tools; keep their documents where streamgauge does not read them.
            "#]],
        ),
        (
            "{thresholdMetric: {metricSource: {spec: {}}}}",
            expect![[r#"
                slis.yaml:4:40: SLI/tested: spec.thresholdMetric.metricSource.type: found no such key; expected `streamgauge`. Add `type: streamgauge`, or name a DataSource by `metricSourceRef`.
                slis.yaml:4:47: SLI/tested: spec.thresholdMetric.metricSource.spec: found neither `topic` nor `metricSourceRef`; expected one of them. Name the topic by `topic:`, or its DataSource by `metricSourceRef:`.
                slis.yaml:4:47: SLI/tested: spec.thresholdMetric.metricSource.spec: found no way to judge a slice; expected one of `percentile`, `mean`, `traffic`, `saturation`, `freshness`. docs/definitions.md has an example of each.
                slis.yaml:4:47: SLI/tested: spec.thresholdMetric.metricSource.spec.service: found no such key; expected the name of a service. Add `service:`.
                slis.yaml:4:47: SLI/tested: spec.thresholdMetric.metricSource.spec.slice: found no such key; expected a duration such as 5m. Add `slice:`.
            "#]],
        ),
    ] {
        let text = format!("apiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: tested}}\nspec: {spec}\n");
        check(&text, expected);
    }
}

#[test]
fn the_right_ones_are_no_mistakes() {
    check_spec(
        "
        topic: requests
        service: checkout
        good: status < 500
        ",
        expect![[r#"
            valid
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        slice: 5m
        percentile: {quantile: 0.99, atMostUs: 500000}
        ",
        expect![[r#"
            valid
        "#]],
    );
}

#[test]
fn topics_and_services_are_known() {
    check_spec(
        "
        topic: request
        service: check out
        good: status < 500
        ",
        expect![[r#"
            slis.yaml:17:18: SLI/tested: spec.ratioMetric.raw.metricSource.spec.topic: found `request`; expected a topic that is known: `requests`, `scores`, `resources`, or one of a DataSource. Did you mean `requests`?
            slis.yaml:18:20: SLI/tested: spec.ratioMetric.raw.metricSource.spec.service: found `check out`; expected one that a document declares: `checkout`. Did you mean `checkout`?
        "#]],
    );
    check_spec(
        "
        good: status < 500
        ",
        expect![[r#"
            slis.yaml:17:11: SLI/tested: spec.ratioMetric.raw.metricSource.spec: found neither `topic` nor `metricSourceRef`; expected one of them. Name the topic by `topic:`, or its DataSource by `metricSourceRef:`.
            slis.yaml:17:11: SLI/tested: spec.ratioMetric.raw.metricSource.spec.service: found no such key; expected the name of a service. Add `service:`.
        "#]],
    );
}

#[test]
fn one_way_to_judge_an_event() {
    check_spec(
        "
        topic: requests
        service: checkout
        ",
        expect![[r#"
            slis.yaml:17:11: SLI/tested: spec.ratioMetric.raw.metricSource.spec: found no way to judge an event; expected one of them. A predicate decides (`good`), a latency (`latencyThresholdUs`), or counts in the event (`goodCount` and `totalCount`).
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        good: status < 500
        latencyThresholdUs: 300000
        ",
        expect![[r#"
            slis.yaml:17:11: SLI/tested: spec.ratioMetric.raw.metricSource.spec: found several ways to judge an event; expected one of them. A predicate decides (`good`), a latency (`latencyThresholdUs`), or counts in the event (`goodCount` and `totalCount`).
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        good: status < 500
        failures: exclude
        thresholdsUs: [1000]
        ",
        expect![[r#"
            slis.yaml:20:21: SLI/tested: spec.ratioMetric.raw.metricSource.spec.failures: found `exclude`; expected no such key beside `good`. Say in `good` what a failure is, or use `latencyThresholdUs`.
            slis.yaml:21:25: SLI/tested: spec.ratioMetric.raw.metricSource.spec.thresholdsUs: found a list; expected no such key beside `good`. Say in `good` what a failure is, or use `latencyThresholdUs`.
        "#]],
    );
}

#[test]
fn keys_of_slices_belong_to_slices() {
    check_spec(
        "
        topic: requests
        service: checkout
        good: status < 500
        empty: good
        percentil: {}
        ",
        expect![[r#"
            slis.yaml:20:11: SLI/tested: spec.ratioMetric.raw.metricSource.spec: found the unknown key `empty`; expected one of `topic`, `service`, `filter`, `groupBy`, `good`, `latencyThresholdUs`, `failures`, `thresholdsUs`, `goodCount`, `totalCount`. `empty` belongs under `spec.thresholdMetric.…`, which judges slices of time.
            slis.yaml:21:11: SLI/tested: spec.ratioMetric.raw.metricSource.spec: found the unknown key `percentil`; expected one of `topic`, `service`, `filter`, `groupBy`, `good`, `latencyThresholdUs`, `failures`, `thresholdsUs`, `goodCount`, `totalCount`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        slice: 5m
        good: status < 500
        traffic: {atLeastPerSec: 1}
        ",
        expect![[r#"
            slis.yaml:20:11: SLI/tested: spec.thresholdMetric.metricSource.spec: found the unknown key `good`; expected one of `topic`, `service`, `filter`, `groupBy`, `slice`, `empty`, `percentile`, `mean`, `traffic`, `saturation`, `freshness`. `good` belongs under `spec.ratioMetric.…`, which judges single events.
        "#]],
    );
}

#[test]
fn predicates_are_checked_where_they_stand() {
    check_spec(
        "
        topic: requests
        service: checkout
        filter: 'route = \"/pay\" && staus < 500'
        good: value >= 0.85
        ",
        expect![[r#"
            slis.yaml:19:26: SLI/tested: spec.ratioMetric.raw.metricSource.spec.filter: found `route = "/pay" && staus < 500`: = is no operator here; expected a predicate that can be decided. Write == for equality.
            slis.yaml:20:17: SLI/tested: spec.ratioMetric.raw.metricSource.spec.good: found `value >= 0.85`: a request has no field value; expected a predicate that can be decided. It is a field of the kind score and of resource; a request has service, event_id, tenant, route, method, status, ok, latency_us, version, environment, region, trace_id, attributes.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        good: [status, '<', 500]
        ",
        expect![[r#"
            slis.yaml:19:17: SLI/tested: spec.ratioMetric.raw.metricSource.spec.good: found a list; expected a predicate such as `status < 500`. Write one text there.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        good: >-
          status <
          five
        ",
        expect![[r#"
            slis.yaml:20:13: SLI/tested: spec.ratioMetric.raw.metricSource.spec.good: found `status < five`: a request has no field five; expected a predicate that can be decided. Write "five" in quotes if it is a text, attributes.five if it is an attribute; a request has service, event_id, tenant, route, method, status, ok, latency_us, version, environment, region, trace_id, attributes.
        "#]],
    );
}

#[test]
fn latencies_are_microseconds() {
    check_spec(
        "
        topic: requests
        service: checkout
        latencyThresholdUs: 300ms
        failures: good
        thresholdsUs: [0, 1.5, -1, many]
        ",
        expect![[r#"
            slis.yaml:19:31: SLI/tested: spec.ratioMetric.raw.metricSource.spec.latencyThresholdUs: found `300ms`; expected a whole number of microseconds from 1 to 35184372088832. 300ms are 300000.
            slis.yaml:20:21: SLI/tested: spec.ratioMetric.raw.metricSource.spec.failures: found `good`; expected `bad` or `exclude`. Failed requests count as bad, or don't count.
            slis.yaml:21:26: SLI/tested: spec.ratioMetric.raw.metricSource.spec.thresholdsUs[0]: found `0`; expected a whole number of microseconds from 1 to 35184372088832. 300 ms are 300000.
            slis.yaml:21:29: SLI/tested: spec.ratioMetric.raw.metricSource.spec.thresholdsUs[1]: found `1.5`; expected a whole number of microseconds from 1 to 35184372088832. 300 ms are 300000.
            slis.yaml:21:34: SLI/tested: spec.ratioMetric.raw.metricSource.spec.thresholdsUs[2]: found `-1`; expected a whole number of microseconds from 1 to 35184372088832. 300 ms are 300000.
            slis.yaml:21:38: SLI/tested: spec.ratioMetric.raw.metricSource.spec.thresholdsUs[3]: found `many`; expected a whole number of microseconds from 1 to 35184372088832. 300 ms are 300000.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        latencyThresholdUs: 99999999999999999
        thresholdsUs: 1000
        ",
        expect![[r#"
            slis.yaml:19:31: SLI/tested: spec.ratioMetric.raw.metricSource.spec.latencyThresholdUs: found `99999999999999999`; expected a whole number of microseconds from 1 to 35184372088832. 300 ms are 300000.
            slis.yaml:20:25: SLI/tested: spec.ratioMetric.raw.metricSource.spec.thresholdsUs: found `1000`; expected a list of microseconds. Such as `[100000, 300000]`.
        "#]],
    );
    check_spec(
        "
        topic: scores
        service: checkout
        latencyThresholdUs: 300000
        ",
        expect![[r#"
            slis.yaml:19:31: SLI/tested: spec.ratioMetric.raw.metricSource.spec.latencyThresholdUs: found `300000`; expected a topic of request events, since only those have a latency; this one holds score events. Measure another topic, or judge in another way.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        latencyThresholdUs: 300000
        thresholdsUs: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]
        ",
        expect![[r#"
            slis.yaml:20:25: SLI/tested: spec.ratioMetric.raw.metricSource.spec.thresholdsUs: found a list; expected at most 16. Other thresholds are answered by the histogram.
        "#]],
    );
}

#[test]
fn counts_come_from_scores() {
    check_spec(
        "
        topic: scores
        service: checkout
        goodCount: good
        ",
        expect![[r#"
            slis.yaml:17:11: SLI/tested: spec.ratioMetric.raw.metricSource.spec.totalCount: found no such key; expected `total`. Add `totalCount: total`.
        "#]],
    );
    check_spec(
        "
        topic: scores
        service: checkout
        goodCount: passed
        totalCount: all
        ",
        expect![[r#"
            slis.yaml:19:22: SLI/tested: spec.ratioMetric.raw.metricSource.spec.goodCount: found `passed`; expected `good`. Scores carry these two counts.
            slis.yaml:20:23: SLI/tested: spec.ratioMetric.raw.metricSource.spec.totalCount: found `all`; expected `total`. Scores carry these two counts.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        goodCount: good
        totalCount: total
        ",
        expect![[r#"
            slis.yaml:19:22: SLI/tested: spec.ratioMetric.raw.metricSource.spec.goodCount: found `good`; expected a topic of score events, since only those have counts; this one holds request events. Measure another topic, or judge in another way.
            slis.yaml:20:23: SLI/tested: spec.ratioMetric.raw.metricSource.spec.totalCount: found `total`; expected a topic of score events, since only those have counts; this one holds request events. Measure another topic, or judge in another way.
        "#]],
    );
}

#[test]
fn labels_are_fields_of_the_kind_and_few() {
    check_spec(
        "
        topic: requests
        service: checkout
        good: status < 500
        groupBy: {trace_id: [], instance: [], attributes.: [], route: /pay, version: [2, [3], null]}
        ",
        expect![[r#"
            slis.yaml:20:21: SLI/tested: spec.ratioMetric.raw.metricSource.spec.groupBy.trace_id: found `trace_id`; expected one of `environment`, `method`, `region`, `route`, `version`, `attributes.NAME` with a name of at most 512 bytes. Ids can't be labels: every event would be a series of its own.
            slis.yaml:20:35: SLI/tested: spec.ratioMetric.raw.metricSource.spec.groupBy.instance: found `instance`; expected one of `environment`, `method`, `region`, `route`, `version`, `attributes.NAME` with a name of at most 512 bytes. Ids can't be labels: every event would be a series of its own.
            slis.yaml:20:49: SLI/tested: spec.ratioMetric.raw.metricSource.spec.groupBy.attributes.: found `attributes.`; expected one of `environment`, `method`, `region`, `route`, `version`, `attributes.NAME` with a name of at most 512 bytes. Ids can't be labels: every event would be a series of its own.
            slis.yaml:20:73: SLI/tested: spec.ratioMetric.raw.metricSource.spec.groupBy.route: found `/pay`; expected a list of declared values, perhaps empty. Write `[]` for none.
            slis.yaml:20:92: SLI/tested: spec.ratioMetric.raw.metricSource.spec.groupBy.version[1]: found a list; expected a value. Write one text there.
            slis.yaml:20:97: SLI/tested: spec.ratioMetric.raw.metricSource.spec.groupBy.version[2]: found nothing; expected a value. Write one text there.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        good: status < 500
        groupBy: {route: [], method: [], version: [], region: [], environment: []}
        ",
        expect![[r#"
            slis.yaml:20:20: SLI/tested: spec.ratioMetric.raw.metricSource.spec.groupBy: found a block of keys; expected at most 4 labels. Each combination of values is a series of its own.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        good: status < 500
        groupBy: [route]
        ",
        expect![[r#"
            slis.yaml:20:20: SLI/tested: spec.ratioMetric.raw.metricSource.spec.groupBy: found a list; expected a block of keys. docs/definitions.md shows each document as a whole.
        "#]],
    );
}

#[test]
fn slices_hold_whole_panes() {
    check_spec(
        "
        topic: requests
        service: checkout
        slice: 15s
        empty: maybe
        percentile: {quantile: 0.99, atMostUs: 500000}
        ",
        expect![[r#"
            slis.yaml:19:18: SLI/tested: spec.thresholdMetric.metricSource.spec.slice: found `15s`; expected a multiple of the pane, which is 10s. The next longer one is 20s.
            slis.yaml:20:18: SLI/tested: spec.thresholdMetric.metricSource.spec.empty: found `maybe`; expected `ignore`, `good` or `bad`. A slice without events does not count, is good, or is bad.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        slice: 5 minutes
        percentile: {quantile: 0.99, atMostUs: 500000}
        ",
        expect![[r#"
            slis.yaml:19:18: SLI/tested: spec.thresholdMetric.metricSource.spec.slice: found `5 minutes`; expected a duration from 1ms to 3660d. Write a whole number and a unit: 10s, 5m, 1h, 1d.
        "#]],
    );
}

#[test]
fn one_way_to_judge_a_slice() {
    check_spec(
        "
        topic: requests
        service: checkout
        slice: 5m
        ",
        expect![[r#"
            slis.yaml:17:11: SLI/tested: spec.thresholdMetric.metricSource.spec: found no way to judge a slice; expected one of `percentile`, `mean`, `traffic`, `saturation`, `freshness`. docs/definitions.md has an example of each.
        "#]],
    );
    check_spec(
        "
        topic: resources
        service: checkout
        slice: 5m
        mean: {atMost: 1}
        saturation: {atMost: 1}
        ",
        expect![[r#"
            slis.yaml:17:11: SLI/tested: spec.thresholdMetric.metricSource.spec: found several ways to judge a slice; expected one of `percentile`, `mean`, `traffic`, `saturation`, `freshness`. docs/definitions.md has an example of each.
        "#]],
    );
}

#[test]
fn percentiles_are_shares() {
    check_spec(
        "
        topic: requests
        service: checkout
        slice: 5m
        percentile: {quantile: 99, atMost: 500ms}
        ",
        expect![[r#"
            slis.yaml:20:23: SLI/tested: spec.thresholdMetric.metricSource.spec.percentile.atMostUs: found no such key; expected microseconds. Add `atMostUs:`.
            slis.yaml:20:34: SLI/tested: spec.thresholdMetric.metricSource.spec.percentile.quantile: found `99`; expected a decimal above 0 and up to 1, with at most 9 places. The 99th percentile is 0.99.
            slis.yaml:20:38: SLI/tested: spec.thresholdMetric.metricSource.spec.percentile: found the unknown key `atMost`; expected one of `quantile`, `atMostUs`. Did you mean `atMostUs`?
        "#]],
    );
    check_spec(
        "
        topic: resources
        service: checkout
        slice: 5m
        percentile: {quantile: 0, atMostUs: 0}
        ",
        expect![[r#"
            slis.yaml:20:23: SLI/tested: spec.thresholdMetric.metricSource.spec.percentile: found a block of keys; expected a topic of request events, since only those have a latency; this one holds resource events. Measure another topic, or judge in another way.
            slis.yaml:20:34: SLI/tested: spec.thresholdMetric.metricSource.spec.percentile.quantile: found `0`; expected a decimal above 0 and up to 1, with at most 9 places. The 99th percentile is 0.99.
            slis.yaml:20:47: SLI/tested: spec.thresholdMetric.metricSource.spec.percentile.atMostUs: found `0`; expected a whole number of microseconds from 1 to 35184372088832. 300 ms are 300000.
        "#]],
    );
}

#[test]
fn bounds_hold_something() {
    check_spec(
        "
        topic: scores
        service: checkout
        slice: 5m
        mean: {}
        ",
        expect![[r#"
            slis.yaml:20:17: SLI/tested: spec.thresholdMetric.metricSource.spec.mean: found neither `atLeast` nor `atMost`; expected a bound. Add `atLeast:`, `atMost:` or both.
        "#]],
    );
    check_spec(
        "
        topic: scores
        service: checkout
        slice: 5m
        mean: {atLeast: 4.5, atMost: 4}
        ",
        expect![[r#"
            slis.yaml:20:17: SLI/tested: spec.thresholdMetric.metricSource.spec.mean: found `atLeast` above `atMost`; expected a range that holds something. Exchange them.
        "#]],
    );
    check_spec(
        "
        topic: scores
        service: checkout
        slice: 5m
        mean: {atLeast: 4e3, atMost: 0.0000001}
        ",
        expect![[r#"
            slis.yaml:20:27: SLI/tested: spec.thresholdMetric.metricSource.spec.mean.atLeast: found `4e3`; expected a decimal with at most 6 places, from -35184372 to 35184372. Such as 0.85; use a larger unit for larger numbers.
            slis.yaml:20:40: SLI/tested: spec.thresholdMetric.metricSource.spec.mean.atMost: found `0.0000001`; expected a decimal with at most 6 places, from -35184372 to 35184372. Such as 0.85; use a larger unit for larger numbers.
        "#]],
    );
    check_spec(
        "
        topic: requests
        service: checkout
        slice: 5m
        mean: {atLeast: 4}
        ",
        expect![[r#"
            slis.yaml:20:17: SLI/tested: spec.thresholdMetric.metricSource.spec.mean: found a block of keys; expected a topic of score or resource events, since only those have a value. Measure another topic, or judge latency by `percentile`.
        "#]],
    );
}

#[test]
fn traffic_is_never_empty() {
    check_spec(
        "
        topic: requests
        service: checkout
        slice: 5m
        empty: ignore
        traffic: {atLeast: 1}
        ",
        expect![[r#"
            slis.yaml:20:18: SLI/tested: spec.thresholdMetric.metricSource.spec.empty: found `ignore`; expected no such key beside `traffic`. Remove it: a slice without events has a rate of 0 per second, and the bounds judge that.
            slis.yaml:21:21: SLI/tested: spec.thresholdMetric.metricSource.spec.traffic: found the unknown key `atLeast`; expected one of `atLeastPerSec`, `atMostPerSec`. Did you mean `atLeastPerSec`?
        "#]],
    );
}

#[test]
fn saturation_is_of_resources() {
    check_spec(
        "
        topic: requests
        service: checkout
        slice: 5m
        saturation: {aggregate: average, atMost: 0.8}
        ",
        expect![[r#"
            slis.yaml:20:23: SLI/tested: spec.thresholdMetric.metricSource.spec.saturation: found a block of keys; expected a topic of resource events, since only those have samples of a resource; this one holds request events. Measure another topic, or judge in another way.
            slis.yaml:20:35: SLI/tested: spec.thresholdMetric.metricSource.spec.saturation.aggregate: found `average`; expected `mean`, `min`, `max`, `last`, or a percentile such as `p95`. `mean` is the default.
        "#]],
    );
    check_spec(
        "
        topic: resources
        service: checkout
        slice: 5m
        saturation: {aggregate: p999, atMost: 80%}
        ",
        expect![[r#"
            slis.yaml:20:35: SLI/tested: spec.thresholdMetric.metricSource.spec.saturation.aggregate: found `p999`; expected `mean`, `min`, `max`, `last`, or a percentile such as `p95`. `mean` is the default.
            slis.yaml:20:49: SLI/tested: spec.thresholdMetric.metricSource.spec.saturation.atMost: found `80%`; expected a decimal with at most 6 places, from -35184372 to 35184372. Such as 0.85; use a larger unit for larger numbers.
        "#]],
    );
}

#[test]
fn freshness_has_a_limit() {
    check_spec(
        "
        topic: resources
        service: checkout
        slice: 5m
        freshness: {}
        ",
        expect![[r#"
            slis.yaml:20:22: SLI/tested: spec.thresholdMetric.metricSource.spec.freshness.atMost: found no such key; expected a duration such as 10m. Add `atMost:`.
        "#]],
    );
    check_spec(
        "
        topic: resources
        service: checkout
        slice: 5m
        freshness: {atMost: 90}
        ",
        expect![[r#"
            slis.yaml:20:31: SLI/tested: spec.thresholdMetric.metricSource.spec.freshness.atMost: found `90`; expected a duration from 1ms to 3660d. Write a whole number and a unit: 10s, 5m, 1h, 1d.
        "#]],
    );
}

#[test]
fn an_sli_name_stands_once() {
    let sli = "---
apiVersion: openslo/v1
kind: SLI
metadata: {name: twice}
spec: {ratioMetric: {counter: true, rawType: success, raw: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, good: status < 500}}}}}
";
    check(
        &format!("{SERVICE}{sli}{sli}"),
        expect![[r#"
        slis.yaml:11:1: SLI/twice: metadata.name: found `SLI/twice` again; expected a name of its own. Rename or remove one.
    "#]],
    );
}
