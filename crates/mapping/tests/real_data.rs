//! The example mappings over the real data that they were written for, against what is known of that data.
//!
//! The data is not part of this repository. It is looked for in `../shared/data` beside the workspace, or where
//! `STREAMGAUGE_DATA` says; without it these tests print one line and pass.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use streamgauge_events::{Event, NumberField, TextField};
use streamgauge_mapping::{Counts, MappedEvent, MappedFile, Mapping};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn data(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("STREAMGAUGE_DATA").map_or_else(|| workspace().join("../shared/data"), PathBuf::from);
    let path = root.join(file);
    if path.exists() {
        return Some(path);
    }
    // Not by a macro, whose output the test harness would swallow.
    let hint = "(set STREAMGAUGE_DATA to the directory of the data sets)";
    writeln!(std::io::stderr(), "SKIPPED: no {} {hint}", path.display()).expect("standard error");
    None
}

fn example(name: &str) -> Mapping {
    Mapping::open(&workspace().join("examples/mappings").join(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// Every row has one outcome, and every event survives the way through a topic.
fn read(path: &Path, mapping: &Mapping) -> (Vec<MappedEvent>, Counts) {
    let mut file = MappedFile::open(path, mapping).unwrap_or_else(|error| panic!("{error}"));
    let mut events = Vec::new();
    for record in &mut file {
        let record = record.unwrap_or_else(|error| panic!("{error}"));
        let event = record.event.unwrap_or_else(|rejection| panic!("line {}: {rejection}", record.line));
        assert_eq!(Event::from_json(event.kind(), &event.to_json()), Ok(event.event()), "line {}", record.line);
        events.push(event);
    }
    assert_eq!(Some(file.bytes_read()), file.bytes_total());
    (events, file.counts())
}

#[test]
fn the_access_log_is_read_whole_in_its_own_order() {
    let Some(path) = data("elastic_apache/apache_access.log") else { return };
    let (events, counts) = read(&path, &example("elastic_apache.yaml"));
    assert_eq!(counts, Counts { rows: 10_000, events: 10_000, ..Counts::default() });

    let mut by_status = BTreeMap::new();
    for event in &events {
        *by_status.entry(event.event().number(NumberField::Status).expect("every line has a status")).or_insert(0) += 1;
    }
    assert_eq!([by_status[&200], by_status[&404], by_status[&500]], [9_126, 213, 3]);

    let steps: Vec<i64> =
        events.windows(2).map(|pair| pair[1].event().ts.0 - pair[0].event().ts.0).filter(|step| *step < 0).collect();
    assert_eq!(steps.len(), 4_915);
    assert_eq!(steps.iter().min(), Some(&-59_000_000));
    assert_eq!(events[0].event().ts.0, 1_431_857_103_000_000, "17/May/2015:10:05:03 +0000");
    assert_eq!(events[0].event().text(TextField::Method), Some("GET"));
}

/// Minutes of 2022-08-22 whose success rate is below 99%, by their ends.
const BAD_MINUTE_ENDS: [&str; 22] = [
    "04:03", "04:04", "04:05", "04:19", "04:20", "04:21", "05:02", "05:03", "05:04", "05:10", "05:11", "05:12",
    "06:28", "06:29", "06:30", "06:44", "06:45", "06:46", "06:47", "07:45", "07:46", "07:47",
];

#[test]
fn the_minutes_of_nezha_become_their_requests() {
    let Some(metric) = data("nezha/rca_data/2022-08-22/metric") else { return };
    let prepared = Command::new("sh")
        .arg(workspace().join("examples/mappings/nezha-prepare.sh"))
        .arg(metric.join("front_service.csv"))
        .arg(metric.join("frontend-579b9bff58-t2dbm_metric.csv"))
        .output()
        .expect("a POSIX shell");
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let path = directory.path().join("minutes.csv");
    std::fs::write(&path, prepared.stdout).expect("a place for temporary files");

    let (events, counts) = read(&path, &example("nezha.yaml"));
    assert_eq!(counts, Counts { rows: 1_209, events: 619_389, ..Counts::default() });

    let minute_us = 60_000_000;
    let mut minutes: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for event in &events {
        let (good, total) = minutes.entry(event.event().ts.floor(minute_us).0 + minute_us).or_default();
        *good += u64::from(event.event().ok.expect("every event is good or not"));
        *total += 1;
    }
    assert_eq!(minutes.len(), 1_209, "the events of one row lie in one minute");
    let day_us = 86_400_000_000;
    let bad: Vec<String> = (minutes.iter())
        .filter(|(_, (good, total))| good * 100 < total * 99)
        .map(|(end, _)| end % day_us / minute_us)
        .map(|minute| format!("{:02}:{:02}", minute / 60, minute % 60))
        .collect();
    assert_eq!(bad, BAD_MINUTE_ENDS);
    let at_0403 = minutes[&1_661_140_980_000_000];
    assert_eq!(at_0403, (240, 484), "round(8.0667 x 60) requests, round(484 x 49.587%) good");
}

/// The number of events, the first `ts`, and the last.
fn span(file: &str, mapping: &str) -> Option<(usize, i64, i64)> {
    let (events, counts) = read(&data(file)?, &example(mapping));
    assert_eq!(counts, Counts { rows: counts.rows, events: counts.rows, ..Counts::default() });
    Some((events.len(), events[0].event().ts.0, events[events.len() - 1].event().ts.0))
}

#[test]
fn other_sets_are_read_whole() {
    let table = [
        ("nezha/derived/2022-08-22_root_spans.csv.gz", "nezha_spans.yaml", 19_210, "first 1661140374.362982609"),
        ("mooncake/conversation_trace.jsonl", "mooncake.yaml", 12_031, "first 2024-01-01T00:00:00Z"),
        ("azure_llm_2023/data/AzureLLMInferenceTrace_conv.csv", "azure_llm.yaml", 19_366, "first 18:15:46.6805900"),
    ];
    let first_us = [1_661_140_374_362_983, 1_704_067_200_000_000, 1_700_158_546_680_590];
    for ((file, mapping, rows, first), first_us) in table.into_iter().zip(first_us) {
        let Some((events, first_ts, last_ts)) = span(file, mapping) else { continue };
        assert_eq!((events, first_ts), (rows, first_us), "{file}, {first}");
        assert!(last_ts > first_ts, "{file}");
    }
}
