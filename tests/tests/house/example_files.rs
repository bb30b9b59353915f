//! The example files that the topic table names, made by the real code from `schemas/request.example.jsonl`,
//! `schemas/request.rejected.example.jsonl` and `docker/definitions`. `UPDATE_EXPECT=1 cargo test --test house` writes
//! them anew.

use expect_test::expect_file;
use streamgauge_definitions::{Bundle, BundleSettings, Definitions};
use streamgauge_events::{Command, DeadLetter, Decision, EventTime, Fact, topics};
use streamgauge_memory_log::{Broker, ClientConfig, MemoryLog};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{Counting, Ledger, Outbox, Record, Source, Stage, TimeSettings, Worker, WorkerSettings};
use streamgauge_stage_sli::SliStage;
use streamgauge_stage_slo::SloStage;

use crate::tree;

/// 2026-01-05T10:00:40Z: when the broker appended them all.
const APPENDED: EventTime = EventTime(1_767_607_240_000_000);

fn bundle() -> Bundle {
    let files = tree::files_in("docker/definitions/", &[".yaml"]);
    let texts: Vec<(String, String)> = files.into_iter().map(|file| (file.clone(), tree::read(&file))).collect();
    let no_files = |_: &str, _: &str| Err("the shipped definitions name no schema files".to_owned());
    let texts = texts.iter().map(|(file, text)| (file.as_str(), text.as_str()));
    let definitions = Definitions::read(texts, &no_files).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    Bundle { settings: BundleSettings::default(), definitions }
}

/// What the stage writes for the examples, lying in partition 0 of `requests`, once the partition has fallen silent.
fn outbox() -> Outbox {
    let bundle = bundle();
    let time = TimeSettings::default();
    let stage = SliStage::new(topics::REQUESTS, time, &bundle).expect("the definitions are valid");
    let opening = Opening {
        source: topics::REQUESTS,
        partition: 0,
        partitions: 1,
        offset: 0,
        metadata: "",
        log_start: 0,
        generation: 0,
        new_generation: false,
        bundle: Counting::bundle(&stage),
        time,
    };
    let mut ledger = Ledger::open(&opening, stage.cells(0)).expect("a new chain can begin");
    let mut out = Outbox::default();
    let lines = [tree::read("schemas/request.example.jsonl"), tree::read("schemas/request.rejected.example.jsonl")];
    let mut offset = 0;
    for line in lines.iter().flat_map(|text| text.lines()) {
        let record = Record {
            source: Source { topic: 0, partition: 0 },
            offset,
            timestamp: Some(APPENDED),
            key: None,
            value: Some(line.as_bytes()),
            rejected: None,
        };
        ledger.fold(&record, &mut out).expect("a new chain does not halt");
        offset += 1;
    }
    assert!(ledger.idle(offset, APPENDED.plus_us(30_000_000), &mut out), "half a minute of silence moves the grid");
    assert_eq!(ledger.open_events(), 0, "an idle batch holds every live pane");
    out
}

fn lines_of(out: &Outbox, topic: &str) -> String {
    let values = out.outputs().iter().filter(|output| output.topic == topic);
    values.map(|output| format!("{}\n", std::str::from_utf8(&output.value).expect("JSON is UTF-8"))).collect()
}

#[test]
fn the_example_of_sli_windows_is_what_the_stage_writes() {
    let out = outbox();
    let lines = lines_of(&out, topics::SLI_WINDOWS);
    let (mut counted, mut records, mut dead_letters) = (0, 0, 0);
    for line in lines.lines() {
        match Fact::from_json(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}")) {
            Fact::Delta(delta) if delta.sli == streamgauge_stage_sli::GOLDEN => counted += delta.n,
            Fact::Delta(_) => {}
            Fact::Frontier(frontier) => {
                (records, dead_letters) = (records + frontier.records, dead_letters + frontier.dead_letters)
            }
        }
    }
    assert_eq!(records - dead_letters, counted, "every request is in one delta of the golden signals or a dead letter");
    expect_file![tree::root().join("schemas/sli.windows.example.jsonl")].assert_eq(&lines);
}

#[test]
fn the_example_of_dead_letters_is_what_the_stage_writes() {
    let out = outbox();
    let lines = lines_of(&out, topics::DEAD_LETTERS);
    let rejected = tree::read("schemas/request.rejected.example.jsonl");
    assert_eq!(lines.lines().count(), rejected.lines().count(), "one dead letter for each rejected record");
    for (line, value) in lines.lines().zip(rejected.lines()) {
        let letter: DeadLetter = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(letter.value.as_deref(), Some(value));
    }
    expect_file![tree::root().join("schemas/dead-letters.example.jsonl")].assert_eq(&lines);
}

