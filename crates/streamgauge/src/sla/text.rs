//! The month for people, plainly and as Markdown. Only shapes text.

use anstyle::{AnsiColor, Style};
use streamgauge_windows::window::rfc3339_text;

use super::month::{Downtime, Month};
use super::{Document, Sla, Verdict};
use crate::slo_text::{percent, remaining, span};
use crate::windows_text::{Cell, aligned};

pub fn lines(document: &Document<'_>) -> Vec<String> {
    let bold = Style::new().bold();
    let mut lines = vec![title(&document.month), String::new()];
    for sla in &document.slos {
        let colour = match sla.verdict {
            Verdict::Met => AnsiColor::Green,
            Verdict::Missed => AnsiColor::Red,
            Verdict::NoTraffic | Verdict::NoCoverage => AnsiColor::Yellow,
        };
        let style = Style::new().fg_color(Some(colour.into()));
        let Sla { slo, target, indicator, service, .. } = sla;
        lines.push(format!(
            "{bold}{slo}{bold:#}  {target} of {indicator} ({service}): {style}{}{style:#}",
            verdict(sla)
        ));
        lines.extend(facts(sla).into_iter().map(|(name, text)| format!("  {name:<13} {text}")));
        if !sla.downtimes.is_empty() {
            lines.extend(aligned(&table(&sla.downtimes)));
        }
        lines.push(String::new());
    }
    lines.extend(document.not_counted.iter().map(|(name, why)| format!("{name}: not counted: {why}")));
    lines.push(format!("definitions {}", document.definitions));
    lines
}

pub fn markdown(document: &Document<'_>) -> Vec<String> {
    let mut lines = vec![format!("# {}", title(&document.month)), String::new()];
    lines.push("| SLO | target | availability | verdict | budget left | downtime |".to_owned());
    lines.push("|---|---|---|---|---|---|".to_owned());
    for sla in &document.slos {
        lines.push(format!(
            "| {} | {} | {} | {} | {} | {} |",
            cell(&sla.slo),
            sla.target,
            percent(sla.counted.good(), sla.counted.total),
            verdict(sla),
            remaining(sla.remaining),
            span(sla.downtime_us)
        ));
    }
    lines.extend(
        document.not_counted.iter().map(|(name, _)| format!("| {} | - | - | not counted | - | - |", cell(name))),
    );
    for sla in &document.slos {
        lines.extend([String::new(), format!("## {}", cell(&sla.slo)), String::new()]);
        lines.extend(facts(sla).into_iter().map(|(name, text)| format!("- {name}: {text}")));
        if !sla.downtimes.is_empty() {
            lines.extend([String::new(), "| from | to | for | bad/total |".to_owned(), "|---|---|---|---|".to_owned()]);
            lines.extend(sla.downtimes.iter().map(|down| format!("| {} |", row(down).join(" | "))));
        }
    }
    lines.push(String::new());
    lines.extend(document.not_counted.iter().map(|(name, why)| format!("{}: not counted: {why}", cell(name))));
    lines.push(format!("Definitions: `{}`", document.definitions));
    lines
}

/// Names come from documents; a bar would begin another cell.
fn cell(text: &str) -> String {
    crate::windows_text::harmless(text).replace('|', "\\|")
}

fn title(month: &Month) -> String {
    let Month { name, time_zone, from, to } = month;
    format!("{name} in {time_zone}, {} to {}", rfc3339_text(*from), rfc3339_text(*to))
}

fn verdict(sla: &Sla) -> String {
    let word = sla.verdict.as_str();
    match sla.verdict {
        Verdict::Met | Verdict::Missed if !sla.is_complete => format!("{word} to date"),
        _ => word.to_owned(),
    }
}

/// Names, and what they are.
fn facts(sla: &Sla) -> Vec<(&'static str, String)> {
    let (unit, counted) = (sla.unit, sla.counted);
    let mut facts = Vec::new();
    if counted.total > 0 {
        let (good, total) = (unit.count(counted.good()), unit.count(counted.total));
        let text = format!("{} ({good} of {total} {})", percent(counted.good(), counted.total), sla.unit_text);
        facts.push(("availability", text));
        let (bad, allowed) = (unit.count(counted.bad), &sla.allowed);
        let of = unit.count(sla.of);
        facts.push(("budget left", format!("{}: {bad} bad, and {allowed} of {of} may be", remaining(sla.remaining))));
        if let Some(projected) = sla.remaining_projected.filter(|_| sla.of == counted.total) {
            let text = format!(
                "{} left if the rest of the month is as busy, and nothing more is bad",
                remaining(Some(projected))
            );
            facts.push(("projected", text));
        }
    }
    facts.push(("covered", covered(sla)));
    if counted.total > 0 {
        let count = sla.downtimes.len();
        let text = match count {
            0 => "none".to_owned(),
            1 => format!("{} in one piece", span(sla.downtime_us)),
            _ => format!("{} in {count} pieces", span(sla.downtime_us)),
        };
        facts.push(("downtime", format!("{text}; {}", sla.slice_text)));
    }
    facts
}

fn covered(sla: &Sla) -> String {
    let slices = sla.slices;
    let share = percent(slices.covered.into(), slices.all.into());
    let width = streamgauge_definitions::duration_text(slices.width_us);
    let mut text = format!("{share} of the month ({} of {} slices of {width})", slices.covered, slices.all);
    if slices.empty > 0 {
        text += &format!(", {} of them without traffic", slices.empty);
    }
    if let Some(to) = sla.counted_to.filter(|_| !sla.is_complete) {
        text += &format!("; counted up to {}", rfc3339_text(to));
    }
    text
}

fn row(downtime: &Downtime) -> [String; 4] {
    let Downtime { from, to, bad, total } = downtime;
    [rfc3339_text(*from), rfc3339_text(*to), span(to.0 - from.0), format!("{bad}/{total}")]
}

fn table(downtimes: &[Downtime]) -> Vec<Vec<Cell>> {
    let mut table: Vec<Vec<Cell>> = vec![["down from", "to", "for", "bad/total"].map(Cell::left).into()];
    table.extend(downtimes.iter().map(|downtime| row(downtime).map(Cell::left).into()));
    table
}
