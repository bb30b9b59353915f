//! What the windows show: per service, and beside each planted fault. This is also the form of `--json`.

use std::collections::BTreeMap;

use serde::Serialize;
use streamgauge_events::{EventTime, Reason};
use streamgauge_synthetic::Planted;
use streamgauge_windows::window::rfc3339_text;
use streamgauge_windows::{Label, Level, Query, Window};

use super::play::Played;
use super::promises::{self, PromiseSeen};
use crate::verify::judge::{Verdict, judge};

/// Columns of the chart of a service.
const CHART_COLUMNS: i64 = 24;
/// Lengths in which a fault is looked at, in seconds; at least five fit into it.
const LOOK_SECS: [i64; 10] = [3600, 1800, 900, 600, 300, 120, 60, 30, 20, 10];
const LOOKS_MIN: i64 = 5;

#[derive(Debug, Serialize)]
pub struct Seen {
    pub seed: u64,
    pub scenario: String,
    pub start: String,
    pub end: String,
    pub services: Vec<ServiceSeen>,
    pub planted: Vec<FaultSeen>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promises: Vec<PromiseSeen>,
    pub dead_letters: BTreeMap<Reason, u64>,
    pub truth: TruthSeen,
    pub audit: AuditSeen,
    /// Scenario time, microseconds since the epoch, half-open.
    #[serde(skip)]
    pub span: (i64, i64),
    #[serde(skip)]
    pub problems: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct ServiceSeen {
    pub service: String,
    pub requests: u64,
    pub failed: u64,
    pub rate_per_sec: f64,
    pub error_share: f64,
    pub p50_us: Option<u64>,
    pub p95_us: Option<u64>,
    pub p99_us: Option<u64>,
    /// Requests over the run, in equal steps.
    #[serde(skip)]
    pub chart: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub struct FaultSeen {
    pub kind: String,
    pub service: Option<String>,
    pub route: Option<String>,
    pub version: Option<String>,
    pub start: String,
    pub end: String,
    pub expect: String,
    pub windows: Shown,
    #[serde(skip)]
    pub span: (i64, i64),
}

/// The windows around a fault. Latency is the median of the windows' p95.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub window_secs: i64,
    /// The longest run of bad windows, where there is one.
    pub start: Option<String>,
    pub end: Option<String>,
    pub during: Measured,
    pub otherwise: Measured,
    #[serde(skip)]
    pub found: Option<(i64, i64)>,
    #[serde(skip)]
    pub chart: Chart,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Measured {
    pub requests: u64,
    pub failed: u64,
    pub error_share: f64,
    pub p95_us: Option<u64>,
}

/// The values of consecutive windows from one fault's length before it to one behind it.
#[derive(Debug, Default)]
pub struct Chart {
    pub from_us: i64,
    pub to_us: i64,
    pub values: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub struct TruthSeen {
    pub cells_compared: u64,
    pub differences: u64,
}

#[derive(Debug, Serialize)]
pub struct AuditSeen {
    pub clean: bool,
    pub produced: u64,
    pub counted: u64,
    pub dead_lettered: u64,
    pub lost: u64,
    pub repeated: u64,
    pub open: u64,
    /// Records found in the input log.
    pub source_checked: u64,
}

impl Seen {
    pub fn of(played: &Played) -> anyhow::Result<Self> {
        let start_us = played.scenario.start_us();
        let span = (start_us, start_us + played.scenario.duration_secs() as i64 * 1_000_000);
        let verdict = judge(&played.truth, &played.fold, &played.dead_letters, 10);
        let planted = played.scenario.planted(start_us);
        let audit = &played.audit;
        let mut problems: Vec<String> = audit.problems.iter().map(ToString::to_string).collect();
        problems.extend(differences(&verdict));
        Ok(Self {
            seed: played.seed,
            scenario: played.scenario.name().to_owned(),
            start: rfc3339_text(EventTime(span.0)),
            end: rfc3339_text(EventTime(span.1)),
            services: services(played, span)?,
            planted: planted.iter().map(|fault| fault_seen(played, span, fault)).collect::<anyhow::Result<_>>()?,
            promises: promises::seen(&played.objectives, &played.alerts),
            dead_letters: played.dead_letters.clone(),
            truth: TruthSeen { cells_compared: verdict.cells_compared(), differences: verdict.differences_total() },
            audit: AuditSeen {
                clean: audit.clean,
                produced: audit.produced,
                counted: audit.counted,
                dead_lettered: audit.dead_lettered,
                lost: audit.lost,
                repeated: audit.repeated,
                open: audit.open,
                source_checked: audit.source_checked.unwrap_or(0),
            },
            span,
            problems,
        })
    }

    /// Every record counted once, and every count right.
    pub fn is_right(&self) -> bool {
        self.audit.clean
            && self.truth.differences == 0
            && self.audit.open == 0
            && self.audit.source_checked == self.audit.produced
    }
}

fn differences(verdict: &Verdict) -> Vec<String> {
    verdict.comparisons().flat_map(|comparison| comparison.differences.iter().map(ToString::to_string)).collect()
}

fn query(length_us: i64, by: &[Label]) -> Query {
    let (by, levels) = (Some(by.to_vec()), Level::defaults());
    Query {
        length_us,
        by,
        sli: Some(streamgauge_windows::GOLDEN.to_owned()),
        service: None,
        from: None,
        to: None,
        levels,
    }
}

fn services(played: &Played, span: (i64, i64)) -> anyhow::Result<Vec<ServiceSeen>> {
    let pane_us = played.truth.parameters.pane_us;
    let panes = || played.truth.panes.keys().copied();
    let (first, last) = (panes().min().unwrap_or(span.0), panes().max().unwrap_or(span.0));
    let whole = query(covering(pane_us, first, last), &[Label::Service]).windows(&played.fold)?;
    let column_us = ((span.1 - span.0) / CHART_COLUMNS).max(pane_us).div_ceil_multiple(pane_us);
    let columns = query(column_us, &[Label::Service]).windows(&played.fold)?;
    let secs = (span.1 - span.0) as f64 / 1e6;
    let first_us = EventTime(span.0).floor(column_us).0;
    let columns_count = (span.1 - first_us).div_ceil_multiple(column_us) / column_us;
    let mut services: BTreeMap<String, ServiceSeen> = BTreeMap::new();
    for window in &whole {
        let service = name_of(window);
        let quantile = |name: &str| upper_us(window, name);
        services.insert(
            service.clone(),
            ServiceSeen {
                service,
                requests: window.total,
                failed: window.failed,
                rate_per_sec: round(window.total as f64 / secs, 3),
                error_share: share(window.failed, window.total),
                p50_us: quantile("p50"),
                p95_us: quantile("p95"),
                p99_us: quantile("p99"),
                chart: vec![0; columns_count as usize],
            },
        );
    }
    for window in &columns {
        let column = usize::try_from((window.start.0 - first_us).div_euclid(column_us)).ok();
        if let (Some(service), Some(column)) = (services.get_mut(&name_of(window)), column)
            && let Some(place) = service.chart.get_mut(column)
        {
            *place += window.total;
        }
    }
    let mut services: Vec<ServiceSeen> = services.into_values().collect();
    services.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.service.cmp(&b.service)));
    Ok(services)
}

/// A multiple of panes whose window holds both.
fn covering(pane_us: i64, first_us: i64, last_us: i64) -> i64 {
    let mut length_us = pane_us;
    // Two instants on two sides of the epoch never share a window; no scenario starts before it.
    while EventTime(first_us).floor(length_us) != EventTime(last_us).floor(length_us) && length_us < i64::MAX / 4 {
        length_us *= 2;
    }
    length_us
}

fn name_of(window: &Window) -> String {
    window.labels.get("service").cloned().unwrap_or_default()
}

fn upper_us(window: &Window, name: &str) -> Option<u64> {
    window.quantiles.iter().find(|(found, _)| found == name).and_then(|(_, bounds)| bounds.upper)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { round(part as f64 / whole as f64, 6) }
}

/// Short in JSON; the exact counts stand beside it.
fn round(value: f64, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (value * scale).round() / scale
}

trait Multiple {
    fn div_ceil_multiple(self, step: i64) -> i64;
}

impl Multiple for i64 {
    /// The smallest multiple of `step` not below this.
    fn div_ceil_multiple(self, step: i64) -> i64 {
        (self + step - 1).div_euclid(step) * step
    }
}

// ---- faults

fn fault_seen(played: &Played, span: (i64, i64), fault: &Planted) -> anyhow::Result<FaultSeen> {
    let length_us = look_us(fault, played.truth.parameters.pane_us);
    let looks = looks(played, span, fault, length_us)?;
    let inside = |look: &&Look| (fault.start_us..fault.end_us).contains(&look.start_us);
    let during = measured(looks.values().filter(inside), |look| look.narrow);
    let otherwise = measured(looks.values().filter(|look| !inside(look)), |look| look.wide);
    let badness = Badness::of(fault, &during, &otherwise);
    let bad: Vec<i64> = looks.values().filter(|look| badness.holds(look)).map(|look| look.start_us).collect();
    let found = longest_run(&bad, length_us);
    let time = |us: i64| rfc3339_text(EventTime(us));
    let reach = fault.end_us - fault.start_us;
    let around = (fault.start_us - reach).max(span.0)..(fault.end_us + reach).min(span.1);
    let charted: Vec<&Look> = looks.values().filter(|look| around.contains(&look.start_us)).collect();
    let chart = Chart {
        from_us: charted.first().map_or(around.start, |look| look.start_us),
        to_us: charted.last().map_or(around.end, |look| look.start_us + length_us),
        values: charted.iter().map(|look| badness.height(look)).collect(),
    };
    Ok(FaultSeen {
        kind: fault.kind.clone(),
        service: fault.service.clone(),
        route: fault.route.clone(),
        version: fault.version.clone(),
        start: time(fault.start_us),
        end: time(fault.end_us),
        expect: fault.expect.clone(),
        span: (fault.start_us, fault.end_us),
        windows: Shown {
            window_secs: length_us / 1_000_000,
            start: found.map(|(start, _)| time(start)),
            end: found.map(|(_, end)| time(end)),
            during,
            otherwise,
            found,
            chart,
        },
    })
}

/// The longest window of which some fit into the fault, best one that begins and ends with it.
fn look_us(fault: &Planted, pane_us: i64) -> i64 {
    let span_us = fault.end_us - fault.start_us;
    let fits = |us: &i64| us % pane_us == 0 && us * LOOKS_MIN <= span_us;
    let lengths = || LOOK_SECS.into_iter().map(|secs| secs * 1_000_000).filter(fits);
    let even = lengths().find(|us| fault.start_us % us == 0 && span_us % us == 0);
    even.or_else(|| lengths().next()).unwrap_or(pane_us)
}

/// One window: the fault's own series (version, route), and the whole service.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    start_us: i64,
    narrow: Numbers,
    wide: Numbers,
}

