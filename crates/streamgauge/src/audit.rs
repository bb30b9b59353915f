//! `streamgauge audit`: proves from the topics that every input record was counted once.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use streamgauge_definitions::duration_us;
use streamgauge_events::topics;
use streamgauge_windows::{Audit, Mark, Report};

use crate::cli::bad_usage;
use crate::kafka_args::KafkaArgs;
use crate::shell::{self, Stop, Stopwatch};
use crate::topic_input::{Found, KafkaTopics, Pass, file_of, read_lines};
use crate::windows_text::print_data;

/// The audit found something.
pub const EXIT_PROBLEMS: u8 = 3;

/// Prove from the topics that every input record was counted exactly once
///
/// Reads `sli.windows` and `dead-letters` and holds: the batches of each input partition follow each other without a
/// hole or a repeat; each stands whole, with the same frontier in every output partition; records read = counted +
/// dead-lettered + lost + still open, at every batch; each dead letter stands once, in the batch that counts it.
/// With --source-check the input topics are read too, and their records counted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge audit --input out
  streamgauge audit --brokers 127.0.0.1:9092
  streamgauge audit --source-check
  streamgauge audit --follow --for 10m --json

Exit codes: 0 clean, 1 the audit could not be made, 2 bad usage, 3 problems found (docs/audit.md explains each).")]
pub struct AuditArgs {
    /// Directory with sli.windows.jsonl and dead-letters.jsonl; without it, Kafka is read
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Put before the names of sli.windows and dead-letters
    #[arg(long, default_value = "", conflicts_with = "input")]
    prefix: String,
    /// Also read the input topic and count its records, batch by batch [default topic: requests, with the prefix]
    #[arg(long, value_name = "TOPIC", num_args = 0..=1, default_missing_value = "", conflicts_with = "input")]
    source_check: Option<String>,
    /// Go on with what comes, until SIGINT or SIGTERM; a line is printed when something has changed
    #[arg(long, conflicts_with = "input")]
    follow: bool,
    /// With --follow: end after so long, such as 60s or 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration_us, requires = "follow")]
    for_us: Option<i64>,
    /// With --follow: how often to prove what has come, such as 2s
    #[arg(long, value_name = "DURATION", value_parser = duration_us, default_value = "2s")]
    interval: i64,
    /// One JSON object; with --follow, one each time that something has changed
    #[arg(long)]
    json: bool,
}

pub fn run(args: AuditArgs) -> anyhow::Result<ExitCode> {
    let report = match &args.input {
        Some(directory) => of_directory(directory)?,
        None => of_kafka(&args)?,
    };
    show(&args, &report)?;
    Ok(if report.clean { ExitCode::SUCCESS } else { ExitCode::from(EXIT_PROBLEMS) })
}

fn show(args: &AuditArgs, report: &Report) -> anyhow::Result<()> {
    if args.json {
        print_data([report.to_json()])?;
    } else {
        anstream::println!("{report}");
    }
    Ok(())
}

/// The audit of files: they are complete, and one output partition.
pub fn of_directory(directory: &std::path::Path) -> anyhow::Result<Report> {
    let mut audit = Audit::new();
    audit.output_partition(0, 0, i64::MAX);
    let letters = file_of(directory, topics::DEAD_LETTERS);
    // Without dead letters there may be no file; a frontier that counts some will miss them.
    if letters.exists() {
        read_lines(&letters, &mut |_, value| {
            audit.dead_letter(0, value);
            Ok(())
        })?;
    }
    read_lines(&file_of(directory, topics::SLI_WINDOWS), &mut |_, value| {
        audit.fact(0, value);
        Ok(())
    })?;
    audit.require_all();
    Ok(audit.report())
}

const WINDOWS: u16 = 0;
const LETTERS: u16 = 1;

