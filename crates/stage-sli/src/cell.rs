//! One series in one pane.

use streamgauge_events::facts::{AtOrUnder, Latency};
use streamgauge_events::{EventTime, Request};
use streamgauge_stats::OpenHistogram;
use streamgauge_stats::histogram::VALUE_MAX;

use crate::bundle::Verdict;

/// Trace ids of failed events kept per series and pane: those with the smallest hashes.
const EXEMPLARS_MAX: usize = 3;

#[derive(Debug, Default)]
pub(crate) struct Cell {
    pub n: u64,
    pub good: u64,
    pub failed: u64,
    pub unjudged: u64,
    /// Successes at or under the declared threshold, if there is one.
    pub threshold_us: Option<u64>,
    pub at_or_under: u64,
    latency: Spread,
    pub newest: Option<EventTime>,
    /// (hash, trace id), ascending.
    exemplars: Vec<(u64, String)>,
    /// Depends on the name of the series alone.
    pub identity: u64,
}

/// Latencies of successful events.
#[derive(Debug, Default)]
struct Spread {
    count: u64,
    sum_us: i128,
    min_us: u64,
    max_us: u64,
    overflow: u64,
    histogram: OpenHistogram,
}

impl Cell {
    pub fn new(identity: u64, threshold_us: Option<u64>) -> Self {
        Self { identity, threshold_us, ..Self::default() }
    }

    /// Counts one event. `with_latency`: the series keeps a histogram.
    #[inline]
    pub fn add(&mut self, request: &Request<'_>, verdict: Verdict, with_latency: bool) {
        let failed = request.failed() == Some(true);
        self.n += 1;
        self.failed += u64::from(failed);
        match verdict {
            Verdict::Good => self.good += 1,
            Verdict::Bad => {}
            Verdict::Unjudged => self.unjudged += 1,
        }
        self.newest = self.newest.max(Some(request.ts));
        if let (false, Some(latency_us), true) = (failed, request.latency_us, with_latency) {
            self.at_or_under += u64::from(self.threshold_us.is_some_and(|threshold_us| latency_us <= threshold_us));
            self.latency.record(latency_us);
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
        self.at_or_under += other.at_or_under;
        self.newest = self.newest.max(other.newest);
        self.latency.merge(&other.latency);
        other.exemplars.iter().for_each(|(hash, trace_id)| self.add_exemplar(*hash, trace_id));
    }

    pub fn le(&self) -> Vec<AtOrUnder> {
        let threshold = |threshold_us| AtOrUnder { threshold_us, count: self.at_or_under };
        self.threshold_us.map(threshold).into_iter().collect()
    }

    pub fn latency(&self) -> Option<Latency> {
        let Spread { count, sum_us, min_us, max_us, overflow, ref histogram } = self.latency;
        (count > 0).then(|| Latency { sum_us, min_us, max_us, overflow, histogram: histogram.encode() })
    }

    pub fn exemplars(&self) -> Vec<String> {
        self.exemplars.iter().map(|(_, trace_id)| trace_id.clone()).collect()
    }

    pub fn heap_bytes(&self) -> usize {
        self.latency.histogram.heap_bytes() + self.exemplars.iter().map(|(_, id)| id.len() + 32).sum::<usize>()
    }

    /// For the digest of live cells: every number that an event changes is in it.
    pub fn digest(&self, pane: EventTime, bundle: u64) -> u64 {
        let Spread { count, sum_us, min_us, max_us, overflow, .. } = self.latency;
        let newest = self.newest.map_or(0, |ts| ts.0 as u64);
        let numbers = [pane.0 as u64, bundle, self.n, self.good, self.failed, self.unjudged, self.at_or_under, newest];
        let spread = [count, sum_us as u64, (sum_us >> 64) as u64, min_us, max_us, overflow];
        numbers.iter().chain(&spread).fold(self.identity, |hash, number| mix(hash ^ number))
    }
}

impl Spread {
    #[inline]
    fn record(&mut self, latency_us: u64) {
        self.min_us = if self.count == 0 { latency_us } else { self.min_us.min(latency_us) };
        self.max_us = self.max_us.max(latency_us);
        self.count += 1;
        self.sum_us += i128::from(latency_us);
        if latency_us > VALUE_MAX {
            self.overflow += 1;
        } else {
            self.histogram.record(latency_us);
        }
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min_us = if self.count == 0 { other.min_us } else { self.min_us.min(other.min_us) };
        self.max_us = self.max_us.max(other.max_us);
        self.count += other.count;
        self.sum_us += other.sum_us;
        self.overflow += other.overflow;
        self.histogram.merge(&other.histogram);
    }
}

/// The finalizer of SplitMix64: every bit of the input changes about half of the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
