//! A place and its texts → what they probably are: times, durations, statuses, names. By words in the name, and by what
//! nearly all the texts have in common. Must never know how a mapping is written.

use jiff::tz::TimeZone;
use streamgauge_events::Kind;

use crate::convert::Target;
use crate::decimal::Decimal;
use crate::infer::fit::Fit;
use crate::infer::sample::Column;
use crate::infer::{CHECK, EPOCH_BASE, FILL_IN};
use crate::mapped_event::Draft;
use crate::times::TimeFormat;

/// A way to read all times of a column.
#[derive(Clone, Debug)]
pub struct Times {
    /// The keys behind the place, as they stand in a mapping.
    pub keys: String,
    /// Said beside it.
    pub why: String,
    /// Whether it was told by the values, or is to be checked by a person.
    pub is_sure: bool,
    rank: i32,
    /// How many of them can be read so.
    pub fit: Fit,
}

/// 2000-01-01 to 2100-01-01, in seconds: what a count since 1970 may be.
const EPOCH_S: std::ops::Range<i128> = 946_684_800..4_102_444_800;

/// Words of a name: `StartTimeUnixNano` is start, time, unix, nano; `CpuUsage(m)` is cpu, usage, m.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for char in name.chars() {
        let begins = char.is_uppercase() && before.is_lowercase();
        if begins || !char.is_alphanumeric() {
            words.push(String::new());
        }
        if char.is_alphanumeric() {
            words.last_mut().expect("one at least").extend(char.to_lowercase());
        }
        before = char;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a name is, or ends with, one of these words or pairs of words (`status code`).
pub fn is_named(name: &str, wanted: &[&str]) -> bool {
    let spelled = format!(" {}", words(name).join(" "));
    wanted.iter().any(|wanted| spelled.ends_with(&format!(" {wanted}")) || spelled.trim() == wanted.replace(' ', ""))
}

/// Whether any of these words stands in a name.
pub fn has_word(name: &str, wanted: &[&str]) -> bool {
    words(name).iter().any(|word| wanted.contains(&word.as_str()))
}

/// How well the texts can be read as a field's values.
pub fn readable(column: &Column, target: &Target) -> Fit {
    Fit::of(column, |text| target.set(&mut Draft::new(Kind::Request), text))
}

pub fn numbers(column: &Column) -> Fit {
    Fit::of(column, |text| number(text).map(drop))
}

pub fn is_number(column: &Column) -> bool {
    numbers(column).holds()
}

/// Whether there is anything but numbers, or nothing at all.
pub fn is_text(column: &Column) -> bool {
    !numbers(column).is_whole()
}

/// Texts of so many bytes.
pub fn at_most(column: &Column, bytes: usize) -> Fit {
    Fit::of(column, |text| match text.len() {
        len if len <= bytes => Ok(()),
        len => Err(format!("is {len} bytes long; expected at most {bytes}")),
    })
}

fn number(text: &str) -> Result<Decimal, String> {
    Decimal::parse(text.trim()).ok_or_else(|| "is not a decimal number".to_owned())
}

pub fn integers(column: &Column, min: i128, max: i128) -> Fit {
    Fit::of(column, |text| match number(text)?.integer() {
        Some(value) if (min..=max).contains(&value) => Ok(()),
        _ => Err(format!("is not an integer from {min} to {max}")),
    })
}

/// Whether any of the numbers has decimals.
fn has_decimals(column: &Column) -> bool {
    column.present().any(|text| text.contains('.') && number(text).is_ok())
}

/// The middle one of the numbers, in millionths.
pub fn median(column: &Column) -> Option<i128> {
    let mut numbers: Vec<i128> = column.present().filter_map(|text| number(text).ok()?.rounded(6)).collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}

/// `strptime` formats, and whether they read an offset.
const PATTERNS: [(&str, bool); 8] = [
    ("%d/%b/%Y:%H:%M:%S %z", true),
    ("%Y-%m-%d %H:%M:%S%.f %z", true),
    ("%Y-%m-%dT%H:%M:%S%.f%z", true),
    ("%a, %d %b %Y %H:%M:%S %z", true),
    ("%Y-%m-%d %H:%M:%S%.f", false),
    ("%Y-%m-%dT%H:%M:%S%.f", false),
    ("%Y/%m/%d %H:%M:%S%.f", false),
    ("%Y-%m-%d %H:%M", false),
];

