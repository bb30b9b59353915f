//! No document names what does not exist: links, paths, types and functions are looked up. Commands and their flags are
//! checked in `crates/streamgauge/tests/docs/`, where the binaries are.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree;

/// First parts of paths that a document may name.
const PLACES: [&str; 9] =
    ["crates/", "docs/", "schemas/", "examples/", "scripts/", "docker/", "tests/", "benches/", ".ci/"];

struct Document {
    file: String,
    lines: Vec<Line>,
}

struct Line {
    number: usize,
    text: String,
    /// Inside ``` fences.
    is_code: bool,
}

fn documents() -> Vec<Document> {
    let read = |file: String| {
        let mut is_code = false;
        let mut lines = Vec::new();
        for (index, text) in tree::read(&file).lines().enumerate() {
            let is_fence = text.trim_start().starts_with("```");
            is_code ^= is_fence;
            if !is_fence {
                lines.push(Line { number: index + 1, text: text.to_owned(), is_code });
            }
        }
        Document { file, lines }
    };
    tree::files_in("", &[".md"]).into_iter().map(read).collect()
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

/// Text between backticks.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(file: &str) -> BTreeSet<String> {
    tree::read(file)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

/// `docs/../README.md` is `README.md`.
fn resolved(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[track_caller]
fn assert_none(wrong: Vec<String>, what: &str) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for document in documents() {
        for line in document.lines.iter().filter(|line| !line.is_code) {
            for link in links(&line.text) {
                if link.contains("://") || link.starts_with("mailto:") {
                    continue;
                }
                let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
                let target = if path.is_empty() { document.file.clone() } else { resolved(&document.file, path) };
                let exists = tree::root().join(&target).exists();
                if !exists || (!fragment.is_empty() && target.ends_with(".md") && !anchors(&target).contains(fragment))
                {
                    wrong.push(format!("{}:{}: {link}", document.file, line.number));
                }
            }
        }
    }
    assert_none(wrong, "links to what does not exist");
}

#[test]
fn paths_exist() {
    let mut wrong = Vec::new();
    for document in documents() {
        for line in &document.lines {
            let texts = if line.is_code { vec![line.text.as_str()] } else { spans(&line.text) };
            for word in texts.iter().flat_map(|text| text.split([' ', ',', '=', '(', ')', '"', '\'', ';'])) {
                let word = word.strip_prefix("./").unwrap_or(word).trim_end_matches(['.', ':', '/']);
                if PLACES.iter().any(|place| word.starts_with(place)) && !exists(word) {
                    wrong.push(format!("{}:{}: {word}", document.file, line.number));
                }
            }
        }
    }
    assert_none(wrong, "paths that do not exist");
}

/// A path, perhaps with `*` in its last part: then something must match.
fn exists(path: &str) -> bool {
    match path.split_once('*') {
        None => tree::root().join(path).exists(),
        Some((before, after)) => tree::files().iter().any(|file| {
            file.strip_prefix(before)
                .is_some_and(|rest| after.trim_matches('*').split('*').all(|part| rest.contains(part)))
        }),
    }
}

/// `Name` and `Name::name` in documents are types of ours, with such a function, field or variant.
#[test]
fn types_and_functions_exist() {
    let sources: BTreeMap<String, String> =
        tree::files_in("", &[".rs"]).into_iter().map(|file| (file.clone(), tree::read(&file))).collect();
    let is_type = |name: &str| {
        let kinds = ["struct", "enum", "trait", "type"];
        let declared = |text: &String| kinds.iter().any(|kind| has_word_after(text, &format!("{kind} "), name));
        sources.values().any(declared)
    };
    let has_member = |name: &str, member: &str| {
        let in_file = |text: &&String| has_word(text, name);
        sources.values().filter(in_file).any(|text| {
            has_word_after(text, "fn ", member)
                || text.contains(&format!("{member}:"))
                || has_word_after(text, "    ", member)
        })
    };
    let mut wrong = Vec::new();
    for document in documents() {
        for line in document.lines.iter().filter(|line| !line.is_code) {
            for span in spans(&line.text) {
                let name = span.trim_end_matches("()");
                let Some((first, member)) = name.split_once("::") else { continue };
                let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
                if !is_name(first) || !is_name(member) || !first.starts_with(char::is_uppercase) {
                    continue;
                }
                if !is_type(first) || !has_member(first, member) {
                    wrong.push(format!("{}:{}: {span}", document.file, line.number));
                }
            }
        }
    }
    assert_none(wrong, "types or functions that do not exist");
}

fn has_word(text: &str, word: &str) -> bool {
    has_word_after(text, "", word)
}

/// Whether `word` stands behind `before`, and ends there.
fn has_word_after(text: &str, before: &str, word: &str) -> bool {
    let wanted = format!("{before}{word}");
    text.match_indices(&wanted).any(|(at, _)| {
        let next = text[at + wanted.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[test]
fn the_documents_are_those_that_the_index_lists() {
    let index = tree::read("docs/README.md");
    for file in tree::files_in("docs/", &[".md"]) {
        let name = file.trim_start_matches("docs/");
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "docs/README.md does not list {file}");
    }
}

#[test]
fn the_architecture_maps_every_crate() {
    let text = tree::read("ARCHITECTURE.md");
    for file in tree::files_in("crates/", &["Cargo.toml"]) {
        let name = file.trim_end_matches("/Cargo.toml");
        assert!(text.contains(&format!("`{name}`")), "ARCHITECTURE.md does not say what {name} is for");
    }
}

/// Help texts and comments send people to documents, too.
#[test]
fn documents_named_in_sources_exist() {
    let mut wrong = Vec::new();
    for file in tree::files_in("", &[".rs", ".yaml", ".sh"]) {
        for (index, line) in tree::read(&file).lines().enumerate() {
            for rest in line.split("docs/").skip(1) {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || "-_.".contains(*c)).collect();
                let document = format!("docs/{}", name.trim_end_matches('.'));
                if name.contains(".md") && !tree::root().join(&document).is_file() {
                    wrong.push(format!("{file}:{}: {document}", index + 1));
                }
            }
        }
    }
    assert_none(wrong, "documents that do not exist");
}

/// A path of one machine in a file helps nobody elsewhere.
#[test]
fn no_file_names_a_directory_of_this_machine() {
    let directories = [concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/")];
    let mut wrong = Vec::new();
    for file in tree::files() {
        // What is no text names nothing to anybody.
        let Ok(text) = std::fs::read_to_string(tree::root().join(&file)) else { continue };
        for (index, line) in text.lines().enumerate() {
            if directories.iter().any(|directory| line.contains(directory)) {
                wrong.push(format!("{file}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert_none(wrong, "files that name a directory of somebody's machine");
}
