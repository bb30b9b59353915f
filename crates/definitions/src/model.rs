//! Definitions as values: what a bundle holds, by which results are made and judged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamgauge_decode::Framing;
use streamgauge_events::{Kind, TextField, topics};
use streamgauge_stats::Quantile;

use crate::alarm::NotificationTarget;
use crate::objective::Slo;

/// Every document of a set of files, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// Declared services: each has its own record key and its own bound of series.
    pub services: BTreeMap<String, Service>,
    /// Declared topics of events, by topic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, DataSource>,
    pub slis: BTreeMap<String, Sli>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slos: BTreeMap<String, Slo>,
    /// Whom alarms may name, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notification_targets: BTreeMap<String, NotificationTarget>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    #[serde(default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    /// Who is asked when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A topic of events: of which kind they are, and how they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    /// The name that `metricSourceRef` uses.
    pub name: String,
    pub event: Kind,
    pub format: Format,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Json,
    Avro { framing: Framing, schemas: Vec<WriterSchema> },
}

/// A schema that records of the topic were written with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WriterSchema {
    /// The registry's id, with the Confluent framing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The text of the schema (JSON).
    pub schema: String,
}

/// What is measured of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sli {
    pub service: String,
    /// The topic that holds its events.
    #[serde(default = "requests", skip_serializing_if = "is_requests")]
    pub topic: String,
    /// Which events count; all of the service if absent. A predicate.
    pub filter: Option<String>,
    /// Labels by name, each with the values that are declared: those always have a series of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group_by: BTreeMap<Label, Vec<String>>,
    pub good: Measure,
}

fn requests() -> String {
    topics::REQUESTS.to_owned()
}

fn is_requests(topic: &String) -> bool {
    topic == topics::REQUESTS
}

/// How an SLI judges: single events, or the slices of time in which they lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// A predicate decides about each event.
    When(String),
    /// An event is good if it succeeded within the threshold; those that failed are bad, or left out.
    Latency {
        threshold_us: u64,
        failures: Failures,
        /// Further thresholds that are counted exactly, ascending.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        thresholds_us: Vec<u64>,
    },
    /// Events carry counts, such as results of audits: so many of so many were good.
    Counts,
    /// Slices are judged.
    Slice { slice: Slice, rule: Rule },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failures {
    #[default]
    Bad,
    Exclude,
}

/// Consecutive spans of event time, aligned to multiples of their length since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    pub length_us: i64,
    pub empty: Empty,
}

/// What a slice is that was covered and had no event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// It does not count.
    #[default]
    Ignore,
    Good,
    Bad,
}

/// When a slice is good. Values are in millionths, rates in millionths per second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// At least ceil(p n) of the events succeeded within the threshold. Failed ones count in n.
    Percentile { quantile: Share, at_most_us: u64 },
    /// The mean of the values lies within the bounds.
    Mean(Bounds),
    /// The number of events per second lies within the bounds.
    Traffic(Bounds),
    /// The aggregate of the samples lies within the bounds.
    Saturation { aggregate: Aggregate, bounds: Bounds },
    /// At the end of the slice the newest event is not older than this.
    Freshness { at_most_us: i64 },
}

/// Inclusive; at least one of them is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<i64>,
}

/// What becomes of the samples of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    #[default]
    Mean,
    Min,
    Max,
    /// The sample with the greatest time.
    Last,
    /// By nearest rank, the upper edge of its counter.
    Quantile(Share),
}

/// A share between 0 and 1 as a fraction of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub numerator: u64,
    pub denominator: u64,
}

impl Share {
    /// Such as `99.9%`.
    pub fn percent_text(self) -> String {
        let (numerator, denominator) = (u128::from(self.numerator) * 100, u128::from(self.denominator.max(1)));
        // At most nine places of the share, so at most seven of the percentage, where it comes from a decimal.
        let scaled = numerator * 10_000_000 / denominator;
        let places = format!("{:07}", scaled % 10_000_000);
        let places = places.trim_end_matches('0');
        let point = if places.is_empty() { "" } else { "." };
        format!("{}{point}{places}%", scaled / 10_000_000)
    }

    pub fn quantile(self) -> Option<Quantile> {
        Quantile::new(self.numerator, self.denominator)
    }
}

/// What series of an SLI are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Label {
    /// `attributes.NAME`.
    Attribute(String),
    Text(TextField),
}

