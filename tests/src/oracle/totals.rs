//! What the events of one series in one pane add up to.

use std::collections::{BTreeMap, BTreeSet};

use super::definitions::{Judged, Keeps};
use super::event::Event;
use super::keyed_hash;

const HISTOGRAM_MAX_US: i128 = 3_600_000_000;
const EXEMPLARS_MAX: usize = 3;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub n: u64,
    pub good: u64,
    pub failed: u64,
    pub unjudged: u64,
    /// Successes at or under each threshold.
    pub le: BTreeMap<u64, u64>,
    pub latency: Option<Latency>,
    pub values: Option<Values>,
    pub newest: i64,
    pub exemplars: BTreeSet<(u64, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    pub sum_us: i128,
    pub min_us: u64,
    pub max_us: u64,
    pub overflow: u64,
    pub counters: BTreeMap<u64, u64>,
}

/// In millionths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    pub count: u64,
    pub sum: i128,
    pub sum_of_squares: i128,
    pub min: i64,
    pub max: i64,
    pub under: u64,
    pub counters: BTreeMap<u64, u64>,
    pub last: Last,
}

/// In the order by which the last one is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Last {
    pub ts: i64,
    pub offset: i64,
    pub value: i64,
}

impl Totals {
    pub fn add(&mut self, event: &Event, offset: i64, judged: &Judged, keeps: &Keeps) {
        let failed = event.failed() == Some(true);
        self.n += judged.n;
        self.good += judged.good;
        self.failed += u64::from(failed);
        self.unjudged += judged.unjudged;
        self.newest = self.newest.max(event.ts);
        for threshold_us in keeps.thresholds_us {
            self.le.entry(*threshold_us).or_default();
        }
        if let (true, false, Some(latency_us)) = (keeps.latency, failed, event.number("latency_us")) {
            for (threshold_us, count) in &mut self.le {
                *count += u64::from(latency_us <= i128::from(*threshold_us));
            }
            self.merge_latency(&Latency::of(latency_us));
        }
        if let (true, Some(value)) = (keeps.values, event.number("value")) {
            let last = Last { ts: event.ts, offset, value: value as i64 };
            self.merge_values(&Values::of(value, last));
        }
        let bad = judged.n - judged.good - judged.unjudged > 0;
        if let (true, Some(trace_id)) = (bad, event.text("trace_id")) {
            self.exemplars.insert((keyed_hash(&[Some(trace_id)]), trace_id.to_owned()));
            self.keep_exemplars();
        }
    }

    fn keep_exemplars(&mut self) {
        while self.exemplars.len() > EXEMPLARS_MAX {
            self.exemplars.pop_last();
        }
    }

    fn merge_latency(&mut self, other: &Latency) {
        let Some(latency) = &mut self.latency else {
            self.latency = Some(other.clone());
            return;
        };
        latency.sum_us += other.sum_us;
        latency.min_us = latency.min_us.min(other.min_us);
        latency.max_us = latency.max_us.max(other.max_us);
        latency.overflow += other.overflow;
        merge_counters(&mut latency.counters, &other.counters);
    }

    fn merge_values(&mut self, other: &Values) {
        let Some(values) = &mut self.values else {
            self.values = Some(other.clone());
            return;
        };
        values.count += other.count;
        values.sum += other.sum;
        values.sum_of_squares += other.sum_of_squares;
        values.min = values.min.min(other.min);
        values.max = values.max.max(other.max);
        values.under += other.under;
        values.last = values.last.max(other.last);
        merge_counters(&mut values.counters, &other.counters);
    }

    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.good += other.good;
        self.failed += other.failed;
        self.unjudged += other.unjudged;
        self.newest = self.newest.max(other.newest);
        merge_counters(&mut self.le, &other.le);
        if let Some(latency) = &other.latency {
            self.merge_latency(latency);
        }
        if let Some(values) = &other.values {
            self.merge_values(values);
        }
        self.exemplars.extend(other.exemplars.iter().cloned());
        self.keep_exemplars();
    }
}

fn merge_counters(mine: &mut BTreeMap<u64, u64>, theirs: &BTreeMap<u64, u64>) {
    for (counter, count) in theirs {
        *mine.entry(*counter).or_default() += count;
    }
}

impl Latency {
    fn of(latency_us: i128) -> Self {
        let in_range = latency_us <= HISTOGRAM_MAX_US;
        Self {
            sum_us: latency_us,
            min_us: latency_us as u64,
            max_us: latency_us as u64,
            overflow: u64::from(!in_range),
            counters: in_range.then(|| (counter_of(latency_us), 1)).into_iter().collect(),
        }
    }
}

impl Values {
    fn of(value: i128, last: Last) -> Self {
        Self {
            count: 1,
            sum: value,
            sum_of_squares: value * value,
            min: value as i64,
            max: value as i64,
            under: u64::from(value < 0),
            counters: (value >= 0).then(|| (counter_of(value), 1)).into_iter().collect(),
            last,
        }
    }
}

/// 256 exact counters, then 128 for each doubling.
fn counter_of(value: i128) -> u64 {
    let (mut mantissa, mut doublings) = (value as u64, 0);
    while mantissa >= 256 {
        mantissa /= 2;
        doublings += 1;
    }
    128 * doublings + mantissa
}
