//! What the golden signals must be, counted from what was delivered.
//!
//! Fed record by record, in append order within each partition, by whoever delivered them: a record that never got into
//! the log is not part of the truth. Works from the facts behind a record, never from its bytes, and shares no code with
//! the stages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamgauge_events::Reason;

use crate::generator::{Generated, Generator};
use crate::record::{Breakage, Facts, Kind};

/// What the stages are configured to, where it decides what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthParameters {
    pub pane_us: i64,
    pub max_out_of_orderness_us: i64,
    pub late_horizon_us: i64,
    /// `None`: no check of clocks that run ahead, as over files.
    pub max_future_skew_us: Option<i64>,
}

impl Default for TruthParameters {
    /// The defaults of the stages: panes of 10 s, 5 s of disorder, 24 h of lateness, 5 s of clock skew.
    fn default() -> Self {
        Self {
            pane_us: 10_000_000,
            max_out_of_orderness_us: 5_000_000,
            late_horizon_us: 24 * 3600 * 1_000_000,
            max_future_skew_us: Some(5_000_000),
        }
    }
}

/// The labels of one series; an absent tenant is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    pub tenant: String,
    pub service: String,
    pub route: String,
    pub version: String,
}

/// One series in one pane. Latencies are those of requests that did not fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub n: u64,
    pub failed: u64,
    pub sum_us: u64,
    /// 0 where there is no latency at all; so is `max_us`.
    pub min_us: u64,
    pub max_us: u64,
    /// (lower edge of the bucket, count), ascending.
    pub buckets: Vec<(u64, u64)>,
}

/// What became of the records of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionTruth {
    pub records: u64,
    pub counted: u64,
    pub dead_letters: u64,
    /// The newest `ts` that was counted.
    pub newest_ts_us: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    pub parameters: TruthParameters,
    /// In the order of the indices that facts carry.
    pub series: Vec<Series>,
    /// By start of the pane, then by series.
    pub panes: BTreeMap<i64, BTreeMap<u32, Cell>>,
    pub partitions: Vec<PartitionTruth>,
    pub dead_letters: BTreeMap<Reason, u64>,
}

impl Truth {
    /// Nothing delivered yet.
    pub fn new(generator: &Generator, parameters: TruthParameters) -> Self {
        let partitions = generator.scenario().partitions() as usize;
        Self {
            parameters,
            series: generator.series().to_vec(),
            panes: BTreeMap::new(),
            partitions: vec![PartitionTruth::default(); partitions],
            dead_letters: BTreeMap::new(),
        }
    }

    /// `append_timestamp_us` is the timestamp that the log gave the record.
    pub fn delivered(&mut self, record: &Generated, append_timestamp_us: i64) {
        self.delivered_facts(record.facts, append_timestamp_us);
    }

    /// The same, for producers that learn of the delivery when the bytes are gone.
    pub fn delivered_facts(&mut self, facts: Facts, append_timestamp_us: i64) {
        let partition = &mut self.partitions[facts.partition as usize];
        partition.records += 1;
        if let Some(reason) = self.parameters.rejection(facts, append_timestamp_us, partition.newest_ts_us) {
            partition.dead_letters += 1;
            *self.dead_letters.entry(reason).or_default() += 1;
            return;
        }
        partition.counted += 1;
        partition.newest_ts_us = partition.newest_ts_us.max(Some(facts.ts_us));
        let pane = facts.ts_us - facts.ts_us.rem_euclid(self.parameters.pane_us);
        self.panes.entry(pane).or_default().entry(facts.series).or_default().count(facts);
    }

    /// The same truth over fewer series, say whole services: every series is renamed, and what then has one name is added
    /// up. Where the stages fold series at a bound, results can be judged only so.
    pub fn folded(&self, rename: impl Fn(&Series) -> Series) -> Self {
        let mut index: BTreeMap<Series, u32> = BTreeMap::new();
        let mut folded = Self { series: Vec::new(), panes: BTreeMap::new(), ..self.clone() };
        let renamed: Vec<u32> = (self.series.iter())
            .map(|series| {
                *index.entry(rename(series)).or_insert_with_key(|series| {
                    folded.series.push(series.clone());
                    folded.series.len() as u32 - 1
                })
            })
            .collect();
        for (pane_us, cells) in &self.panes {
            let pane = folded.panes.entry(*pane_us).or_default();
            for (series, cell) in cells {
                pane.entry(renamed[*series as usize]).or_default().add(cell);
            }
        }
        folded
    }

    /// Adds the truth of another run into the same topic. The order of the runs does not matter here: what was too late was
    /// decided when it was delivered.
    pub fn merge(&mut self, other: &Self) {
        let mut index: BTreeMap<Series, u32> = self.series.iter().cloned().zip(0..).collect();
        for series in &other.series {
            if !index.contains_key(series) {
                index.insert(series.clone(), self.series.len() as u32);
                self.series.push(series.clone());
            }
        }
        for (pane_us, cells) in &other.panes {
            let pane = self.panes.entry(*pane_us).or_default();
            for (series, cell) in cells {
                pane.entry(index[&other.series[*series as usize]]).or_default().add(cell);
            }
        }
        if self.partitions.len() < other.partitions.len() {
            self.partitions.resize(other.partitions.len(), PartitionTruth::default());
        }
        for (mine, theirs) in self.partitions.iter_mut().zip(&other.partitions) {
            mine.records += theirs.records;
            mine.counted += theirs.counted;
            mine.dead_letters += theirs.dead_letters;
            mine.newest_ts_us = mine.newest_ts_us.max(theirs.newest_ts_us);
        }
        for (reason, count) in &other.dead_letters {
            *self.dead_letters.entry(*reason).or_default() += count;
        }
    }

