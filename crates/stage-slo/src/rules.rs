//! Alarms of an SLO: those of its policies, or else those that every SLO has.

use streamgauge_definitions::{CalendarUnit, Definitions, Slo, TimeWindow};
use streamgauge_slo::burn::tiers_of;
use streamgauge_slo::{Condition, Fraction, Rule, Severity};

/// Below this share the budget is low, and is no longer where so much remains again.
const LOW: (Fraction, Fraction) = (Fraction::new(1, 10), Fraction::new(15, 100));
/// Where nothing remains the budget is exhausted; until so much remains again.
const EXHAUSTED: (Fraction, Fraction) = (Fraction::ZERO, Fraction::new(5, 100));

/// Four burn-rate tiers, a low and an exhausted budget.
pub fn rules_of(_definitions: &Definitions, slo: &Slo, pane_us: i64) -> Vec<Rule> {
    let rule = |name: String, severity, condition| Rule { name, severity, condition, pending_points: 1 };
    let tiers = tiers_of(nominal_us(&slo.window), pane_us);
    let mut rules: Vec<Rule> = tiers
        .into_iter()
        .map(|tier| {
            let text = streamgauge_definitions::duration_text;
            let name = format!("burn-{}-{}", text(tier.long_us), text(tier.short_us));
            rule(name, tier.severity, Condition::Burn(tier))
        })
        .collect();
    for (name, severity, (share, clears_at)) in
        [("budget-low", Severity::Major, LOW), ("budget-exhausted", Severity::Critical, EXHAUSTED)]
    {
        rules.push(rule(name.to_owned(), severity, Condition::Remaining { share, clears_at }));
    }
    rules
}

/// The length by which tiers are chosen: months count as 30 days.
fn nominal_us(window: &TimeWindow) -> i64 {
    const DAY_US: i64 = 86_400_000_000;
    match window {
        TimeWindow::Rolling { length_us } => *length_us,
        TimeWindow::Calendar { unit, count, .. } => {
            let days = match unit {
                CalendarUnit::Days => 1,
                CalendarUnit::Weeks => 7,
                CalendarUnit::Months => 30,
                CalendarUnit::Years => 365,
            };
            days * i64::from(*count) * DAY_US
        }
    }
}
