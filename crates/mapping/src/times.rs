//! Text → event time, exact to the microsecond, half to even. Times are UTC unless the file or the mapping says a zone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use streamgauge_events::EventTime;

use crate::decimal::Decimal;

/// Units of time: the word in a mapping, and the power of ten that leads to microseconds.
pub const UNITS: [(&str, i32); 4] = [("s", 6), ("ms", 3), ("us", 0), ("ns", -3)];

pub fn unit_shift(unit: &str) -> Option<i32> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, shift)| *shift)
}

#[derive(Clone, Debug)]
pub enum TimeFormat {
    /// A count of units since a base: since 1970 for the epoch formats.
    Count {
        shift: i32,
        base_us: i64,
    },
    Rfc3339,
    /// `strptime`; with a zone where the text has none.
    Pattern {
        format: String,
        zone: Option<TimeZone>,
    },
}

impl TimeFormat {
    /// The error says what is wrong with the text, as the end of a sentence that starts with it.
    pub fn read(&self, text: &str) -> Result<EventTime, String> {
        let us = match self {
            Self::Count { shift, base_us } => Decimal::parse(text)
                .ok_or("is not a decimal number")?
                .rounded(*shift)
                .and_then(|us| us.checked_add(i128::from(*base_us))),
            Self::Rfc3339 => {
                let instant: Timestamp =
                    text.parse().map_err(|_| "is not a time by RFC 3339, such as 2022-08-22T04:03:00.5Z".to_owned())?;
                Some(microseconds(instant))
            }
            Self::Pattern { format, zone } => Some(microseconds(by_pattern(text, format, zone.as_ref())?)),
        };
        us.filter(|us| (0..=i128::from(EventTime::MAX_RECORD.0)).contains(us))
            .map(|us| EventTime(us as i64))
            .ok_or_else(|| "is not between the years 1970 and 9999".to_owned())
    }
}

fn microseconds(instant: Timestamp) -> i128 {
    let nanoseconds = instant.as_nanosecond();
    let (us, rest) = (nanoseconds.div_euclid(1000), nanoseconds.rem_euclid(1000));
    us + i128::from(rest > 500 || (rest == 500 && us % 2 != 0))
}

fn by_pattern(text: &str, format: &str, zone: Option<&TimeZone>) -> Result<Timestamp, String> {
    let wrong = |error: jiff::Error| format!("is not a time by `{format}` ({error})");
    let parsed = BrokenDownTime::parse(format, text).map_err(wrong)?;
    match zone {
        None => parsed.to_timestamp().map_err(wrong),
        Some(zone) => in_zone(parsed.to_datetime().map_err(wrong)?, zone),
    }
}

/// Of a local time that the clock showed twice, the first; one that it never showed is refused.
fn in_zone(local: DateTime, zone: &TimeZone) -> Result<Timestamp, String> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
        return Err(format!(
            "never stood on a clock in {}: it was put forward",
            zone.iana_name().unwrap_or("that zone")
        ));
    }
    ambiguous.compatible().map_err(|error| format!("is out of range ({error})"))
}