impl Label {
    /// Fields that may be labels: ids would make a series of every event, and service and tenant separate anyway.
    pub const FIELDS: [TextField; 7] = [
        TextField::Environment,
        TextField::Instance,
        TextField::Method,
        TextField::Metric,
        TextField::Region,
        TextField::Route,
        TextField::Version,
    ];

    pub fn named(name: &str) -> Option<Self> {
        if let Some(attribute) = name.strip_prefix("attributes.") {
            return (!attribute.is_empty()).then(|| Self::Attribute(attribute.to_owned()));
        }
        Self::FIELDS.into_iter().find(|field| field.name() == name).map(Self::Text)
    }

    /// The name in records and tables.
    pub fn name(&self) -> String {
        match self {
            Self::Attribute(name) => format!("attributes.{name}"),
            Self::Text(field) => field.name().to_owned(),
        }
    }
}

impl TryFrom<String> for Label {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::named(&name).ok_or_else(|| format!("{name:?} is no label"))
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.name()
    }
}

impl Definitions {
    /// The source of a topic: as declared, or one of those that are known without a declaration.
    pub fn source(&self, topic: &str) -> Option<DataSource> {
        self.sources.get(topic).cloned().or_else(|| DataSource::built_in(topic))
    }

    /// Topics that a stage has to read for these definitions, ascending.
    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.slis.values().map(|sli| sli.topic.clone()).collect();
        topics.extend(self.sources.keys().cloned());
        topics.sort_unstable();
        topics.dedup();
        topics
    }
}

impl DataSource {
    /// `requests`, `scores` and `resources` hold JSON unless a document says otherwise.
    pub fn built_in(topic: &str) -> Option<Self> {
        let event = match topic {
            topics::REQUESTS => Kind::Request,
            topics::SCORES => Kind::Score,
            topics::RESOURCES => Kind::Resource,
            _ => return None,
        };
        Some(Self { name: topic.to_owned(), event, format: Format::Json })
    }
}

impl Sli {
    /// What events were counted by, where it is not the same: then what was counted for the one says nothing of the other.
    /// Bounds, slices, quantiles and the limits of percentiles judge what was counted, and may differ.
    pub fn counted_unlike(&self, other: &Self) -> Option<&'static str> {
        let same = [
            ("service", self.service == other.service),
            ("topic", self.topic == other.topic),
            ("filter", self.filter == other.filter),
            ("groupBy", self.group_by.keys().eq(other.group_by.keys())),
            (self.good.name(), self.good.counts_like(&other.good)),
        ];
        same.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
    }

    /// Whether the same series were promised a place of their own under the bound.
    pub fn declares_like(&self, other: &Self) -> bool {
        self.group_by == other.group_by
    }
}

impl Measure {
    fn counts_like(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Latency { threshold_us, failures, .. },
                Self::Latency { threshold_us: other_us, failures: other_failures, .. },
            ) => (threshold_us, failures) == (other_us, other_failures),
            // Mean and saturation keep values, traffic and freshness every event.
            (Self::Slice { rule, .. }, Self::Slice { rule: other, .. }) => matches!(
                (rule, other),
                (Rule::Percentile { .. }, Rule::Percentile { .. })
                    | (Rule::Mean(_) | Rule::Saturation { .. }, Rule::Mean(_) | Rule::Saturation { .. })
                    | (Rule::Traffic(_) | Rule::Freshness { .. }, Rule::Traffic(_) | Rule::Freshness { .. })
            ),
            (one, other) => one == other,
        }
    }

    /// The length of a slice, where slices are judged.
    pub const fn slice(&self) -> Option<Slice> {
        match self {
            Self::Slice { slice, .. } => Some(*slice),
            _ => None,
        }
    }

    /// The word in documents and tables.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::When(_) => "good",
            Self::Latency { .. } => "latency threshold",
            Self::Counts => "counts",
            Self::Slice { rule, .. } => match rule {
                Rule::Percentile { .. } => "percentile",
                Rule::Mean(_) => "mean",
                Rule::Traffic(_) => "traffic",
                Rule::Saturation { .. } => "saturation",
                Rule::Freshness { .. } => "freshness",
            },
        }
    }
}

impl Bounds {
    pub fn hold(&self, value: i128) -> bool {
        self.at_least.is_none_or(|least| value >= i128::from(least))
            && self.at_most.is_none_or(|most| value <= i128::from(most))
    }
}
