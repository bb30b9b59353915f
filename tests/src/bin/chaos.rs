//! Kills stage processes on a real broker, hundreds of times, and proves that nothing changed. For the record under
//! `benches/runs/`; the test suite runs a short form.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use streamgauge_tests::chaos::{self, Plan};
use streamgauge_tests::cluster::{Cluster, binaries};

/// Kill streamgauge-sli again and again under load, and check that its results stay exact
#[derive(Parser)]
struct Args {
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// Before the names of all topics
    #[arg(long, default_value = "chaos.")]
    prefix: String,
    /// Directory for logs and manifests
    #[arg(long, default_value = "target/chaos")]
    directory: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 3)]
    processes: u32,
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// Requests a second
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Verify after so many disturbances
    #[arg(long, default_value_t = 20)]
    verify_every: u32,
    /// Disturb the brokers, too, at every so many disturbances; 0: never
    #[arg(long, default_value_t = 0)]
    broker_every: u32,
    /// kill -9 one of three brokers, rather than restart all
    #[arg(long)]
    broker_kill: bool,
    /// The script that runs the brokers
    #[arg(long, default_value = "scripts/kafka")]
    kafka_script: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let cluster =
        Cluster { brokers: args.brokers, prefix: args.prefix, binaries: binaries()?, directory: args.directory };
    cluster.set_up()?;
    let plan = Plan {
        cluster,
        seed: args.seed,
        processes: args.processes,
        kills: args.kills,
        rate: args.rate,
        verify_every: args.verify_every,
        broker_every: args.broker_every,
        kafka_script: args.kafka_script,
        broker_kill: args.broker_kill,
    };
    let report = chaos::run(&plan, &mut |line| println!("{line}"))?;
    println!(
        "{} kills (of them {} takeovers by others), {} SIGTERM, {} broker faults, {} requests, verified {} times",
        report.kills, report.takeovers, report.terminations, report.broker_faults, report.requests, report.verified
    );
    for percent in [0, 50, 90, 99, 100] {
        if let Some(recovery) = report.recovery_at(percent) {
            println!(
                "recovery p{percent}: partitions opened {} ms, first burst {} ms after the kill",
                recovery.opened_ms, recovery.flowing_ms
            );
        }
    }
    println!("{}", report.audit);
    Ok(ExitCode::SUCCESS)
}
