//! Layers point down only, and what is pure reaches neither Kafka, HTTP, files nor a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use streamgauge_events::topics;

use crate::tree;

/// What a crate may use of this workspace, layer by layer. Test and bench packages may use everything.
const LAYERS: [(&str, &[&str]); 15] = [
    // ground
    ("events", &[]),
    ("stats", &[]),
    ("predicate", &["events"]),
    ("decode", &["events"]),
    ("slo", &["events"]),
    ("definitions", &["events", "stats", "predicate", "decode", "slo"]),
    // contract
    ("stage", &["events", "stats"]),
    // stages
    ("stage-sli", &["events", "stats", "predicate", "decode", "definitions", "stage"]),
    // reading results, inventing and mapping input
    ("windows", &["events", "stats", "definitions"]),
    ("stage-slo", &["events", "stats", "definitions", "slo", "stage", "windows"]),
    ("synthetic", &["events"]),
    ("mapping", &["events"]),
    // shell
    ("memory-log", &["events", "stage"]),
    ("kafka", &["events", "stage"]),
    (
        "",
        &[
            "events",
            "stats",
            "predicate",
            "decode",
            "definitions",
            "stage",
            "slo",
            "stage-sli",
            "stage-slo",
            "windows",
            "synthetic",
            "mapping",
            "memory-log",
            "kafka",
        ],
    ),
];

/// A function of its input: no Kafka, no HTTP, no files, no clock, no threads, no randomness of the machine's.
const PURE: [&str; 12] = [
    "events",
    "stats",
    "predicate",
    "decode",
    "definitions",
    "stage",
    "slo",
    "stage-sli",
    "stage-slo",
    "windows",
    "synthetic",
    "memory-log",
];

/// Crates by which something pure would reach the world.
const WORLDLY: [&str; 12] = [
    "rdkafka",
    "rdkafka-sys",
    "tokio",
    "axum",
    "hyper",
    "reqwest",
    "tower",
    "mio",
    "socket2",
    "rand",
    "getrandom",
    "chrono",
];

/// Ways that are not taken: apache-avro draws the sync markers of its files at random, and we write no such files.
const NOT_TAKEN: (&str, &str) = ("apache-avro", "rand");

/// The normal dependencies of every package, by name: (ours, foreign or ours, all that is reached).
struct Graph {
    direct: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// By `cargo metadata`. Offline, since whatever was built was fetched; a package that only benches need may be missing.
    fn read() -> Self {
        let metadata = metadata(&["--offline"]).or_else(|_| metadata(&[])).unwrap_or_else(|error| {
            panic!("cargo metadata fails, offline and online (`cargo fetch` loads what is missing):\n{error}")
        });
        let name_of: BTreeMap<&str, &str> =
            array(&metadata["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in array(&metadata["resolve"]["nodes"]) {
            let normal = array(&node["deps"])
                .iter()
                .filter(|dep| array(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()));
            let names = normal.map(|dep| name_of[text(&dep["pkg"])].to_owned());
            direct.entry(name_of[text(&node["id"])].to_owned()).or_default().extend(names);
        }
        Self { direct }
    }

    fn ours(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.direct.iter().filter_map(|(name, direct)| Some((short(name)?, direct)))
    }

    /// A way from a package to another over normal dependencies.
    fn way(&self, from: &str, to: &str) -> Option<String> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut waiting = vec![from];
        while let Some(package) = waiting.pop() {
            if package == to {
                let mut way = vec![package];
                while let Some(before) = came_from.get(way[way.len() - 1]) {
                    way.push(before);
                }
                way.reverse();
                return Some(way.join(" -> "));
            }
            for next in self.direct.get(package).into_iter().flatten() {
                if next != from && (package, next.as_str()) != NOT_TAKEN && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, package);
                    waiting.push(next);
                }
            }
        }
        None
    }
}

fn metadata(more: &[&str]) -> Result<Value, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let rustc = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let host =
        String::from_utf8_lossy(&rustc.stdout).lines().find_map(|line| line.strip_prefix("host: ").map(str::to_owned));
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host.unwrap_or_default()])
        .args(more)
        .current_dir(tree::root())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `streamgauge-stage-sli` is `stage-sli` here, and `streamgauge` is the empty word.
