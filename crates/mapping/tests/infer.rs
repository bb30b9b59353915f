//! Mappings that are proposed from the first rows of files: whole for small ones, and how far they carry on real data.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use streamgauge_events::Kind;
use streamgauge_mapping::{MappedFile, Mapping, infer};

/// The proposal without its first lines, and what it makes of the file.
fn check(name: &str, input: &[u8], expected: Expect) {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let path = directory.path().join(name);
    std::fs::write(&path, input).expect("a place for temporary files");
    let proposal = infer(&path, None).unwrap_or_else(|error| panic!("{error}"));
    let body = proposal.yaml.split("kind: Mapping\n").nth(1).expect("every mapping says what it is");
    let (events, records) = tried(&path, &proposal.yaml);
    expected.assert_eq(&format!("{body}{events} of {records}"));
}

/// Events, and records in all.
fn tried(path: &Path, yaml: &str) -> (u64, u64) {
    let mapping = Mapping::from_yaml("proposed.yaml", yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    let mut file = MappedFile::open(path, &mapping).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    assert!(file.by_ref().all(|record| record.is_ok()));
    (file.counts().events, file.counts().records)
}

#[test]
fn requests_by_names_and_values() {
    check(
        "requests.csv",
        b"start_time;end_time;ServiceName;endpoint;http_method;code;success;elapsed;note
2022-08-22T04:03:00Z;2022-08-22T04:03:01Z;shop;/cart;GET;200;true;0.250;a
2022-08-22T04:03:02Z;2022-08-22T04:03:03Z;shop;/cart;GET;-;false;1.5;b
",
        expect![[r#"
            event: requests
            format: csv
            csv: { delimiter: ";" }
            fields:
              # Times: all fit. CHECK: `start_time` would do, too
              ts: { column: end_time, format: rfc3339 }
              # By the name
              service: { column: ServiceName }
              # By the name
              route: { column: endpoint }
              # By the name
              method: { column: http_method }
              # By the name, and all are integers from 0 to 999
              status: { column: code, optional: true, null_values: ["", "-"] }
              # By the name
              ok: { column: success, map: { "true": true, "false": false } }
              # A duration: CHECK the unit: the name says none, and half of the values are below 2
              latency_us: { column: elapsed, unit: s }
            # Not used. To keep one as a text, move its line to the fields:
            #   attributes.note: { column: note }   such as a
            2 of 2"#]],
    );
}

#[test]
fn a_file_that_tells_little_leaves_much_to_fill_in() {
    check(
        "numbers.csv",
        b"1,2\n3,4\n",
        expect![[r#"
            event: requests
            format: csv
            csv: { header_rows: 0, columns: [column_1, column_2] }
            fields:
              # FILL IN: no column could be read as a time
              ts: { constant: "2000-01-01T00:00:00Z", format: rfc3339 }
              # FILL IN: no column names a service
              service: { constant: FILL_IN_SERVICE }
            # Not used. To keep one as a text, move its line to the fields:
            #   attributes.column_1: { column: column_1 }   such as 1
            #   attributes.column_2: { column: column_2 }   such as 2
            2 of 2"#]],
    );
    check(
        "prose.txt",
        b"Once upon a time\nthere was a file\n",
        expect![[r#"
            event: requests
            format: lines
            # FILL IN: what the lines look like, with a group for each field.
            pattern: '^(?<line>.*)$'
            fields:
              # FILL IN: no column could be read as a time
              ts: { constant: "2000-01-01T00:00:00Z", format: rfc3339 }
              # FILL IN: no column names a service
              service: { constant: FILL_IN_SERVICE }
            2 of 2"#]],
    );
    check(
        "empty.csv",
        b"",
        expect![[r#"
        event: requests
        format: lines
        # FILL IN: what the lines look like, with a group for each field.
        pattern: '^(?<line>.*)$'
        fields:
          # FILL IN: no column could be read as a time
          ts: { constant: "2000-01-01T00:00:00Z", format: rfc3339 }
          # FILL IN: no column names a service
          service: { constant: FILL_IN_SERVICE }
        0 of 0"#]],
    );
}

#[test]
fn scores_and_wide_resources() {
    check(
        "scores.jsonl",
        br#"{"at":{"time":1661140279},"app":"assistant","score":0.5,"tags":["x"],"metric":"helpful"}
{"at":{"time":1661140280},"app":"assistant","score":1,"metric":"helpful"}
"#,
        expect![[r#"
            event: scores
            format: jsonl
            fields:
              # Times: by their size: between the years 2000 and 2100
              ts: { pointer: /at/time, format: epoch_s }
              # By the name
              service: { pointer: /app }
              # By the name
              metric: { pointer: /metric }
              # By the name, and all are numbers
              value: { pointer: /score }
            2 of 2"#]],
    );
    check(
        "pods.csv",
        b"time,PodName,CpuUsage(m),MemoryUsage(Mi),PodLatencyP90(s)
1661140279,shop-579b9bff58-t2dbm,12.5,80,0.1
1661140339,shop-579b9bff58-t2dbm,,81,0.1
",
        expect![[r#"
            event: resources
            format: csv
            unpivot:
              # CHECK: `scale: 0.01` beside a metric turns a percentage into a share, 1/1048576 bytes into mebibytes.
              columns:
                "CpuUsage(m)": { metric: cpu_usage_m }
                "MemoryUsage(Mi)": { metric: memory_usage_mi }
            fields:
              # Times: by their size: between the years 2000 and 2100
              ts: { column: time, format: epoch_s }
              # All are names of pods; the service is what stands before
              service: { column: PodName, extract: "^(.+)-[0-9a-f]+-[0-9a-z]+$" }
              # CHECK the names and the scales above
              metric: { group: metric }
              # By the name
              instance: { column: PodName }
              value: { cell: value }
            # Not used. To keep one as a text, move its line to the fields:
            #   attributes.pod_latency_p90_s: { column: "PodLatencyP90(s)" }   such as 0.1
            3 of 4"#]],
    );
}

/// Whatever stands in a file, what is proposed is a mapping.
#[test]
fn proposals_are_always_valid() {
    let names = ["a b", "a:b", "'", "\"", "#", "{", "no", "", "time", "time", "\\", "service|x", "- a", "*x", "ü"];
    for name in names {
        for delimiter in [",", ";", "\t", "|"] {
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            let input = format!("{quoted}{delimiter}time{delimiter}value\nx{delimiter}1661140279{delimiter}2\n");
            let directory = tempfile::tempdir().expect("a place for temporary files");
            let path = directory.path().join("input");
            std::fs::write(&path, &input).expect("a place for temporary files");
            let proposal = infer(&path, None).unwrap_or_else(|error| panic!("{error}"));
            Mapping::from_yaml("proposed.yaml", &proposal.yaml)
                .unwrap_or_else(|error| panic!("{input}: {error}\n{}", proposal.yaml));
        }
    }
}

#[test]
fn on_real_data_nearly_every_row_becomes_an_event() {
    let root = std::env::var_os("STREAMGAUGE_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let table = [
        ("elastic_apache/apache_access.log", Kind::Request, &["service"][..]),
        ("azure_llm_2023/data/AzureLLMInferenceTrace_conv.csv", Kind::Request, &["service"]),
        ("mooncake/conversation_trace.jsonl", Kind::Request, &["ts", "service"]),
        ("nab/data/realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv", Kind::Resource, &["service", "metric"]),
        ("nab/data/realTraffic/TravelTime_387.csv", Kind::Resource, &["service", "metric"]),
        ("nezha/derived/2022-08-22_root_spans.csv.gz", Kind::Request, &[]),
        ("nezha/rca_data/2023-01-29/trace/09_42_trace.csv", Kind::Request, &[]),
        ("nezha/rca_data/2022-08-22/metric/frontend-579b9bff58-t2dbm_metric.csv", Kind::Resource, &[]),
    ];
    for (file, kind, to_fill_in) in table {
        let path = root.join(file);
        if !path.exists() {
            let hint = "(set STREAMGAUGE_DATA to the directory of the data sets)";
            writeln!(std::io::stderr(), "SKIPPED: no {} {hint}", path.display()).expect("standard error");
            continue;
        }
        let proposal = infer(&path, None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(proposal.kind, kind, "{file}");
        assert_eq!(proposal.to_fill_in, to_fill_in, "{file}");
        let (events, records) = tried(&path, &proposal.yaml);
        assert!(events * 100 >= records * 99, "{file}: {events} of {records}\n{}", proposal.yaml);
    }
}
