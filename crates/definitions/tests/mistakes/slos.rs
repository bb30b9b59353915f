//! Mistakes of SLOs: what is promised, over which time, and what spends the budget.

use expect_test::{Expect, expect};

use crate::shown::shown;

/// Fourteen lines, before the SLO.
const SLIS: &str = "
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
spec: {}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: answered}
spec: {ratioMetric: {counter: true, rawType: success, raw: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, good: status < 500}}}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: p99}
spec: {thresholdMetric: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, slice: 5m, percentile: {quantile: 0.99, atMostUs: 500000}}}}}
";

const RIGHT: [&str; 5] = [
    "service: checkout",
    "indicatorRef: answered",
    "timeWindow: [{duration: 30d, isRolling: true}]",
    "budgetingMethod: Occurrences",
    "objectives: [{target: 0.999}]",
];

/// A right SLO whose keys are replaced, or removed where nothing follows the colon. Its `spec` begins at line 20 with the
/// keys that are kept; `changes` follow, in their order.
fn changed(changes: &[&str]) -> String {
    let key = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
    let kept = RIGHT.into_iter().filter(|line| changes.iter().all(|change| key(change) != key(line)));
    let changed = changes.iter().copied().filter(|change| !change.ends_with(':'));
    let spec: Vec<String> = kept.chain(changed).map(|line| format!("  {line}")).collect();
    let head = "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {name: tested}\nspec:";
    format!("{}{head}\n{}\n", SLIS.trim_start(), spec.join("\n"))
}

#[track_caller]
fn check(changes: &[&str], expected: Expect) {
    expected.assert_eq(&shown(&[("slos.yaml", &changed(changes))]));
}

#[test]
fn the_right_ones_are_no_mistakes() {
    for changes in [
        &[][..],
        &["description: Most are answered"],
        &["objectives: [{targetPercent: 99.9, displayName: Three nines}]"],
        &["objectives: [{target: '0.000000001'}]"],
        &["timeWindow: [{duration: 4w, isRolling: true}]"],
        &["timeWindow: [{duration: 10s, isRolling: true}]"],
        &["timeWindow: [{duration: 1M, calendar: {startTime: 2026-01-01, timeZone: Europe/Berlin}, isRolling: false}]"],
        &["timeWindow: [{duration: 1Q, calendar: {startTime: '2026-01-01 00:00:00', timeZone: UTC}}]"],
        &["budgetingMethod: Timeslices", "objectives: [{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 5m}]"],
        &["budgetingMethod: Timeslices", "objectives: [{target: 0.99, timeSliceTarget: 1, timeSliceWindow: 5}]"],
        &["budgetingMethod: RatioTimeslices", "objectives: [{target: 0.99, timeSliceWindow: 1m}]"],
        &["indicatorRef: p99"],
        &[
            "indicatorRef: p99",
            "budgetingMethod: Timeslices",
            "objectives: [{target: 0.99, timeSliceTarget: 1, timeSliceWindow: 5m}]",
        ],
    ] {
        assert_eq!(shown(&[("slos.yaml", &changed(changes))]), "valid\n", "{changes:?}");
    }
}

