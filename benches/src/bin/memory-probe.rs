//! How much memory the real `streamgauge-sli` takes at given numbers of series: resident size while it works through a
//! topic that holds several panes of them, and at its end.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use streamgauge_benches::kafka::{GroupLag, fill, make_input, make_outputs};
use streamgauge_benches::process::{Circumstances, Memory, Stopwatch, now_us};
use streamgauge_benches::records::{SEED, STEADY_EVENTS_PER_SEC, with_series};
use streamgauge_kafka::ClientSettings;
use streamgauge_synthetic::{Generator, Until};

/// Resident memory of streamgauge-sli by number of series
#[derive(Parser)]
#[command(name = "memory-probe")]
struct Args {
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// Numbers of series; the first is the baseline
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    series: Vec<u32>,
    /// Records for each
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// Records a second of event time: with panes of 10 s and four partitions, what a cell gets
    #[arg(long, default_value_t = 40_000.0)]
    rate: f64,
    /// The stage's program; beside this one unless given
    #[arg(long, value_name = "FILE")]
    sli: Option<PathBuf>,
    /// Write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Ends with the probe, however the probe ends.
struct Stage(Child);

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nothing is judged, but a stage that does not move at all would be waited for without end.
const STILL_MAX: Duration = Duration::from_secs(120);

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let circumstances = Circumstances::now();
    circumstances.print();
    println!(
        "{} records each, {:.0}/s of event time, panes of 10 s, 4 partitions in one process",
        args.records, args.rate
    );
    let mut found = Vec::new();
    for series in &args.series {
        let memory = measure(&args, *series)?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let base = found.first().map_or(memory, |(_, first): &(u32, Memory)| *first);
        println!(
            "{series:6} series: peak {:5.0} MiB, {:5.0} MiB when done; x{:.2} the peak of the first",
            mib(memory.peak_bytes),
            mib(memory.rss_bytes),
            memory.peak_bytes as f64 / base.peak_bytes as f64,
        );
        found.push((*series, memory));
    }
    if let Some(path) = &args.json {
        let all = serde_json::json!({
            "circumstances": circumstances, "records": args.records, "rate_per_sec": args.rate, "series": found,
        });
        let text = serde_json::to_string_pretty(&all)?;
        std::fs::write(path, text + "\n").with_context(|| format!("couldn't write {}", path.display()))?;
    }
    Ok(())
}

fn measure(args: &Args, series: u32) -> anyhow::Result<Memory> {
    let client = ClientSettings::new(&args.brokers);
    let group = format!("memory-{series}-{}", now_us() / 1000);
    let prefix = format!("{group}.");
    let input = make_input(&client, &prefix)?;
    make_outputs(&client, &prefix)?;
    let span_us = (args.records as f64 / args.rate * 1e6) as i64;
    let mut generator = Generator::new(&with_series(series)?, SEED)
        .with_rate_factor(args.rate / STEADY_EVENTS_PER_SEC)
        .with_until(Until::Events(args.records))
        .with_start(now_us() - span_us - 60_000_000);
    fill(&client, &input, &mut generator, None)?;

    let mut stage = start_stage(args, &input, &group, &prefix, series)?;
    let lag = GroupLag::of(&client, &group, &input)?;
    let (mut left, mut moved) = (i64::MAX, Stopwatch::start());
    loop {
        std::thread::sleep(Duration::from_millis(200));
        if let Some(status) = stage.0.try_wait()? {
            bail!("streamgauge-sli ended: {status}");
        }
        let now = lag.records()?;
        if now == 0 {
            return Memory::of(stage.0.id());
        }
        if now < left {
            (left, moved) = (now, Stopwatch::start());
        }
        if moved.elapsed() > STILL_MAX {
            bail!("streamgauge-sli has committed nothing for {} s; {now} records are left", STILL_MAX.as_secs());
        }
    }
}

fn start_stage(args: &Args, input: &str, group: &str, prefix: &str, series: u32) -> anyhow::Result<Stage> {
    let beside = std::env::current_exe()?.with_file_name("streamgauge-sli");
    let program = args.sli.clone().unwrap_or(beside);
    let child = Command::new(&program)
        .args(["--brokers", &args.brokers, "--input", input, "--group", group, "--output-prefix", prefix])
        .args(["--ordinal", "0", "--series-max", &series.to_string(), "--cells-max", "100000"])
        .args(["--listen", "off", "--log-level", "warn"])
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| {
            format!("couldn't start {}; cargo build --release -p streamgauge makes it", program.display())
        })?;
    Ok(Stage(child))
}
