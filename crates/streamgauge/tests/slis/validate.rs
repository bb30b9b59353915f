//! `streamgauge validate`.

use expect_test::expect;

use crate::program::{Files, documents};

#[test]
fn what_is_valid_is_summed_up() {
    let slis = documents(
        "checkout",
        &[
            ("fast", "topic: requests, latencyThresholdUs: 300000"),
            ("busy", "topic: requests, slice: 5m, traffic: {atLeastPerSec: 1}"),
        ],
    );
    let files = Files::new(&[("slis/checkout.yaml", &slis), ("slis/readme.md", "not ours"), ("empty/readme.md", "")]);
    files.check(
        "validate slis",
        expect![[r#"
            0
              busy  traffic of checkout in requests
              fast  latency threshold of checkout in requests
            valid: 1 service, 0 data sources, 2 SLIs, 0 SLOs
        "#]],
    );
    files.check(
        "validate slis/checkout.yaml --json",
        expect![[r#"
            0
            {"data_sources":0,"notification_targets":0,"services":1,"slis":2,"slos":0,"valid":true,"warnings":0}
        "#]],
    );
    files.check(
        "validate slis --quiet",
        expect![[r#"
        0
    "#]],
    );
}

#[test]
fn every_mistake_of_every_file_at_once() {
    let one = documents("checkout", &[("fast", "topic: requests, latencyThresholdUs: 300ms, filtr: 'status < 500'")]);
    let two = one.replace("name: fast", "name: good").replace("latencyThresholdUs: 300ms, filtr", "good");
    let files = Files::new(&[("slis/a.yaml", &one), ("slis/more/b.yml", &two), ("slis/c.yaml", "kind: [Service\n")]);
    files.check("validate slis", expect![[r#"
        2
        slis/a.yaml:9:158  SLI/fast: spec.ratioMetric.raw.metricSource.spec.latencyThresholdUs
          found     `300ms`
          expected  a whole number of microseconds from 1 to 35184372088832
          remedy    300ms are 300000.

        slis/a.yaml:9:165  SLI/fast: spec.ratioMetric.raw.metricSource.spec
          found     the unknown key `filtr`
          expected  one of `topic`, `service`, `filter`, `groupBy`, `good`, `latencyThresholdUs`, `failures`, `thresholdsUs`, `goodCount`, `totalCount`
          remedy    Did you mean `filter`?

        slis/c.yaml:1:7  the document
          found     a mistake of syntax (unclosed bracket '[')
          expected  valid YAML
          remedy    Look at the indentation and the quotes there and just above.

        slis/more/b.yml:1:1  Service/checkout: metadata.name
          found     `Service/checkout` again
          expected  a name of its own
          remedy    Rename or remove one.

        4 mistakes in 3 files; nothing of them would be used
    "#]]);
    files.check("validate slis --json", expect![[r#"
        2
        {"mistake":{"column":158,"expected":"a whole number of microseconds from 1 to 35184372088832","file":"slis/a.yaml","found":"`300ms`","line":9,"path":"SLI/fast: spec.ratioMetric.raw.metricSource.spec.latencyThresholdUs","remedy":"300ms are 300000."}}
        {"mistake":{"column":165,"expected":"one of `topic`, `service`, `filter`, `groupBy`, `good`, `latencyThresholdUs`, `failures`, `thresholdsUs`, `goodCount`, `totalCount`","file":"slis/a.yaml","found":"the unknown key `filtr`","line":9,"path":"SLI/fast: spec.ratioMetric.raw.metricSource.spec","remedy":"Did you mean `filter`?"}}
        {"mistake":{"column":7,"expected":"valid YAML","file":"slis/c.yaml","found":"a mistake of syntax (unclosed bracket '[')","line":1,"path":"the document","remedy":"Look at the indentation and the quotes there and just above."}}
        {"mistake":{"column":1,"expected":"a name of its own","file":"slis/more/b.yml","found":"`Service/checkout` again","line":1,"path":"Service/checkout: metadata.name","remedy":"Rename or remove one."}}
        {"mistakes":4,"valid":false,"warnings":0}
    "#]]);
    files.check("validate slis --quiet", expect![[r#"
        2
        slis/a.yaml:9:158  SLI/fast: spec.ratioMetric.raw.metricSource.spec.latencyThresholdUs
          found     `300ms`
          expected  a whole number of microseconds from 1 to 35184372088832
          remedy    300ms are 300000.

        slis/a.yaml:9:165  SLI/fast: spec.ratioMetric.raw.metricSource.spec
          found     the unknown key `filtr`
          expected  one of `topic`, `service`, `filter`, `groupBy`, `good`, `latencyThresholdUs`, `failures`, `thresholdsUs`, `goodCount`, `totalCount`
          remedy    Did you mean `filter`?

        slis/c.yaml:1:7  the document
          found     a mistake of syntax (unclosed bracket '[')
          expected  valid YAML
          remedy    Look at the indentation and the quotes there and just above.

        slis/more/b.yml:1:1  Service/checkout: metadata.name
          found     `Service/checkout` again
          expected  a name of its own
          remedy    Rename or remove one.

        4 mistakes in 3 files; nothing of them would be used
    "#]]);
}

#[test]
fn warnings_are_told_and_denied_on_demand() {
    let services = documents("checkout", &[("answered", "topic: requests, good: status < 500")]);
    let slo = "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {name: most}\nspec:\n  service: checkout\n  \
               indicatorRef: answered\n  timeWindow: [{duration: 7d, isRolling: true}]\n  budgetingMethod: Occurrences\n  \
               objectives: [{target: 0.9}]\n";
    let policy = "[{kind: AlertPolicy, metadata: {name: fast}, spec: {notificationTargets: [], conditions: [{kind: \
                  AlertCondition, metadata: {name: fast}, spec: {severity: page, condition: {op: gt, threshold: 6, \
                  lookbackWindow: 1h}}}]}}]";
    let files = Files::new(&[
        ("warned.yaml", &format!("{services}{slo}")),
        ("fine.yaml", &format!("{services}{slo}  alertPolicies: {policy}\n")),
        ("silent.yaml", &format!("{services}{slo}  alertPolicies: []\n")),
    ]);
    files.check(
        "validate warned.yaml",
        expect![[r#"
            0
            warned.yaml:19:15  warning: SLO/most: spec.objectives[0]
              found     `burn-1h-5m` at 13.44 times the budget: 13.44 x (1 - 0.9) = 1.344
              expected  a product below 1: where everything fails, the budget burns 10 times as fast as it may
              remedy    It can never fire. Cite a policy with a threshold below 10, or promise more.

              answered  good of checkout in requests
              most  90% of answered over 7d
            valid: 1 service, 0 data sources, 1 SLI, 1 SLO; 1 warning
        "#]],
    );
    files.check("validate warned.yaml --json", expect![[r#"
        0
        {"warning":{"column":15,"expected":"a product below 1: where everything fails, the budget burns 10 times as fast as it may","file":"warned.yaml","found":"`burn-1h-5m` at 13.44 times the budget: 13.44 x (1 - 0.9) = 1.344","line":19,"path":"SLO/most: spec.objectives[0]","remedy":"It can never fire. Cite a policy with a threshold below 10, or promise more."}}
        {"data_sources":0,"notification_targets":0,"services":1,"slis":1,"slos":1,"valid":true,"warnings":1}
    "#]]);
    files.check(
        "validate warned.yaml --quiet",
        expect![[r#"
        0
    "#]],
    );
    files.check(
        "validate warned.yaml --quiet --deny-warnings",
        expect![[r#"
            2
            warned.yaml:19:15  warning: SLO/most: spec.objectives[0]
              found     `burn-1h-5m` at 13.44 times the budget: 13.44 x (1 - 0.9) = 1.344
              expected  a product below 1: where everything fails, the budget burns 10 times as fast as it may
              remedy    It can never fire. Cite a policy with a threshold below 10, or promise more.

        "#]],
    );
    files.check(
        "validate fine.yaml --deny-warnings",
        expect![[r#"
        0
          answered  good of checkout in requests
          most  90% of answered over 7d; alarms fast
        valid: 1 service, 0 data sources, 1 SLI, 1 SLO
    "#]],
    );
    files.check(
        "validate silent.yaml --deny-warnings",
        expect![[r#"
        0
          answered  good of checkout in requests
          most  90% of answered over 7d; no alarms
        valid: 1 service, 0 data sources, 1 SLI, 1 SLO
    "#]],
    );
}

#[test]
fn files_that_are_not_there() {
    let files = Files::new(&[("empty/readme.md", "")]);
    files.check(
        "validate nowhere.yaml",
        expect![[r#"
        2
        ---
        streamgauge: couldn't read definitions nowhere.yaml: No such file or directory (os error 2)
    "#]],
    );
    files.check(
        "validate empty",
        expect![[r#"
        2
        ---
        streamgauge: no *.yaml file in empty
    "#]],
    );
    let usage = files.run("validate", "");
    assert!(usage.starts_with("2\n"), "{usage}");
}

#[test]
fn schemas_lie_beside_the_file_that_names_them() {
    let source = "apiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: theirs}\nspec:\n  type: streamgauge\n  \
                  connectionDetails: {topic: theirs, event: request, format: avro, framing: single-object, schemas: [{file: v1.avsc}]}\n";
    let schema = include_str!("../../../../schemas/request-v1.avsc");
    let files = Files::new(&[("slis/theirs.yaml", source), ("slis/v1.avsc", schema), ("other/theirs.yaml", source)]);
    files.check(
        "validate slis",
        expect![[r#"
            0
            valid: 0 services, 1 data source, 0 SLIs, 0 SLOs
        "#]],
    );
    files.check(
        "validate other",
        expect![[r#"
        2
        other/theirs.yaml:6:109  DataSource/theirs: spec.connectionDetails.schemas[0].file
          found     `v1.avsc`
          expected  a file that can be read (No such file or directory (os error 2))
          remedy    The name counts from the directory of this file.

        1 mistake in 1 file; nothing of them would be used
    "#]],
    );
}

#[test]
fn files_that_define_nothing() {
    let files = Files::new(&[("slis/a.yaml", "# nothing yet\n"), ("slis/b.yaml", "")]);
    files.check(
        "validate slis",
        expect![[r#"
        2
        ---
        streamgauge: no document in slis/a.yaml, slis/b.yaml: nothing would be defined
    "#]],
    );
}

#[test]
fn definitions_have_a_bound() {
    let names: Vec<String> = (0..2001).map(|number| format!("sli-{number}")).collect();
    let slis: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "topic: requests, good: ok")).collect();
    let files =
        Files::new(&[("many.yaml", &documents("checkout", &slis)), ("all.yaml", &documents("checkout", &slis[1..]))]);
    files.check(
        "validate many.yaml",
        expect![[r#"
        2
        all files:1:1  the definitions
          found     2001 SLIs
          expected  at most 2000
          remedy    Define what somebody looks at.

        1 mistake in 1 file; nothing of them would be used
    "#]],
    );
    assert!(files.run("validate all.yaml", "").starts_with("0\n"));
}
