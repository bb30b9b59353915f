//! `streamgauge windows`: folds `sli.windows` to windows of any length, as a table, JSON lines or CSV.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use streamgauge_events::{EventTime, topics};
use streamgauge_windows::{Fold, Label, Level, Only, Query, Window};

use crate::cli::bad_usage;
use crate::kafka_args::KafkaArgs;
use crate::shell::Stop;
use crate::topic_input::{Found, KafkaTopics, Pass, file_of, read_lines};
use crate::windows_text;

/// Show SLIs in windows of any length: counts, errors, latency quantiles
///
/// Folds the deltas of `sli.windows` to windows that are aligned to multiples of their length since 1970 (UTC). A
/// window is `partial` where input was lost, a batch is missing or more series came than a pane keeps; it is `open`
/// until every input partition has been counted past its end. Windows without events are not listed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge windows --input out --window 1h
  streamgauge windows --input out --window 60s --by service,route --service checkout --rows
  streamgauge windows --brokers 127.0.0.1:9092 --window 5m --quantile 0.5,0.999 --json
  streamgauge windows --input out --window 1d --from 2026-01-01 --to 2026-02-01 --csv

docs/windows.md explains each column and field.")]
pub struct WindowsArgs {
    /// Directory with sli.windows.jsonl; without it, Kafka is read
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,
    #[command(flatten)]
    kafka: KafkaArgs,
    /// The topic to read from Kafka; with --input, the name of the file before .jsonl
    #[arg(long, default_value = topics::SLI_WINDOWS)]
    topic: String,
    /// Length of a window, such as 60s, 5m, 1h or 1d: a multiple of the pane, which is 10s by default
    #[arg(long, value_name = "DURATION", value_parser = duration_us, default_value = "60s")]
    window: i64,
    /// Labels to group by: tenant, service, route, version; others are added up. Default: tenant and service for the
    /// golden signals, all labels for defined SLIs
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    by: Option<Vec<Label>>,
    /// Only this SLI; the golden signals are called `requests`
    #[arg(long, value_name = "NAME")]
    sli: Option<String>,
    /// Only this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Windows from this time on: 2026-01-31, 2026-01-31T10:00:00Z, or with an offset such as +02:00
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<EventTime>,
    /// Windows up to this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<EventTime>,
    /// Latency quantiles, as decimals between 0 and 1
    #[arg(long, value_name = "P", value_delimiter = ',', default_value = "0.5,0.95,0.99")]
    quantile: Vec<Level>,
    /// List every window in the table, however many they are
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    rows: bool,
    /// One JSON object a line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Comma-separated, with a header
    #[arg(long)]
    csv: bool,
}

