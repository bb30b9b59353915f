//! Mistakes in mapping files: each is refused with its place, what was found, what was expected and what to do.

use expect_test::{Expect, expect};
use streamgauge_mapping::Mapping;

const WHOLE: &str = "\
apiVersion: streamgauge/v1
kind: Mapping
description: An example without mistakes
event: requests
format: csv
csv: { delimiter: ';' }
fields:
  ts: { column: time, format: epoch_s }
  service: { constant: shop }
  latency_us: { column: took, unit: ms }
  ok: { column: ok, map: { 'yes': true, 'no': false } }
";

/// `WHOLE` with one text replaced by another.
fn check(from: &str, to: &str, expected: Expect) {
    assert!(WHOLE.contains(from), "{from}");
    let text = WHOLE.replace(from, to);
    match Mapping::from_yaml("m.yaml", &text) {
        Ok(_) => panic!("no mistake was found in\n{text}"),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

#[test]
fn the_example_has_none() {
    Mapping::from_yaml("m.yaml", WHOLE).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn mistakes_of_form() {
    check(
        "kind: Mapping",
        "kind: Service",
        expect![
            "m.yaml:2:7: kind: found `Service`; expected `Mapping`. Is this the right file? A mapping starts with `apiVersion: streamgauge/v1` and `kind: Mapping`."
        ],
    );
    check(
        "kind: Mapping\n",
        "",
        expect!["m.yaml:6:1: the document: found no key `kind`; expected it to be there. Add `kind:`."],
    );
    check(
        "event: requests",
        "event: score",
        expect![
            "m.yaml:4:8: event: found `score`; expected one of `requests`, `scores`, `resources`. Did you mean `scores`?"
        ],
    );
    check(
        "event: requests",
        "event: scores",
        expect![
            "m.yaml:10:3: fields: found the unknown key `latency_us`; expected one of `ts`, `service`, `metric`, `event_id`, `tenant`, `route`, `value`, `good`, `total`, `version`, `environment`, `region`, `trace_id`, `attributes.NAME`. A field of `event: requests`; to keep it, write `attributes.latency_us:`."
        ],
    );
    check(
        "delimiter",
        "delimitter",
        expect![
            "m.yaml:6:8: csv.delimitter: found the unknown key `delimitter`; expected one of `delimiter`, `header_rows`, `name_rows`, `name_separator`, `columns`. Did you mean `delimiter`?"
        ],
    );
    check(
        "latency_us:",
        "latency:",
        expect![
            "m.yaml:10:3: fields: found the unknown key `latency`; expected one of `ts`, `service`, `event_id`, `tenant`, `route`, `method`, `status`, `ok`, `latency_us`, `version`, `environment`, `region`, `trace_id`, `attributes.NAME`. Did you mean `latency_us`?"
        ],
    );
    check(
        "{ constant: shop }",
        "shop",
        expect![
            "m.yaml:9:12: fields: found `service: shop`; expected valid YAML of the right type (expected a block of keys). docs/mappings.md shows every key with an example."
        ],
    );
    check(
        "{ constant: shop }",
        "{ constant: shop",
        expect![
            "m.yaml:10:13: fields.service: found `latency_us: { column: took, unit: ms }`; expected valid YAML of the right type (while parsing a flow mapping, did not find expected ',' or '}'). docs/mappings.md shows every key with an example."
        ],
    );
    check(
        "  service:",
        "  ts:",
        expect!["m.yaml:9:3: fields: found the key `ts` again; expected each key once. Remove one of them."],
    );
}

#[test]
fn mistakes_of_meaning() {
    check(
        "format: csv",
        "format: cvs",
        expect![
            "m.yaml:5:9: format: found `cvs`; expected one of `csv`, `jsonl`, `combined`, `lines`, `parquet`. Did you mean `csv`?"
        ],
    );
    check(
        "format: csv",
        "format: lines",
        expect![[
            r#"m.yaml:5:9: pattern: found no `pattern:`; expected one beside `format: lines`. Add `pattern: '^(?<ts>\S+) (?<service>\S+)'`, or what the lines look like."#
        ]],
    );
    check(
        "format: csv",
        "format: jsonl",
        expect![
            "m.yaml:6:6: csv: found settings for CSV; expected none, by `format`. Remove it, or write `format: csv`."
        ],
    );
    check(
        "csv: { delimiter: ';' }",
        "pattern: '^x'",
        expect![
            "m.yaml:6:10: pattern: found a pattern; expected none, by `format`. Remove it, or write `format: lines`."
        ],
    );
    check(
        "csv: { delimiter: ';' }",
        "csv: { delimiter: ';;' }",
        expect![[
            r#"m.yaml:6:19: csv.delimiter: found `;;`; expected one ASCII character, no quote. Write `delimiter: ";"`, or "\t" for a tab."#
        ]],
    );
    check(
        "csv: { delimiter: ';' }",
        "csv: { header_rows: 0 }",
        expect![
            "m.yaml:6:6: csv: found `header_rows: 0`; expected names for the columns. Add `columns: [ts, service, …]` with the names of all columns, in their order."
        ],
    );
    check(
        "csv: { delimiter: ';' }",
        "csv: { columns: [time, took] }",
        expect![
            "m.yaml:6:17: csv.columns: found `time`, `took`; expected `ok` once, since a field is read from it. List the names of all columns, in their order."
        ],
    );
    check(
        "  ts: { column: time, format: epoch_s }\n",
        "",
        expect![
            "m.yaml:8:3: fields: found no `ts`; expected one; every event needs it. Add `ts: { column: … }` or a `constant:`."
        ],
    );
    check(
        "column: time,",
        "pointer: /time,",
        expect![
            "m.yaml:8:18: fields.ts.pointer: found `pointer:`; expected `column:`, which is where values stand in rows of this format. Write `column:` instead of `pointer:`, or another `format:`."
        ],
    );
    check(
        "column: time,",
        "column: time, constant: 0,",
        expect![
            "m.yaml:8:7: fields.ts: found more than one source; expected exactly one of `column`, `pointer`, `group`, `cell`, `from`, `constant`. Rows of this format have a `column`."
        ],
    );
    check(
        "column: time,",
        "",
        expect![
            "m.yaml:8:7: fields.ts: found no source; expected exactly one of `column`, `pointer`, `group`, `cell`, `from`, `constant`. Rows of this format have a `column`."
        ],
    );
    check(
        "{ constant: shop }",
        "{ column: shop, optional: true }",
        expect![
            "m.yaml:9:38: fields.service.optional: found `true`; expected a value in every row, since every event needs it. Remove it, or use a `constant:`."
        ],
    );
    check(
        "{ constant: shop }",
        "{ constant: '' }",
        expect![
            "m.yaml:9:24: fields.service.constant: found ``; expected a value of service. It is empty; expected the name of a service."
        ],
    );
    check(
        "{ constant: shop }",
        "{ constant: shop, map: { a: b } }",
        expect!["m.yaml:9:35: fields.service.map: found `map:`; expected none beside a constant. Remove it."],
    );
    check(
        "constant: shop",
        "column: shop, extract: '(a'",
        expect![
            "m.yaml:9:37: fields.service.extract: found `(a`; expected a regular expression. As it stands: found open group without closing ')'."
        ],
    );
    check(
        "unit: ms",
        "unit: msec",
        expect![
            "m.yaml:10:37: fields.latency_us.unit: found `msec`; expected one of `s`, `ms`, `us`, `ns`. Write `unit: ms`, or what it is."
        ],
    );
    check(
        ", unit: ms",
        "",
        expect![
            "m.yaml:10:15: fields.latency_us: found no `unit:`; expected the unit of the value: one of `s`, `ms`, `us`, `ns`. Add `unit: ms`, or what it is."
        ],
    );
    check(
        "constant: shop",
        "constant: shop, unit: s",
        expect![
            "m.yaml:9:36: fields.service.unit: found `s`; expected no `unit:`, since service is no time. Remove it."
        ],
    );
    check(
        "'no': false",
        "'no': off",
        expect![
            "m.yaml:11:47: fields.ok.map.no: found `off`; expected a value of ok. It is neither true nor false; translate other words with `map`."
        ],
    );
    check(
        "format: epoch_s",
        "format: epoch",
        expect![
            "m.yaml:8:31: fields.ts.format: found `epoch`; expected one of `rfc3339`, `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`, `relative` or a strptime format such as `%Y-%m-%d %H:%M:%S %z`. Did you mean `epoch_s`?"
        ],
    );
    check(
        ", format: epoch_s",
        "",
        expect![
            "m.yaml:8:7: fields.ts: found no `format:`; expected one of `rfc3339`, `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`, `relative` or a strptime format such as `%Y-%m-%d %H:%M:%S %z`. Add `format: rfc3339`, or what the times are."
        ],
    );
    check(
        "format: epoch_s",
        "format: rfc3339, timezone: UTC",
        expect![
            "m.yaml:8:50: fields.ts.timezone: found `UTC`; expected no `timezone:` beside `format: rfc3339`. Remove it."
        ],
    );
    check(
        "format: epoch_s",
        "format: relative, unit: ms",
        expect![
            "m.yaml:8:31: fields.ts.format: found `relative`; expected `epoch_base:` beside it. Write `{ format: relative, unit: ms, epoch_base: 2024-01-01T00:00:00Z }`."
        ],
    );
    check(
        "format: epoch_s",
        "format: relative, unit: ms, epoch_base: 2024-01-01",
        expect![
            "m.yaml:8:63: fields.ts.epoch_base: found `2024-01-01`; expected an instant by RFC 3339, such as `2024-01-01T00:00:00Z`. Write date, time and offset."
        ],
    );
    check(
        "format: epoch_s",
        "format: '%Y-%m-%d %H:%M:%S'",
        expect![
            "m.yaml:8:31: fields.ts.format: found `%Y-%m-%d %H:%M:%S`; expected a strptime format that determines an instant. As it stands: it has no offset (%z), so the instant isn't known without `timezone`."
        ],
    );
    check(
        "format: epoch_s",
        "format: '%Y-%m-%d %H:%M:%S', timezone: Berlin",
        expect![
            "m.yaml:8:62: fields.ts.timezone: found `Berlin`; expected a zone of the IANA database, such as `UTC` or `Europe/Berlin`. Write its full name."
        ],
    );
}

/// What a proposal leaves open is for a person to say.
#[test]
fn placeholders_that_nobody_filled_in() {
    check(
        "{ constant: shop }",
        "{ constant: FILL_IN_SERVICE }",
        expect![
            "m.yaml:9:24: fields.service.constant: found `FILL_IN_SERVICE`; expected a value of service; `mapping infer` left it open. Write what it is, or `column: …` in place of `constant: …` where the rows say it."
        ],
    );
    check(
        "{ column: time, format: epoch_s }",
        "{ constant: FILL_IN_TIME, format: rfc3339 }",
        expect![
            "m.yaml:8:19: fields.ts.constant: found `FILL_IN_TIME`; expected a value of ts; `mapping infer` left it open. Write `{ column: …, format: … }`, where the times stand and how they are written, or one instant for all rows."
        ],
    );
    check(
        "{ column: time, format: epoch_s }",
        "{ column: time, format: relative, unit: ms, epoch_base: FILL_IN_EPOCH_BASE }",
        expect![
            "m.yaml:8:63: fields.ts.epoch_base: found `FILL_IN_EPOCH_BASE`; expected an instant by RFC 3339, such as `2024-01-01T00:00:00Z`. Write when the file's times begin; any instant keeps the distances between them."
        ],
    );
    check(
        "ok: { column: ok,",
        "tenant: { constant: FILL_IN }\n  ok: { column: ok,",
        expect![
            "m.yaml:11:23: fields.tenant.constant: found `FILL_IN`; expected a value of tenant; `mapping infer` left it open. Write what it is, or `column: …` in place of `constant: …` where the rows say it."
        ],
    );
}

#[test]
fn mistakes_in_an_expansion() {
    let with = |expand: &str, expected: Expect| {
        check("  ok: { column: ok, map: { 'yes': true, 'no': false } }\n", &format!("expand: {expand}\n"), expected);
    };
    with(
        "{ requests: { column: n }, spread: 60 }",
        expect![
            "m.yaml:11:44: expand.spread: found `60`; expected a duration such as `60s`, `500ms`, `5m` or `1h`, up to a day. Write a number and its unit."
        ],
    );
    with(
        "{ requests: { column: n }, spread: 60s, ts_is: middle }",
        expect![
            "m.yaml:11:56: expand.ts_is: found `middle`; expected `start` or `end`. Write `end` if a row's time is the end of the time that it covers."
        ],
    );
    with(
        "{ requests: { group: n }, spread: 60s }",
        expect![
            "m.yaml:11:30: expand.requests.group: found `group:`; expected `column:`, which is where values stand in rows of this format. Write `column:` instead of `group:`, or another `format:`."
        ],
    );
    with(
        "{ requests: { column: n, scale: 1% }, spread: 60s }",
        expect![
            "m.yaml:11:41: expand.requests.scale: found `1%`; expected a decimal number above 0. For a percentage write `scale: 0.01`."
        ],
    );
    with(
        "{ requests: { column: n }, good: { column: g }, good_ratio: { column: r }, spread: 60s }",
        expect!["m.yaml:11:69: expand: found `good` and `good_ratio`; expected one of them at most. Remove one."],
    );
    check(
        "  ok:",
        "  event_id: { column: id }\nexpand: { requests: { column: n }, spread: 60s }\n#",
        expect![
            "m.yaml:11:13: fields.event_id: found the field; expected none beside `expand`. Remove it: all events of a row would share it."
        ],
    );
    check(
        "csv: ",
        "expand: { requests: { column: n }, good: { column: g }, spread: 60s }\ncsv: ",
        expect![
            "m.yaml:12:7: fields.ok: found the field; expected none beside `expand`. Remove it: `ok` follows from `good` or `good_ratio`."
        ],
    );
}

#[test]
fn groups_and_pointers() {
    let text = |format: &str, place: &str| {
        format!(
            "apiVersion: streamgauge/v1\nkind: Mapping\nevent: requests\n{format}\nfields:\n  ts: {{ {place}, format: epoch_s }}\n  service: {{ constant: s }}\n"
        )
    };
    let table = [
        (
            "format: combined",
            "group: tme",
            expect![
                "m.yaml:6:16: fields.ts.group: found `tme`; expected one of the groups `remote_host`, `ident`, `user`, `time`, `request`, `method`, `target`, `path`, `protocol`, `status`, `bytes`, `referer`, `user_agent`. Did you mean `time`?"
            ],
        ),
        (
            "format: lines\npattern: '(?<at>\\d+)'",
            "group: time",
            expect![
                "m.yaml:7:16: fields.ts.group: found `time`; expected one of the groups `at`. Name a group of the pattern."
            ],
        ),
        (
            "format: lines\npattern: '(?<at>\\d+'",
            "group: at",
            expect![[
                r#"m.yaml:5:10: pattern: found `(?<at>\d+`; expected a regular expression. As it stands: found open group without closing ')'."#
            ]],
        ),
        (
            "format: jsonl",
            "pointer: time",
            expect![
                "m.yaml:6:18: fields.ts.pointer: found `time`; expected a JSON pointer (RFC 6901) such as `/request/path`. A pointer starts with `/`."
            ],
        ),
    ];
    for (format, place, expected) in table {
        match Mapping::from_yaml("m.yaml", &text(format, place)) {
            Ok(_) => panic!("no mistake was found: {format} {place}"),
            Err(error) => expected.assert_eq(&error.to_string()),
        }
    }
}

#[test]
fn mistakes_about_kinds() {
    let text = |event: &str, fields: &str| {
        format!(
            "apiVersion: streamgauge/v1\nkind: Mapping\nevent: {event}\nformat: csv\nfields:\n  ts: {{ column: t, format: epoch_s }}\n  service: {{ constant: s }}\n{fields}"
        )
    };
    let table = [
        (
            "resources",
            "",
            expect![
                "m.yaml:6:3: fields: found no `metric`; expected one; every event needs it. Add `metric: { column: … }` or a `constant:`."
            ],
        ),
        (
            "resources",
            "  metric: { constant: cpu }\n",
            expect![
                "m.yaml:6:3: fields: found no `value`; expected one; every event needs it. Add `value: { column: … }` or a `constant:`."
            ],
        ),
        (
            "scores",
            "  metric: { constant: m }\n",
            expect![
                "m.yaml:6:3: fields: found no `value`; expected one, or `good` and `total`; every score needs it. Add `value: { column: … }` or a `constant:`."
            ],
        ),
        (
            "scores",
            "  metric: { constant: m }\n  good: { column: g }\n",
            expect![
                "m.yaml:6:3: fields: found no `total`; expected one beside `good`. Add `total: { column: … }` or a `constant:`."
            ],
        ),
        (
            "scores",
            "  metric: { constant: m }\n  total: { column: g }\n",
            expect![
                "m.yaml:6:3: fields: found no `good`; expected one beside `total`. Add `good: { column: … }` or a `constant:`."
            ],
        ),
        (
            "scores",
            "  metric: { constant: '' }\n",
            expect![
                "m.yaml:8:23: fields.metric.constant: found ``; expected a value of metric. It is empty; expected the name of a metric."
            ],
        ),
        (
            "resources",
            "  metric: { constant: m }\n  value: { column: v, optional: true }\n",
            expect![
                "m.yaml:9:33: fields.value.optional: found `true`; expected a value in every row, since every event needs it. Remove it, or use a `constant:`."
            ],
        ),
        (
            "resources",
            "  metric: { constant: m }\n  value: { column: v, scale: 5% }\n",
            expect![
                "m.yaml:9:30: fields.value.scale: found `5%`; expected a decimal number above 0, or a fraction such as `1/1048576`. For a percentage write `scale: 0.01`."
            ],
        ),
        (
            "requests",
            "  status: { column: v, scale: 2 }\n",
            expect![
                "m.yaml:8:31: fields.status.scale: found `2`; expected no `scale:`, since status is no decimal number. Remove it."
            ],
        ),
        (
            "requests",
            "  attributes: { column: v }\n",
            expect![
                "m.yaml:8:3: fields: found the unknown key `attributes`; expected the name of one attribute. Write `attributes.plan: { … }`, a line for each attribute."
            ],
        ),
        (
            "requests",
            "  attributes.: { column: v }\n",
            expect![
                "m.yaml:8:3: fields: found the unknown key `attributes.`; expected the name of an attribute behind `attributes.`. Write `attributes.plan:`, or its name."
            ],
        ),
        (
            "requests",
            "  plan: { column: v }\n",
            expect![
                "m.yaml:8:3: fields: found the unknown key `plan`; expected one of `ts`, `service`, `event_id`, `tenant`, `route`, `method`, `status`, `ok`, `latency_us`, `version`, `environment`, `region`, `trace_id`, `attributes.NAME`. To keep it as a text, write `attributes.plan:`."
            ],
        ),
        (
            "requests",
            "  route: { from: row }\n",
            expect![
                "m.yaml:8:18: fields.route.from: found `row`; expected `file_name`. Values that stand in the row have a `column:`."
            ],
        ),
        (
            "resources",
            "  metric: { constant: m }\n  value: { column: v }\nexpand: { requests: { column: n }, spread: 60s }\n",
            expect![
                "m.yaml:10:9: expand: found `expand` for resources; expected `event: requests`. Remove it: only requests are counted by the row."
            ],
        ),
    ];
    for (event, fields, expected) in table {
        match Mapping::from_yaml("m.yaml", &text(event, fields)) {
            Ok(_) => panic!("no mistake was found: {event} {fields}"),
            Err(error) => expected.assert_eq(&error.to_string()),
        }
    }
}
