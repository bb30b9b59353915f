//! Facts made by hand: deltas and frontiers of one source partition, in grid points since a fixed one.

use std::collections::BTreeMap;

use streamgauge_events::facts::{AtOrUnder, FactType, Last, Values};
use streamgauge_events::{Cause, Delta, EventTime, Fact, Frontier, Offset};
use streamgauge_stats::Histogram;

pub const PANE_US: i64 = 10_000_000;
/// A full hour, and the beginning of a day.
const START_US: i64 = 19_000 * 86_400_000_000;

/// The grid point of that number, which is also where the pane of that number begins.
pub fn point(number: i64) -> EventTime {
    EventTime(START_US + number * PANE_US)
}

pub fn number_of(point: EventTime) -> i64 {
    (point.0 - START_US) / PANE_US
}

/// The numbered batches of one source partition.
#[derive(Clone, Debug)]
pub struct Chain {
    pub source: &'static str,
    pub partition: i32,
    pub generation: u32,
    pub batch: u64,
    pub to: Offset,
}

impl Chain {
    pub fn new(source: &'static str, partition: i32) -> Self {
        Self { source, partition, generation: 0, batch: 0, to: 0 }
    }

    /// A delta of the batch that is being made.
    pub fn delta(&self, sli: &str, service: &str, pane: i64, n: u64, good: u64) -> Delta {
        Delta {
            r#type: FactType::Delta,
            tenant: String::new(),
            service: service.to_owned(),
            sli: sli.to_owned(),
            labels: BTreeMap::new(),
            absent: Vec::new(),
            group: service.to_owned(),
            series_hash: None,
            series_max: None,
            pane: point(pane),
            pane_us: PANE_US,
            source: self.source.to_owned(),
            partition: self.partition,
            generation: self.generation,
            batch: self.batch,
            bundle: "b".to_owned(),
            n,
            good,
            failed: 0,
            unjudged: 0,
            le: Vec::new(),
            latency: None,
            values: None,
            newest: point(pane).plus_us(PANE_US - 1),
            exemplars: Vec::new(),
        }
    }

    /// The end of the batch that is being made. `partitions`: what partition 0 announces.
    pub fn frontier(&mut self, until: EventTime, partitions: Option<i32>) -> Frontier {
        let (from, to) = (self.to, self.to + 10);
        let frontier = Frontier {
            r#type: FactType::Frontier,
            source: self.source.to_owned(),
            partition: self.partition,
            generation: self.generation,
            batch: self.batch,
            from,
            to,
            records: 10,
            dead_letters: 0,
            deltas: 0,
            open: 0,
            lost: Vec::new(),
            lost_events: 0,
            complete_until: until,
            cause: Cause::Data,
            bundle: "b".to_owned(),
            bundle_start: EventTime::BEFORE_ALL,
            partitions,
        };
        (self.batch, self.to) = (self.batch + 1, to);
        frontier
    }

    /// A batch that nobody ever reads.
    pub fn skip_batch(&mut self) {
        (self.batch, self.to) = (self.batch + 1, self.to + 10);
    }

    pub fn begin_generation(&mut self) {
        (self.generation, self.batch) = (self.generation + 1, 0);
    }
}

/// That so many of the events were at or under a threshold.
pub fn at_or_under(delta: &mut Delta, threshold_us: u64, count: u64) {
    delta.le = vec![AtOrUnder { threshold_us, count }];
}

/// Events with one value each, in millionths.
pub fn with_values(delta: &mut Delta, values: &[i64]) {
    let mut histogram = Histogram::default();
    values.iter().for_each(|value| histogram.add(streamgauge_stats::histogram::index_of(*value as u64) as u16, 1));
    delta.n = values.len() as u64;
    delta.good = delta.n;
    delta.values = Some(Values {
        count: delta.n,
        sum: values.iter().map(|value| i128::from(*value)).sum(),
        sum_of_squares: values.iter().map(|value| i128::from(*value) * i128::from(*value)).sum(),
        min: values.iter().copied().min().unwrap_or_default(),
        max: values.iter().copied().max().unwrap_or_default(),
        under: 0,
        histogram: histogram.encode(),
        last: Last { ts: delta.newest, offset: 0, value: values.last().copied().unwrap_or_default() },
    });
}

pub fn json_of(fact: &Fact) -> Vec<u8> {
    match fact {
        Fact::Delta(delta) => delta.to_json(),
        Fact::Frontier(frontier) => frontier.to_json(),
    }
}
