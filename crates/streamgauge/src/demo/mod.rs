//! `streamgauge demo`: a synthetic day through the real stage, the real loop and a log in memory.
//!
//! No broker, no files, no wall time in anything that is counted: the clock is the scenario's. The summary is a function
//! of scenario and seed alone, whatever the number of workers.

mod play;
mod promises;
mod seen;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use streamgauge_definitions::Definitions;

use crate::cli::bad_usage;
use crate::load::open_scenario;
use crate::shell::{self, Stopwatch};

/// See it work: a seeded day of a synthetic shop, counted exactly, in under a minute
///
/// Plays requests of several services through the same stage and the same loop as on Kafka, over a log in memory and on
/// a simulated clock. Among them are a bad deployment, a slow dependency, a total outage, records out of order, late
/// records and broken ones. Then shows what the windows say of it, which alarms it set off, and proves that every record
/// was counted once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge demo
  streamgauge demo --seed 7 --workers 1
  streamgauge demo --json | jq .audit

The results depend on the scenario and the seed, never on the number of workers.

Exit codes: 0 every record was counted once and every count is right, 1 something failed, 2 bad usage, \
3 the audit found a problem or a count differs from what the generator knows.")]
pub struct DemoArgs {
    /// Another seed makes another day with the same faults
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// One JSON object in place of the summary
    #[arg(long)]
    json: bool,
    /// How many workers share the partitions, as processes in one consumer group would
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// shop-day, steady, or a scenario file; docs/scenarios.md explains the format
    #[arg(long, default_value = "shop-day", value_name = "NAME|FILE")]
    scenario: String,
    /// What is promised: files, or directories of them. Default: of shop-day, examples/definitions/shop-day.yaml; else nothing
    #[arg(long, value_name = "PATH")]
    definitions: Vec<PathBuf>,
}

/// What the shop of the built-in day promises.
const SHOP_DAY: &str = include_str!("../../../../examples/definitions/shop-day.yaml");

impl DemoArgs {
    fn definitions(&self) -> anyhow::Result<Definitions> {
        if !self.definitions.is_empty() {
            return crate::definitions::read(&self.definitions);
        }
        if self.scenario != "shop-day" {
            return Ok(Definitions::default());
        }
        let no_files = |_: &str, _: &str| Err("no files are named".to_owned());
        let read = Definitions::read([("examples/definitions/shop-day.yaml", SHOP_DAY)], &no_files);
        Ok(read.expect("definitions that are compiled in are tested"))
    }
}

/// The audit found a problem, or a count is wrong.
pub const EXIT_DIFFERENT: u8 = 3;

pub fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let scenario = open_scenario(&args.scenario).map_err(bad_usage)?;
    let watch = Stopwatch::start();
    let definitions = args.definitions().map_err(bad_usage)?;
    let played = play::play(&scenario, definitions, args.seed, args.workers, args.json)?;
    let seen = seen::Seen::of(&played)?;
    let right = seen.is_right();
    if args.json {
        anstream::println!("{}", serde_json::to_string(&seen)?);
    } else {
        let run = show::Run {
            workers: args.workers,
            elapsed: watch.elapsed(),
            wide: shell::columns().is_none_or(|columns| columns >= show::WIDE),
        };
        anstream::print!("{}", show::summary(&scenario, &seen, &run));
    }
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::from(EXIT_DIFFERENT) })
}
