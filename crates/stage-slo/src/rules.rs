//! Alarms of an SLO, as the evaluator knows them.

use streamgauge_definitions::{AlertCondition, AlertRule, Definitions, Slo};
use streamgauge_slo::{Condition, Rule, Tier};

/// Those of the policies that it cites, or else those that every SLO has.
pub fn rules_of(definitions: &Definitions, slo: &Slo, pane_us: i64) -> Vec<Rule> {
    let rule = |alert: AlertRule| {
        let severity = alert.severity;
        let condition = match alert.condition {
            AlertCondition::Burn { factor, long_us, short_us } => {
                Condition::Burn(Tier { long_us, short_us, factor, severity })
            }
            AlertCondition::Remaining { below, clears_at } => Condition::Remaining { share: below, clears_at },
            AlertCondition::Absence { silent_us, within_us } => Condition::Absence { silent_us, within_us },
        };
        // From the first grid point at which it holds to one that is so much later.
        let points = (alert.pending_us.max(0) as u64).div_ceil(pane_us.max(1) as u64) + 1;
        Rule { name: alert.name, severity, condition, pending_points: u32::try_from(points).unwrap_or(u32::MAX) }
    };
    definitions.alerts_of(slo, pane_us).into_iter().map(rule).collect()
}
