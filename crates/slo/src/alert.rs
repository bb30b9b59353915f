//! An alarm as a state machine with its own clear condition, moved once at each grid point. Never reads a clock.

use serde::{Deserialize, Serialize};
use streamgauge_events::EventTime;

use crate::burn::Tier;
use crate::target::Fraction;

/// What an alert asks of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody may want to know.
    Info,
    /// A ticket: within days.
    Warning,
    /// Today.
    Major,
    /// A page: now.
    Critical,
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

/// One alarm of an objective.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub name: String,
    pub severity: Severity,
    pub condition: Condition,
    /// Grid points in a row at which the condition must hold before it fires; 0 and 1 are the same.
    pub pending_points: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The budget burns faster than the tier's factor in both windows, beyond chance.
    Burn(Tier),
    /// Less than `share` of the budget remains, or nothing at all where `share` is 0. Clears when `clears_at` or more remains
    /// again.
    Remaining { share: Fraction, clears_at: Fraction },
    /// There was traffic in the last `within_us`, and none in the last `silent_us`.
    Absence { silent_us: i64, within_us: i64 },
}

/// What a condition says at one grid point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    /// Neither: what was, stays. An empty short window says nothing.
    SaysNothing,
    Clear,
}

/// Where an alarm stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Alert {
    #[default]
    Inactive,
    /// The condition has held at so many grid points, the first of them `since`.
    Pending {
        since: EventTime,
        points: u32,
    },
    Firing {
        since: EventTime,
    },
}

/// One step from one phase to another; nothing else is ever told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// From inactive: the condition holds, but not yet for long enough.
    Pending,
    /// From pending: it stopped before it fired.
    Dropped,
    Fired,
    Resolved,
}

impl Transition {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dropped => "dropped",
            Self::Fired => "fired",
            Self::Resolved => "resolved",
        }
    }
}

impl Alert {
    pub const fn is_firing(&self) -> bool {
        matches!(self, Self::Firing { .. })
    }

    /// The next phase, and the transition if there is one.
    pub fn step(&mut self, at: EventTime, verdict: Verdict, pending_points: u32) -> Option<Transition> {
        let fires = |points: u32| points >= pending_points.max(1);
        let (next, transition) = match (*self, verdict) {
            (_, Verdict::SaysNothing) | (Self::Inactive, Verdict::Clear) | (Self::Firing { .. }, Verdict::Holds) => {
                return None;
            }
            (Self::Inactive, Verdict::Holds) if fires(1) => (Self::Firing { since: at }, Some(Transition::Fired)),
            (Self::Inactive, Verdict::Holds) => (Self::Pending { since: at, points: 1 }, Some(Transition::Pending)),
            (Self::Pending { points, .. }, Verdict::Holds) if fires(points + 1) => {
                (Self::Firing { since: at }, Some(Transition::Fired))
            }
            (Self::Pending { since, points }, Verdict::Holds) => (Self::Pending { since, points: points + 1 }, None),
            (Self::Pending { .. }, Verdict::Clear) => (Self::Inactive, Some(Transition::Dropped)),
            (Self::Firing { .. }, Verdict::Clear) => (Self::Inactive, Some(Transition::Resolved)),
        };
        *self = next;
        transition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` holds, `-` is clear, `.` says nothing; what was told at each grid point.
    fn check(pending_points: u32, verdicts: &str, expected: &str) {
        let mut alert = Alert::default();
        let told: Vec<String> = (1..)
            .zip(verdicts.chars())
            .filter_map(|(point, verdict)| {
                let verdict = match verdict {
                    '+' => Verdict::Holds,
                    '-' => Verdict::Clear,
                    _ => Verdict::SaysNothing,
                };
                let told = alert.step(EventTime(point), verdict, pending_points)?;
                Some(format!("{point} {}", told.as_str()))
            })
            .collect();
        assert_eq!(told.join(", "), expected, "{verdicts} at {pending_points}");
    }

    #[test]
    fn one_record_a_transition() {
        check(0, "-++++-", "2 fired, 6 resolved");
        check(1, "-++++-", "2 fired, 6 resolved");
        check(3, "++-+++-", "1 pending, 3 dropped, 4 pending, 6 fired, 7 resolved");
        check(2, "+.+", "1 pending, 3 fired");
        check(0, "+..-.+", "1 fired, 4 resolved, 6 fired");
        check(0, "......", "");
        check(0, "+-+-", "1 fired, 2 resolved, 3 fired, 4 resolved");
    }
}
