//! Mistakes of data sources: topics, kinds of events, formats, schemas.

use expect_test::{Expect, expect};

use crate::shown::check;

/// A data source by its connection details, which begin at line 6 in column 22.
#[track_caller]
fn check_details(details: &str, expected: Expect) {
    check(
        &format!(
            "apiVersion: openslo/v1\nkind: DataSource\nmetadata: {{name: theirs}}\nspec:\n  type: streamgauge\n  \
             connectionDetails: {{{details}}}\n"
        ),
        expected,
    );
}

#[test]
fn the_right_ones_are_no_mistakes() {
    check_details(
        "topic: theirs, event: score",
        expect![[r#"
        valid
    "#]],
    );
    check_details(
        "topic: theirs, event: request, format: avro, framing: confluent, schemas: [{id: 7, file: known.avsc}]",
        expect![[r#"
        valid
    "#]],
    );
    check_details(
        "topic: theirs, event: request, format: avro, framing: single-object, schemas: [{file: known.avsc}]",
        expect![[r#"
        valid
    "#]],
    );
}

#[test]
fn topics_events_and_formats_are_known() {
    check_details(
        "topic: their events!, event: event, format: protobuf",
        expect![[r#"
        slis.yaml:6:30: DataSource/theirs: spec.connectionDetails.topic: found `their events!`; expected the name of a topic. Kafka's topics are named by letters, digits, `.`, `_` and `-`.
        slis.yaml:6:52: DataSource/theirs: spec.connectionDetails.event: found `event`; expected one of `request`, `score`, `resource`. docs/formats.md shows their fields.
        slis.yaml:6:67: DataSource/theirs: spec.connectionDetails.format: found `protobuf`; expected `json` or `avro`. docs/formats.md describes both.
    "#]],
    );
    check_details(
        "",
        expect![[r#"
        slis.yaml:6:22: DataSource/theirs: spec.connectionDetails.event: found no such key; expected one of `request`, `score`, `resource`. Add `event:`.
        slis.yaml:6:22: DataSource/theirs: spec.connectionDetails.topic: found no such key; expected the name of a topic. Add `topic:`.
    "#]],
    );
    check_details(
        "topic: theirs, event: score, framing: confluent, schemas: []",
        expect![[r#"
        slis.yaml:6:61: DataSource/theirs: spec.connectionDetails.framing: found `confluent`; expected no such key with `format: json`. Remove it.
        slis.yaml:6:81: DataSource/theirs: spec.connectionDetails.schemas: found a list; expected no such key with `format: json`. Remove it.
    "#]],
    );
    check(
        "apiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: theirs}\nspec: {type: Prometheus, connectionDetails: {url: http://localhost}}\n",
        expect![[r#"
            slis.yaml:4:14: DataSource/theirs: spec.type: found `Prometheus`; expected `streamgauge`. Other types are for other tools; keep their documents where streamgauge does not read them.
        "#]],
    );
}

#[test]
fn avro_needs_a_framing_and_schemas() {
    check_details(
        "topic: theirs, event: score, format: avro",
        expect![[r#"
        slis.yaml:6:22: DataSource/theirs: spec.connectionDetails.framing: found no such key; expected `single-object` or `confluent`. Add `framing:`.
    "#]],
    );
    check_details(
        "topic: theirs, event: score, format: avro, framing: single-object",
        expect![[r#"
        slis.yaml:6:22: DataSource/theirs: spec.connectionDetails.schemas: found no such key; expected a list of schemas. Add `schemas:` with the schemas that records were written with.
    "#]],
    );
    check_details(
        "topic: theirs, event: score, format: avro, framing: kafka, schemas: [{}]",
        expect![[r#"
            slis.yaml:6:75: DataSource/theirs: spec.connectionDetails.framing: found `kafka`; expected `single-object` or `confluent`. docs/formats.md tells them apart.
        "#]],
    );
    check_details(
        "topic: theirs, event: score, format: avro, framing: single-object, schemas: []",
        expect![[r#"
        slis.yaml:6:99: DataSource/theirs: spec.connectionDetails.schemas: found a list; expected at least one schema. Without one, every record is a dead letter.
    "#]],
    );
    check_details(
        "topic: theirs, event: score, format: avro, framing: single-object, schemas: known.avsc",
        expect![[r#"
        slis.yaml:6:99: DataSource/theirs: spec.connectionDetails.schemas: found `known.avsc`; expected a list of schemas. docs/definitions.md shows each document as a whole.
    "#]],
    );
}

#[test]
fn schemas_are_readable_as_the_kind_and_have_ids_where_the_framing_has() {
    let avro = "topic: theirs, event: request, format: avro";
    for (rest, expected) in [
        (
            "framing: confluent, schemas: [{file: known.avsc}]",
            expect![[r#"
                slis.yaml:6:98: DataSource/theirs: spec.connectionDetails.schemas[0].id: found no such key; expected the registry's id. Records name their schema by this id: add `id:`.
            "#]],
        ),
        (
            "framing: confluent, schemas: [{id: seven, file: known.avsc}]",
            expect![[r#"
                slis.yaml:6:103: DataSource/theirs: spec.connectionDetails.schemas[0].id: found `seven`; expected the registry's id, an integer. Look it up in the registry.
            "#]],
        ),
        (
            "framing: confluent, schemas: [{id: 7, file: known.avsc}, {id: 7, file: other.avsc}]",
            expect![[r#"
            slis.yaml:6:97: DataSource/theirs: spec.connectionDetails.schemas: found a list; expected each id once. One id names one schema.
            slis.yaml:6:139: DataSource/theirs: spec.connectionDetails.schemas[1]: found a schema that can't be used (schema with id 7 has no field service, which every request needs: add it, or give the field that stands for it the alias "service"); expected a schema that can be read as a request. docs/formats.md has the rules.
        "#]],
        ),
        (
            "framing: single-object, schemas: [{id: 7, file: known.avsc}]",
            expect![[r#"
            slis.yaml:6:107: DataSource/theirs: spec.connectionDetails.schemas[0].id: found `7`; expected no id with `framing: single-object`. Remove it: records name their schema by its fingerprint.
        "#]],
        ),
        (
            "framing: single-object, schemas: [{file: nowhere.avsc}]",
            expect![[r#"
            slis.yaml:6:109: DataSource/theirs: spec.connectionDetails.schemas[0].file: found `nowhere.avsc`; expected a file that can be read (no such file). The name counts from the directory of this file.
        "#]],
        ),
        (
            "framing: single-object, schemas: [{file: broken.avsc}]",
            expect![[r#"
            slis.yaml:6:109: DataSource/theirs: spec.connectionDetails.schemas[0]: found a schema that can't be used (schema no. 1 can't be parsed: Failed to parse schema from JSON); expected a schema that can be read as a request. docs/formats.md has the rules.
        "#]],
        ),
        (
            "framing: single-object, schemas: [{file: other.avsc}]",
            expect![[r#"
            slis.yaml:6:109: DataSource/theirs: spec.connectionDetails.schemas[0]: found a schema that can't be used (schema no. 1 has no field service, which every request needs: add it, or give the field that stands for it the alias "service"); expected a schema that can be read as a request. docs/formats.md has the rules.
        "#]],
        ),
        (
            "framing: single-object, schemas: [{file: known.avsc, schema: '{}'}]",
            expect![[r#"
                slis.yaml:6:102: DataSource/theirs: spec.connectionDetails.schemas[0]: found both `file` and `schema`; expected one of them. Say `file:` with its name, or `schema:` with its text.
            "#]],
        ),
        (
            "framing: single-object, schemas: [{schema: '\"string\"'}]",
            expect![[r#"
            slis.yaml:6:111: DataSource/theirs: spec.connectionDetails.schemas[0]: found a schema that can't be used (schema no. 1 is a string: events are records); expected a schema that can be read as a request. docs/formats.md has the rules.
        "#]],
        ),
    ] {
        check_details(&format!("{avro}, {rest}"), expected);
    }
}

#[test]
fn a_topic_is_described_once_and_a_name_stands_once() {
    let source = |name: &str, topic: &str| {
        format!(
            "---\napiVersion: openslo/v1\nkind: DataSource\nmetadata: {{name: {name}}}\nspec:\n  type: streamgauge\n  \
             connectionDetails:\n    topic: {topic}\n    event: score\n"
        )
    };
    check(
        &[source("one", "same"), source("two", "same"), source("one", "another")].concat(),
        expect![[r#"
        slis.yaml:17:12: DataSource/two: spec.connectionDetails.topic: found `same`, which the DataSource `one` describes already; expected a topic of its own. Describe each topic once.
        slis.yaml:20:1: DataSource/one: metadata.name: found `DataSource/one` again; expected a name of its own. Rename or remove one.
    "#]],
    );
}

#[test]
fn references_lead_to_a_source_and_one_way_only() {
    let sli = |source: &str, topic: &str| {
        format!(
            "apiVersion: openslo/v1\nkind: Service\nmetadata: {{name: checkout}}\nspec: {{}}\n---\napiVersion: openslo/v1\n\
             kind: SLI\nmetadata: {{name: tested}}\nspec:\n  ratioMetric:\n    counter: true\n    rawType: success\n    \
             raw:\n      metricSource:\n        {source}\n        spec: {{service: checkout, good: value > 1{topic}}}\n"
        )
    };
    check(
        &sli("metricSourceRef: scores", ""),
        expect![[r#"
        valid
    "#]],
    );
    check(
        &sli("metricSourceRef: audits", ""),
        expect![[r#"
        slis.yaml:15:26: SLI/tested: spec.ratioMetric.raw.metricSource.metricSourceRef: found `audits`; expected one of `requests`, `scores`, `resources`. Add a document with `kind: DataSource` and metadata.name audits.
    "#]],
    );
    check(
        &sli("metricSourceRef: scores", ", topic: scores"),
        expect![[r#"
            slis.yaml:16:15: SLI/tested: spec.ratioMetric.raw.metricSource.spec: found both `topic` and `metricSourceRef`; expected one of them. Name the topic by `topic:`, or its DataSource by `metricSourceRef:`.
        "#]],
    );
    check(
        &sli("type: streamgauge", ", topic: audits"),
        expect![[r#"
        slis.yaml:16:59: SLI/tested: spec.ratioMetric.raw.metricSource.spec.topic: found `audits`; expected a topic that is known: `requests`, `scores`, `resources`, or one of a DataSource. Describe the topic by a document with `kind: DataSource` and topic audits.
    "#]],
    );
}
