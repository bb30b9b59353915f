//! The stage as the worker holds it: one [`Objectives`] a partition of `sli.windows`, kept in `slo.state`.
//!
//! What waits for its grid point is not kept: the commit says from where on facts are to be read again, and what has been
//! evaluated before is left out by the clock that is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamgauge_definitions::{Bundle, Definitions};
use streamgauge_events::dead_letter::Origin;
use streamgauge_events::{DeadLetter, EventTime, Offset, Reason, Rejection, topics};
use streamgauge_stage::{
    CannotOpen, Committed, Halt, Log, Outbox, Output, Partition, Placement, Record, Source, Stage, WorkerSettings,
};
use streamgauge_windows::fold::Refused;

use crate::objectives::Objectives;
use crate::records::{AlertRecord, hash_of};
use crate::state::{CLOCK, Records};

pub struct SloStage {
    inputs: Vec<String>,
    definitions: Definitions,
    hash: String,
    /// What the topic of requests is called on the bus.
    requests: String,
    accept_holes: bool,
}

impl SloStage {
    /// `requests`: what the topic of requests is called on the bus.
    pub fn new(bundle: &Bundle, requests: impl Into<String>) -> Result<Self, Halt> {
        let stage = Self {
            inputs: vec![topics::SLI_WINDOWS.to_owned()],
            definitions: bundle.definitions.clone(),
            hash: bundle.hash(),
            requests: requests.into(),
            accept_holes: false,
        };
        stage.objectives(&stage.definitions)?;
        Ok(stage)
    }

    /// Facts are in this topic on the bus.
    pub fn reading(mut self, facts: impl Into<String>) -> Self {
        self.inputs = vec![facts.into()];
        self
    }

    /// Goes on where a batch is missing; slices that it concerns are not covered.
    pub fn accepting_holes(mut self, accept: bool) -> Self {
        self.accept_holes = accept;
        self
    }

    fn objectives(&self, definitions: &Definitions) -> Result<Objectives, Halt> {
        let topic_of = |sli: &str| match definitions.slis.get(sli).map(|sli| sli.topic.as_str()) {
            Some(topics::REQUESTS) | None => self.requests.clone(),
            Some(topic) => topic.to_owned(),
        };
        Objectives::new(definitions, &topic_of).map_err(|error| Halt::Definitions(error.to_string()))
    }

    fn open_one(&self, log: &mut dyn Log, committed: &Committed) -> Result<SloPartition, CannotOpen> {
        let number = committed.source.partition;
        let mut partition = SloPartition {
            facts: self.inputs[0].clone(),
            number,
            bundle: self.hash.clone(),
            objectives: self.objectives(&self.definitions)?,
            start: committed.offset.unwrap_or(committed.log_start),
            refold_until: None,
            clock: String::new(),
            gone: Vec::new(),
            accept_holes: self.accept_holes,
        };
        let mut records = Records::new();
        log.read_back(topics::SLO_STATE, number, &mut |key, value| {
            let Some(key) = key else { return };
            match value.filter(|value| !value.is_empty()) {
                Some(value) => records.insert(key.to_vec(), value.to_vec()),
                None => records.remove(key),
            };
        })?;
        let Some(offset) = committed.offset else {
            // Nothing was committed: what is there belongs to a group that is gone.
            partition.gone = records.into_keys().map(|key| String::from_utf8_lossy(&key).into_owned()).collect();
            return Ok(partition);
        };
        let damaged = |why: String| Halt::StateUnusable { topic: topics::SLO_STATE.to_owned(), partition: number, why };
        let metadata = Metadata::decode(&committed.metadata).map_err(|message| Halt::MetadataUnreadable {
            source_topic: self.inputs[0].clone(),
            partition: number,
            message,
        })?;
        let clock = records.get(CLOCK.as_bytes()).map(|value| String::from_utf8_lossy(value)).unwrap_or_default();
        partition.clock = hash_of_clock(&clock);
        if partition.clock != metadata.clock {
            let why = format!("its clock is {:?}, and {:?} was committed", partition.clock, metadata.clock);
            return Err(damaged(why).into());
        }
        let anew = partition.objectives.restore(&records).map_err(|error| damaged(error.to_string()))?;
        let mut needed = metadata.from;
        if !anew.names.is_empty() && offset > committed.log_start {
            let counted = self.count_anew(log, number, offset, &anew.names)?;
            needed = needed.min(counted.needed_from().unwrap_or(offset));
            partition.objectives.take_in(counted, &anew.alarms);
        }
        partition.gone = anew.gone;
        if committed.log_start > needed {
            let why = format!("facts from {needed} on are needed, and the log begins with {}", committed.log_start);
            return Err(damaged(why).into());
        }
        partition.start = needed;
        partition.refold_until = (needed < offset).then_some(offset);
        if partition.refold_until.is_none() {
            partition.objectives.caught_up();
        }
        Ok(partition)
    }