#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    requests: u64,
    failed: u64,
    p95_us: Option<u64>,
}

/// Every window of the run, also those without any request.
fn looks(played: &Played, span: (i64, i64), fault: &Planted, length_us: i64) -> anyhow::Result<BTreeMap<i64, Look>> {
    let first_us = EventTime(span.0).floor(length_us).0;
    let starts = (0..).map(|index| first_us + index * length_us).take_while(|start| *start < span.1);
    let mut looks: BTreeMap<i64, Look> =
        starts.map(|start_us| (start_us, Look { start_us, ..Look::default() })).collect();
    let named = |name: &str| Label::Named(name.to_owned());
    let narrow = match (&fault.route, &fault.version) {
        (Some(route), _) => Some((named("route"), route)),
        (None, Some(version)) => Some((named("version"), version)),
        (None, None) => None,
    };
    for (labels, is_narrow) in [(Vec::new(), false), (narrow.iter().map(|(label, _)| label.clone()).collect(), true)] {
        let query = Query { service: fault.service.clone(), ..query(length_us, &labels) };
        for window in query.windows(&played.fold)? {
            let other = narrow.as_ref().is_some_and(|(label, value)| window.labels.get(label.as_str()) != Some(*value));
            let Some(look) = looks.get_mut(&window.start.0).filter(|_| !(is_narrow && other)) else { continue };
            let place = if is_narrow { &mut look.narrow } else { &mut look.wide };
            *place = Numbers { requests: window.total, failed: window.failed, p95_us: upper_us(&window, "p95") };
        }
    }
    Ok(looks)
}

