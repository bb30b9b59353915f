//! A scenario made ready for drawing: tables for choice and latency, names as JSON, the list of series.

use std::collections::BTreeMap;

use crate::latency::{LATENCY_US_MAX, Quantiles};
use crate::random::{Choice, Share, SplitMix64};
use crate::record::{Breakage, Kind};
use crate::scenario::{Delay, Fault, Latency, Route, Scenario, Service, Weighted};
use crate::truth::Series;

/// Latency factors are fixed point, 1/65536.
const FACTOR_BITS: u32 = 16;

pub struct Plan {
    pub series: Vec<Series>,
    pub endpoints: Vec<Endpoint>,
    pub endpoint_choice: Choice,
    pub services: Vec<ServicePlan>,
    pub latencies: Vec<LatencyPlan>,
    pub tenants: Names,
    pub places: Names,
    pub fates: Vec<Fate>,
    pub customers: Option<Choice>,
    pub without_latency: Share,
}

/// One route (or one copy of it) of one service.
pub struct Endpoint {
    pub service: u32,
    /// Of the route among those that the scenario declares for the service, for faults that name one.
    pub route: u32,
    pub latency: u32,
    pub error: Share,
    /// `,"method":…,"route":…`
    pub json: String,
    /// Series by tenant, then version.
    pub series: Vec<u32>,
}

pub struct ServicePlan {
    pub json: String,
    pub versions_json: Vec<String>,
    /// Among the declared versions; those of bad deployments come only with their fault.
    pub version_choice: Choice,
    pub client_error: Share,
    pub faults: Vec<FaultPlan>,
}

/// A fault of one service, in microseconds of scenario time.
pub struct FaultPlan {
    from_us: i64,
    to_us: i64,
    effect: Effect,
}

enum Effect {
    Outage,
    Deployment {
        version: u32,
        traffic: Share,
        error: Share,
        factor: u64,
    },
    Slow {
        error: Share,
        factor: u64,
    },
    /// Of the routes with these indices; of all where there are none.
    Errors {
        routes: Vec<u32>,
        error: Share,
    },
}

/// What the faults that are active make of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub version: u32,
    pub failed: bool,
    factor: u64,
}

pub struct LatencyPlan {
    body: Quantiles,
    slow: Option<(Share, Quantiles)>,
}

/// A weighted list of JSON fragments; a single empty one where the scenario names none.
pub struct Names {
    pub json: Vec<String>,
    choice: Choice,
}

/// What may become of a record, and the draw below which it does.
pub struct Fate {
    below: f64,
    share: Share,
    pub kind: Kind,
    delay_us: (i64, i64),
}

impl Plan {
    pub fn new(scenario: &Scenario) -> Self {
        let mut builder = Builder {
            scenario,
            index: BTreeMap::new(),
            series: vec![],
            latencies: vec![],
            endpoints: vec![],
            weights: vec![],
        };
        let services = (0..scenario.services.len()).map(|index| builder.service(index)).collect();
        let Builder { series, latencies, endpoints, weights, .. } = builder;
        Self {
            series,
            endpoint_choice: Choice::new(&weights),
            endpoints,
            services,
            latencies,
            tenants: Names::new(&scenario.tenants, |name| format!(",\"tenant\":{}", json(name))),
            places: places(scenario),
            fates: fates(scenario),
            without_latency: Share::new(scenario.without_latency_share),
            customers: scenario.keys.as_ref().map(|keys| zipf(keys.distinct, keys.zipf_exponent)),
        }
    }

    /// The kind of the next record and by how much its time lies before its arrival.
    pub fn fate(&self, random: &mut SplitMix64) -> (Kind, i64) {
        let draw = random.next_u64();
        let Some(fate) = self.fates.iter().find(|fate| fate.share.holds(draw)) else { return (Kind::OnTime, 0) };
        let (min_us, max_us) = fate.delay_us;
        (fate.kind, min_us + random.below((max_us - min_us + 1) as u64) as i64)
    }
}

struct Builder<'a> {
    scenario: &'a Scenario,
    index: BTreeMap<Series, u32>,
    series: Vec<Series>,
    latencies: Vec<LatencyPlan>,
    endpoints: Vec<Endpoint>,
    weights: Vec<f64>,
}

