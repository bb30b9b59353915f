//! Small files of every format through a mapping: what each row becomes.

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write as _};
use std::path::Path;

use expect_test::{Expect, expect};
use flate2::Compression;
use flate2::write::GzEncoder;
use streamgauge_mapping::{Counts, MappedFile, MappedRecord, Mapping, MappingError, ROW_BYTES_MAX};

fn mapping(body: &str) -> Mapping {
    let text = format!("apiVersion: streamgauge/v1\nkind: Mapping\nevent: requests\n{body}");
    Mapping::from_yaml("mapping.yaml", &text).unwrap_or_else(|error| panic!("{error}"))
}

/// One line for each record, then the counts where not every row gave an event.
fn read(mapping: &Mapping, input: &[u8]) -> String {
    let mut file = match MappedFile::from_reader("input", Cursor::new(input.to_vec()), mapping) {
        Ok(file) => file,
        Err(error) => return error.to_string(),
    };
    let mut shown = Vec::new();
    for record in &mut file {
        shown.push(match record.map(|record| (record.line, record.event)) {
            Ok((line, Ok(event))) => format!("{line} {}", String::from_utf8_lossy(&event.to_json())),
            Ok((line, Err(rejection))) => format!("{line} {rejection}"),
            Err(error) => error.to_string(),
        });
    }
    let counts = file.counts();
    if counts != (Counts { rows: counts.rows, records: counts.rows, events: counts.rows, ..Counts::default() }) {
        shown.push(format!("{counts:?}"));
    }
    shown.join("\n")
}

fn check(body: &str, input: impl AsRef<[u8]>, expected: Expect) {
    expected.assert_eq(&read(&mapping(body), input.as_ref()));
}

const CSV: &str = "
format: csv
fields:
  ts: { column: time, format: epoch_s }
  service: { column: service }
  latency_us: { column: took, unit: ms, optional: true, null_values: ['', '-'] }
  ok: { column: outcome, map: { good: true, bad: false, '1': true } }
";

