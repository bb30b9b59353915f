//! The topic table: `schemas/topics/*.yaml`, compiled in. People, code and `streamgauge topics` read the same files.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::event::Kind;

/// One topic: who writes it, who reads it, and how it must be set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    pub topic: String,
    pub description: String,
    pub writers: Vec<String>,
    pub readers: Vec<String>,
    /// What the record key is.
    pub key: String,
    pub partitions: i32,
    pub cleanup_policy: CleanupPolicy,
    /// `None`: records are kept for ever (compacted topics).
    pub retention_hours: Option<u32>,
    pub timestamp_type: TimestampType,
    pub max_message_bytes: u32,
    /// File under `schemas/` that shows or defines the value.
    pub schema: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CleanupPolicy {
    Delete,
    Compact,
}

impl CleanupPolicy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimestampType {
    LogAppendTime,
    CreateTime,
}

impl TimestampType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LogAppendTime => "LogAppendTime",
            Self::CreateTime => "CreateTime",
        }
    }
}

impl Topic {
    /// The topic's settings as Kafka names them, in alphabetical order.
    pub fn kafka_config(&self) -> Vec<(&'static str, String)> {
        let retention_ms = match self.retention_hours {
            Some(hours) => (i64::from(hours) * 3_600_000).to_string(),
            None => "-1".to_owned(),
        };
        vec![
            ("cleanup.policy", self.cleanup_policy.as_str().to_owned()),
            ("max.message.bytes", self.max_message_bytes.to_string()),
            ("message.timestamp.type", self.timestamp_type.as_str().to_owned()),
            ("retention.ms", retention_ms),
        ]
    }
}

pub const REQUESTS: &str = "requests";
pub const SCORES: &str = "scores";
pub const RESOURCES: &str = "resources";
pub const SLI_WINDOWS: &str = "sli.windows";
pub const SLI_STATE: &str = "sli.state";
pub const SLO_STATE: &str = "slo.state";
pub const ALERTS: &str = "alerts";
pub const COMMANDS: &str = "commands";
pub const DEAD_LETTERS: &str = "dead-letters";

const FILES: [(&str, &str); 9] = [
    ("schemas/topics/requests.yaml", include_str!("../../../schemas/topics/requests.yaml")),
    ("schemas/topics/scores.yaml", include_str!("../../../schemas/topics/scores.yaml")),
    ("schemas/topics/resources.yaml", include_str!("../../../schemas/topics/resources.yaml")),
    ("schemas/topics/sli.windows.yaml", include_str!("../../../schemas/topics/sli.windows.yaml")),
    ("schemas/topics/sli.state.yaml", include_str!("../../../schemas/topics/sli.state.yaml")),
    ("schemas/topics/slo.state.yaml", include_str!("../../../schemas/topics/slo.state.yaml")),
    ("schemas/topics/alerts.yaml", include_str!("../../../schemas/topics/alerts.yaml")),
    ("schemas/topics/commands.yaml", include_str!("../../../schemas/topics/commands.yaml")),
    ("schemas/topics/dead-letters.yaml", include_str!("../../../schemas/topics/dead-letters.yaml")),
];

/// Every topic, in the order of the data flow.
pub fn table() -> &'static [Topic] {
    static TABLE: OnceLock<Vec<Topic>> = OnceLock::new();
    TABLE.get_or_init(|| {
        FILES
            .iter()
            .map(|(file, text)| match serde_saphyr::from_str(text) {
                Ok(topic) => topic,
                Err(error) => unreachable!("{file}, which is compiled in and tested: {error}"),
            })
            .collect()
    })
}

/// The topic that holds events of a kind.
pub const fn of(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => REQUESTS,
        Kind::Score => SCORES,
        Kind::Resource => RESOURCES,
    }
}

/// The table's entry of that name.
pub fn named(name: &str) -> Option<&'static Topic> {
    table().iter().find(|topic| topic.topic == name)
}
