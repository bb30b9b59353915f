//! What stands beside a committed offset n, so that the next owner finds exactly the state that the last one had there.
//!
//! Kafka keeps at most 4,096 bytes of ASCII. The keys are short for that reason.

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use streamgauge_events::{EventTime, Offset};

/// Kafka's bound (`offset.metadata.max.bytes`).
pub const METADATA_BYTES_MAX: usize = 4096;
/// Changes of definitions that one commit can describe: 16 take about 900 bytes.
pub const ACTIVATIONS_MAX: usize = 16;
/// Lost ranges that one commit can describe; more are merged into their hull.
pub const LOST_MAX: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitMetadata {
    /// Version of this form: 1.
    pub v: u32,
    /// m: the lowest offset that feeds a live pane, else n.
    pub m: Offset,
    /// Watermark just before m.
    pub w: EventTime,
    /// max(ts) just before m.
    pub x: EventTime,
    /// Watermark at n.
    pub wn: EventTime,
    /// max(ts) at n.
    pub xn: EventTime,
    /// Events in live panes at n.
    pub ev: u64,
    /// Live cells at n.
    pub c: u64,
    /// Digest of the live cells at n, hexadecimal.
    pub d: String,
    /// Number of the next batch.
    pub k: u64,
    pub g: u32,
    /// `to` of the last batch: `from` of the next.
    pub t: Offset,
    /// Records and dead letters since `t`.
    pub r: u64,
    pub dl: u64,
    /// Lost ranges, and events lost with them, that no frontier has told yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub l: Vec<(Offset, Offset)>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub le: u64,
    /// Definitions by the pane from which they apply, ascending.
    pub b: Vec<Activation>,
    /// [`crate::TimeSettings::fingerprint`].
    pub p: String,
}

/// From this pane on, these definitions, for records from this offset on. (What was rejected before that was rejected
/// whatever its pane, and stays so when it is folded again.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Activation {
    #[serde(rename = "s")]
    pub start: EventTime,
    #[serde(rename = "h")]
    pub hash: String,
    #[serde(rename = "o", default, skip_serializing_if = "is_zero_offset")]
    pub from: Offset,
}

impl Activation {
    /// Of the definitions that a chain begins with.
    pub fn first(hash: impl Into<String>) -> Self {
        Self { start: EventTime::BEFORE_ALL, hash: hash.into(), from: 0 }
    }
}

fn is_zero_offset(offset: &Offset) -> bool {
    *offset == 0
}

impl CommitMetadata {
    pub fn encode(&self) -> String {
        let text = serde_json::to_string(self).expect("a struct of strings and integers always has a JSON form");
        debug_assert!(text.len() <= METADATA_BYTES_MAX && text.is_ascii());
        text
    }

    /// Refuses what another version has written: its numbers may mean something else.
    pub fn decode(text: &str) -> Result<Self, serde_json::Error> {
        let metadata: Self = serde_json::from_str(text)?;
        if metadata.v == 1 { Ok(metadata) } else { Err(serde_json::Error::custom(format!("version {}", metadata.v))) }
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}