/// What is wrong with a `strptime` format, found by writing an instant with it and reading it again.
pub fn check_pattern(format: &str, zone: Option<&TimeZone>) -> Result<(), String> {
    let sample = Timestamp::constant(1_661_140_279, 123_456_000).to_zoned(TimeZone::UTC);
    let text = jiff::fmt::strtime::format(format, &sample).map_err(|error| error.to_string())?;
    let parsed = BrokenDownTime::parse(format, &text).map_err(|error| error.to_string())?;
    let has_zone = parsed.offset().is_some() || parsed.timestamp().is_some() || parsed.iana_time_zone().is_some();
    match zone {
        None if !has_zone => Err("it has no offset (%z), so the instant isn't known without `timezone`".to_owned()),
        Some(_) if has_zone => Err("it reads an offset, so `timezone` would never be used".to_owned()),
        None => parsed.to_timestamp().map(drop).map_err(|error| error.to_string()),
        Some(_) => parsed.to_datetime().map(drop).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &TimeFormat, table: &[(&str, Result<i64, &str>)]) {
        for (text, expected) in table {
            match (format.read(text), expected) {
                (Ok(actual), Ok(us)) => assert_eq!(actual.0, *us, "{text}"),
                (Err(problem), Err(part)) => assert!(problem.contains(part), "{text}: {problem}"),
                (actual, _) => panic!("{text}: {actual:?}, expected {expected:?}"),
            }
        }
    }

    fn pattern(format: &str, zone: Option<&str>) -> TimeFormat {
        let zone = zone.map(|name| TimeZone::get(name).expect("a zone of the bundled database"));
        check_pattern(format, zone.as_ref()).expect("a format of these tests");
        TimeFormat::Pattern { format: format.to_owned(), zone }
    }

    #[test]
    fn counts() {
        check(
            &TimeFormat::Count { shift: 6, base_us: 0 },
            &[
                ("1661140279", Ok(1_661_140_279_000_000)),
                ("1661140279.0000005", Ok(1_661_140_279_000_000)),
                ("1661140279.0000015", Ok(1_661_140_279_000_002)),
                ("1.661140279e9", Ok(1_661_140_279_000_000)),
                ("253402300799.999999", Ok(253_402_300_799_999_999)),
                ("253402300800", Err("between the years")),
                ("-1", Err("between the years")),
                ("1e99", Err("between the years")),
                ("noon", Err("not a decimal number")),
                ("", Err("not a decimal number")),
            ],
        );
        check(&TimeFormat::Count { shift: -3, base_us: 0 }, &[("1661140374351773500", Ok(1_661_140_374_351_774))]);
        check(
            &TimeFormat::Count { shift: 3, base_us: 1_000_000 },
            &[("0", Ok(1_000_000)), ("27482", Ok(28_482_000)), ("-1000", Ok(0)), ("-1001", Err("between the years"))],
        );
    }

    #[test]
    fn rfc_3339() {
        check(
            &TimeFormat::Rfc3339,
            &[
                ("2022-08-22T04:03:00Z", Ok(1_661_140_980_000_000)),
                ("2022-08-22T06:03:00.5+02:00", Ok(1_661_140_980_500_000)),
                ("2022-08-22T04:03:00.0000005Z", Ok(1_661_140_980_000_000)),
                ("2022-08-22T04:03:00.0000015Z", Ok(1_661_140_980_000_002)),
                ("2022-08-22T04:03:00", Err("RFC 3339")),
                ("1969-12-31T23:59:59Z", Err("between the years")),
            ],
        );
    }

    #[test]
    fn patterns() {
        check(
            &pattern("%d/%b/%Y:%H:%M:%S %z", None),
            &[
                ("17/May/2015:10:05:03 +0000", Ok(1_431_857_103_000_000)),
                ("17/May/2015:12:05:03 +0200", Ok(1_431_857_103_000_000)),
                ("17/Mai/2015:10:05:03 +0000", Err("is not a time by")),
                ("17/May/2015:10:05:03", Err("is not a time by")),
            ],
        );
        check(
            &pattern("%Y-%m-%d %H:%M:%S%.f", Some("UTC")),
            &[
                ("2023-11-16 18:15:46.6805900", Ok(1_700_158_546_680_590)),
                ("2023-11-16 18:15:46", Ok(1_700_158_546_000_000)),
            ],
        );
        // Clocks went back from 3:00 to 2:00 on 2022-10-30, and from 2:00 to 3:00 on 2022-03-27.
        check(
            &pattern("%Y-%m-%d %H:%M", Some("Europe/Berlin")),
            &[
                ("2022-10-30 02:30", Ok(1_667_089_800_000_000)),
                ("2022-03-27 02:30", Err("never stood on a clock in Europe/Berlin")),
            ],
        );
    }

    #[test]
    fn a_format_must_determine_an_instant() {
        let utc = TimeZone::UTC;
        let table = [
            ("%Y-%m-%d %H:%M:%S", None, "`timezone`"),
            ("%Y-%m-%d %H:%M:%S %z", Some(&utc), "would never be used"),
            ("%H:%M:%S", Some(&utc), "year"),
            ("%Y-%m-%d %&", Some(&utc), "unrecognized"),
        ];
        for (format, zone, part) in table {
            let problem = check_pattern(format, zone).expect_err(format);
            assert!(problem.contains(part), "{format}: {problem}");
        }
    }
}
