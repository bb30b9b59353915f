//! One objective in detail: budget over time, tiers, the spans that spent most.

use anstyle::Style;
use serde::Serialize;
use serde_json::{Value, json};
use streamgauge_definitions::{Budgeting, duration_text};
use streamgauge_events::EventTime;
use streamgauge_slo::{Alert, Tally};
use streamgauge_stage_slo::{ObjectiveStanding, RuleStanding, WindowCounts};
use streamgauge_windows::window::rfc3339_text;

use super::Assessment;
use super::text::{reach_text, style_of};
use crate::objectives::{BudgetAt, History, Reading};
use crate::slo_text::{Unit, burn, chart, forecast, percent, remaining};
use crate::windows_text::{Cell, aligned};

/// What goes beyond the line on the screen.
pub struct Detail {
    unit: Unit,
    from: EventTime,
    /// Ascending; the last is the present.
    budgets: Vec<BudgetAt>,
    spans_width_us: i64,
    worst: Vec<Worst>,
}

/// A span, and what it spent.
#[derive(Serialize)]
struct Worst {
    #[serde(serialize_with = "crate::slo_text::time")]
    start: EventTime,
    bad: i128,
    total: i128,
    /// Of the period's budget.
    budget_share: Option<f64>,
    exemplars: Vec<String>,
}

const CHART_COLUMNS: i64 = 60;
const WORST_MAX: usize = 5;
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// `None`: nothing was counted.
pub fn detail(reading: &Reading, assessment: &Assessment) -> Option<Detail> {
    let standing = assessment.standing.as_ref()?;
    let counted = standing.span?;
    let slo = reading.slo(&standing.slo);
    let sli = &reading.definitions.slis[&slo.indicator];
    let history = reading.history(&standing.slo)?;
    let budgets = reading.budgets(&standing.slo, &history, None, &columns(counted.from, counted.to, reading.pane_us()));
    let spans_width_us = match (slo.budgeting, sli.good.slice()) {
        (Budgeting::Timeslices { width_us, .. } | Budgeting::RatioTimeslices { width_us }, _) => width_us,
        (_, Some(slice)) => slice.length_us,
        // Of a few hours, an hour says too little.
        _ if counted.to.0 - counted.from.0 <= HOUR_US => HOUR_US / 60,
        _ if counted.to.0 - counted.from.0 <= DAY_US => HOUR_US / 6,
        _ => HOUR_US,
    };
    let worst = worst(reading, standing, &history, spans_width_us, budgets.last()?);
    let from = history.first.max(budgets.last()?.from);
    Some(Detail { unit: Unit::of(slo, sli), from, budgets, spans_width_us, worst })
}

/// The ends of the columns of a chart: whole panes, the last of them the end.
fn columns(from: EventTime, to: EventTime, pane_us: i64) -> Vec<EventTime> {
    let panes = (to.0 - from.0) / pane_us;
    let columns = CHART_COLUMNS.min(panes).max(1);
    (1..=columns).map(|column| to.minus_us((columns - column) * panes / columns * pane_us)).collect()
}

fn worst(
    reading: &Reading,
    standing: &ObjectiveStanding,
    history: &History,
    width_us: i64,
    now: &BudgetAt,
) -> Vec<Worst> {
    let target = reading.objective(&standing.slo).target;
    let spans = history.spans(width_us, now.from, now.at);
    let mut spans: Vec<(EventTime, Tally)> = spans.into_iter().filter(|(_, tally)| tally.bad > 0).collect();
    spans.sort_by_key(|(start, tally)| (-tally.bad, *start));
    spans.truncate(WORST_MAX);
    // By events, a bad one spends one. By slices of a budget, what its slice is judged to be: that is not shown by span.
    let by_events = matches!(reading.slo(&standing.slo).budgeting, Budgeting::Occurrences);
    let share = |tally: Tally| {
        let b = target.allowed();
        let allowed = i128::from(b.numerator) * now.budget.tally.total;
        (by_events && allowed > 0).then(|| (tally.bad * i128::from(b.denominator)) as f64 / allowed as f64)
    };
    let worst = spans.into_iter().map(|(start, tally)| Worst {
        start,
        bad: tally.bad,
        total: tally.total,
        budget_share: share(tally),
        exemplars: history.exemplars(start, start.plus_us(width_us)),
    });
    worst.collect()
}

pub fn json(assessment: &Assessment, detail: Option<&Detail>) -> Value {
    let mut value = serde_json::to_value(assessment).expect("texts and numbers always have a JSON form");
    if let Some(detail) = detail {
        let budgets = detail.budgets.iter().map(|budget| {
            json!({ "at": rfc3339_text(budget.at), "counted": budget.counted, "of": budget.budget.tally.total, "remaining": budget.remaining })
        });
        value["budget_over_time"] = budgets.collect();
        value["worst_spans_width_us"] = detail.spans_width_us.into();
        value["worst_spans"] = serde_json::to_value(&detail.worst).expect("texts and numbers always have a JSON form");
    }
    value
}

