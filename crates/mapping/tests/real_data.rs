//! The example mappings over the real data that they were written for, against what is known of that data.
//!
//! The data is not part of this repository. It is looked for in `../shared/data` beside the workspace, or where
//! `STREAMGAUGE_DATA` says; without it these tests print one line and pass. real_data_counts.py beside this file counts
//! the same figures without our code.

use std::collections::{BTreeMap, BTreeSet};
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
    assert_eq!(counts, Counts { rows: 10_000, records: 10_000, events: 10_000, ..Counts::default() });

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
    assert_eq!(counts, Counts { rows: 1_209, records: 1_209, events: 619_389, ..Counts::default() });

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

/// The files below a directory of the data that are meant, in order.
fn files(directory: &str, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Some(directory) = data(directory) else { return Vec::new() };
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory that can be listed").path()).collect();
    found.retain(|path| path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())));
    found.sort();
    found
}

/// The sum of what an attribute counts.
fn sum_of(events: &[MappedEvent], attribute: &str) -> u64 {
    let number =
        |event: &MappedEvent| event.event().attributes.get(attribute).and_then(|text| text.parse::<u64>().ok());
    events.iter().map(|event| number(event).expect("every row has a count")).sum()
}

#[test]
fn spans_and_traces_are_read_whole() {
    let table = [
        ("nezha/derived/2022-08-22_root_spans.csv.gz", "nezha_spans.yaml", 19_210, 1_661_140_374_362_983, None),
        (
            "mooncake/conversation_trace.jsonl",
            "mooncake.yaml",
            12_031,
            1_704_067_200_000_000,
            // 12,035 and 343 in the mean.
            Some([("input_tokens", 144_793_823), ("output_tokens", 4_122_048)]),
        ),
        (
            "azure_llm_2023/data/AzureLLMInferenceTrace_conv.csv",
            "azure_llm.yaml",
            19_366,
            1_700_158_546_680_590,
            Some([("context_tokens", 22_361_870), ("generated_tokens", 4_088_665)]),
        ),
    ];
    for (file, mapping, rows, first_us, attributes) in table {
        let Some(path) = data(file) else { continue };
        let (events, counts) = read(&path, &example(mapping));
        assert_eq!(counts, Counts { rows, records: rows, events: rows, ..Counts::default() }, "{file}");
        let ts = |event: &MappedEvent| event.event().ts.0;
        assert_eq!(ts(&events[0]), first_us, "{file}");
        assert!(events.last().map(ts) > Some(first_us), "{file}");
        for (attribute, expected) in attributes.into_iter().flatten() {
            assert_eq!(sum_of(&events, attribute), expected, "{attribute} of {file}");
        }
        if mapping == "mooncake.yaml" {
            // 3536999 ms behind the base, which is the first.
            assert_eq!(events.last().map(ts), Some(first_us + 3_536_999_000));
        }
    }
}

#[test]
fn a_wide_table_becomes_the_requests_of_its_services() {
    let Some(path) = data("petshop/dataset/low_traffic/noissue/metrics.csv") else { return };
    let mapping = example("petshop.yaml");
    let mut file = MappedFile::open(&path, &mapping).unwrap_or_else(|error| panic!("{error}"));
    let (mut good, mut services) = (0, BTreeMap::new());
    let mut pet_site: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for record in &mut file {
        let record = record.unwrap_or_else(|error| panic!("{error}"));
        let event = record.event.unwrap_or_else(|rejection| panic!("line {}: {rejection}", record.line));
        let is_good = u64::from(event.event().ok.expect("every event is good or not"));
        good += is_good;
        *services.entry(event.service().to_owned()).or_insert(0_u64) += 1;
        if event.service() == "PetSite" {
            let (good, total) = pet_site.entry(record.line).or_default();
            (*good, *total) = (*good + is_good, *total + 1);
        }
    }
    let expected = Counts { rows: 589, records: 589 * 41, empty: 4_570, events: 2_216_397, ..Counts::default() };
    assert_eq!((file.counts(), good), (expected, 2_202_483));
    // The shop's own site is worst in one row by far: 40.65% of 1193.
    let worst: Vec<_> = pet_site.iter().filter(|(_, (good, total))| good * 100 < total * 41).collect();
    assert_eq!(worst, [(&542, &(485, 1_193))]);
}

/// The events, and their values in millionths by metric.
fn read_all(paths: &[PathBuf], mapping: &str) -> (u64, BTreeMap<String, i64>) {
    let (mut events_read, mut sums) = (0, BTreeMap::new());
    for path in paths {
        let (events, counts) = read(path, &example(mapping));
        assert_eq!((counts.rejected, counts.empty, counts.events), (0, 0, counts.records), "{}", path.display());
        events_read += counts.events;
        for event in &events {
            let event = event.event();
            let metric = event.text(TextField::Metric).expect("every sample has a metric").to_owned();
            *sums.entry(metric).or_insert(0) += event.number(NumberField::Value).expect("every sample has a value");
        }
    }
    (events_read, sums)
}

