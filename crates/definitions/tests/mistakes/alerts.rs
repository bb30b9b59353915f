//! Mistakes of alerts: policies, conditions, whom they name, and how objectives cite them.

use expect_test::{Expect, expect};

use crate::shown::shown;

fn document(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: openslo/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// A condition by its block, which begins at line 6 in column 14, and its annotations, at line 3 in column 39.
fn condition_document(condition: &str, annotations: &str) -> String {
    format!(
        "apiVersion: openslo/v1\nkind: AlertCondition\nmetadata: {{name: tested, annotations: {annotations}}}\n\
         spec:\n  severity: page\n  condition: {condition}\n"
    )
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&shown(&[("alerts.yaml", text)]));
}

#[track_caller]
fn check_valid(text: &str) {
    assert_eq!(shown(&[("alerts.yaml", text)]), "valid\n", "{text}");
}

#[test]
fn the_right_conditions_are_no_mistakes() {
    for (condition, annotations) in [
        ("{kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h, alertAfter: 5m}", "{}"),
        ("{op: gt, threshold: 0.5, lookbackWindow: 1w, alertAfter: 0m}", "{}"),
        ("{op: gt, threshold: 6, lookbackWindow: 6h}", "{streamgauge.io/short-window: 30m, other.io/x: [1]}"),
        ("{kind: remaining, op: lt, threshold: 0.1}", "{}"),
        ("{kind: remaining, op: lte, threshold: 0, alertAfter: 1m}", "{streamgauge.io/clears-at: 0.2}"),
        ("{kind: absence}", "{}"),
        ("{kind: absence, lookbackWindow: 1h, alertAfter: 10m}", "{}"),
    ] {
        check_valid(&condition_document(condition, annotations));
    }
}

