//! The world of one schedule: broker, clock, upstream, processes that come and go, and what goes wrong between them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use streamgauge_events::partitioner::partition_of;
use streamgauge_events::{EventTime, Fact, Offset, topics};
use streamgauge_memory_log::{
    Broker, BrokerSettings, ClientConfig, Fate, FaultCounts, Faults, MemoryLog, ProcessDied, SplitMix64,
};
use streamgauge_stage::{Exit, LogError, Note, Worker};

use super::promises::{BUNDLES, SOURCES, bundle_of};
use super::schedule::Schedule;
use super::subject::{self, Subject};
use super::support::facts::json_of;
use super::support::upstream::Upstream;
use crate::sim::schedule::SECOND_US;

pub const GROUP: &str = "slo";
const START: EventTime = EventTime(1_000 * SECOND_US);
/// Steps within which a healed world must come to rest.
const REST_STEPS_MAX: u32 = 3_000;

/// What happened, over one schedule or many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub schedules: u64,
    pub steps: u64,
    pub facts: u64,
    pub transitions: u64,
    pub dead_letters: u64,
    pub starts: u64,
    pub crashes: u64,
    pub stops: u64,
    pub rebalances: u64,
    pub lost_assignments: u64,
    pub kept_partitions: u64,
    pub zombies: u64,
    pub fenced: u64,
    pub aborts: u64,
    pub ambiguous: u64,
    pub repeated: u64,
    pub stalls: u64,
    pub timeouts: u64,
    pub rewinds: u64,
    pub compactions: u64,
    pub bundle_changes: u64,
    pub eras: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        for ((_, sum), (_, value)) in self.fields_mut().into_iter().zip(other.clone().fields_mut()) {
            *sum += *value;
        }
    }

    /// The figures with their names, in the order of a report.
    pub fn fields_mut(&mut self) -> [(&'static str, &mut u64); 22] {
        [
            ("schedules", &mut self.schedules),
            ("steps", &mut self.steps),
            ("facts", &mut self.facts),
            ("transitions", &mut self.transitions),
            ("dead letters", &mut self.dead_letters),
            ("process starts", &mut self.starts),
            ("crashes", &mut self.crashes),
            ("orderly stops", &mut self.stops),
            ("rebalances", &mut self.rebalances),
            ("assignments lost", &mut self.lost_assignments),
            ("partitions kept on return", &mut self.kept_partitions),
            ("zombies made", &mut self.zombies),
            ("processes fenced", &mut self.fenced),
            ("bursts aborted", &mut self.aborts),
            ("ambiguous ends", &mut self.ambiguous),
            ("requests repeated", &mut self.repeated),
            ("stalls in a burst", &mut self.stalls),
            ("transactions timed out", &mut self.timeouts),
            ("rewinds", &mut self.rewinds),
            ("compactions", &mut self.compactions),
            ("definitions deployed", &mut self.bundle_changes),
            ("changes of definitions", &mut self.eras),
        ]
    }
}

/// Definitions by which a lane was evaluated, and the offset up to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era {
    pub bundle: usize,
    pub until: Offset,
}

pub struct World<'a, S: Subject> {
    subject: &'a S,
    pub schedule: &'a Schedule,
    pub broker: Broker,
    /// By lane.
    pub eras: BTreeMap<i32, Vec<Era>>,
    /// Lane and offset of what is no fact.
    pub junk: BTreeSet<(i32, Offset)>,
    pub counts: Counts,
    pub trace: Option<Vec<String>>,
    upstream: Upstream,
    random: SplitMix64,
    now: EventTime,
    processes: Vec<Process<S>>,
    faults: Vec<Rc<RefCell<Faults>>>,
    /// Definitions that processes are started with from now on.
    deployed: usize,
    healed: bool,
    in_silence: bool,
    committed: BTreeMap<i32, Offset>,
    numbers: BTreeMap<String, usize>,
}