#[test]
fn what_pods_used_becomes_samples_by_metric() {
    let pods = files("nezha/rca_data/2022-08-22/metric", |name| name.contains('-'));
    if pods.is_empty() {
        return;
    }
    let (events, sums) = read_all(&pods, "nezha_resources.yaml");
    assert_eq!((pods.len(), events), (10, 12_090 * 10));
    let expected = [
        ("cpu_cores", 38_630_593),
        ("cpu_ratio", 1_870_718_393),
        ("memory_mebibytes", 557_375_052_536),
        ("memory_ratio", 3_138_217_374),
        ("network_received_mebibytes", 339_682_993),
        ("network_sent_mebibytes", 1_226_802_440),
        ("node_cpu_ratio", 1_642_333_803),
        ("node_memory_ratio", 2_955_402_656),
        ("syscalls_read", 90_187_517_121_381),
        ("syscalls_written", 88_845_647_385_333),
    ];
    assert_eq!(sums, expected.map(|(metric, sum)| (metric.to_owned(), sum)).into());
    let (first, _) = read(&pods[0], &example("nezha_resources.yaml"));
    assert_eq!(
        String::from_utf8_lossy(&first[0].to_json()),
        r#"{"ts":1661140279607159,"service":"adservice","metric":"cpu_cores","instance":"adservice-5f6585d649-fnmft","value":0.001762}"#
    );
}

#[test]
fn series_take_their_names_from_their_files() {
    let in_bytes = |name: &str| ["disk_write_bytes", "network_in", "NetworkIn"].iter().any(|part| name.contains(part));
    let all = || {
        let cloud = files("nab/data/realAWSCloudwatch", |_| true);
        cloud.into_iter().chain(files("nab/data/artificialNoAnomaly", |_| true))
    };
    let is_in_bytes = |path: &PathBuf| in_bytes(&path.to_string_lossy());
    let table = [
        ("nab.yaml", all().filter(|path| !is_in_bytes(path)).collect::<Vec<_>>(), 17, 69_133, 2_011_032_199_689),
        ("nab_bytes.yaml", all().filter(is_in_bytes).collect(), 5, 18_767, 104_532_454_104),
        ("nab_traffic.yaml", files("nab/data/realTraffic", |_| true), 7, 15_664, 1_982_963_050_000),
    ];
    for (mapping, paths, count, rows, sum) in table {
        if paths.is_empty() {
            continue;
        }
        let (events, sums) = read_all(&paths, mapping);
        assert_eq!((paths.len(), events, sums.values().sum::<i64>()), (count, rows, sum), "{mapping}: {sums:?}");
        let metrics: Vec<&str> = sums.keys().map(String::as_str).collect();
        let expected: &[&str] = match mapping {
            "nab_bytes.yaml" => &["disk_written_mebibytes", "network_received_mebibytes"],
            "nab_traffic.yaml" => &["TravelTime", "occupancy", "speed"],
            _ => &[
                "asg_anomaly",
                "cpu_utilization",
                "daily_no_noise",
                "daily_perfect_square_wave",
                "daily_small_noise",
                "flatline",
                "noisy",
                "request_count",
            ],
        };
        assert_eq!(metrics, expected, "{mapping}");
    }
}

/// Of the experiments it is known that there are 78, with 99 variants beside their controls.
#[test]
fn a_table_of_parquet_is_read_whole() {
    let Some(path) = data("asos/asos_digital_experiments_dataset.parquet") else { return };
    let text = "apiVersion: streamgauge/v1
kind: Mapping
event: scores
format: parquet
fields:
  ts: { constant: 2021-01-01T00:00:00Z, format: rfc3339 }
  service: { column: experiment_id }
  metric: { column: metric_id }
  value: { column: mean_t, optional: true }
  good: { constant: 0 }
  total: { constant: 0 }
  version: { column: variant_id }
";
    let mapping = Mapping::from_yaml("experiments.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    let (events, counts) = read(&path, &mapping);
    assert_eq!((counts.events, counts.rejected), (counts.rows, 0));
    let variant = |event: &MappedEvent| {
        (event.service().to_owned(), event.event().text(TextField::Version).unwrap_or_default().to_owned())
    };
    let variants: BTreeSet<_> = events.iter().map(variant).collect();
    let experiments: BTreeSet<_> = variants.iter().map(|(experiment, _)| experiment).collect();
    assert_eq!((experiments.len(), variants.len()), (78, 99));
}