impl Builder<'_> {
    fn service(&mut self, index: usize) -> ServicePlan {
        let service = &self.scenario.services[index];
        let mut versions: Vec<String> = service.versions.iter().map(|version| version.version.clone()).collect();
        let weights: Vec<f64> = service.versions.iter().map(|version| version.weight).collect();
        let faults = self
            .scenario
            .faults
            .iter()
            .filter(|fault| fault.service().is_none_or(|name| name == service.service))
            .map(|fault| FaultPlan::new(fault, service, &mut versions))
            .collect();
        let latency = self.latency(&service.latency);
        let routes_weight: f64 = service.routes.iter().map(|route| route.weight).sum();
        for (route_index, route) in service.routes.iter().enumerate() {
            let latency = route.latency.as_ref().map_or(latency, |latency| self.latency(latency));
            let weight = service.weight * route.weight / routes_weight / f64::from(route.copies);
            for copy in 1..=route.copies {
                let endpoint = self.endpoint((index, service), (route_index, route), copy, &versions);
                self.endpoints.push(Endpoint { latency, ..endpoint });
                self.weights.push(weight);
            }
        }
        ServicePlan {
            json: json(&service.service),
            versions_json: versions.iter().map(|version| json(version)).collect(),
            version_choice: Choice::new(&weights),
            client_error: Share::new(service.client_error_share),
            faults,
        }
    }

    fn endpoint(
        &mut self,
        (service_index, service): (usize, &Service),
        (route_index, route): (usize, &Route),
        copy: u32,
        versions: &[String],
    ) -> Endpoint {
        let path = if route.copies == 1 { route.route.clone() } else { format!("{}/{copy}", route.route) };
        let none = [String::new()];
        let tenants: Vec<&String> = match self.scenario.tenants.as_slice() {
            [] => none.iter().collect(),
            tenants => tenants.iter().map(|tenant| &tenant.name).collect(),
        };
        let mut series = Vec::new();
        for tenant in tenants {
            for version in versions {
                series.push(self.series_of(Series {
                    tenant: tenant.clone(),
                    service: service.service.clone(),
                    route: path.clone(),
                    version: version.clone(),
                }));
            }
        }
        Endpoint {
            service: service_index as u32,
            route: route_index as u32,
            latency: 0,
            error: Share::new(route.error_share.unwrap_or(service.error_share)),
            json: format!(",\"method\":{},\"route\":{}", json(&route.method), json(&path)),
            series,
        }
    }

    /// Two methods of one route are one series.
    fn series_of(&mut self, series: Series) -> u32 {
        let next = self.series.len() as u32;
        *self.index.entry(series).or_insert_with_key(|series| {
            self.series.push(series.clone());
            next
        })
    }

    fn latency(&mut self, latency: &Latency) -> u32 {
        let slow = latency.slow.as_ref();
        self.latencies.push(LatencyPlan {
            body: Quantiles::lognormal_us(latency.p50_us, latency.p95_us),
            slow: slow.map(|slow| (Share::new(slow.share), Quantiles::lognormal_us(slow.p50_us, slow.p95_us))),
        });
        self.latencies.len() as u32 - 1
    }
}

impl FaultPlan {
    /// Adds the version of a bad deployment to `versions` where it is new.
    fn new(fault: &Fault, service: &Service, versions: &mut Vec<String>) -> Self {
        let (from_secs, to_secs) = fault.span_secs();
        let fixed_point = |factor: f64| (factor * f64::from(1 << FACTOR_BITS)).round() as u64;
        let effect = match fault {
            Fault::BadDeployment { version, traffic_share, error_share, latency_factor, .. } => {
                let known = versions.iter().position(|known| known == version).unwrap_or_else(|| {
                    versions.push(version.clone());
                    versions.len() - 1
                });
                Effect::Deployment {
                    version: known as u32,
                    traffic: Share::new(*traffic_share),
                    error: Share::new(*error_share),
                    factor: fixed_point(*latency_factor),
                }
            }
            Fault::SlowDependency { latency_factor, error_share, .. } => {
                Effect::Slow { error: Share::new(*error_share), factor: fixed_point(*latency_factor) }
            }
            Fault::Outage { .. } => Effect::Outage,
            Fault::ErrorBurst { route, error_share, .. } => {
                let affected = |(index, declared): (usize, &Route)| {
                    route.as_ref().is_some_and(|route| *route == declared.route).then_some(index as u32)
                };
                let routes = service.routes.iter().enumerate().filter_map(affected).collect();
                Effect::Errors { routes, error: Share::new(*error_share) }
            }
        };
        Self { from_us: from_secs as i64 * 1_000_000, to_us: to_secs as i64 * 1_000_000, effect }
    }
}

