//! The simulator of the slo stage must be able to fail, too: mistakes, made on purpose around the worker's log, are caught.

use std::time::Duration;

use serde_json::{Value, json};
use streamgauge_events::{Offset, topics};
use streamgauge_memory_log::{Broker, MemoryLog};
use streamgauge_stage::{Committed, Delivery, Log, LogError, Output, Polled, Position, Source};
use streamgauge_stage_slo::SloStage;
use streamgauge_tests::slo_sim::{self, Schedule, Subject};

/// Schedules within which a mistake must show.
const SCHEDULES_MAX: u64 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// Reading again begins where the commit stands: what waits for its grid point is forgotten.
    WaitingForgotten,
    /// Reading again begins one fact too late.
    RewindOneTooHigh,
    /// After a restart everything is read, counted and told again.
    AppliedAgain,
    /// State is written at once, alerts and offsets with the transaction.
    StateOutsideTheTransaction,
    /// A burst that failed is forgotten, but what it would have made durable stays in memory.
    StateKeptAfterAbort,
    /// Buckets of counts are no longer in the topic of state.
    StateExpires,
}

/// Beside each mistake, how it shows: in what is told, or in a worker that refuses to go on.
#[test]
fn each_mistake_is_caught() {
    for (mistake, evidence) in [
        (Mistake::WaitingForgotten, "alerts, and those "),
        (Mistake::RewindOneTooHigh, "alerts, and those "),
        (Mistake::AppliedAgain, "alerts, and those "),
        (Mistake::StateOutsideTheTransaction, "slo.state/"),
        (Mistake::StateKeptAfterAbort, "alerts, and those "),
        (Mistake::StateExpires, "alerts, and those "),
    ] {
        let evident = |seed| fails(mistake, seed).filter(|failure| failure.contains(evidence));
        let caught = (0..SCHEDULES_MAX).find_map(|seed| Some((seed, evident(seed)?)));
        let Some((seed, failure)) = caught else {
            panic!("{mistake:?} is caught by none of {SCHEDULES_MAX} schedules");
        };
        println!("{mistake:?}: seed {seed}: {failure}");
    }
}

#[test]
fn without_a_mistake_the_wrapper_changes_nothing() {
    for seed in 0..10 {
        assert_eq!(fails(Mistake::None, seed), None, "seed {seed}");
    }
}

fn fails(mistake: Mistake, seed: u64) -> Option<String> {
    slo_sim::run(&Broken(mistake), &Schedule::new(seed, &(1..=5)), false).failure
}

struct Broken(Mistake);

impl Subject for Broken {
    type Log = BrokenLog;
    type Stage = SloStage;

    fn log(&self, inner: MemoryLog, broker: &Broker) -> BrokenLog {
        BrokenLog { inner, broker: broker.clone(), mistake: self.0 }
    }

    fn stage(&self, stage: SloStage) -> SloStage {
        stage
    }
}

struct BrokenLog {
    inner: MemoryLog,
    broker: Broker,
    mistake: Mistake,
}

impl BrokenLog {
    fn change(&self, committed: &mut Committed) {
        let Ok(mut metadata) = serde_json::from_str::<Value>(&committed.metadata) else { return };
        let needed = metadata["m"].as_i64();
        match self.mistake {
            Mistake::WaitingForgotten => metadata["m"] = json!(committed.offset),
            Mistake::RewindOneTooHigh if needed < committed.offset => {
                metadata["m"] = json!(needed.map(|needed| needed + 1));
            }
            Mistake::AppliedAgain => {
                committed.offset = None;
                committed.metadata.clear();
                return;
            }
            _ => return,
        }
        committed.metadata = metadata.to_string();
    }
}

impl Log for BrokenLog {
    fn poll(&mut self, wait: Duration, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<Polled, LogError> {
        self.inner.poll(wait, deliver)
    }

    fn committed(&mut self, sources: &[Source]) -> Result<Vec<Committed>, LogError> {
        let mut all = self.inner.committed(sources)?;
        all.iter_mut().for_each(|committed| self.change(committed));
        Ok(all)
    }

    fn assign(&mut self, starts: &[(Source, Offset)]) -> Result<(), LogError> {
        self.inner.assign(starts)
    }

    fn release(&mut self) -> Result<(), LogError> {
        self.inner.release()
    }

    fn leave(&mut self) {
        self.inner.leave();
    }

    fn partitions(&mut self, topic: &str) -> Result<i32, LogError> {
        self.inner.partitions(topic)
    }

    fn read_back(
        &mut self,
        topic: &str,
        partition: i32,
        deliver: &mut dyn FnMut(Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), LogError> {
        let expires = |key: Option<&[u8]>| key.is_some_and(|key| key.windows(5).any(|part| part == b"/sums"));
        let mistake = self.mistake;
        self.inner.read_back(topic, partition, &mut |key, value| {
            if mistake != Mistake::StateExpires || !expires(key) {
                deliver(key, value);
            }
        })
    }

    fn read_again(
        &mut self,
        source: Source,
        until: Offset,
        deliver: &mut dyn FnMut(Offset, Option<&[u8]>),
    ) -> Result<(), LogError> {
        self.inner.read_again(source, until, deliver)
    }

    fn begin(&mut self) -> Result<(), LogError> {
        self.inner.begin()
    }

    fn produce(&mut self, output: &Output, partition: i32) -> Result<(), LogError> {
        if self.mistake == Mistake::StateOutsideTheTransaction && output.topic == topics::SLO_STATE {
            let value = (!output.value.is_empty()).then_some(output.value.as_slice());
            self.broker.append(topics::SLO_STATE, partition, Some(&output.key), value);
            return Ok(());
        }
        self.inner.produce(output, partition)
    }

    fn send_offsets(&mut self, positions: &[Position]) -> Result<(), LogError> {
        match self.inner.send_offsets(positions) {
            Err(LogError::Abortable(_)) if self.mistake == Mistake::StateKeptAfterAbort => Ok(()),
            result => result,
        }
    }

    fn commit(&mut self) -> Result<(), LogError> {
        match self.inner.commit() {
            Err(LogError::Abortable(_)) if self.mistake == Mistake::StateKeptAfterAbort => self.inner.abort(),
            result => result,
        }
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.inner.abort()
    }

    fn renew_producer(&mut self) -> Result<(), LogError> {
        self.inner.renew_producer()
    }
}
