//! `sli.windows`: additive deltas and the frontiers that number them.
//!
//! Phase one writes **batches**: each live cell as a delta, then one frontier into every output partition. The batches
//! of one input partition form a numbered chain over its offsets: `from` of a batch is `to` of the one before.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{EventTime, Offset};

/// The SLIs that every event is counted in, one for each kind of event, without any definition.
pub const GOLDEN: [&str; 3] = ["requests", "scores", "resources"];

/// The label value, and the service, of what was folded at the bound of series.
pub const OTHER: &str = "__other__";

/// A record of `sli.windows`. Read by tools one at a time, so the size of the larger variant does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    Delta(Delta),
    Frontier(Frontier),
}

impl Fact {
    pub fn from_json(value: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Kind {
            r#type: FactType,
        }
        match serde_json::from_slice::<Kind>(value)?.r#type {
            FactType::Delta => serde_json::from_slice(value).map(Self::Delta),
            FactType::Frontier => serde_json::from_slice(value).map(Self::Frontier),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactType {
    Delta,
    Frontier,
}

/// What one batch adds to one series in one pane. Adding the deltas of a pane, in any order, gives the pane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    pub r#type: FactType,
    pub tenant: String,
    pub service: String,
    pub sli: String,
    pub labels: BTreeMap<String, String>,
    /// Names of labels that these events lack, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// Whose bound this series counts in: its service's, or, for services that are not declared, that of the tenant
    /// (empty). Part of the record key, so that all series under one bound meet in one partition.
    pub group: String,
    /// The keyed hash by which the bound chooses, hexadecimal, and how many series of the group a pane keeps. Absent
    /// where the bound does not apply: declared series, and `__other__`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series_max: Option<u32>,
    /// Start of the pane, microseconds since the epoch.
    pub pane: EventTime,
    pub pane_us: i64,
    /// The topic that the records came from.
    pub source: String,
    pub partition: i32,
    pub generation: u32,
    pub batch: u64,
    /// Hash of the definitions that made this.
    pub bundle: String,
    /// Events that matched; where events carry counts, the sum of their totals. `n = good + bad + unjudged`, where bad is
    /// what remains. Where slices are judged and not events, `good` are those that could be used.
    pub n: u64,
    pub good: u64,
    /// Requests that failed, whatever `good` says of them; their latency is not in the histogram.
    pub failed: u64,
    /// Events that lack what `good` asks for.
    pub unjudged: u64,
    /// Successful events at or under each declared threshold, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub le: Vec<AtOrUnder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
    /// The newest `ts` counted here.
    pub newest: EventTime,
    /// Trace ids of bad events: those with the smallest hashes, ascending by hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exemplars: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtOrUnder {
    pub threshold_us: u64,
    pub count: u64,
}

/// The latency of successful events, microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    #[serde(with = "decimal")]
    pub sum_us: i128,
    pub min_us: u64,
    pub max_us: u64,
    /// Values above the range of the histogram (one hour).
    pub overflow: u64,
    /// Ascending (index delta, count) varints of the counters that are not zero.
    #[serde(with = "base64_bytes")]
    pub histogram: Vec<u8>,
}

/// The values of scores or samples, in millionths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    pub count: u64,
    #[serde(with = "decimal")]
    pub sum: i128,
    /// In millionths of millionths.
    #[serde(with = "decimal")]
    pub sum_of_squares: i128,
    pub min: i64,
    pub max: i64,
    /// Values below zero, which the histogram does not hold.
    pub under: u64,
    /// As that of latencies.
    #[serde(with = "base64_bytes")]
    pub histogram: Vec<u8>,
    pub last: Last,
}

/// The value with the greatest time; of several, that with the greatest offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Last {
    pub ts: EventTime,
    pub offset: Offset,
    pub value: i64,
}

/// The end of a batch, in every output partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    pub r#type: FactType,
    pub source: String,
    pub partition: i32,
    pub generation: u32,
    pub batch: u64,
    /// First offset of the batch: `to` of the batch before.
    pub from: Offset,
    /// The offset behind the last record of the batch.
    pub to: Offset,
    /// Records read in [from, to); markers and compacted records are not among them.
    pub records: u64,
    /// Those of them that became dead letters.
    pub dead_letters: u64,
    /// Deltas of this batch, in all output partitions together: one that is missing shows, whatever it counted.
    pub deltas: u64,
    /// Events counted so far whose panes are still open: they follow in later batches. From the first batch of a
    /// generation on, the sums of (records - dead_letters - lost_events) and of (n of the golden signals) differ by it.
    pub open: u64,
    /// Ranges of offsets that were gone from the log before they could be counted, half-open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<(Offset, Offset)>,
    /// Events that earlier frontiers counted as open and that were lost with those ranges.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_events: u64,
    /// E: every pane that ends at or before it has been written, up to late records.
    pub complete_until: EventTime,
    pub cause: Cause,
    pub bundle: String,
    /// The first pane that `bundle` applies to.
    pub bundle_start: EventTime,
    /// How many partitions the source topic has; partition 0 announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
}

/// Why a batch was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A record raised E.
    Data,
    /// The number of live cells reached its bound.
    CellsMax,
    /// The partition was silent and wall time went on.
    Idle,
    /// A bounded input ended.
    End,
}

impl Cause {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::CellsMax => "cells_max",
            Self::Idle => "idle",
            Self::End => "end",
        }
    }
}

impl Delta {
    /// The record key: tenant and group.
    pub fn key(&self) -> Vec<u8> {
        key_of(&self.tenant, &self.group)
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of strings and integers always has a JSON form")
    }
}

impl Frontier {
    /// A reserved key: no tenant begins with two underscores followed by this word.
    pub fn key(&self) -> Vec<u8> {
        format!("__frontier/{}/{}", self.source, self.partition).into_bytes()
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of strings and integers always has a JSON form")
    }
}

/// `tenant/group`, with `/` and `%` of the tenant escaped, so that two pairs never share a key.
pub fn key_of(tenant: &str, group: &str) -> Vec<u8> {
    let tenant = tenant.replace('%', "%25").replace('/', "%2F");
    format!("{tenant}/{group}").into_bytes()
}

/// i128 as a decimal string: JSON numbers lose digits in most readers.
pub mod decimal {
    use super::*;

    pub fn serialize<S: Serializer>(value: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom(format!("{text:?} is not a decimal integer")))
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

mod base64_bytes {
    use super::*;

    pub fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(&text).map_err(serde::de::Error::custom)
    }
}