#[test]
fn every_key_is_needed() {
    check(
        &["service:", "indicatorRef:", "timeWindow:", "budgetingMethod:", "objectives:", "x: 1"],
        expect![[r#"
            slos.yaml:20:3: SLO/tested: spec: found the unknown key `x`; expected one of `description`, `service`, `indicatorRef`, `timeWindow`, `budgetingMethod`, `objectives`, `alertPolicies`. Remove it: what can't be honoured is refused, never ignored.
            slos.yaml:20:3: SLO/tested: spec.budgetingMethod: found no such key; expected one of `Occurrences`, `Timeslices`, `RatioTimeslices`. Add `budgetingMethod:`.
            slos.yaml:20:3: SLO/tested: spec.indicatorRef: found no such key; expected the name of an SLI. Add `indicatorRef:`.
            slos.yaml:20:3: SLO/tested: spec.objectives: found no such key; expected a list with one objective. Add `objectives:`.
            slos.yaml:20:3: SLO/tested: spec.service: found no such key; expected the name of a service. Add `service:`.
            slos.yaml:20:3: SLO/tested: spec.timeWindow: found no such key; expected a list with one time window. Add `timeWindow:`.
        "#]],
    );
}

#[test]
fn services_and_slis_are_known_and_belong_together() {
    check(
        &["indicatorRef: answerd"],
        expect![[r#"
        slos.yaml:24:17: SLO/tested: spec.indicatorRef: found `answerd`; expected the name of a document of kind SLI: `answered`, `p99`. Did you mean `answered`?
    "#]],
    );
    check(
        &["indicatorRef: throughput"],
        expect![[r#"
        slos.yaml:24:17: SLO/tested: spec.indicatorRef: found `throughput`; expected the name of a document of kind SLI: `answered`, `p99`. Add a document with `kind: SLI` and metadata.name throughput.
    "#]],
    );
    check(
        &["indicatorRef: [answered]"],
        expect![[r#"
        slos.yaml:24:17: SLO/tested: spec.indicatorRef: found a list; expected the name of a document of kind SLI. Write one text there.
    "#]],
    );
    check(
        &["service: search"],
        expect![[r#"
        slos.yaml:24:12: SLO/tested: spec.service: found `search`; expected `checkout`, the service of the SLI `answered`. An objective is about the service that its SLI measures.
    "#]],
    );
    check(
        &["service: chekout", "indicatorRef: answerd"],
        expect![[r#"
        slos.yaml:23:12: SLO/tested: spec.service: found `chekout`; expected the name of a document of kind Service: `checkout`. Did you mean `checkout`?
        slos.yaml:24:17: SLO/tested: spec.indicatorRef: found `answerd`; expected the name of a document of kind SLI: `answered`, `p99`. Did you mean `answered`?
    "#]],
    );
    check(
        &["indicatorRef:", "indicator: {}"],
        expect![[r#"
            slos.yaml:20:3: SLO/tested: spec.indicatorRef: found no such key; expected the name of an SLI. Add `indicatorRef:`.
            slos.yaml:24:3: SLO/tested: spec: found the unknown key `indicator`; expected one of `description`, `service`, `indicatorRef`, `timeWindow`, `budgetingMethod`, `objectives`, `alertPolicies`. Did you mean `indicatorRef`?
        "#]],
    );
}

#[test]
fn an_sli_with_mistakes_is_not_told_twice() {
    let slo = "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {name: tested}\nspec: {service: checkout, indicatorRef: answered, \
        timeWindow: [{duration: 30d, isRolling: true}], budgetingMethod: Occurrences, objectives: [{target: 0.999}]}\n";
    for (from, to, expected) in [
        (
            "good: status < 500",
            "good: staus < 500",
            expect![[r#"
            slos.yaml:9:144: SLI/answered: spec.ratioMetric.raw.metricSource.spec.good: found `staus < 500`: a request has no field staus; expected a predicate that can be decided. Write status.
        "#]],
        ),
        (
            "kind: SLI\nmetadata: {name: answered}",
            "kind: SLI\nmetadata: {nam: answered}",
            expect![[r#"
            slos.yaml:8:11: metadata.name: found no such key; expected a name. Add `name:`.
            slos.yaml:8:12: metadata: found the unknown key `nam`; expected one of `name`, `displayName`, `labels`, `annotations`. Did you mean `name`?
        "#]],
        ),
    ] {
        let text = format!("{}{slo}", SLIS.trim_start().replacen(from, to, 1));
        expected.assert_eq(&shown(&[("slos.yaml", &text)]));
    }
}

#[test]
fn one_time_window() {
    for (window, expected) in [
        (
            "[]",
            expect![[r#"
            slos.yaml:24:15: SLO/tested: spec.timeWindow: found a list of 0; expected a list of one. Write an SLO of its own for each.
        "#]],
        ),
        (
            "[{duration: 30d, isRolling: true}, {duration: 7d, isRolling: true}]",
            expect![[r#"
            slos.yaml:24:15: SLO/tested: spec.timeWindow: found a list of 2; expected a list of one. Write an SLO of its own for each.
        "#]],
        ),
        (
            "{duration: 30d, isRolling: true}",
            expect![[r#"
            slos.yaml:24:15: SLO/tested: spec.timeWindow: found a block of keys; expected a list of one. Write `- ` before its first key.
        "#]],
        ),
        (
            "[30d]",
            expect![[r#"
            slos.yaml:24:16: SLO/tested: spec.timeWindow[0]: found `30d`; expected a block of keys. docs/definitions.md shows each document as a whole.
        "#]],
        ),
        (
            "[{isRolling: true}]",
            expect![[r#"
            slos.yaml:24:16: SLO/tested: spec.timeWindow[0].duration: found no such key; expected a duration such as 30d, or 1M of a calendar. Add `duration:`.
        "#]],
        ),
        (
            "[{duration: 30d}]",
            expect![[r#"
            slos.yaml:24:16: SLO/tested: spec.timeWindow[0].isRolling: found no such key; expected `true` or `false`. Add `isRolling: true`, or a `calendar:`.
        "#]],
        ),
        (
            "[{duration: 30d, isRolling: yes}]",
            expect![[r#"
            slos.yaml:24:43: SLO/tested: spec.timeWindow[0].isRolling: found `yes`; expected `true` or `false`. A rolling window ends now; others begin on dates.
        "#]],
        ),
        (
            "[{duration: 30 days, isRolling: true}]",
            expect![[r#"
                slos.yaml:24:27: SLO/tested: spec.timeWindow[0].duration: found `30 days`; expected a duration of whole panes (10s), up to 3660d. Such as `30d`, `4w` or `1h`.
            "#]],
        ),
        (
            "[{duration: 15s, isRolling: true}]",
            expect![[r#"
                slos.yaml:24:27: SLO/tested: spec.timeWindow[0].duration: found `15s`; expected a duration of whole panes (10s), up to 3660d. Such as `30d`, `4w` or `1h`.
            "#]],
        ),
        (
            "[{duration: 0d, isRolling: true}]",
            expect![[r#"
                slos.yaml:24:27: SLO/tested: spec.timeWindow[0].duration: found `0d`; expected a duration of whole panes (10s), up to 3660d. Such as `30d`, `4w` or `1h`.
            "#]],
        ),
        (
            "[{duration: 9999d, isRolling: true}]",
            expect![[r#"
                slos.yaml:24:27: SLO/tested: spec.timeWindow[0].duration: found `9999d`; expected a duration of whole panes (10s), up to 3660d. Such as `30d`, `4w` or `1h`.
            "#]],
        ),
        (
            "[{duration: 1M, isRolling: true}]",
            expect![[r#"
                slos.yaml:24:27: SLO/tested: spec.timeWindow[0].duration: found `1M`; expected a duration of whole panes (10s), up to 3660d. Months, quarters and years are of a calendar: say `isRolling: false`.
            "#]],
        ),
        (
            "[{duration: 30d, isRolling: true, calender: {}}]",
            expect![[r#"
            slos.yaml:24:49: SLO/tested: spec.timeWindow[0]: found the unknown key `calender`; expected one of `duration`, `isRolling`, `calendar`. Did you mean `calendar`?
        "#]],
        ),
    ] {
        check(&[&format!("timeWindow: {window}")], expected);
    }
}

#[test]
fn calendars_have_a_date_and_a_zone() {
    for (window, expected) in [
        (
            "duration: 1M, isRolling: false",
            expect![[r#"
            slos.yaml:24:16: SLO/tested: spec.timeWindow[0].calendar: found no such key; expected a block with startTime and timeZone. Add `calendar:` with startTime and timeZone, or say `isRolling: true`.
        "#]],
        ),
        (
            "duration: 1M, isRolling: true, calendar: {startTime: 2026-01-01, timeZone: UTC}",
            expect![[r#"
            slos.yaml:24:58: SLO/tested: spec.timeWindow[0].calendar: found a block of keys; expected no such key beside `isRolling: true`. Remove it, or say `isRolling: false`.
        "#]],
        ),
        (
            "duration: 1M, calendar: {}",
            expect![[r#"
            slos.yaml:24:41: SLO/tested: spec.timeWindow[0].calendar.startTime: found no such key; expected a date such as 2026-01-01. Add `startTime:`.
            slos.yaml:24:41: SLO/tested: spec.timeWindow[0].calendar.timeZone: found no such key; expected a time zone such as Europe/Berlin. Add `timeZone:`.
        "#]],
        ),
        (
            "duration: 1M, calendar: 2026-01-01",
            expect![[r#"
            slos.yaml:24:41: SLO/tested: spec.timeWindow[0].calendar: found `2026-01-01`; expected a block of keys. docs/definitions.md shows each document as a whole.
        "#]],
        ),
        (
            "duration: 1h, calendar: {startTime: 2026-01-01, timeZone: UTC}",
            expect![[r#"
            slos.yaml:24:27: SLO/tested: spec.timeWindow[0].duration: found `1h`; expected 1 to 100 of a calendar's `d`, `w`, `M`, `Q` or `Y`. A month is `1M`, a quarter `1Q`.
        "#]],
        ),
        (
            "duration: 0M, calendar: {startTime: 2026-01-01, timeZone: UTC}",
            expect![[r#"
            slos.yaml:24:27: SLO/tested: spec.timeWindow[0].duration: found `0M`; expected 1 to 100 of a calendar's `d`, `w`, `M`, `Q` or `Y`. A month is `1M`, a quarter `1Q`.
        "#]],
        ),
        (
            "duration: 1M, calendar: {startTime: 2026-02-30, timeZone: UTC}",
            expect![[r#"
            slos.yaml:24:53: SLO/tested: spec.timeWindow[0].calendar.startTime: found `2026-02-30`; expected a date. Windows begin with a day: write 2026-01-01, or 2026-01-01 00:00:00.
        "#]],
        ),
        (
            "duration: 1M, calendar: {startTime: 2026-01-01 12:30:00, timeZone: UTC}",
            expect![[r#"
            slos.yaml:24:53: SLO/tested: spec.timeWindow[0].calendar.startTime: found `2026-01-01 12:30:00`; expected a date. Windows begin with a day: write 2026-01-01, or 2026-01-01 00:00:00.
        "#]],
        ),
        (
            "duration: 1M, calendar: {startTime: 2026-01-01, timeZone: Europe/Brelin}",
            expect![[r#"
            slos.yaml:24:75: SLO/tested: spec.timeWindow[0].calendar.timeZone: found `Europe/Brelin`; expected a zone of the IANA database. Such as `UTC`, `Europe/Berlin` or `America/New_York`.
        "#]],
        ),
        (
            "duration: 1M, calendar: {startTime: 2026-01-01, timeZone: UTC, weeks: iso}",
            expect![[r#"
            slos.yaml:24:80: SLO/tested: spec.timeWindow[0].calendar: found the unknown key `weeks`; expected one of `startTime`, `timeZone`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
        ),
    ] {
        check(&[&format!("timeWindow: [{{{window}}}]")], expected);
    }
}

#[test]
fn targets_leave_a_budget() {
    for (objective, expected) in [
        (
            "{}",
            expect![[r#"
            slos.yaml:24:16: SLO/tested: spec.objectives[0]: found neither `target` nor `targetPercent`; expected one of them. Write `target: 0.999` or `targetPercent: 99.9`.
        "#]],
        ),
        (
            "target: 0.999, targetPercent: 99.9",
            expect![[r#"
            slos.yaml:24:16: SLO/tested: spec.objectives[0]: found both `target` and `targetPercent`; expected one of them. Write `target: 0.999` or `targetPercent: 99.9`.
        "#]],
        ),
        (
            "target: 99.9",
            expect![[r#"
            slos.yaml:24:25: SLO/tested: spec.objectives[0].target: found `99.9`; expected a decimal between 0 and 1, with at most 9 places. 99.9 percent is `targetPercent: 99.9`.
        "#]],
        ),
        (
            "target: 1",
            expect![[r#"
            slos.yaml:24:25: SLO/tested: spec.objectives[0].target: found `1`; expected a promise below 1. Nothing is always good: with no budget every error is a breach.
        "#]],
        ),
        (
            "target: 0",
            expect![[r#"
            slos.yaml:24:25: SLO/tested: spec.objectives[0].target: found `0`; expected a decimal between 0 and 1, with at most 9 places. 99.9 percent is 0.999.
        "#]],
        ),
        (
            "target: -0.5",
            expect![[r#"
            slos.yaml:24:25: SLO/tested: spec.objectives[0].target: found `-0.5`; expected a decimal between 0 and 1, with at most 9 places. 99.9 percent is 0.999.
        "#]],
        ),
        (
            "target: 99.9%",
            expect![[r#"
            slos.yaml:24:25: SLO/tested: spec.objectives[0].target: found `99.9%`; expected a decimal between 0 and 1, with at most 9 places. 99.9 percent is 0.999.
        "#]],
        ),
        (
            "target: 0.9999999999",
            expect![[r#"
            slos.yaml:24:25: SLO/tested: spec.objectives[0].target: found `0.9999999999`; expected a decimal between 0 and 1, with at most 9 places. 99.9 percent is 0.999.
        "#]],
        ),
        (
            "target: 1e-3",
            expect![[r#"
            slos.yaml:24:25: SLO/tested: spec.objectives[0].target: found `1e-3`; expected a decimal between 0 and 1, with at most 9 places. 99.9 percent is 0.999.
        "#]],
        ),
        (
            "targetPercent: 100",
            expect![[r#"
            slos.yaml:24:32: SLO/tested: spec.objectives[0].targetPercent: found `100`; expected a promise below 1. Nothing is always good: with no budget every error is a breach.
        "#]],
        ),
        (
            "targetPercent: 101",
            expect![[r#"
            slos.yaml:24:32: SLO/tested: spec.objectives[0].targetPercent: found `101`; expected a decimal between 0 and 100, with at most 7 places. Such as `99.9`.
        "#]],
        ),
        (
            "targetPercent: 99.99999999",
            expect![[r#"
            slos.yaml:24:32: SLO/tested: spec.objectives[0].targetPercent: found `99.99999999`; expected a decimal between 0 and 100, with at most 7 places. Such as `99.9`.
        "#]],
        ),
        (
            "targetPercent: 0",
            expect![[r#"
            slos.yaml:24:32: SLO/tested: spec.objectives[0].targetPercent: found `0`; expected a decimal between 0 and 100, with at most 7 places. Such as `99.9`.
        "#]],
        ),
        (
            "target: 0.999, op: lte, value: 1",
            expect![[r#"
            slos.yaml:24:32: SLO/tested: spec.objectives[0]: found the unknown key `op`; expected one of `displayName`, `target`, `targetPercent`, `timeSliceTarget`, `timeSliceWindow`. Remove it: what can't be honoured is refused, never ignored.
            slos.yaml:24:41: SLO/tested: spec.objectives[0]: found the unknown key `value`; expected one of `displayName`, `target`, `targetPercent`, `timeSliceTarget`, `timeSliceWindow`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
        ),
        (
            "target: 0.999, compositeWeight: 2",
            expect![[r#"
            slos.yaml:24:32: SLO/tested: spec.objectives[0]: found the unknown key `compositeWeight`; expected one of `displayName`, `target`, `targetPercent`, `timeSliceTarget`, `timeSliceWindow`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
        ),
        (
            "target: 0.999, timeSliceTarget: 0.9, timeSliceWindow: 5m",
            expect![[r#"
            slos.yaml:24:49: SLO/tested: spec.objectives[0].timeSliceTarget: found `0.9`; expected no such key beside `budgetingMethod: Occurrences`. Remove it: it would decide nothing.
            slos.yaml:24:71: SLO/tested: spec.objectives[0].timeSliceWindow: found `5m`; expected no such key beside `budgetingMethod: Occurrences`. Remove it: it would decide nothing.
        "#]],
        ),
    ] {
        let objective = if objective == "{}" { "[{}]".to_owned() } else { format!("[{{{objective}}}]") };
        check(&[&format!("objectives: {objective}")], expected);
    }
    check(
        &["objectives: [{target: 0.99}, {target: 0.999}]"],
        expect![[r#"
        slos.yaml:24:15: SLO/tested: spec.objectives: found a list of 2; expected a list of one. Write an SLO of its own for each.
    "#]],
    );
    check(
        &["objectives: {target: 0.99}"],
        expect![[r#"
        slos.yaml:24:15: SLO/tested: spec.objectives: found a block of keys; expected a list of one. Write `- ` before its first key.
    "#]],
    );
}

#[test]
fn methods_have_keys_of_their_own() {
    check(
        &["budgetingMethod: occurrences"],
        expect![[r#"
        slos.yaml:24:20: SLO/tested: spec.budgetingMethod: found `occurrences`; expected one of `Occurrences`, `Timeslices`, `RatioTimeslices`. Events count alike by `Occurrences`, slices of time by the others.
    "#]],
    );
    for (method, objective, expected) in [
        (
            "Timeslices",
            "target: 0.99",
            expect![[r#"
            slos.yaml:24:16: SLO/tested: spec.objectives[0].timeSliceTarget: found no such key; expected a decimal such as 0.95. Add it: the share of good events from which on a slice is good.
            slos.yaml:24:16: SLO/tested: spec.objectives[0].timeSliceWindow: found no such key; expected a duration such as 5m. Add it: how long a slice is.
        "#]],
        ),
        (
            "Timeslices",
            "target: 0.99, timeSliceTarget: 0, timeSliceWindow: 5 minutes",
            expect![[r#"
                slos.yaml:24:48: SLO/tested: spec.objectives[0].timeSliceTarget: found `0`; expected a decimal above 0 and up to 1, with at most 9 places. 95 percent is 0.95.
                slos.yaml:24:68: SLO/tested: spec.objectives[0].timeSliceWindow: found `5 minutes`; expected a duration of whole panes (10s), up to 3660d. Such as `1m` or `5m`.
            "#]],
        ),
        (
            "Timeslices",
            "target: 0.99, timeSliceTarget: 1.5, timeSliceWindow: 0",
            expect![[r#"
                slos.yaml:24:48: SLO/tested: spec.objectives[0].timeSliceTarget: found `1.5`; expected a decimal above 0 and up to 1, with at most 9 places. 95 percent is 0.95.
                slos.yaml:24:70: SLO/tested: spec.objectives[0].timeSliceWindow: found `0`; expected a duration of whole panes (10s), up to 3660d. Such as `1m` or `5m`.
            "#]],
        ),
        (
            "Timeslices",
            "target: 0.99, timeSliceTarget: 95, timeSliceWindow: 7m",
            expect![[r#"
            slos.yaml:24:48: SLO/tested: spec.objectives[0].timeSliceTarget: found `95`; expected a decimal above 0 and up to 1, with at most 9 places. 95 percent is 0.95.
        "#]],
        ),
        (
            "RatioTimeslices",
            "target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 15s",
            expect![[r#"
                slos.yaml:24:48: SLO/tested: spec.objectives[0].timeSliceTarget: found `0.95`; expected no such key beside `budgetingMethod: RatioTimeslices`. Remove it: it would decide nothing.
                slos.yaml:24:71: SLO/tested: spec.objectives[0].timeSliceWindow: found `15s`; expected a duration of whole panes (10s), up to 3660d. Such as `1m` or `5m`.
            "#]],
        ),
        (
            "RatioTimeslices",
            "target: 0.99",
            expect![[r#"
            slos.yaml:24:16: SLO/tested: spec.objectives[0].timeSliceWindow: found no such key; expected a duration such as 5m. Add it: how long a slice is.
        "#]],
        ),
    ] {
        check(&[&format!("budgetingMethod: {method}"), &format!("objectives: [{{{objective}}}]")], expected);
    }
}

#[test]
fn slices_divide_what_they_are_slices_of() {
    let slices = "objectives: [{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 1h}]";
    let month = "timeWindow: [{duration: 1M, calendar: {startTime: 2026-01-01, timeZone: UTC}}]";
    check(
        &["budgetingMethod: Timeslices", slices, month],
        expect![[r#"
            slos.yaml:23:15: SLO/tested: spec.objectives[0].timeSliceWindow: found slices of 1h; expected a divisor of 15m, since the offsets of time zones are multiples of that. Such as `5m`.
        "#]],
    );
    check(
        &["budgetingMethod: Timeslices", slices, "timeWindow: [{duration: 90m, isRolling: true}]"],
        expect![[r#"
            slos.yaml:23:15: SLO/tested: spec.objectives[0].timeSliceWindow: found slices of 1h; expected a divisor of the time window. Such as `5m`.
        "#]],
    );
    check(
        &["budgetingMethod: Timeslices", slices, "indicatorRef: p99"],
        expect![[r#"
        slos.yaml:23:15: SLO/tested: spec.objectives[0]: found slices of 1h over an SLI that judges slices; expected `Occurrences`, by which each of them counts, or `Timeslices` with slices of 5m. Its slices are good or bad already.
    "#]],
    );
    let ratios = "objectives: [{target: 0.99, timeSliceWindow: 5m}]";
    check(
        &["budgetingMethod: RatioTimeslices", ratios, "indicatorRef: p99"],
        expect![[r#"
        slos.yaml:23:15: SLO/tested: spec.objectives[0]: found slices of 5m over an SLI that judges slices; expected `Occurrences`, by which each of them counts, or `Timeslices` with slices of 5m. Its slices are good or bad already.
    "#]],
    );
}
