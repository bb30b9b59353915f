//! Small files whose rows are wide, or whose names stand in several header rows: what each row becomes.

use std::io::Cursor;

use expect_test::{Expect, expect};
use streamgauge_mapping::{MappedFile, Mapping};

/// One line for each record, then the counts.
fn check(body: &str, input: &str, expected: Expect) {
    let text = format!("apiVersion: streamgauge/v1\nkind: Mapping\n{body}");
    let mapping = Mapping::from_yaml("mapping.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
    let mut shown = Vec::new();
    match MappedFile::from_reader("data/pod-1.csv", Cursor::new(input.as_bytes().to_vec()), &mapping) {
        Err(error) => shown.push(error.to_string()),
        Ok(mut file) => {
            for record in &mut file {
                let record = record.unwrap_or_else(|error| panic!("{error}"));
                shown.push(match record.event {
                    Ok(event) => format!("{} {}", record.line, String::from_utf8_lossy(&event.to_json())),
                    Err(rejection) => format!("{} {rejection}", record.line),
                });
            }
            shown.push(format!("{:?}", file.counts()));
        }
    }
    expected.assert_eq(&shown.join("\n"));
}

/// The form of the shop's table: three rows of names, one of an index, wide.
const SHOP: &str = r"
event: requests
format: csv
csv: { header_rows: 4, name_rows: [1, 2, 3] }
unpivot:
  pattern: '^(?<service>.+)\|(?<cell>requests|availability)\|(?:Sum|Average)$'
fields:
  ts: { column: 'service|metric|statistic', format: epoch_s }
  service: { group: service }
expand:
  requests: { cell: requests }
  good_ratio: { cell: availability, scale: 0.01 }
  spread: 10s
";

const SHOP_HEADER: &str = "service,Pet|Site,Pet|Site,db,Pet|Site,db
metric,latency,requests,requests,availability,availability
statistic,Average,Sum,Sum,Average,Average
time,,,,,
";

#[test]
fn a_wide_row_becomes_the_requests_of_each_service() {
    check(
        SHOP,
        &format!("{SHOP_HEADER}100.0,0.2,3.0,2,66.7,100\n200,0.2,0,,,\n300,0.2,1,,,\n400,0.2,1\nnoon,1,1,1,1,1\n"),
        expect![[r#"
            5 {"ts":100000000,"service":"Pet|Site","ok":false}
            5 {"ts":103333333,"service":"Pet|Site","ok":true}
            5 {"ts":106666666,"service":"Pet|Site","ok":true}
            5 {"ts":100000000,"service":"db","ok":true}
            5 {"ts":105000000,"service":"db","ok":true}
            7 unmapped: service `Pet|Site`: expand.good_ratio: cell `availability` is ``, which stands for no value; expected a value in every row
            8 unmapped: the row has 3 fields; expected 6, as in the header
            9 unmapped: service `Pet|Site`: ts: column `service|metric|statistic` is `noon`, which is not a decimal number
            9 unmapped: service `db`: ts: column `service|metric|statistic` is `noon`, which is not a decimal number
            Counts { rows: 5, records: 9, blank: 0, rejected: 4, empty: 3, events: 5 }"#]],
    );
}

#[test]
fn header_rows_must_spell_what_the_mapping_asks_for() {
    check(
        SHOP,
        "service,a,b\nmetric,requests,errors\nstatistic,Sum,Sum\ntime,,\n",
        expect![
            "data/pod-1.csv:1: no column holds the cell `availability`, which mapping.yaml asks for; the header has: `service|metric|statistic`, `a|requests|Sum`, `b|errors|Sum`. The cells of this file are `requests`."
        ],
    );
    check(
        SHOP,
        "service,a\nmetric,errors\nstatistic,Sum\n",
        expect![[
            r"data/pod-1.csv:1: no column that matches `^(?<service>.+)\|(?<cell>requests|availability)\|(?:Sum|Aver…`, which mapping.yaml asks for; the header has: `service|metric|statistic`, `a|errors|Sum`. Does the pattern fit the names as they are joined from all name rows?"
        ]],
    );
    check(SHOP, "", expect!["Counts { rows: 0, records: 0, blank: 0, rejected: 0, empty: 0, events: 0 }"]);
}

#[test]
fn columns_become_samples_each_with_its_scale() {
    check(
        "
event: resources
format: csv
unpivot:
  columns:
    'Cpu(%)': { metric: cpu_ratio, scale: 0.01 }
    Memory: { metric: memory_mebibytes, scale: 1/1048576 }
    Threads: { metric: threads }
fields:
  ts: { column: time, format: epoch_s }
  service: { constant: shop }
  instance: { from: file_name, extract: '^[^.]+' }
  metric: { group: metric }
  value: { cell: value }
",
        "Threads,time,Cpu(%),Memory\n7,100,12.5,1572864\n,200,1,\n,300,,\nmany,400,50,1\n",
        expect![[r#"
            2 {"ts":100000000,"service":"shop","metric":"threads","instance":"pod-1","value":7}
            2 {"ts":100000000,"service":"shop","metric":"cpu_ratio","instance":"pod-1","value":0.125}
            2 {"ts":100000000,"service":"shop","metric":"memory_mebibytes","instance":"pod-1","value":1.5}
            3 {"ts":200000000,"service":"shop","metric":"cpu_ratio","instance":"pod-1","value":0.01}
            5 unmapped: metric `threads`: value: cell `value` is `many`, which is not a decimal number
            5 {"ts":400000000,"service":"shop","metric":"cpu_ratio","instance":"pod-1","value":0.5}
            5 {"ts":400000000,"service":"shop","metric":"memory_mebibytes","instance":"pod-1","value":0.000001}
            Counts { rows: 4, records: 12, blank: 0, rejected: 1, empty: 5, events: 6 }"#]],
    );
}

/// A column may be read for itself and as a cell, and quoted cells may own their text.
#[test]
fn a_column_may_serve_twice() {
    check(
        "
event: scores
format: csv
unpivot: { pattern: '^(?<metric>[a-z]+)_score$' }
fields:
  ts: { column: t, format: epoch_s }
  service: { constant: s }
  metric: { group: metric }
  value: { cell: value }
  attributes.first: { column: good_score }
",
        "t,good_score,kind_score\n1,\"0.5\",\"0.\"\"5\"\n",
        expect![[r#"
            2 {"ts":1000000,"service":"s","metric":"good","value":0.5,"attributes":{"first":"0.5"}}
            2 unmapped: metric `kind`: value: cell `value` is `0."5`, which is not a decimal number
            Counts { rows: 1, records: 2, blank: 0, rejected: 1, empty: 0, events: 1 }"#]],
    );
}

#[test]
fn mistakes() {
    let body = |csv: &str, unpivot: &str, value: &str| {
        format!(
            "apiVersion: streamgauge/v1\nkind: Mapping\nevent: resources\nformat: csv\n{csv}\n{unpivot}\nfields:\n  \
             ts: {{ column: t, format: epoch_s }}\n  service: {{ constant: s }}\n  metric: {{ group: metric }}\n  \
             value: {{ {value} }}\n"
        )
    };
    let pattern = "unpivot: { pattern: '^(?<metric>.+)$' }";
    let table = [
        (
            "",
            "",
            "cell: value",
            expect![[
                r#"m.yaml:10:20: fields.metric.group: found `group:`; expected `column:`, which is where values stand in rows of this format. Write `column:` instead of `group:`, or another `format:`."#
            ]],
        ),
        (
            "",
            "unpivot: { pattern: '^(?<name>.+)$' }",
            "cell: value",
            expect![[
                r#"m.yaml:10:20: fields.metric.group: found `metric`; expected one of the parts of the columns' names, `name`. Name a group of `unpivot.pattern`."#
            ]],
        ),
        (
            "",
            pattern,
            "cell: cpu",
            expect![[
                r#"m.yaml:11:18: fields.value.cell: found `cpu`; expected one of `value`. A part `cell` of the columns' names tells several cells of one record apart."#
            ]],
        ),
        (
            "",
            pattern,
            "column: v",
            expect![[
                r#"m.yaml:6:10: unpivot: found no `cell:`; expected a field that reads what stands in the columns. Write `value: { cell: value }`, or the field that it is."#
            ]],
        ),
        (
            "",
            "unpivot: { pattern: '^(.+)$' }",
            "cell: value",
            expect![[
                r#"m.yaml:6:21: unpivot.pattern: found `^(.+)$`; expected a named group, beside `cell`. Write `(?<metric>…)` around what tells the records of a row apart."#
            ]],
        ),
        (
            "",
            "unpivot: { pattern: '^(?<metric>.+$' }",
            "cell: value",
            expect![[
                r#"m.yaml:6:21: unpivot.pattern: found `^(?<metric>.+$`; expected a regular expression. As it stands: found open group without closing ')'."#
            ]],
        ),
        (
            "",
            "unpivot: {}",
            "cell: value",
            expect![[
                r#"m.yaml:6:10: unpivot: found no column; expected one of `pattern`, `columns`. Write `pattern: '^(?<metric>cpu|memory)$'`, or `columns:` with each name and its parts."#
            ]],
        ),
        (
            "",
            "unpivot: { columns: { a: { metric: x }, b: { name: x } } }",
            "cell: value",
            expect![[
                r#"m.yaml:6:44: unpivot.columns.b: found the parts `name`; expected the same parts for every column, and one beside `cell`. Write `b: { metric: cpu }`, or what tells its records apart."#
            ]],
        ),
        (
            "",
            "unpivot: { columns: { a: { metric: x, scale: 1% } } }",
            "cell: value",
            expect![[
                r#"m.yaml:6:46: unpivot.columns.a.scale: found `1%`; expected a decimal number above 0, or a fraction such as `1/1048576`. For a percentage write `scale: 0.01`."#
            ]],
        ),
        (
            "",
            "unpivot: { columns: { a: { metric: x, scale: 2 } } }",
            "cell: value, scale: 2",
            expect![[
                r#"m.yaml:11:32: fields.value.scale: found `2`; expected none beside the scales of the columns. Remove one of them."#
            ]],
        ),
        (
            "csv: { header_rows: 2, name_rows: [1, 3] }",
            pattern,
            "cell: value",
            expect![[
                r#"m.yaml:5:35: csv.name_rows: found [1, 3]; expected some of the 2 header rows, from 1, in their order. Write `csv: { header_rows: 3, name_rows: [1, 2, 3] }`, or the rows that spell the names."#
            ]],
        ),
        (
            "csv: { header_rows: 99, name_rows: [1] }",
            pattern,
            "cell: value",
            expect![[
                r#"m.yaml:5:36: csv.header_rows: found 99 header rows; expected 16 at most. Is that the right number?"#
            ]],
        ),
    ];
    for (csv, unpivot, value, expected) in table {
        match Mapping::from_yaml("m.yaml", &body(csv, unpivot, value)) {
            Ok(_) => panic!("no mistake was found: {unpivot} {value}"),
            Err(error) => expected.assert_eq(&error.to_string()),
        }
    }
    let jsonl = "apiVersion: streamgauge/v1\nkind: Mapping\nevent: resources\nformat: jsonl\nunpivot: { pattern: '^(?<metric>.+)$' }\nfields: {}\n";
    let error = Mapping::from_yaml("m.yaml", jsonl).expect_err("lines of JSON have no columns");
    expect!["m.yaml:5:10: unpivot: found `unpivot`; expected none, by `format`. Remove it: rows of this format have no columns."].assert_eq(&error.to_string());
}
