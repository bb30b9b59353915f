//! Slices of an SLI for people and for spreadsheets. Only shapes text.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use streamgauge_definitions::{Measure, Rule, Sli, duration_text};
use streamgauge_events::json_number::from_millionths;
use streamgauge_windows::SliceRow;
use streamgauge_windows::slice::Verdict;
use streamgauge_windows::window::rfc3339_text;

use crate::windows_text::{Cell, ROWS_UNASKED, aligned, csv_line, harmless, thousands};

/// A header, then one line a slice.
pub fn csv(rows: &[SliceRow]) -> Vec<String> {
    let mut names: Vec<&str> = rows.iter().flat_map(|row| row.labels.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let mut header = vec!["sli"];
    header.extend(&names);
    header.extend(["start", "end", "verdict", "good", "value", "unit", "events", "unjudged"]);
    let mut lines = vec![csv_line(&header.into_iter().map(str::to_owned).collect::<Vec<_>>())];
    for row in rows {
        let mut fields = vec![row.sli.clone()];
        fields.extend(names.iter().map(|name| row.labels.get(*name).cloned().unwrap_or_default()));
        fields.extend([rfc3339_text(row.start), rfc3339_text(row.end), row.verdict.as_str().replace(' ', "_")]);
        fields.push(row.good.map_or_else(String::new, |good| good.to_string()));
        fields.extend([row.value.clone().unwrap_or_default(), row.unit.to_owned()]);
        fields.extend([row.events.to_string(), row.unjudged.to_string()]);
        lines.push(csv_line(&fields));
    }
    lines
}

/// One table a series: its totals, then its slices.
pub fn tables(name: &str, sli: &Sli, length_us: i64, rows: &[SliceRow], all: bool) -> Vec<String> {
    let bold = Style::new().bold();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return vec![format!(
            "no slices: no event of {} has been counted here, or none lies between --from and --to",
            sli.topic
        )];
    };
    let first_start = rows.iter().map(|row| row.start).min().unwrap_or(first.start);
    let last_end = rows.iter().map(|row| row.end).max().unwrap_or(last.end);
    let what = if sli.good.slice().is_some() { "slices" } else { "windows" };
    let mut lines = vec![format!(
        "{bold}{name}{bold:#}  {}, {} to {}, {what} of {}",
        rule_text(&sli.good),
        rfc3339_text(first_start),
        rfc3339_text(last_end),
        duration_text(length_us)
    )];
    let mut series: BTreeMap<&BTreeMap<String, String>, Vec<&SliceRow>> = BTreeMap::new();
    for row in rows {
        series.entry(&row.labels).or_default().push(row);
    }
    for (labels, rows) in series {
        let labels = labels.iter().map(|(name, value)| harmless(&format!("{name}={value}")).into_owned());
        let labels: Vec<String> = labels.collect();
        lines.push(String::new());
        // Series that nobody declared are silent without a word, so their totals must say what they are of.
        let unlisted = ((last_end.0 - first_start.0) / length_us) as usize - rows.len();
        let of = match unlisted {
            0 => String::new(),
            _ => format!("; {what} without events are not listed, nor counted here ({unlisted})"),
        };
        lines.push(format!("{bold}{}{bold:#}  {}{of}", labels.join(" "), totals(&rows)));
        if all || rows.len() <= ROWS_UNASKED {
            lines.extend(listing(&rows));
        } else {
            // What is not simply good is what people look for.
            let odd: Vec<&SliceRow> =
                rows.iter().copied().filter(|row| !matches!(row.verdict, Verdict::Good | Verdict::Counted)).collect();
            let shown = odd.len().min(ROWS_UNASKED);
            if shown > 0 {
                lines.push(format!("  the last {shown} that are not good:"));
                lines.extend(listing(&odd[odd.len() - shown..]));
            }
            lines.push(format!("  {} {what}; --rows lists them, --json and --csv write them for programs", rows.len()));
        }
    }
    lines
}

