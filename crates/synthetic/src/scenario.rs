//! The scenario file: what a synthetic system looks like, and what goes wrong in it.
//!
//! Read once, checked once: a [`Scenario`] in hand is valid. Every refusal names the path, the value and the remedy.

use serde::{Deserialize, Serialize};

use crate::instant::Instant;
use crate::rate::Rate;

const SHOP_DAY: &str = include_str!("../../../examples/scenarios/shop-day.yaml");
const STEADY: &str = include_str!("../../../examples/scenarios/steady.yaml");

/// Series are tables in memory here and keys in the stages that read them.
pub const SERIES_MAX: u64 = 1_000_000;
/// The distribution of keys is a table.
pub const KEYS_MAX: u32 = 10_000_000;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    /// Scenario time zero, unless the caller shifts it.
    pub(crate) start: Instant,
    pub(crate) duration_secs: u64,
    pub(crate) partitions: i32,
    pub(crate) rate: Rate,
    /// Without keys records are spread over the partitions at random.
    pub(crate) keys: Option<Keys>,
    /// Whether records carry an `event_id`.
    #[serde(default)]
    pub(crate) event_ids: bool,
    /// Successful requests that don't say how long they took.
    #[serde(default)]
    pub(crate) without_latency_share: f64,
    pub(crate) environment: Option<String>,
    #[serde(default)]
    pub(crate) tenants: Vec<Weighted>,
    #[serde(default)]
    pub(crate) regions: Vec<Weighted>,
    pub(crate) services: Vec<Service>,
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    #[serde(default)]
    pub(crate) disorder: Disorder,
    #[serde(default)]
    pub(crate) broken: Broken,
}

/// Customers, by whom records are keyed: the k-th is chosen in proportion to k^-zipf_exponent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    pub(crate) distinct: u32,
    #[serde(default)]
    pub(crate) zipf_exponent: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    pub(crate) name: String,
    #[serde(default = "one")]
    pub(crate) weight: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub(crate) service: String,
    #[serde(default = "one")]
    pub(crate) weight: f64,
    pub(crate) versions: Vec<Version>,
    /// Failures without any fault.
    #[serde(default)]
    pub(crate) error_share: f64,
    /// Answers of status 4xx, which are no failures of the service.
    #[serde(default)]
    pub(crate) client_error_share: f64,
    pub(crate) latency: Latency,
    pub(crate) routes: Vec<Route>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    pub(crate) version: String,
    #[serde(default = "one")]
    pub(crate) weight: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub(crate) route: String,
    pub(crate) method: String,
    /// Relative to the other routes of the service; shared by all copies.
    #[serde(default = "one")]
    pub(crate) weight: f64,
    /// More than one: routes `/x/1`, `/x/2`, …, to try what many series cost.
    #[serde(default = "one_copy")]
    pub(crate) copies: u32,
    /// In place of the service's.
    pub(crate) latency: Option<Latency>,
    pub(crate) error_share: Option<f64>,
}

/// A lognormal body by two percentiles, and a share of requests from a slower lognormal.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub(crate) p50_us: u64,
    pub(crate) p95_us: u64,
    pub(crate) slow: Option<SlowTail>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowTail {
    pub(crate) share: f64,
    pub(crate) p50_us: u64,
    pub(crate) p95_us: u64,
}

/// What goes wrong, from `start_secs` of scenario time on for `duration_secs`. Decided by a request's own time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// A new version takes a share of the service's traffic, fails more and is slower.
    BadDeployment {
        service: String,
        version: String,
        start_secs: u64,
        duration_secs: u64,
        traffic_share: f64,
        error_share: f64,
        #[serde(default = "one")]
        latency_factor: f64,
    },
    /// Everything in the service takes longer; some of it times out.
    SlowDependency {
        service: String,
        start_secs: u64,
        duration_secs: u64,
        latency_factor: f64,
        #[serde(default)]
        error_share: f64,
    },
    /// No events at all, of one service or of every service.
    Outage { service: Option<String>, start_secs: u64, duration_secs: u64 },
    /// More failures, of one route or of the whole service.
    ErrorBurst { service: String, route: Option<String>, start_secs: u64, duration_secs: u64, error_share: f64 },
}

/// Records that are appended after their time. Shares are of all records.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disorder {
    /// Within what the stages wait for.
    pub(crate) delayed: Option<Delay>,
    /// Beyond it: after the pane was written.
    pub(crate) late: Option<Delay>,
    /// Beyond the late horizon: a dead letter.
    pub(crate) too_late: Option<Delay>,
}

/// Evenly distributed between the two ends.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    pub(crate) share: f64,
    #[serde(default)]
    pub(crate) delay_secs_min: f64,
    pub(crate) delay_secs_max: f64,
}

/// Records that can't be counted, by kind. Shares are of all records.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Broken {
    pub(crate) not_json_share: f64,
    pub(crate) not_utf8_share: f64,
    pub(crate) missing_field_share: f64,
    pub(crate) wrong_type_share: f64,
    pub(crate) duplicate_field_share: f64,
    pub(crate) negative_latency_share: f64,
    pub(crate) out_of_range_share: f64,
    /// A clock one year ahead.
    pub(crate) clock_ahead_share: f64,
    /// One million random bytes.
    pub(crate) garbage_1mb_share: f64,
    /// Partitions in which every record is broken JSON.
    pub(crate) garbage_partitions: Vec<i32>,
}

