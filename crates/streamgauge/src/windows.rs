//! `streamgauge windows`: folds `sli.windows` to windows of any length, as a table, JSON lines or CSV.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use streamgauge_definitions::{Bundle, Definitions, Empty, Sli, Slice, duration_text, duration_us};
use streamgauge_events::facts::GOLDEN;
use streamgauge_events::{EventTime, topics};
use streamgauge_windows::{Fold, Label, Level, Only, Query, Slices, Window};

use crate::cli::bad_usage;
use crate::kafka_args::KafkaArgs;
use crate::shell::Stop;
use crate::slices_text;
use crate::topic_input::{Found, KafkaTopics, Pass, file_of, read_lines};
use crate::windows_text;

/// Show SLIs in windows of any length: counts, errors, latency quantiles
///
/// Folds the deltas of `sli.windows` to windows that are aligned to multiples of their length since 1970 (UTC). A
/// window is `partial` where input was lost, a batch is missing or more series came than a pane keeps; it is `open`
/// until every input partition has been counted past its end. Windows without events are not listed,
/// but with --sli: then every slice of the SLI has a verdict, "no traffic" and "no coverage" among them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge windows --input out --window 1h
  streamgauge windows --input out --window 60s --by service,route --service checkout --rows
  streamgauge windows --input out --sli checkout-p99 --rows
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
    /// Length of a window, such as 60s, 5m, 1h or 1d: a multiple of the pane, which is 10s by default. Default: 60s, or
    /// the slice of the SLI
    #[arg(long, value_name = "DURATION", value_parser = duration_us)]
    window: Option<i64>,
    /// Labels to group by: tenant, service, route, version and others; what is not named is added up. Default: tenant and
    /// service for the golden signals, all labels for defined SLIs
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    by: Option<Vec<Label>>,
    /// Only this SLI, with the verdict on every slice; the golden signals are called `requests`, `scores`, `resources`
    #[arg(long, value_name = "NAME")]
    sli: Option<String>,
    /// Judge by these definitions, not by those that the results cite: files, or directories of them
    #[arg(long, value_name = "PATH", requires = "sli")]
    definitions: Vec<PathBuf>,
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

/// Without `--window`, and where no SLI says otherwise.
const WINDOW_US: i64 = 60_000_000;

