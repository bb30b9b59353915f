//! `streamgauge load`: a scenario → records on Kafka, in real time, and the exact truth of what got there.
//!
//! An open loop: when a record is due follows from the scenario alone, never from how fast Kafka takes it. What is sent
//! late is late, is measured from when it was due, and is reported.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use streamgauge_events::topics;
use streamgauge_kafka::{Delivered, RecordSender, TopicReader};
use streamgauge_synthetic::{Facts, Generated, Generator, Manifest, Scenario, Truth, TruthParameters, Until};

use crate::cli::bad_usage;
use crate::kafka_args::KafkaArgs;
use crate::shell::{self, Stop, Stopwatch};

/// Kafka did not acknowledge every record.
pub const EXIT_UNDELIVERED: u8 = 3;
/// Records that wait for acknowledgement at most: at 20,000 a second, what a broker takes in five seconds.
const IN_FLIGHT_MAX: usize = 100_000;
/// Progress is shown so often.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// Without a terminal, a line is written so often.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// The longest nap while nothing is due: acknowledgements are served in between.
const NAP_US_MAX: i64 = 1_000;
/// Prefilled records lie at least so far in the past: their clock must not be ahead of the broker's.
const PREFILL_MARGIN_US: i64 = 60_000_000;

/// Write a scenario's requests to Kafka at the pace it prescribes, and keep the exact truth of them
///
/// The schedule is open: a slow broker makes records late, never fewer, and lateness is measured against the schedule.
/// With --manifest, the counts that a correct pipeline must report are written down when the run ends, also when it is
/// stopped by SIGINT or SIGTERM; `streamgauge verify` compares results with them. Only what Kafka acknowledged is in it.
///
/// Memory: the records in flight (at most 100,000 and 64 MB), and with --manifest the truth, which grows with every ten
/// seconds and series (about 300 bytes each, more for busy ones).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge load --scenario shop-day --rate 2000 --duration 60s --manifest load.json
  streamgauge load --scenario steady --prefill --events 10000000
  streamgauge load --scenario steady --manifest second.json --after load.json
  streamgauge verify --manifest load.json

Exit codes: 0 everything was acknowledged, 1 something failed, 2 bad usage, 3 records were not acknowledged.")]
pub struct LoadArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Topic to write to; its number of partitions takes the place of the scenario's
    #[arg(long, default_value = topics::REQUESTS)]
    topic: String,
    /// shop-day, steady, or a scenario file; docs/scenarios.md explains the format
    #[arg(long, value_name = "NAME|FILE")]
    scenario: String,
    /// Requests and their outcomes are drawn from this
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Average over the scenario's duration, in records a second
    #[arg(long, value_name = "PER_SEC", conflicts_with = "rate_factor", value_parser = positive)]
    rate: Option<f64>,
    /// Multiplies the scenario's own rate
    #[arg(long, value_name = "FACTOR", value_parser = positive)]
    rate_factor: Option<f64>,
    /// How long, such as 90s, 10m or 2h; the scenario's own duration unless given
    #[arg(long, value_parser = duration, conflicts_with = "events")]
    duration: Option<Duration>,
    /// Stop after so many records
    #[arg(long)]
    events: Option<u64>,
    /// As fast as Kafka takes them, with times in the past: fills a topic for measurements
    #[arg(long)]
    prefill: bool,
    /// Write the truth of what was acknowledged to this file when the run ends
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Manifests of earlier runs into the same topic: what is too late depends on what came before. May be repeated
    #[arg(long, value_name = "FILE")]
    after: Vec<PathBuf>,
    /// Length of a pane in the manifest: that of the stage
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pane_secs: u32,
    /// Disorder that the stage allows: with the late horizon it decides what is too late
    #[arg(long, default_value_t = 5000)]
    max_out_of_orderness_ms: u32,
    /// No progress
    #[arg(long, short)]
    quiet: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| format!("{text:?} is no number above 0"))
}

/// `90s`, `10m`, `2h`, or seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is no duration: write 500ms, 90s, 10m or 2h");
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let secs: f64 = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(refused()),
    };
    let number: f64 = number.parse().map_err(|_| refused())?;
    Duration::try_from_secs_f64(number * secs).ok().filter(|duration| !duration.is_zero()).ok_or_else(refused)
}

/// A built-in scenario by its name, or one in a file.
pub fn open_scenario(name: &str) -> anyhow::Result<Scenario> {
    if Scenario::built_in_yaml(name).is_some() {
        return Ok(Scenario::built_in(name)?);
    }
    let built_in = Scenario::BUILT_IN.join(", ");
    let text = std::fs::read_to_string(name)
        .with_context(|| format!("couldn't read scenario {name:?} (built in are {built_in}; else name a file)"))?;
    Scenario::from_yaml(&text).with_context(|| format!("couldn't use scenario {name}"))
}

