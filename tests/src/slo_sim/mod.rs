//! The fault simulator of the slo stage: facts are appended to the lanes of `sli.windows` while workers that read them die,
//! stall, lose their assignments, or are started with other definitions.
//!
//! At its end all faults are healed, the world comes to rest, everybody leaves, and one more process goes on from what was
//! kept. Then every lane is held against a calm run and against the definitions of D(t): see [`checks`].

mod calm;
pub mod checks;
pub mod promises;
pub mod schedule;
pub mod subject;
#[path = "../../../crates/stage-slo/tests/objectives/support/mod.rs"]
pub mod support;
pub mod world;

pub use schedule::Schedule;
pub use subject::{Sound, Subject};
pub use world::{Counts, World};

use crate::sim::Outcome;

/// Runs one schedule and checks what was told.
pub fn run<S: Subject>(subject: &S, schedule: &Schedule, traced: bool) -> Outcome<Counts> {
    let mut world = World::new(subject, schedule, traced);
    let result = world.run().and_then(|()| checks::check(&mut world));
    Outcome { counts: world.counts, failure: result.err(), trace: world.trace.unwrap_or_default() }
}
