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
    let (events, records) = tried(&path, &proposal.stand_in_yaml);
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
              ts: { constant: FILL_IN_TIME, format: rfc3339 }
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
              ts: { constant: FILL_IN_TIME, format: rfc3339 }
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
              ts: { constant: FILL_IN_TIME, format: rfc3339 }
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

/// Lines of a proposal that ask something of a person, each with the line that it stands above, and what the proposal makes
/// of the file.
fn questions(input: &str) -> String {
    let directory = tempfile::tempdir().expect("a place for temporary files");
    let path = directory.path().join("input");
    std::fs::write(&path, input).expect("a place for temporary files");
    let proposal = infer(&path, None).unwrap_or_else(|error| panic!("{error}"));
    let lines: Vec<&str> = proposal.yaml.lines().skip(2).collect();
    let asks = |line: &str| line.contains("CHECK") || line.contains("FILL IN");
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if asks(line) || (index > 0 && asks(lines[index - 1]) && !line.starts_with('#') && !line.ends_with("v1")) {
            out += &format!("{}\n", line.trim());
        }
    }
    let (events, records) = tried(&path, &proposal.stand_in_yaml);
    out + &format!("to fill in {:?}, to check {:?}, {events} of {records}\n", proposal.to_fill_in, proposal.to_check)
}

/// A row of the table, `damaged` of them with `text` in place of `part`.
fn damaged(rows: usize, damaged: usize, row: impl Fn(usize) -> String, (part, text): (&str, &str)) -> String {
    let row = |index: usize| if index < damaged { row(index).replace(part, text) } else { row(index) };
    (0..rows).map(|index| row(index) + "\n").collect()
}

fn request(index: usize) -> String {
    format!("2023-05-01T10:00:{:02}Z,shop,GET,{},true,17.5", index % 60, 200 + index % 2 * 300)
}

const REQUEST: &str = "time,service,method,status,ok,latency_ms\n";

