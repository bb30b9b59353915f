//! The fault simulator: seeded schedules over the real worker, the real `sli` stage and the in-memory log.
//!
//! The stage reads three topics: requests and scores in JSON, and machines in Avro, while some definitions name them.
//! A schedule draws everything from its seed: input, clock, crashes at any boundary of a call, lost and repeated
//! answers, rebalances, zombies, delayed markers, time-outs, idle advances, growth, changed definitions. At its end all
//! faults are healed, the world comes to rest, and the output is held against three standards: see [`checks`].

pub mod bundles;
pub mod calm;
pub mod checks;
pub mod input;
pub mod schedule;
pub mod subject;
mod truth;
pub mod world;
pub mod writers;

pub use schedule::Schedule;
pub use subject::{Sound, Subject};
pub use world::{Counts, World};

/// How a schedule ended.
pub struct Outcome<C> {
    pub counts: C,
    pub failure: Option<String>,
    /// What happened in order, if asked for.
    pub trace: Vec<String>,
}

impl<C> Outcome<C> {
    pub fn without_counts(self) -> Outcome<()> {
        Outcome { counts: (), failure: self.failure, trace: self.trace }
    }
}

/// Runs one schedule and checks its output.
pub fn run<S: Subject>(subject: &S, schedule: &Schedule, traced: bool) -> Outcome<Counts> {
    let mut world = World::new(subject, schedule, traced);
    let result = world.run().and_then(|()| checks::check(&mut world));
    Outcome { counts: world.counts, failure: result.err(), trace: world.trace.unwrap_or_default() }
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        for ((_, sum), (_, value)) in self.fields_mut().into_iter().zip(other.clone().fields_mut()) {
            *sum += *value;
        }
    }

    /// The figures with their names, in the order of a report.
    pub fn fields_mut(&mut self) -> [(&'static str, &mut u64); 27] {
        [
            ("schedules", &mut self.schedules),
            ("steps", &mut self.steps),
            ("events", &mut self.events),
            ("batches", &mut self.batches),
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
            ("idle advances", &mut self.idle_advances),
            ("bundle changes", &mut self.bundle_changes),
            ("growths", &mut self.growths),
            ("log starts moved", &mut self.lost_ranges),
            ("topics given up", &mut self.topics_left),
            ("topics taken up again", &mut self.topics_read_again),
            ("records of unknown schemas", &mut self.unknown_schemas),
            ("series folded away", &mut self.folded_away),
            ("cells with values", &mut self.with_values),
        ]
    }
}
