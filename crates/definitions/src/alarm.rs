//! Alarms as values: when somebody is to be told of an objective, how urgently, and who.

use serde::{Deserialize, Serialize};
use streamgauge_events::Kind;
use streamgauge_slo::burn::tiers_of;
use streamgauge_slo::{Fraction, Severity};

use crate::model::{Definitions, Sli};
use crate::objective::Slo;
use crate::scalar::duration_text;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRule {
    /// That of its policy; no other alarm of the objective has it.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub severity: Severity,
    pub condition: AlertCondition,
    /// For so long the condition must hold before it fires.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pending_us: i64,
    /// Names of notification targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertCondition {
    /// The budget burns faster than `factor` in both windows.
    Burn { factor: Fraction, long_us: i64, short_us: i64 },
    /// Less than `below` of the budget remains, or nothing where `below` is 0; until `clears_at` or more remains again.
    Remaining { below: Fraction, clears_at: Fraction },
    /// There was traffic in the last `within_us`, and none in the last `silent_us`.
    Absence { silent_us: i64, within_us: i64 },
}

/// Whom an alarm names. Where that is, and by which secret it is reached, stands in the settings of who delivers alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationTarget {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What kind of thing it is, such as `email` or `slack`.
    pub target: String,
}

fn is_zero(us: &i64) -> bool {
    *us == 0
}

/// Below this share the budget is low, and is no longer where so much remains again.
const LOW: (Fraction, Fraction) = (Fraction::new(1, 10), Fraction::new(15, 100));
/// Where nothing remains the budget is exhausted; until so much remains again.
const EXHAUSTED: (Fraction, Fraction) = (Fraction::ZERO, Fraction::new(5, 100));
/// A service that was asked within a day, and for so long not at all, has lost its callers or its events.
pub(crate) const ABSENCE: AlertCondition = AlertCondition::Absence { silent_us: 60_000_000, within_us: 86_400_000_000 };

impl Definitions {
    /// The alarms of an objective: its own, or those that every objective has whose document names none.
    pub fn alerts_of(&self, slo: &Slo, pane_us: i64) -> Vec<AlertRule> {
        slo.alerts.clone().unwrap_or_else(|| self.default_alerts(slo, pane_us))
    }

    fn default_alerts(&self, slo: &Slo, pane_us: i64) -> Vec<AlertRule> {
        let rule = |name: &str, severity, condition| AlertRule {
            name: name.to_owned(),
            description: None,
            severity,
            condition,
            pending_us: 0,
            targets: Vec::new(),
        };
        let mut rules = Vec::new();
        for tier in tiers_of(slo.window.nominal_us(), pane_us) {
            let name = format!("burn-{}-{}", duration_text(tier.long_us), duration_text(tier.short_us));
            let (factor, long_us, short_us) = (tier.factor, tier.long_us, tier.short_us);
            rules.push(rule(&name, tier.severity, AlertCondition::Burn { factor, long_us, short_us }));
        }
        for (name, severity, (below, clears_at)) in
            [("budget-low", Severity::Major, LOW), ("budget-exhausted", Severity::Critical, EXHAUSTED)]
        {
            rules.push(rule(name, severity, AlertCondition::Remaining { below, clears_at }));
        }
        if self.watches_for_silence(slo) {
            rules.push(rule("absence", Severity::Critical, ABSENCE));
        }
        rules
    }

    /// One objective of a service does, so that one outage pages once: the first by name over all of the service's requests, or
    /// over some of them where none is over all.
    fn watches_for_silence(&self, slo: &Slo) -> bool {
        let candidates = self.slos.iter().filter_map(|(name, other)| {
            let sli = self.slis.get(&other.indicator)?;
            let may = other.service == slo.service && other.alerts.is_none() && self.counts_requests(sli);
            may.then_some((sli.filter.is_some(), name, other))
        });
        candidates.min_by_key(|(is_filtered, name, _)| (*is_filtered, *name)).is_some_and(|(_, _, first)| first == slo)
    }

    /// Requests are expected all the time; scores, samples and slices come when they come.
    fn counts_requests(&self, sli: &Sli) -> bool {
        let source = self.source(&sli.topic);
        source.is_some_and(|source| source.event == Kind::Request) && sli.good.slice().is_none()
    }
}