#[test]
fn csv() {
    check(
        CSV,
        "time,service,took,outcome,rest\n\
         1,shop,12.5,good,\n\
         1.0000015,\"sh,\"\"op\",-,1,\"two\nlines\"\n\
         \n\
         2,shop,,bad,x\r\n",
        expect![[r#"
            2 {"ts":1000000,"service":"shop","ok":true,"latency_us":12500}
            3 {"ts":1000002,"service":"sh,\"op","ok":true}
            6 {"ts":2000000,"service":"shop","ok":false}
            Counts { rows: 3, records: 3, blank: 1, rejected: 0, empty: 0, events: 3 }"#]],
    );
}

#[test]
fn each_bad_csv_row_is_one_rejection() {
    let row = |text: &[u8]| [b"time,service,took,outcome\n", text, b"\n9,last,,good\n"].concat();
    let table: [(&[u8], &str); 11] = [
        (b"noon,s,1,good", "unmapped: ts: column `time` is `noon`, which is not a decimal number"),
        (b",s,1,good", "unmapped: ts: column `time` is ``, which stands for no value; expected a value in every row"),
        (
            b"1,,1,good",
            "unmapped: service: column `service` is ``, which stands for no value; expected a value in every row",
        ),
        (b"1,s,-2,good", "unmapped: latency_us: column `took` is `-2`, which is negative; expected a duration in ms"),
        (
            b"1,s,NaN,good",
            "unmapped: latency_us: column `took` is `NaN`, which is not a decimal number; expected a duration in ms",
        ),
        (
            b"1,s,1,so-so",
            "unmapped: ok: column `outcome` is `so-so`, which `map` doesn't translate; expected one of `1`, `bad`, `good`",
        ),
        (b"1,s,1", "unmapped: the row has 3 fields; expected 4, as in the header"),
        (b"1,s,1,good,x", "unmapped: the row has 5 fields; expected 4, as in the header"),
        (b"1,\xff,1,good", "unmapped: service: column `service` is not UTF-8; expected a plain value"),
        (
            b"1,\"s,1,good",
            "unmapped: a quote that this line opens is not closed, or not where a row of the file would end, within 1048576 bytes; expected a closing quote",
        ),
        (b"-1,s,1,good", "unmapped: ts: column `time` is `-1`, which is not between the years 1970 and 9999"),
    ];
    let mapping = mapping(CSV);
    for (bad, expected) in table {
        let shown = read(&mapping, &row(bad));
        let expected = format!(
            "2 {expected}\n3 {{\"ts\":9000000,\"service\":\"last\",\"ok\":true}}\n\
             Counts {{ rows: 2, records: 2, blank: 0, rejected: 1, empty: 0, events: 1 }}"
        );
        assert_eq!(shown, expected, "{}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn the_header_must_fit() {
    check(CSV, "", expect![""]);
    check(
        CSV,
        "time,servce,took,outcome\n",
        expect![
            "input:1: no column `service`, which mapping.yaml asks for; the header has: `time`, `servce`, `took`, `outcome`. Did you mean `servce`?"
        ],
    );
    check(
        CSV,
        "time;service;took;outcome\n",
        expect![
            "input:1: no column `time`, which mapping.yaml asks for; the header has: `time;service;took;outcome`. Is the delimiter right, and does the file have a header row?"
        ],
    );
    check(
        CSV,
        "time,service,time,took,outcome\n",
        expect![
            "input:1: more than one column `time`, which mapping.yaml asks for; the header has: `time`, `service`, `time`, `took`, `outcome`. Name all columns with `csv: { columns: [...] }` to tell them apart."
        ],
    );
}

#[test]
fn csv_without_a_header_or_with_three() {
    let body = |csv: &str| {
        format!(
            "format: csv\ncsv: {csv}\nfields: {{ ts: {{ column: t, format: epoch_ms }}, service: {{ column: s }} }}"
        )
    };
    let event = r#"{"ts":1000,"service":"shop"}"#;
    for (csv, input, line) in [
        ("{ header_rows: 0, columns: [t, s] }", "1,shop\n", 1),
        ("{ header_rows: 1, columns: [t, s] }", "Zeit,Dienst\n1,shop\n", 2),
        ("{ header_rows: 3 }", "t,s\n-,-\n-,-\n1,shop\n", 4),
        ("{ delimiter: ';' }", "t;s\n1;shop\n", 2),
        (r#"{ delimiter: "\t" }"#, "\u{feff}t\ts\n1\tshop", 2),
    ] {
        assert_eq!(read(&mapping(&body(csv)), input.as_bytes()), format!("{line} {event}"), "{csv}");
    }
}

#[test]
fn json_lines() {
    check(
        "
format: jsonl
fields:
  ts: { pointer: /timestamp, format: relative, unit: ms, epoch_base: 2024-01-01T00:00:00Z }
  service: { constant: llm }
  status: { pointer: /response/status, optional: true }
  version: { pointer: /tags/1, optional: true }
  latency_us: { pointer: /took, unit: s, optional: true }
",
        concat!(
            r#"{"timestamp": 0, "response": {"status": 200}, "tags": ["a", 3], "took": 0.0000025}"#,
            "\n",
            r#"{"timestamp": 27482.5, "response": null, "hash_ids": [[1], {"a": 2}]}"#,
            "\n  \n[]\n",
            r#"{"timestamp": 1"#,
            "\n",
            r#"{"timestamp": 1, "timestamp": 2}"#,
            "\n",
            r#"{"timestamp": {"$date": 1}}"#,
            "\n",
            r#"{"timestamp": null}"#,
            "\n",
            r#"{"timestamp": 1, "response": {"status": 20.5}}"#,
        ),
        expect![[r#"
            1 {"ts":1704067200000000,"service":"llm","status":200,"latency_us":2,"version":"3"}
            2 {"ts":1704067227482500,"service":"llm"}
            4 unmapped: the row is not one JSON object: invalid type: sequence, expected a JSON object at byte 0
            5 unmapped: the row is not one JSON object: EOF while parsing an object at byte 15
            6 unmapped: the row is not one JSON object: "timestamp" stands twice at byte 28
            7 unmapped: ts: pointer `/timestamp` is an object; expected a plain value
            8 unmapped: ts: pointer `/timestamp` is absent; expected a value in every row
            9 unmapped: status: pointer `/response/status` is `20.5`, which is not a status; expected an integer from 0 to 999
            Counts { rows: 8, records: 8, blank: 1, rejected: 6, empty: 0, events: 2 }"#]],
    );
}

#[test]
fn scores_and_resources() {
    let with_event = |event: &str, body: &str| {
        let text = format!("apiVersion: streamgauge/v1\nkind: Mapping\nevent: {event}\n{body}");
        Mapping::from_yaml("mapping.yaml", &text).unwrap_or_else(|error| panic!("{error}"))
    };
    let resources = with_event(
        "resources",
        "
format: csv
fields:
  ts: { column: t, format: epoch_s }
  service: { from: file_name, extract: '^[a-z]+' }
  metric: { constant: memory_mebibytes }
  instance: { column: pod, optional: true }
  value: { column: bytes, scale: 1/1048576 }
  attributes.zone: { column: zone, optional: true }
  attributes.source: { constant: 'a \"test\"' }
",
    );
    expect![[r#"
        2 {"ts":1000000,"service":"input","metric":"memory_mebibytes","instance":"pod-1","value":1.5,"attributes":{"source":"a \"test\"","zone":"eu"}}
        3 {"ts":2000000,"service":"input","metric":"memory_mebibytes","value":0.000001,"attributes":{"source":"a \"test\""}}
        4 unmapped: value: column `bytes` is `1e15`, which is not between -35184372 and 35184372, scaled; choose a larger unit with `scale`
        5 unmapped: value: column `bytes` is `many`, which is not a decimal number
        Counts { rows: 4, records: 4, blank: 0, rejected: 2, empty: 0, events: 2 }"#]]
    .assert_eq(&read(&resources, b"t,pod,bytes,zone\n1,pod-1,1572864,eu\n2,,1,\n3,,1e15,\n4,,many,\n"));

    let scores = with_event(
        "scores",
        "
format: jsonl
fields:
  ts: { pointer: /t, format: epoch_s }
  service: { constant: assistant }
  metric: { pointer: /what }
  value: { pointer: /score, optional: true }
  good: { pointer: /passed, optional: true }
  total: { pointer: /checked, optional: true }
",
    );
    let rows = r#"{"t":1,"what":"helpful","score":0.1234565}
{"t":1,"what":"grounded","passed":9.0,"checked":10}
{"t":1,"what":"grounded","passed":11,"checked":10}
{"t":1,"what":"grounded","passed":9.5,"checked":10}
{"t":1,"what":"grounded","passed":9}
{"t":1,"what":"","score":1}
{"t":1,"what":"helpful"}"#;
    expect![[r#"
        1 {"ts":1000000,"service":"assistant","metric":"helpful","value":0.123456}
        2 {"ts":1000000,"service":"assistant","metric":"grounded","good":9,"total":10}
        3 unmapped: good is 11, more than total, which is 10
        4 unmapped: good: pointer `/passed` is `9.5`, which is not a count; expected an integer from 0 to 4294967296
        5 unmapped: good needs total beside it
        6 unmapped: metric: pointer `/what` is ``, which is empty; expected the name of a metric
        7 unmapped: a score needs value, or good and total
        Counts { rows: 7, records: 7, blank: 0, rejected: 5, empty: 0, events: 2 }"#]]
    .assert_eq(&read(&scores, rows.as_bytes()));
}

#[test]
fn access_log() {
    let body = r#"
format: combined
fields:
  ts: { group: time, format: "%d/%b/%Y:%H:%M:%S %z" }
  service: { constant: web }
  status: { group: status }
  method: { group: method, optional: true }
  route: { group: path, extract: "^/[^/]*", optional: true }
  tenant: { group: user, optional: true }
"#;
    check(
        body,
        "10.0.0.1 - ann [17/May/2015:10:05:03 +0000] \"GET /a/b?x=/y HTTP/1.1\" 200 203 \"-\" \"curl\"\n\
         10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"\\x16\\x03\" 400 -\n\
         10.0.0.1 - - [17/May/2015:10:05:02 +0000] \"OPTIONS * HTTP/1.0\" 200 - \"-\" \"Apache (cut\n\
         10.0.0.1 - - [17/Mai/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1\n\
         10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"GET /\n",
        expect![[r#"
            1 {"ts":1431857103000000,"service":"web","tenant":"ann","route":"/a","method":"GET","status":200}
            2 {"ts":1431857103000000,"service":"web","status":400}
            3 {"ts":1431857102000000,"service":"web","method":"OPTIONS","status":200}
            4 unmapped: ts: group `time` is `17/Mai/2015:10:05:03 +0000`, which is not a time by `%d/%b/%Y:%H:%M:%S %z` (strptime parsing failed: %b failed: expected to find month name abbreviation)
            5 unmapped: the row is not in the combined log format; expected a closing quote behind the request
            Counts { rows: 5, records: 5, blank: 0, rejected: 2, empty: 0, events: 3 }"#]],
    );
}

#[test]
fn lines_by_a_pattern() {
    check(
        r"
format: lines
pattern: '^(?<at>\S+) (?<who>\w+) took=(?<took>[\d.]+)ms(?: v=(?<version>\S+))?'
fields:
  ts: { group: at, format: rfc3339 }
  service: { group: who }
  latency_us: { group: took, unit: ms }
  version: { group: version, optional: true }
",
        "2022-08-22T04:03:00Z shop took=1.5ms v=2 more\n2022-08-22T04:03:00Z shop took=2ms\nsomething else\n",
        expect![[r#"
            1 {"ts":1661140980000000,"service":"shop","latency_us":1500,"version":"2"}
            2 {"ts":1661140980000000,"service":"shop","latency_us":2000}
            3 unmapped: the row doesn't match the mapping's pattern `^(?<at>\S+) (?<who>\w+) took=(?<took>[\d.]+)ms(?: v=(?<versi…`
            Counts { rows: 3, records: 3, blank: 0, rejected: 1, empty: 0, events: 2 }"#]],
    );
}

fn expanding(amounts: &str) -> String {
    format!(
        "format: csv\nfields: {{ ts: {{ column: t, format: epoch_s }}, service: {{ constant: s }} }}\nexpand:\n  {amounts}\n"
    )
}

#[test]
fn a_row_becomes_the_events_that_it_stands_for() {
    check(
        &expanding("{ requests: { column: n }, good: { column: good }, spread: 10s }"),
        "t,n,good\n100,4,3\n200,0,0\n300,1,1\n",
        expect![[r#"
            2 {"ts":100000000,"service":"s","ok":false}
            2 {"ts":102500000,"service":"s","ok":true}
            2 {"ts":105000000,"service":"s","ok":true}
            2 {"ts":107500000,"service":"s","ok":true}
            4 {"ts":300000000,"service":"s","ok":true}
            Counts { rows: 3, records: 3, blank: 0, rejected: 0, empty: 1, events: 5 }"#]],
    );
    check(
        &expanding(
            "{ requests: { column: rate, scale: 60 }, good_ratio: { column: percent, scale: 0.01 }, spread: 1m, ts_is: end }",
        ),
        "t,rate,percent\n100,0.05,66.66\n",
        expect![[r#"
            2 {"ts":40000000,"service":"s","ok":false}
            2 {"ts":60000000,"service":"s","ok":true}
            2 {"ts":80000000,"service":"s","ok":true}
            Counts { rows: 1, records: 1, blank: 0, rejected: 0, empty: 0, events: 3 }"#]],
    );
    check(
        &expanding("{ requests: { column: n }, spread: 0s }"),
        "t,n\n100,2\n",
        expect![[r#"
            2 {"ts":100000000,"service":"s"}
            2 {"ts":100000000,"service":"s"}
            Counts { rows: 1, records: 1, blank: 0, rejected: 0, empty: 0, events: 2 }"#]],
    );
}

#[test]
fn amounts_are_rounded_half_to_even_and_checked() {
    let mapping =
        mapping(&expanding("{ requests: { column: n }, good_ratio: { column: ratio }, spread: 60s, ts_is: end }"));
    let good_of = |row: &str| {
        let input = format!("t,n,ratio\n{row}\n");
        let file =
            MappedFile::from_reader("input", Cursor::new(input.into_bytes()), &mapping).expect("a header that fits");
        let events: Vec<_> = file.map(|record| record.expect("memory can be read").event).collect();
        match &events[..] {
            [Err(rejection)] => rejection.message.clone(),
            events => {
                let good = events.iter().flatten().filter(|event| event.event().ok == Some(true)).count();
                let inside = |ts: i64| (40_000_000..100_000_000).contains(&ts);
                assert!(events.iter().flatten().all(|event| inside(event.event().ts.0)), "{row}");
                format!("{good} of {}", events.len())
            }
        }
    };
    let table = [
        ("100,484,0.49586776859504134", "240 of 484"),
        ("100,1000,0.999", "999 of 1000"),
        ("100,2.5,1", "2 of 2"),
        ("100,3.5,1", "4 of 4"),
        ("100,2.51,0.5", "2 of 3"),
        ("100,5,0.5", "2 of 5"),
        ("100,7,0", "0 of 7"),
        ("100,0.4,1", "0 of 0"),
        ("100,3,1.5", "expand: 4 good of 3 requests; expected no more than all of them"),
        ("100,-1,1", "expand.requests: column `n` is `-1`, which is negative; expected 0 or more"),
        ("100,many,1", "expand.requests: column `n` is `many`, which is not a decimal number"),
        ("100,,1", "expand.requests: column `n` is ``, which stands for no value; expected a value in every row"),
        ("100,1e9,1", "expand.requests: column `n` is more than 10000000 events, scaled; is `scale` right?"),
        ("59,1,1", "expand: the events would be spread past the years 1970 to 9999"),
    ];
    for (row, expected) in table {
        assert_eq!(good_of(row), expected, "{row}");
    }
}

#[test]
fn over_long_rows_are_rejected_with_their_head_and_reading_goes_on() {
    let mapping = mapping(CSV);
    let input = format!("time,service,took,outcome\n1,{},1,good\n2,s,1,good\n", "x".repeat(3 * ROW_BYTES_MAX));
    let file = MappedFile::from_reader("input", Cursor::new(input.into_bytes()), &mapping).expect("a header that fits");
    let records: Vec<_> = file.map(|record| record.expect("memory can be read")).collect();
    let shown: Vec<_> = records.iter().map(|record| (record.line, record.raw.len(), record.event.is_ok())).collect();
    assert_eq!(shown, [(2, ROW_BYTES_MAX, false), (3, "2,s,1,good".len(), true)]);
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).expect("memory can be written")
}

#[test]
fn gzip_is_told_by_its_first_bytes_and_may_have_many_members() {
    let mapping = mapping(CSV);
    let plain = "time,service,took,outcome\n1,a,,good\n2,b,,good\n3,c,,good\n";
    let (head, tail) = plain.split_at(plain.len() / 2);
    let expected = read(&mapping, plain.as_bytes());
    assert_eq!(read(&mapping, &gzipped(plain)), expected);
    assert_eq!(read(&mapping, &[gzipped(head), gzipped(tail)].concat()), expected);

    let directory = tempfile::tempdir().expect("a place for temporary files");
    let path = directory.path().join("rows.csv");
    let packed = gzipped(plain);
    std::fs::write(&path, &packed).expect("a place for temporary files");
    let mut file = MappedFile::open(&path, &mapping).expect("a file that was just written");
    assert_eq!(file.by_ref().filter(|record| record.as_ref().is_ok_and(|record| record.event.is_ok())).count(), 3);
    assert_eq!((file.bytes_read(), file.bytes_total()), (packed.len() as u64, Some(packed.len() as u64)));
}

/// Gives one byte at a time, as a slow pipe may.
struct Dribble(Cursor<Vec<u8>>);

impl Read for Dribble {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let one = into.len().min(1);
        self.0.read(&mut into[..one])
    }
}

#[test]
fn it_does_not_matter_in_what_pieces_a_file_arrives() {
    fn outcomes(input: impl Read + Send + 'static, mapping: &Mapping) -> Vec<MappedRecord> {
        let file = MappedFile::from_reader("input", input, mapping).expect("a header that fits");
        file.map(|record| record.expect("memory can be read")).collect()
    }
    let mapping = mapping(CSV);
    let plain = "\u{feff}time,service,took,outcome\r\n1,\"a\r\nb\",,good\r\n3,\"d\"\"\",,bad\n\n\"2,c,,good\n4,e,,bad";
    let whole = outcomes(Cursor::new(plain.as_bytes().to_vec()), &mapping);
    assert_eq!(
        whole.iter().map(|record| (record.line, record.event.is_ok())).collect::<Vec<_>>(),
        [(2, true), (4, true), (6, false), (7, true)]
    );
    assert_eq!(outcomes(Dribble(Cursor::new(plain.as_bytes().to_vec())), &mapping), whole);
    assert_eq!(outcomes(Dribble(Cursor::new(gzipped(plain))), &mapping), whole);
}

#[test]
fn mappings_and_files_may_be_used_in_threads() {
    fn sendable<T: Send>() {}
    fn shareable<T: Send + Sync>() {}
    sendable::<MappedFile<'_>>();
    shareable::<Mapping>();
}

#[test]
fn a_damaged_file_ends_with_an_error_behind_what_was_read() {
    let mapping = mapping(CSV);
    let plain: String = (0..20_000).map(|i| format!("{i},s{},1,good\n", i * 7919 % 1000)).collect();
    let packed = gzipped(&format!("time,service,took,outcome\n{plain}"));
    let cut = packed[..packed.len() / 2].to_vec();
    let mut file = MappedFile::from_reader("rows.csv.gz", Cursor::new(cut), &mapping).expect("a header that fits");
    let records: Vec<_> = file.by_ref().collect();
    let (last, before) = records.split_last().expect("at least the error");
    assert!(before.len() > 1000 && before.iter().all(|record| record.as_ref().is_ok_and(|it| it.event.is_ok())));
    assert!(matches!(last, Err(MappingError::Broken { line, .. }) if *line == before.len() as u64 + 1), "{last:?}");
    assert!(file.next().is_none());
}

#[test]
fn a_missing_file_is_named() {
    let Err(error) = MappedFile::open(Path::new("no/such/file.csv"), &mapping(CSV)) else { panic!("no error") };
    assert!(error.to_string().starts_with("couldn't open no/such/file.csv: No such file"), "{error}");
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[test]
fn every_row_of_any_garbage_has_one_outcome() {
    let by_pattern = "format: lines\npattern: '(?<t>[0-9.e]+)'\nfields: { ts: { group: t, format: epoch_s }, service: { constant: s } }";
    let json = "format: jsonl\nfields: { ts: { pointer: /t, format: epoch_s }, service: { constant: s } }";
    let log = "format: combined\nfields: { ts: { group: bytes, format: epoch_s }, service: { group: remote_host } }";
    let expanding = expanding("{ requests: { column: n }, good: { column: g }, spread: 1s }");
    let no_header = expanding.replace("format: csv", "format: csv\ncsv: { header_rows: 0, columns: [t, n, g] }");
    let words: [&[u8]; 20] = [
        b"1",
        b"20",
        b"e9",
        b".",
        b"-",
        b",",
        b",",
        b"\"",
        b"\n",
        b"\r\n",
        b" ",
        b"{\"t\":",
        b"}",
        b"[",
        b"] \"",
        b"\xff",
        b"\\",
        b"1,2,1\n",
        b"\n{\"t\":1}\n",
        b"\nh - - [t] \"GET / HTTP/1.0\" 200 1\n",
    ];
    let mut state = 11;
    for body in [by_pattern, json, log, &no_header] {
        let mapping = mapping(body);
        let (mut events, mut rejected) = (0, 0);
        for _ in 0..3_000 {
            let length = next(&mut state) % 40;
            let input: Vec<u8> =
                (0..length).flat_map(|_| words[(next(&mut state) % 20) as usize].iter().copied()).collect();
            let mut file = MappedFile::from_reader("input", Cursor::new(input.clone()), &mapping).expect("no header");
            let mut outcomes = BTreeSet::new();
            let mut bad = 0;
            for record in file.by_ref().map(|record| record.expect("memory can be read")).take(100_000) {
                outcomes.insert(record.line);
                bad += u64::from(record.event.is_err());
            }
            let counts = file.counts();
            let shown = String::from_utf8_lossy(&input);
            assert_eq!(bad, counts.rejected, "{shown:?}");
            if counts.events < 100_000 {
                assert_eq!(outcomes.len() as u64 + counts.empty, counts.rows, "{shown:?}: {counts:?}");
            }
            (events, rejected) = (events + counts.events, rejected + counts.rejected);
        }
        assert!(events > 0 && rejected > 0, "{body}: {events} events, {rejected} rejected");
    }
}