fn measured<'a>(looks: impl Iterator<Item = &'a Look>, pick: impl Fn(&Look) -> Numbers) -> Measured {
    let (mut measured, mut p95) = (Measured::default(), Vec::new());
    for numbers in looks.map(pick) {
        measured.requests += numbers.requests;
        measured.failed += numbers.failed;
        p95.extend(numbers.p95_us);
    }
    p95.sort_unstable();
    measured.p95_us = p95.get(p95.len() / 2).copied();
    measured.error_share = share(measured.failed, measured.requests);
    measured
}

/// What makes a window a bad one: half way between what it is during the fault and otherwise.
enum Badness {
    FailedShare { above: f64 },
    P95 { above_us: u64 },
    Silence,
}

impl Badness {
    fn of(fault: &Planted, during: &Measured, otherwise: &Measured) -> Self {
        match fault.kind.as_str() {
            "outage" => Self::Silence,
            "slow_dependency" => {
                Self::P95 { above_us: during.p95_us.unwrap_or(0).midpoint(otherwise.p95_us.unwrap_or(0)) }
            }
            _ => Self::FailedShare { above: (during.error_share + otherwise.error_share) / 2.0 },
        }
    }

    fn holds(&self, look: &Look) -> bool {
        match self {
            Self::FailedShare { above } => share(look.narrow.failed, look.narrow.requests) > *above,
            Self::P95 { above_us } => look.narrow.p95_us.is_some_and(|us| us > *above_us),
            Self::Silence => look.narrow.requests == 0,
        }
    }

