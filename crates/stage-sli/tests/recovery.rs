//! A partition taken over at any offset goes on as if nobody had left, whatever its labels say.

use std::collections::BTreeMap;

use proptest::prelude::*;
use streamgauge_definitions::{Bundle, BundleSettings, Definitions};
use streamgauge_definitions::{Failures, Measure, Service, Sli};
use streamgauge_events::{EventTime, Fact, facts::OTHER, topics};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::metadata::{ACTIVATIONS_MAX, LOST_MAX, METADATA_BYTES_MAX};
use streamgauge_stage::{
    Activation, CommitMetadata, Counting as _, Ledger, Outbox, Output, Record, Source, TimeSettings,
};
use streamgauge_stage_sli::{SliCells, SliStage};

const SECOND: i64 = 1_000_000;

/// Texts that mean something to somebody on the way.
const LABELS: [&str; 12] =
    ["", "a", "b", "c", OTHER, "__frontier", "a/b", "a%2Fb", "requests", "\u{0}", "\u{1f30a}", "\"\\"];

fn time(cells_max: usize) -> TimeSettings {
    TimeSettings { cells_max, late_horizon_us: 60 * SECOND, max_future_skew_us: None, ..TimeSettings::default() }
}

/// Definitions 0 declare nothing; 1 and 2 declare services, and measure one of them in different ways.
fn bundle(number: usize) -> Bundle {
    let services = [&[][..], &["a"], &["a", "b", "a/b"]][number];
    let sli = |good| Sli {
        service: "a".to_owned(),
        topic: "requests".to_owned(),
        filter: None,
        group_by: BTreeMap::new(),
        good,
    };
    let slis = match number {
        0 => vec![],
        1 => vec![("ok", sli(Measure::When("status < 500".to_owned())))],
        _ => vec![
            ("fast", sli(Measure::Latency { threshold_us: 255, failures: Failures::Exclude, thresholds_us: vec![10] })),
            ("ok", sli(Measure::When("ok || status == 0".to_owned()))),
        ],
    };
    let definitions = Definitions {
        services: services.iter().map(|name| ((*name).to_owned(), Service::default())).collect(),
        slis: slis.into_iter().map(|(name, sli)| (name.to_owned(), sli)).collect(),
        ..Definitions::default()
    };
    Bundle { settings: BundleSettings { series_max: 2, ..BundleSettings::default() }, definitions }
}

/// A stage that was started with these definitions, and has read the others in the state topic.
fn stage(number: usize, cells_max: usize) -> SliStage {
    let started_with = |number| SliStage::new("requests", time(cells_max), &bundle(number)).expect("valid definitions");
    let mut stage = started_with(number);
    for Output { key, value, .. } in (0..3).flat_map(|other| started_with(other).unsaved()) {
        stage.learn(&key, &value);
    }
    stage
}

fn open(stage: &SliStage, committed: Option<(i64, &CommitMetadata)>) -> Ledger<SliCells> {
    let opening = Opening {
        source: "requests",
        partition: 0,
        partitions: 1,
        offset: committed.map_or(0, |(offset, _)| offset),
        metadata: &committed.map_or_else(String::new, |(_, metadata)| metadata.encode()),
        log_start: 0,
        generation: 0,
        new_generation: false,
        bundle: stage.bundle(),
        time: stage.time(),
    };
    Ledger::open(&opening, stage.cells(0)).expect("it can be followed")
}