fn short(name: &str) -> Option<&str> {
    match name.strip_prefix("streamgauge")? {
        "" => Some(""),
        rest => rest.strip_prefix('-'),
    }
}

#[test]
fn nothing_pure_reaches_kafka_http_or_an_async_runtime() {
    let graph = Graph::read();
    let mut found = Vec::new();
    for pure in PURE {
        let package = format!("streamgauge-{pure}");
        assert!(graph.direct.contains_key(&package), "{package} is not in the workspace: take it out of PURE");
        found.extend(WORLDLY.iter().filter_map(|worldly| graph.way(&package, worldly)));
    }
    assert!(found.is_empty(), "what must not be reached is reached:\n{}", found.join("\n"));
    // The search finds what is there, or its silence would mean nothing.
    assert!(graph.way("streamgauge-kafka", "rdkafka-sys").is_some());
    assert!(graph.way("streamgauge", "tokio").is_some());
}

#[test]
fn every_stage_is_held_to_purity() {
    for (name, _) in Graph::read().ours() {
        let is_stage = name == "stage" || name.starts_with("stage-");
        assert!(!is_stage || PURE.contains(&name), "streamgauge-{name} is a stage: add it to PURE");
    }
}

#[test]
fn layers_point_down() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    let mut wrong = Vec::new();
    for (name, direct) in Graph::read().ours() {
        if ["tests", "benches"].contains(&name) {
            continue;
        }
        let Some(allowed) = layers.get(name) else {
            panic!("streamgauge-{name} has no layer: decide what it may use, in LAYERS and in ARCHITECTURE.md");
        };
        for used in direct.iter().filter_map(|used| short(used)) {
            if !allowed.contains(&used) {
                wrong.push(format!("streamgauge-{name} uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the layers of ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

/// Words by which a pure source would reach the world. Tests at the end of a file may do so.
const FORBIDDEN: [&str; 14] = [
    "SystemTime",
    "Instant::now",
    "std::fs",
    "std::net",
    "std::env::",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "println!",
    "thread_rng",
    "rand::",
    "RandomState",
    "std::collections::HashMap",
    "jiff::Timestamp::now",
];

#[test]
fn pure_sources_name_no_clock_no_io_no_randomness() {
    let mut found = Vec::new();
    for pure in PURE {
        let sources = tree::files_in(&format!("crates/{pure}/src/"), &[".rs"]);
        assert!(!sources.is_empty(), "crates/{pure}/src has no sources");
        for file in sources {
            let text = tree::read(&file);
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (index, line) in code.lines().enumerate() {
                let line = line.split("//").next().unwrap_or_default();
                let words = FORBIDDEN.iter().filter(|word| line.contains(**word));
                found.extend(words.map(|word| format!("{file}:{}: {word}", index + 1)));
            }
        }
    }
    assert!(found.is_empty(), "a pure crate takes time, input and seeds as arguments:\n{}", found.join("\n"));
}

#[test]
fn the_first_line_of_every_stage_is_its_arrow() {
    let mut stages = 0;
    for file in tree::files_in("crates/stage-", &["/src/lib.rs"]) {
        let text = tree::read(&file);
        let first = text.lines().next().unwrap_or_default();
        let arrow = first.strip_prefix("//! ").and_then(|line| line.split_once(" → "));
        let Some((from, to)) = arrow else { panic!("{file}:1: expected `//! input → output`, found: {first}") };
        for topic in from.split(", ").chain(to.split(", ")) {
            assert!(topics::named(topic).is_some(), "{file}:1: {topic} is not in schemas/topics");
        }
        stages += 1;
    }
    assert!(stages >= 1, "no stages found under crates/stage-*");
}

#[test]
fn every_source_says_what_it_is_for() {
    let silent: Vec<String> = tree::files_in("crates/", &[".rs"])
        .into_iter()
        .filter(|file| file.contains("/src/") && !tree::read(file).starts_with("//! "))
        .collect();
    assert!(silent.is_empty(), "files open with `//!` and what they are for:\n{}", silent.join("\n"));
}
