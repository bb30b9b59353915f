//! Every file of data or configuration is parsed by a test: here by its grammar, and by its meaning where [`MEANINGS`]
//! says.

use serde_json::Value;

use crate::tree;

/// Where files of data and configuration may lie, and the test that knows what they mean.
const MEANINGS: [(&str, &str); 9] = [
    ("schemas/topics/", "crates/events/tests/schemas.rs"),
    ("schemas/", "tests/tests/house/example_files.rs"),
    ("examples/mappings/", "crates/mapping/tests/examples.rs"),
    ("examples/scenarios/", "crates/synthetic/tests/scenarios.rs"),
    ("examples/definitions/", "crates/streamgauge/tests/docs/docker.rs"),
    ("docker/", "crates/streamgauge/tests/docs/docker.rs"),
    ("benches/runs/", "tests/tests/house/shipped_files.rs"),
    ("crates/streamgauge/src/dashboard/", "crates/streamgauge/src/dashboard/tests.rs"),
    ("crates/windows/tests/fixtures/", "crates/windows/tests/slices/oracle.rs"),
];

#[test]
fn every_file_of_data_has_a_test_that_knows_its_meaning() {
    for file in tree::files_in("", &[".yaml", ".yml", ".json", ".jsonl", ".avsc"]) {
        let Some((_, test)) = MEANINGS.iter().find(|(directory, _)| file.starts_with(directory)) else {
            panic!("{file} lies where no test looks: add one, and name it in MEANINGS");
        };
        assert!(tree::root().join(test).is_file(), "{test}, which should know {file}, does not exist");
    }
}

#[test]
fn every_json_and_yaml_file_can_be_parsed() {
    for file in tree::files_in("", &[".json", ".avsc"]) {
        serde_json::from_str::<Value>(&tree::read(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    for file in tree::files_in("", &[".jsonl"]).iter().filter(|file| !file.contains(".rejected.")) {
        for (index, line) in tree::read(file).lines().enumerate() {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{file}:{}: {error}", index + 1));
        }
    }
    for file in tree::files_in("", &[".yaml", ".yml"]) {
        let text = tree::read(&file);
        for document in text.split("\n---\n") {
            serde_saphyr::from_str::<Value>(document).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
    }
}

#[test]
fn scripts_can_be_run_and_have_no_syntax_errors() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut scripts = tree::files_in("scripts/", &[""]);
    scripts.extend(tree::files_in("examples/", &[".sh"]));
    scripts.extend(tree::files_in("docker/", &[".sh"]));
    scripts.push(".ci/run".to_owned());
    for script in scripts {
        let path = tree::root().join(&script);
        let text = tree::read(&script);
        assert!(text.starts_with("#!/"), "{script} has no #! line");
        let mode = path.metadata().expect("it was just read").permissions().mode();
        assert!(mode & 0o111 != 0, "{script} is not executable: git update-index --chmod=+x {script}");
        if text.starts_with("#!/usr/bin/env bash") || text.starts_with("#!/bin/bash") {
            let parsed = std::process::Command::new("bash").arg("-n").arg(&path).output().expect("bash can be run");
            assert!(parsed.status.success(), "{script}: {}", String::from_utf8_lossy(&parsed.stderr));
        }
    }
}
