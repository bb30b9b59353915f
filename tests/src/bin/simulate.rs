//! Runs many fault schedules, and says what they met. `simulate --schedules 10000 --first-seed 1 --workers 1..5`
//!
//! A schedule that fails is run again with its trace shown; its seed alone repeats it.

use std::io::{IsTerminal as _, Write as _};
use std::ops::RangeInclusive;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use streamgauge_tests::sim::{self, Counts, Schedule, Sound};

/// Runs seeded fault schedules over the worker loop and holds every output against oracle, undisturbed run and ledger.
#[derive(Parser)]
struct Arguments {
    /// How many schedules to run
    #[arg(long, default_value_t = 1000)]
    schedules: u64,
    /// Seed of the first one; the others follow
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Number of workers, drawn per schedule: `3` or `1..5` (both included)
    #[arg(long, default_value = "1..5", value_parser = workers)]
    workers: RangeInclusive<usize>,
    /// Show what happens in each schedule
    #[arg(long)]
    trace: bool,
}

fn workers(text: &str) -> anyhow::Result<RangeInclusive<usize>> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let number =
        |text: &str| text.trim_start_matches('=').parse::<usize>().with_context(|| format!("{text:?} is no number"));
    let (first, last) = (number(first)?, number(last)?);
    ensure!(1 <= first && first <= last, "give 1 or more workers, the smaller number first");
    Ok(first..=last)
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut total = Counts::default();
    for seed in (arguments.first_seed..).take(arguments.schedules as usize) {
        let schedule = Schedule::new(seed, &arguments.workers);
        let outcome = sim::run(&Sound, &schedule, arguments.trace);
        outcome.trace.iter().for_each(|line| println!("{line}"));
        if let Some(failure) = outcome.failure {
            report_failure(&schedule, &failure, arguments.trace)?;
        }
        total.add(&outcome.counts);
        show_progress(total.schedules, arguments.schedules);
    }
    println!("all checks held; seeds {} to {}", arguments.first_seed, arguments.first_seed + arguments.schedules - 1);
    for (name, count) in total.fields_mut() {
        println!("{name:>26} {count}");
    }
    Ok(())
}

fn report_failure(schedule: &Schedule, failure: &str, shown: bool) -> anyhow::Result<()> {
    if !shown {
        sim::run(&Sound, schedule, true).trace.iter().for_each(|line| println!("{line}"));
    }
    println!("{schedule:#?}");
    bail!("seed {} fails: {failure}", schedule.seed)
}

fn show_progress(done: u64, of: u64) {
    let mut stderr = std::io::stderr();
    let (step, end) = if stderr.is_terminal() { (50, '\r') } else { (1000, '\n') };
    if done.is_multiple_of(step) || done == of {
        // Progress that can't be shown is no reason to stop.
        let _ = write!(stderr, "{done} of {of} schedules{}", if done == of { '\n' } else { end });
    }
}
