//! What becomes of requests, as tables: a line is a record in offset order, the result what one partition writes.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use streamgauge_definitions::{Bundle, BundleSettings, Definitions};
use streamgauge_events::{DeadLetter, Delta, EventTime, Fact, Frontier, topics};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{Counting as _, Ledger, Outbox, Record, Source, TimeSettings};
use streamgauge_stage_sli::SliStage;

/// 2026-01-05T00:00:00Z, a Monday.
const DAY_US: i64 = 1_767_571_200_000_000;

struct Case {
    definitions: &'static str,
    series_max: u32,
    cells_max: usize,
}

const GOLDEN_ONLY: Case = Case { definitions: "", series_max: 1000, cells_max: 20_000 };

impl Case {
    /// Lines are `HH:MM:SS service[/route[@version]] LATENCYms|- ok|error|?`, `idle HH:MM:SS`, `end`, or `raw JSON`.
    /// Out-of-orderness is 5 s, the late horizon one hour; every record's log timestamp is that of the newest line.
    #[track_caller]
    fn check(&self, lines: &str, expected: Expect) {
        expected.assert_eq(&self.play(lines));
    }

    fn play(&self, lines: &str) -> String {
        let time =
            TimeSettings { late_horizon_us: 3_600_000_000, cells_max: self.cells_max, ..TimeSettings::default() };
        let definitions = Definitions::of_text("test.yaml", self.definitions).expect("valid definitions");
        let settings = BundleSettings { series_max: self.series_max, ..BundleSettings::default() };
        let stage = SliStage::new("requests", time, &Bundle { settings, definitions }).expect("a stage");
        let opening = Opening {
            source: "requests",
            partition: 0,
            partitions: 1,
            offset: 0,
            metadata: "",
            log_start: 0,
            generation: 0,
            new_generation: false,
            bundle: stage.bundle(),
            time,
        };
        let mut ledger = Ledger::open(&opening, stage.cells(0)).expect("a fresh chain");
        let mut outbox = Outbox::default();
        let mut offset = 0;
        let mut newest = DAY_US;
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[0] {
                "idle" => {
                    ledger.idle(offset, EventTime(DAY_US + clock_us(words[1])), &mut outbox);
                    continue;
                }
                "end" => {
                    ledger.end(offset, &mut outbox);
                    continue;
                }
                _ => {}
            }
            let value = match line.strip_prefix("raw ") {
                Some(json) => json.to_owned(),
                None => {
                    // A clock that is ahead is for its own test: it is written with a `!`.
                    if !words[0].starts_with('!') {
                        newest = newest.max(DAY_US + clock_us(words[0]));
                    }
                    request(&words)
                }
            };
            let record = Record {
                source: Source { topic: 0, partition: 0 },
                offset,
                timestamp: Some(EventTime(newest)),
                key: None,
                value: Some(value.as_bytes()),
                rejected: None,
            };
            ledger.fold(&record, &mut outbox).expect("nothing to compare with");
            offset += 1;
        }
        render(&outbox)
    }
}

fn clock_us(text: &str) -> i64 {
    let numbers: Vec<i64> =
        text.trim_start_matches('!').split(':').map(|part| part.parse().expect("HH:MM:SS")).collect();
    (numbers[0] * 3600 + numbers[1] * 60 + numbers[2]) * 1_000_000
}

fn clock(ts: EventTime) -> String {
    if ts == EventTime::AFTER_ALL {
        return "the end".to_owned();
    }
    let secs = (ts.0 - DAY_US) / 1_000_000;
    format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}

