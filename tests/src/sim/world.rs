//! The world of one schedule: broker, clock, upstream, processes that come and go, and what goes wrong between them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use streamgauge_events::{EventTime, topics};
use streamgauge_memory_log::{
    Broker, BrokerSettings, ClientConfig, Fate, FaultCounts, Faults, MemoryLog, ProcessDied, SplitMix64,
};
use streamgauge_stage::{Activation, CommitMetadata, Counting as _, Exit, LogError, Note, Worker};

use super::bundles::{BUNDLES, MACHINES, READS_ALL, TOPICS};
use super::input;
use super::schedule::{SECOND_US, Schedule};
use super::subject::{self, Subject};
use super::writers::Writers;

pub const GROUP: &str = "sli";
/// The simulated day begins here, so that records may be late without being from before the epoch.
const START: EventTime = EventTime(1_000 * SECOND_US);
/// Steps within which a healed world must come to rest.
const REST_STEPS_MAX: u32 = 3_000;

/// What happened, over one schedule or many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub schedules: u64,
    pub steps: u64,
    pub events: u64,
    pub crashes: u64,
    pub starts: u64,
    pub stops: u64,
    pub rebalances: u64,
    pub lost_assignments: u64,
    pub kept_partitions: u64,
    pub zombies: u64,
    pub aborts: u64,
    pub ambiguous: u64,
    pub repeated: u64,
    pub fenced: u64,
    pub stalls: u64,
    pub timeouts: u64,
    pub idle_advances: u64,
    pub bundle_changes: u64,
    pub growths: u64,
    pub lost_ranges: u64,
    pub batches: u64,
    pub dead_letters: u64,
    pub topics_left: u64,
    pub topics_read_again: u64,
    pub unknown_schemas: u64,
    pub folded_away: u64,
    pub with_values: u64,
}

/// An input partition.
pub type Place = (&'static str, i32);

/// Definitions by the pane and the offset from which they apply, ascending: what one partition's commits have told.
pub type Activations = Vec<Activation>;

pub struct World<'a, S: Subject> {
    subject: &'a S,
    pub schedule: &'a Schedule,
    pub broker: Broker,
    pub activations: BTreeMap<Place, Activations>,
    pub counts: Counts,
    pub trace: Option<Vec<String>>,
    pub writers: Writers,
    random: SplitMix64,
    now: EventTime,
    processes: Vec<Process<S>>,
    faults: Vec<Rc<RefCell<Faults>>>,
    /// Definitions that processes are started with from now on.
    deployed: usize,
    healed: bool,
    in_silence: bool,
    metadata_seen: BTreeMap<Place, String>,
}

struct Process<S: Subject> {
    /// Ordinal: names the instance.
    ordinal: usize,
    /// Its input topics.
    reads: Vec<String>,
    worker: Worker<S::Log, S::Stage>,
    faults: Rc<RefCell<Faults>>,
    isolated_until: EventTime,
    stalled_until: EventTime,
}

impl<'a, S: Subject> World<'a, S> {
    pub fn new(subject: &'a S, schedule: &'a Schedule, traced: bool) -> Self {
        let broker = Broker::new(BrokerSettings {
            marker_delay_us_max: schedule.marker_delay_us_max,
            seed: schedule.seed,
            ..BrokerSettings::default()
        });
        broker.advance_to(START);
        let outputs = [(topics::SLI_WINDOWS, schedule.outputs), (topics::DEAD_LETTERS, 1), (topics::SLI_STATE, 1)];
        for (topic, partitions) in TOPICS.into_iter().zip(schedule.partitions).chain(outputs) {
            broker.create_topic(topic, partitions);
        }
        Self {
            subject,
            schedule,
            broker,
            activations: BTreeMap::new(),
            counts: Counts::default(),
            trace: traced.then(Vec::new),
            writers: Writers::new(schedule.framing),
            random: SplitMix64::new(schedule.seed ^ 0x5eed),
            now: START,
            processes: Vec::new(),
            faults: Vec::new(),
            deployed: schedule.first_bundle,
            healed: false,
            in_silence: false,
            metadata_seen: BTreeMap::new(),
        }
    }

    /// The whole schedule: trouble first, then healing, rest, and silence until every pane is out.
    pub fn run(&mut self) -> Result<(), String> {
        for ordinal in 0..self.schedule.workers {
            self.start(ordinal, None)?;
        }
        for _ in 0..self.schedule.steps {
            self.let_time_pass();
            self.produce();
            self.disturb()?;
            self.turn_one()?;
            self.counts.steps += 1;
        }
        self.heal()?;
        self.rest()
    }