impl ServicePlan {
    /// The outcome of a request at `offset_us` of scenario time; `None` where the service sends nothing.
    pub fn outcome(&self, endpoint: &Endpoint, offset_us: i64, random: &mut SplitMix64) -> Option<Outcome> {
        let mut outcome = Outcome {
            version: self.version_choice.pick(random) as u32,
            failed: endpoint.error.hit(random),
            factor: 1 << FACTOR_BITS,
        };
        for fault in self.faults.iter().filter(|fault| (fault.from_us..fault.to_us).contains(&offset_us)) {
            match &fault.effect {
                Effect::Outage => return None,
                Effect::Deployment { version, traffic, error, factor } => {
                    if traffic.hit(random) {
                        outcome.version = *version;
                        outcome.failed |= error.hit(random);
                        outcome.slow_down(*factor);
                    }
                }
                Effect::Slow { error, factor } => {
                    outcome.failed |= error.hit(random);
                    outcome.slow_down(*factor);
                }
                Effect::Errors { routes, error } => {
                    if routes.is_empty() || routes.contains(&endpoint.route) {
                        outcome.failed |= error.hit(random);
                    }
                }
            }
        }
        Some(outcome)
    }
}

impl Outcome {
    fn slow_down(&mut self, factor: u64) {
        self.factor = ((u128::from(self.factor) * u128::from(factor)) >> FACTOR_BITS).min(1 << 40) as u64;
    }
}

impl LatencyPlan {
    pub fn sample_us(&self, outcome: Outcome, random: &mut SplitMix64) -> u64 {
        let quantiles = match &self.slow {
            Some((share, slow)) if share.hit(random) => slow,
            _ => &self.body,
        };
        let sampled = u128::from(quantiles.sample(random.next_u64()));
        ((sampled * u128::from(outcome.factor)) >> FACTOR_BITS).clamp(1, u128::from(LATENCY_US_MAX)) as u64
    }
}

impl Names {
    fn new(entries: &[Weighted], fragment: impl Fn(&str) -> String) -> Self {
        if entries.is_empty() {
            return Self { json: vec![String::new()], choice: Choice::new(&[1.0]) };
        }
        let weights: Vec<f64> = entries.iter().map(|entry| entry.weight).collect();
        Self { json: entries.iter().map(|entry| fragment(&entry.name)).collect(), choice: Choice::new(&weights) }
    }

    pub fn pick(&self, random: &mut SplitMix64) -> usize {
        if self.json.len() == 1 { 0 } else { self.choice.pick(random) }
    }
}

fn places(scenario: &Scenario) -> Names {
    let environment = scenario.environment.as_ref().map(|name| format!(",\"environment\":{}", json(name)));
    let environment = environment.unwrap_or_default();
    let mut places = Names::new(&scenario.regions, |name| format!(",\"region\":{}", json(name)));
    for place in &mut places.json {
        place.insert_str(0, &environment);
    }
    places
}

/// The shares of all fates, laid end to end, so that one draw decides among them.
fn fates(scenario: &Scenario) -> Vec<Fate> {
    let disorder = &scenario.disorder;
    let delays =
        [(Kind::Delayed, &disorder.delayed), (Kind::Late, &disorder.late), (Kind::TooLate, &disorder.too_late)];
    let delayed =
        delays.into_iter().filter_map(|(kind, delay)| delay.as_ref().map(|delay| (kind, delay.share, Some(delay))));
    let broken = scenario.broken.shares().into_iter().zip(Breakage::ALL);
    let broken = broken.map(|((_, share), breakage)| (Kind::Broken(breakage), share, None));
    let us = |secs: f64| (secs * 1e6).round() as i64;
    let mut fates: Vec<Fate> = Vec::new();
    for (kind, share, delay) in delayed.chain(broken).filter(|(_, share, _)| *share > 0.0) {
        let below = fates.last().map_or(0.0, |fate| fate.below) + share;
        let delay_us = delay.map_or((0, 0), |delay: &Delay| (us(delay.delay_secs_min), us(delay.delay_secs_max)));
        fates.push(Fate { below, share: Share::new(below.min(1.0)), kind, delay_us });
    }
    fates
}

fn zipf(distinct: u32, exponent: f64) -> Choice {
    use crate::maths::{exp, ln};
    let weights: Vec<f64> = (1..=distinct).map(|rank| exp(-exponent * ln(f64::from(rank)))).collect();
    Choice::new(&weights)
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("every string has a JSON form")
}
