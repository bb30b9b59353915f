//! The chain of batches of one input partition, across all output partitions.
//!
//! A batch is decided once every output partition has passed it; until then its sums wait here. Decided batches are
//! dropped, so memory is bounded by how far the output partitions are apart.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};

use siphasher::sip::SipHasher13;
use streamgauge_events::facts::GOLDEN;
use streamgauge_events::{Delta, EventTime, Frontier, Offset};

use crate::coverage::{BatchId, Source};
use crate::offsets::{Differs, Expected, Proof};
use crate::report::{Kind, PartitionReport};

/// Series remembered per batch to find one that comes twice. A batch holds no more cells than `cells_max` of the stage
/// (20,000 by default) but for late records.
const SERIES_SEEN_MAX: usize = 200_000;

/// What is known of an output partition before its first record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lane {
    /// Records were deleted at its beginning, so its first batch may lack some.
    pub cut: bool,
    /// It has no records at all, or was added after the audit began.
    pub joins_later: bool,
}

/// How far one output partition has come with this chain.
#[derive(Clone, Debug, Default)]
struct LaneState {
    lane: Lane,
    /// The first batch of which it holds anything.
    first: Option<BatchId>,
    /// The last frontier in it.
    last: Option<BatchId>,
    /// Everything up to here has been read from it.
    passed: Option<BatchId>,
    /// Deltas behind the frontier of their batch, until it is known whether the whole batch comes again.
    behind: BTreeMap<BatchId, u64>,
    repeated: u64,
}

#[derive(Clone, Debug, Default)]
struct Batch {
    frontier: Option<(Frontier, Vec<u8>)>,
    lanes: BTreeSet<i32>,
    deltas: u64,
    /// Events in golden signals.
    n: u64,
    series: BTreeSet<u64>,
}

/// The last decided batch.
#[derive(Clone, Copy, Debug)]
struct Head {
    id: BatchId,
    to: Offset,
    open: u64,
    complete_until: EventTime,
}

pub(crate) struct Chain {
    lanes: BTreeMap<i32, LaneState>,
    batches: BTreeMap<BatchId, Batch>,
    head: Option<Head>,
    last_repeat: Option<(i32, BatchId)>,
    report: PartitionReport,
    pub letters: Proof,
    pub records: Option<Proof>,
    pub problems: Vec<Kind>,
}

impl Chain {
    pub fn new(source: &Source, lanes: &BTreeMap<i32, Lane>) -> Self {
        let mut chain = Self {
            lanes: BTreeMap::new(),
            batches: BTreeMap::new(),
            head: None,
            last_repeat: None,
            report: PartitionReport {
                source: source.topic.clone(),
                partition: source.partition,
                ..PartitionReport::default()
            },
            letters: Proof::eager(),
            records: None,
            problems: Vec::new(),
        };
        lanes.iter().for_each(|(number, lane)| chain.add_lane(*number, *lane));
        chain
    }

    pub fn add_lane(&mut self, number: i32, lane: Lane) {
        self.lanes.entry(number).or_insert(LaneState { lane, ..LaneState::default() });
    }

    pub fn delta(&mut self, number: i32, delta: &Delta) {
        let id = BatchId::of(delta.generation, delta.batch);
        let lane = self.lanes.entry(number).or_default();
        lane.first.get_or_insert(id);
        if lane.last.is_some_and(|last| id <= last) {
            *lane.behind.entry(id).or_default() += 1;
            return;
        }
        let batch = self.batches.entry(id).or_default();
        batch.deltas += 1;
        if GOLDEN.contains(&delta.sli.as_str()) {
            batch.n += delta.n;
        }
        if batch.series.len() < SERIES_SEEN_MAX && !batch.series.insert(identity(delta)) {
            self.problems.push(Kind::DeltaTwice { batch: id, service: delta.service.clone(), pane: delta.pane });
        }
        if let Some(message) = contradiction(delta) {
            let (service, pane) = (delta.service.clone(), delta.pane);
            self.problems.push(Kind::Inconsistent { batch: id, service, pane, message });
        }
    }

