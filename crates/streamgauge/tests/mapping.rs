//! `streamgauge mapping` from outside: what it prints, and the codes that it ends with.

use std::path::Path;
use std::process::Command;

use expect_test::{Expect, expect};

const ROWS: &str = "time,service,took_ms,code\n1661140279,shop,12.5,200\n1661140280,shop,x,200\n1661140281,,3,200\n";

/// What `streamgauge mapping` says: the exit code, then standard output and standard error.
fn run(directory: &Path, arguments: &[&str]) -> String {
    run_program(directory, &[&["mapping"], arguments].concat())
}

fn run_program(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("our programs can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    format!("{code}\n{}---\n{}", text(&output.stdout), text(&output.stderr))
}

fn check(directory: &Path, arguments: &[&str], expected: Expect) {
    expected.assert_eq(&run(directory, arguments));
}

#[test]
fn a_mapping_is_proposed_tried_out_and_corrected() {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let at = directory.path();
    std::fs::write(at.join("rows.csv"), ROWS).expect("a place for temporary files");
    check(
        at,
        &["infer", "rows.csv", "--out", "m.yaml"],
        expect![[r#"
            0
            ---
            3 rows tried, 1 records refused; the others become requests
            to check: latency_us
            look at what it makes of the rows: streamgauge mapping test --mapping m.yaml rows.csv
        "#]],
    );
    check(
        at,
        &["infer", "rows.csv", "--out", "m.yaml"],
        expect![[r#"
        2
        ---
        streamgauge: couldn't write m.yaml: File exists (os error 17). Choose another --out.
    "#]],
    );
    check(
        at,
        &["infer", "nothing.csv"],
        expect![[r#"
        1
        ---
        streamgauge: couldn't open nothing.csv: No such file or directory (os error 2)
    "#]],
    );
    let mapping = "apiVersion: streamgauge/v1\nkind: Mapping\nevent: requests\nformat: csv\nfields:\n  \
                   ts: { column: time, format: epoch_s }\n  service: { column: service }\n  \
                   latency_us: { column: took_ms, unit: ms }\n";
    std::fs::write(at.join("m.yaml"), mapping).expect("a place for temporary files");
    check(
        at,
        &["test", "--mapping", "m.yaml", "rows.csv"],
        expect![[r#"
        1
        2: 1661140279,shop,12.5,200
           becomes {"ts":1661140279000000,"service":"shop","latency_us":12500}
        3: 1661140280,shop,x,200
           fails: latency_us: column `took_ms` is `x`, which is not a decimal number; expected a duration in ms
           remedy: `extract` takes a number out of a longer text; `null_values` names what stands for none
        4: 1661140281,,3,200
           fails: service: column `service` is ``, which stands for no value; expected a value in every row
           remedy: say `optional: true`, unless every event needs the field; `null_values` names what stands for none
        3 rows: 1 events, 0 without any, 2 failed
          1: latency_us: column `took_ms` is …, which is not a decimal number; expected a duration in ms
          1: service: column `service` is …, which stands for no value; expected a value in every row
        ---
    "#]],
    );
    check(
        at,
        &["test", "--mapping", "m.yaml", "rows.csv", "--rows", "1"],
        expect![[r#"
        0
        2: 1661140279,shop,12.5,200
           becomes {"ts":1661140279000000,"service":"shop","latency_us":12500}
        1 rows: 1 events, 0 without any, 0 failed
        ---
    "#]],
    );
    check(
        at,
        &["test", "--mapping", "m.yaml", "rows.csv", "--failed", "--json"],
        expect![[r#"
        1
        {"failure":"latency_us: column `took_ms` is `x`, which is not a decimal number; expected a duration in ms","line":3,"remedy":"`extract` takes a number out of a longer text; `null_values` names what stands for none","row":"1661140280,shop,x,200"}
        {"failure":"service: column `service` is ``, which stands for no value; expected a value in every row","line":4,"remedy":"say `optional: true`, unless every event needs the field; `null_values` names what stands for none","row":"1661140281,,3,200"}
        {"counts":{"blank":0,"empty":0,"events":1,"failed":2,"reasons":{"latency_us: column `took_ms` is …, which is not a decimal number; expected a duration in ms":1,"service: column `service` is …, which stands for no value; expected a value in every row":1},"records":3,"rows":3}}
        ---
    "#]],
    );
    std::fs::write(at.join("m.yaml"), mapping.replace("took_ms", "took")).expect("a place for temporary files");
    check(
        at,
        &["test", "--mapping", "m.yaml", "rows.csv"],
        expect![[r#"
        2
        ---
        streamgauge: rows.csv:1: no column `took`, which m.yaml asks for; the header has: `time`, `service`, `took_ms`, `code`. Did you mean `took_ms`?
    "#]],
    );
    std::fs::write(at.join("m.yaml"), mapping.replace("unit", "unti")).expect("a place for temporary files");
    check(
        at,
        &["test", "--mapping", "m.yaml", "rows.csv"],
        expect![[r#"
        2
        ---
        streamgauge: m.yaml:8:34: fields.unti: found the unknown key `unti`; expected one of `column`, `pointer`, `group`, `cell`, `from`, `constant`, `extract`, `unit`, `scale`, `format`, `timezone`, `epoch_base`, `map`, `optional`, `null_values`. Did you mean `unit`?
    "#]],
    );
}

/// One damaged time of 200 costs one row, and the proposal says which.
#[test]
fn one_damaged_value_is_told_and_costs_one_row() {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let at = directory.path();
    let row = |index: u32| match index {
        77 => "yesterday,shop,200,1.5\n".to_owned(),
        _ => format!("2023-05-01T10:00:{:02}Z,shop,{},1.5\n", index % 60, if index % 20 == 3 { 500 } else { 200 }),
    };
    let rows: String = (0..200).map(row).collect();
    std::fs::write(at.join("rows.csv"), format!("time,service,status,latency_ms\n{rows}"))
        .expect("a place for temporary files");
    check(
        at,
        &["infer", "rows.csv", "--out", "m.yaml"],
        expect![[r#"
        0
        ---
        200 rows tried, 1 records refused; the others become requests
        to check: ts
        look at what it makes of the rows: streamgauge mapping test --mapping m.yaml rows.csv
    "#]],
    );
    let proposal = std::fs::read_to_string(at.join("m.yaml")).expect("a proposal");
    expect![[r#"
        # Proposed from 200 rows of rows.csv. Read it before you use it: FILL IN marks what the file doesn't
        # tell, CHECK what was guessed, or doesn't hold of every row.
        # - events are requests: `latency_ms` is something that requests have; --event says otherwise
        apiVersion: streamgauge/v1
        kind: Mapping
        event: requests
        format: csv
        fields:
          # Times: nearly all fit. CHECK: 1 of 200 sampled values doesn't fit: `yesterday` is not a time in this format
          ts: { column: time, format: rfc3339 }
          # By the name
          service: { column: service }
          # By the name, and all are integers from 0 to 999
          status: { column: status }
          # A duration: `ms` by the name
          latency_us: { column: latency_ms, unit: ms }
    "#]]
    .assert_eq(&proposal);
    check(
        at,
        &["test", "--mapping", "m.yaml", "rows.csv", "--failed"],
        expect![[r#"
        1
        79: yesterday,shop,200,1.5
           fails: ts: column `time` is `yesterday`, which is not a time by RFC 3339, such as 2022-08-22T04:03:00.5Z
           remedy: correct `format`; `extract` takes a time out of a longer text
        200 rows: 199 events, 0 without any, 1 failed
          1: ts: column `time` is …, which is not a time by RFC 3339, such as 2022-08-22T04:03:00.5Z
        ---
    "#]],
    );
}

/// What the file doesn't tell is refused by every command that reads the mapping, before anything is written or sent.
#[test]
fn a_mapping_with_placeholders_is_refused_by_every_command() {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let at = directory.path();
    std::fs::write(at.join("rows.csv"), "when,latency_ms\nnoon,5\nlater,7\n").expect("a place for temporary files");
    check(
        at,
        &["infer", "rows.csv", "--out", "m.yaml"],
        expect![[r#"
        0
        ---
        2 rows tried, 0 records refused; the others become requests, once the mapping is filled in
        to fill in: ts, service
        look at what it makes of the rows: streamgauge mapping test --mapping m.yaml rows.csv
    "#]],
    );
    let refused = expect![[r#"
        2
        ---
        streamgauge: m.yaml:10:19: fields.ts.constant: found `FILL_IN_TIME`; expected a value of ts; `mapping infer` left it open. Write `{ column: …, format: … }`, where the times stand and how they are written, or one instant for all rows.
    "#]];
    for arguments in [
        &["mapping", "test", "--mapping", "m.yaml", "rows.csv"][..],
        &["backfill", "--mapping", "m.yaml", "--input", "rows.csv", "--out", "out"],
        &["import", "--mapping", "m.yaml", "--input", "rows.csv"],
    ] {
        refused.assert_eq(&run_program(at, arguments));
    }
    assert!(!at.join("out").exists(), "nothing was written");
    let proposal = std::fs::read_to_string(at.join("m.yaml")).expect("a proposal");
    let with_time = proposal.replace("FILL_IN_TIME", "\"2024-01-01T00:00:00Z\"");
    std::fs::write(at.join("m.yaml"), with_time).expect("a place for temporary files");
    check(
        at,
        &["test", "--mapping", "m.yaml", "rows.csv"],
        expect![[r#"
        2
        ---
        streamgauge: m.yaml:12:24: fields.service.constant: found `FILL_IN_SERVICE`; expected a value of service; `mapping infer` left it open. Write what it is, or `column: …` in place of `constant: …` where the rows say it.
    "#]],
    );
}

/// A row that stands for many requests is shown by its first events.
#[test]
fn a_row_of_many_events_is_shortened() {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let at = directory.path();
    std::fs::write(at.join("rows.csv"), "t,n\n100,5\n200,0\n").expect("a place for temporary files");
    let mapping = "apiVersion: streamgauge/v1\nkind: Mapping\nevent: requests\nformat: csv\nfields:\n  \
                   ts: { column: t, format: epoch_s }\n  service: { constant: s }\n\
                   expand: { requests: { column: n }, spread: 10s }\n";
    std::fs::write(at.join("m.yaml"), mapping).expect("a place for temporary files");
    check(
        at,
        &["test", "--mapping", "m.yaml", "rows.csv"],
        expect![[r#"
        0
        2: 100,5
           becomes {"ts":100000000,"service":"s"}
           becomes {"ts":102000000,"service":"s"}
           becomes {"ts":104000000,"service":"s"}
           and 2 more
        2 rows: 5 events, 1 without any, 0 failed
        ---
    "#]],
    );
}