    /// Objectives that are new, or have changed, over all facts that there still are before `until`. Others move the clock with
    /// them, as if all had always been there.
    fn count_anew(
        &self,
        log: &mut dyn Log,
        number: i32,
        until: Offset,
        names: &[String],
    ) -> Result<Objectives, CannotOpen> {
        let mut objectives = self.objectives(&self.definitions)?;
        objectives.follow_only(names);
        let source = Source { topic: 0, partition: number };
        log.read_again(source, until, &mut |offset, value| {
            if let Some(value) = value {
                // What can't be read has its dead letter already.
                let _ = objectives.observe(offset, value);
                objectives.advance(&mut |_| {});
            }
        })?;
        Ok(objectives)
    }
}

impl Stage for SloStage {
    type Partition = SloPartition;

    fn inputs(&self) -> &[String] {
        &self.inputs
    }

    fn outputs(&self) -> &'static [&'static str] {
        &[topics::ALERTS, topics::SLO_STATE, topics::DEAD_LETTERS]
    }

    fn bundle(&self) -> &str {
        &self.hash
    }

    fn open(
        &mut self,
        log: &mut dyn Log,
        committed: &[Committed],
        _settings: &WorkerSettings,
    ) -> Result<Vec<SloPartition>, CannotOpen> {
        if let Some(first) = committed.first() {
            let kept = log.partitions(topics::SLO_STATE)?;
            if kept < first.partitions {
                return Err(Halt::StateUnusable {
                    topic: topics::SLO_STATE.to_owned(),
                    partition: kept,
                    why: format!("it has {kept} partitions, and {} has {}", self.inputs[0], first.partitions),
                }
                .into());
            }
        }
        committed.iter().map(|committed| self.open_one(log, committed)).collect()
    }
}

/// What stands beside a committed offset.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    /// Version of this form: 1.
    v: u32,
    /// Facts are to be read again from here on.
    #[serde(rename = "m")]
    from: Offset,
    /// Hash of the clock in the topic of state.
    #[serde(rename = "c")]
    clock: String,
    /// Hash of the definitions by which it was kept: another owner may have others at the same offset.
    #[serde(rename = "b")]
    bundle: String,
}

impl Metadata {
    fn decode(text: &str) -> Result<Self, String> {
        let metadata: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if metadata.v == 1 { Ok(metadata) } else { Err(format!("version {}", metadata.v)) }
    }
}

/// Nothing for no clock.
fn hash_of_clock(json: &str) -> String {
    if json.is_empty() { String::new() } else { hash_of(&[json]) }
}

/// The objectives over one partition of `sli.windows`.
pub struct SloPartition {
    /// The topic of facts.
    facts: String,
    number: i32,
    bundle: String,
    objectives: Objectives,
    start: Offset,
    /// What lies before was read already; it is read again for what waits.
    refold_until: Option<Offset>,
    /// Hash of the clock as it was written last.
    clock: String,
    /// Keys of state that nothing stands for any more.
    gone: Vec<String>,
    accept_holes: bool,
}

impl SloPartition {
    pub const fn objectives(&self) -> &Objectives {
        &self.objectives
    }

