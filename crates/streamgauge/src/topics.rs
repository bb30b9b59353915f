//! `streamgauge topics`: the topic table against the cluster.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use streamgauge_events::topics::table;
use streamgauge_kafka::{Difference, TopicAdmin};

use crate::cli::bad_usage;
use crate::kafka_args::KafkaArgs;

/// The cluster differs from the table.
pub const EXIT_DIFFERENT: u8 = 3;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge topics plan
  streamgauge topics apply --brokers kafka-1:9092,kafka-2:9092

Exit codes: 0 nothing differs (or, for plan, everything can be applied), 3 something differs (check) or \
remains (apply).")]
pub struct TopicsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the topic table: who writes, who reads, key, partitions, cleanup
    List,
    /// Show what `apply` would change
    Plan(ClusterArgs),
    /// Make missing topics, add partitions where that is safe, set configurations
    Apply(ClusterArgs),
    /// Fail if anything differs; changes nothing
    Check(ClusterArgs),
}

#[derive(Debug, Args)]
struct ClusterArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Put before the names of the topics
    #[arg(long, default_value = "")]
    prefix: String,
}

pub fn run(args: TopicsArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List => {
            list();
            Ok(ExitCode::SUCCESS)
        }
        Action::Plan(args) => {
            let found = open(&args)?.plan(table())?;
            show(&found, "would be changed");
            Ok(ExitCode::SUCCESS)
        }
        Action::Apply(args) => {
            let admin = open(&args)?;
            let planned = admin.plan(table())?;
            let remaining = admin.apply(table())?;
            show(&planned, "found");
            for difference in &remaining {
                anstream::println!("remains: {difference}");
            }
            if !planned.is_empty() && remaining.is_empty() {
                anstream::println!("applied: all {} topics are as the table says now", table().len());
            }
            Ok(exit_code(&remaining))
        }
        Action::Check(args) => {
            let found = open(&args)?.plan(table())?;
            show(&found, "differ");
            Ok(exit_code(&found))
        }
    }
}

fn open(args: &ClusterArgs) -> anyhow::Result<TopicAdmin> {
    Ok(TopicAdmin::open(&args.kafka.client().map_err(bad_usage)?, &args.prefix)?)
}

fn exit_code(differences: &[Difference]) -> ExitCode {
    if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_DIFFERENT) }
}

fn show(differences: &[Difference], what: &str) {
    if differences.is_empty() {
        anstream::println!("all {} topics are as the table says", table().len());
        return;
    }
    for difference in differences {
        anstream::println!("{difference}");
    }
    anstream::println!("{} differences {what}", differences.len());
}

/// A few lines each: as a table it would be wider than any terminal.
fn list() {
    for topic in table() {
        let kept = topic.retention_hours.map_or("kept for ever".to_owned(), |hours| format!("kept for {hours} h"));
        let partitions = topic.partitions;
        anstream::println!("{}  {partitions} partition(s), {}, {kept}", topic.topic, topic.cleanup_policy.as_str());
        anstream::println!("  written by {}", topic.writers.join(", "));
        anstream::println!("  read by    {}", topic.readers.join(", "));
        anstream::println!("  key        {}", topic.key);
    }
}
