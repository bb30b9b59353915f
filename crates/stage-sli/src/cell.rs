//! One series in one pane.

use streamgauge_events::facts::{AtOrUnder, Last, Latency, Values};
use streamgauge_events::{Event, EventTime, NumberField, Offset};
use streamgauge_stats::OpenHistogram;
use streamgauge_stats::histogram::VALUE_MAX;

use crate::plan::{Keeps, Verdict};

/// Trace ids of bad events kept per series and pane: those with the smallest hashes.
const EXEMPLARS_MAX: usize = 3;

#[derive(Debug, Default)]
pub(crate) struct Cell {
    pub n: u64,
    pub good: u64,
    pub failed: u64,
    pub unjudged: u64,
    /// Successes at or under each of the declared thresholds, if there are any.
    at_or_under: Box<[u64]>,
    latency: Spread,
    values: Option<Box<ValueSpread>>,
    pub newest: Option<EventTime>,
    /// (hash, trace id), ascending.
    exemplars: Vec<(u64, String)>,
    /// Depends on the name of the series alone.
    pub identity: u64,
}

/// Latencies of successful events in microseconds, or values in millionths.
#[derive(Debug, Default)]
struct Spread {
    count: u64,
    sum: i128,
    min: i64,
    max: i64,
    /// Below zero: outside of the histogram.
    under: u64,
    /// Latencies above one hour.
    overflow: u64,
    histogram: OpenHistogram,
}

#[derive(Debug, Default)]
struct ValueSpread {
    spread: Spread,
    sum_of_squares: i128,
    last: Option<Last>,
}

impl Cell {
    pub fn new(identity: u64, keeps: &Keeps) -> Self {
        let at_or_under = vec![0; keeps.thresholds_us.len()].into_boxed_slice();
        Self { identity, at_or_under, ..Self::default() }
    }

    /// Counts one event.
    #[inline]
    pub fn add(&mut self, event: &Event<'_>, offset: Offset, verdict: Verdict, keeps: &Keeps) {
        let failed = event.failed() == Some(true);
        match verdict {
            Verdict::Good => (self.n, self.good) = (self.n + 1, self.good + 1),
            Verdict::Bad => self.n += 1,
            Verdict::Unjudged => (self.n, self.unjudged) = (self.n + 1, self.unjudged + 1),
            Verdict::Counts { good, total } => (self.n, self.good) = (self.n + total, self.good + good),
        }
        self.failed += u64::from(failed);
        self.newest = self.newest.max(Some(event.ts));
        if keeps.latency
            && !failed
            && let Some(latency_us) = event.number(NumberField::LatencyUs)
        {
            for (count, threshold_us) in self.at_or_under.iter_mut().zip(&keeps.thresholds_us) {
                *count += u64::from(latency_us as u64 <= *threshold_us);
            }
            self.latency.record(latency_us, VALUE_MAX);
        }
        if keeps.values
            && let Some(value) = event.number(NumberField::Value)
        {
            self.values.get_or_insert_default().record(value, event.ts, offset);
        }
    }

    pub fn add_exemplar(&mut self, hash: u64, trace_id: &str) {
        let Err(at) = self.exemplars.binary_search_by(|(known, id)| (*known, id.as_str()).cmp(&(hash, trace_id)))
        else {
            return;
        };
        if at < EXEMPLARS_MAX {
            self.exemplars.insert(at, (hash, trace_id.to_owned()));
            self.exemplars.truncate(EXEMPLARS_MAX);
        }
    }

