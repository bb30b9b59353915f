//! Scores and samples under groups, bounds and many names: a partition taken over at any offset goes on as if nobody had
//! left, and readers come to the same panes however batches were cut and records were ordered.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use streamgauge_definitions::{
    Aggregate, Bounds, Bundle, BundleSettings, Definitions, Empty, Label, Measure, Rule, Service, Sli, Slice,
};
use streamgauge_events::{EventTime, Fact, Kind, facts::OTHER, topics};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{CommitMetadata, Counting as _, Ledger, Outbox, Output, Record, Source, TimeSettings};
use streamgauge_stage_sli::{SliCells, SliStage};
use streamgauge_windows::{Fold, FoldedPane, Only};

const NOTHING: u32 = 4;
const SECOND: i64 = 1_000_000;
const TEXTS: [&str; 8] = ["", "a", "b", "c", OTHER, "a/b", "%2F", "\u{1f30a}"];
const VALUES: [&str; 12] = [
    "0",
    "-0.0",
    "1e-7",
    "5e-7",
    "15e-7",
    "-2.5e-6",
    "0.000255",
    "0.000256",
    "35184372.088832",
    "-35184372.088832",
    "1e7",
    "0.5",
];

/// Definitions with this bound; with [`NOTHING`], those that declare nothing.
fn bundle(series_max: u32) -> Bundle {
    if series_max == NOTHING {
        return Bundle { settings: BundleSettings { series_max: 2, ..BundleSettings::default() }, ..Bundle::default() };
    }
    let labels = |names: &[(&str, &[&str])]| -> BTreeMap<Label, Vec<String>> {
        let label = |name| Label::named(name).expect("a label");
        names
            .iter()
            .map(|(name, values)| (label(name), values.iter().map(|value| (*value).to_owned()).collect()))
            .collect()
    };
    let sli = |topic: &str, filter: Option<&str>, group_by, good| Sli {
        service: "a".to_owned(),
        topic: topic.to_owned(),
        filter: filter.map(str::to_owned),
        group_by,
        good,
    };
    let slice = Slice { length_us: 10 * SECOND, empty: Empty::Ignore };
    let bounds = Bounds { at_least: Some(0), at_most: None };
    let two = || labels(&[("attributes.plan", &["a"]), ("version", &["b", OTHER])]);
    let mut slis = vec![
        ("audits", sli("scores", None, labels(&[("attributes.plan", &[])]), Measure::Counts)),
        ("high", sli("scores", Some("metric != 'b'"), two(), Measure::When("value >= 0.0".to_owned()))),
        ("mean", sli("scores", None, BTreeMap::new(), Measure::Slice { slice, rule: Rule::Mean(bounds) })),
        (
            "cpu",
            sli(
                "resources",
                Some("attributes.plan != 'b'"),
                labels(&[("attributes.plan", &[]), ("instance", &[]), ("metric", &["a"]), ("version", &[])]),
                Measure::Slice { slice, rule: Rule::Saturation { aggregate: Aggregate::Last, bounds } },
            ),
        ),
        ("used", sli("resources", None, two(), Measure::When("value < 0.5 || attributes.plan == 'a'".to_owned()))),
        ("rate", sli("requests", None, two(), Measure::Slice { slice, rule: Rule::Traffic(bounds) })),
        ("route", sli("requests", None, labels(&[("route", &[]), ("version", &[])]), Measure::When("ok".to_owned()))),
    ];
    let definitions = Definitions {
        services: BTreeMap::from([("a".to_owned(), Service::default())]),
        sources: BTreeMap::new(),
        slis: slis.drain(..).map(|(name, sli)| (name.to_owned(), sli)).collect(),
        ..Definitions::default()
    };
    Bundle { settings: BundleSettings { series_max, ..BundleSettings::default() }, definitions }
}

#[derive(Clone, Debug)]
enum Step {
    Record(String),
    /// Undeclared services that nobody has heard of, so many of them.
    Names(usize),
    Idle(i64),
}