    pub fn frontier(&mut self, number: i32, frontier: Frontier, bytes: &[u8]) {
        let id = BatchId::of(frontier.generation, frontier.batch);
        let lane = self.lanes.entry(number).or_default();
        lane.first.get_or_insert(id);
        if lane.last.is_some_and(|last| id <= last) {
            lane.behind.remove(&id);
            lane.repeated += frontier.records;
            if self.last_repeat != Some((number, id)) {
                self.last_repeat = Some((number, id));
                self.problems.push(Kind::Repeated { batch: id, output_partition: number, records: frontier.records });
            }
            return;
        }
        lane.last = Some(id);
        lane.passed = lane.passed.max(Some(id));
        let behind = std::mem::take(&mut lane.behind);
        self.report_behind(number, behind);
        if self.head.is_some_and(|head| id <= head.id) {
            // Decided without this partition: said so then.
            return;
        }
        let batch = self.batches.entry(id).or_default();
        batch.lanes.insert(number);
        match &batch.frontier {
            None => batch.frontier = Some((frontier, bytes.to_owned())),
            Some((_, known)) if known == bytes => {}
            Some(_) => self.problems.push(Kind::FrontiersDiffer { batch: id, output_partition: number }),
        }
        self.decide();
    }

    fn report_behind(&mut self, number: i32, behind: BTreeMap<BatchId, u64>) {
        for (batch, deltas) in behind {
            self.problems.push(Kind::DeltaBehindFrontier { batch, output_partition: number, deltas });
        }
    }

    /// The newest batch of which anything was seen.
    pub fn newest(&self) -> Option<BatchId> {
        self.batches.last_key_value().map(|(id, _)| *id).or(self.head.map(|head| head.id))
    }

    /// Every output partition has been read behind this batch: what of it has not come is missing.
    pub fn require(&mut self, mark: BatchId) {
        let numbers: Vec<i32> = self.lanes.keys().copied().collect();
        for number in numbers {
            let Some(lane) = self.lanes.get_mut(&number) else { continue };
            lane.passed = lane.passed.max(Some(mark));
            let behind = std::mem::take(&mut lane.behind);
            self.report_behind(number, behind);
        }
        self.decide();
    }

    fn decide(&mut self) {
        let Some(passed) = self.lanes.values().map(|lane| lane.passed).min().flatten() else { return };
        while let Some(entry) = self.batches.first_entry()
            && *entry.key() <= passed
        {
            let (id, batch) = entry.remove_entry();
            self.decide_batch(id, batch);
        }
    }

    fn decide_batch(&mut self, id: BatchId, batch: Batch) {
        let Batch { frontier, lanes, deltas, n, .. } = batch;
        let Some((frontier, _)) = frontier else {
            // A later frontier shows the hole by itself.
            if self.batches.values().all(|later| later.frontier.is_none()) {
                self.problems.push(Kind::Unfinished { batch: id, deltas });
            }
            return;
        };
        for (number, state) in &self.lanes {
            let exempt = match state.first {
                Some(first) => id < first,
                None => state.lane.joins_later || state.lane.cut,
            };
            if !lanes.contains(number) && !exempt {
                self.problems.push(Kind::FrontierMissing { batch: id, output_partition: *number });
            }
        }
        let missing_start = self.lanes.values().any(|state| state.lane.cut || state.lane.joins_later);
        if deltas != frontier.deltas && !missing_start {
            self.problems.push(Kind::DeltasMissing { batch: id, deltas, expected: frontier.deltas });
        }
        let cut_off = self.lanes.values().any(|state| state.lane.cut && state.first.is_none_or(|first| id <= first));
        let unbroken = self.follows(id, &frontier, cut_off);
        if !cut_off {
            if unbroken {
                self.balance(id, &frontier, n);
            }
            self.account(id, &frontier, n);
        }
        self.head = Some(Head { id, to: frontier.to, open: frontier.open, complete_until: frontier.complete_until });
    }

    /// Whether the batch goes on where the one before it ended.
    fn follows(&mut self, id: BatchId, frontier: &Frontier, cut_off: bool) -> bool {
        let Some(head) = self.head else {
            let whole = cut_off || id.batch == 0;
            if !whole {
                self.problems.push(Kind::Hole { after: None, next: id, from: 0, to: frontier.from });
            }
            return whole;
        };
        if head.id.generation == id.generation && frontier.complete_until < head.complete_until {
            let (before, complete_until) = (head.complete_until, frontier.complete_until);
            self.problems.push(Kind::WentBack { batch: id, before, complete_until });
        }
        if !head.id.is_followed_by(id) || frontier.from > head.to {
            self.problems.push(Kind::Hole { after: Some(head.id), next: id, from: head.to, to: frontier.from });
            return false;
        }
        if frontier.from < head.to {
            self.problems.push(Kind::Overlap { batch: id, from: frontier.from, to: head.to.min(frontier.to) });
            return false;
        }
        true
    }