fn of_kafka(args: &AuditArgs) -> anyhow::Result<Report> {
    let stop = Stop::on_signals()?;
    let windows = format!("{}{}", args.prefix, topics::SLI_WINDOWS);
    let letters = format!("{}{}", args.prefix, topics::DEAD_LETTERS);
    let input = args.source_check.as_ref().map(|topic| match topic.as_str() {
        "" => format!("{}{}", args.prefix, topics::REQUESTS),
        topic => topic.to_owned(),
    });
    let mut names = vec![windows.as_str(), letters.as_str()];
    names.extend(input.as_deref());
    let mut kafka = KafkaTopics::open(&args.kafka.client().map_err(bad_usage)?, &names)?;
    let mut live = Live { audit: Audit::new(), input: input.clone(), seen: Mark::default() };
    if args.follow {
        follow(args, &stop, &mut kafka, &mut live)?;
    } else {
        // A batch lands in all partitions with one transaction: what the first pass saw a part of, the second completes.
        for _ in 0..2 {
            if live.pass(&mut kafka, &stop, &|| false)? == Pass::Interrupted {
                anyhow::bail!("interrupted before the topics were read to their ends");
            }
        }
    }
    Ok(live.audit.report())
}

struct Live {
    audit: Audit,
    input: Option<String>,
    /// What had been seen when the last pass was complete.
    seen: Mark,
}

impl Live {
    fn pass(&mut self, kafka: &mut KafkaTopics, stop: &Stop, until: &dyn Fn() -> bool) -> anyhow::Result<Pass> {
        for (source, watermarks) in kafka.ask()? {
            match (source.topic, &self.input) {
                (WINDOWS, _) => {
                    self.audit.output_partition(source.partition, watermarks.log_start, watermarks.log_end);
                }
                (LETTERS, _) => self.audit.dead_letters_begin(watermarks.log_start),
                (_, Some(input)) => self.audit.input_begins(input, source.partition, watermarks.log_start),
                (_, None) => {}
            }
        }
        let Self { audit, input, .. } = self;
        let pass = kafka.read(stop, until, &mut |source, found| feed(audit, input.as_deref(), source, found))?;
        if pass == Pass::Complete {
            self.audit.require(&self.seen);
            self.seen = self.audit.mark();
        }
        Ok(pass)
    }
}

fn feed(audit: &mut Audit, input: Option<&str>, source: streamgauge_stage::Source, found: Found<'_>) {
    let partition = source.partition;
    match (source.topic, found, input) {
        (WINDOWS, Found::Record { value, .. }, _) => audit.fact(partition, value.unwrap_or_default()),
        (LETTERS, Found::Record { value, .. }, _) => audit.dead_letter(partition, value.unwrap_or_default()),
        (_, Found::Record { offset, .. }, Some(input)) if source.topic > LETTERS => {
            audit.input_record(input, partition, offset);
        }
        (_, Found::Position(position), Some(input)) if source.topic > LETTERS => {
            audit.input_position(input, partition, position);
        }
        _ => {}
    }
}

/// How long following outlives an outage of the brokers.
const OUTAGE_MAX: Duration = Duration::from_secs(300);

fn follow(args: &AuditArgs, stop: &Stop, kafka: &mut KafkaTopics, live: &mut Live) -> anyhow::Result<()> {
    let started = Stopwatch::start();
    let limit = args.for_us.map(microseconds);
    let out_of_time = || limit.is_some_and(|limit| started.elapsed() >= limit);
    let mut printed = Changes::default();
    let mut outage: Option<Stopwatch> = None;
    loop {
        let watch = Stopwatch::start();
        let pass = match live.pass(kafka, stop, &out_of_time) {
            Ok(pass) => pass,
            // What can't be reached from the start is a mistake; what was, may come back.
            Err(error) if printed.last.is_none() => return Err(error),
            Err(error) => {
                let began = *outage.get_or_insert_with(|| {
                    anstream::eprintln!("warning: {error:#}; trying again for {} s", OUTAGE_MAX.as_secs());
                    Stopwatch::start()
                });
                if began.elapsed() > OUTAGE_MAX {
                    return Err(error);
                }
                if stop.is_set() || out_of_time() {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(500));
                continue;
            }
        };
        if outage.take().is_some() {
            anstream::eprintln!("the topics can be read again");
        }
        if printed.print(args, &live.audit).is_err() {
            // Whoever followed has gone (`| head`).
            return Ok(());
        }
        if pass == Pass::Interrupted {
            return Ok(());
        }
        while watch.elapsed() < microseconds(args.interval) {
            if stop.is_set() || out_of_time() {
                return Ok(());
            }
            let Live { audit, input, .. } = live;
            kafka
                .poll(Duration::from_millis(100), &mut |source, found| feed(audit, input.as_deref(), source, found))
                .context("couldn't follow the topics")?;
        }
    }
}