fn record(kind: Kind) -> impl Strategy<Value = String> {
    let label = || prop::option::of(select(&TEXTS[..]));
    let service = prop_oneof![4 => Just("a"), 1 => select(&TEXTS[1..])];
    let texts = (service, label(), label(), label(), label(), label());
    let numbers = (0..45_i64, select(&VALUES[..]), prop::option::of(0..3_u32), prop::option::of(any::<bool>()));
    (texts, numbers).prop_map(move |((service, tenant, version, plan, first, trace_id), numbers)| {
        let (second, value, counts, ok) = numbers;
        let mut json = serde_json::json!({
            "ts": second * SECOND, "service": service, "tenant": tenant, "version": version, "trace_id": trace_id,
        });
        if let Some(plan) = plan {
            json["attributes"] = serde_json::json!({ "plan": plan });
        }
        match kind {
            Kind::Request => {
                json["route"] = serde_json::json!(first);
                json["ok"] = serde_json::json!(ok);
            }
            Kind::Score => {
                json["metric"] = serde_json::json!(first.filter(|text| !text.is_empty()).unwrap_or("m"));
                if let Some(counts) = counts {
                    json["good"] = serde_json::json!(counts / 2);
                    json["total"] = serde_json::json!(counts);
                }
            }
            Kind::Resource => {
                json["metric"] = serde_json::json!(version.filter(|text| !text.is_empty()).unwrap_or("m"));
                json["instance"] = serde_json::json!(first);
            }
        }
        let text = json.to_string();
        match kind {
            Kind::Request => text,
            _ => format!("{},\"value\":{value}}}", &text[..text.len() - 1]),
        }
    })
}

fn step(kind: Kind) -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => record(kind).prop_map(Step::Record),
        1 => (0..60_i64).prop_map(Step::Idle),
        1 => select(vec![3, 6_000, 17_000]).prop_map(Step::Names),
    ]
}

fn steps() -> impl Strategy<Value = (usize, Vec<Step>)> {
    (0..3_usize).prop_flat_map(|kind| (Just(kind), prop::collection::vec(step(Kind::ALL[kind]), 1..70)))
}

fn texts(kind: usize, steps: &[Step]) -> Vec<Result<String, i64>> {
    let mut texts = Vec::new();
    for step in steps {
        match step {
            Step::Record(text) => texts.push(Ok(text.clone())),
            Step::Idle(second) => texts.push(Err(*second)),
            Step::Names(count) => texts.extend((0..*count).map(|number| {
                let rest =
                    [",\"metric\":\"m\"", ",\"metric\":\"m\",\"value\":1", ",\"metric\":\"m\",\"value\":1"][kind];
                Ok(format!("{{\"ts\":20000000,\"service\":\"s{number}\"{rest}}}"))
            })),
        }
    }
    texts
}

struct Setting {
    kind: usize,
    series_max: u32,
    cells_max: usize,
    partition: i32,
}

fn open(setting: &Setting, committed: Option<(i64, &CommitMetadata)>) -> Ledger<SliCells> {
    let time = TimeSettings {
        cells_max: setting.cells_max,
        late_horizon_us: 60 * SECOND,
        max_out_of_orderness_us: 15 * SECOND,
        max_future_skew_us: None,
        ..TimeSettings::default()
    };
    let started_with = |series_max| {
        let stage = SliStage::new("requests", time, &bundle(series_max)).expect("valid definitions");
        stage
            .also_reading(topics::SCORES)
            .and_then(|stage| stage.also_reading(topics::RESOURCES))
            .expect("known topics")
    };
    let mut stage = started_with(setting.series_max);
    if setting.series_max <= NOTHING {
        for Output { key, value, .. } in (1..=NOTHING).flat_map(|other| started_with(other).unsaved()) {
            stage.learn(&key, &value);
        }
    }
    let topic = [topics::REQUESTS, topics::SCORES, topics::RESOURCES][setting.kind];
    let opening = Opening {
        source: topic,
        partition: setting.partition,
        partitions: 2,
        offset: committed.map_or(0, |(offset, _)| offset),
        metadata: &committed.map_or_else(String::new, |(_, metadata)| metadata.encode()),
        log_start: 0,
        generation: 0,
        new_generation: false,
        bundle: stage.bundle(),
        time,
    };
    Ledger::open(&opening, stage.cells(stage.topic_index(topic).expect("an input"))).expect("it can be followed")
}

fn fold(ledger: &mut Ledger<SliCells>, offset: i64, text: &str, out: &mut Outbox) {
    let source = Source { topic: 0, partition: 0 };
    let record = Record { source, offset, timestamp: None, key: None, value: Some(text.as_bytes()), rejected: None };
    ledger.fold(&record, out).expect("the state is the same again");
}

