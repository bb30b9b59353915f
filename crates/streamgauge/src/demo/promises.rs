//! What the promises of the day came to: each SLO with its budget, and the alarms that fired. Also a part of `--json`.

use std::collections::BTreeMap;

use serde::Serialize;
use streamgauge_events::EventTime;
use streamgauge_slo::{Severity, Transition};
use streamgauge_stage_slo::{AlertRecord, ObjectiveStanding, Objectives};
use streamgauge_windows::window::rfc3339_text;

#[derive(Debug, Serialize)]
pub struct PromiseSeen {
    pub slo: String,
    pub service: String,
    pub target: String,
    pub window: String,
    pub bad: i128,
    pub total: i128,
    pub budget_left: Option<f64>,
    pub alerts: Vec<AlertSeen>,
}

/// An alarm from its firing to its end.
#[derive(Debug, Serialize)]
pub struct AlertSeen {
    pub rule: String,
    pub severity: Severity,
    pub fired: String,
    /// Absent while it fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    #[serde(skip)]
    pub span: (EventTime, Option<EventTime>),
}

/// By name. Each lane of facts has an `Objectives` of its own; an objective is in the one that has counted something of it.
pub fn seen(lanes: &[Objectives], alerts: &[AlertRecord]) -> Vec<PromiseSeen> {
    let mut standings: BTreeMap<String, ObjectiveStanding> = BTreeMap::new();
    for standing in lanes.iter().flat_map(Objectives::standings) {
        if standings.get(&standing.slo).is_none_or(|known| known.span.is_none()) {
            standings.insert(standing.slo.clone(), standing);
        }
    }
    standings
        .into_values()
        .map(|standing| PromiseSeen {
            alerts: firings(alerts.iter().filter(|alert| alert.slo == standing.slo)),
            slo: standing.slo,
            service: standing.service,
            target: standing.target,
            window: standing.window,
            bad: standing.counted.bad,
            total: standing.counted.total,
            budget_left: standing.remaining,
        })
        .collect()
}

fn firings<'a>(alerts: impl Iterator<Item = &'a AlertRecord>) -> Vec<AlertSeen> {
    let mut seen: Vec<AlertSeen> = Vec::new();
    for alert in alerts {
        match alert.transition {
            Transition::Fired => seen.push(AlertSeen {
                rule: alert.rule.clone(),
                severity: alert.severity,
                fired: rfc3339_text(alert.at),
                resolved: None,
                span: (alert.at, None),
            }),
            Transition::Resolved => {
                let open = seen.iter_mut().find(|known| known.rule == alert.rule && known.resolved.is_none());
                if let Some(known) = open {
                    known.resolved = Some(rfc3339_text(alert.at));
                    known.span.1 = Some(alert.at);
                }
            }
            Transition::Pending | Transition::Dropped => {}
        }
    }
    seen
}