struct Process<S: Subject> {
    /// Ordinal: names the instance.
    ordinal: usize,
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
        create_topics(&broker, schedule.lanes);
        let sources = [0, 1].map(|index| (SOURCES[index], schedule.partitions[index]));
        Self {
            subject,
            schedule,
            broker,
            eras: BTreeMap::new(),
            junk: BTreeSet::new(),
            counts: Counts::default(),
            trace: traced.then(Vec::new),
            upstream: Upstream::new(schedule.seed ^ 0xfac7, schedule.habits, &sources),
            random: SplitMix64::new(schedule.seed ^ 0x5eed),
            now: START,
            processes: Vec::new(),
            faults: Vec::new(),
            deployed: schedule.first_bundle,
            healed: false,
            in_silence: false,
            committed: BTreeMap::new(),
            numbers: (0..BUNDLES).map(|number| (bundle_of(number).hash(), number)).collect(),
        }
    }

    /// The whole schedule: trouble, healing, rest, and a process that goes on from what the others have kept.
    pub fn run(&mut self) -> Result<(), String> {
        for ordinal in 0..self.schedule.workers {
            self.start(ordinal)?;
        }
        for _ in 0..self.schedule.steps {
            self.let_time_pass();
            self.produce();
            self.disturb()?;
            self.turn_one()?;
            self.counts.steps += 1;
        }
        self.heal()?;
        self.rest()?;
        while !self.processes.is_empty() {
            self.stop(0)?;
        }
        self.compact();
        for _ in 0..10 {
            self.produce();
        }
        self.start(0)?;
        self.rest()?;
        self.settle_counts();
        Ok(())
    }

    fn log(&mut self, line: impl FnOnce() -> String) {
        let now_ms = self.now.0 / 1000;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8}.{:03} {}", now_ms / 1000, now_ms % 1000, line()));
        }
    }

    fn let_time_pass(&mut self) {
        let milliseconds = match self.random.below(100) {
            0..70 => 1 + self.random.below(30),
            70..90 => 100 + self.random.below(300),
            90..98 => 1000 + self.random.below(2000),
            98 => 5000 + self.random.below(4000),
            _ => 12_000 + self.random.below(20_000),
        };
        self.now = self.now.plus_us(milliseconds as i64 * 1000);
        self.broker.advance_to(self.now);
    }

    // ---- upstream

    fn produce(&mut self) {
        if self.schedule.features.junk && self.random.chance(0.05) {
            self.produce_junk();
        }
        let batches = *self.random.pick(&[0, 1, 1, 1, 2, 4]);
        for _ in 0..batches {
            let facts = self.upstream.batch();
            self.produce_batch(&facts);
        }
    }

    fn produce_batch(&mut self, facts: &[Fact]) {
        let lanes = self.schedule.lanes;
        let mut values: BTreeMap<i32, Vec<Vec<u8>>> = BTreeMap::new();
        for fact in facts {
            let into = match fact {
                Fact::Delta(delta) => {
                    let lane = partition_of(&delta.key(), lanes);
                    lane..lane + 1
                }
                Fact::Frontier(_) => 0..lanes,
            };
            into.for_each(|lane| values.entry(lane).or_default().push(json_of(fact)));
        }
        self.counts.facts += facts.len() as u64;
        let in_transaction = self.schedule.features.gaps && self.random.chance(0.3);
        for (lane, values) in values {
            let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            if in_transaction {
                if self.random.chance(0.2) {
                    self.broker.append_transaction(topics::SLI_WINDOWS, lane, &values, Fate::Aborted);
                }
                self.broker.append_transaction(topics::SLI_WINDOWS, lane, &values, Fate::Committed);
            } else {
                values.iter().for_each(|value| {
                    self.broker.append(topics::SLI_WINDOWS, lane, None, Some(value));
                });
            }
        }
    }

    fn produce_junk(&mut self) {
        let lane = self.random.below(self.schedule.lanes as u64) as i32;
        let value: Option<&[u8]> = *self.random.pick(&[
            None,
            Some(b"".as_slice()),
            Some(b"{\"type\":\"delta\"}".as_slice()),
            Some(b"\xff\xfe{".as_slice()),
            Some(b"{\"type\":\"other\"}".as_slice()),
        ]);
        let offset = self.broker.append(topics::SLI_WINDOWS, lane, None, value);
        self.junk.insert((lane, offset));
    }

    // ---- trouble

    fn disturb(&mut self) -> Result<(), String> {
        let features = self.schedule.features;
        let now = self.now;
        for process in self.processes.iter_mut().filter(|process| process.isolated_until <= now) {
            process.faults.borrow_mut().isolate(false);
        }
        if features.churn {
            self.churn()?;
        }
        if features.zombies {
            self.make_zombies()?;
        }
        if features.compaction && self.random.chance(0.05) {
            self.compact();
        }
        if features.bundle_changes && self.random.chance(0.02) {
            self.deployed = self.random.below(BUNDLES as u64) as usize;
            self.counts.bundle_changes += 1;
            let deployed = self.deployed;
            self.log(|| format!("definitions {deployed} are deployed"));
            if let Some(index) = self.pick_process() {
                self.stop(index)?;
            }
        }
        // A supervisor starts what is down.
        for ordinal in 0..self.schedule.workers {
            let down = self.processes.iter().all(|process| process.ordinal != ordinal);
            if down && self.random.chance(if features.churn { 0.1 } else { 0.5 }) {
                self.start(ordinal)?;
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
                self.start(ordinal)?;
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

    /// A process that has let go of its partitions is missed in the next generation. The others own them for a while, and
    /// then it comes back with what it remembers.
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

    /// Of each key the last value stays; where that is nothing, nothing may stay.
    fn compact(&mut self) {
        self.counts.compactions += 1;
        let without_tombstones = self.random.chance(0.5);
        for lane in 0..self.schedule.lanes {
            let mut last: BTreeMap<Option<Vec<u8>>, Offset> = BTreeMap::new();
            for record in self.broker.records(topics::SLO_STATE, lane) {
                last.insert(record.key.clone(), record.offset);
                if without_tombstones && record.value.is_none() {
                    last.remove(&record.key);
                }
            }
            let kept: BTreeSet<Offset> = last.into_values().collect();
            self.broker.retain(topics::SLO_STATE, lane, |record| kept.contains(&record.offset));
        }
        self.log(|| "the state is compacted".to_owned());
    }

    // ---- processes

    fn start(&mut self, ordinal: usize) -> Result<(), String> {
        let rates = if self.healed { Default::default() } else { self.schedule.rates };
        let faults = Rc::new(RefCell::new(Faults::new(self.random.next_u64(), rates)));
        let config = ClientConfig {
            poll_records_max: self.schedule.poll_records_max,
            ..ClientConfig::new(GROUP, &format!("w{ordinal}"), &[topics::SLI_WINDOWS])
        };
        let log = match MemoryLog::connect_with_faults(&self.broker, config, faults.clone()) {
            Ok(log) => log,
            Err(LogError::Fenced(_)) => return Ok(()),
            Err(error) => return Err(format!("w{ordinal} can't connect: {error}")),
        };
        let stage = self.subject.stage(subject::stage(self.deployed));
        let worker = Worker::new(self.subject.log(log, &self.broker), stage, self.schedule.worker);
        self.faults.push(faults.clone());
        let long_ago = EventTime::BEFORE_ALL;
        let (isolated_until, stalled_until) = (long_ago, long_ago);
        self.processes.push(Process { ordinal, worker, faults, isolated_until, stalled_until });
        self.counts.starts += 1;
        let deployed = self.deployed;
        self.log(|| format!("w{ordinal} starts with definitions {deployed}"));
        Ok(())
    }

    /// SIGTERM.
    fn stop(&mut self, index: usize) -> Result<(), String> {
        self.observe_commits()?;
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
                result.or_else(|exit| self.exited(ordinal, exit))
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
        self.observe_commits()?;
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
                let may_leave = self.schedule.features.zombies && !self.healed && !self.in_silence;
                if let Err(exit) = result {
                    self.processes.remove(index);
                    self.exited(ordinal, exit)?;
                } else if revoked && may_leave && self.random.chance(0.2) {
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
                Note::Lost { .. } => self.counts.lost_assignments += 1,
                Note::Opened { kept: true, .. } => self.counts.kept_partitions += 1,
                Note::Opened { start, committed: Some(committed), .. } if start < committed => self.counts.rewinds += 1,
                _ => {}
            }
            self.log(|| format!("w{ordinal} {note:?}"));
        }
    }

    /// By which definitions each lane was evaluated, and how far.
    fn observe_commits(&mut self) -> Result<(), String> {
        for lane in 0..self.schedule.lanes {
            let Some(committed) = self.broker.group_offset(GROUP, topics::SLI_WINDOWS, lane) else { continue };
            let metadata: serde_json::Value =
                serde_json::from_str(&committed.metadata).map_err(|error| error.to_string())?;
            let bundle = metadata["b"].as_str().and_then(|hash| self.numbers.get(hash)).copied();
            let bundle = bundle.ok_or_else(|| format!("a commit cites definitions that nobody has: {metadata}"))?;
            let before = self.committed.insert(lane, committed.offset).unwrap_or_default();
            let eras = self.eras.entry(lane).or_default();
            if eras.last().is_some_and(|era| era.bundle == bundle) {
                continue;
            }
            if let Some(last) = eras.last_mut() {
                last.until = before;
                self.counts.eras += 1;
            }
            eras.push(Era { bundle, until: Offset::MAX });
            self.log(|| format!("    lane {lane} goes by definitions {bundle} from {before} on"));
        }
        Ok(())
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
        Ok(())
    }

    /// Goes on until everything is committed.
    fn rest(&mut self) -> Result<(), String> {
        for step in 0..REST_STEPS_MAX {
            self.now = self.now.plus_us(if step % 20 == 19 { 6 * SECOND_US } else { 50_000 });
            self.broker.advance_to(self.now);
            for index in (0..self.processes.len()).rev() {
                self.turn(index)?;
            }
            if self.processes.is_empty() {
                self.start(0)?;
            }
            if step > 40 && self.at_rest() {
                return Ok(());
            }
        }
        Err(format!("not at rest after {REST_STEPS_MAX} quiet rounds"))
    }

    fn at_rest(&self) -> bool {
        (0..self.schedule.lanes).all(|lane| {
            let committed = self.broker.group_offset(GROUP, topics::SLI_WINDOWS, lane);
            let (_, end) = self.broker.offsets(topics::SLI_WINDOWS, lane);
            committed.is_some_and(|committed| committed.offset == end) || end == 0
        })
    }

    fn settle_counts(&mut self) {
        self.counts.schedules += 1;
        self.counts.rebalances += self.broker.rebalances(GROUP);
        self.counts.timeouts += self.broker.transactions_timed_out();
        for faults in &self.faults {
            let FaultCounts { ambiguous, repeated, stalls, .. } = faults.borrow().counts();
            self.counts.stalls += stalls;
            self.counts.ambiguous += ambiguous;
            self.counts.repeated += repeated;
        }
    }
}

pub fn create_topics(broker: &Broker, lanes: i32) {
    let all =
        [(topics::SLI_WINDOWS, lanes), (topics::SLO_STATE, lanes), (topics::ALERTS, 2), (topics::DEAD_LETTERS, 1)];
    all.into_iter().for_each(|(topic, partitions)| broker.create_topic(topic, partitions));
}
