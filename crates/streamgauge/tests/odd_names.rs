//! Names come from events, and so from anybody: results name them as they are.

use std::process::Command;

#[test]
fn names_with_control_characters_stay_apart_in_json() {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let (input, out) = (directory.path().join("scores.jsonl"), directory.path().join("out"));
    let names = ["ab", "a\\u007fb"];
    let line = |name| format!("{{\"ts\":1767571200000000,\"service\":\"{name}\",\"metric\":\"m\",\"value\":1}}\n");
    std::fs::write(&input, names.map(line).concat()).expect("a file");
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_streamgauge")).args(args).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (input, out) = (input.to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
    run(&["backfill", "--event", "score", "--input", input, "--out", out]);
    let json = run(&["windows", "--input", out, "--window", "1m", "--json"]);
    let found: Vec<String> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["labels"]["service"].to_string())
        .collect();
    assert_eq!(found, ["\"ab\"", "\"a\u{7f}b\""]);
}

#[test]
fn names_steer_no_terminal() {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let (input, out) = (directory.path().join("requests.jsonl"), directory.path().join("out"));
    let line = "{\"ts\":1767571200000000,\"service\":\"a\\u001b[2Jb\\u009b\",\"route\":\"/\\r\\n\"}\n";
    std::fs::write(&input, line).expect("a file");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        let output = command.args(args).env("CLICOLOR_FORCE", "1").output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (input, out) = (input.to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
    run(&["backfill", "--event", "request", "--input", input, "--out", out]);
    let table = run(&["windows", "--input", out, "--by", "service,route"]);
    assert!(table.contains(r"a\u{1b}[2Jb\u{9b}") && table.contains(r"/\r\n"), "{table}");
    assert!(!table.contains("\u{1b}[2J") && !table.contains('\u{9b}') && !table.contains('\r'), "{table}");
}