pub fn run(args: WindowsArgs) -> anyhow::Result<ExitCode> {
    let query = Query {
        length_us: args.window,
        by: args.by.clone(),
        sli: args.sli.clone(),
        service: args.service.clone(),
        from: args.from.map(|from| from.plus_us(args.window - 1).floor(args.window)),
        to: args.to.map(|to| to.floor(args.window)),
        levels: args.quantile.clone(),
    };
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from >= to
    {
        let secs = args.window as f64 / 1e6;
        return Err(bad_usage(anyhow!(
            "no whole window of {secs} s lies between --from and --to; take shorter windows or a longer span"
        )));
    }
    let only = Only { sli: args.sli.clone(), service: args.service.clone(), from: query.from, to: query.to };
    let fold = match &args.input {
        Some(directory) => from_directory(&args, directory, only)?,
        None => from_kafka(&args, only)?,
    };
    warn_of_gaps(&fold);
    let windows = query.windows(&fold).map_err(bad_usage)?;
    if args.json {
        windows_text::print_lines(windows.iter().map(Window::to_json))?;
    } else if args.csv {
        windows_text::print_lines(windows_text::csv(&windows, &args.quantile))?;
    } else {
        let totals = query.whole_span(&fold)?;
        windows_text::print_lines(windows_text::tables(&windows, &totals, &args.quantile, args.window, args.rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Folds what a directory holds.
fn from_directory(args: &WindowsArgs, directory: &std::path::Path, only: Only) -> anyhow::Result<Fold> {
    let mut fold = Fold::new(only);
    read_lines(&file_of(directory, &args.topic), &mut |_, value| Ok(fold.observe(0, value)?))?;
    Ok(fold)
}

fn from_kafka(args: &WindowsArgs, only: Only) -> anyhow::Result<Fold> {
    let stop = Stop::on_signals()?;
    let mut kafka = KafkaTopics::open(&args.kafka.client().map_err(bad_usage)?, &[&args.topic])?;
    kafka.ask()?;
    let mut fold = Fold::new(only);
    let mut refused = None;
    let pass = kafka.read(&stop, &|| false, &mut |source, found| {
        if let Found::Record { offset, value: Some(value) } = found
            && let Err(error) = fold.observe(source.partition, value)
            && refused.is_none()
        {
            refused = Some((source.partition, offset, error));
        }
    })?;
    if let Some((partition, offset, error)) = refused {
        return Err(error).with_context(|| format!("{}/{partition} at offset {offset}", args.topic));
    }
    if pass == Pass::Interrupted {
        bail!("interrupted before {} was read to its end", args.topic);
    }
    Ok(fold)
}

/// What the windows can't say of themselves goes to standard error.
fn warn_of_gaps(fold: &Fold) {
    let coverage = fold.coverage();
    for hole in coverage.holes() {
        anstream::eprintln!(
            "warning: {}/{}: {} follows {} in output partition {}; offsets {} to {} are in no batch. Ask `streamgauge audit`",
            hole.source.topic,
            hole.source.partition,
            hole.next,
            hole.after,
            hole.output_partition,
            hole.offsets.0,
            hole.offsets.1,
        );
    }
    if coverage.repeated_deltas() + coverage.repeated_batches() > 0 {
        anstream::eprintln!(
            "warning: {} deltas of {} repeated batches were left out. Ask `streamgauge audit`",
            coverage.repeated_deltas(),
            coverage.repeated_batches(),
        );
    }
}

/// `90s`, `5m`, `2h`, `1d`: a whole number and a unit.
pub fn duration_us(text: &str) -> Result<i64, String> {
    let expected =
        || format!("{text:?} is no duration: write a whole number above 0 and a unit, such as 10s, 5m, 1h or 1d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_us = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(expected()),
    };
    let number: i64 = number.parse().map_err(|_| expected())?;
    // Ten years: longer than any retention, and far from where microseconds overflow.
    number
        .checked_mul(unit_us)
        .filter(|us| (1..=3_660 * 86_400_000_000).contains(us))
        .ok_or_else(|| format!("{text:?} is out of range: from 1ms to 3660d"))
}

fn instant(text: &str) -> Result<EventTime, String> {
    // A civil date parses with a time of day behind it, and drops it: only ten characters are a date.
    let midnight = (text.len() == 10).then(|| format!("{text}T00:00:00Z"));
    midnight
        .as_deref()
        .unwrap_or(text)
        .parse::<jiff::Timestamp>()
        .map(|timestamp| EventTime(timestamp.as_microsecond()))
        .map_err(|_| {
            format!("{text:?} is no time: write 2026-01-31, 2026-01-31T10:00:00Z or 2026-01-31T12:00:00+02:00")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("60s", Some(60_000_000)),
            ("5m", Some(300_000_000)),
            ("1h", Some(3_600_000_000)),
            ("1d", Some(86_400_000_000)),
            ("250ms", Some(250_000)),
            ("60", None),
            ("s", None),
            ("0s", None),
            ("-5s", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("9999d", None),
            ("1 h", None),
        ] {
            assert_eq!(duration_us(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn instants() {
        for (text, expected) in [
            ("1970-01-02", Some(86_400_000_000)),
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("1970-01-01T02:00:00.5+02:00", Some(500_000)),
            ("1970-01-01T00:00:01", None),
            ("yesterday", None),
        ] {
            assert_eq!(instant(text).ok().map(|time| time.0), expected, "{text:?}");
        }
    }
}
