//! A backtest for people. Only shapes text.

use anstyle::{AnsiColor, Style};
use streamgauge_slo::Severity;
use streamgauge_windows::window::rfc3339_text;

use super::incidents::{Incident, Incidents};
use super::scores::{Score, belongs, median};
use super::{Set, Test};
use crate::objectives::{Firing, Reading};
use crate::slo_text::{burn, percent, remaining, span};
use crate::windows_text::{Cell, aligned, harmless};

pub fn lines(
    reading: &Reading,
    tests: &[Test<'_>],
    incidents: Option<&Incidents>,
    together: &[(Set, Score)],
) -> Vec<String> {
    let bold = Style::new().bold();
    let mut lines = Vec::new();
    for test in tests {
        let slo = reading.slo(test.slo);
        lines.push(format!(
            "{bold}{}{bold:#}  {} of {} over {}, from {} to {}",
            test.slo,
            slo.target.percent_text(),
            slo.indicator,
            slo.window,
            rfc3339_text(test.from),
            rfc3339_text(test.to)
        ));
        if !test.is_counted {
            lines.extend(["  nothing was counted, so nothing can be said".to_owned(), String::new()]);
            continue;
        }
        match test.alerts.is_empty() {
            true => lines.push("  no alert would have fired".to_owned()),
            false => lines.extend(alerts(test, incidents)),
        }
        if let Some(incidents) = incidents {
            lines.push(String::new());
            lines.extend(scores(test, incidents));
        }
        lines.push(String::new());
    }
    if !together.is_empty() {
        lines.push(format!("{bold}all SLOs together{bold:#}"));
        lines.extend(score_table(together));
        lines.push(String::new());
    }
    lines.extend(reading.uncounted.iter().map(|(name, why)| format!("{name}: {why}")));
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// The incident that an alert tells of.
pub fn incident_of<'t>(firing: &Firing, test: &Test<'t>, incidents: Option<&Incidents>) -> Option<&'t Incident> {
    let grace_us = incidents?.grace_us;
    test.incidents.iter().copied().find(|incident| belongs(firing, incident, grace_us))
}

fn alerts(test: &Test<'_>, incidents: Option<&Incidents>) -> Vec<String> {
    let mut header =
        Vec::from(["alert", "rule", "severity", "fired", "for", "long", "short", "budget left"].map(Cell::left));
    if incidents.is_some() {
        header.push(Cell::left("incident"));
    }
    let mut table = vec![header];
    for firing in &test.alerts {
        let fired = &firing.fired;
        let length = span(firing.until(test.end).0 - fired.at.0);
        let colour = if fired.severity == Severity::Critical { AnsiColor::Red } else { AnsiColor::Yellow };
        let severity = Cell::left(fired.severity.as_str());
        let mut row = vec![
            Cell::left(&firing.id),
            Cell::left(&fired.rule),
            Cell { style: Style::new().fg_color(Some(colour.into())), ..severity },
            Cell::left(rfc3339_text(fired.at)),
            Cell::left(if firing.resolved.is_some() { length } else { format!("{length}, to the end") }),
            Cell::right(fired.long.map_or_else(|| "-".to_owned(), |window| burn(window.burn))),
            Cell::right(fired.short.map_or_else(|| "-".to_owned(), |window| burn(window.burn))),
            Cell::right(remaining(fired.remaining)),
        ];
        if incidents.is_some() {
            row.push(incident_of(firing, test, incidents).map_or_else(
                || Cell { style: Style::new().fg_color(Some(AnsiColor::Yellow.into())), ..Cell::left("none") },
                |incident| Cell::left(title(incident)),
            ));
        }
        table.push(row);
    }
    aligned(&table)
}

fn title(incident: &Incident) -> String {
    let start = &rfc3339_text(incident.start);
    let time = start.get(11..16).unwrap_or(start);
    format!("{time} {}", incident.name).trim_end().to_owned()
}

fn scores(test: &Test<'_>, incidents: &Incidents) -> Vec<String> {
    let (grace, merge) = (span(incidents.grace_us), span(incidents.merge_us));
    let count = test.incidents.len();
    let mut lines = vec![format!(
        "  against {count} incident{} (grace {grace}; those at most {merge} apart are one):",
        if count == 1 { "" } else { "s" }
    )];
    if test.incidents_outside > 0 {
        lines.push(format!("  {} more lie outside of what was counted", test.incidents_outside));
    }
    lines.extend(score_table(&test.scores));
    lines
}

/// Of each set of alerts; then the incidents that nothing told of.
fn score_table(scores: &[(Set, Score)]) -> Vec<String> {
    let header = [
        Cell::left("rule"),
        Cell::left("severity"),
        Cell::right("alerts"),
        Cell::right("precision"),
        Cell::right("found"),
        Cell::right("recall"),
        Cell::right("firing before"),
        Cell::left("detection median, most"),
        Cell::left("reset median, most"),
    ];
    let mut table = vec![Vec::from(header)];
    for (set, score) in scores {
        let style = if matches!(set, Set::Rule(..)) { Style::new() } else { Style::new().bold() };
        table.push(vec![
            Cell { style, ..Cell::left(set.name()) },
            Cell::left(set.severity()),
            Cell::right(format!("{} of {} true", score.alerts_true, score.alerts)),
            Cell::right(percent(score.alerts_true as i128, score.alerts as i128)),
            Cell::right(format!("{} of {}", score.found, score.incidents)),
            Cell::right(percent(score.found as i128, score.incidents as i128)),
            Cell::right(score.already_firing.to_string()),
            Cell::left(times(&score.detection_us)),
            Cell::left(reset(score)),
        ]);
    }
    let mut lines = aligned(&table);
    for incident in scores.last().into_iter().flat_map(|(_, all)| &all.missed) {
        let (start, end) = (rfc3339_text(incident.start), rfc3339_text(incident.end));
        lines.push(format!("  no alert: {start} to {end}  {}", harmless(&incident.name)).trim_end().to_owned());
    }
    lines
}

fn times(ascending: &[i64]) -> String {
    match (median(ascending), ascending.last()) {
        (Some(median), Some(most)) => format!("{}, {}", span(median), span(*most)),
        _ => "-".to_owned(),
    }
}

fn reset(score: &Score) -> String {
    match (times(&score.reset_us), score.never_reset) {
        (times, 0) => times,
        (times, never) => format!("{times} ({never} still firing)"),
    }
}