fn microseconds(us: i64) -> Duration {
    Duration::from_micros(us.unsigned_abs())
}

/// What has been printed, so that only news is.
#[derive(Default)]
struct Changes {
    last: Option<(u64, u64)>,
    problems: usize,
}

impl Changes {
    fn print(&mut self, args: &AuditArgs, audit: &Audit) -> std::io::Result<()> {
        let mut out = anstream::stdout().lock();
        let report = audit.report();
        let now = (report.batches, report.problems_total);
        if self.last == Some(now) {
            return Ok(());
        }
        self.last = Some(now);
        if args.json {
            return writeln!(out, "{}", report.to_json());
        }
        for problem in &report.problems[self.problems..] {
            writeln!(out, "problem: {problem}")?;
        }
        self.problems = report.problems.len();
        let verdict = match report.problems_total {
            0 => "clean".to_owned(),
            problems => format!("{problems} problems"),
        };
        let at = streamgauge_windows::window::rfc3339_text(shell::now().floor(1_000_000));
        writeln!(out, "{at} {verdict}, {} batches: {}", report.batches, report.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batch 0 holds no delta here, batch 1 holds one.
    fn frontier(batch: u64, from: i64, to: i64, dead_letters: u64, open: u64) -> String {
        format!(
            r#"{{"type":"frontier","source":"a.csv","partition":0,"generation":0,"batch":{batch},"from":{from},"to":{to},"records":{},"dead_letters":{dead_letters},"deltas":{batch},"open":{open},"complete_until":{},"cause":"data","bundle":"b","bundle_start":0,"partitions":1}}"#,
            to - from,
            10_000_000 * batch
        )
    }

    fn delta(batch: u64, n: u64) -> String {
        format!(
            r#"{{"type":"delta","tenant":"","service":"cart","sli":"requests","labels":{{}},"group":"","pane":0,"pane_us":10000000,"source":"a.csv","partition":0,"generation":0,"batch":{batch},"bundle":"b","n":{n},"good":{n},"failed":0,"unjudged":0,"newest":5}}"#
        )
    }

    fn letter(offset: i64) -> String {
        format!(
            r#"{{"reason":"unmapped","message":"m","source":"a.csv","partition":0,"offset":{offset},"value_bytes":0,"value_sha256":""}}"#
        )
    }

    /// Problems of a directory with these files.
    fn check(facts: &[String], letters: Option<&[String]>) -> Vec<String> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("sli.windows.jsonl"), facts.join("\n")).expect("a file");
        if let Some(letters) = letters {
            std::fs::write(directory.path().join("dead-letters.jsonl"), letters.join("\n")).expect("a file");
        }
        let report = of_directory(directory.path()).expect("readable files");
        assert_eq!(report.clean, report.problems.is_empty());
        report.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_directory_is_audited_as_a_whole() {
        let facts = [frontier(0, 0, 1, 0, 1), delta(1, 3), frontier(1, 1, 5, 2, 0)];
        let letters = [letter(2), letter(4)];
        assert_eq!(check(&facts, Some(&letters)), Vec::<String>::new());
        let missing = "a.csv/0: batch 1 (offsets 1 to 5) says 2 dead letters, dead-letters holds";
        assert_eq!(check(&facts, Some(&letters[..1])), [format!("{missing} 1")]);
        assert_eq!(check(&facts, None), [format!("{missing} 0")]);
        assert_eq!(check(&facts[..2], Some(&[])), ["a.csv/0: 1 deltas of batch 1 have no frontier"]);
        let garbage = check(&["{".to_owned()], None);
        assert!(garbage[0].starts_with("a record of sli.windows/0 can't be read"), "{garbage:?}");
    }

    #[test]
    fn a_directory_without_results_says_what_was_expected() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let error = of_directory(directory.path()).expect_err("nothing there");
        assert!(
            error.to_string().contains("--input takes a directory that `streamgauge backfill --out` wrote"),
            "{error}"
        );
    }
}
