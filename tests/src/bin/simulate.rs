//! Runs many fault schedules, and says what they met. `simulate --schedules 10000 --first-seed 1 --workers 1..5`
//!
//! A schedule that fails is run again with its trace shown; its seed alone repeats it.

use std::io::{IsTerminal as _, Write as _};
use std::ops::RangeInclusive;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use streamgauge_tests::sim::{self, Outcome};
use streamgauge_tests::slo_sim;

/// Runs seeded fault schedules over the worker loop. What stage sli writes is held against oracle, undisturbed run and
/// ledger; what stage slo tells against an undisturbed run and a model.
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
    /// The stage that runs
    #[arg(long, value_enum, default_value_t = Stage::Sli)]
    stage: Stage,
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

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Stage {
    Sli,
    Slo,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let workers = &arguments.workers;
    match arguments.stage {
        Stage::Sli => {
            let schedule = |seed| sim::Schedule::new(seed, workers);
            let mut total = sim::Counts::default();
            run_all(&arguments, |seed, traced| {
                let schedule = schedule(seed);
                let outcome = sim::run(&sim::Sound, &schedule, traced);
                total.add(&outcome.counts);
                (outcome.without_counts(), format!("{schedule:#?}"))
            })?;
            report(total.fields_mut());
        }
        Stage::Slo => {
            let schedule = |seed| slo_sim::Schedule::new(seed, workers);
            let mut total = slo_sim::Counts::default();
            run_all(&arguments, |seed, traced| {
                let schedule = schedule(seed);
                let outcome = slo_sim::run(&slo_sim::Sound, &schedule, traced);
                total.add(&outcome.counts);
                (outcome.without_counts(), format!("{schedule:#?}"))
            })?;
            report(total.fields_mut());
        }
    }
    Ok(())
}

/// `run` gives what came of a seed, and the schedule as a text.
fn run_all(arguments: &Arguments, mut run: impl FnMut(u64, bool) -> (Outcome<()>, String)) -> anyhow::Result<()> {
    let Arguments { first_seed, schedules, trace, .. } = *arguments;
    for (done, seed) in (1..=schedules).zip(first_seed..) {
        let (outcome, schedule) = run(seed, trace);
        outcome.trace.iter().for_each(|line| println!("{line}"));
        if let Some(failure) = outcome.failure {
            if !trace {
                run(seed, true).0.trace.iter().for_each(|line| println!("{line}"));
            }
            println!("{schedule}");
            bail!("seed {seed} fails: {failure}")
        }
        show_progress(done, schedules);
    }
    println!("all checks held; seeds {first_seed} to {}", first_seed + schedules - 1);
    Ok(())
}

fn report<const FIGURES: usize>(figures: [(&'static str, &mut u64); FIGURES]) {
    for (name, count) in figures {
        println!("{name:>26} {count}");
    }
}

fn show_progress(done: u64, of: u64) {
    let mut stderr = std::io::stderr();
    let (step, end) = if stderr.is_terminal() { (50, '\r') } else { (1000, '\n') };
    if done.is_multiple_of(step) || done == of {
        // Progress that can't be shown is no reason to stop.
        let _ = write!(stderr, "{done} of {of} schedules{}", if done == of { '\n' } else { end });
    }
}