pub fn open_manifest(path: &Path) -> anyhow::Result<Manifest> {
    let bytes = std::fs::read(path).with_context(|| format!("couldn't read manifest {}", path.display()))?;
    Manifest::from_json(&bytes).with_context(|| format!("couldn't use {}", path.display()))
}

pub fn run(args: LoadArgs) -> anyhow::Result<ExitCode> {
    let client = args.kafka.client().map_err(bad_usage)?;
    let scenario = open_scenario(&args.scenario).map_err(bad_usage)?;
    if let Some(path) = &args.manifest {
        check_new(path).map_err(bad_usage)?;
    }
    let topic = args.topic.as_str();
    let partitions =
        TopicReader::open(&client, &[topic])?.watermarks().with_context(|| format!("couldn't write to {topic}"))?.len();
    let scenario = scenario.with_partitions(i32::try_from(partitions)?)?;
    let mut generator = generator(&args, &scenario);
    let truth = args.manifest.is_some().then(|| truth(&args, &generator)).transpose()?;
    let stop = Stop::on_signals()?;
    let mut run = Load {
        sender: RecordSender::open(&client, IN_FLIGHT_MAX)?,
        flight: Flight::default(),
        tally: Tally::new(truth)?,
        clock: Clock { started: Stopwatch::start(), start_us: shell::now().0, paced: !args.prefill },
        display: Display::new(&args, &generator),
    };
    if run.clock.paced {
        generator = generator.with_start(run.clock.start_us);
    }
    let sent = run.send_all(&args, &mut generator, &stop);
    let flushed = run.finish();
    if let (Some(path), Some(truth)) = (&args.manifest, run.tally.truth.take()) {
        write_atomically(path, &Manifest::new(&generator, truth).to_json())?;
    }
    run.report(&args, stop.is_set());
    sent?;
    flushed?;
    Ok(if run.tally.undelivered == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNDELIVERED) })
}

fn generator(args: &LoadArgs, scenario: &Scenario) -> Generator {
    let mean = scenario.events_expected() / scenario.duration_secs() as f64;
    let rate_factor = args.rate.map(|rate| rate / mean).or(args.rate_factor).unwrap_or(1.0);
    let mut generator = Generator::new(scenario, args.seed).with_rate_factor(rate_factor);
    let mut span_us = scenario.duration_secs() as i64 * 1_000_000;
    if let Some(events) = args.events {
        span_us = (events as f64 / (mean * rate_factor) * 1.2e6) as i64;
        generator = generator.with_until(Until::Events(events));
    } else if let Some(duration) = args.duration {
        span_us = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4);
        generator = generator.with_until(Until::DurationUs(span_us));
    }
    if args.prefill { generator.with_start(shell::now().0 - span_us - PREFILL_MARGIN_US) } else { generator }
}

/// Nothing delivered yet, in partitions that may hold what earlier runs delivered.
fn truth(args: &LoadArgs, generator: &Generator) -> anyhow::Result<Truth> {
    let parameters = TruthParameters {
        pane_us: i64::from(args.pane_secs) * 1_000_000,
        max_out_of_orderness_us: i64::from(args.max_out_of_orderness_ms) * 1000,
        ..TruthParameters::default()
    };
    let mut truth = Truth::new(generator, parameters);
    for path in &args.after {
        let earlier = open_manifest(path)?.truth;
        for (mine, theirs) in truth.partitions.iter_mut().zip(&earlier.partitions) {
            mine.newest_ts_us = mine.newest_ts_us.max(theirs.newest_ts_us);
        }
    }
    Ok(truth)
}

struct Load {
    sender: RecordSender,
    flight: Flight,
    tally: Tally,
    clock: Clock,
    display: Display,
}

/// Wall time that can't be set back in the middle of a run.
#[derive(Clone, Copy)]
struct Clock {
    started: Stopwatch,
    start_us: i64,
    /// Whether records wait until they are due.
    paced: bool,
}

impl Clock {
    fn now_us(self) -> i64 {
        self.start_us + i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX / 2)
    }
}

impl Load {
    fn send_all(&mut self, args: &LoadArgs, generator: &mut Generator, stop: &Stop) -> anyhow::Result<()> {
        let mut record = Generated::default();
        while !stop.is_set() && generator.fill(&mut record) {
            if !self.wait_until_due(record.at_us, stop)? {
                break;
            }
            if self.clock.paced {
                self.tally.late(self.clock.now_us() - record.at_us);
            }
            let token = self.flight.take_off(Waiting { facts: record.facts, due_us: record.at_us });
            self.sender.send(&args.topic, record.partition, record.key.as_deref(), Some(&record.value), token)?;
            self.tally.sent += 1;
            if self.tally.sent.is_multiple_of(256) {
                self.settle()?;
                self.display.show(&self.tally, self.flight.count, self.clock.started);
            }
        }
        Ok(())
    }

