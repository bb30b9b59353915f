//! Texts of definitions → exact values: decimals in millionths, durations, shares. No float stands between them.

use crate::model::Share;

/// A plain decimal with at most six places, in millionths, at most 2^45 of them either way.
pub fn millionths(text: &str) -> Option<i64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, places) = rest.split_once('.').unwrap_or((rest, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(places) || places.len() > 6 || whole.len() > 12 {
        return None;
    }
    let magnitude: i64 = format!("{whole}{places:0<6}").parse().ok()?;
    let value = if negative { -magnitude } else { magnitude };
    (magnitude <= streamgauge_events::event::VALUE_MILLIONTHS_MAX).then_some(value)
}

/// Digits alone: no sign, which the standard parser would take.
pub fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A decimal above 0 and up to 1, with at most nine places.
pub fn share(text: &str) -> Option<Share> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > 1
        || (whole.is_empty() && places.is_empty())
        || places.len() > 9
        || !digits(whole)
        || !digits(places)
    {
        return None;
    }
    let denominator = 10_u64.pow(places.len() as u32);
    let numerator = format!("{whole}{places}").parse().ok()?;
    let share = Share { numerator, denominator };
    share.quantile().map(|_| share)
}

/// `90s`, `5m`, `2h`, `1d`: a whole number and a unit, from a millisecond to ten years. In microseconds; the error is a
/// sentence.
pub fn duration_us(text: &str) -> Result<i64, String> {
    let expected =
        || format!("{text:?} is no duration: write a whole number above 0 and a unit, such as 10s, 5m, 1h or 1d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_us = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(expected()),
    };
    let number: i64 = number.parse().map_err(|_| expected())?;
    // Ten years: longer than any retention, and far from where microseconds overflow.
    number
        .checked_mul(unit_us)
        .filter(|us| (1..=3_660 * 86_400_000_000).contains(us))
        .ok_or_else(|| format!("{text:?} is out of range: from 1ms to 3660d"))
}

/// A duration as people write it, in the largest unit that has no rest.
pub fn duration_text(us: i64) -> String {
    let units = [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms")];
    let unit = units.into_iter().find(|(unit_us, _)| us != 0 && us % unit_us == 0);
    unit.map_or_else(|| format!("{us}us"), |(unit_us, unit)| format!("{}{unit}", us / unit_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, expected) in [
            ("0.8", Some(800_000)),
            ("4", Some(4_000_000)),
            ("-0.000001", Some(-1)),
            ("35184372.088832", Some(1 << 45)),
            ("35184372.088833", None),
            ("0.0000001", None),
            ("1e3", None),
            (".5", None),
            ("5.", None),
            ("", None),
            ("-", None),
            ("NaN", None),
        ] {
            assert_eq!(millionths(text), expected, "{text:?}");
        }
    }

    #[test]
    fn shares_are_fractions() {
        for (text, expected) in [
            ("0.99", Some((99, 100))),
            ("0.950", Some((950, 1000))),
            ("1", Some((1, 1))),
            ("0", None),
            ("1.1", None),
            ("99", None),
            ("0.1234567891", None),
        ] {
            let found = share(text).map(|share| (share.numerator, share.denominator));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, expected) in [
            ("60s", Some(60_000_000)),
            ("5m", Some(300_000_000)),
            ("1h", Some(3_600_000_000)),
            ("1d", Some(86_400_000_000)),
            ("250ms", Some(250_000)),
            ("60", None),
            ("s", None),
            ("0s", None),
            ("-5s", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("9999d", None),
            ("1 h", None),
        ] {
            assert_eq!(duration_us(text).ok(), expected, "{text:?}");
        }
        for (us, expected) in [(90_000_000, "90s"), (300_000_000, "5m"), (86_400_000_000, "1d"), (1_500, "1500us")] {
            assert_eq!(duration_text(us), expected);
        }
    }
}
