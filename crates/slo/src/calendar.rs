//! Periods of budgets: the last so many days, or months, weeks and days of a calendar.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use streamgauge_events::EventTime;

/// What a budget is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Period {
    /// The time up to now, of this length in microseconds.
    Rolling {
        length_us: i64,
    },
    Calendar(Calendar),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Days,
    Weeks,
    Months,
    Years,
}

/// Spans that begin on dates: `count` units from an anchor on, in a time zone. A span is half-open; it begins with the first
/// instant whose local date is not before its date, so that days of 23 or 25 hours, days that begin at one o'clock, and days
/// that never were all have a beginning.
#[derive(Clone, PartialEq, Eq)]
pub struct Calendar {
    unit: Unit,
    count: i32,
    anchor: Date,
    time_zone: TimeZone,
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit, count, anchor, time_zone } = self;
        write!(f, "{count} {unit:?} from {anchor} in {}", time_zone.iana_name().unwrap_or("a time zone"))
    }
}

impl Calendar {
    /// `None` where `count` is not above 0.
    pub fn new(unit: Unit, count: i32, anchor: Date, time_zone: TimeZone) -> Option<Self> {
        (count > 0).then_some(Self { unit, count, anchor, time_zone })
    }

    /// The span that holds an instant.
    pub fn span(&self, at: EventTime) -> (EventTime, EventTime) {
        let mut index = self.estimate(at);
        while self.boundary(index) > at {
            index -= 1;
        }
        while self.boundary(index + 1) <= at {
            index += 1;
        }
        (self.boundary(index), self.boundary(index + 1))
    }

    /// About which one; the calendar's own count decides.
    fn estimate(&self, at: EventTime) -> i64 {
        const DAY_US: i64 = 86_400_000_000;
        let days = i64::from(self.count)
            * match self.unit {
                Unit::Days => 1,
                Unit::Weeks => 7,
                Unit::Months => 30,
                Unit::Years => 365,
            };
        (at.0 - self.start_of(self.anchor).0).div_euclid(days * DAY_US)
    }

    fn boundary(&self, index: i64) -> EventTime {
        let units = index.saturating_mul(self.count.into());
        let span = match self.unit {
            Unit::Days => 1.day(),
            Unit::Weeks => 1.week(),
            Unit::Months => 1.month(),
            Unit::Years => 1.year(),
        };
        // A day that a month does not have becomes its last one.
        let date = span.checked_mul(units).and_then(|span| self.anchor.checked_add(span));
        date.map_or(if index < 0 { EventTime::BEFORE_ALL } else { EventTime::AFTER_ALL }, |date| self.start_of(date))
    }

