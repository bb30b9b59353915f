//! The state of an objective as texts that can be kept apart: a head, and chunks of counts of which only few change at a grid
//! point.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamgauge_events::EventTime;

use crate::alert::Alert;
use crate::sums::Tally;

/// So many buckets or slices are kept in one text.
pub const CHUNK: i64 = 64;

/// What changes at most grid points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedHead {
    pub now: EventTime,
    /// Where each window begins, and its sum.
    pub sums: Vec<(EventTime, TallyText)>,
    pub events: Vec<(EventTime, TallyText)>,
    /// Slices that end at or before this have been counted.
    pub closed: EventTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(EventTime, EventTime)>,
    /// The first and the last pane in which anything came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<(EventTime, EventTime)>,
    /// By the names of their rules.
    pub alarms: BTreeMap<String, Alert>,
}

/// Counts that are kept in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Buckets of this width, of what spends the budget.
    Sums(i64),
    /// Buckets of this width, of events.
    Events(i64),
    /// Slices of the budgeting method.
    Slices,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sums(width_us) => write!(f, "sums-{width_us}"),
            Self::Events(width_us) => write!(f, "events-{width_us}"),
            Self::Slices => f.write_str("slices"),
        }
    }
}

impl std::str::FromStr for Part {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let width = |text: &str| text.parse().ok().filter(|width| *width > 0).ok_or(());
        match text.split_once('-') {
            Some(("sums", us)) => Ok(Self::Sums(width(us)?)),
            Some(("events", us)) => Ok(Self::Events(width(us)?)),
            None if text == "slices" => Ok(Self::Slices),
            _ => Err(()),
        }
    }
}

/// `bad/total`: JSON readers may not keep integers of 128 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TallyText(pub Tally);

impl From<TallyText> for String {
    fn from(TallyText(tally): TallyText) -> Self {
        encode(&[tally])
    }
}

impl TryFrom<String> for TallyText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match decode(&text).as_deref() {
            Some([]) => Ok(Self::default()),
            Some([tally]) => Ok(Self(*tally)),
            _ => Err(format!("{text:?} is not bad/total")),
        }
    }
}

/// `bad/total` of each with commas between; nothing stands for 0/0, and is left out at the end.
pub fn encode(tallies: &[Tally]) -> String {
    let mut text = String::new();
    for (index, Tally { bad, total }) in tallies.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        if (*bad, *total) != (0, 0) {
            text.push_str(&format!("{bad}/{total}"));
        }
    }
    text.truncate(text.trim_end_matches(',').len());
    text
}

/// `None`: not of that form.
pub fn decode(text: &str) -> Option<Vec<Tally>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let tally = |text: &str| {
        if text.is_empty() {
            return Some(Tally::default());
        }
        let (bad, total) = text.split_once('/')?;
        Some(Tally::new(bad.parse().ok()?, total.parse().ok()?))
    };
    text.split(',').map(tally).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_as_texts() {
        let (none, one) = (Tally::default(), Tally::new(1, 20));
        for (tallies, text) in [
            (vec![], ""),
            (vec![one], "1/20"),
            (vec![none, one, none, none, one], ",1/20,,,1/20"),
            (vec![Tally::new(-3, i128::MAX)], "-3/170141183460469231731687303715884105727"),
        ] {
            assert_eq!(encode(&tallies), text);
            assert_eq!(decode(text), Some(tallies));
        }
        assert_eq!(encode(&[one, none, none]), "1/20");
        for damaged in ["1", "1/", "1/2/3", "x/2", "1/2;3/4"] {
            assert_eq!(decode(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn parts_as_texts() {
        for part in [Part::Sums(10_000_000), Part::Events(60_000_000), Part::Slices] {
            assert_eq!(part.to_string().parse(), Ok(part));
        }
        for damaged in ["", "sums", "sums-0", "sums-x", "slices-1", "other-1"] {
            assert_eq!(damaged.parse::<Part>(), Err(()), "{damaged:?}");
        }
    }
}
