//! The arithmetic of an alert, line by line. Only shapes text.

use anstyle::Style;
use streamgauge_definitions::duration_text;
use streamgauge_slo::{Condition, Fraction, Tally};
use streamgauge_windows::window::rfc3339_text;

use super::{BudgetCounts, Explanation, Moment, Window};
use crate::slo_text::{Unit, burn, remaining, span};
use crate::windows_text::harmless;

pub fn lines(explanation: &Explanation) -> Vec<String> {
    let bold = Style::new().bold();
    let Explanation { id, target, unit_text, window, fired, resolved, .. } = explanation;
    let record = &fired.record;
    let end = match resolved {
        Some(resolved) => {
            let length = span(resolved.record.at.0 - record.at.0);
            format!("resolved at {} after {length}", rfc3339_text(resolved.record.at))
        }
        None => format!("still firing at {}, where the facts end", rfc3339_text(explanation.end)),
    };
    let (good, b) = (target.share(), target.allowed());
    let mut lines = vec![
        format!(
            "{bold}{id}{bold:#}  {} of {} ({}), {}",
            record.rule,
            record.slo,
            record.service,
            record.severity.as_str()
        ),
        format!("fired at {}, {end}", rfc3339_text(record.at)),
        String::new(),
        format!(
            "promise  {} over {window}, counted by {unit_text}: 1 - {good} = {b} of them may be bad",
            record.target
        ),
        format!("rule     {}", rule(&explanation.condition)),
        String::new(),
        "when it fired".to_owned(),
    ];
    lines.extend(moment(explanation, fired));
    if !explanation.exemplars.is_empty() {
        lines.push(format!("  bad events, by trace id: {}", harmless(&explanation.exemplars.join(" "))));
    }
    if let Some(resolved) = resolved {
        lines.extend([String::new(), "when it resolved".to_owned()]);
        lines.extend(moment(explanation, resolved));
    }
    lines
}

fn rule(condition: &Condition) -> String {
    match condition {
        Condition::Burn(tier) => format!(
            "burn rate above {} over {} and over {}, at least 3 bad ones, and no chance of 1 in 100",
            tier.factor,
            duration_text(tier.long_us),
            duration_text(tier.short_us)
        ),
        Condition::Remaining { share: Fraction { numerator: 0, .. }, clears_at } => {
            format!("nothing is left of the budget; clears when {} is left", share_text(*clears_at))
        }
        Condition::Remaining { share, clears_at } => {
            format!(
                "less than {} of the budget is left; clears when {} is left",
                share_text(*share),
                share_text(*clears_at)
            )
        }
        Condition::Absence { silent_us, within_us } => {
            format!(
                "nothing came for {}, and something did within {}",
                duration_text(*silent_us),
                duration_text(*within_us)
            )
        }
    }
}

/// 1/10 as `10%`.
fn share_text(share: Fraction) -> String {
    format!("{}%", Fraction::new(share.numerator * 100, share.denominator))
}

fn moment(explanation: &Explanation, moment: &Moment) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Condition::Burn(tier), Some(windows)) = (&explanation.condition, &moment.windows) {
        for (name, window) in ["long", "short"].into_iter().zip(windows) {
            lines.extend(window_lines(explanation, name, window, tier.factor));
        }
        lines.push(chance_line(explanation, moment, &windows[0], tier.factor));
    }
    lines.extend(moment.budget.as_ref().map(|budget| budget_line(explanation, budget, moment)));
    lines
}

fn window_lines(explanation: &Explanation, name: &str, window: &Window, factor: Fraction) -> Vec<String> {
    let (unit, b) = (explanation.unit, explanation.target.allowed());
    let Window { length_us, from, bad, total, burn: rate, left, right, now } = window;
    let counts = unit.tally(Tally::new(*bad, *total));
    let mut lines =
        vec![format!("  {name:<6} {}, from {}: {counts} bad", duration_text(*length_us), rfc3339_text(*from))];
    match rate {
        None => lines.push("         burn: nothing came, so it says nothing".to_owned()),
        Some(_) => {
            let verdict = if left > right { "above" } else { "not above" };
            let sign = if left > right { ">" } else { "<=" };
            lines.push(format!("         burn = ({counts}) / {b} = {}: {verdict} {factor}", burn(*rate)));
            // Shares of slices are counted in millionths of millionths: nobody would read those.
            if !matches!(unit, Unit::Shares(_)) {
                lines.push(format!(
                    "         {bad} x {} x {} = {left} {sign} {} x {} x {total} = {right}",
                    b.denominator, factor.denominator, factor.numerator, b.numerator
                ));
            }
        }
    }
    lines.extend(now.map(|now| format!("         late records have come since: now it holds {} bad", unit.tally(now))));
    lines
}

fn chance_line(explanation: &Explanation, moment: &Moment, long: &Window, factor: Fraction) -> String {
    let (unit, b) = (explanation.unit, explanation.target.allowed());
    let whole = |count: i128| crate::slo_text::thousands(unit.whole(count));
    let bad = whole(long.bad);
    match moment.chance {
        _ if unit.whole(long.bad) < 3 => format!("  chance {bad} bad ones are fewer than 3"),
        Some(chance) => {
            let (total, sign) = (whole(long.total), if chance < 0.01 { "<" } else { ">=" });
            format!(
                "  chance P(at least {bad} of {total} are bad | each with {factor} x {b}) {} {sign} 0.01",
                chance_text(chance)
            )
        }
        None => "  chance not asked about: so many say it beyond chance".to_owned(),
    }
}

/// What is too small for a float is not nothing.
fn chance_text(chance: f64) -> String {
    if chance < 1e-300 { "is below 1e-300".to_owned() } else { format!("= {chance:.2e}") }
}

fn budget_line(explanation: &Explanation, budget: &BudgetCounts, moment: &Moment) -> String {
    let (unit, b) = (explanation.unit, explanation.target.allowed());
    let BudgetCounts { bad, of, counted, remaining: left, long_share } = budget;
    let projected = match of == counted {
        true => String::new(),
        false => format!(", {} of them still to come at this rate", unit.count(of - counted)),
    };
    let spent =
        long_share.map_or_else(String::new, |share| format!("; the long window spent {:.1}% of it", share * 100.0));
    let mut line = format!(
        "  budget 1 - {} / ({b} x {}) = {} left{projected}{spent}",
        unit.count(*bad),
        unit.count(*of),
        remaining(*left)
    );
    if *left != moment.record.remaining {
        line += &format!("; before late records it was {}", remaining(moment.record.remaining));
    }
    line
}
