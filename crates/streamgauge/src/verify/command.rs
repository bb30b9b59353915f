//! `streamgauge verify`: results against what `streamgauge load` wrote down.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use streamgauge_events::{DeadLetter, Fact, Reason, topics};
use streamgauge_kafka::KafkaFailure;
use streamgauge_synthetic::{PartitionTruth, Truth};
use streamgauge_windows::Fold;

use super::judge::{Verdict, judge};
use crate::cli::bad_usage;
use crate::kafka_args::KafkaArgs;
use crate::load::{duration, open_manifest};
use crate::shell::{Stop, Stopwatch};
use crate::topic_input::{Found, KafkaTopics, Pass, file_of, read_lines};
use crate::windows_text::print_data;

/// The results differ from the truth, or are not complete in time.
pub const EXIT_DIFFERENT: u8 = 3;
/// Differences that are shown.
const DIFFERENCES_MAX: usize = 20;

/// Compare results with the truth that `streamgauge load` wrote down
///
/// Waits until every record of the manifests stands in a batch and its pane has been written, then compares each series in
/// each pane: counts, failures, every bucket of the histogram, sum, least and greatest; and dead letters by reason. The
/// topics must hold the runs of the manifests and nothing else.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge verify --manifest load.json
  streamgauge verify --manifest first.json second.json --wait 2m

Exit codes: 0 equal, 1 something failed, 2 bad usage, 3 different, or not complete within --wait.")]
pub struct VerifyArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Manifests of all runs into the topic
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    manifest: Vec<PathBuf>,
    /// Directory with sli.windows.jsonl and dead-letters.jsonl; without it, Kafka is read
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,
    /// Put before the names of sli.windows and dead-letters
    #[arg(long, default_value = "", conflicts_with = "input")]
    prefix: String,
    /// How long to wait until the results are complete
    #[arg(long, default_value = "60s", value_parser = duration)]
    wait: Duration,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let truth = truth(&args).map_err(bad_usage)?;
    let results = match &args.input {
        Some(directory) => {
            let mut results = Results::default();
            read_lines(&file_of(directory, topics::SLI_WINDOWS), &mut |_, value| results.fact(0, value))?;
            read_lines(&file_of(directory, topics::DEAD_LETTERS), &mut |_, value| results.dead_letter(value))?;
            results
        }
        None => from_kafka(&args, &truth)?,
    };
    let missing = results.missing(&truth);
    let verdict = judge(&truth, &results.fold, &results.dead_letters, DIFFERENCES_MAX);
    let equal = verdict.is_clean() && missing.is_empty();
    if args.json {
        print_data([to_json(&truth, &verdict, &missing, equal).to_string()])?;
    } else {
        show(&truth, &verdict, &missing, equal);
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::from(EXIT_DIFFERENT) })
}

fn truth(args: &VerifyArgs) -> anyhow::Result<Truth> {
    let mut all: Option<Truth> = None;
    for path in &args.manifest {
        let truth = open_manifest(path)?.truth;
        match &mut all {
            None => all = Some(truth),
            Some(all) if all.parameters.pane_us != truth.parameters.pane_us => {
                bail!("{} was written for panes of another length than the first manifest", path.display());
            }
            Some(all) => all.merge(&truth),
        }
    }
    all.context("no manifest was named")
}

/// What the topics hold.
#[derive(Default)]
struct Results {
    fold: Fold,
    dead_letters: BTreeMap<Reason, u64>,
    /// By source partition: records that batches cover, and events whose panes are still open.
    covered: BTreeMap<i32, (u64, u64)>,
}

impl Results {
    fn fact(&mut self, output_partition: i32, value: &[u8]) -> anyhow::Result<()> {
        let fact = Fact::from_json(value).context("a record of sli.windows that is no fact")?;
        // Every output partition has every frontier: one of them is enough to count by.
        if let (Fact::Frontier(frontier), 0) = (&fact, output_partition) {
            let covered = self.covered.entry(frontier.partition).or_default();
            *covered = (covered.0 + frontier.records, frontier.open);
        }
        Ok(self.fold.add(output_partition, &fact)?)
    }

