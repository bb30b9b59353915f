//! Mistakes of documents as such: syntax, heads, names, several files.

use expect_test::expect;

use crate::shown::{SERVICE, check, shown};

#[test]
fn syntax_has_a_place_and_what_came_before_is_read() {
    check(
        "
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
spec: {colour: red}
---
apiVersion: openslo/v1
kind: [SLI
metadata: {name: second}
",
        expect![[r#"
            slis.yaml:4:8: Service/checkout: spec: found the unknown key `colour`; expected one of `description`. Remove it: what can't be honoured is refused, never ignored.
            slis.yaml:8:9: the document: found a mistake of syntax (illegal placement of ':' indicator); expected valid YAML. Look at the indentation and the quotes there and just above.
        "#]],
    );
    check(
        "a: 1\n\tb: 2\n",
        expect![[r#"
        slis.yaml:1:4: the document: found a mistake of syntax (while scanning a plain scalar, found a tab); expected valid YAML. Look at the indentation and the quotes there and just above.
    "#]],
    );
    check(
        "a: *nowhere\n",
        expect![[r#"
        slis.yaml:1:4: the document: found a mistake of syntax (while parsing node, found unknown anchor); expected valid YAML. Look at the indentation and the quotes there and just above.
    "#]],
    );
    check(
        "metadata: {name: \"checkout}\n",
        expect![[r#"
        slis.yaml:1:18: the document: found a mistake of syntax (unclosed quote); expected valid YAML. Look at the indentation and the quotes there and just above.
    "#]],
    );
}

#[test]
fn a_document_is_a_block_of_keys() {
    check(
        "- apiVersion: openslo/v1\n",
        expect![[r#"
        slis.yaml:1:1: the document: found a list; expected a block of keys. docs/definitions.md shows each document as a whole.
    "#]],
    );
    check(
        "checkout\n",
        expect![[r#"
        slis.yaml:1:1: the document: found `checkout`; expected a block of keys. docs/definitions.md shows each document as a whole.
    "#]],
    );
    check(
        "",
        expect![[r#"
        valid
    "#]],
    );
    check(
        "---\n---\n# nothing but comments\n",
        expect![[r#"
        valid
    "#]],
    );
}

#[test]
fn heads_are_needed() {
    check(
        "kind: Service\nspec: {}\n",
        expect![[r#"
        slis.yaml:1:1: apiVersion: found no such key; expected `openslo/v1`. Add `apiVersion:`.
        slis.yaml:1:1: metadata: found no such key; expected a block with the name. Add `metadata:`.
    "#]],
    );
    check(
        "
apiVersion: openslo/v2alpha
kind: Service
metadata: {name: checkout}
spec: {}
",
        expect![[r#"
            slis.yaml:1:13: apiVersion: found `openslo/v2alpha`; expected `openslo/v1`. Other versions of OpenSLO are not supported.
        "#]],
    );
    check(
        "
apiVersion: openslo/v1
kind: SLO
metadata: {name: checkout}
spec: {}
",
        expect![[r#"
            slis.yaml:4:7: SLO/checkout: spec.budgetingMethod: found no such key; expected one of `Occurrences`, `Timeslices`, `RatioTimeslices`. Add `budgetingMethod:`.
            slis.yaml:4:7: SLO/checkout: spec.indicatorRef: found no such key; expected the name of an SLI. Add `indicatorRef:`.
            slis.yaml:4:7: SLO/checkout: spec.objectives: found no such key; expected a list with one objective. Add `objectives:`.
            slis.yaml:4:7: SLO/checkout: spec.service: found no such key; expected the name of a service. Add `service:`.
            slis.yaml:4:7: SLO/checkout: spec.timeWindow: found no such key; expected a list with one time window. Add `timeWindow:`.
        "#]],
    );
    check(
        "
apiVersion: openslo/v1
kind: Service
metadata: {nam: checkout}
spec: {}
",
        expect![[r#"
            slis.yaml:3:11: metadata.name: found no such key; expected a name. Add `name:`.
            slis.yaml:3:12: metadata: found the unknown key `nam`; expected one of `name`, `displayName`, `labels`, `annotations`. Did you mean `name`?
        "#]],
    );
    check(
        "
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
",
        expect![[r#"
            slis.yaml:1:1: Service/checkout: spec: found no such key; expected a block of keys; `{}` if there is nothing to say. Add `spec:`.
        "#]],
    );
}

#[test]
fn names_are_of_their_own() {
    for name in ["requests", "__other__", "''", "null", "[a, b]"] {
        println!("{name}");
        let text = format!("apiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: {name}}}\nspec: {{}}\n");
        let expected = match name {
            "requests" => expect![[r#"
                slis.yaml:3:18: metadata.name: found `requests`; expected a name of its own. That name is taken by the golden signals: choose another one.
            "#]],
            "__other__" => expect![[r#"
                slis.yaml:3:18: metadata.name: found `__other__`; expected 1 to 128 bytes without control characters that don't begin with __. Choose another name.
            "#]],
            "''" => expect![[r#"
                slis.yaml:3:18: metadata.name: found ``; expected 1 to 128 bytes without control characters that don't begin with __. Choose another name.
            "#]],
            "null" => expect![[r#"
                slis.yaml:3:11: metadata.name: found no such key; expected a name. Add `name:`.
            "#]],
            _ => expect![[r#"
                slis.yaml:3:18: metadata.name: found a list; expected a name. Write one text there.
            "#]],
        };
        check(&text, expected);
    }
}

#[test]
fn keys_are_known_and_stand_once() {
    check(
        "
apiVersion: openslo/v1
kind: Service
kind: Service
metadata: {name: checkout, displayname: Checkout, labels: {team: shop}}
spec: {descripton: Takes orders}
status: fine
",
        expect![[r#"
            slis.yaml:3:1: the document: found the key `kind` again; expected each key once. Remove one of them.
            slis.yaml:4:28: metadata: found the unknown key `displayname`; expected one of `name`, `displayName`, `labels`, `annotations`. Did you mean `displayName`?
            slis.yaml:5:8: Service/checkout: spec: found the unknown key `descripton`; expected one of `description`. Did you mean `description`?
            slis.yaml:6:1: Service/checkout: found the unknown key `status`; expected one of `apiVersion`, `kind`, `metadata`, `spec`. Remove it: what can't be honoured is refused, never ignored.
        "#]],
    );
}

#[test]
fn names_stand_once_over_all_files() {
    let second = "apiVersion: openslo/v1\nkind: Service\nmetadata:\n  name: checkout\nspec: {description: again}\n";
    expect![[r#"
        b/c.yaml:1:1: Service/checkout: metadata.name: found `Service/checkout` again; expected a name of its own. Rename or remove one.
    "#]].assert_eq(&shown(&[("a.yaml", SERVICE.trim_start()), ("b/c.yaml", second)]));
}

#[test]
fn mistakes_of_all_files_come_at_once_in_the_order_of_files_and_lines() {
    let sli = |name: &str, spec: &str| {
        format!(
            "apiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: {name}}}\nspec:\n  ratioMetric:\n    counter: yes\n    \
             rawType: failure\n    raw: {{metricSource: {{type: streamgauge, spec: {spec}}}}}\n"
        )
    };
    let one = format!(
        "{}---\n{}",
        SERVICE.trim_start(),
        sli("first", "{topic: requests, service: chekout, good: latency < 5}")
    );
    let two = sli("second", "{topic: request, service: checkout, latencyThresholdMs: 300}");
    let three = "apiVersion: openslo/v1\nkind: Datasource\n";
    expect![[r#"
        a.yaml:11:14: SLI/first: spec.ratioMetric.counter: found `yes`; expected `true`. Events are counted.
        a.yaml:12:14: SLI/first: spec.ratioMetric.rawType: found `failure`; expected `success`. `good` says what a good event is.
        a.yaml:13:78: SLI/first: spec.ratioMetric.raw.metricSource.spec.service: found `chekout`; expected one that a document declares: `checkout`. Did you mean `checkout`?
        a.yaml:13:93: SLI/first: spec.ratioMetric.raw.metricSource.spec.good: found `latency < 5`: a request has no field latency; expected a predicate that can be decided. Write latency_us, in microseconds.
        b.yaml:6:14: SLI/second: spec.ratioMetric.counter: found `yes`; expected `true`. Events are counted.
        b.yaml:7:14: SLI/second: spec.ratioMetric.rawType: found `failure`; expected `success`. `good` says what a good event is.
        b.yaml:8:51: SLI/second: spec.ratioMetric.raw.metricSource.spec: found no way to judge an event; expected one of them. A predicate decides (`good`), a latency (`latencyThresholdUs`), or counts in the event (`goodCount` and `totalCount`).
        b.yaml:8:59: SLI/second: spec.ratioMetric.raw.metricSource.spec.topic: found `request`; expected a topic that is known: `requests`, `scores`, `resources`, or one of a DataSource. Did you mean `requests`?
        b.yaml:8:87: SLI/second: spec.ratioMetric.raw.metricSource.spec: found the unknown key `latencyThresholdMs`; expected one of `topic`, `service`, `filter`, `groupBy`, `good`, `latencyThresholdUs`, `failures`, `thresholdsUs`, `goodCount`, `totalCount`. Did you mean `latencyThresholdUs`?
        c.yaml:1:1: metadata: found no such key; expected a block with the name. Add `metadata:`.
        c.yaml:2:7: kind: found `Datasource`; expected one of `Service`, `DataSource`, `SLI`, `AlertNotificationTarget`, `AlertCondition`, `AlertPolicy`, `SLO`. Remove the document, or keep it where streamgauge does not read it.
    "#]].assert_eq(&shown(&[("c.yaml", three), ("a.yaml", &one), ("b.yaml", &two)]));
}

#[test]
fn a_reference_to_a_service_that_is_wrong_is_no_second_mistake() {
    check(
        "
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: first}
spec:
  ratioMetric:
    counter: true
    rawType: success
    raw: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, good: status < 500}}}
",
        expect![[r#"
            slis.yaml:1:1: Service/checkout: spec: found no such key; expected a block of keys; `{}` if there is nothing to say. Add `spec:`.
        "#]],
    );
}

#[test]
fn aliases_stand_for_what_they_name_and_have_its_places() {
    check(
        "
apiVersion: openslo/v1
kind: Service
metadata: &head {name: checkout}
spec: {}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: first}
spec:
  ratioMetric:
    counter: true
    rawType: success
    raw:
      metricSource:
        type: streamgauge
        spec: &source {topic: requests, service: checkout, good: status < }
  description: *source
",
        expect![[r#"
            slis.yaml:16:23: SLI/first: spec.description: found a block of keys; expected a text. Write one text there.
            slis.yaml:16:74: SLI/first: spec.ratioMetric.raw.metricSource.spec.good: found `status <`: expected a condition, found the end; expected a predicate that can be decided. Complete the condition.
        "#]],
    );
    let mut bomb = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    check(
        &bomb,
        expect![[r#"
            slis.yaml:6:10: the document: found a mistake of syntax (too much is repeated by aliases; write out what is meant); expected valid YAML. Look at the indentation and the quotes there and just above.
        "#]],
    );
}

#[test]
fn nesting_has_a_bound() {
    check(
        &format!("a: {}{}\n", "[".repeat(200), "]".repeat(200)),
        expect![[r#"
            slis.yaml:1:68: the document: found a mistake of syntax (this is nested deeper than 64 levels); expected valid YAML. Look at the indentation and the quotes there and just above.
        "#]],
    );
}

/// Whoever names a service whose document can't be read makes no second mistake; a slip of the pen is one.
#[test]
fn documents_without_a_readable_name_may_be_what_others_refer_to() {
    let sli = |name: &str, service: &str| {
        format!(
            "---\napiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: {name}}}\nspec: {{ratioMetric: {{counter: true, \
             rawType: success, raw: {{metricSource: {{type: streamgauge, spec: {{topic: requests, service: {service}, \
             good: ok}}}}}}}}}}\n"
        )
    };
    let service =
        |metadata: &str| format!("---\napiVersion: openslo/v1\nkind: Service\nmetadata: {metadata}\nspec: {{}}\n");
    let text =
        [service("{name: checkout}"), service("{nam: search}"), sli("a", "search"), sli("b", "chekout")].concat();
    check(
        &text,
        expect![[r#"
            slis.yaml:9:11: metadata.name: found no such key; expected a name. Add `name:`.
            slis.yaml:9:12: metadata: found the unknown key `nam`; expected one of `name`, `displayName`, `labels`, `annotations`. Did you mean `name`?
            slis.yaml:20:128: SLI/b: spec.ratioMetric.raw.metricSource.spec.service: found `chekout`; expected one that a document declares: `checkout`. Did you mean `checkout`?
        "#]],
    );
    check(
        &service("\"na\\u0007me\"").replace("metadata: ", "metadata: {name: ").replace("\nspec", "}\nspec"),
        expect![[r#"
            slis.yaml:4:18: metadata.name: found `na\u{7}me`; expected 1 to 128 bytes without control characters that don't begin with __. Choose another name.
        "#]],
    );
}