/// One damaged value of many takes nothing away from the others.
#[test]
fn a_few_damaged_values_keep_their_columns() {
    let damages = [
        ("2023-05-01T10:00:00Z", "yesterday"),
        ("GET", "GET /a/long/path HTTP/1.1"),
        ("200", "abc"),
        ("200", "1000"),
        ("true", "maybe"),
        ("17.5", "slow"),
        ("17.5", "-1"),
    ];
    let proposed = damages.map(|damage| questions(&format!("{REQUEST}{}", damaged(200, 1, request, damage))));
    expect![[r##"
        # Times: nearly all fit. CHECK: 1 of 200 sampled values doesn't fit: `yesterday` is not a time in this format
        ts: { column: time, format: rfc3339 }
        to fill in [], to check ["ts"], 199 of 200

        # By the name. CHECK: 1 of 200 sampled values doesn't fit: `GET /a/long/path HTTP/1.1` is 25 bytes long; expected at most 15
        method: { column: method }
        to fill in [], to check ["method"], 200 of 200

        # By the name, and nearly all are integers from 0 to 999. CHECK: 1 of 200 sampled values doesn't fit: `abc` is not a status; expected an integer from 0 to 999
        status: { column: status }
        to fill in [], to check ["status"], 199 of 200

        # By the name, and nearly all are integers from 0 to 999. CHECK: 1 of 200 sampled values doesn't fit: `1000` is not a status; expected an integer from 0 to 999
        status: { column: status }
        to fill in [], to check ["status"], 199 of 200

        # By the name. CHECK: 1 of 200 sampled values doesn't fit: `maybe` is neither true nor false
        ok: { column: ok, map: { "true": true } }
        to fill in [], to check ["ok"], 199 of 200

        # A duration: `ms` by the name. CHECK: 1 of 200 sampled values doesn't fit: `slow` is not a decimal number; expected a duration in ms
        latency_us: { column: latency_ms, unit: ms }
        to fill in [], to check ["latency_us"], 199 of 200

        # A duration: `ms` by the name. CHECK: 1 of 200 sampled values doesn't fit: `-1` is negative; expected a duration in ms
        latency_us: { column: latency_ms, unit: ms }
        to fill in [], to check ["latency_us"], 199 of 200
    "##]].assert_eq(&proposed.join("\n"));
    type Row = fn(usize) -> String;
    let tables: [(&str, Row, &str); 5] = [
        ("time,service,latency_ms", |index| format!("{},shop,1", 1_661_140_279 + index), "1661140279"),
        ("timestamp,service,latency_ms", |index| format!("{},shop,1", index * 7), "0"),
        (
            "time,pod,latency_ms",
            |index| format!("{},shop-579b9bff58-t2dbm,1", 1_661_140_279 + index),
            "shop-579b9bff58-t2dbm",
        ),
        ("time,service,metric,value", |index| format!("{},shop,cpu,0.5", 1_661_140_279 + index), "0.5"),
        ("time,service,cpu,memory", |index| format!("{},shop,0.5,80", 1_661_140_279 + index), "0.5"),
    ];
    let proposed =
        tables.map(|(header, row, part)| questions(&format!("{header}\n{}", damaged(200, 1, row, (part, "broken")))));
    expect![[r##"
        # Times: by their size: between the years 2000 and 2100. CHECK: 1 of 200 sampled values doesn't fit: `broken` is not a decimal number
        ts: { column: time, format: epoch_s }
        to fill in [], to check ["ts"], 199 of 200

        # Times: they rise from a start that the file doesn't tell. FILL IN epoch_base; CHECK the unit: milliseconds, since they are integers. CHECK: 1 of 200 sampled values doesn't fit: `broken` is not a decimal number
        ts: { column: timestamp, format: relative, unit: ms, epoch_base: FILL_IN_EPOCH_BASE }
        to fill in ["ts"], to check ["ts"], 199 of 200

        # Nearly all are names of pods; the service is what stands before. CHECK: 1 of 200 sampled values doesn't fit: `broken` is not the name of a pod
        service: { column: pod, extract: "^(.+)-[0-9a-f]+-[0-9a-z]+$" }
        to fill in [], to check ["service"], 199 of 200

        # By the name, and nearly all are numbers. CHECK: 1 of 200 sampled values doesn't fit: `broken` is not a decimal number
        value: { column: value }
        to fill in [], to check ["value"], 199 of 200

        # CHECK: `scale: 0.01` beside a metric turns a percentage into a share, 1/1048576 bytes into mebibytes.
        columns:
        # CHECK: 1 of 200 sampled values doesn't fit: `broken` is not a decimal number
        cpu: { metric: cpu }
        # CHECK the names and the scales above
        metric: { group: metric }
        to fill in [], to check ["metric"], 399 of 400
    "##]].assert_eq(&proposed.join("\n"));
}

/// Where more are damaged than a column may have, the proposal says so and leaves the time open.
#[test]
fn many_damaged_values_are_told() {
    for (rows, bad, holds) in [(20, 1, true), (19, 1, false), (200, 10, true), (200, 11, false)] {
        let input = format!("{REQUEST}{}", damaged(rows, bad, request, ("2023", "year 2023")));
        assert_eq!(!questions(&input).contains("FILL IN"), holds, "{bad} of {rows}");
    }
    let damages = [("2023-05-01T10:00:0", "noon "), ("200", "abc"), ("true", "maybe"), ("17.5", "slow")];
    let mut proposed =
        damages.map(|damage| questions(&format!("{REQUEST}{}", damaged(60, 10, request, damage)))).to_vec();
    let row = |index: usize| format!("{},shop,0.5,80,7", 1_661_140_279 + index);
    proposed.push(questions(&format!("time,service,cpu,memory,disk\n{}", damaged(60, 10, row, (",80,", ",full,")))));
    expect![[r##"
        # FILL IN: no column could be read as a time; `time` would be one (`format: rfc3339`), but 10 of 60 sampled values don't fit: `noon 0Z` is not a time in this format
        ts: { constant: FILL_IN_TIME, format: rfc3339 }
        to fill in ["ts"], to check [], 60 of 60

        # - CHECK: `status` is not taken for `status`, since 5 of 60 sampled values don't fit: `abc` is not a decimal number
        to fill in [], to check ["status"], 60 of 60

        # - CHECK: `ok` is not taken for `ok`, since 10 of 60 sampled values don't fit: `maybe` is neither true nor false
        to fill in [], to check ["ok"], 60 of 60

        # - CHECK: `latency_ms` is not taken for `latency_us`, since 10 of 60 sampled values don't fit: `slow` is not a decimal number
        to fill in [], to check ["latency_us"], 60 of 60

        # - CHECK: `memory` is not taken for `value`, since 10 of 60 sampled values don't fit: `full` is not a decimal number
        # CHECK: `scale: 0.01` beside a metric turns a percentage into a share, 1/1048576 bytes into mebibytes.
        columns:
        # CHECK the names and the scales above
        metric: { group: metric }
        to fill in [], to check ["metric", "value"], 120 of 120
    "##]].assert_eq(&proposed.join("\n"));
}

/// What is left open has a placeholder that no mapping is accepted with, never something that could be true.
#[test]
fn what_is_left_open_is_refused_until_it_is_filled_in() {
    let inputs = [
        ("1,2\n3,4\n", None),
        ("timestamp,service,latency_ms\n0,shop,5\n100,shop,7\n", None),
        ("time,latency_ms\n1661140279,5\n", None),
        ("time,service\n1661140279,shop\n", Some(Kind::Resource)),
        ("time,service,metric\n1661140279,shop,cpu\n", Some(Kind::Resource)),
    ];
    let mut refusals = String::new();
    for (input, wanted) in inputs {
        let directory = tempfile::tempdir().expect("a place for temporary files");
        let path = directory.path().join("input.csv");
        std::fs::write(&path, input).expect("a place for temporary files");
        let proposal = infer(&path, wanted).unwrap_or_else(|error| panic!("{error}"));
        assert!(!proposal.to_fill_in.is_empty(), "{input}");
        match Mapping::from_yaml("m.yaml", &proposal.yaml) {
            Ok(_) => panic!("accepted:\n{}", proposal.yaml),
            Err(error) => refusals += &format!("{error}\n"),
        }
        Mapping::from_yaml("m.yaml", &proposal.stand_in_yaml).unwrap_or_else(|error| panic!("{error}"));
    }
    expect![[r#"
        m.yaml:12:19: fields.ts.constant: found `FILL_IN_TIME`; expected a value of ts; `mapping infer` left it open. Write `{ column: …, format: … }`, where the times stand and how they are written, or one instant for all rows.
        m.yaml:10:68: fields.ts.epoch_base: found `FILL_IN_EPOCH_BASE`; expected an instant by RFC 3339, such as `2024-01-01T00:00:00Z`. Write when the file's times begin; any instant keeps the distances between them.
        m.yaml:12:24: fields.service.constant: found `FILL_IN_SERVICE`; expected a value of service; `mapping infer` left it open. Write what it is, or `column: …` in place of `constant: …` where the rows say it.
        m.yaml:13:23: fields.metric.constant: found `FILL_IN_METRIC`; expected a value of metric; `mapping infer` left it open. Write what it is, or `column: …` in place of `constant: …` where the rows say it.
        m.yaml:15:22: fields.value.constant: found `FILL_IN_VALUE`; expected a value of value; `mapping infer` left it open. Write what it is, or `column: …` in place of `constant: …` where the rows say it.
    "#]].assert_eq(&refusals);
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
            Mapping::from_yaml("proposed.yaml", &proposal.stand_in_yaml)
                .unwrap_or_else(|error| panic!("{input}: {error}\n{}", proposal.yaml));
        }
    }
    questions(r#"{"time\nx":1661140279,"start\r\ntime":1661140279,"latency\nms":5,"a\nb":"c\nd"}"#);
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
        let (events, records) = tried(&path, &proposal.stand_in_yaml);
        assert!(events * 100 >= records * 99, "{file}: {events} of {records}\n{}", proposal.yaml);
    }
}