    fn reject(&self, record: &Record<'_>, reason: Reason, message: String, out: &mut Outbox) {
        let origin = Origin {
            source: &self.facts,
            partition: self.number,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
        };
        out.push_dead_letter(&DeadLetter::new(Rejection::new(reason, message), origin));
    }
}

impl Partition for SloPartition {
    fn start(&self) -> Offset {
        self.start
    }

    fn refolding(&self) -> bool {
        self.refold_until.is_some()
    }

    fn fold(&mut self, record: &Record<'_>, out: &mut Outbox) -> Result<(), Halt> {
        self.passed(record.offset)?;
        let Some(value) = record.value else {
            if !self.refolding() {
                self.reject(record, Reason::NoValue, "a fact without a value".to_owned(), out);
            }
            return Ok(());
        };
        match self.objectives.observe(record.offset, value) {
            Ok(None) => {}
            Ok(Some(_)) if self.accept_holes => {}
            Ok(Some(hole)) => return Err(Halt::FactsMissing(hole.to_string())),
            Err(_) if self.refolding() => {}
            Err(refused) => {
                let reason = match &refused {
                    Refused::Undecodable(_) => Reason::Undecodable,
                    _ => Reason::OutOfRange,
                };
                self.reject(record, reason, refused.to_string(), out);
            }
        }
        if !self.refolding() {
            let points = self.objectives.advance(&mut |record| out.push(output_of(&record)));
            if points > 0 {
                out.batch_cut();
            }
        }
        Ok(())
    }

    fn passed(&mut self, position: Offset) -> Result<(), Halt> {
        if self.refold_until.is_some_and(|until| position >= until) {
            self.refold_until = None;
            self.objectives.caught_up();
        }
        Ok(())
    }

    fn end(&mut self, _position: Offset, _out: &mut Outbox) {}

    fn idle(&mut self, _position: Offset, _now: EventTime, _out: &mut Outbox) -> bool {
        false
    }

    fn metadata(&self, position: Offset) -> String {
        let from = self.objectives.needed_from().unwrap_or(position).min(position);
        let clock = hash_of_clock(&self.objectives.clock_json().unwrap_or_default());
        serde_json::to_string(&Metadata { v: 1, from, clock, bundle: self.bundle.clone() })
            .expect("texts and integers always have a JSON form")
    }

    fn unsaved(&mut self) -> Vec<Output> {
        let mut changed: Vec<(String, Vec<u8>)> = self.gone.drain(..).map(|key| (key, Vec::new())).collect();
        changed.extend(self.objectives.take_changed());
        // Where nobody asks for anything any more there is no clock either, and the commit says so.
        let json = self.objectives.clock_json().unwrap_or_default();
        let hash = hash_of_clock(&json);
        if hash != self.clock {
            self.clock = hash;
            changed.push((CLOCK.to_owned(), json.into_bytes()));
        }
        let placement = Placement::At(self.number);
        let output = |(key, value): (String, Vec<u8>)| Output {
            topic: topics::SLO_STATE,
            key: key.into_bytes(),
            placement,
            value,
        };
        changed.into_iter().map(output).collect()
    }

    fn set_partitions(&mut self, _partitions: i32) {}

    fn lost(&self) -> &[(Offset, Offset)] {
        &[]
    }

    fn watermark(&self) -> EventTime {
        self.complete_until()
    }

    fn complete_until(&self) -> EventTime {
        let until: BTreeMap<&str, EventTime> = self.objectives.evaluated_until();
        until.into_values().min().unwrap_or(EventTime::BEFORE_ALL)
    }

    fn live_cells(&self) -> usize {
        self.objectives.waiting()
    }

    fn open_events(&self) -> u64 {
        0
    }
}

fn output_of(record: &AlertRecord) -> Output {
    let key = format!("{}/{}/{}", record.tenant, record.service, record.slo);
    Output { topic: topics::ALERTS, key: key.into_bytes(), placement: Placement::ByKey, value: record.to_json() }
}
