//! SLIs of every way of judging, and SLOs about them.

use streamgauge_definitions::{
    Aggregate, Bounds, Budgeting, CalendarUnit, Definitions, Empty, Failures, Measure, Rule, Service, Share, Sli,
    Slice, Slo, TimeWindow,
};
use streamgauge_events::topics;

pub const HOUR_US: i64 = 3_600_000_000;
pub const DAY_US: i64 = 24 * HOUR_US;

pub const fn share(numerator: u64, denominator: u64) -> Share {
    Share { numerator, denominator }
}

pub fn sli(service: &str, topic: &str, good: Measure) -> Sli {
    Sli {
        service: service.to_owned(),
        topic: topic.to_owned(),
        filter: None,
        group_by: std::collections::BTreeMap::new(),
        good,
    }
}

pub fn slo(service: &str, indicator: &str, target: Share, budgeting: Budgeting, window: TimeWindow) -> Slo {
    Slo {
        display_name: None,
        description: None,
        service: service.to_owned(),
        indicator: indicator.to_owned(),
        target,
        budgeting,
        alerts: None,
        window,
    }
}

pub const fn rolling(length_us: i64) -> TimeWindow {
    TimeWindow::Rolling { length_us }
}

pub fn slices(length_us: i64, empty: Empty, rule: Rule) -> Measure {
    Measure::Slice { slice: Slice { length_us, empty }, rule }
}

/// What a delta of an SLI carries beside its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    Counts,
    Threshold,
    Values,
}

/// Name, service, topic, what its deltas carry.
pub const SLIS: [(&str, &str, &str, Carries); 7] = [
    ("answers", "checkout", topics::REQUESTS, Carries::Counts),
    ("speed", "checkout", topics::REQUESTS, Carries::Threshold),
    ("fresh", "cart", topics::REQUESTS, Carries::Counts),
    ("busy", "cart", topics::REQUESTS, Carries::Counts),
    ("audits", "chat", topics::SCORES, Carries::Counts),
    ("tone", "chat", topics::SCORES, Carries::Values),
    ("load", "chat", topics::SCORES, Carries::Values),
];

pub const THRESHOLD_US: u64 = 250_000;

fn measure(sli: &str) -> Measure {
    let bounds = |at_least, at_most| Bounds { at_least, at_most };
    match sli {
        "speed" => {
            let rule = Rule::Percentile { quantile: share(9, 10), at_most_us: THRESHOLD_US };
            slices(60_000_000, Empty::Ignore, rule)
        }
        "fresh" => slices(30_000_000, Empty::Bad, Rule::Freshness { at_most_us: 60_000_000 }),
        "busy" => slices(40_000_000, Empty::Bad, Rule::Traffic(bounds(Some(1_000_000), None))),
        "tone" => slices(30_000_000, Empty::Good, Rule::Mean(bounds(Some(500_000), None))),
        "load" => {
            let rule =
                Rule::Saturation { aggregate: Aggregate::Quantile(share(1, 2)), bounds: bounds(None, Some(700_000)) };
            slices(20_000_000, Empty::Bad, rule)
        }
        "audits" => Measure::Counts,
        _ => Measure::Latency { threshold_us: THRESHOLD_US, failures: Failures::Bad, thresholds_us: Vec::new() },
    }
}

/// Name, SLI, target, budgeting and window of every SLO. Short windows, so that alarms come and go.
fn all() -> Vec<(&'static str, &'static str, Share, Budgeting, TimeWindow)> {
    let by_day = |time_zone: &str| TimeWindow::Calendar {
        unit: CalendarUnit::Days,
        count: 1,
        start: "2022-01-01".to_owned(),
        time_zone: time_zone.to_owned(),
    };
    vec![
        ("answers-day", "answers", share(9, 10), Budgeting::Occurrences, rolling(DAY_US)),
        ("answers-hour", "answers", share(99, 100), Budgeting::Occurrences, rolling(HOUR_US)),
        (
            "answers-slices",
            "answers",
            share(8, 10),
            Budgeting::Timeslices { target: share(9, 10), width_us: 60_000_000 },
            rolling(HOUR_US),
        ),
        (
            "answers-ratio",
            "answers",
            share(9, 10),
            Budgeting::RatioTimeslices { width_us: 30_000_000 },
            rolling(12 * HOUR_US),
        ),
        ("answers-today", "answers", share(95, 100), Budgeting::Occurrences, by_day("Asia/Kathmandu")),
        ("speed-day", "speed", share(9, 10), Budgeting::Occurrences, rolling(DAY_US)),
        ("fresh-hour", "fresh", share(9, 10), Budgeting::Occurrences, rolling(HOUR_US)),
        ("busy-hour", "busy", share(8, 10), Budgeting::Occurrences, rolling(HOUR_US)),
        ("audits-day", "audits", share(9, 10), Budgeting::Occurrences, by_day("UTC")),
        ("tone-hour", "tone", share(9, 10), Budgeting::Occurrences, rolling(HOUR_US)),
        ("load-day", "load", share(9, 10), Budgeting::Occurrences, rolling(DAY_US)),
    ]
}

/// Definitions with the SLOs of these names, or with all.
pub fn definitions(only: Option<&[&str]>) -> Definitions {
    let mut definitions = Definitions::default();
    for (name, service, topic, _) in SLIS {
        definitions.services.insert(service.to_owned(), Service::default());
        definitions.slis.insert(name.to_owned(), sli(service, topic, measure(name)));
    }
    for (name, indicator, target, budgeting, window) in all() {
        if only.is_none_or(|only| only.contains(&name)) {
            let service = definitions.slis[indicator].service.clone();
            definitions.slos.insert(name.to_owned(), slo(&service, indicator, target, budgeting, window));
        }
    }
    definitions
}