impl Broken {
    /// Field names without `_share`, in the order of [`crate::Breakage::ALL`].
    pub(crate) fn shares(&self) -> [(&'static str, f64); 9] {
        [
            ("not_json", self.not_json_share),
            ("not_utf8", self.not_utf8_share),
            ("missing_field", self.missing_field_share),
            ("wrong_type", self.wrong_type_share),
            ("duplicate_field", self.duplicate_field_share),
            ("negative_latency", self.negative_latency_share),
            ("out_of_range", self.out_of_range_share),
            ("clock_ahead", self.clock_ahead_share),
            ("garbage_1mb", self.garbage_1mb_share),
        ]
    }
}

fn one() -> f64 {
    1.0
}

fn one_copy() -> u32 {
    1
}

/// A fault with its place in time and the sentence that tells what should be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planted {
    /// `bad_deployment`, `slow_dependency`, `outage` or `error_burst`.
    pub kind: String,
    /// `None`: every service.
    pub service: Option<String>,
    pub route: Option<String>,
    pub version: Option<String>,
    pub start_us: i64,
    /// The first instant after the fault.
    pub end_us: i64,
    pub expect: String,
}

impl Fault {
    pub(crate) fn service(&self) -> Option<&str> {
        match self {
            Self::BadDeployment { service, .. }
            | Self::SlowDependency { service, .. }
            | Self::ErrorBurst { service, .. } => Some(service),
            Self::Outage { service, .. } => service.as_deref(),
        }
    }

    /// Start and end in seconds of scenario time.
    pub(crate) fn span_secs(&self) -> (u64, u64) {
        match *self {
            Self::BadDeployment { start_secs, duration_secs, .. }
            | Self::SlowDependency { start_secs, duration_secs, .. }
            | Self::Outage { start_secs, duration_secs, .. }
            | Self::ErrorBurst { start_secs, duration_secs, .. } => {
                (start_secs, start_secs.saturating_add(duration_secs))
            }
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::BadDeployment { .. } => "bad_deployment",
            Self::SlowDependency { .. } => "slow_dependency",
            Self::Outage { .. } => "outage",
            Self::ErrorBurst { .. } => "error_burst",
        }
    }

    fn expect(&self) -> String {
        let percent = |share: f64| format!("{:.1}%", share * 100.0);
        match self {
            Self::BadDeployment { service, version, traffic_share, error_share, latency_factor, .. } => format!(
                "{service} {version} takes {} of the service's requests; {} of them fail more than before, latency x{latency_factor}",
                percent(*traffic_share),
                percent(*error_share)
            ),
            Self::SlowDependency { service, latency_factor, error_share, .. } if *error_share > 0.0 => {
                format!("{service}: latency x{latency_factor}, {} more failures", percent(*error_share))
            }
            Self::SlowDependency { service, latency_factor, .. } => format!("{service}: latency x{latency_factor}"),
            Self::Outage { service: Some(service), .. } => format!("{service}: no requests at all"),
            Self::Outage { service: None, .. } => "every service: no requests at all".to_owned(),
            Self::ErrorBurst { service, route, error_share, .. } => {
                format!("{service}{}: {} more failures", route.as_deref().unwrap_or_default(), percent(*error_share))
            }
        }
    }

    fn planted(&self, scenario_start_us: i64) -> Planted {
        let (start_secs, end_secs) = self.span_secs();
        let at = |secs: u64| scenario_start_us + secs as i64 * 1_000_000;
        Planted {
            kind: self.kind().to_owned(),
            service: self.service().map(str::to_owned),
            route: if let Self::ErrorBurst { route, .. } = self { route.clone() } else { None },
            version: if let Self::BadDeployment { version, .. } = self { Some(version.clone()) } else { None },
            start_us: at(start_secs),
            end_us: at(end_secs),
            expect: self.expect(),
        }
    }
}

impl Scenario {
    /// Names of the scenarios that need no file.
    pub const BUILT_IN: [&str; 2] = ["shop-day", "steady"];

    /// The text of a built-in scenario, which is also the file of that name under `examples/scenarios/`.
    pub fn built_in_yaml(name: &str) -> Option<&'static str> {
        match name {
            "shop-day" => Some(SHOP_DAY),
            "steady" => Some(STEADY),
            _ => None,
        }
    }

    pub fn built_in(name: &str) -> Result<Self, ScenarioError> {
        let yaml = Self::built_in_yaml(name).ok_or_else(|| ScenarioError::Unknown { name: name.to_owned() })?;
        Self::from_yaml(yaml)
    }

    pub fn from_yaml(yaml: &str) -> Result<Self, ScenarioError> {
        let scenario: Self =
            serde_saphyr::from_str(yaml).map_err(|error| ScenarioError::Yaml { message: error.to_string() })?;
        scenario.check()?;
        Ok(scenario)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    pub fn start_us(&self) -> i64 {
        self.start.0
    }

    pub fn duration_secs(&self) -> u64 {
        self.duration_secs
    }

    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// The same scenario over another number of partitions, say those that a topic has.
    pub fn with_partitions(mut self, partitions: i32) -> Result<Self, ScenarioError> {
        self.partitions = partitions;
        self.check()?;
        Ok(self)
    }

    /// How many arrivals the whole scenario has on average; outages take some away.
    pub fn events_expected(&self) -> f64 {
        self.rate.events_expected(self.duration_secs)
    }

    /// The faults as spans of event time, for a run whose scenario time zero is `start_us`.
    pub fn planted(&self, start_us: i64) -> Vec<Planted> {
        self.faults.iter().map(|fault| fault.planted(start_us)).collect()
    }
}

/// Why a scenario is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    #[error("no scenario is called {name:?}; built in are {}", Scenario::BUILT_IN.join(", "))]
    Unknown { name: String },
    #[error("not a scenario: {message}")]
    Yaml { message: String },
    #[error("{path} is {value}, but {remedy}")]
    Invalid { path: String, value: String, remedy: String },
}
