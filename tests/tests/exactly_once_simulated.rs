//! Exactly once, under everything that can go wrong, over seeded schedules. `simulate` runs as many as one likes.

use std::cell::RefCell;
use std::rc::Rc;

use streamgauge_memory_log::Faults;
use streamgauge_tests::sim::{self, Counts, Schedule, Sound, World, checks};

/// Seeds beyond those that always run, each with what it has found.
///
/// - 2062: whether a record was too late or of an unknown schema depended on when earlier definitions were forgotten.
const FOUND: [u64; 1] = [2062];

#[test]
fn every_schedule_gives_the_truth_and_an_unbroken_ledger() {
    let mut total = Counts::default();
    for seed in (0..300).chain(FOUND) {
        let outcome = sim::run(&Sound, &Schedule::new(seed, &(1..=5)), false);
        if let Some(failure) = outcome.failure {
            panic!("seed {seed}: {failure}\nsee it with: simulate --first-seed {seed} --schedules 1 --trace");
        }
        total.add(&outcome.counts);
    }
    for (name, count) in total.fields_mut() {
        assert!(*count > 0, "the schedules never met: {name}");
    }
}

/// A process dies before or after the effect of each single call that it makes, one run for each.
#[test]
fn a_crash_at_every_boundary_changes_nothing() {
    let schedule = Schedule::calm(7);
    let crashes = |boundary| {
        let faults = Rc::new(RefCell::new(Faults::crash_at(boundary)));
        let mut world = World::new(&Sound, &schedule, false);
        let result = world.run_with(faults).and_then(|()| checks::check(&mut world));
        assert_eq!(result, Ok(()), "death at boundary {boundary}");
        world.counts.crashes
    };
    let boundaries = (0..).take_while(|boundary| crashes(*boundary) == 1).count();
    assert!(boundaries > 200, "the process passes {boundaries} boundaries");
}
