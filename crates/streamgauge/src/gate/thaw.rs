//! When a spent budget may have recovered: what is known of the past leaves the window, the rest is taken for granted.

use serde::Serialize;
use streamgauge_events::EventTime;
use streamgauge_slo::sums::bucket_us;
use streamgauge_slo::{Budget, Fraction, Period, Tally};

use crate::objectives::Reading;

/// What must be, and when it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thaw {
    /// So much must be left again; `None`: more than nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clears_at: Option<Fraction>,
    /// If as much comes as came, and none of it is bad; of a calendar window, where the next one begins.
    #[serde(serialize_with = "crate::slo_text::optional_time")]
    pub may_thaw_at: Option<EventTime>,
    pub is_calendar: bool,
}

pub fn thaw(reading: &Reading, slo: &str, budget: Budget, clears_at: Option<Fraction>) -> Thaw {
    let period = reading.objective(slo).period;
    let end = reading.end(slo);
    let may_thaw_at = end.and_then(|end| match &period {
        // What ends at the boundary belongs to the span before it.
        Period::Calendar(calendar) => Some(calendar.span(end.minus_us(1)).1),
        Period::Rolling { length_us } => leaves_at(reading, slo, budget, clears_at, end, *length_us),
    });
    Thaw { clears_at, may_thaw_at, is_calendar: matches!(period, Period::Calendar(_)) }
}

/// A rolling window moves by buckets: each of the times at which one leaves is tried.
fn leaves_at(
    reading: &Reading,
    slo: &str,
    budget: Budget,
    clears_at: Option<Fraction>,
    end: EventTime,
    length_us: i64,
) -> Option<EventTime> {
    let target = reading.objective(slo).target;
    let has_recovered = |bad: i128| {
        let then = Budget { tally: Tally::new(bad, budget.tally.total) };
        match clears_at {
            Some(share) => then.remains_at_least(target, share) == Some(true),
            None => then.is_exhausted(target) == Some(false),
        }
    };
    let step_us = bucket_us(length_us, reading.pane_us());
    let first = end.floor(step_us).plus_us(step_us);
    let until = end.plus_us(length_us + step_us);
    let at: Vec<EventTime> =
        std::iter::successors(Some(first), |at| Some(at.plus_us(step_us))).take_while(|at| *at <= until).collect();
    let history = reading.history(slo)?;
    let then = reading.budgets(slo, &history, None, &at);
    then.into_iter().find(|then| has_recovered(then.counted.bad)).map(|then| then.at)
}