    fn dead_letter(&mut self, value: &[u8]) -> anyhow::Result<()> {
        let letter: DeadLetter = serde_json::from_slice(value).context("a record of dead-letters that is none")?;
        *self.dead_letters.entry(letter.reason).or_default() += 1;
        Ok(())
    }

    /// A sentence for each partition of which something is not written yet.
    fn missing(&self, truth: &Truth) -> Vec<String> {
        let sentence = |(expected, partition): (&PartitionTruth, i32)| {
            let (records, open) = self.covered.get(&partition).copied().unwrap_or_default();
            let expected = expected.records;
            (records < expected || (open > 0 && expected > 0)).then(|| {
                format!("partition {partition}: {records} of {expected} records stand in batches, {open} of them in open panes")
            })
        };
        truth.partitions.iter().zip(0..).filter_map(sentence).collect()
    }
}

const WINDOWS: u16 = 0;

fn from_kafka(args: &VerifyArgs, truth: &Truth) -> anyhow::Result<Results> {
    let stop = Stop::on_signals()?;
    let names = [topics::SLI_WINDOWS, topics::DEAD_LETTERS].map(|topic| format!("{}{topic}", args.prefix));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut kafka = KafkaTopics::open(&args.kafka.client().map_err(bad_usage)?, &names)?;
    let mut results = Results::default();
    let waiting = Stopwatch::start();
    loop {
        // Brokers that are being restarted come back: as long as there is time, asking and reading are tried again.
        let pass = match read_once(&mut kafka, &names, &stop, &mut results) {
            Err(error) if waiting.elapsed() < args.wait && !stop.is_set() && error.is::<KafkaFailure>() => {
                anstream::eprintln!("warning: {error:#}; trying again");
                std::thread::sleep(Duration::from_secs(1));
                continue;
            }
            pass => pass?,
        };
        if pass == Pass::Interrupted {
            bail!("interrupted before the topics were read to their ends");
        }
        if results.missing(truth).is_empty() || waiting.elapsed() >= args.wait {
            return Ok(results);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Reads what the topics hold behind what was read before.
fn read_once(kafka: &mut KafkaTopics, names: &[&str], stop: &Stop, results: &mut Results) -> anyhow::Result<Pass> {
    kafka.ask()?;
    let mut refused = Ok(());
    let pass = kafka.read(stop, &|| false, &mut |source, found| {
        let Found::Record { offset, value: Some(value) } = found else { return };
        let result = match source.topic {
            WINDOWS => results.fact(source.partition, value),
            _ => results.dead_letter(value),
        };
        if refused.is_ok() {
            let topic = names[usize::from(source.topic)];
            refused = result.with_context(|| format!("{topic}/{} at offset {offset}", source.partition));
        }
    })?;
    refused?;
    Ok(pass)
}

fn to_json(truth: &Truth, verdict: &Verdict, missing: &[String], equal: bool) -> serde_json::Value {
    let differences = verdict.comparisons().flat_map(|comparison| &comparison.differences);
    json!({
        "equal": equal,
        "requests": truth.records(),
        "counted": truth.counted(),
        "dead_lettered": truth.dead_lettered(),
        "cells_compared": verdict.cells_compared(),
        "differences_total": verdict.differences_total(),
        "differences": differences.map(ToString::to_string).collect::<Vec<_>>(),
        "missing": missing,
    })
}

fn show(truth: &Truth, verdict: &Verdict, missing: &[String], equal: bool) {
    for sentence in missing {
        anstream::println!("not complete: {sentence}");
    }
    for difference in verdict.comparisons().flat_map(|comparison| &comparison.differences) {
        anstream::println!("{difference}");
    }
    let shown: usize = verdict.comparisons().map(|comparison| comparison.differences.len()).sum();
    let total = verdict.differences_total();
    if total > shown as u64 {
        anstream::println!("… and {} more", total - shown as u64);
    }
    anstream::println!(
        "{}: {} records = {} counted + {} dead letters; {} cells compared, {total} differences",
        if equal { "equal" } else { "different" },
        truth.records(),
        truth.counted(),
        truth.dead_lettered(),
        verdict.cells_compared(),
    );
}