fn totals(rows: &[&SliceRow]) -> String {
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let counted = rows.iter().filter(|row| row.good.is_some()).count();
    let good = rows.iter().filter(|row| row.good == Some(1)).count();
    let unknown = count(Verdict::Unknown);
    let mut parts = Vec::new();
    if counted + unknown > 0 {
        let total = counted + unknown;
        // Rounding must not turn a bad slice into perfection.
        let percent = |good: usize| format!("{:.2}%", (good as f64 * 10_000.0 / total as f64).floor() / 100.0);
        parts.push(match good + unknown {
            most if most == good => format!("{good} of {total} good ({})", percent(good)),
            most => format!("{good} to {most} of {total} good ({} to {})", percent(good), percent(most)),
        });
    }
    let others = [Verdict::Counted, Verdict::NoTraffic, Verdict::Unjudged, Verdict::Unknown, Verdict::NoCoverage];
    for (verdict, count) in others.map(|one| (one, count(one))) {
        if count > 0 {
            parts.push(format!("{count} {}", verdict.as_str()));
        }
    }
    parts.join(", ")
}

fn listing(rows: &[&SliceRow]) -> Vec<String> {
    let unit = rows.first().map_or("", |row| row.unit);
    let mut table = vec![vec![
        Cell::left("start"),
        Cell::right("events"),
        Cell::right(unit),
        Cell::left("verdict"),
        Cell::left(""),
    ]];
    let coloured = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    for row in rows {
        let style = match row.verdict {
            Verdict::Good | Verdict::Counted => Style::new(),
            Verdict::Bad => coloured(AnsiColor::Red),
            Verdict::NoTraffic | Verdict::Unjudged | Verdict::Unknown | Verdict::NoCoverage => {
                coloured(AnsiColor::Yellow)
            }
        };
        let mut remarks: Vec<String> = row.lacks.iter().map(ToString::to_string).collect();
        if row.unjudged > 0 {
            remarks.push(format!("{} unjudged", row.unjudged));
        }
        if matches!(row.verdict, Verdict::NoTraffic | Verdict::Unjudged)
            && let Some(good) = row.good
        {
            remarks.push(format!("counts as {}", if good == 1 { "good" } else { "bad" }));
        }
        table.push(vec![
            Cell::left(rfc3339_text(row.start)),
            Cell::right(thousands(row.events)),
            Cell::right(row.value.as_deref().unwrap_or("-")),
            Cell { style, ..Cell::left(row.verdict.as_str()) },
            Cell::left(remarks.join(", ")),
        ]);
    }
    aligned(&table)
}

/// What makes a slice good, or an event.
fn rule_text(measure: &Measure) -> String {
    let bounds = |bounds: &streamgauge_definitions::Bounds, unit: &str| {
        let least = bounds.at_least.map(|least| format!("at least {}{unit}", from_millionths(least)));
        let most = bounds.at_most.map(|most| format!("at most {}{unit}", from_millionths(most)));
        least.into_iter().chain(most).collect::<Vec<_>>().join(" and ")
    };
    match measure {
        Measure::When(good) => good.clone(),
        Measure::Latency { threshold_us, .. } => format!("latency at most {threshold_us} us"),
        Measure::Counts => "good of total".to_owned(),
        Measure::Slice { rule, .. } => match rule {
            Rule::Percentile { quantile, at_most_us } => {
                format!("{} of the requests within {at_most_us} us", quantile.percent_text())
            }
            Rule::Mean(limits) => format!("mean {}", bounds(limits, "")),
            Rule::Traffic(limits) => bounds(limits, " per second"),
            Rule::Saturation { bounds: limits, aggregate } => {
                let aggregate = match aggregate {
                    streamgauge_definitions::Aggregate::Mean => "mean".to_owned(),
                    streamgauge_definitions::Aggregate::Min => "min".to_owned(),
                    streamgauge_definitions::Aggregate::Max => "max".to_owned(),
                    streamgauge_definitions::Aggregate::Last => "last".to_owned(),
                    streamgauge_definitions::Aggregate::Quantile(share) => {
                        format!("p{}", share.percent_text().trim_end_matches('%'))
                    }
                };
                format!("{aggregate} {}", bounds(limits, ""))
            }
            Rule::Freshness { at_most_us } => format!("newest event at most {} old", duration_text(*at_most_us)),
        },
    }
}