    /// open = open before + records - dead letters - lost events - counted.
    fn balance(&mut self, id: BatchId, frontier: &Frontier, n: u64) {
        let before = self.head.map_or(0, |head| head.open);
        let added = i128::from(frontier.records)
            - i128::from(frontier.dead_letters)
            - i128::from(frontier.lost_events)
            - i128::from(n);
        let expected_open = i128::from(before) + added;
        if expected_open == i128::from(frontier.open) {
            return;
        }
        if id.batch == 0 && added == i128::from(frontier.open) {
            self.problems.push(Kind::OpenDropped { batch: id, events: before });
            self.report.lost += before;
        } else {
            self.problems.push(Kind::Balance { batch: id, expected_open, open: frontier.open });
        }
    }

    fn account(&mut self, id: BatchId, frontier: &Frontier, n: u64) {
        let report = &mut self.report;
        if report.batches == 0 {
            report.from = Some(frontier.from);
            report.open_before = self.head.map_or(0, |head| head.open);
        }
        report.batches += 1;
        report.to = Some(frontier.to);
        report.produced += frontier.records;
        report.counted += n;
        report.dead_lettered += frontier.dead_letters;
        report.lost += frontier.lost_events;
        report.lost_offsets += frontier.lost.iter().map(|(from, to)| to.abs_diff(*from)).sum::<u64>();
        report.open = frontier.open;
        report.complete_until = Some(frontier.complete_until);
        if report.generations.last() != Some(&id.generation) {
            report.generations.push(id.generation);
        }
        if !frontier.lost.is_empty() || frontier.lost_events > 0 {
            let (ranges, events) = (frontier.lost.clone(), frontier.lost_events);
            self.problems.push(Kind::Lost { batch: id, ranges, events });
        }
        let expected = |count| Expected { from: frontier.from, to: frontier.to, count, id };
        self.letters.expect(expected(frontier.dead_letters));
        if let Some(records) = &mut self.records {
            records.expect(expected(frontier.records));
        }
    }

    /// Dead letters of all batches decided so far have been read.
    pub fn settle_letters(&mut self, known: Offset) {
        for Differs { expected: Expected { from, to, count, id }, found } in self.letters.settle(known) {
            self.problems.push(Kind::DeadLetters { batch: id, from, to, declared: count, found });
        }
    }

    /// The input partition has been read up to `known`.
    pub fn settle_records(&mut self, known: Offset) {
        let Some(records) = &mut self.records else { return };
        for Differs { expected: Expected { from, to, count, id }, found } in records.settle(known) {
            self.problems.push(Kind::Records { batch: id, from, to, declared: count, found });
        }
    }

    /// Where the decided chain ends.
    pub fn decided_to(&self) -> Option<Offset> {
        self.head.map(|head| head.to)
    }

    pub fn report(&self) -> PartitionReport {
        let mut report = self.report.clone();
        report.batches_unproven = self.batches.len() as u64;
        report.repeated = self.lanes.values().map(|lane| lane.repeated).max().unwrap_or_default();
        report.source_checked = self.records.as_ref().map(|records| records.proven);
        report.source_waiting = self.records.as_ref().map(|records| records.beyond());
        report
    }

    /// Parts of batches that are kept until they are proven.
    pub fn held(&self) -> usize {
        let behind: usize = self.lanes.values().map(|lane| lane.behind.len()).sum();
        self.batches.len() + behind + self.letters.waiting()
    }
}

/// Equal for deltas of the same series and pane. A chance collision within a batch of 20,000 is one in 10^11.
fn identity(delta: &Delta) -> u64 {
    let mut hasher = SipHasher13::new();
    (delta.pane, &delta.tenant, &delta.service, &delta.sli, &delta.labels).hash(&mut hasher);
    hasher.finish()
}

/// The first way in which the numbers of a delta can't all be true.
fn contradiction(delta: &Delta) -> Option<String> {
    let Delta { n, good, failed, unjudged, .. } = *delta;
    if good.checked_add(unjudged).is_none_or(|judged| judged > n) {
        return Some(format!("{good} good and {unjudged} unjudged among {n} events"));
    }
    if failed > n {
        return Some(format!("{failed} failed among {n} events"));
    }
    let latency = delta.latency.as_ref()?;
    let counted = match streamgauge_stats::Histogram::decode(&latency.histogram) {
        Ok(histogram) => histogram.total() + latency.overflow,
        Err(error) => return Some(error.to_string()),
    };
    if counted > n - failed {
        return Some(format!("{counted} latencies of {n} events, of which {failed} failed"));
    }
    let over = delta.le.iter().find(|at| at.count > counted)?;
    Some(format!("{} of {counted} latencies at or under {} us", over.count, over.threshold_us))
}
