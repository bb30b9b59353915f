//! Examples in documents are run: a page that shows definitions, events and commands shows what these commands print.
//!
//! A `yaml` block becomes slis.yaml, a `jsonl` block events.jsonl, or the file whose name stands behind that word; each
//! `console` block is one command behind `$ ` and its output. UPDATE_EXPECT=1 writes the outputs anew.

use std::path::Path;
use std::process::Command;

use crate::commands::{program, read, root};

const PAGES: [&str; 11] = [
    "docs/first-sli.md",
    "docs/slo.md",
    "docs/gate.md",
    "docs/sli/availability.md",
    "docs/sli/latency-threshold.md",
    "docs/sli/latency-percentile.md",
    "docs/sli/quality-score.md",
    "docs/sli/traffic.md",
    "docs/sli/saturation.md",
    "docs/sli/freshness.md",
    "docs/sli/audit-ratio.md",
];

/// The text between the fences of a block, by its place in the page.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<(usize, &'p str)> {
    let fence = format!("```{language}\n");
    let starts = page.match_indices(&fence).map(|(at, _)| at + fence.len());
    starts.filter_map(|start| Some((start, &page[start..start + page[start..].find("```\n")?]))).collect()
}

/// The fences of blocks that are files, with the names of these.
fn files(page: &str) -> Vec<(String, String)> {
    let fences = page.lines().filter_map(|line| line.strip_prefix("```"));
    let name = |fence: &str| match fence.split_once(' ') {
        Some(("yaml" | "jsonl" | "csv", name)) => Some(name.to_owned()),
        _ if fence == "yaml" => Some("slis.yaml".to_owned()),
        _ if fence == "jsonl" => Some("events.jsonl".to_owned()),
        _ => None,
    };
    fences.filter_map(|fence| Some((fence.to_owned(), name(fence)?))).collect()
}

/// What a command prints, on both streams, in the directory of the example.
fn output_of(command: &str, directory: &Path) -> String {
    let words: Vec<String> = command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
    let program = program(&words[0]).unwrap_or_else(|| panic!("{command}: not one of our programs"));
    let output = Command::new(program).args(&words[1..]).current_dir(directory).output();
    let output = output.unwrap_or_else(|error| panic!("{command}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// The page with the outputs that its commands really have.
fn played(page: &str) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for (language, file) in files(page) {
        let (_, text) = blocks(page, &language).into_iter().next().expect("found by its fence");
        std::fs::write(directory.path().join(file), text).expect("the temporary directory can be written to");
    }
    let mut played = String::new();
    let mut at = 0;
    for (start, block) in blocks(page, "console") {
        let line = block.lines().next().unwrap_or_default();
        let Some(command) = line.strip_prefix("$ ") else { panic!("{line:?} does not begin with `$ `") };
        let output = output_of(command, directory.path());
        let output: Vec<&str> = output.lines().map(str::trim_end).collect();
        played += &page[at..start];
        played += &std::iter::once(line).chain(output).map(|line| format!("{line}\n")).collect::<String>();
        at = start + block.len();
    }
    played + &page[at..]
}

#[test]
fn pages_show_what_their_commands_print() {
    for file in PAGES {
        let page = read(file);
        let played = played(&page);
        assert!(!blocks(&page, "console").is_empty(), "{file} runs nothing");
        if page != played && std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(root().join(file), played).unwrap_or_else(|error| panic!("{file}: {error}"));
        } else {
            assert_eq!(page, played, "{file}: UPDATE_EXPECT=1 writes the outputs anew");
        }
    }
}

#[test]
fn every_page_about_an_sli_is_run() {
    let directory = root().join("docs/sli");
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for file in files {
        let name = file.expect("the directory can be read").file_name().to_string_lossy().into_owned();
        assert!(PAGES.contains(&format!("docs/sli/{name}").as_str()), "docs/sli/{name} is not run by this test");
    }
}