    fn height(&self, look: &Look) -> u64 {
        match self {
            Self::FailedShare { .. } => (share(look.narrow.failed, look.narrow.requests) * 1e6) as u64,
            Self::P95 { .. } => look.narrow.p95_us.unwrap_or(0),
            Self::Silence => look.narrow.requests,
        }
    }
}

/// The longest run of windows, [start, end); one window between two bad ones may look well.
fn longest_run(bad: &[i64], length_us: i64) -> Option<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for start in bad {
        match runs.last_mut() {
            Some(run) if start - run.1 <= length_us => run.1 = start + length_us,
            _ => runs.push((*start, start + length_us)),
        }
    }
    runs.into_iter().max_by_key(|(start, end)| (end - start, -start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_run_bridges_one_good_window() {
        for (bad, expected) in [
            (&[][..], None),
            (&[50], Some((50, 60))),
            (&[0, 20, 30], Some((0, 40))),
            (&[0, 30, 40], Some((30, 50))),
            (&[0, 10, 50, 60], Some((0, 20))),
        ] {
            assert_eq!(longest_run(bad, 10), expected, "{bad:?}");
        }
    }

    #[test]
    fn a_fault_is_looked_at_in_windows_that_begin_and_end_with_it() {
        const S: i64 = 1_000_000;
        for (start_secs, duration_secs, expected_secs) in
            [(37_800, 2400, 300), (51_300, 4500, 900), (72_300, 1500, 300), (7, 333, 60), (0, 30, 10)]
        {
            let fault = Planted {
                kind: "outage".to_owned(),
                service: None,
                route: None,
                version: None,
                start_us: start_secs * S,
                end_us: (start_secs + duration_secs) * S,
                expect: String::new(),
            };
            assert_eq!(look_us(&fault, 10 * S), expected_secs * S, "{start_secs} s + {duration_secs} s");
        }
    }

    #[test]
    fn one_window_covers_all_panes() {
        for (first, last) in [(0, 0), (10, 20), (990, 1010), (1_767_571_190, 1_767_657_600)] {
            let length = covering(10, first, last);
            assert_eq!(length % 10, 0);
            assert_eq!(EventTime(first).floor(length), EventTime(last).floor(length), "{first} to {last}");
        }
    }
}
