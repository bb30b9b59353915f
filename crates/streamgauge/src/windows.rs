//! `streamgauge windows`: folds `sli.windows` to windows of any length, as a table, JSON lines or CSV.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use streamgauge_definitions::{Definitions, Empty, Sli, Slice, duration_text, duration_us};
use streamgauge_events::EventTime;
use streamgauge_events::facts::GOLDEN;
use streamgauge_windows::{Fold, Label, Level, Only, Query, Slices, Window};

use crate::cli::bad_usage;
use crate::facts_input::{FactsArgs, warn_of_gaps};
use crate::slices_text;
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
    #[command(flatten)]
    facts: FactsArgs,
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
    let fold = folded(&args.facts, only)?;
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
    let fold = folded(&args.facts, only)?;
    let counted_by = args.facts.cited_definitions();
    let definitions = if args.definitions.is_empty() {
        args.facts.newest(fold.coverage(), counted_by.as_ref().map_err(|error| anyhow!("{error:#}"))?)?
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
    let counted = counted_by.as_ref().map_err(|error| anyhow!("{error:#}"));
    match counted.and_then(|known| args.facts.newest(fold.coverage(), known)) {
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

fn folded(facts: &FactsArgs, only: Only) -> anyhow::Result<Fold> {
    let mut fold = Fold::new(only);
    facts.read(&mut |partition, _, value| Ok(fold.observe(partition, value)?))?;
    warn_of_gaps(fold.coverage());
    Ok(fold)
}

pub fn instant(text: &str) -> Result<EventTime, String> {
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