    pub fn records(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.records).sum()
    }

    pub fn counted(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.counted).sum()
    }

    pub fn dead_lettered(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.dead_letters).sum()
    }

    /// Requests and failures of the panes that start in `[from_us, to_us)`, over the series that `matches` picks.
    pub fn count_between(&self, from_us: i64, to_us: i64, matches: impl Fn(&Series) -> bool) -> (u64, u64) {
        let cells = self.panes.range(from_us..to_us).flat_map(|(_, cells)| cells);
        cells
            .filter(|(series, _)| matches(&self.series[**series as usize]))
            .fold((0, 0), |(n, failed), (_, cell)| (n + cell.n, failed + cell.failed))
    }
}

impl TruthParameters {
    /// Bytes first, then a clock that runs ahead, then lateness; only counted records make others late.
    fn rejection(&self, facts: Facts, append_timestamp_us: i64, newest_ts_us: Option<i64>) -> Option<Reason> {
        match facts.kind {
            Kind::Broken(Breakage::ClockAhead) => {}
            Kind::Broken(breakage) => return Some(breakage.reason()),
            _ => {}
        }
        if self.max_future_skew_us.is_some_and(|skew_us| facts.ts_us > append_timestamp_us + skew_us) {
            return Some(Reason::FutureTimestamp);
        }
        let reach_us = self.max_out_of_orderness_us + self.late_horizon_us;
        newest_ts_us.is_some_and(|newest| facts.ts_us < newest - reach_us).then_some(Reason::TooLate)
    }
}

impl Cell {
    fn count(&mut self, facts: Facts) {
        self.n += 1;
        if facts.failed {
            self.failed += 1;
            return;
        }
        let Some(latency_us) = facts.latency_us else { return };
        self.min_us = if self.buckets.is_empty() { latency_us } else { self.min_us.min(latency_us) };
        self.max_us = self.max_us.max(latency_us);
        self.sum_us += latency_us;
        self.add_to_bucket(bucket_lower_us(latency_us), 1);
    }

    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.failed += other.failed;
        if other.buckets.is_empty() {
            return;
        }
        self.min_us = if self.buckets.is_empty() { other.min_us } else { self.min_us.min(other.min_us) };
        self.max_us = self.max_us.max(other.max_us);
        self.sum_us += other.sum_us;
        other.buckets.iter().for_each(|(lower, count)| self.add_to_bucket(*lower, *count));
    }

    fn add_to_bucket(&mut self, lower: u64, count: u64) {
        match self.buckets.binary_search_by_key(&lower, |(lower, _)| *lower) {
            Ok(found) => self.buckets[found].1 += count,
            Err(place) => self.buckets.insert(place, (lower, count)),
        }
    }
}

/// Lower edge of the histogram bucket of a latency: exact below 256, then 128 buckets to each doubling.
pub const fn bucket_lower_us(latency_us: u64) -> u64 {
    let bits = u64::BITS - latency_us.leading_zeros();
    let dropped = bits.saturating_sub(8);
    (latency_us >> dropped) << dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_exact_below_256_and_within_one_in_128_above() {
        for (latency_us, lower_us) in [
            (0, 0),
            (1, 1),
            (255, 255),
            (256, 256),
            (257, 256),
            (511, 510),
            (512, 512),
            (515, 512),
            (516, 516),
            (1_000_000, 999_424),
            (3_600_000_000, 3_590_324_224),
        ] {
            assert_eq!(bucket_lower_us(latency_us), lower_us, "{latency_us}");
        }
    }

    const HOUR_US: i64 = 3_600_000_000;

    /// One partition, records one after another: (what, kind, ts, append timestamp, expected reason).
    #[test]
    fn what_is_counted_depends_on_what_was_counted_before() {
        let table: &[(&str, Kind, i64, i64, Option<Reason>)] = &[
            ("the first is never late", Kind::TooLate, 0, 50 * HOUR_US, None),
            ("skew just allowed", Kind::OnTime, 50 * HOUR_US + 5_000_000, 50 * HOUR_US, None),
            (
                "one more is the future",
                Kind::OnTime,
                50 * HOUR_US + 5_000_001,
                50 * HOUR_US,
                Some(Reason::FutureTimestamp),
            ),
            ("at the horizon", Kind::Late, 26 * HOUR_US, 50 * HOUR_US, None),
            ("one behind it", Kind::Late, 26 * HOUR_US - 1, 50 * HOUR_US, Some(Reason::TooLate)),
            (
                "a clock ahead moves nothing",
                Kind::Broken(Breakage::ClockAhead),
                900 * HOUR_US,
                50 * HOUR_US,
                Some(Reason::FutureTimestamp),
            ),
            ("so this is still in time", Kind::OnTime, 26 * HOUR_US, 50 * HOUR_US, None),
            (
                "unreadable whatever its time",
                Kind::Broken(Breakage::NotUtf8),
                0,
                50 * HOUR_US,
                Some(Reason::Undecodable),
            ),
        ];
        let parameters = TruthParameters::default();
        let mut newest = None;
        for (what, kind, ts_us, append_us, expected) in table {
            let facts = Facts { kind: *kind, partition: 0, ts_us: *ts_us, series: 0, failed: false, latency_us: None };
            let reason = parameters.rejection(facts, *append_us, newest);
            assert_eq!(reason, *expected, "{what}");
            if reason.is_none() {
                newest = newest.max(Some(*ts_us));
            }
        }
    }
}