    /// Serves acknowledgements while nothing is due. `false`: told to stop.
    fn wait_until_due(&mut self, due_us: i64, stop: &Stop) -> anyhow::Result<bool> {
        while self.clock.paced {
            let early_us = due_us - self.clock.now_us();
            if early_us <= 0 {
                break;
            }
            if stop.is_set() {
                return Ok(false);
            }
            self.settle()?;
            self.display.show(&self.tally, self.flight.count, self.clock.started);
            std::thread::sleep(Duration::from_micros(early_us.min(NAP_US_MAX) as u64));
        }
        Ok(true)
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        self.sender.poll();
        let now_us = self.clock.now_us();
        for Delivered { token, result } in self.sender.take_settled() {
            let Some(waiting) = self.flight.land(token) else { bail!("record {token} was acknowledged twice") };
            match result {
                Ok(stamp) => {
                    let timestamp = stamp.timestamp.context("Kafka gave a record no timestamp")?;
                    self.tally.delivered(waiting.facts, timestamp.0);
                    if self.clock.paced {
                        self.tally.acknowledged_late(now_us - waiting.due_us);
                    }
                }
                Err(error) => self.tally.undelivered(error),
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let flushed = self.sender.flush();
        self.settle()?;
        self.display.bar.finish_and_clear();
        for _ in 0..self.flight.count {
            self.tally.undelivered("not acknowledged when the run ended".to_owned());
        }
        Ok(flushed?)
    }

    fn report(&self, args: &LoadArgs, stopped: bool) {
        let (tally, secs) = (&self.tally, self.clock.started.elapsed().as_secs_f64());
        let how = if stopped { ", stopped by a signal" } else { "" };
        anstream::println!(
            "{} records sent to {} in {secs:.1} s ({:.0} a second), {} acknowledged{how}",
            tally.sent,
            args.topic,
            tally.sent as f64 / secs.max(1e-9),
            tally.acknowledged,
        );
        if self.clock.paced {
            anstream::println!("  sent behind schedule:         {}", quantiles(&tally.lateness_us));
            anstream::println!("  acknowledged behind schedule: {}", quantiles(&tally.acknowledgement_us));
        }
        if let Some(error) = &tally.first_error {
            anstream::eprintln!(
                "{} records were not acknowledged ({error}). They are not in the manifest; whether the log holds some of \
                 them after all is unknown, and `verify` would show it",
                tally.undelivered
            );
        }
        if let Some(path) = &args.manifest {
            anstream::println!(
                "truth in {}; compare: streamgauge verify --manifest {}",
                path.display(),
                path.display()
            );
        }
    }
}

fn quantiles(histogram: &Histogram<u64>) -> String {
    let ms = |us: u64| us as f64 / 1000.0;
    let at = |quantile: f64| ms(histogram.value_at_quantile(quantile));
    format!("p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", at(0.5), at(0.99), ms(histogram.max()))
}

/// What must be remembered of a record until Kafka has taken it.
#[derive(Clone, Copy)]
struct Waiting {
    facts: Facts,
    due_us: i64,
}

/// Records in flight, by token. Places are used again, so memory follows the most that ever were in flight.
#[derive(Default)]
struct Flight {
    places: Vec<Option<Waiting>>,
    free: Vec<usize>,
    count: usize,
}

impl Flight {
    fn take_off(&mut self, waiting: Waiting) -> usize {
        self.count += 1;
        match self.free.pop() {
            Some(token) => {
                self.places[token] = Some(waiting);
                token
            }
            None => {
                self.places.push(Some(waiting));
                self.places.len() - 1
            }
        }
    }

    /// `None`: no such record is in flight.
    fn land(&mut self, token: usize) -> Option<Waiting> {
        let waiting = self.places.get_mut(token)?.take()?;
        self.free.push(token);
        self.count -= 1;
        Some(waiting)
    }
}

struct Tally {
    sent: u64,
    acknowledged: u64,
    undelivered: u64,
    first_error: Option<String>,
    /// From when a record was due to when it was handed to the client.
    lateness_us: Histogram<u64>,
    /// From when a record was due to when its acknowledgement was read.
    acknowledgement_us: Histogram<u64>,
    truth: Option<Truth>,
}

impl Tally {
    fn new(truth: Option<Truth>) -> anyhow::Result<Self> {
        // One microsecond to one hour, to three digits; above that, one hour is what is said.
        let histogram = || Histogram::new_with_bounds(1, 3_600_000_000, 3);
        Ok(Self {
            sent: 0,
            acknowledged: 0,
            undelivered: 0,
            first_error: None,
            lateness_us: histogram()?,
            acknowledgement_us: histogram()?,
            truth,
        })
    }

    fn late(&mut self, us: i64) {
        self.lateness_us.saturating_record(us.max(0).unsigned_abs());
    }

    fn acknowledged_late(&mut self, us: i64) {
        self.acknowledgement_us.saturating_record(us.max(0).unsigned_abs());
    }

    fn delivered(&mut self, facts: Facts, append_timestamp_us: i64) {
        self.acknowledged += 1;
        if let Some(truth) = &mut self.truth {
            truth.delivered_facts(facts, append_timestamp_us);
        }
    }

    fn undelivered(&mut self, error: String) {
        self.undelivered += 1;
        self.first_error.get_or_insert(error);
    }
}

struct Display {
    bar: ProgressBar,
    quiet: bool,
    shown: Stopwatch,
    said: Stopwatch,
    sent_when_shown: u64,
}

impl Display {
    fn new(args: &LoadArgs, generator: &Generator) -> Self {
        let bar = if args.quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("a constant template");
        bar.set_message(format!("{} at {} times its rate", generator.scenario().name(), generator.rate_factor()));
        let now = Stopwatch::start();
        Self { bar: bar.with_style(style), quiet: args.quiet, shown: now, said: now, sent_when_shown: 0 }
    }

    fn show(&mut self, tally: &Tally, in_flight: usize, started: Stopwatch) {
        let passed = self.shown.elapsed();
        if self.quiet || passed < SHOW_EVERY {
            return;
        }
        let rate = (tally.sent - self.sent_when_shown) as f64 / passed.as_secs_f64();
        let line = format!(
            "{} sent, {rate:.0} a second, {in_flight} in flight, behind schedule {}",
            tally.sent,
            quantiles(&tally.lateness_us)
        );
        (self.shown, self.sent_when_shown) = (Stopwatch::start(), tally.sent);
        if self.bar.is_hidden() {
            if self.said.elapsed() >= SAY_EVERY {
                anstream::eprintln!("{:.0} s: {line}", started.elapsed().as_secs_f64());
                self.said = Stopwatch::start();
            }
        } else {
            self.bar.set_message(line);
            self.bar.tick();
        }
    }
}

/// A run of hours must not find out at its end that it can't write, and the truth of an earlier run is not replaced.
fn check_new(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        bail!("{} exists: it may be the only truth of what an earlier run wrote. Name another file", path.display());
    }
    write_atomically(path, b"")?;
    std::fs::remove_file(path).with_context(|| format!("couldn't write {}", path.display()))
}

/// Readers see the old file or the new one, never a part.
fn write_atomically(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let partial = path.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    let write = || {
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().with_context(|| format!("couldn't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamgauge_synthetic::Kind;

    #[test]
    fn durations_carry_a_unit() {
        for (text, expected_ms) in [
            ("60s", Some(60_000)),
            ("90", Some(90_000)),
            ("500ms", Some(500)),
            ("1.5m", Some(90_000)),
            ("2h", Some(7_200_000)),
            ("", None),
            ("s", None),
            ("0s", None),
            ("-5s", None),
            ("5d", None),
            ("1e9h", None),
        ] {
            assert_eq!(duration(text).ok().map(|found| found.as_millis()), expected_ms, "{text:?}");
        }
    }

    #[test]
    fn rates_are_numbers_above_zero() {
        for (text, valid) in
            [("5000", true), ("0.5", true), ("0", false), ("-1", false), ("inf", false), ("many", false)]
        {
            assert_eq!(positive(text).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn places_in_flight_are_used_again_and_land_once() {
        let facts = Facts { kind: Kind::OnTime, partition: 0, ts_us: 0, series: 0, failed: false, latency_us: None };
        let mut flight = Flight::default();
        let take_off = |flight: &mut Flight, due_us| flight.take_off(Waiting { facts, due_us });
        let (first, second) = (take_off(&mut flight, 1), take_off(&mut flight, 2));
        assert_eq!(flight.land(first).map(|waiting| waiting.due_us), Some(1));
        assert!(flight.land(first).is_none(), "a record lands once");
        assert_eq!(take_off(&mut flight, 3), first);
        assert_eq!(flight.land(second).map(|waiting| waiting.due_us), Some(2));
        assert_eq!((flight.count, flight.places.len()), (1, 2));
        assert!(flight.land(99).is_none());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("manifest.json");
        for content in [&b"first"[..], b"second"] {
            write_atomically(&path, content).expect("writable");
            assert_eq!(std::fs::read(&path).expect("readable"), content);
        }
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1, "nothing else is left there");
        assert!(write_atomically(&directory.path().join("none/manifest.json"), b"").is_err());
        assert!(check_new(&path).is_err(), "an earlier manifest is kept");
        assert!(check_new(&directory.path().join("new.json")).is_ok());
    }
}