#[test]
fn the_example_of_sli_state_is_what_the_stage_writes() {
    let stage = SliStage::new(topics::REQUESTS, TimeSettings::default(), &bundle()).expect("the definitions are valid");
    let unsaved = Counting::unsaved(&stage);
    let [output] = unsaved.as_slice() else { panic!("one record for one bundle, not {}", unsaved.len()) };
    assert_eq!(output.topic, topics::SLI_STATE);
    let value: Bundle = serde_json::from_slice(&output.value).expect("the state topic holds bundles");
    assert_eq!(output.key, format!("bundle/{}", value.hash()).into_bytes());
    let pretty = serde_json::to_string_pretty(&value).expect("a bundle always has a JSON form");
    expect_file![tree::root().join("schemas/sli.state.example.json")].assert_eq(&format!("{pretty}\n"));
}

/// Twenty minutes of a checkout of which one request in five fails in the last minute, through both stages.
fn after_a_bad_minute() -> Broker {
    let broker = Broker::default();
    broker.advance_to(APPENDED);
    for topic in topics::table() {
        broker.create_topic(&topic.topic, 1);
    }
    for number in 0..12_000 {
        let ts = APPENDED.0 - 1_200_000_000 + number * 100_000;
        let status = if number >= 11_400 && number % 5 == 0 { 503 } else { 200 };
        let request = format!(
            r#"{{"ts":{ts},"service":"checkout","route":"/pay","method":"POST","status":{status},"latency_us":90000,"trace_id":"{number:08x}"}}"#
        );
        broker.append(topics::REQUESTS, 0, None, Some(request.as_bytes()));
    }
    let bundle = bundle();
    let sli = SliStage::new(topics::REQUESTS, TimeSettings::default(), &bundle).expect("the definitions are valid");
    run(&broker, "sli", sli);
    run(&broker, "slo", SloStage::new(&bundle, topics::REQUESTS).expect("the definitions are valid"));
    broker
}

/// Until a while after everything was read.
fn run<S: Stage>(broker: &Broker, group: &str, stage: S) {
    let inputs: Vec<&str> = stage.inputs().iter().map(String::as_str).collect();
    let log = MemoryLog::connect(broker, ClientConfig::new(group, "w0", &inputs)).expect("nobody else is here");
    let mut worker = Worker::new(log, stage, WorkerSettings::default());
    for _ in 0..200 {
        broker.advance_to(broker.now().plus_us(250_000));
        worker.turn(broker.now(), std::time::Duration::ZERO).expect("nothing fails here");
    }
    worker.stop(broker.now()).0.expect("nothing fails here");
}

#[test]
fn the_example_of_alerts_is_what_the_stage_writes() {
    let broker = after_a_bad_minute();
    let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap_or_default()).expect("texts are UTF-8");
    let alerts = broker.records(topics::ALERTS, 0).into_iter().map(|record| text(record.value) + "\n");
    let alerts: String = alerts.collect();
    assert!(alerts.contains(r#""transition":"fired""#), "one request in a hundred is bad, where one in 2,000 may be");
    expect_file![tree::root().join("schemas/alerts.example.jsonl")].assert_eq(&alerts);
    let mut kept = std::collections::BTreeMap::new();
    for record in broker.records(topics::SLO_STATE, 0) {
        kept.insert(text(record.key), text(record.value));
    }
    kept.retain(|key, value| !value.is_empty() && (key == "clock" || key.starts_with("slo//shop-payments")));
    let state: String = kept.into_iter().map(|(key, value)| format!("{key}\t{value}\n")).collect();
    expect_file![tree::root().join("schemas/slo.state.example.txt")].assert_eq(&state);
}

/// An override for an acute repair, and another one that was taken back.
#[test]
fn the_example_of_commands_is_what_people_write() {
    const HOUR_US: i64 = 3_600_000_000;
    let at = |hours: i64| APPENDED.floor(HOUR_US).plus_us(hours * HOUR_US);
    let override_of = |tenant: Option<&str>, expires: EventTime| Decision::Override {
        tenant: tenant.map(str::to_owned),
        service: "checkout".to_owned(),
        expires,
    };
    let command = |actor: &str, reason: &str, hours: i64, decision: Decision| {
        Command::new(actor, reason, at(hours), decision).unwrap_or_else(|error| panic!("{reason}: {error}"))
    };
    let repair = command("ann", "CHK-77: the repair of the payment timeouts", 1, override_of(None, at(3)));
    let long = command("ann", "release 1.9 was promised for today", 2, override_of(Some("acme"), at(26)));
    let back = Decision::Revocation { command: long.id.clone() };
    let back = command("bob", "the release waits until Monday", 4, back);
    let lines: Vec<String> = [&repair, &long, &back].into_iter().map(|command| text_of(command.to_json())).collect();
    for (line, command) in lines.iter().zip([repair, long, back]) {
        assert_eq!(Command::from_json(line.as_bytes()), Ok(command), "{line}");
    }
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    expect_file![tree::root().join("schemas/commands.example.jsonl")].assert_eq(&lines);
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("texts are UTF-8")
}
