//! What is said of objectives: a record a transition of an alarm, and where each stands.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use streamgauge_events::EventTime;
use streamgauge_slo::{Alert, Forecast, Severity, Tally, Transition};
use streamgauge_windows::window::rfc3339_text;

/// One transition of one alarm, with the numbers that explain it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// The same for the same transition of the same alarm: whoever gets it twice can tell.
    pub id: String,
    /// The same from firing to resolving: commands are asked about it.
    #[serde(default)]
    pub alert: String,
    /// The same for all transitions of an alarm.
    pub fingerprint: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    pub service: String,
    pub slo: String,
    pub rule: String,
    pub severity: Severity,
    /// Names of notification targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    pub transition: Transition,
    /// The grid point.
    #[serde(serialize_with = "rfc3339", deserialize_with = "instant")]
    pub at: EventTime,
    /// When it began to fire, or to be pending.
    #[serde(serialize_with = "rfc3339", deserialize_with = "instant")]
    pub starts_at: EventTime,
    pub target: String,
    pub window: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<WindowCounts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<WindowCounts>,
    /// In the period so far.
    pub counted: Tally,
    /// Share of the period's budget.
    pub remaining: Option<f64>,
    pub forecast: Forecast,
    /// Trace ids of bad events, those of the newest panes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exemplars: Vec<String>,
    /// Hash of the objective and of how its SLI judges.
    pub definition: String,
}

impl AlertRecord {
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers always have a JSON form")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowCounts {
    pub bad: i128,
    pub total: i128,
    pub burn: Option<f64>,
}

/// Where one objective stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectiveStanding {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    pub slo: String,
    pub service: String,
    pub indicator: String,
    pub target: String,
    pub window: String,
    /// What of the window was counted; `None`: nothing, so that nothing can be said.
    pub span: Option<Span>,
    pub counted: Tally,
    /// Share of the period's budget; negative where it is overdrawn.
    pub remaining: Option<f64>,
    pub forecast: Forecast,
    pub rules: Vec<RuleStanding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exemplars: Vec<String>,
    /// Good and bad ones since the objective began to be followed. They never go down.
    #[serde(skip)]
    pub good_total: i64,
    #[serde(skip)]
    pub bad_total: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    #[serde(serialize_with = "rfc3339")]
    pub from: EventTime,
    #[serde(serialize_with = "rfc3339")]
    pub to: EventTime,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleStanding {
    pub rule: String,
    pub severity: Severity,
    pub alert: Alert,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long: Option<WindowCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<WindowCounts>,
}

fn rfc3339<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_text(*time))
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(EventTime(time.as_microsecond()))
}

/// The same for the same alert, whenever and by whomever it is asked for.
pub fn alert_id(slo: &str, rule: &str, fired: EventTime) -> String {
    let digest = Sha256::digest(format!("{slo}\n{rule}\n{}", fired.0));
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The first 64 bits of the SHA-256 of texts, each ended by a zero byte; hexadecimal.
pub(crate) fn hash_of(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text);
        hasher.update([0]);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
