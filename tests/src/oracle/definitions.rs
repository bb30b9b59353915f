//! The simulator's definitions (`sim/bundles.rs`) once more, in other words: predicates are functions.

use super::event::{Event, Kind};

/// A topic: what it holds, and the series that every event is counted in.
pub struct Topic {
    pub name: &'static str,
    pub kind: Kind,
    pub golden: Sli,
    /// Records are Avro.
    pub avro: bool,
}

pub struct Sli {
    pub name: &'static str,
    /// `None`: any.
    pub service: Option<&'static str>,
    /// By name, ascending, each with its declared values.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    pub keeps: Keeps,
    /// `None`: not counted.
    pub judge: fn(&Event) -> Option<Judged>,
}

/// What a series keeps beside counts.
#[derive(Clone, Copy, Default)]
pub struct Keeps {
    pub latency: bool,
    pub values: bool,
    pub thresholds_us: &'static [u64],
}

pub struct Judged {
    pub n: u64,
    pub good: u64,
    pub unjudged: u64,
}

const VALUES: Keeps = Keeps { latency: false, values: true, thresholds_us: &[] };
const COUNTS: Keeps = Keeps { latency: false, values: false, thresholds_us: &[] };

const fn latency(thresholds_us: &'static [u64]) -> Keeps {
    Keeps { latency: true, values: false, thresholds_us }
}

pub static TOPICS: [Topic; 3] = [
    Topic {
        name: "requests",
        kind: Kind::Request,
        golden: Sli {
            name: "requests",
            service: None,
            labels: &[("route", &[]), ("version", &[])],
            keeps: latency(&[]),
            judge: |event| judged(event.failed().map(|failed| !failed)),
        },
        avro: false,
    },
    Topic {
        name: "scores",
        kind: Kind::Score,
        golden: Sli {
            name: "scores",
            service: None,
            labels: &[("metric", &[]), ("version", &[])],
            keeps: VALUES,
            judge: |_| judged(Some(true)),
        },
        avro: false,
    },
    Topic {
        name: "machines",
        kind: Kind::Resource,
        golden: Sli {
            name: "resources",
            service: None,
            labels: &[("instance", &[]), ("metric", &[])],
            keeps: VALUES,
            judge: |_| judged(Some(true)),
        },
        avro: true,
    },
];

pub fn topic(name: &str) -> &'static Topic {
    TOPICS.iter().find(|topic| topic.name == name).expect("the simulator has no other topics")
}

pub fn services(bundle: usize) -> &'static [&'static str] {
    [&[][..], &["checkout"], &["checkout", "cart"], &["checkout", "cart"], &["checkout", "cart"]][bundle]
}

/// The writer schemas of `machines` that are defined, from 0 on.
pub fn schemas(bundle: usize) -> &'static [usize] {
    [&[][..], &[0], &[], &[0, 1], &[1, 2]][bundle]
}

fn judged(good: Option<bool>) -> Option<Judged> {
    Some(Judged { n: 1, good: u64::from(good == Some(true)), unjudged: u64::from(good.is_none()) })
}

fn is(event: &Event, name: &str, value: &str) -> bool {
    event.label(name) == Some(value)
}

/// Whether a request was quick enough, where failed ones are not.
fn within(event: &Event, threshold_us: i128) -> Option<Judged> {
    if event.failed() == Some(true) {
        return judged(Some(false));
    }
    judged(event.number("latency_us").map(|latency_us| latency_us <= threshold_us))
}

fn counted(event: &Event) -> Option<Judged> {
    let count = |name| event.number(name).unwrap_or(0) as u64;
    Some(Judged { n: count("total"), good: count("good"), unjudged: 0 })
}

fn has_value(event: &Event) -> Option<Judged> {
    let has = event.number("value").is_some();
    Some(Judged { n: 1, good: u64::from(has), unjudged: u64::from(!has) })
}

fn below_500(event: &Event) -> Option<Judged> {
    judged(event.number("status").map(|status| status < 500))
}

const fn of_checkout(
    name: &'static str,
    labels: &'static [(&'static str, &'static [&'static str])],
    keeps: Keeps,
    judge: fn(&Event) -> Option<Judged>,
) -> Sli {
    Sli { name, service: Some("checkout"), labels, keeps, judge }
}

const AVAILABLE: Sli = of_checkout("available", &[], COUNTS, below_500);
const PASSED: Sli = of_checkout("passed", &[("metric", &[])], COUNTS, counted);

/// The SLIs of a topic under each of the simulator's definitions.
pub fn slis(bundle: usize, topic: &str) -> Vec<Sli> {
    match (bundle, topic) {
        (1, "requests") => {
            vec![AVAILABLE, of_checkout("fast", &[], latency(&[300_000]), |event| within(event, 300_000))]
        }
        (1, "machines") => {
            vec![of_checkout(
                "load",
                &[],
                VALUES,
                |event| {
                    if is(event, "metric", "cpu") { has_value(event) } else { None }
                },
            )]
        }
        (2, "requests") => vec![
            of_checkout(
                "available",
                &[],
                COUNTS,
                |event| {
                    if is(event, "route", "/a") { below_500(event) } else { None }
                },
            ),
            of_checkout("fast", &[], latency(&[100_000, 250_000]), |event| {
                if event.failed() == Some(true) { None } else { within(event, 250_000) }
            }),
            of_checkout("by_route", &[("route", &["/a"])], COUNTS, below_500),
        ],
        (2, "scores") => vec![
            of_checkout("satisfied", &[], VALUES, |event| {
                if !is(event, "metric", "satisfaction") {
                    return None;
                }
                judged(event.number("value").map(|value| value >= 500_000))
            }),
            PASSED,
        ],
        (3, "requests") => vec![
            of_checkout("tail", &[], latency(&[250_000]), |event| within(event, 250_000)),
            of_checkout("by_plan", &[("attributes.plan", &["gold"]), ("version", &[])], COUNTS, |event| {
                judged(event.number("status").map(|status| status != 503))
            }),
        ],
        (3, "scores") => vec![
            of_checkout("satisfied", &[("metric", &[]), ("version", &["1"])], VALUES, |event| {
                judged(event.number("value").map(|value| value >= 700_000))
            }),
            of_checkout("quality", &[], VALUES, has_value),
        ],
        (3, "machines") => vec![
            of_checkout("load", &[("instance", &["i1"])], VALUES, |event| {
                if is(event, "metric", "cpu") { has_value(event) } else { None }
            }),
            Sli {
                name: "headroom",
                service: Some("cart"),
                labels: &[("instance", &[]), ("metric", &[])],
                keeps: VALUES,
                judge: |event| judged(event.number("value").map(|value| value < 900_000)),
            },
        ],
        (4, "requests") => vec![
            AVAILABLE,
            of_checkout("traffic", &[("version", &[])], COUNTS, |_| judged(Some(true))),
            of_checkout("fresh", &[], COUNTS, |event| {
                if is(event, "attributes.plan", "gold") { judged(Some(true)) } else { None }
            }),
        ],
        (4, "scores") => vec![PASSED],
        (4, "machines") => vec![of_checkout("load", &[("attributes.zone", &[]), ("instance", &[])], VALUES, has_value)],
        _ => Vec::new(),
    }
}