#[derive(Clone, Debug)]
enum Step {
    Record(String),
    /// Silence until this second.
    Idle(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let label = || prop::option::of(prop::sample::select(&LABELS[..]));
    let numbers = (
        prop_oneof![6 => 0..40_i64, 1 => 0..200_i64],
        prop::option::of(prop::sample::select(vec![0, 200, 499, 500, 999])),
        prop::option::of(prop::sample::select(vec![0_u64, 255, 256, 3_600_000_000, 3_600_000_001, 1 << 45])),
        prop::option::of(any::<bool>()),
    );
    let service = prop::sample::select(&LABELS[..]);
    let record = (numbers, service, label(), label(), label(), label()).prop_map(
        |((second, status, latency_us, ok), service, tenant, route, version, trace_id)| {
            let text = serde_json::json!({
                "ts": second * SECOND, "service": service, "tenant": tenant, "route": route, "version": version,
                "trace_id": trace_id, "status": status, "latency_us": latency_us, "ok": ok,
            });
            Step::Record(text.to_string())
        },
    );
    prop_oneof![30 => record, 1 => (0..220_i64).prop_map(Step::Idle)]
}

fn fold(ledger: &mut Ledger<SliCells>, offset: i64, step: &Step, out: &mut Outbox) {
    match step {
        Step::Idle(second) => drop(ledger.idle(offset, EventTime(second * SECOND), out)),
        Step::Record(value) => {
            let (source, value) = (Source { topic: 0, partition: 0 }, Some(value.as_bytes()));
            let record = Record { source, offset, timestamp: None, key: None, value, rejected: None };
            ledger.fold(&record, out).expect("the state is the same again");
        }
    }
}

/// Plays all steps; at each of the `takeovers` (step, definitions) a new owner opens the partition.
fn play(steps: &[Step], takeovers: &[(usize, usize)], cells_max: usize) -> (Outbox, CommitMetadata) {
    let mut out = Outbox::default();
    let mut bundle = 0;
    let mut ledger = open(&stage(bundle, cells_max), None);
    let mut records: Vec<&Step> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        for (_, next) in takeovers.iter().filter(|(due, _)| *due == at) {
            bundle = *next;
            let position = records.len() as i64;
            let committed = ledger.metadata(position);
            ledger = open(&stage(bundle, cells_max), Some((position, &committed)));
            for offset in ledger.start()..position {
                fold(&mut ledger, offset, records[offset as usize], &mut Outbox::default());
            }
            ledger.passed(position).expect("the state is the same again");
            assert!(!ledger.refolding());
        }
        fold(&mut ledger, records.len() as i64, step, &mut out);
        if matches!(step, Step::Record(_)) {
            records.push(step);
        }
    }
    let position = records.len() as i64;
    let metadata = ledger.metadata(position);
    ledger.end(position, &mut out);
    (out, metadata)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn take_overs_leave_no_trace(
        steps in prop::collection::vec(step(), 1..80), cells_max in prop::sample::select(vec![1_usize, 3, 9, 20_000]),
        changes in prop::collection::vec((0..80_usize, 0..3_usize), 0..3),
        takeovers in prop::collection::vec(0..80_usize, 0..12),
    ) {
        let mut changes = changes;
        changes.sort_unstable();
        let (undisturbed, mut expected) = play(&steps, &changes, cells_max);
        // The same changes of definitions, and between them owners that change nothing.
        let mut all = changes.clone();
        for at in takeovers {
            let current = changes.iter().rev().find(|(due, _)| *due <= at).map_or(0, |(_, bundle)| *bundle);
            all.push((at, current));
        }
        all.sort_by_key(|(at, _)| *at);
        let (disturbed, mut metadata) = play(&steps, &all, cells_max);
        prop_assert_eq!(disturbed.outputs(), undisturbed.outputs());
        // A take-over drops definitions that no record can need any more; who never takes over keeps them.
        prop_assert_eq!(metadata.b.last(), expected.b.last());
        (metadata.b, expected.b) = (Vec::new(), Vec::new());
        prop_assert_eq!(metadata, expected);
    }

    #[test]
    fn every_record_is_in_one_delta_of_the_golden_signals_or_a_dead_letter(
        steps in prop::collection::vec(step(), 1..80), cells_max in prop::sample::select(vec![1_usize, 3, 20_000]),
    ) {
        let (out, _) = play(&steps, &[], cells_max);
        let records = steps.iter().filter(|step| matches!(step, Step::Record(_))).count() as u64;
        let letters = out.outputs().iter().filter(|output| output.topic == topics::DEAD_LETTERS).count() as u64;
        let (mut counted, mut told) = (0, 0);
        for output in out.outputs().iter().filter(|output| output.topic == topics::SLI_WINDOWS) {
            match Fact::from_json(&output.value).expect("a fact") {
                Fact::Delta(delta) => {
                    prop_assert_eq!(&output.key, &delta.key());
                    prop_assert!(delta.good + delta.unjudged <= delta.n && delta.failed <= delta.n);
                    counted += if delta.sli == "requests" { delta.n } else { 0 };
                }
                Fact::Frontier(frontier) => told += frontier.records,
            }
        }
        prop_assert_eq!((counted + letters, told), (records, records));
    }
}

#[test]
fn the_largest_metadata_fit_into_a_commit() {
    let numbers = EventTime(i64::MIN);
    let activation = Activation { start: numbers, hash: "f".repeat(16), from: i64::MIN };
    let metadata = CommitMetadata {
        v: 1,
        m: i64::MIN,
        w: numbers,
        x: numbers,
        wn: numbers,
        xn: numbers,
        ev: u64::MAX,
        c: u64::MAX,
        d: "f".repeat(16),
        k: u64::MAX,
        g: u32::MAX,
        t: i64::MIN,
        r: u64::MAX,
        dl: u64::MAX,
        l: vec![(i64::MIN, i64::MIN); LOST_MAX],
        le: u64::MAX,
        b: vec![activation; ACTIVATIONS_MAX],
        p: TimeSettings {
            pane_us: i64::MIN,
            max_out_of_orderness_us: i64::MIN,
            late_horizon_us: i64::MIN,
            max_future_skew_us: Some(i64::MIN),
            cells_max: usize::MAX,
        }
        .fingerprint(),
    };
    let text = metadata.encode();
    assert!(text.len() <= METADATA_BYTES_MAX, "{} bytes", text.len());
    assert_eq!(CommitMetadata::decode(&text).expect("our own"), metadata);
}