/// The best way to read a column as times, if most of it can be.
pub fn times(column: &Column) -> Option<Times> {
    let named =
        has_word(&column.place, &["time", "timestamp", "ts", "date", "datetime", "at", "unix", "nano", "start", "end"]);
    if numbers(column).is_most() {
        return counted(column, named);
    }
    let mut best: Option<Times> = None;
    let mut consider = |times: Times| {
        if best.as_ref().is_none_or(|best| times.fit.is_better_than(&best.fit)) {
            best = Some(times);
        }
    };
    let read = |format: &TimeFormat, text: &str| {
        format.read(text.trim()).map(drop).map_err(|_| "is not a time in this format".to_owned())
    };
    let fit = Fit::of(column, |text| read(&TimeFormat::Rfc3339, text));
    let why = format!("{} fit", fit.share());
    consider(Times { keys: "format: rfc3339".into(), why, is_sure: true, rank: 6, fit });
    for (format, has_offset) in PATTERNS {
        let zone = (!has_offset).then_some(TimeZone::UTC);
        let pattern = TimeFormat::Pattern { format: format.to_owned(), zone };
        let fit = Fit::of(column, |text| read(&pattern, text));
        if !has_offset {
            let why = format!("{} fit, but say no offset: {CHECK} the timezone", fit.share());
            let keys = format!("format: \"{format}\", timezone: UTC");
            consider(Times { keys, why, is_sure: false, rank: 4, fit });
            continue;
        }
        let why = format!("{} fit", fit.share());
        consider(Times { keys: format!("format: \"{format}\""), why, is_sure: true, rank: 6, fit });
        // `2022-08-22 03:51:19.6 +0000 UTC m=+0.1`, as Go prints it.
        let fit = Fit::of(column, |text| {
            let words: Vec<&str> = text.split(' ').collect();
            if words.len() > 3 {
                read(&pattern, &words[..3].join(" "))
            } else {
                Err("has no more than three words".into())
            }
        });
        let why = format!("the first three words of {} fit", fit.share());
        let keys = format!("extract: '^\\S+ \\S+ \\S+', format: \"{format}\"");
        consider(Times { keys, why, is_sure: true, rank: 5, fit });
    }
    best.filter(|best| best.fit.is_most())
}

/// Numbers: counts since 1970 by their size, or, where the name says time, counts since an unknown start.
fn counted(column: &Column, named: bool) -> Option<Times> {
    let mut best: Option<Times> = None;
    for (name, shift) in [("epoch_s", 0), ("epoch_ms", -3), ("epoch_us", -6), ("epoch_ns", -9)] {
        let fit = Fit::of(column, |text| match number(text)?.rounded(shift) {
            Some(seconds) if EPOCH_S.contains(&seconds) => Ok(()),
            _ => Err(format!("is not between the years 2000 and 2100 by `format: {name}`")),
        });
        if best.as_ref().is_none_or(|best| fit.is_better_than(&best.fit)) {
            let keys = format!("format: {name}");
            let why = "by their size: between the years 2000 and 2100".into();
            best = Some(Times { keys, why, is_sure: named, rank: if named { 5 } else { 1 }, fit });
        }
    }
    if best.as_ref().is_some_and(|best| best.fit.holds()) {
        return best;
    }
    // Many numbers are as large by chance: what only nearly fits needs the name.
    relative(column).or(best.filter(|best| named && best.fit.is_most()))
}

/// Numbers that rise.
fn relative(column: &Column) -> Option<Times> {
    let mut before = 0;
    let fit = Fit::of(column, |text| {
        let value = number(text)?.rounded(6).ok_or("is too large")?;
        let rises = value >= before;
        before = value;
        if rises { Ok(()) } else { Err("is less than the one before".to_owned()) }
    });
    let words_of_time = ["time", "timestamp", "ts", "elapsed", "offset"];
    if !fit.holds() || !has_word(&column.place, &words_of_time) {
        return None;
    }
    let (unit, why) = match unit_in_name(&column.place) {
        Some(unit) => (unit, format!("`{unit}` by the name")),
        None if has_decimals(column) => ("s", "seconds, since they have decimals".to_owned()),
        None => ("ms", "milliseconds, since they are integers".to_owned()),
    };
    Some(Times {
        keys: format!("format: relative, unit: {unit}, epoch_base: {EPOCH_BASE}"),
        why: format!(
            "they rise from a start that the file doesn't tell. {FILL_IN} epoch_base; {CHECK} the unit: {why}"
        ),
        is_sure: false,
        rank: 3,
        fit,
    })
}