/// At each of the `takeovers` (place, definitions) a new owner opens the partition.
fn play(setting: &Setting, texts: &[Result<String, i64>], takeovers: &[(usize, u32)]) -> (Outbox, CommitMetadata) {
    let mut out = Outbox::default();
    let mut ledger = open(setting, None);
    let mut records: Vec<&str> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        for (_, series_max) in takeovers.iter().filter(|(due, _)| *due == at) {
            let position = records.len() as i64;
            let committed = ledger.metadata(position);
            ledger = open(&Setting { series_max: *series_max, ..*setting }, Some((position, &committed)));
            for offset in ledger.start()..position {
                fold(&mut ledger, offset, records[offset as usize], &mut Outbox::default());
            }
            ledger.passed(position).expect("the state is the same again");
        }
        match text {
            Err(second) => drop(ledger.idle(records.len() as i64, EventTime(second * SECOND), &mut out)),
            Ok(text) => {
                fold(&mut ledger, records.len() as i64, text, &mut out);
                records.push(text);
            }
        }
    }
    let position = records.len() as i64;
    let metadata = ledger.metadata(position);
    ledger.end(position, &mut out);
    (out, metadata)
}

/// What readers make of it: every pane as a line.
fn panes(outboxes: &[Outbox]) -> Vec<String> {
    let mut fold = Fold::new(Only::default());
    for output in outboxes.iter().flat_map(Outbox::outputs).filter(|output| output.topic == topics::SLI_WINDOWS) {
        fold.add(0, &Fact::from_json(&output.value).expect("a fact")).expect("it can be added");
    }
    fold.panes().map(|pane| pane.to_json()).collect()
}

/// What one series counted: n, good, failed, unjudged; of its values the sum, its squares, smallest, largest, last; how
/// many lie below zero.
type Numbers = ([u64; 4], Option<(i128, i128, i64, i64, (EventTime, i64, i64), u64)>);
type Name = (EventTime, String, String, String, BTreeMap<String, String>);

fn numbers(pane: &FoldedPane) -> (Name, Numbers) {
    let FoldedPane { pane: start, tenant, service, sli, labels, n, good, failed, unjudged, values, .. } = pane.clone();
    let values = values.map(|values| {
        let last = (values.last.ts, values.last.offset, values.last.value);
        (values.sum, values.sum_of_squares, values.min, values.max, last, values.under)
    });
    ((start, tenant, sli, service, labels), ([n, good, failed, unjudged], values))
}

fn add(mine: &mut Numbers, theirs: &Numbers) {
    mine.0.iter_mut().zip(theirs.0).for_each(|(mine, theirs)| *mine += theirs);
    mine.1 = match (mine.1, theirs.1) {
        (Some(a), Some(b)) => Some((a.0 + b.0, a.1 + b.1, a.2.min(b.2), a.3.max(b.3), a.4.max(b.4), a.5 + b.5)),
        (a, b) => a.or(b),
    };
}

