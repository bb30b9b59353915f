//! The same alerts under everything that can go wrong, over seeded schedules. `simulate --stage slo` runs as many as one
//! likes.

use streamgauge_tests::slo_sim::{self, Counts, Schedule, Sound};

#[test]
fn every_schedule_tells_what_a_calm_run_tells() {
    let mut total = Counts::default();
    for seed in 0..150 {
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