/// Of several columns of times the one to take. The end of a request is when it counts.
pub fn best_times(columns: &[(usize, Times)], place: impl Fn(usize) -> String) -> Option<(usize, Times)> {
    let score = |(index, times): &&(usize, Times)| {
        let name = place(*index);
        let end = i32::from(has_word(&name, &["end", "finish", "finished", "completed"]));
        let start = i32::from(has_word(&name, &["start", "begin", "created"]));
        // Of equals the first: `max_by_key` takes the last.
        (times.rank * 2 + 3 * end - start, std::cmp::Reverse(*index))
    };
    columns.iter().max_by_key(score).cloned()
}

/// The unit of time that a name ends with.
pub fn unit_in_name(name: &str) -> Option<&'static str> {
    let words = words(name);
    match words.last()?.as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Some("s"),
        "ms" | "msec" | "millis" | "millisecond" | "milliseconds" => Some("ms"),
        "us" | "usec" | "micros" | "microsecond" | "microseconds" => Some("us"),
        "ns" | "nsec" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => Some("ns"),
        _ => None,
    }
}

/// The unit of a duration, and why.
pub fn duration_unit(column: &Column) -> (&'static str, String) {
    if let Some(unit) = unit_in_name(&column.place) {
        return (unit, format!("`{unit}` by the name"));
    }
    let median = median(column).unwrap_or_default() / 1_000_000;
    let unit = match median {
        ..60 if has_decimals(column) => "s",
        ..20_000 => "ms",
        20_000..10_000_000 => "us",
        _ => "ns",
    };
    (unit, format!("{CHECK} the unit: the name says none, and half of the values are below {}", median + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(place: &str, texts: &[&str]) -> Column {
        Column { place: place.to_owned(), texts: texts.iter().map(|text| Some((*text).to_owned())).collect() }
    }

    #[test]
    fn names_fall_into_words() {
        let table = [
            ("StartTimeUnixNano", "start time unix nano"),
            ("CpuUsage(m)", "cpu usage m"),
            ("end_unix_nano", "end unix nano"),
            ("/response/status", "response status"),
            ("TIMESTAMP", "timestamp"),
        ];
        for (name, expected) in table {
            assert_eq!(words(name).join(" "), expected);
        }
        assert!(is_named("http.status_code", &["status code"]) && is_named("ServiceName", &["service name"]));
        assert!(is_named("servicename", &["service name"]) && !is_named("PodSuccessRate(%)", &["success"]));
    }

    #[test]
    fn times_are_told_by_their_looks() {
        let table = [
            ("ts", &["2022-08-22T04:03:00Z"][..], Some("format: rfc3339")),
            ("ts", &["1661140279", "1661140280.5"], Some("format: epoch_s")),
            ("x", &["1661140279123"], Some("format: epoch_ms")),
            ("x", &["1661140279123456789"], Some("format: epoch_ns")),
            ("timestamp", &["0", "0", "27482"], Some("format: relative, unit: ms, epoch_base: FILL_IN_EPOCH_BASE")),
            ("timestamp", &["0", "27482", "5"], None),
            ("tokens", &["0", "27482"], None),
            ("t", &["2014-04-01 00:00:00"], Some("format: \"%Y-%m-%d %H:%M:%S%.f\", timezone: UTC")),
            ("t", &["17/May/2015:10:05:03 +0000"], Some("format: \"%d/%b/%Y:%H:%M:%S %z\"")),
            (
                "t",
                &["2022-08-22 03:51:19.607158889 +0000 UTC m=+0.113112869"],
                Some("extract: '^\\S+ \\S+ \\S+', format: \"%Y-%m-%d %H:%M:%S%.f %z\""),
            ),
            ("t", &["2014-04-01 00:00:00", "soon"], None),
            ("t", &[], None),
        ];
        for (place, texts, expected) in table {
            assert_eq!(times(&column(place, texts)).map(|times| times.keys).as_deref(), expected, "{texts:?}");
        }
    }

    #[test]
    fn durations_have_units_by_name_or_size() {
        let table = [
            ("latency_ms", "0.5", "ms"),
            ("PodClientLatencyP90(s)", "0.5", "s"),
            ("duration", "0.5", "s"),
            ("duration", "350", "ms"),
            ("duration", "350065", "us"),
            ("duration", "350065000", "ns"),
        ];
        for (place, text, expected) in table {
            assert_eq!(duration_unit(&column(place, &[text])).0, expected, "{place} {text}");
        }
    }
}