/// The bound, by the book: of what was counted without one, in each pane, group and SLI the series with the smallest
/// hashes stay, and all others are added up.
fn bounded_by_the_book(unbounded: &Outbox, series_max: usize) -> BTreeMap<Name, Numbers> {
    let mut fold = Fold::new(Only::default());
    let mut ranks: BTreeMap<_, BTreeMap<(u64, Name), Vec<String>>> = BTreeMap::new();
    for output in unbounded.outputs().iter().filter(|output| output.topic == topics::SLI_WINDOWS) {
        let fact = Fact::from_json(&output.value).expect("a fact");
        fold.add(0, &fact).expect("it can be added");
        let Fact::Delta(delta) = fact else { continue };
        let Some(hash) = delta.series_hash else { continue };
        let hash = u64::from_str_radix(&hash, 16).expect("a number");
        let names = delta.labels.keys().chain(&delta.absent).cloned().collect();
        let name = (delta.pane, delta.tenant.clone(), delta.sli.clone(), delta.service, delta.labels);
        ranks.entry((delta.pane, delta.tenant, delta.group, delta.sli)).or_default().insert((hash, name), names);
    }
    let mut all: BTreeMap<Name, Numbers> = fold.panes().map(|pane| numbers(&pane)).collect();
    for ((start, tenant, group, sli), ranked) in ranks {
        for ((_, name), names) in ranked.into_iter().skip(series_max) {
            let folded = all.remove(&name).expect("it was counted");
            let labels = names.into_iter().map(|name| (name, OTHER.to_owned())).collect();
            let service = if group.is_empty() { OTHER.to_owned() } else { group.clone() };
            let other = (start, tenant.clone(), sli.clone(), service, labels);
            all.entry(other).and_modify(|mine| add(mine, &folded)).or_insert(folded);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn take_overs_leave_no_trace_in_any_kind(
        (kind, steps) in steps(), series_max in 1..4_u32,
        cells_max in select(vec![1_usize, 3, 9, 20_000]),
        changes in prop::collection::vec((0..80_usize, 1..=NOTHING), 0..3),
        takeovers in prop::collection::vec(prop_oneof![3 => 0..80_usize, 1 => 0..40_000_usize], 0..12),
    ) {
        let texts = texts(kind, &steps);
        let setting = Setting { kind, series_max, cells_max, partition: 0 };
        let mut changes = changes;
        changes.sort_unstable();
        let (undisturbed, mut expected) = play(&setting, &texts, &changes);
        let mut all = changes.clone();
        for at in takeovers {
            let current = changes.iter().rev().find(|(due, _)| *due <= at).map_or(series_max, |(_, current)| *current);
            all.push((at, current));
        }
        all.sort_by_key(|(at, _)| *at);
        let (disturbed, mut metadata) = play(&setting, &texts, &all);
        prop_assert!(disturbed.outputs() == undisturbed.outputs(), "outputs differ");
        // A take-over drops definitions that no record can need any more.
        prop_assert_eq!(metadata.b.last(), expected.b.last());
        (metadata.b, expected.b) = (Vec::new(), Vec::new());
        prop_assert_eq!(metadata, expected);
    }

    #[test]
    fn panes_do_not_depend_on_how_batches_were_cut(
        (kind, steps) in steps(), series_max in 1..4_u32, cells_max in select(vec![1_usize, 2, 3, 9]),
    ) {
        let texts = texts(kind, &steps);
        let whole = play(&Setting { kind, series_max, cells_max: 1 << 40, partition: 0 }, &texts, &[]).0;
        let cut = play(&Setting { kind, series_max, cells_max, partition: 0 }, &texts, &[]).0;
        prop_assert_eq!(panes(&[cut]), panes(&[whole]));
    }

    #[test]
    fn panes_do_not_depend_on_the_order_in_which_partitions_are_read(
        (kind, steps) in steps(), series_max in 1..4_u32,
        (mine, theirs) in (select(vec![1_usize, 2, 9, 20_000]), select(vec![1_usize, 3, 20_000])),
        split in prop::collection::vec(any::<bool>(), 70),
    ) {
        let mut halves = [Vec::new(), Vec::new()];
        for (step, half) in steps.iter().zip(&split) {
            halves[usize::from(*half)].push(step.clone());
        }
        let play_half = |half: usize, cells_max| {
            let setting = Setting { kind, series_max, cells_max, partition: half as i32 };
            play(&setting, &texts(kind, &halves[half]), &[]).0
        };
        let forth = panes(&[play_half(0, mine), play_half(1, theirs)]);
        let back = panes(&[play_half(1, 20_000), play_half(0, 20_000)]);
        prop_assert_eq!(forth, back);
    }

    #[test]
    fn the_bound_keeps_the_smallest_hashes_whole(
        (kind, steps) in steps(), series_max in 1..4_u32, cells_max in select(vec![1_usize, 3, 20_000]),
    ) {
        let texts = texts(kind, &steps);
        let whole = play(&Setting { kind, series_max: 1 << 30, cells_max: 1 << 40, partition: 0 }, &texts, &[]).0;
        let bounded = play(&Setting { kind, series_max, cells_max, partition: 0 }, &texts, &[]).0;
        let mut fold = Fold::new(Only::default());
        for output in bounded.outputs().iter().filter(|output| output.topic == topics::SLI_WINDOWS) {
            fold.add(0, &Fact::from_json(&output.value).expect("a fact")).expect("it can be added");
        }
        let found: BTreeMap<Name, Numbers> = fold.panes().map(|pane| numbers(&pane)).collect();
        prop_assert_eq!(found, bounded_by_the_book(&whole, series_max as usize));
    }
}