pub fn run(args: WindowsArgs) -> anyhow::Result<ExitCode> {
    // A defined SLI is shown slice by slice, unless series are to be added up in another way.
    if let (Some(name), None) = (&args.sli, &args.by)
        && !GOLDEN.contains(&name.as_str())
    {
        return slices(&args, name);
    }
    let window_us = args.window.unwrap_or(WINDOW_US);
    let query = Query {
        length_us: window_us,
        by: args.by.clone(),
        sli: args.sli.clone(),
        service: args.service.clone(),
        from: args.from.map(|from| from.plus_us(window_us - 1).floor(window_us)),
        to: args.to.map(|to| to.floor(window_us)),
        levels: args.quantile.clone(),
    };
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from >= to
    {
        let secs = window_us as f64 / 1e6;
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
        windows_text::print_data(windows.iter().map(Window::to_json))?;
    } else if args.csv {
        windows_text::print_data(windows_text::csv(&windows, &args.quantile))?;
    } else {
        let totals = query.whole_span(&fold)?;
        windows_text::print_lines(windows_text::tables(&windows, &totals, &args.quantile, window_us, args.rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every slice of a defined SLI, with its verdict.
fn slices(args: &WindowsArgs, name: &str) -> anyhow::Result<ExitCode> {
    // Freshness looks back beyond the first slice that is shown.
    let only = Only { sli: Some(name.to_owned()), service: args.service.clone(), from: None, to: args.to };
    let fold = match &args.input {
        Some(directory) => from_directory(args, directory, only)?,
        None => from_kafka(args, only)?,
    };
    warn_of_gaps(&fold);
    let counted_by = cited_definitions(args);
    let definitions = if args.definitions.is_empty() {
        newest(args, &fold, counted_by.as_ref().map_err(|error| anyhow!("{error:#}"))?)?
    } else {
        crate::definitions::read(&args.definitions).map_err(bad_usage)?
    };
    let Some(sli) = definitions.slis.get(name) else {
        let known: Vec<&str> = definitions.slis.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(bad_usage(anyhow!("no SLI is called {name:?}; defined are: {known}")));
    };
    if let Some(service) = args.service.as_ref().filter(|service| **service != sli.service) {
        return Err(bad_usage(anyhow!("{name} is about {}, not about {service}; leave --service away", sli.service)));
    }
    let newest = counted_by.as_ref().map_err(|error| anyhow!("{error:#}")).and_then(|known| newest(args, &fold, known));
    match newest {
        Ok(newest) => check_counted_alike(&newest, name, sli)?,
        Err(error) => {
            anstream::eprintln!("warning: nobody can tell whether {name} was counted by the same filter: {error:#}");
        }
    }
    let counted_by = counted_by.unwrap_or_default();
    let slice = match (sli.good.slice(), args.window) {
        (Some(slice), Some(window)) if window != slice.length_us => {
            let (window, slice) = (duration_text(window), duration_text(slice.length_us));
            return Err(bad_usage(anyhow!(
                "{name} is judged in slices of {slice}, not of {window}; leave --window away"
            )));
        }
        (Some(slice), _) => slice,
        (None, window) => Slice { length_us: window.unwrap_or(WINDOW_US), empty: Empty::Ignore },
    };
    fold.check_length(slice.length_us).map_err(bad_usage)?;
    let slices =
        Slices { name, sli, definitions: &definitions, counted_by: &counted_by, slice, from: args.from, to: args.to };
    let rows = slices.rows(&fold).map_err(bad_usage)?;
    if args.json {
        let line = |row| serde_json::to_string(row).expect("texts and integers always have a JSON form");
        windows_text::print_data(rows.iter().map(line))?;
    } else if args.csv {
        windows_text::print_data(slices_text::csv(&rows))?;
    } else {
        windows_text::print_lines(slices_text::tables(name, sli, slice.length_us, &rows, args.rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Facts can be judged by another objective, but not by what they were not counted by.
fn check_counted_alike(newest: &Definitions, name: &str, asked: &Sli) -> anyhow::Result<()> {
    let Some(counted) = newest.slis.get(name) else {
        return Err(bad_usage(anyhow!(
            "the definitions that the newest facts cite have no {name}, so it is not counted; count the events again"
        )));
    };
    match counted.counted_unlike(asked) {
        None => Ok(()),
        Some(what) => Err(bad_usage(anyhow!(
            "{name} was counted by another `{what}` than that of --definitions; count the events again. Bounds, slices, \
             quantiles and `empty` can change without that"
        ))),
    }
}

/// The definitions that the newest facts cite.
fn newest(args: &WindowsArgs, fold: &Fold, known: &BTreeMap<String, Definitions>) -> anyhow::Result<Definitions> {
    let Some(cited) = fold.coverage().bundle() else {
        bail!("nothing has been counted yet: there is no frontier in {}", args.topic);
    };
    known.get(cited).cloned().with_context(|| {
        let state = state_topic(args);
        format!("{state} does not hold the definitions {cited} that the facts cite; name the files by --definitions")
    })
}

fn state_topic(args: &WindowsArgs) -> String {
    let prefix = args.topic.strip_suffix(topics::SLI_WINDOWS).unwrap_or_default();
    format!("{prefix}{}", topics::SLI_STATE)
}

/// All definitions that facts may cite, by hash, from the state topic beside them.
fn cited_definitions(args: &WindowsArgs) -> anyhow::Result<BTreeMap<String, Definitions>> {
    let state = state_topic(args);
    let mut known = BTreeMap::new();
    let mut look = |value: &[u8]| {
        if let Ok(bundle) = serde_json::from_slice::<Bundle>(value) {
            known.insert(bundle.hash(), bundle.definitions);
        }
    };
    match &args.input {
        Some(directory) => read_lines(&file_of(directory, &state), &mut |_, value| {
            look(value);
            Ok(())
        })?,
        None => {
            let stop = Stop::on_signals()?;
            let mut kafka = KafkaTopics::open(&args.kafka.client().map_err(bad_usage)?, &[&state])?;
            kafka.ask()?;
            kafka.read(&stop, &|| false, &mut |_, found| {
                if let Found::Record { value: Some(value), .. } = found {
                    look(value);
                }
            })?;
        }
    }
    Ok(known)
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
