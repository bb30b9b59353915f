//! A month, its slices, and the downtimes that bad slices make. Reads no clock.

use anyhow::anyhow;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use streamgauge_events::EventTime;
use streamgauge_slo::Tally;

use super::DownSlice;
use crate::objectives::History;

/// From the first instant of the first day to that of the next month's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Month {
    pub name: String,
    pub time_zone: String,
    #[serde(serialize_with = "crate::slo_text::time")]
    pub from: EventTime,
    #[serde(serialize_with = "crate::slo_text::time")]
    pub to: EventTime,
}

/// `2026-10` → its first day.
pub fn parse(text: &str) -> Result<Date, String> {
    let found = (text.len() == 7).then(|| format!("{text}-01")).and_then(|date| date.parse::<Date>().ok());
    found.ok_or_else(|| format!("{text:?} is no month: write 2026-10"))
}

impl Month {
    pub fn of(first: Date, name: &str, zone: &TimeZone) -> anyhow::Result<Self> {
        let start = |date: Date| {
            let zoned = date.to_zoned(zone.clone()).map_err(|error| anyhow!("{date} in {name}: {error}"))?;
            anyhow::Ok(EventTime(zoned.timestamp().as_microsecond()))
        };
        let next = first.checked_add(1.month()).map_err(|error| anyhow!("behind {first}: {error}"))?;
        let text = format!("{:04}-{:02}", first.year(), first.month());
        Ok(Self { name: text, time_zone: name.to_owned(), from: start(first)?, to: start(next)? })
    }
}

/// How many slices of the month are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Slices {
    pub width_us: i64,
    /// Of the whole month.
    pub all: i64,
    /// Counted, and nothing of them missing.
    pub covered: i64,
    /// Of the covered ones, those in which nothing could be judged.
    pub empty: i64,
    pub bad: i64,
}

impl Slices {
    pub fn unheard(month: &Month, width_us: i64) -> Self {
        Self { width_us, all: (month.to.0 - month.from.0) / width_us, ..Self::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Downtime {
    #[serde(serialize_with = "crate::slo_text::time")]
    pub from: EventTime,
    #[serde(serialize_with = "crate::slo_text::time")]
    pub to: EventTime,
    pub bad: i128,
    pub total: i128,
}

/// Judges each slice of the month that ends at or before `at`; one at its edge is clipped to it. `is_covered`: whether nothing
/// of a span is missing.
pub(super) fn slices(
    history: &History,
    month: &Month,
    at: EventTime,
    slice: DownSlice,
    is_covered: &dyn Fn(EventTime, EventTime) -> bool,
) -> (Slices, Vec<Downtime>) {
    let width_us = slice.width_us;
    let tallies = history.spans(width_us, month.from, at);
    let mut slices = Slices::unheard(month, width_us);
    let mut downtimes: Vec<Downtime> = Vec::new();
    let mut start = month.from.max(history.first).floor(width_us);
    while start.plus_us(width_us) <= at {
        let end = start.plus_us(width_us);
        let tally = tallies.get(&start).copied().unwrap_or_default();
        let covered = is_covered(start, end);
        slices.covered += i64::from(covered);
        slices.empty += i64::from(covered && tally.total == 0);
        if covered && is_down(tally, slice) {
            slices.bad += 1;
            let from = start.max(month.from);
            match downtimes.last_mut() {
                Some(last) if last.to == from => {
                    last.to = end;
                    last.bad += tally.bad;
                    last.total += tally.total;
                }
                _ => downtimes.push(Downtime { from, to: end, bad: tally.bad, total: tally.total }),
            }
        }
        start = end;
    }
    (slices, downtimes)
}

/// g D < T n.
fn is_down(tally: Tally, slice: DownSlice) -> bool {
    let (good, of) = (i128::from(slice.target.numerator), i128::from(slice.target.denominator));
    tally.total > 0 && tally.good() * of < good * tally.total
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use streamgauge_definitions::Share;
    use streamgauge_windows::window::rfc3339_text;

    use super::*;

    const MINUTE_US: i64 = 60_000_000;

    #[test]
    fn months_begin_where_people_are() {
        for (month, zone, expected) in [
            ("2026-10", "UTC", Some("2026-10-01T00:00:00Z 2026-11-01T00:00:00Z")),
            ("2026-10", "Europe/Berlin", Some("2026-09-30T22:00:00Z 2026-10-31T23:00:00Z")),
            ("2026-12", "America/New_York", Some("2026-12-01T05:00:00Z 2027-01-01T05:00:00Z")),
            ("2026-13", "UTC", None),
            ("26-10", "UTC", None),
            ("2026-10-01", "UTC", None),
        ] {
            let found = parse(month).ok().map(|first| {
                let zone = TimeZone::get(zone).expect("a zone");
                let month = Month::of(first, "", &zone).expect("a month");
                format!("{} {}", rfc3339_text(month.from), rfc3339_text(month.to))
            });
            assert_eq!(found.as_deref(), expected, "{month} in {zone}");
        }
    }

    /// (minute, bad, total) each, of a month that begins at minute 10 and was counted up to minute 30.
    fn check(tallies: &[(i64, i128, i128)], uncovered: Option<i64>, expected: &str) {
        let at = |minute: i64| EventTime(minute * MINUTE_US);
        let tallies: BTreeMap<EventTime, Tally> =
            tallies.iter().map(|(minute, bad, total)| (at(*minute), Tally::new(*bad, *total))).collect();
        let exemplars = BTreeMap::new();
        let history = History { width_us: MINUTE_US, first: at(5), end: at(30), tallies, exemplars };
        let month = Month { name: String::new(), time_zone: String::new(), from: at(10), to: at(70) };
        let slice = DownSlice { width_us: MINUTE_US, target: Share { numerator: 9, denominator: 10 } };
        let is_covered = |from: EventTime, _: EventTime| uncovered.is_none_or(|minute| from != at(minute));
        let (slices, downtimes) = slices(&history, &month, at(30), slice, &is_covered);
        let downtimes: Vec<String> = downtimes
            .iter()
            .map(|down| format!("{}-{} {}/{}", down.from.0 / MINUTE_US, down.to.0 / MINUTE_US, down.bad, down.total))
            .collect();
        let Slices { all, covered, empty, bad, .. } = slices;
        assert_eq!(format!("{covered}/{all} covered, {empty} empty, {bad} bad: {}", downtimes.join(", ")), expected);
    }

    #[test]
    fn bad_slices_that_touch_are_one_downtime() {
        check(&[], None, "20/60 covered, 20 empty, 0 bad: ");
        check(&[(12, 1, 10)], None, "20/60 covered, 19 empty, 0 bad: ");
        check(&[(12, 2, 10), (13, 3, 10), (15, 1, 1)], None, "20/60 covered, 17 empty, 3 bad: 12-14 5/20, 15-16 1/1");
        // What lies outside of the month, and what was not counted to its end, is no part of it.
        check(&[(9, 5, 5), (10, 5, 5), (30, 5, 5)], None, "20/60 covered, 19 empty, 1 bad: 10-11 5/5");
        check(&[(12, 2, 10)], Some(20), "19/60 covered, 18 empty, 1 bad: 12-13 2/10");
        // Of what is not covered, nobody knows whether it was down.
        check(&[(12, 2, 10)], Some(12), "19/60 covered, 19 empty, 0 bad: ");
    }
}
