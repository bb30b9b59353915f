//! A set of files → the lines that say what is wrong with them.

use expect_test::Expect;
use streamgauge_definitions::Definitions;

/// Every mistake, a line each; or that there is none.
pub fn shown(files: &[(&str, &str)]) -> String {
    let schema_file = |_: &str, name: &str| match name {
        "known.avsc" => Ok(SCHEMA.to_owned()),
        "other.avsc" => Ok(r#"{"type":"record","name":"Other","fields":[{"name":"ts","type":"long"}]}"#.to_owned()),
        "broken.avsc" => Ok("{".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    match Definitions::read(files.iter().copied(), &schema_file) {
        Ok(_) => "valid\n".to_owned(),
        Err(mistakes) => mistakes.iter().map(|mistake| format!("{mistake}\n")).collect(),
    }
}

/// What a request must hold, and nothing else.
pub const SCHEMA: &str =
    r#"{"type":"record","name":"Least","fields":[{"name":"ts","type":"long"},{"name":"service","type":"string"}]}"#;

#[track_caller]
pub fn check(text: &str, expected: Expect) {
    expected.assert_eq(&shown(&[("slis.yaml", text.trim_start())]));
}

pub const SERVICE: &str = "
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
spec: {}
";

/// An SLI of the declared service `checkout` by the lines of its metric source's `spec`, which begin at line 15 in
/// column 11; slices are judged if it has one.
#[track_caller]
pub fn check_spec(spec: &str, expected: Expect) {
    let lines: Vec<String> = spec
        .trim()
        .lines()
        .map(|line| format!("          {}", line.strip_prefix("        ").unwrap_or(line)))
        .collect();
    let source = "      metricSource:\n        type: streamgauge\n        spec:";
    let metric = if spec.contains("slice:") {
        // Comments, so that both forms have their lines at the same place.
        format!("  # Slices of time are judged.\n  #\n  #\n  thresholdMetric:\n{source}")
    } else {
        format!("  ratioMetric:\n    counter: true\n    rawType: success\n    raw:\n{source}")
    };
    let head = "apiVersion: openslo/v1\nkind: SLI\nmetadata: {name: tested}\nspec:";
    let text = format!("{}---\n{head}\n{metric}\n{}\n", SERVICE.trim_start(), lines.join("\n"));
    expected.assert_eq(&shown(&[("slis.yaml", &text)]));
}
