//! The same alerts under everything that can go wrong, over seeded schedules. `simulate --stage slo` runs as many as one
//! likes.

use streamgauge_tests::slo_sim::{self, Counts, Schedule, Sound};

/// Seeds beyond those that always run, each with what it has found.
///
/// - 1443: a chain whose new generations were complete for less than the old one, twice, lost what waited at a restart.
const FOUND: [u64; 1] = [1443];

#[test]
fn every_schedule_tells_what_a_calm_run_tells() {
    let mut total = Counts::default();
    for seed in (0..150).chain(FOUND) {
        let outcome = slo_sim::run(&Sound, &Schedule::new(seed, &(1..=5)), false);
        if let Some(failure) = outcome.failure {
            panic!(
                "seed {seed}: {failure}\nsee it with: simulate --stage slo --first-seed {seed} --schedules 1 --trace"
            );
        }
        total.add(&outcome.counts);
    }
    for (name, count) in total.fields_mut() {
        assert!(*count > 0, "the schedules never met: {name}");
    }
}
