//! What `/metrics` says of objectives. Names are stable: dashboards and other people's rules ask for them.

use prometheus_client::metrics::MetricType::{Counter, Gauge};
use streamgauge_stage_slo::{ObjectiveStanding, Objectives, WindowCounts};

use crate::serve::Family;
use crate::serve::metrics::Samples;

pub const EVENTS: &str = "slo_events";
pub const BUDGET_REMAINING: &str = "slo_budget_remaining_ratio";
pub const BURN_RATE: &str = "slo_burn_rate";
pub const ALERT_FIRING: &str = "slo_alert_firing";
pub const EVALUATED_UNTIL: &str = "slo_evaluated_until_seconds";

/// Of the objectives that this worker follows.
pub fn families<'o>(partitions: impl Iterator<Item = &'o Objectives>) -> Vec<Family> {
    let (mut standings, mut evaluated) = (Vec::new(), Samples::new());
    for objectives in partitions {
        standings.extend(objectives.standings().into_iter().filter(|standing| standing.span.is_some()));
        for (topic, until) in objectives.evaluated_until() {
            evaluated.push((vec![("topic".to_owned(), topic.to_owned())], until.0 as f64 / 1e6));
        }
    }
    // A topic is as far as the partition of facts in which it is least far.
    evaluated.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    evaluated.dedup_by(|later, first| later.0 == first.0);
    let each = |value: &dyn Fn(&ObjectiveStanding) -> Vec<Value>| -> Samples {
        let of = |standing: &ObjectiveStanding| {
            let base = labels(standing);
            let more = value(standing).into_iter().map(move |(more, value)| {
                let more = more.into_iter().map(|(name, value)| (name.to_owned(), value));
                (base.iter().cloned().chain(more).collect(), value)
            });
            more.collect::<Vec<_>>()
        };
        standings.iter().flat_map(of).collect()
    };
    let counted = each(&|standing| {
        [("good", standing.good_total), ("bad", standing.bad_total)]
            .map(|(outcome, count)| (vec![("outcome", outcome.to_owned())], count as f64))
            .into()
    });
    let remaining = each(&|standing| standing.remaining.map(|share| (Vec::new(), share)).into_iter().collect());
    let burn = each(&|standing| {
        let mut samples = Vec::new();
        for rule in &standing.rules {
            let mut add = |window: &str, counts: Option<WindowCounts>| {
                if let Some(burn) = counts.and_then(|counts| counts.burn) {
                    samples.push((vec![("rule", rule.rule.clone()), ("window", window.to_owned())], burn));
                }
            };
            add("long", rule.long);
            add("short", rule.short);
        }
        samples
    });
    let firing = each(&|standing| {
        let sample = |rule: &streamgauge_stage_slo::RuleStanding| {
            let labels = vec![("rule", rule.rule.clone()), ("severity", rule.severity.as_str().to_owned())];
            (labels, f64::from(u8::from(rule.alert.is_firing())))
        };
        standing.rules.iter().map(sample).collect()
    });
    vec![
        (EVENTS, "Events, or slices, that an SLO has counted, by outcome", Counter, counted),
        (BUDGET_REMAINING, "Share of the error budget that is left; below 0 it is overdrawn", Gauge, remaining),
        (BURN_RATE, "Share of bad ones beside the share that the target allows, by rule and window", Gauge, burn),
        (ALERT_FIRING, "1: the alarm is firing", Gauge, firing),
        (EVALUATED_UNTIL, "Event time up to which everything was evaluated", Gauge, evaluated),
    ]
}

/// What is said of an objective: labels beside its own, and the value.
type Value = (Vec<(&'static str, String)>, f64);

fn labels(standing: &ObjectiveStanding) -> Vec<(String, String)> {
    let mut labels = vec![("service".to_owned(), standing.service.clone()), ("slo".to_owned(), standing.slo.clone())];
    if !standing.tenant.is_empty() {
        labels.push(("tenant".to_owned(), standing.tenant.clone()));
    }
    labels
}
