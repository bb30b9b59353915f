//! `streamgauge mapping` from outside: what it prints, and the codes that it ends with.

use std::path::Path;
use std::process::Command;

use expect_test::{Expect, expect};

const ROWS: &str = "time,service,took_ms,code\n1661140279,shop,12.5,200\n1661140280,shop,x,200\n1661140281,,3,200\n";

/// The exit code, then standard output and standard error.
fn run(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("mapping")
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
    check(at, &["infer", "rows.csv", "--out", "m.yaml"], expect![[r#""#]]);
    check(at, &["infer", "rows.csv", "--out", "m.yaml"], expect![[r#""#]]);
    check(at, &["infer", "nothing.csv"], expect![[r#""#]]);
    let mapping = "apiVersion: streamgauge/v1\nkind: Mapping\nevent: requests\nformat: csv\nfields:\n  \
                   ts: { column: time, format: epoch_s }\n  service: { column: service }\n  \
                   latency_us: { column: took_ms, unit: ms }\n";
    std::fs::write(at.join("m.yaml"), mapping).expect("a place for temporary files");
    check(at, &["test", "--mapping", "m.yaml", "rows.csv"], expect![[r#""#]]);
    check(at, &["test", "--mapping", "m.yaml", "rows.csv", "--rows", "1"], expect![[r#""#]]);
    check(at, &["test", "--mapping", "m.yaml", "rows.csv", "--failed", "--json"], expect![[r#""#]]);
    std::fs::write(at.join("m.yaml"), mapping.replace("took_ms", "took")).expect("a place for temporary files");
    check(at, &["test", "--mapping", "m.yaml", "rows.csv"], expect![[r#""#]]);
    std::fs::write(at.join("m.yaml"), mapping.replace("unit", "unti")).expect("a place for temporary files");
    check(at, &["test", "--mapping", "m.yaml", "rows.csv"], expect![[r#""#]]);
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
    check(at, &["test", "--mapping", "m.yaml", "rows.csv"], expect![[r#""#]]);
}
