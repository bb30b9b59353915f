//! How long after the append of the record that completes a window a `read_committed` reader holds that window.
//!
//! Starts the real `streamgauge-sli`, produces at a steady rate, and follows `sli.windows`. A frontier names the offset
//! of the record that raised it; the broker stamped that record when it was appended. Both clocks are this machine's.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use hdrhistogram::Histogram;
use streamgauge_benches::kafka::{make_input, make_outputs};
use streamgauge_benches::process::{Circumstances, Cpu, Stopwatch, now_us};
use streamgauge_benches::records::{SEED, STEADY_EVENTS_PER_SEC, steady};
use streamgauge_events::facts::Cause;
use streamgauge_events::{Fact, Frontier, topics};
use streamgauge_kafka::{ClientSettings, RecordSender, TopicReader};
use streamgauge_stage::Delivery;
use streamgauge_synthetic::{Generated, Generator, Until};

/// Time from the append of the record that completes a window to a read_committed reader that holds all of it
#[derive(Parser)]
#[command(name = "latency-probe")]
struct Args {
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// Records a second, all partitions together
    #[arg(long, default_value_t = 30_000.0)]
    rate: f64,
    #[arg(long, default_value_t = 60)]
    secs: u32,
    /// Figures are taken from then on: joining the group and the first panes are not what is measured
    #[arg(long, default_value_t = 10)]
    warmup_secs: u32,
    /// Length of a pane: short ones give more samples
    #[arg(long, default_value_t = 1)]
    pane_secs: u32,
    /// The stage's program; beside this one unless given
    #[arg(long, value_name = "FILE")]
    sli: Option<PathBuf>,
    /// Write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// LogAppendTime in milliseconds by offset, for each input partition.
type Appended = Mutex<BTreeMap<i32, Vec<i64>>>;

/// Ends with the probe, however the probe ends.
struct Stage(Child);

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let circumstances = Circumstances::now();
    circumstances.print();
    let client = ClientSettings::new(&args.brokers);
    let group = format!("latency-{}", now_us() / 1000);
    let prefix = format!("{group}.");
    let input = make_input(&client, &prefix)?;
    make_outputs(&client, &prefix)?;
    let stage = start_stage(&args, &input, &group, &prefix)?;
    let (appended, done) = (Appended::default(), AtomicBool::new(false));
    let (cpu, watch) = (Cpu::of(stage.0.id())?, Stopwatch::start());
    let (sent, seen) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_frontiers(&client, &prefix, &args, &done));
        let sent = produce(&args, &client, &input, &appended);
        // What the last records completed still comes.
        std::thread::sleep(Duration::from_secs(2));
        done.store(true, Ordering::Relaxed);
        (sent, reader.join().expect("the reader does not panic"))
    });
    let (sent, seen) = (sent?, seen?);
    let cpu = Cpu::of(stage.0.id())?.since(cpu);
    let stage_cores = cpu.total_ns() as f64 / watch.elapsed().as_nanos() as f64;
    let histogram = latencies(&args, &appended, &seen)?;
    report(&args, &circumstances, sent, stage_cores, &histogram)
}

fn start_stage(args: &Args, input: &str, group: &str, prefix: &str) -> anyhow::Result<Stage> {
    let beside = std::env::current_exe()?.with_file_name("streamgauge-sli");
    let program = args.sli.clone().unwrap_or(beside);
    let child = Command::new(&program)
        .args(["--brokers", &args.brokers, "--input", input, "--group", group, "--output-prefix", prefix])
        .args(["--ordinal", "0", "--pane-secs", &args.pane_secs.to_string()])
        .args(["--listen", "off", "--log-level", "warn"])
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| {
            format!("couldn't start {}; cargo build --release -p streamgauge makes it", program.display())
        })?;
    Ok(Stage(child))
}

/// An open loop: what is due is sent, however the broker does.
fn produce(args: &Args, client: &ClientSettings, input: &str, appended: &Appended) -> anyhow::Result<u64> {
    let mut sender = RecordSender::open(client, 100_000)?;
    let mut generator = Generator::new(&steady()?, SEED)
        .with_rate_factor(args.rate / STEADY_EVENTS_PER_SEC)
        .with_until(Until::DurationUs(i64::from(args.secs) * 1_000_000))
        .with_start(now_us());
    let (mut record, mut sent) = (Generated::default(), 0_u64);
    while generator.fill(&mut record) {
        while now_us() < record.at_us {
            settle(&mut sender, appended)?;
            std::thread::sleep(Duration::from_micros(500));
        }
        sender.send(input, record.partition, record.key.as_deref(), Some(&record.value), 0)?;
        sent += 1;
    }
    sender.flush()?;
    settle(&mut sender, appended)?;
    Ok(sent)
}