#[test]
fn conditions_have_a_severity_of_a_known_vocabulary() {
    for (spec, expected) in [
        (
            "{condition: {kind: absence}}",
            expect![[r#"
            alerts.yaml:4:7: AlertCondition/tested: spec.severity: found no such key; expected a word such as `critical`, `P1`, `sev1` or `page`. Add `severity:`.
        "#]],
        ),
        (
            "{severity: urgent, condition: {kind: absence}}",
            expect![[r#"
            alerts.yaml:4:18: AlertCondition/tested: spec.severity: found `urgent`; expected one of `critical`, `major`, `warning`, `info`, `P1`, `P2`, `P3`, `P4`, `sev1`, `sev2`, `sev3`, `sev4`, `page`, `ticket`, `log`. docs/definitions.md says what each asks of people.
        "#]],
        ),
        (
            "{severity: P5, condition: {kind: absence}}",
            expect![[r#"
            alerts.yaml:4:18: AlertCondition/tested: spec.severity: found `P5`; expected one of `critical`, `major`, `warning`, `info`, `P1`, `P2`, `P3`, `P4`, `sev1`, `sev2`, `sev3`, `sev4`, `page`, `ticket`, `log`. docs/definitions.md says what each asks of people.
        "#]],
        ),
        (
            "{severity: page}",
            expect![[r#"
            alerts.yaml:4:7: AlertCondition/tested: spec.condition: found no such key; expected a block of keys. Add `condition:`.
        "#]],
        ),
        (
            "{severity: page, condition: burnrate}",
            expect![[r#"
            alerts.yaml:4:35: AlertCondition/tested: spec.condition: found `burnrate`; expected a block of keys. docs/definitions.md shows each document as a whole.
        "#]],
        ),
        (
            "{severity: page, condition: {kind: absence}, threshold: 2}",
            expect![[r#"
            alerts.yaml:4:52: AlertCondition/tested: spec: found the unknown key `threshold`; expected one of `description`, `severity`, `condition`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
        ),
    ] {
        check(&document("AlertCondition", "tested", spec), expected);
    }
}

#[test]
fn kinds_of_conditions_have_keys_of_their_own() {
    for (condition, expected) in [
        (
            "{kind: burn_rate}",
            expect![[r#"
            alerts.yaml:6:21: AlertCondition/tested: spec.condition.kind: found `burn_rate`; expected one of `burnrate`, `remaining`, `absence`. docs/definitions.md shows each of them.
        "#]],
        ),
        (
            "{kind: [burnrate]}",
            expect![[r#"
            alerts.yaml:6:21: AlertCondition/tested: spec.condition.kind: found a list; expected one of `burnrate`, `remaining`, `absence`. docs/definitions.md shows each of them.
        "#]],
        ),
        (
            "{}",
            expect![[r#"
            alerts.yaml:6:14: AlertCondition/tested: spec.condition.lookbackWindow: found no such key; expected a duration such as 1h. Add `lookbackWindow:`.
            alerts.yaml:6:14: AlertCondition/tested: spec.condition.op: found no such key; expected `gt`. Add `op:`.
            alerts.yaml:6:14: AlertCondition/tested: spec.condition.threshold: found no such key; expected a decimal such as 14.4. Add `threshold:`.
        "#]],
        ),
        (
            "{kind: burnrate, op: gte, threshold: 2, lookbackWindow: 1h}",
            expect![[r#"
            alerts.yaml:6:35: AlertCondition/tested: spec.condition.op: found `gte`; expected `gt`. It fires where the budget burns faster than that: write `gt`.
        "#]],
        ),
        (
            "{kind: burnrate, op: lte, threshold: 2x, lookbackWindow: 90, alertAfter: 5}",
            expect![[r#"
            alerts.yaml:6:35: AlertCondition/tested: spec.condition.op: found `lte`; expected `gt`. It fires where the budget burns faster than that: write `gt`.
            alerts.yaml:6:51: AlertCondition/tested: spec.condition.threshold: found `2x`; expected a decimal above 0 and up to 100000, with at most 4 places. 14.4 spends 2% of the budget of 30 days within an hour.
            alerts.yaml:6:71: AlertCondition/tested: spec.condition.lookbackWindow: found `90`; expected a duration of whole panes (10s), up to 3660d. Such as `1h`.
            alerts.yaml:6:87: AlertCondition/tested: spec.condition.alertAfter: found `5`; expected a duration, or 0m. Such as `5m`; a part of a pane counts as a whole one.
        "#]],
        ),
        (
            "{kind: burnrate, op: gt, threshold: 0, lookbackWindow: 15s}",
            expect![[r#"
            alerts.yaml:6:50: AlertCondition/tested: spec.condition.threshold: found `0`; expected a decimal above 0 and up to 100000, with at most 4 places. 14.4 spends 2% of the budget of 30 days within an hour.
            alerts.yaml:6:69: AlertCondition/tested: spec.condition.lookbackWindow: found `15s`; expected a duration of whole panes (10s), up to 3660d. Such as `1h`.
        "#]],
        ),
        (
            "{kind: burnrate, op: gt, threshold: 14.40001, lookbackWindow: 1h, alertafter: 5m}",
            expect![[r#"
            alerts.yaml:6:50: AlertCondition/tested: spec.condition.threshold: found `14.40001`; expected a decimal above 0 and up to 100000, with at most 4 places. 14.4 spends 2% of the budget of 30 days within an hour.
            alerts.yaml:6:80: AlertCondition/tested: spec.condition: found the unknown key `alertafter`; expected one of `kind`, `op`, `threshold`, `lookbackWindow`, `alertAfter`. Did you mean `alertAfter`?
        "#]],
        ),
        (
            "{kind: burnrate, op: gt, threshold: 100001, lookbackWindow: 1M}",
            expect![[r#"
            alerts.yaml:6:50: AlertCondition/tested: spec.condition.threshold: found `100001`; expected a decimal above 0 and up to 100000, with at most 4 places. 14.4 spends 2% of the budget of 30 days within an hour.
            alerts.yaml:6:74: AlertCondition/tested: spec.condition.lookbackWindow: found `1M`; expected a duration of whole panes (10s), up to 3660d. Such as `1h`.
        "#]],
        ),
        (
            "{kind: remaining}",
            expect![[r#"
            alerts.yaml:6:14: AlertCondition/tested: spec.condition.op: found no such key; expected `lt`. Add `op:`.
            alerts.yaml:6:14: AlertCondition/tested: spec.condition.threshold: found no such key; expected a share such as 0.1. Add `threshold:`.
        "#]],
        ),
        (
            "{kind: remaining, op: lte, threshold: 0.1}",
            expect![[r#"
            alerts.yaml:6:36: AlertCondition/tested: spec.condition.op: found `lte`; expected `lt`. It fires where less than that remains: write `lt`.
        "#]],
        ),
        (
            "{kind: remaining, op: lt, threshold: 0}",
            expect![[r#"
            alerts.yaml:6:36: AlertCondition/tested: spec.condition.op: found `lt`; expected `lte`. Nothing remains where the rest is 0 or overdrawn: write `lte`.
        "#]],
        ),
        (
            "{kind: remaining, op: lt, threshold: 10%, lookbackWindow: 1h}",
            expect![[r#"
            alerts.yaml:6:51: AlertCondition/tested: spec.condition.threshold: found `10%`; expected a share of the budget from 0 to below 1, with at most 9 places. A tenth is 0.1.
            alerts.yaml:6:56: AlertCondition/tested: spec.condition: found the unknown key `lookbackWindow`; expected one of `kind`, `op`, `threshold`, `alertAfter`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
        ),
        (
            "{kind: remaining, op: lt, threshold: 1}",
            expect![[r#"
            alerts.yaml:6:51: AlertCondition/tested: spec.condition.threshold: found `1`; expected a share of the budget from 0 to below 1, with at most 9 places. A tenth is 0.1.
        "#]],
        ),
        (
            "{kind: absence, op: gt, threshold: 0}",
            expect![[r#"
            alerts.yaml:6:30: AlertCondition/tested: spec.condition: found the unknown key `op`; expected one of `kind`, `lookbackWindow`, `alertAfter`. Remove it: what can't be honoured is refused, never ignored.
            alerts.yaml:6:38: AlertCondition/tested: spec.condition: found the unknown key `threshold`; expected one of `kind`, `lookbackWindow`, `alertAfter`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
        ),
        (
            "{kind: absence, lookbackWindow: 1h, alertAfter: 1h}",
            expect![[r#"
            alerts.yaml:6:14: AlertCondition/tested: spec.condition.alertAfter: found a silence of 1h; expected less than the time in which there was traffic, 1h. Shorten `alertAfter`, or lengthen `lookbackWindow`.
        "#]],
        ),
        (
            "{kind: absence, lookbackWindow: 0m, alertAfter: 5s}",
            expect![[r#"
            alerts.yaml:6:46: AlertCondition/tested: spec.condition.lookbackWindow: found `0m`; expected a duration of whole panes (10s), up to 3660d. Such as `1m`; without it a minute, within a day.
            alerts.yaml:6:62: AlertCondition/tested: spec.condition.alertAfter: found `5s`; expected a duration of whole panes (10s), up to 3660d. Such as `1m`; without it a minute, within a day.
        "#]],
        ),
    ] {
        check(&condition_document(condition, "{}"), expected);
    }
}

#[test]
fn annotations_of_ours_are_known_and_decide_something() {
    let burn = "{op: gt, threshold: 6, lookbackWindow: 6h}";
    let remaining = "{kind: remaining, op: lt, threshold: 0.1}";
    for (condition, annotations, expected) in [
        (
            burn,
            "{streamgauge.io/short-windw: 30m}",
            expect![[r#"
                alerts.yaml:3:40: metadata.annotations: found the unknown annotation `streamgauge.io/short-windw`; expected of those that begin with streamgauge.io/ one of `streamgauge.io/short-window`, `streamgauge.io/clears-at`. Did you mean `streamgauge.io/short-window`?
            "#]],
        ),
        (
            burn,
            "{streamgauge.io/short-window: half an hour}",
            expect![[r#"
            alerts.yaml:3:69: AlertCondition/tested: metadata.annotations.streamgauge.io/short-window: found `half an hour`; expected a duration of whole panes (10s), up to 3660d. Such as `5m`.
        "#]],
        ),
        (
            burn,
            "{streamgauge.io/short-window: 7h}",
            expect![[r#"
            alerts.yaml:3:69: AlertCondition/tested: metadata.annotations.streamgauge.io/short-window: found `7h`; expected at most the long window, 6h. The short one tells that the budget still burns.
        "#]],
        ),
        (
            burn,
            "{streamgauge.io/clears-at: 0.2}",
            expect![[r#"
            alerts.yaml:3:66: AlertCondition/tested: metadata.annotations.streamgauge.io/clears-at: found `0.2`; expected no such annotation beside `kind: burnrate`. Remove it: it would decide nothing.
        "#]],
        ),
        (
            burn,
            "short",
            expect![[r#"
            alerts.yaml:3:39: metadata.annotations: found `short`; expected a block of keys. docs/definitions.md shows each document as a whole.
        "#]],
        ),
        (
            remaining,
            "{streamgauge.io/clears-at: 0.1}",
            expect![[r#"
            alerts.yaml:3:66: AlertCondition/tested: metadata.annotations.streamgauge.io/clears-at: found `0.1`; expected more than the threshold, 0.1. Else the alarm would come and go with every event.
        "#]],
        ),
        (
            remaining,
            "{streamgauge.io/clears-at: 1.5}",
            expect![[r#"
            alerts.yaml:3:66: AlertCondition/tested: metadata.annotations.streamgauge.io/clears-at: found `1.5`; expected a share of the budget from 0 to below 1, with at most 9 places. A tenth is 0.1.
        "#]],
        ),
        (
            remaining,
            "{streamgauge.io/short-window: 5m}",
            expect![[r#"
            alerts.yaml:3:69: AlertCondition/tested: metadata.annotations.streamgauge.io/short-window: found `5m`; expected no such annotation beside `kind: remaining`. Remove it: it would decide nothing.
        "#]],
        ),
        (
            "{kind: absence}",
            "{streamgauge.io/short-window: 5m, streamgauge.io/clears-at: 0.1}",
            expect![[r#"
            alerts.yaml:3:69: AlertCondition/tested: metadata.annotations.streamgauge.io/short-window: found `5m`; expected no such annotation beside `kind: absence`. Remove it: it would decide nothing.
            alerts.yaml:3:99: AlertCondition/tested: metadata.annotations.streamgauge.io/clears-at: found `0.1`; expected no such annotation beside `kind: absence`. Remove it: it would decide nothing.
        "#]],
        ),
    ] {
        check(&condition_document(condition, annotations), expected);
    }
    check(
        "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: a, annotations: {streamgauge.io/pager: b}}\nspec: {}\n",
        expect![[r#"
            alerts.yaml:3:35: metadata.annotations: found the unknown annotation `streamgauge.io/pager`; expected no annotation that begins with streamgauge.io/ in a document of this kind. Remove it: what can't be honoured is refused, never ignored.
        "#]],
    );
}

#[test]
fn policies_tell_what_happens_and_whom() {
    let condition = document("AlertCondition", "fast", "{severity: page, condition: {kind: absence}}");
    let target = document("AlertNotificationTarget", "pager", "{target: pagerduty}");
    let with = |spec: &str| format!("{condition}---\n{target}---\n{}", document("AlertPolicy", "tested", spec));
    for spec in [
        "{conditions: [{conditionRef: fast}], notificationTargets: [{targetRef: pager}]}",
        "{conditions: [fast], notificationTargets: [pager, pager]}",
        "{alertWhenBreaching: true, alertWhenResolved: true, alertWhenNoData: false, conditions: [fast], \
            notificationTargets: []}",
    ] {
        check_valid(&with(spec));
    }
    for (spec, expected) in [
        (
            "{}",
            expect![[r#"
            alerts.yaml:14:7: AlertPolicy/tested: spec.conditions: found no such key; expected a list with one condition. Add `conditions:`.
            alerts.yaml:14:7: AlertPolicy/tested: spec.notificationTargets: found no such key; expected a list of targets, perhaps empty. Add `notificationTargets:`.
        "#]],
        ),
        (
            "{conditions: [], notificationTargets: pager}",
            expect![[r#"
            alerts.yaml:14:20: AlertPolicy/tested: spec.conditions: found a list of 0; expected a list of one. Write a policy of its own for each.
            alerts.yaml:14:45: AlertPolicy/tested: spec.notificationTargets: found `pager`; expected a list of targets, perhaps empty. Write `- ` before its first key.
        "#]],
        ),
        (
            "{conditions: [fast, fast], notificationTargets: []}",
            expect![[r#"
            alerts.yaml:14:20: AlertPolicy/tested: spec.conditions: found a list of 2; expected a list of one. Write a policy of its own for each.
        "#]],
        ),
        (
            "{conditions: [{conditionRef: fats}], notificationTargets: [{targetRef: chat}]}",
            expect![[r#"
            alerts.yaml:14:36: AlertPolicy/tested: spec.conditions[0].conditionRef: found `fats`; expected the name of a document of kind AlertCondition: `fast`. Did you mean `fast`?
            alerts.yaml:14:78: AlertPolicy/tested: spec.notificationTargets[0].targetRef: found `chat`; expected the name of a document of kind AlertNotificationTarget: `pager`. Add a document with `kind: AlertNotificationTarget` and metadata.name chat.
        "#]],
        ),
        (
            "{conditions: [{condition: fast}], notificationTargets: [{targetRef: pager, name: x}]}",
            expect![[r#"
                alerts.yaml:14:22: AlertPolicy/tested: spec.conditions[0]: found the unknown key `condition`; expected one of `conditionRef`, `kind`, `metadata`, `spec`. Did you mean `conditionRef`?
                alerts.yaml:14:82: AlertPolicy/tested: spec.notificationTargets[0]: found the unknown key `name`; expected one of `targetRef`. Remove it: what can't be honoured is refused, never ignored.
            "#]],
        ),
        (
            "{conditions: [[fast]], notificationTargets: [~]}",
            expect![[r#"
            alerts.yaml:14:21: AlertPolicy/tested: spec.conditions[0]: found a list; expected a block of keys. docs/definitions.md shows each document as a whole.
            alerts.yaml:14:52: AlertPolicy/tested: spec.notificationTargets[0]: found nothing; expected the name of a document of kind AlertNotificationTarget. Write one text there.
        "#]],
        ),
        (
            "{alertWhenBreaching: false, alertWhenResolved: false, alertWhenNoData: true, conditions: [fast], notificationTargets: []}",
            expect![[r#"
                alerts.yaml:14:28: AlertPolicy/tested: spec.alertWhenBreaching: found `false`; expected `true`, or no such key. A policy is there to tell that its condition holds: take it out where nobody is to know.
                alerts.yaml:14:54: AlertPolicy/tested: spec.alertWhenResolved: found `false`; expected `true`, or no such key. Every alarm tells when it ends; who delivers alerts may leave that out.
                alerts.yaml:14:78: AlertPolicy/tested: spec.alertWhenNoData: found `true`; expected `false`, or no such key. Silence is a condition of its own: add a policy with `kind: absence`.
            "#]],
        ),
        (
            "{alertWhenResolved: maybe, conditions: [fast], notificationTargets: [], severity: page}",
            expect![[r#"
            alerts.yaml:14:27: AlertPolicy/tested: spec.alertWhenResolved: found `maybe`; expected `true` or `false`. Every alarm tells when it ends; who delivers alerts may leave that out.
            alerts.yaml:14:79: AlertPolicy/tested: spec: found the unknown key `severity`; expected one of `description`, `conditions`, `notificationTargets`, `alertWhenBreaching`, `alertWhenResolved`, `alertWhenNoData`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
        ),
    ] {
        check(&with(spec), expected);
    }
}

#[test]
fn documents_may_stand_inside_of_what_cites_them() {
    let inline = |condition: &str, target: &str| {
        document(
            "AlertPolicy",
            "tested",
            &format!("\n  conditions:\n  - {condition}\n  notificationTargets:\n  - {target}"),
        )
    };
    let condition = "{kind: AlertCondition, metadata: {name: fast}, spec: {severity: P1, condition: {kind: absence}}}";
    let target = "{kind: AlertNotificationTarget, metadata: {name: pager}, spec: {target: email}}";
    check_valid(&inline(condition, target));
    check_valid(&inline(&condition.replacen("{kind", "{apiVersion: openslo/v1, kind", 1), target));
    check(
        &inline(&condition.replace("P1", "P0"), &target.replace("target:", "targt:")),
        expect![[r#"
        alerts.yaml:6:69: AlertPolicy/tested: spec.conditions[0].spec.severity: found `P0`; expected one of `critical`, `major`, `warning`, `info`, `P1`, `P2`, `P3`, `P4`, `sev1`, `sev2`, `sev3`, `sev4`, `page`, `ticket`, `log`. docs/definitions.md says what each asks of people.
        alerts.yaml:8:68: AlertPolicy/tested: spec.notificationTargets[0].spec.target: found no such key; expected the kind of target, such as `email` or `slack`. Add `target:`.
        alerts.yaml:8:69: AlertPolicy/tested: spec.notificationTargets[0].spec: found the unknown key `targt`; expected one of `target`, `description`. Did you mean `target`?
    "#]],
    );
    check(
        &inline(&target.replace("kind", "apiVersion: v1, kind"), "{metadata: {nam: pager}, spec: {}}"),
        expect![[r#"
            alerts.yaml:6:18: AlertPolicy/tested: spec.conditions[0].apiVersion: found `v1`; expected `openslo/v1`. Other versions of OpenSLO are not supported.
            alerts.yaml:6:28: AlertPolicy/tested: spec.conditions[0].kind: found `AlertNotificationTarget`; expected `AlertCondition`. Documents of other kinds have no place here.
            alerts.yaml:8:5: AlertPolicy/tested: spec.notificationTargets[0].kind: found no such key; expected `AlertNotificationTarget`. Add `kind:`.
            alerts.yaml:8:16: AlertPolicy/tested: spec.notificationTargets[0].metadata.name: found no such key; expected a name. Add `name:`.
            alerts.yaml:8:17: AlertPolicy/tested: spec.notificationTargets[0].metadata: found the unknown key `nam`; expected one of `name`, `displayName`, `labels`, `annotations`. Did you mean `name`?
        "#]],
    );
    check(
        &format!(
            "{}---\n{}",
            document("AlertNotificationTarget", "pager", "{target: slack}"),
            inline(condition, target)
        ),
        expect![[r#"
            alerts.yaml:13:5: AlertPolicy/tested: spec.notificationTargets[0]: found another target that is called `pager`; expected a name of its own. Rename it, or cite the other by `targetRef`.
        "#]],
    );
}

#[test]
fn secrets_are_refused_and_never_shown() {
    for spec in [
        "{target: email, description: 'To the people on call, see https://wiki.example.org/on-call?page=2'}",
        "{target: web-hook}",
    ] {
        check_valid(&document("AlertNotificationTarget", "tested", spec));
    }
    for (spec, expected) in [
        (
            "{}",
            expect![[r#"
            alerts.yaml:4:7: AlertNotificationTarget/tested: spec.target: found no such key; expected the kind of target, such as `email` or `slack`. Add `target:`.
        "#]],
        ),
        (
            "{target: ''}",
            expect![[r#"
            alerts.yaml:4:16: AlertNotificationTarget/tested: spec.target: found a text that is no word; expected the kind of target, such as `email` or `slack`. Documents lie where many can read them: keep addresses and secrets with who delivers alerts.
        "#]],
        ),
        (
            "{target: 'https://hooks.slack.com/services/T0/B0/XXXX'}",
            expect![[r#"
            alerts.yaml:4:16: AlertNotificationTarget/tested: spec.target: found an address (not shown here); expected the kind of target, such as `email` or `slack`. Documents lie where many can read them: keep addresses and secrets with who delivers alerts.
        "#]],
        ),
        (
            "{target: slack, description: 'posts to https://robot:hunter2@chat.example.org'}",
            expect![[r#"
            alerts.yaml:4:36: AlertNotificationTarget/tested: spec.description: found an address with a secret (not shown here); expected a text for everybody. Documents lie where many can read them: keep addresses and secrets with who delivers alerts.
        "#]],
        ),
        (
            "{target: slack, description: 'https://chat.example.org/post?token=hunter2'}",
            expect![[r#"
            alerts.yaml:4:36: AlertNotificationTarget/tested: spec.description: found an address with a secret (not shown here); expected a text for everybody. Documents lie where many can read them: keep addresses and secrets with who delivers alerts.
        "#]],
        ),
        (
            "{target: slack, description: '(https://hooks.slack.com/services/T0/B0/XXXX)'}",
            expect![[r#"
            alerts.yaml:4:36: AlertNotificationTarget/tested: spec.description: found an address with a secret (not shown here); expected a text for everybody. Documents lie where many can read them: keep addresses and secrets with who delivers alerts.
        "#]],
        ),
        (
            "{target: slack, url: 'https://example.org'}",
            expect![[r#"
            alerts.yaml:4:23: AlertNotificationTarget/tested: spec: found the unknown key `url`; expected one of `target`, `description`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
        ),
    ] {
        let found = document("AlertNotificationTarget", "tested", spec);
        check(&found, expected);
    }
}

/// A right SLO that cites policies; they begin at line 25 in column 18.
fn slo_document(policies: &str, indicator: &str) -> String {
    let sli = |name: &str, spec: &str| document("SLI", name, spec);
    let text = [
        document("Service", "checkout", "{}"),
        sli(
            "answered",
            "{ratioMetric: {counter: true, rawType: success, raw: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, good: ok}}}}}",
        ),
        sli(
            "p99",
            "{thresholdMetric: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, slice: 5m, percentile: {quantile: 0.99, atMostUs: 500000}}}}}",
        ),
        document(
            "SLO",
            "tested",
            &format!(
                "\n  service: checkout\n  indicatorRef: {indicator}\n  timeWindow: [{{duration: 7d, isRolling: true}}]\n  \
            budgetingMethod: Occurrences\n  objectives: [{{target: 0.999}}]\n  alertPolicies: {policies}"
            ),
        ),
        policy("fast", "{op: gt, threshold: 14.4, lookbackWindow: 1h}"),
        policy("slow", "{op: gt, threshold: 1, lookbackWindow: 30d}"),
        policy("silent", "{kind: absence}"),
        policy("broken", "{kind: absense}"),
    ];
    let some = if policies.contains("broken") { text.len() } else { text.len() - 1 };
    text[..some].join(
        "---
",
    )
}

fn policy(name: &str, condition: &str) -> String {
    let spec = format!(
        "{{conditions: [{{kind: AlertCondition, metadata: {{name: {name}}}, spec: {{severity: page, condition: {condition}}}}}], notificationTargets: []}}"
    );
    document("AlertPolicy", name, &spec)
}

#[test]
fn objectives_cite_policies_that_they_can_honour() {
    let inline = "[{kind: AlertPolicy, metadata: {name: fast}, spec: {conditions: [{kind: AlertCondition, metadata: {name: c}, \
        spec: {severity: page, condition: {kind: absence}}}], notificationTargets: []}}]";
    for policies in ["[]", "~", "[fast, {alertPolicyRef: silent}]", inline] {
        check_valid(&slo_document(policies, "answered"));
    }
    for (policies, indicator, expected) in [
        (
            "fast",
            "answered",
            expect![[r#"
            alerts.yaml:25:18: SLO/tested: spec.alertPolicies: found `fast`; expected a list of policies, perhaps empty. Write `- ` before its first key.
        "#]],
        ),
        (
            "[fasst, nowhere]",
            "answered",
            expect![[r#"
            alerts.yaml:25:19: SLO/tested: spec.alertPolicies[0]: found `fasst`; expected the name of a document of kind AlertPolicy: `fast`, `silent`, `slow`. Did you mean `fast`?
            alerts.yaml:25:26: SLO/tested: spec.alertPolicies[1]: found `nowhere`; expected the name of a document of kind AlertPolicy: `fast`, `silent`, `slow`. Add a document with `kind: AlertPolicy` and metadata.name nowhere.
        "#]],
        ),
        (
            "[fast, {alertPolicyRef: fast}]",
            "answered",
            expect![[r#"
            alerts.yaml:25:25: SLO/tested: spec.alertPolicies[1]: found the policy `fast` again; expected each policy once. Remove one, or give it another name.
        "#]],
        ),
        (
            "[{alertPolicy: fast}]",
            "answered",
            expect![[r#"
                alerts.yaml:25:20: SLO/tested: spec.alertPolicies[0]: found the unknown key `alertPolicy`; expected one of `alertPolicyRef`, `kind`, `metadata`, `spec`. Did you mean `alertPolicyRef`?
            "#]],
        ),
        (
            "[slow]",
            "answered",
            expect![[r#"
            alerts.yaml:25:19: SLO/tested: spec.alertPolicies[0]: found `slow` over 30d; expected at most the time window of the objective, 7d. Cite another policy, or lengthen the time window.
        "#]],
        ),
        (
            "[silent]",
            "p99",
            expect![[r#"
            alerts.yaml:25:19: SLO/tested: spec.alertPolicies[0]: found `silent` after a silence of 1m; expected at least 10m, since a slice of 5m is counted when it ends. Lengthen `alertAfter`, or watch an SLI that judges events.
        "#]],
        ),
        (
            "[broken]",
            "answered",
            expect![[r#"
            alerts.yaml:45:111: AlertPolicy/broken: spec.conditions[0].spec.condition.kind: found `absense`; expected one of `burnrate`, `remaining`, `absence`. docs/definitions.md shows each of them.
        "#]],
        ),
        (
            &inline.replace("kind: absence", "kind: absense"),
            "answered",
            expect![[r#"
            alerts.yaml:25:168: SLO/tested: spec.alertPolicies[0].spec.conditions[0].spec.condition.kind: found `absense`; expected one of `burnrate`, `remaining`, `absence`. docs/definitions.md shows each of them.
        "#]],
        ),
    ] {
        check(&slo_document(policies, indicator), expected);
    }
}