    /// Adds all of `other`, whose series was folded into this one.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.good += other.good;
        self.failed += other.failed;
        self.unjudged += other.unjudged;
        self.at_or_under.iter_mut().zip(&other.at_or_under).for_each(|(mine, theirs)| *mine += theirs);
        self.newest = self.newest.max(other.newest);
        self.latency.merge(&other.latency);
        if let Some(theirs) = &other.values {
            self.values.get_or_insert_default().merge(theirs);
        }
        other.exemplars.iter().for_each(|(hash, trace_id)| self.add_exemplar(*hash, trace_id));
    }

    pub fn le(&self, keeps: &Keeps) -> Vec<AtOrUnder> {
        let counts = keeps.thresholds_us.iter().zip(&self.at_or_under);
        counts.map(|(threshold_us, count)| AtOrUnder { threshold_us: *threshold_us, count: *count }).collect()
    }

    pub fn latency(&self) -> Option<Latency> {
        let Spread { count, sum, min, max, overflow, ref histogram, .. } = self.latency;
        (count > 0).then(|| Latency {
            sum_us: sum,
            min_us: min as u64,
            max_us: max as u64,
            overflow,
            histogram: histogram.encode(),
        })
    }

    pub fn values(&self) -> Option<Values> {
        let ValueSpread { spread, sum_of_squares, last } = self.values.as_deref()?;
        Some(Values {
            count: spread.count,
            sum: spread.sum,
            sum_of_squares: *sum_of_squares,
            min: spread.min,
            max: spread.max,
            under: spread.under,
            histogram: spread.histogram.encode(),
            last: (*last)?,
        })
    }

    pub fn exemplars(&self) -> Vec<String> {
        self.exemplars.iter().map(|(_, trace_id)| trace_id.clone()).collect()
    }

    pub fn heap_bytes(&self) -> usize {
        let values = |values: &ValueSpread| size_of::<ValueSpread>() + values.spread.histogram.heap_bytes();
        self.latency.histogram.heap_bytes()
            + self.values.as_deref().map_or(0, values)
            + self.at_or_under.len() * 8
            + self.exemplars.iter().map(|(_, id)| id.len() + 32).sum::<usize>()
    }

    /// For the digest of live cells: every number that an event changes is in it.
    pub fn digest(&self, pane: EventTime, bundle: u64) -> u64 {
        let newest = self.newest.map_or(0, |ts| ts.0 as u64);
        let numbers = [pane.0 as u64, bundle, self.n, self.good, self.failed, self.unjudged, newest];
        let hash = numbers.iter().fold(self.identity, |hash, number| mix(hash ^ number));
        let hash = self.at_or_under.iter().fold(hash, |hash, number| mix(hash ^ number));
        let hash = self.latency.numbers().into_iter().fold(hash, |hash, number| mix(hash ^ number));
        match self.values.as_deref() {
            None => hash,
            Some(ValueSpread { spread, sum_of_squares, last }) => {
                let last = last.map_or([0; 3], |last| [last.ts.0 as u64, last.offset as u64, last.value as u64]);
                let squares = [*sum_of_squares as u64, (*sum_of_squares >> 64) as u64];
                let numbers = spread.numbers().into_iter().chain(last).chain(squares);
                numbers.fold(hash, |hash, number| mix(hash ^ number))
            }
        }
    }
}

impl Spread {
    #[inline]
    fn record(&mut self, value: i64, largest: u64) {
        (self.min, self.max) =
            if self.count == 0 { (value, value) } else { (self.min.min(value), self.max.max(value)) };
        self.count += 1;
        self.sum += i128::from(value);
        match u64::try_from(value) {
            Err(_) => self.under += 1,
            Ok(value) if value > largest => self.overflow += 1,
            Ok(value) => self.histogram.record(value),
        }
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        (self.min, self.max) =
            if self.count == 0 { (other.min, other.max) } else { (self.min.min(other.min), self.max.max(other.max)) };
        self.count += other.count;
        self.sum += other.sum;
        self.under += other.under;
        self.overflow += other.overflow;
        self.histogram.merge(&other.histogram);
    }

    fn numbers(&self) -> [u64; 7] {
        let Self { count, sum, min, max, under, overflow, .. } = *self;
        [count, sum as u64, (sum >> 64) as u64, min as u64, max as u64, under, overflow]
    }
}

impl ValueSpread {
    fn record(&mut self, value: i64, ts: EventTime, offset: Offset) {
        self.spread.record(value, u64::MAX);
        self.sum_of_squares += i128::from(value) * i128::from(value);
        self.last = self.last.max(Some(Last { ts, offset, value }));
    }

    fn merge(&mut self, other: &Self) {
        self.spread.merge(&other.spread);
        self.sum_of_squares += other.sum_of_squares;
        self.last = self.last.max(other.last);
    }
}

/// The finalizer of SplitMix64: every bit of the input changes about half of the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
