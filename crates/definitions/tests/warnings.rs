//! What is allowed and probably not meant, as the author reads it.

use expect_test::{Expect, expect};
use streamgauge_definitions::Definitions;

const SLIS: &str = "
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout, labels: {owner: shop, tier: [one, two]}}
spec: {}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: answered}
spec: {ratioMetric: {counter: true, rawType: success, raw: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, good: ok}}}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: p99-by-hour}
spec: {thresholdMetric: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, slice: 1h, percentile: {quantile: 0.99, atMostUs: 500000}}}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: cpu}
spec: {thresholdMetric: {metricSource: {type: streamgauge, spec: {topic: resources, service: checkout, slice: 5m, saturation: {atMost: 0.8}}}}}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: slow}
spec: {notificationTargets: [], conditions: [{kind: AlertCondition, metadata: {name: slow}, spec: {severity: ticket, condition: {op: gt, threshold: 0.5, lookbackWindow: 1d}}}]}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: never}
spec: {notificationTargets: [], conditions: [{kind: AlertCondition, metadata: {name: never}, spec: {severity: page, condition: {op: gt, threshold: 14.4, lookbackWindow: 12h}}}]}
";

fn warnings(text: &str) -> String {
    let no_files = |_: &str, _: &str| Err("no files".to_owned());
    let checked = Definitions::check([("slos.yaml", text)], &no_files);
    checked.definitions.unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    checked.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

/// An SLO of the service `checkout`, from line 30 on.
#[track_caller]
fn check(indicator: &str, duration: &str, budget: &str, policies: &str, expected: Expect) {
    let slo = format!(
        "---
apiVersion: openslo/v1
kind: SLO
metadata: {{name: tested}}
spec:
  service: checkout
  indicatorRef: {indicator}
  timeWindow: [{{duration: {duration}, isRolling: true}}]
  {budget}
  {policies}
"
    );
    expected.assert_eq(&warnings(&format!("{}{slo}", SLIS.trim_start())));
}

fn occurrences(target: &str) -> String {
    format!("budgetingMethod: Occurrences\n  objectives: [{{target: {target}}}]")
}

#[test]
fn what_is_meant_is_not_warned_of() {
    check("answered", "30d", &occurrences("0.999"), "", expect![""]);
    check("answered", "30d", &occurrences("0.9306"), "", expect![""]);
    check("cpu", "30d", &occurrences("0.99"), "alertPolicies: []", expect![""]);
    let slices =
        "budgetingMethod: Timeslices\n  objectives: [{target: 0.9999, timeSliceTarget: 0.95, timeSliceWindow: 1m}]";
    check("answered", "30d", slices, "", expect![""]);
}

#[test]
fn tiers_that_can_never_fire_or_fire_too_soon() {
    check(
        "answered",
        "30d",
        &occurrences("0.83"),
        "",
        expect![[r#"
            slos.yaml:39:15: SLO/tested: spec.objectives[0]: found `burn-1h-5m` at 14.4 times the budget: 14.4 x (1 - 0.83) = 2.448; expected a product below 1: where everything fails, the budget burns 5.88 times as fast as it may. It can never fire. Cite a policy with a threshold below 5.88, or promise more.
            slos.yaml:39:15: SLO/tested: spec.objectives[0]: found `burn-6h-30m` at 6 times the budget: 6 x (1 - 0.83) = 1.02; expected a product below 1: where everything fails, the budget burns 5.88 times as fast as it may. It can never fire. Cite a policy with a threshold below 5.88, or promise more.
        "#]],
    );
    check(
        "answered",
        "30d",
        &occurrences("0.9"),
        "alertPolicies: [slow, never]",
        expect![[r#"
            slos.yaml:40:19: SLO/tested: spec.alertPolicies[0]: found `slow` at 0.5 times the budget; expected a threshold of 1 or more. It fires while the promise is kept. Raise its threshold.
            slos.yaml:40:25: SLO/tested: spec.alertPolicies[1]: found `never` at 14.4 times the budget: 14.4 x (1 - 0.9) = 1.44; expected a product below 1: where everything fails, the budget burns 10 times as fast as it may. It can never fire. Cite a policy with a threshold below 10, or promise more.
        "#]],
    );
}

#[test]
fn slices_that_an_objective_can_not_resolve() {
    check("p99-by-hour", "7d", &occurrences("0.99"), "alertPolicies: [never]", expect![""]);
    check(
        "p99-by-hour",
        "7d",
        &occurrences("0.999"),
        "alertPolicies: []",
        expect![[r#"
        slos.yaml:39:15: SLO/tested: spec.objectives[0]: found 99.9% of 168 slices of 1h over 7d; expected at least 1000 slices, as many as let one of them be bad. The first bad slice breaks the promise. Shorten the slices, lengthen the time window, or promise less.
    "#]],
    );
    let slices = "budgetingMethod: Timeslices\n  objectives: [{targetPercent: 99.99, timeSliceTarget: 0.95, timeSliceWindow: 5m}]";
    check(
        "answered",
        "30d",
        slices,
        "alertPolicies: []",
        expect![[r#"
        slos.yaml:39:15: SLO/tested: spec.objectives[0]: found 99.99% of 8640 slices of 5m over 30d; expected at least 10000 slices, as many as let one of them be bad. The first bad slice breaks the promise. Shorten the slices, lengthen the time window, or promise less.
    "#]],
    );
    let two_hours = "alertPolicies: [{kind: AlertPolicy, metadata: {name: short}, spec: {notificationTargets: [], conditions: \
        [{kind: AlertCondition, metadata: {name: c, annotations: {streamgauge.io/short-window: 1h}}, spec: {severity: page, \
        condition: {op: gt, threshold: 14.4, lookbackWindow: 2h}}}]}}]";
    check(
        "p99-by-hour",
        "7d",
        &occurrences("0.99"),
        two_hours,
        expect![[r#"
        slos.yaml:40:19: SLO/tested: spec.alertPolicies[0]: found `short` with 2 slices of 1h in its long window of 2h; expected so many slices that chance, at that burn rate, makes all of them bad less than once in a hundred, and at least 3. It can never fire. Shorten the slices, or cite policies with longer windows.
    "#]],
    );
    let waiting = two_hours.replace("lookbackWindow: 2h", "lookbackWindow: 3h, alertAfter: 5m");
    check(
        "p99-by-hour",
        "7d",
        &occurrences("0.99"),
        &waiting,
        expect![[r#"
            slos.yaml:40:19: SLO/tested: spec.alertPolicies[0]: found `short` with a short window of 1h over slices of 1h, most of the time empty; expected a short window of at least 2h beside `alertAfter`. It takes longer than `alertAfter` says, since it waits while that window is empty.
        "#]],
    );
    let ratios = "budgetingMethod: RatioTimeslices\n  objectives: [{target: 0.9999, timeSliceWindow: 1h}]";
    check("answered", "30d", ratios, "alertPolicies: []", expect![""]);
    check(
        "answered",
        "30d",
        ratios,
        "",
        expect![[r#"
        slos.yaml:39:15: SLO/tested: spec.objectives[0]: found `burn-1h-5m` with a short window of 5m over slices of 1h; expected a short window of at least 1h. It can never fire, since no slice lies in that window. Shorten the slices, or cite policies with longer windows.
        slos.yaml:39:15: SLO/tested: spec.objectives[0]: found `burn-6h-30m` with a short window of 30m over slices of 1h; expected a short window of at least 1h. It can never fire, since no slice lies in that window. Shorten the slices, or cite policies with longer windows.
    "#]],
    );
}

#[test]
fn pages_about_a_cause() {
    check(
        "cpu",
        "30d",
        &occurrences("0.99"),
        "",
        expect![[r#"
        slos.yaml:36:17: SLO/tested: spec.indicatorRef: found `cpu`, which measures a resource, with alarms that are critical: `burn-1h-5m`, `burn-6h-30m`, `budget-exhausted`; expected pages about what users notice. Page by an SLI of requests, and cite policies of a lower severity here, or none: `alertPolicies: []`.
    "#]],
    );
    check(
        "cpu",
        "30d",
        &occurrences("0.99"),
        "alertPolicies: [never]",
        expect![[r#"
        slos.yaml:36:17: SLO/tested: spec.indicatorRef: found `cpu`, which measures a resource, with alarms that are critical: `never`; expected pages about what users notice. Page by an SLI of requests, and cite policies of a lower severity here, or none: `alertPolicies: []`.
    "#]],
    );
}

#[test]
fn services_without_an_owner() {
    expect![[r#"
        slos.yaml:3:11: Service/search: metadata.labels.owner: found no owner; expected who is asked when it fails. Add `labels: { owner: NAME }`.
    "#]].assert_eq(&warnings("apiVersion: openslo/v1\nkind: Service\nmetadata: {name: search}\nspec: {}\n"));
    let owned = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: search, labels: {owner: finders}}\nspec: {}\n";
    assert_eq!(warnings(owned), "");
    let definitions = Definitions::of_text("a.yaml", owned).expect("valid");
    assert_eq!(definitions.services["search"].owner.as_deref(), Some("finders"));
}

/// Warnings are told beside mistakes, of those documents that are whole.
#[test]
fn warnings_come_beside_mistakes() {
    let text =
        format!("{}---\napiVersion: openslo/v1\nkind: Service\nmetadata: {{name: b}}\nspec: []\n", SLIS.trim_start());
    let checked = Definitions::check([("slos.yaml", text.as_str())], &|_, _| Err("no files".to_owned()));
    let shown = |found: &[streamgauge_definitions::Mistake]| {
        found.iter().map(|found| format!("{}: {}\n", found.line, found.path)).collect::<String>()
    };
    assert_eq!(shown(&checked.definitions.expect_err("a mistake")), "34: Service/b: spec\n");
    assert_eq!(shown(&checked.warnings), "33: Service/b: metadata.labels.owner\n");
}
