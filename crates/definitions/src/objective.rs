//! Objectives as values: what is promised of an SLI, and over which time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alarm::AlertRule;
use crate::model::Share;
use crate::scalar::duration_text;

/// How good an SLI is promised to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub service: String,
    /// The SLI.
    pub indicator: String,
    /// Between 0 and 1, both excluded.
    pub target: Share,
    pub budgeting: Budgeting,
    pub window: TimeWindow,
    /// Its alarms; without any list the default ones, with an empty one none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<AlertRule>>,
}

/// How bad ones spend the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budgeting {
    /// What the SLI judges counts alike: events, or its slices.
    Occurrences,
    /// Slices count alike; one is good if at least this share of its events is.
    Timeslices { target: Share, width_us: i64 },
    /// Slices count alike, each by its share of bad events.
    RatioTimeslices { width_us: i64 },
}

impl Budgeting {
    pub const fn width_us(self) -> Option<i64> {
        match self {
            Self::Occurrences => None,
            Self::Timeslices { width_us, .. } | Self::RatioTimeslices { width_us } => Some(width_us),
        }
    }
}

/// What a budget is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeWindow {
    /// The time up to now.
    Rolling { length_us: i64 },
    /// So many units from a date on, again and again, in a zone of the IANA database.
    Calendar { unit: CalendarUnit, count: u32, start: String, time_zone: String },
}

impl TimeWindow {
    /// The length by which alarms are chosen: months count as 30 days.
    pub fn nominal_us(&self) -> i64 {
        const DAY_US: i64 = 86_400_000_000;
        match self {
            Self::Rolling { length_us } => *length_us,
            Self::Calendar { unit, count, .. } => {
                let days = match unit {
                    CalendarUnit::Days => 1,
                    CalendarUnit::Weeks => 7,
                    CalendarUnit::Months => 30,
                    CalendarUnit::Years => 365,
                };
                days * i64::from(*count) * DAY_US
            }
        }
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rolling { length_us } => f.write_str(&duration_text(*length_us)),
            Self::Calendar { unit, count, start, time_zone } => {
                let unit = match unit {
                    CalendarUnit::Days => "day",
                    CalendarUnit::Weeks => "week",
                    CalendarUnit::Months => "month",
                    CalendarUnit::Years => "year",
                };
                let plural = if *count == 1 { "" } else { "s" };
                write!(f, "{count} {unit}{plural} from {start} in {time_zone}")
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    Days,
    Weeks,
    Months,
    Years,
}