fn settle(sender: &mut RecordSender, appended: &Appended) -> anyhow::Result<()> {
    sender.poll();
    let mut appended = appended.lock().expect("no holder panics");
    for delivered in sender.take_settled() {
        let stamp = delivered.result.map_err(|error| anyhow::anyhow!("a record was not acknowledged: {error}"))?;
        let of_partition = appended.entry(stamp.partition).or_default();
        let offset = usize::try_from(stamp.offset)?;
        if of_partition.len() <= offset {
            of_partition.resize(offset + 1, 0);
        }
        of_partition[offset] = stamp.timestamp.context("the log gave no timestamp")?.0 / 1000;
    }
    Ok(())
}

/// A batch that the reader holds in full: its frontier has come through every output partition.
struct Seen {
    frontier: Frontier,
    at_us: i64,
}

fn read_frontiers(client: &ClientSettings, prefix: &str, args: &Args, done: &AtomicBool) -> anyhow::Result<Vec<Seen>> {
    let topic = format!("{prefix}{}", topics::SLI_WINDOWS);
    let mut reader = TopicReader::open(client, &[&topic])?;
    let partitions = reader.watermarks()?;
    let starts: Vec<_> = partitions.keys().map(|source| (*source, 0)).collect();
    reader.assign(&starts)?;
    let (mut copies, mut seen) = (BTreeMap::<(i32, u32, u64), usize>::new(), Vec::new());
    let (mut unreadable, since_us) = (None, now_us() + i64::from(args.warmup_secs) * 1_000_000);
    while !done.load(Ordering::Relaxed) {
        reader.poll(Duration::from_millis(5), &mut |delivery| {
            let Delivery::Record(record) = delivery else { return };
            match Fact::from_json(record.value.unwrap_or_default()) {
                Ok(Fact::Delta(_)) => {}
                Ok(Fact::Frontier(frontier)) => {
                    let key = (frontier.partition, frontier.generation, frontier.batch);
                    let copies = copies.entry(key).or_default();
                    *copies += 1;
                    let at_us = now_us();
                    if *copies == starts.len() && at_us >= since_us {
                        seen.push(Seen { frontier, at_us });
                    }
                }
                Err(error) => unreadable = Some(error),
            }
        })?;
        if let Some(error) = unreadable {
            return Err(error).context("sli.windows holds something else");
        }
    }
    Ok(seen)
}

fn latencies(args: &Args, appended: &Appended, seen: &[Seen]) -> anyhow::Result<Histogram<u64>> {
    let appended = appended.lock().expect("no holder panics");
    let mut histogram = Histogram::new(3)?;
    for Seen { frontier, at_us } in seen.iter().filter(|seen| seen.frontier.cause == Cause::Data) {
        let offset = usize::try_from(frontier.to - 1)?;
        let stamps = appended.get(&frontier.partition).context("a frontier of a partition that got no records")?;
        let append_ms = stamps.get(offset).context("a frontier beyond what was sent")?;
        // A stamp has whole milliseconds, rounded down: half of one is added back.
        let latency_us = at_us - (append_ms * 1000 + 500);
        histogram.record(u64::try_from(latency_us.max(0))?)?;
    }
    anyhow::ensure!(!histogram.is_empty(), "no window was completed within {} s", args.secs);
    Ok(histogram)
}

fn report(
    args: &Args,
    circumstances: &Circumstances,
    sent: u64,
    stage_cores: f64,
    histogram: &Histogram<u64>,
) -> anyhow::Result<()> {
    let ms = |us: u64| us as f64 / 1000.0;
    let at = |quantile: f64| ms(histogram.value_at_quantile(quantile));
    println!(
        "{sent} records at {:.0}/s, panes of {} s; the stage used {stage_cores:.2} processors",
        args.rate, args.pane_secs
    );
    println!("append of the completing record to a read_committed reader, {} windows:", histogram.len());
    let quantiles = [("min", 0.0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)];
    for (name, quantile) in quantiles {
        println!("  {name}  {:7.1} ms", at(quantile));
    }
    println!("how many took");
    for bucket in histogram.iter_log(1000, 2.0).filter(|bucket| bucket.count_since_last_iteration() > 0) {
        let upper_ms = ms(bucket.value_iterated_to() + 1);
        println!("  up to {upper_ms:6.0} ms  {:5}", bucket.count_since_last_iteration());
    }
    if let Some(path) = &args.json {
        let quantiles: BTreeMap<&str, f64> = quantiles.iter().map(|(name, quantile)| (*name, at(*quantile))).collect();
        let counts: Vec<(u64, u64)> =
            histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value())).collect();
        let all = serde_json::json!({
            "circumstances": circumstances, "rate_per_sec": args.rate, "secs": args.secs, "pane_secs": args.pane_secs,
            "records": sent, "stage_processors": stage_cores, "windows": histogram.len(), "latency_ms": quantiles,
            "histogram_us": counts,
        });
        let text = serde_json::to_string_pretty(&all)?;
        std::fs::write(path, text + "\n").with_context(|| format!("couldn't write {}", path.display()))?;
    }
    Ok(())
}
