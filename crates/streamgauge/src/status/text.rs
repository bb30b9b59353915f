//! All objectives on one screen. Only shapes text.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use streamgauge_slo::Severity;
use streamgauge_stage_slo::ObjectiveStanding;
use streamgauge_windows::window::rfc3339_text;

use super::{Assessment, State};
use crate::objectives::Reach;
use crate::slo_text::{burn, forecast, remaining, span};
use crate::windows_text::{Cell, aligned};

pub fn screen(all: &[Assessment]) -> Vec<String> {
    let mut lines = vec![headline(all), String::new()];
    lines.extend(table(all));
    let firing = firing(all);
    if firing.len() > 1 {
        lines.extend([String::new(), "alerts that fire; streamgauge explain ALERT shows the arithmetic:".to_owned()]);
        lines.extend(firing);
    }
    let remarks: Vec<String> = all.iter().flat_map(remarks).collect();
    if !remarks.is_empty() {
        lines.push(String::new());
        lines.extend(remarks);
    }
    lines.push(String::new());
    lines.extend(reaches(all));
    lines
}

fn headline(all: &[Assessment]) -> String {
    let count = |states: &[State]| all.iter().filter(|assessment| states.contains(&assessment.state)).count();
    let of = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 SLO {}", what.replace("are ", "is "))),
        _ => Some(format!("{count} SLOs {what}")),
    };
    let parts = [
        of(count(&[State::NotFine]), "are not fine"),
        of(count(&[State::NotCounted, State::NoCoverage, State::Behind, State::NoTraffic]), "can't be told"),
        of(count(&[State::Warning]), "have a warning").map(|text| text.replace("1 SLO have", "1 SLO has")),
        of(count(&[State::Fine]), "are fine"),
    ];
    let style = style_of(all.iter().map(|assessment| assessment.state).min().unwrap_or(State::NotCounted)).bold();
    format!("{style}{}{style:#}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

pub fn style_of(state: State) -> Style {
    let colour = match state {
        State::NotFine => AnsiColor::Red,
        State::Fine => AnsiColor::Green,
        _ => AnsiColor::Yellow,
    };
    Style::new().fg_color(Some(colour.into()))
}

fn table(all: &[Assessment]) -> Vec<String> {
    let mut table = vec![vec![
        Cell::left("slo"),
        Cell::left("service"),
        Cell::right("target"),
        Cell::left("over"),
        Cell::left("state"),
        Cell::right("budget left"),
        Cell::left("burn rate"),
        Cell::left("forecast"),
    ]];
    for assessment in all {
        let state = Cell { style: style_of(assessment.state), ..Cell::left(assessment.state.as_str()) };
        let Some(standing) = &assessment.standing else {
            let dash = || Cell::right("-");
            table.push(vec![Cell::left(&assessment.slo), Cell::left("-"), dash(), Cell::left("-"), state, dash()]);
            continue;
        };
        table.push(vec![
            Cell::left(&assessment.slo),
            Cell::left(&standing.service),
            Cell::right(&standing.target),
            Cell::left(&standing.window),
            state,
            Cell::right(remaining(standing.remaining)),
            Cell::left(burns(standing)),
            Cell::left(standing.span.map_or_else(String::new, |_| forecast(standing.forecast, standing.remaining))),
        ]);
    }
    aligned(&table)
}

/// The burn rate over the long window of each tier.
fn burns(standing: &ObjectiveStanding) -> String {
    let tiers = standing.rules.iter().filter_map(|rule| {
        let windows = rule.rule.strip_prefix("burn-")?;
        Some(format!("{} {}", windows.split('-').next().unwrap_or_default(), burn(rule.long?.burn)))
    });
    tiers.collect::<Vec<_>>().join("  ")
}

fn firing(all: &[Assessment]) -> Vec<String> {
    let header = ["alert", "slo", "rule", "severity", "since", ""].map(Cell::left).into();
    let mut table: Vec<Vec<Cell>> = vec![header];
    for assessment in all {
        let end = assessment.standing.as_ref().and_then(|standing| standing.span).map(|span| span.to);
        for alert in &assessment.firing {
            let colour = if alert.severity >= Severity::Major { AnsiColor::Red } else { AnsiColor::Yellow };
            let severity = Cell::left(alert.severity.as_str());
            table.push(vec![
                Cell::left(&alert.id),
                Cell::left(&assessment.slo),
                Cell::left(&alert.rule),
                Cell { style: Style::new().fg_color(Some(colour.into())), ..severity },
                Cell::left(rfc3339_text(alert.since)),
                Cell::left(end.map_or_else(String::new, |end| format!("for {}", span(end.0 - alert.since.0)))),
            ]);
        }
    }
    aligned(&table)
}

/// Alerts have lines of their own.
fn remarks(assessment: &Assessment) -> Vec<String> {
    let others = assessment.remarks.iter().filter(|remark| !remark.ends_with(" fires"));
    others.map(|remark| format!("{}: {remark}", assessment.slo)).collect()
}

/// How far each topic has been counted.
fn reaches(all: &[Assessment]) -> Vec<String> {
    let mut topics: BTreeMap<&str, String> = BTreeMap::new();
    for assessment in all {
        if let Some(reach) = &assessment.reach {
            let text = reach_text(reach, assessment.behind_us);
            // SLOs of an ended input may end with panes of their own; the latest counts.
            let known = topics.entry(&reach.topic).or_insert_with(|| text.clone());
            if text > *known {
                *known = text;
            }
        }
    }
    topics.into_values().collect()
}

pub fn reach_text(reach: &Reach, behind_us: Option<i64>) -> String {
    let Reach { topic, unheard, complete_until, ended } = reach;
    match complete_until {
        _ if !unheard.is_empty() => format!("{topic}: not every partition was heard of, so nothing of it is complete"),
        None => format!("{topic}: nothing was counted"),
        Some(until) if *ended => format!("{topic}: counted to its end, {}", rfc3339_text(*until)),
        Some(until) => {
            let behind = behind_us.map_or_else(String::new, |us| format!(", {} behind", span(us)));
            format!("{topic}: complete until {}{behind}", rfc3339_text(*until))
        }
    }
}