fn request(words: &[&str]) -> String {
    let (name, version) = words[1].split_once('@').map_or((words[1], None), |(name, version)| (name, Some(version)));
    let (service, route) = name.split_once('/').map_or((name, None), |(service, route)| (service, Some(route)));
    let mut json = format!(r#"{{"ts":{},"service":"{service}""#, DAY_US + clock_us(words[0]));
    let _ = route.map(|route| write!(json, r#","route":"/{route}""#));
    let _ = version.map(|version| write!(json, r#","version":"{version}""#));
    if let Some(ms) = words[2].strip_suffix("ms") {
        let _ = write!(json, r#","latency_us":{ms}000"#);
    }
    match words[3] {
        "ok" => json.push_str(r#","status":200"#),
        "error" => json.push_str(r#","status":503"#),
        _ => {}
    }
    json.push('}');
    json
}

fn render(outbox: &Outbox) -> String {
    let mut text = String::new();
    for output in outbox.outputs() {
        let _ = match output.topic {
            topics::DEAD_LETTERS => {
                let letter: DeadLetter = serde_json::from_slice(&output.value).expect("a dead letter");
                writeln!(text, "dead letter {}: {} ({})", letter.offset, letter.reason, letter.message)
            }
            _ => match Fact::from_json(&output.value).expect("a fact") {
                Fact::Delta(delta) => writeln!(text, "{}", delta_line(&delta)),
                Fact::Frontier(frontier) => writeln!(text, "{}", frontier_line(&frontier)),
            },
        };
    }
    text
}

fn delta_line(delta: &Delta) -> String {
    let mut line = format!("{} {} {}", clock(delta.pane), delta.sli, delta.service);
    for value in delta.labels.values() {
        let _ = write!(line, " {value}");
    }
    let _ = write!(line, " n={} good={} failed={}", delta.n, delta.good, delta.failed);
    if delta.unjudged > 0 {
        let _ = write!(line, " unjudged={}", delta.unjudged);
    }
    for at_or_under in &delta.le {
        let _ = write!(line, " le({}us)={}", at_or_under.threshold_us, at_or_under.count);
    }
    if let Some(latency) = &delta.latency {
        let _ = write!(line, " sum={}us min={}us max={}us", latency.sum_us, latency.min_us, latency.max_us);
    }
    line
}

fn frontier_line(frontier: &Frontier) -> String {
    let Frontier { batch, from, to, records, dead_letters, open, .. } = frontier;
    let (until, cause) = (clock(frontier.complete_until), frontier.cause.as_str());
    format!("= batch {batch} [{from}, {to}) records={records} dead={dead_letters} open={open} until {until} ({cause})")
}

#[test]
fn a_pane_is_written_once_the_watermark_passes_its_end() {
    GOLDEN_ONLY.check(
        "
        12:00:01 checkout/pay@1 120ms ok
        12:00:02 checkout/pay@1 900ms error
        12:00:09 cart - ok
        12:00:14 checkout/pay@1 10ms ok
        12:00:15 checkout/pay@1 20ms ok
        end
        ",
        expect![[r#"
            = batch 0 [0, 1) records=1 dead=0 open=1 until 11:59:50 (data)
            = batch 1 [1, 3) records=2 dead=0 open=3 until 12:00:00 (data)
            12:00:00 requests cart n=1 good=1 failed=0
            12:00:00 requests checkout /pay 1 n=2 good=1 failed=1 sum=120000us min=120000us max=120000us
            = batch 2 [3, 5) records=2 dead=0 open=2 until 12:00:10 (data)
            12:00:10 requests checkout /pay 1 n=2 good=2 failed=0 sum=30000us min=10000us max=20000us
            = batch 3 [5, 5) records=0 dead=0 open=0 until the end (end)
        "#]],
    );
}

#[test]
fn a_late_record_makes_one_more_delta_of_its_old_pane() {
    GOLDEN_ONLY.check(
        "
        12:00:01 cart - ok
        12:00:16 cart - ok
        12:00:03 cart - error
        12:00:26 cart - ok
        ",
        expect![[r#"
            = batch 0 [0, 1) records=1 dead=0 open=1 until 11:59:50 (data)
            12:00:00 requests cart n=1 good=1 failed=0
            = batch 1 [1, 2) records=1 dead=0 open=1 until 12:00:10 (data)
            12:00:00 requests cart n=1 good=0 failed=1
            12:00:10 requests cart n=1 good=1 failed=0
            = batch 2 [2, 4) records=2 dead=0 open=1 until 12:00:20 (data)
        "#]],
    );
}

#[test]
fn bad_records_are_dead_letters_with_a_reason_and_count_in_the_frontier() {
    GOLDEN_ONLY.check(
        r#"
        02:00:00 cart - ok
        raw not json
        raw {"ts":1767571200000000}
        raw {"ts":1767571200000000,"service":"cart","latency_us":-4}
        raw {"ts":1767571200000000,"service":"cart","latency_us":"12"}
        raw {"ts":1767571200000000,"service":"cart","latency_us":1e30}
        raw {"ts":1767571200000000,"service":"cart","service":"b"}
        00:30:00 cart - ok
        !23:00:00 cart - ok
        02:00:16 cart - ok
        "#,
        expect![[r#"
            = batch 0 [0, 1) records=1 dead=0 open=1 until 01:59:50 (data)
            dead letter 1: undecodable (expected ident at line 1 column 2)
            dead letter 2: missing_field (required field service is absent)
            dead letter 3: negative (latency_us is -4)
            dead letter 4: wrong_type (latency_us must be an integer, not "12")
            dead letter 5: out_of_range (latency_us must be from 0 to 35184372088832, not 1e30)
            dead letter 6: duplicate_field (service stands twice)
            dead letter 7: too_late (ts is 1 h 30 min behind the newest record of its partition; 1 h 5 s is allowed)
            dead letter 8: future_timestamp (ts is 21 h ahead of the log's timestamp; 5 s is allowed)
            02:00:00 requests cart n=1 good=1 failed=0
            = batch 1 [1, 10) records=9 dead=8 open=1 until 02:00:10 (data)
        "#]],
    );
}

#[test]
fn silence_moves_the_grid_only_where_a_frontier_can_say_so() {
    GOLDEN_ONLY.check(
        "
        12:00:01 cart - ok
        idle 12:00:14
        idle 12:00:15
        idle 12:00:19
        12:00:03 cart - ok
        idle 12:00:40
        ",
        expect![[r#"
            = batch 0 [0, 1) records=1 dead=0 open=1 until 11:59:50 (data)
            12:00:00 requests cart n=1 good=1 failed=0
            = batch 1 [1, 1) records=0 dead=0 open=0 until 12:00:00 (idle)
            = batch 2 [1, 1) records=0 dead=0 open=0 until 12:00:10 (idle)
            12:00:00 requests cart n=1 good=1 failed=0
            = batch 3 [1, 2) records=1 dead=0 open=0 until 12:00:30 (idle)
        "#]],
    );
}

#[test]
fn too_many_cells_are_written_whole() {
    Case { cells_max: 3, ..GOLDEN_ONLY }.check(
        "
        12:00:01 a - ok
        12:00:01 b - ok
        12:00:01 a - ok
        12:00:11 c - ok
        12:00:02 a - ok
        end
        ",
        expect![[r#"
            = batch 0 [0, 1) records=1 dead=0 open=1 until 11:59:50 (data)
            = batch 1 [1, 4) records=3 dead=0 open=4 until 12:00:00 (data)
            12:00:00 requests a n=3 good=3 failed=0
            12:00:00 requests b n=1 good=1 failed=0
            12:00:10 requests c n=1 good=1 failed=0
            = batch 2 [4, 5) records=1 dead=0 open=0 until 12:00:00 (cells_max)
            = batch 3 [5, 5) records=0 dead=0 open=0 until the end (end)
        "#]],
    );
}

#[test]
fn series_beyond_the_bound_are_folded_whatever_their_order() {
    let bounded = Case { series_max: 2, ..GOLDEN_ONLY };
    let one = bounded.play(
        "12:00:01 a/x - ok\n12:00:01 a/y - ok\n12:00:01 a/z - error\n12:00:01 b/x 7ms ok\n12:00:02 a/x - ok\nend",
    );
    let two = bounded.play(
        "12:00:01 b/x 7ms ok\n12:00:02 a/x - ok\n12:00:01 a/z - error\n12:00:01 a/x - ok\n12:00:01 a/y - ok\nend",
    );
    assert_eq!(one, two);
    expect![[r#"
        = batch 0 [0, 1) records=1 dead=0 open=1 until 11:59:50 (data)
        12:00:00 requests __other__ __other__ __other__ n=2 good=1 failed=1
        12:00:00 requests a /x n=2 good=2 failed=0
        12:00:00 requests b /x n=1 good=1 failed=0 sum=7000us min=7000us max=7000us
        = batch 1 [1, 5) records=4 dead=0 open=0 until the end (end)
    "#]]
    .assert_eq(&one);
}

const DEFINITIONS: &str = "
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
spec: {}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: checkout-availability}
spec:
  ratioMetric:
    counter: true
    rawType: success
    raw:
      metricSource:
        type: streamgauge
        spec: {topic: requests, service: checkout, filter: route != '/health', good: status < 500}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: checkout-latency}
spec:
  ratioMetric:
    counter: true
    rawType: success
    raw:
      metricSource:
        type: streamgauge
        spec: {topic: requests, service: checkout, latencyThresholdUs: 300000}
";

#[test]
fn defined_slis_count_what_they_judge() {
    Case { definitions: DEFINITIONS, ..GOLDEN_ONLY }.check(
        "
        12:00:01 checkout/pay 300ms ok
        12:00:01 checkout/pay 301ms ok
        12:00:01 checkout/pay 5ms error
        12:00:01 checkout/pay - ok
        12:00:01 checkout/health 5ms ok
        12:00:01 checkout/pay 5ms ?
        12:00:01 cart/pay 5ms ok
        end
        ",
        expect![[r#"
            = batch 0 [0, 1) records=1 dead=0 open=1 until 11:59:50 (data)
            12:00:00 requests cart /pay n=1 good=1 failed=0 sum=5000us min=5000us max=5000us
            12:00:00 requests checkout /health n=1 good=1 failed=0 sum=5000us min=5000us max=5000us
            12:00:00 requests checkout /pay n=5 good=3 failed=1 unjudged=1 sum=606000us min=5000us max=301000us
            12:00:00 checkout-availability checkout n=5 good=3 failed=1 unjudged=1
            12:00:00 checkout-latency checkout n=6 good=3 failed=1 unjudged=1 le(300000us)=3 sum=611000us min=5000us max=301000us
            = batch 1 [1, 7) records=6 dead=0 open=0 until the end (end)
        "#]],
    );
}