    fn start_of(&self, date: Date) -> EventTime {
        let start = date.to_zoned(self.time_zone.clone());
        start.map_or(EventTime::AFTER_ALL, |start| EventTime(start.timestamp().as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unit: Unit, count: i32, anchor: &str, zone: &str, at: &str, expected: &str) {
        let zone = TimeZone::get(zone).expect("a zone");
        let anchor = anchor.parse().expect("a date");
        let calendar = Calendar::new(unit, count, anchor, zone).expect("some units");
        let time: jiff::Timestamp = at.parse().expect("a time");
        let (from, to) = calendar.span(EventTime(time.as_microsecond()));
        let text = |time: EventTime| jiff::Timestamp::from_microsecond(time.0).expect("a time").to_string();
        let hours = (to.0 - from.0) as f64 / 3.6e9;
        assert_eq!(format!("{} to {}: {hours} h", text(from), text(to)), expected, "{calendar:?} at {at}");
    }

    #[test]
    fn months_weeks_and_days_as_people_count_them() {
        use Unit::{Days, Months, Weeks, Years};
        for (unit, count, anchor, zone, at, expected) in [
            (
                Months,
                1,
                "2026-01-01",
                "UTC",
                "2026-10-31T23:59:59Z",
                "2026-10-01T00:00:00Z to 2026-11-01T00:00:00Z: 744 h",
            ),
            (
                Months,
                1,
                "2026-01-01",
                "UTC",
                "2026-11-01T00:00:00Z",
                "2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z: 720 h",
            ),
            // Summer time begins and ends within the month.
            (
                Months,
                1,
                "2026-01-01",
                "Europe/Berlin",
                "2026-03-15T00:00:00Z",
                "2026-02-28T23:00:00Z to 2026-03-31T22:00:00Z: 743 h",
            ),
            (
                Months,
                1,
                "2026-01-01",
                "Europe/Berlin",
                "2026-10-15T00:00:00Z",
                "2026-09-30T22:00:00Z to 2026-10-31T23:00:00Z: 745 h",
            ),
            // Months from the 31st end where the month does.
            (
                Months,
                1,
                "2026-01-31",
                "UTC",
                "2026-02-27T00:00:00Z",
                "2026-01-31T00:00:00Z to 2026-02-28T00:00:00Z: 672 h",
            ),
            (
                Months,
                1,
                "2026-01-31",
                "UTC",
                "2026-03-30T00:00:00Z",
                "2026-02-28T00:00:00Z to 2026-03-31T00:00:00Z: 744 h",
            ),
            (
                Months,
                1,
                "2026-01-31",
                "UTC",
                "2025-12-30T12:00:00Z",
                "2025-11-30T00:00:00Z to 2025-12-31T00:00:00Z: 744 h",
            ),
            (
                Months,
                3,
                "2026-01-01",
                "UTC",
                "2026-08-15T00:00:00Z",
                "2026-07-01T00:00:00Z to 2026-10-01T00:00:00Z: 2208 h",
            ),
            (
                Years,
                1,
                "2024-01-01",
                "UTC",
                "2024-12-31T00:00:00Z",
                "2024-01-01T00:00:00Z to 2025-01-01T00:00:00Z: 8784 h",
            ),
            (
                Weeks,
                1,
                "2026-01-05",
                "UTC",
                "2026-11-25T10:00:00Z",
                "2026-11-23T00:00:00Z to 2026-11-30T00:00:00Z: 168 h",
            ),
            (
                Weeks,
                2,
                "2026-01-05",
                "UTC",
                "2026-01-18T23:00:00Z",
                "2026-01-05T00:00:00Z to 2026-01-19T00:00:00Z: 336 h",
            ),
            (
                Days,
                1,
                "2026-01-01",
                "America/New_York",
                "2026-03-08T12:00:00Z",
                "2026-03-08T05:00:00Z to 2026-03-09T04:00:00Z: 23 h",
            ),
            (
                Days,
                1,
                "2026-01-01",
                "America/New_York",
                "2026-11-01T12:00:00Z",
                "2026-11-01T04:00:00Z to 2026-11-02T05:00:00Z: 25 h",
            ),
            // Half an hour of summer time.
            (
                Days,
                1,
                "2026-01-01",
                "Australia/Lord_Howe",
                "2026-10-04T00:00:00Z",
                "2026-10-03T13:30:00Z to 2026-10-04T13:00:00Z: 23.5 h",
            ),
            (
                Days,
                1,
                "2026-01-01",
                "Australia/Lord_Howe",
                "2026-04-05T00:00:00Z",
                "2026-04-04T13:00:00Z to 2026-04-05T13:30:00Z: 24.5 h",
            ),
            // The clocks go from midnight to one: the day begins at one.
            (
                Days,
                1,
                "2018-01-01",
                "America/Sao_Paulo",
                "2018-11-04T12:00:00Z",
                "2018-11-04T03:00:00Z to 2018-11-05T02:00:00Z: 23 h",
            ),
            (
                Days,
                1,
                "2018-01-01",
                "America/Sao_Paulo",
                "2018-02-17T12:00:00Z",
                "2018-02-17T02:00:00Z to 2018-02-18T03:00:00Z: 25 h",
            ),
            // Midnight comes twice: the first one counts.
            (
                Days,
                1,
                "2026-01-01",
                "America/Havana",
                "2020-11-01T12:00:00Z",
                "2020-11-01T04:00:00Z to 2020-11-02T05:00:00Z: 25 h",
            ),
            // Samoa had no 30 December 2011: that day has no hours, and the 29th ends where the 31st begins.
            (
                Days,
                1,
                "2011-12-01",
                "Pacific/Apia",
                "2011-12-30T09:59:00Z",
                "2011-12-29T10:00:00Z to 2011-12-30T10:00:00Z: 24 h",
            ),
            (
                Days,
                1,
                "2011-12-01",
                "Pacific/Apia",
                "2011-12-30T10:00:00Z",
                "2011-12-30T10:00:00Z to 2011-12-31T10:00:00Z: 24 h",
            ),
            // Before the anchor.
            (
                Days,
                1,
                "2026-01-01",
                "UTC",
                "1969-12-31T23:00:00Z",
                "1969-12-31T00:00:00Z to 1970-01-01T00:00:00Z: 24 h",
            ),
        ] {
            check(unit, count, anchor, zone, at, expected);
        }
    }
}