    /// The same with given faults in the first process only, started again without them.
    pub fn run_with(&mut self, faults: Rc<RefCell<Faults>>) -> Result<(), String> {
        self.start(0, Some(faults))?;
        for _ in 0..self.schedule.steps {
            self.let_time_pass();
            self.produce();
            if self.processes.is_empty() {
                self.start(0, None)?;
            }
            self.turn_one()?;
            self.counts.steps += 1;
        }
        self.heal()?;
        self.rest()
    }

    fn log(&mut self, line: impl FnOnce() -> String) {
        let now_ms = self.now.0 / 1000;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8}.{:03} {}", now_ms / 1000, now_ms % 1000, line()));
        }
    }

    fn let_time_pass(&mut self) {
        let quiet = if self.schedule.features.quiet { 20 } else { 0 };
        let milliseconds = match self.random.below(100 - quiet) + quiet {
            0..70 => 1 + self.random.below(30),
            70..90 => 100 + self.random.below(300),
            90..98 => 1000 + self.random.below(2000),
            98 => 5000 + self.random.below(4000),
            _ => 12_000 + self.random.below(20_000),
        };
        self.now = self.now.plus_us(milliseconds as i64 * 1000 + self.random.below(1000) as i64);
        self.broker.advance_to(self.now);
    }

    fn produce(&mut self) {
        if self.schedule.features.quiet && self.random.chance(0.8) {
            return;
        }
        let count = match self.random.below(20) {
            0..8 => 0,
            8..19 => 1 + self.random.below(2),
            _ => 10 + self.random.below(15),
        };
        for _ in 0..count {
            let (topic, partition) = self.pick_place();
            let gap = self.schedule.features.gaps && self.random.chance(0.1);
            let value = match topic {
                topics::REQUESTS => input::request(&mut self.random, self.now),
                MACHINES => input::sample(&mut self.random, self.now, &self.writers),
                _ => input::score(&mut self.random, self.now),
            };
            let Some(value) = value else {
                self.broker.append(topic, partition, Some(b"tombstone"), None);
                continue;
            };
            if gap {
                self.produce_with_a_gap((topic, partition), &value);
            } else {
                self.broker.append(topic, partition, None, Some(&value));
            }
            self.counts.events += 1;
        }
    }

    /// Half of all that happens, happens to requests.
    fn pick_place(&mut self) -> Place {
        let topic = *self.random.pick(&[topics::REQUESTS, topics::REQUESTS, topics::SCORES, MACHINES]);
        let partitions = self.broker.partitions(topic).unwrap_or_default();
        (topic, self.random.below(partitions as u64) as i32)
    }

    fn produce_with_a_gap(&mut self, (topic, partition): Place, value: &[u8]) {
        match self.random.below(3) {
            0 => self.broker.append_transaction(topic, partition, &[value, value], Fate::Aborted),
            1 => self.broker.append_transaction(topic, partition, &[value], Fate::Committed),
            _ => {
                // Compacted away before anybody has read it.
                let offset = self.broker.append(topic, partition, None, Some(value));
                self.broker.retain(topic, partition, |record| record.offset != offset);
            }
        }
    }

    // ---- trouble

    fn disturb(&mut self) -> Result<(), String> {
        let features = self.schedule.features;
        let now = self.now;
        for process in &mut self.processes {
            if process.isolated_until <= now {
                process.faults.borrow_mut().isolate(false);
            }
        }
        if features.churn {
            self.churn()?;
        }
        if features.zombies {
            self.make_zombies()?;
        }
        if features.growth && self.random.chance(0.006) {
            let (topic, _) = self.pick_place();
            let partitions = self.broker.partitions(topic).unwrap_or_default() + 1;
            self.broker.create_topic(topic, partitions);
            self.counts.growths += 1;
            self.log(|| format!("{topic} grows to {partitions} partitions"));
        }
        if features.bundle_changes && self.random.chance(0.01) {
            self.deployed = self.random.below(BUNDLES as u64) as usize;
            self.counts.bundle_changes += 1;
            let deployed = self.deployed;
            self.log(|| format!("definitions {deployed} are deployed"));
            if let Some(index) = self.pick_process() {
                self.stop(index)?;
            }
        }
        if features.lost_ranges && self.random.chance(0.01) {
            let (topic, partition) = self.pick_place();
            let (start, end) = self.broker.offsets(topic, partition);
            let offset = start + self.random.below((end - start + 1) as u64) as i64;
            self.broker.delete_before(topic, partition, offset);
            self.counts.lost_ranges += 1;
            self.log(|| format!("{topic}/{partition} now starts at {offset}"));
        }
        // A supervisor starts what is down.
        for ordinal in 0..self.schedule.workers {
            let down = self.processes.iter().all(|process| process.ordinal != ordinal);
            if down && self.random.chance(if features.churn { 0.1 } else { 0.5 }) {
                self.start(ordinal, None)?;
            }
        }
        Ok(())
    }

    fn pick_process(&mut self) -> Option<usize> {
        let count = self.processes.len() as u64;
        (count > 0).then(|| self.random.below(count) as usize)
    }

    fn churn(&mut self) -> Result<(), String> {
        if self.random.chance(0.01)
            && let Some(index) = self.pick_process()
        {
            let process = self.processes.remove(index);
            self.counts.crashes += 1;
            self.log(|| format!("w{} is killed", process.ordinal));
        }
        if self.random.chance(0.01)
            && let Some(index) = self.pick_process()
        {
            self.stop(index)?;
        }
        Ok(())
    }

    fn make_zombies(&mut self) -> Result<(), String> {
        let Some(index) = self.pick_process() else { return Ok(()) };
        let (now, length_us) = (self.now, SECOND_US + self.random.below(12 * SECOND_US as u64) as i64);
        let ordinal = self.processes[index].ordinal;
        match self.random.below(300) {
            0..3 => {
                self.processes[index].isolated_until = now.plus_us(length_us);
                self.processes[index].faults.borrow_mut().isolate(true);
                self.log(|| format!("w{ordinal} is cut off from its group for {} ms", length_us / 1000));
            }
            3..6 => self.stall(index, length_us),
            6..8 => {
                self.log(|| format!("w{ordinal} is started a second time"));
                self.start(ordinal, None)?;
            }
            _ => return Ok(()),
        }
        self.counts.zombies += 1;
        Ok(())
    }

    /// Nothing of the process runs, its heartbeat neither.
    fn stall(&mut self, index: usize, length_us: i64) {
        let until = self.now.plus_us(length_us);
        let process = &mut self.processes[index];
        (process.stalled_until, process.isolated_until) = (until, until);
        process.faults.borrow_mut().isolate(true);
        let ordinal = process.ordinal;
        self.log(|| format!("w{ordinal} stalls for {} ms", length_us / 1000));
    }

    fn may_leave_in_silence(&mut self) -> bool {
        self.schedule.features.zombies && !self.healed && !self.in_silence && self.random.chance(0.2)
    }

    /// A process that has let go of its partitions is missed in the next generation. The others own them for a while
    /// without records, and then it comes back with what it remembers.
    fn leave_in_silence(&mut self, index: usize) -> Result<(), String> {
        let ordinal = self.processes[index].ordinal;
        let length_us = (8 + self.random.below(16) as i64) * SECOND_US;
        self.stall(index, length_us);
        self.in_silence = true;
        let until = self.processes[index].stalled_until;
        while self.now < until {
            self.now = self.now.plus_us(SECOND_US / 4);
            self.broker.advance_to(self.now);
            self.turn_one()?;
        }
        self.in_silence = false;
        self.disturb()?;
        let back = self.processes.iter().position(|process| process.ordinal == ordinal);
        back.map_or(Ok(()), |index| self.turn(index))
    }

    // ---- processes

    fn start(&mut self, ordinal: usize, faults: Option<Rc<RefCell<Faults>>>) -> Result<(), String> {
        let rates = if self.healed { Default::default() } else { self.schedule.rates };
        let seed = self.random.next_u64();
        let faults = faults.unwrap_or_else(|| Rc::new(RefCell::new(Faults::new(seed, rates))));
        let stage = subject::stage(self.schedule, self.deployed);
        let reads = stage.inputs().to_vec();
        let names: Vec<&str> = reads.iter().map(String::as_str).collect();
        let config = ClientConfig {
            poll_records_max: self.schedule.poll_records_max,
            ..ClientConfig::new(GROUP, &format!("w{ordinal}"), &names)
        };
        let log = match MemoryLog::connect_with_faults(&self.broker, config, faults.clone()) {
            Ok(log) => log,
            Err(LogError::Fenced(_)) => return Ok(()),
            Err(error) => return Err(format!("w{ordinal} can't connect: {error}")),
        };
        let stage = self.subject.stage(stage);
        let worker = Worker::new(self.subject.log(log, &self.broker, &reads), stage, self.schedule.worker);
        self.faults.push(faults.clone());
        let long_ago = EventTime::BEFORE_ALL;
        let (isolated_until, stalled_until) = (long_ago, long_ago);
        self.processes.push(Process { ordinal, reads, worker, faults, isolated_until, stalled_until });
        self.counts.starts += 1;
        let deployed = self.deployed;
        self.log(|| format!("w{ordinal} starts with definitions {deployed}"));
        Ok(())
    }

    /// SIGTERM.
    fn stop(&mut self, index: usize) -> Result<(), String> {
        let Process { ordinal, worker, .. } = self.processes.remove(index);
        let now = self.now;
        let stopped = catch_unwind(AssertUnwindSafe(|| worker.stop(now)));
        self.now = self.broker.now();
        self.observe_commits()?;
        match stopped {
            Ok((result, _, notes)) => {
                self.counts.stops += 1;
                self.log(|| format!("w{ordinal} stops"));
                self.take_notes(ordinal, notes);
                match result {
                    Ok(()) => Ok(()),
                    Err(exit) => self.exited(ordinal, exit),
                }
            }
            Err(payload) => self.died(ordinal, payload),
        }
    }

    fn turn_one(&mut self) -> Result<(), String> {
        let now = self.now;
        let ready: Vec<usize> = (0..self.processes.len()).filter(|i| self.processes[*i].stalled_until <= now).collect();
        if ready.is_empty() {
            return Ok(());
        }
        let index = *self.random.pick(&ready);
        self.turn(index)
    }

    fn turn(&mut self, index: usize) -> Result<(), String> {
        let (now, process) = (self.now, &mut self.processes[index]);
        let ordinal = process.ordinal;
        let turned = catch_unwind(AssertUnwindSafe(|| process.worker.turn(now, Duration::ZERO)));
        // It may have stood still in a call.
        self.now = self.broker.now();
        match turned {
            Ok(result) => {
                let notes = process.worker.take_notes();
                let revoked = notes.iter().any(|note| matches!(note, Note::Revoked { .. }));
                self.take_notes(ordinal, notes);
                if let Err(exit) = result {
                    self.processes.remove(index);
                    self.exited(ordinal, exit)?;
                } else if revoked && self.may_leave_in_silence() {
                    self.leave_in_silence(index)?;
                }
            }
            Err(payload) => {
                self.processes.remove(index);
                self.died(ordinal, payload)?;
            }
        }
        self.observe_commits()
    }

    fn exited(&mut self, ordinal: usize, exit: Exit) -> Result<(), String> {
        self.log(|| format!("w{ordinal} exits: {exit}"));
        match exit {
            Exit::TakenOver(_) => {
                self.counts.fenced += 1;
                Ok(())
            }
            exit => Err(format!("w{ordinal} gave up: {exit}")),
        }
    }

    fn died(&mut self, ordinal: usize, payload: Box<dyn std::any::Any + Send>) -> Result<(), String> {
        match payload.downcast::<ProcessDied>() {
            Ok(died) => {
                self.counts.crashes += 1;
                let moment = if died.after_effect { "after" } else { "before" };
                self.log(|| format!("w{ordinal} dies {moment} {:?}", died.during));
                Ok(())
            }
            Err(payload) => {
                let text = payload.downcast_ref::<String>().cloned();
                let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(format!("w{ordinal} panicked: {}", text.unwrap_or_default()))
            }
        }
    }

    fn take_notes(&mut self, ordinal: usize, notes: Vec<Note>) {
        for note in notes {
            match &note {
                Note::Rebuilding { .. } => self.counts.aborts += 1,
                Note::IdleAdvance { .. } => self.counts.idle_advances += 1,
                Note::Lost { .. } => self.counts.lost_assignments += 1,
                Note::Opened { kept: true, .. } => self.counts.kept_partitions += 1,
                _ => {}
            }
            self.log(|| format!("w{ordinal} {note:?}"));
        }
    }

    /// Which definitions each partition was committed with: the frontiers tell, but not of those that made no batch.
    fn observe_commits(&mut self) -> Result<(), String> {
        for place @ (topic, partition) in self.places() {
            let Some(committed) = self.broker.group_offset(GROUP, topic, partition) else { continue };
            let seen = self.metadata_seen.entry(place).or_default();
            if *seen == committed.metadata {
                continue;
            }
            let decoded = CommitMetadata::decode(&committed.metadata);
            let metadata = decoded.map_err(|error| format!("{topic}/{partition} has bad metadata: {error}"))?;
            *seen = committed.metadata;
            self.trace_commit(place, &metadata);
            let known = self.activations.entry(place).or_default();
            if let Some(first) = metadata.b.first() {
                known.retain(|known| (known.from, known.start) < (first.from, first.start));
            }
            known.extend(metadata.b);
        }
        Ok(())
    }

    fn trace_commit(&mut self, (topic, partition): Place, metadata: &CommitMetadata) {
        self.log(|| {
            let CommitMetadata { m, k, t, wn, ev, b, .. } = metadata;
            let definitions: Vec<String> = b.iter().map(|b| format!("{:.4}@{}/{}", b.hash, b.start.0, b.from)).collect();
            let definitions = definitions.join(" ");
            format!(
                "    committed {topic}/{partition}: m {m} k {k} to {t} watermark {} open {ev} definitions {definitions}",
                wn.0
            )
        });
    }

    // ---- the end

    fn heal(&mut self) -> Result<(), String> {
        self.log(|| "all faults are healed".to_owned());
        self.healed = true;
        self.broker.set_marker_delay_us_max(0);
        for process in &mut self.processes {
            process.stalled_until = self.now;
        }
        for faults in &self.faults {
            faults.borrow_mut().heal();
        }
        if self.processes.is_empty() {
            self.start(0, None)?;
        }
        self.take_up_topics()
    }

    /// Unless topics that nobody reads are to stay so, one process gets definitions that name them all.
    fn take_up_topics(&mut self) -> Result<(), String> {
        if self.schedule.features.topics_left || TOPICS.iter().all(|topic| self.reads(topic)) {
            return Ok(());
        }
        self.counts.topics_read_again += 1;
        self.deployed = READS_ALL;
        let ordinal = self.processes.first().map_or(0, |process| process.ordinal);
        if !self.processes.is_empty() {
            self.stop(0)?;
        }
        self.start(ordinal, None)
    }

    /// Whether any process has it among its inputs.
    pub fn reads(&self, topic: &str) -> bool {
        self.processes.iter().any(|process| process.reads.iter().any(|read| read == topic))
    }

    /// Every partition of every input topic.
    pub fn places(&self) -> Vec<Place> {
        let partitions = |topic| 0..self.broker.partitions(topic).unwrap_or_default();
        TOPICS.into_iter().flat_map(|topic| partitions(topic).map(move |partition| (topic, partition))).collect()
    }

    /// Goes on until everything is committed and silence has closed every pane.
    fn rest(&mut self) -> Result<(), String> {
        for step in 0..REST_STEPS_MAX {
            let pause_us = if step % 20 == 19 { 6 * SECOND_US } else { 50_000 };
            self.now = self.now.plus_us(pause_us);
            self.broker.advance_to(self.now);
            for index in (0..self.processes.len()).rev() {
                self.turn(index)?;
            }
            if self.processes.is_empty() {
                self.start(0, None)?;
            }
            self.take_up_topics()?;
            if step > 40 && self.at_rest() {
                self.settle_counts();
                return Ok(());
            }
        }
        Err(format!("not at rest after {REST_STEPS_MAX} quiet rounds"))
    }

    fn at_rest(&self) -> bool {
        self.places().into_iter().filter(|(topic, _)| self.reads(topic)).all(|(topic, partition)| {
            let Some(committed) = self.broker.group_offset(GROUP, topic, partition) else { return false };
            let (_, end) = self.broker.offsets(topic, partition);
            let metadata = CommitMetadata::decode(&committed.metadata);
            committed.offset == end && metadata.is_ok_and(|metadata| metadata.ev == 0 && metadata.t == end)
        })
    }

    fn settle_counts(&mut self) {
        self.counts.schedules += 1;
        self.counts.topics_left += TOPICS.iter().filter(|topic| !self.reads(topic)).count() as u64;
        self.counts.rebalances += self.broker.rebalances(GROUP);
        self.counts.timeouts += self.broker.transactions_timed_out();
        for faults in &self.faults {
            let FaultCounts { ambiguous, repeated, stalls, .. } = faults.borrow().counts();
            self.counts.stalls += stalls;
            self.counts.ambiguous += ambiguous;
            self.counts.repeated += repeated;
        }
    }

    /// Number of each set of definitions by its hash.
    pub fn bundle_numbers(&self) -> BTreeMap<String, usize> {
        (0..BUNDLES).map(|bundle| (subject::stage(self.schedule, bundle).bundle().to_owned(), bundle)).collect()
    }
}
