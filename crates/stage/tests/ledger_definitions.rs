//! Definitions stay known as long as a record may still be folded with them, also while a state is rebuilt.

use std::collections::BTreeMap;

use streamgauge_events::{EventTime, Offset, Reason, Rejection};
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{
    Activation, BatchHead, Cells, CommitMetadata, Ledger, Outbox, Record, Source, Standing, TimeSettings, Unusable,
};

const SECOND: i64 = 1_000_000;

/// Counts events per pane; the definitions are only remembered.
#[derive(Default)]
struct Counter {
    panes: BTreeMap<EventTime, u64>,
    definitions: Vec<Activation>,
}

impl Cells for Counter {
    type Event<'a> = ();

    fn decode(&mut self, value: &[u8], _: Standing, (): &mut ()) -> Result<EventTime, Rejection> {
        let seconds = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
        let seconds = seconds.ok_or_else(|| Rejection::new(Reason::Undecodable, "no number"))?;
        Ok(EventTime(seconds * SECOND))
    }

    fn fold(&mut self, pane: EventTime, _: Offset, (): &()) {
        *self.panes.entry(pane).or_default() += 1;
    }

    fn live(&self) -> usize {
        self.panes.len()
    }

    fn digest(&self) -> u64 {
        self.panes.iter().map(|(pane, count)| pane.0 as u64 ^ count).sum()
    }

    fn cut(&mut self, pane: EventTime, _head: &BatchHead<'_>, _out: &mut Outbox) {
        self.panes.remove(&pane);
    }

    fn forget(&mut self, pane: EventTime) {
        self.panes.remove(&pane);
    }

    fn activate(&mut self, activations: &[Activation]) -> Result<(), Unusable> {
        self.definitions = activations.to_vec();
        Ok(())
    }
}

fn open(bundle: &str, committed: Option<(Offset, &CommitMetadata)>) -> Ledger<Counter> {
    let opening = Opening {
        source: "requests",
        partition: 0,
        partitions: 1,
        offset: committed.map_or(0, |(offset, _)| offset),
        metadata: &committed.map_or_else(String::new, |(_, metadata)| metadata.encode()),
        log_start: 0,
        generation: 0,
        new_generation: false,
        bundle,
        time: TimeSettings { late_horizon_us: 100 * SECOND, ..TimeSettings::default() },
    };
    Ledger::open(&opening, Counter::default()).expect("it can be followed")
}

fn fold(ledger: &mut Ledger<Counter>, offset: Offset, seconds: i64) {
    let (source, value) = (Source { topic: 0, partition: 0 }, seconds.to_string());
    let value = Some(value.as_bytes());
    let record = Record { source, offset, timestamp: None, key: None, value, rejected: None };
    ledger.fold(&record, &mut Outbox::default()).expect("nothing is compared here");
}

fn starts(metadata: &CommitMetadata) -> Vec<(i64, &str)> {
    metadata.b.iter().map(|activation| (activation.start.0.max(0) / SECOND, activation.hash.as_str())).collect()
}

/// After an idle advance, records raise max(ts) without raising E: nothing is cut, and the pane of a late record stays
/// live far behind max(ts). Its definitions must not be dropped while it has to be folded again.
#[test]
fn definitions_of_a_live_late_pane_are_kept_however_far_max_ts_has_gone() {
    let mut ledger = open("old", None);
    fold(&mut ledger, 0, 1000);
    let committed = ledger.metadata(1);
    let mut ledger = open("new", Some((1, &committed)));
    fold(&mut ledger, 0, 1000);
    ledger.passed(1).expect("the state is the same again");
    assert_eq!(starts(&ledger.metadata(1)), [(0, "old"), (1010, "new")]);

    ledger.idle(1, EventTime(1300 * SECOND), &mut Outbox::default());
    fold(&mut ledger, 1, 905);
    fold(&mut ledger, 2, 1290);
    let committed = ledger.metadata(3);
    assert_eq!((committed.m, committed.ev, committed.xn), (1, 2, EventTime(1290 * SECOND)));
    let again = open("new", Some((3, &committed)));
    assert_eq!(starts(&again.metadata(3)), [(0, "old"), (1010, "new")]);

    // Once no such pane is live, they go.
    ledger.idle(3, EventTime(1400 * SECOND), &mut Outbox::default());
    let later = open("new", Some((3, &ledger.metadata(3))));
    assert_eq!(starts(&later.metadata(3)), [(1010, "new")]);
}