pub fn lines(reading: &Reading, assessment: &Assessment, detail: Option<&Detail>) -> Vec<String> {
    let bold = Style::new().bold();
    let state = style_of(assessment.state);
    let name = &assessment.slo;
    let Some(standing) = &assessment.standing else {
        let why = assessment.remarks.join("; ");
        return vec![format!("{bold}{name}{bold:#}  {state}{}{state:#}: {why}", assessment.state.as_str())];
    };
    let ObjectiveStanding { indicator, service, target, window, .. } = standing;
    let mut lines = vec![format!("{bold}{name}{bold:#}  {target} of {indicator} ({service}) over {window}")];
    let why = assessment.remarks.join("; ");
    let colon = if why.is_empty() { "" } else { ": " };
    lines.push(format!("{state}{}{state:#}{colon}{why}", assessment.state.as_str()));
    lines.push(String::new());
    if let Some(detail) = detail {
        lines.extend(budget_lines(reading, standing, detail));
        lines.extend(chart_lines(detail));
        lines.extend(["".to_owned(), "burn rates and what they rest on (bad/total):".to_owned()]);
        lines.extend(rules(reading, assessment, standing, detail.unit));
        lines.push(String::new());
        lines.extend(worst_lines(detail));
        lines.push(String::new());
    }
    lines.extend(assessment.reach.as_ref().map(|reach| reach_text(reach, assessment.behind_us)));
    lines
}

fn budget_lines(reading: &Reading, standing: &ObjectiveStanding, detail: &Detail) -> Vec<String> {
    let Some(now) = detail.budgets.last() else { return Vec::new() };
    let (unit, Tally { bad, total }) = (detail.unit, standing.counted);
    let allowed = unit.allowance(reading.objective(&standing.slo).target, now.budget);
    let whole = unit.count(now.budget.tally.total);
    let projected =
        if now.budget.tally.total == total { "that came" } else { "that the whole period will have had at this rate" };
    let from = rfc3339_text(detail.from);
    vec![
        format!(
            "budget left  {}: {} bad, and {allowed} may be, of {whole} {projected}",
            remaining(standing.remaining),
            unit.count(bad)
        ),
        format!(
            "counted      {}: {} of {} good ({}) since {from}",
            unit.text(),
            unit.count(total - bad),
            unit.count(total),
            percent(total - bad, total)
        ),
        format!("forecast     {}", forecast(standing.forecast, standing.remaining)),
        String::new(),
    ]
}

fn chart_lines(detail: &Detail) -> Vec<String> {
    let (Some(first), Some(last)) = (detail.budgets.first(), detail.budgets.last()) else { return Vec::new() };
    let mut lines = vec!["budget left over time:".to_owned()];
    lines.extend(chart(&detail.budgets.iter().map(|budget| budget.remaining).collect::<Vec<_>>()));
    let (from, to) = (rfc3339_text(first.at), rfc3339_text(last.at));
    let gap = detail.budgets.len().saturating_sub(from.len() + to.len()).max(1);
    lines.push(format!("           {from}{}{to}", " ".repeat(gap)));
    lines
}

fn rules(reading: &Reading, assessment: &Assessment, standing: &ObjectiveStanding, unit: Unit) -> Vec<String> {
    let header = ["rule", "severity", "above", "long", "", "short", "", "state", "alert"];
    let mut table: Vec<Vec<Cell>> = vec![header.map(Cell::left).into()];
    let counts = |window: Option<WindowCounts>, is_rate: bool| match window {
        None => [Cell::right("-"), Cell::left("")],
        Some(window) => {
            // Silence is one of events, whatever the budget counts.
            let unit = if is_rate { unit } else { Unit::Events };
            let tally = unit.tally(Tally::new(window.bad, window.total));
            let rate = if is_rate { burn(window.burn) } else { "-".to_owned() };
            [Cell::right(rate), Cell::left(format!("({tally})"))]
        }
    };
    for rule in &standing.rules {
        let RuleStanding { rule: name, severity, alert, long, short } = rule;
        let state = match alert {
            Alert::Inactive => "quiet".to_owned(),
            Alert::Pending { since, .. } => format!("holds since {}", rfc3339_text(*since)),
            Alert::Firing { since } => format!("fires since {}", rfc3339_text(*since)),
        };
        let tier = reading.tier(&standing.slo, name);
        let factor = tier.map_or_else(|| "-".to_owned(), |tier| tier.factor.to_string());
        let mut row = vec![Cell::left(name), Cell::left(severity.as_str()), Cell::right(factor)];
        row.extend(counts(*long, tier.is_some()).into_iter().chain(counts(*short, tier.is_some())));
        row.push(Cell::left(state));
        let firing = assessment.firing.iter().find(|firing| firing.rule == *name);
        row.push(Cell::left(firing.map_or("", |firing| firing.id.as_str())));
        table.push(row);
    }
    aligned(&table)
}

fn worst_lines(detail: &Detail) -> Vec<String> {
    let width = duration_text(detail.spans_width_us);
    if detail.worst.is_empty() {
        return vec!["nothing was bad".to_owned()];
    }
    let mut table: Vec<Vec<Cell>> = vec![vec![
        Cell::left("start"),
        Cell::right("bad"),
        Cell::right("total"),
        Cell::right("of the budget"),
        Cell::left("trace ids of bad events"),
    ]];
    for Worst { start, bad, total, budget_share, exemplars } in &detail.worst {
        table.push(vec![
            Cell::left(rfc3339_text(*start)),
            Cell::right(crate::slo_text::thousands(*bad)),
            Cell::right(crate::slo_text::thousands(*total)),
            Cell::right(budget_share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))),
            Cell::left(if exemplars.is_empty() { "none was given".to_owned() } else { exemplars.join(" ") }),
        ]);
    }
    let mut lines = vec![format!(
        "spans of {width} that had the most bad {}:",
        if detail.unit == Unit::Events { "events" } else { "ones" }
    )];
    lines.extend(aligned(&table));
    lines
}
