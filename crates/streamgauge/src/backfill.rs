//! `streamgauge backfill`: files through the same stage and the same loop as on Kafka, without a broker.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use streamgauge_definitions::{Bundle, BundleSettings, Format};
use streamgauge_events::{Kind, Reason, topics};
use streamgauge_mapping::Mapping;
use streamgauge_stage::worker::Counters;
use streamgauge_stage::{TimeSettings, Worker, WorkerSettings};
use streamgauge_stage_sli::SliStage;

use crate::cli::bad_usage;
use crate::file_log::FileLog;
use crate::shell;

/// There were rows, and none of them counts.
pub const EXIT_NOTHING_COUNTED: u8 = 3;

/// Turn files of events into SLI windows: CSV, JSON lines, access logs, plain or gzipped, and Parquet
///
/// Each input file counts as one partition, in its own order. Rows that can't be read become dead letters with their
/// line number; nothing is skipped silently. All rows are of one kind: requests, scores and resources are backfilled one
/// after the other, each into a directory of its own.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge backfill --mapping mapping.yaml --input access.log.gz --out out
  streamgauge backfill --event score --input scores.jsonl --definitions slis.yaml --out out
  streamgauge windows --input out --window 1h
  streamgauge audit --input out

examples/mappings/ has mappings to start from. The names of the results begin with a dot until all input has been read.

Exit codes: 0 every row stands in the results, if only as a dead letter, 1 something failed, 2 bad usage, mapping or \
definitions, 3 not one row could be counted.")]
pub struct BackfillArgs {
    /// How rows become events; docs/mappings.md explains the format
    #[arg(long, value_name = "FILE", required_unless_present = "event", conflicts_with = "event")]
    mapping: Option<PathBuf>,
    /// The input are JSON lines of events as they stand in a topic, of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    event: Option<EventKind>,
    /// Input files; may be repeated
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Directory for sli.windows.jsonl, dead-letters.jsonl and sli.state.jsonl, of this backfill alone
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace results that --out already holds
    #[arg(long)]
    overwrite: bool,
    /// Definition files, or directories of them (*.yaml)
    #[arg(long, value_name = "PATH")]
    definitions: Vec<PathBuf>,
    /// The topic that the rows stand for, where definitions describe one of the mapping's kind of event. Default:
    /// requests, scores or resources
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Series kept per pane and declared service (and for all undeclared services of a tenant)
    #[arg(long, default_value_t = 1000)]
    series_max: u32,
    /// How far behind the newest row of its file a row still counts, beyond 5 s of disorder
    #[arg(long, default_value_t = 86_400)]
    late_horizon_secs: u32,
    /// No progress bar and no summary
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: BackfillArgs) -> anyhow::Result<ExitCode> {
    let mapping = args.mapping.as_deref().map(Mapping::open).transpose().map_err(bad_usage)?;
    let kind = mapping.as_ref().map(Mapping::kind).or(args.event.map(EventKind::kind)).unwrap_or(Kind::Request);
    let definitions = crate::definitions::read(&args.definitions).map_err(bad_usage)?;
    let settings = BundleSettings { series_max: args.series_max, ..BundleSettings::default() };
    let time = TimeSettings {
        max_future_skew_us: None,
        late_horizon_us: i64::from(args.late_horizon_secs) * 1_000_000,
        ..TimeSettings::default()
    };
    let bundle = Bundle { settings, definitions };
    let topic = topic_of(kind, args.topic.as_deref(), &bundle).map_err(bad_usage)?;
    let stage = SliStage::new(topics::REQUESTS, time, &bundle)?.also_reading(&topic)?;
    let index = stage.topic_index(&topic).unwrap_or_default();
    let log = FileLog::open(&args.input, mapping.as_ref(), index, &args.out, args.overwrite).map_err(bad_usage)?;
    let bar = progress(&log, args.quiet);
    let mut worker = Worker::new(log, stage, WorkerSettings { bounded: true, ..WorkerSettings::default() });
    while !worker.turn(shell::now(), Duration::ZERO)?.finished {
        bar.set_position(worker.log().progress().0);
    }
    bar.finish_and_clear();
    let (log, counters) = worker.into_parts();
    let counts = log.counts();
    log.finish()?;
    if !args.quiet {
        summary(&args, &counts, &counters);
    }
    let dead: u64 = counters.dead_letters.values().sum();
    if counters.records > 0 && dead == counters.records {
        anstream::eprintln!("not one row could be counted: does the mapping fit the file?");
        return Ok(ExitCode::from(EXIT_NOTHING_COUNTED));
    }
    warn_of_refusals(&counters, dead, args.late_horizon_secs);
    Ok(ExitCode::SUCCESS)
}

/// More than a few refused rows are no accident of single rows.
fn warn_of_refusals(counters: &Counters, dead: u64, late_horizon_secs: u32) {
    const NOTABLE: u64 = 10;
    const NOTABLE_PERCENT: u64 = 5;
    if dead < NOTABLE || dead * 100 < counters.records * NOTABLE_PERCENT {
        return;
    }
    let percent = dead * 100 / counters.records.max(1);
    anstream::eprintln!("warning: {percent}% of the records were refused, so the results leave them out");
    if counters.dead_letters.get(&Reason::TooLate).is_some_and(|late| *late * 2 > dead) {
        anstream::eprintln!(
            "  most of them are more than {late_horizon_secs} s older than a row before them. Either a row has a time far ahead \
             of all others (the dead letters begin behind it), or the file begins with the newest rows: sort it, or raise \
             --late-horizon-secs"
        );
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum EventKind {
    Request,
    Score,
    Resource,
}

impl EventKind {
    const fn kind(self) -> Kind {
        match self {
            Self::Request => Kind::Request,
            Self::Score => Kind::Score,
            Self::Resource => Kind::Resource,
        }
    }
}

/// The topic that the rows stand for.
fn topic_of(kind: Kind, asked: Option<&str>, bundle: &Bundle) -> anyhow::Result<String> {
    let topic = asked.unwrap_or(topics::of(kind));
    let Some(source) = bundle.definitions.source(topic) else {
        bail!("no DataSource describes the topic {topic}; --definitions names the files that do");
    };
    if source.event != kind {
        bail!("the topic {topic} holds {} events, and the input {kind} events", source.event);
    }
    if source.format != Format::Json {
        bail!(
            "the topic {topic} is described as Avro; a backfill makes JSON of its rows, so give them a topic of JSON"
        );
    }
    Ok(topic.to_owned())
}

fn progress(log: &FileLog<'_>, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}").expect("a constant template");
    ProgressBar::new(log.progress().1).with_style(style)
}

fn summary(args: &BackfillArgs, counts: &[(String, streamgauge_mapping::Counts)], counters: &Counters) {
    for (name, counts) in counts {
        anstream::println!("{name}: {} rows, {} events, {} rows refused", counts.rows, counts.events, counts.rejected);
    }
    let dead: u64 = counters.dead_letters.values().sum();
    anstream::println!("{} records read, {} counted, {dead} dead letters", counters.records, counters.records - dead);
    for (reason, count) in &counters.dead_letters {
        anstream::println!("  {reason}: {count}");
    }
    let out = args.out.display();
    if dead > 0 {
        anstream::println!("why, and on which line: {out}/dead-letters.jsonl");
    }
    anstream::println!(
        "{} batches in {out}/sli.windows.jsonl; look at them with: streamgauge windows --input {out} --window 60s",
        counters.batches
    );
}
