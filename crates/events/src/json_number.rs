//! The text of a JSON number to an exact integer, never by way of a float.

/// The value of a JSON number that is exactly an integer (`12`, `12.0`, `1.2e1`), or why it is none.
///
/// `text` must be a number by the JSON grammar. Magnitudes from 10^38 on are `TooLarge`.
pub fn to_integer(text: &str) -> Result<i128, NotAnInteger> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    let significant = digits().collect::<Vec<u8>>();
    let trimmed = significant.trim_ascii_end_zeros();
    if trimmed.iter().all(|digit| *digit == b'0') {
        return Ok(0);
    }
    let zeros_trimmed = (significant.len() - trimmed.len()) as i64;
    let shift = exponent - fraction.len() as i64 + zeros_trimmed;
    if shift < 0 {
        return Err(NotAnInteger::Fraction);
    }
    let first = trimmed.iter().position(|digit| *digit != b'0').unwrap_or(0);
    let leading = &trimmed[first..];
    if leading.len() as i64 + shift > 38 {
        return Err(NotAnInteger::TooLarge);
    }
    let magnitude = leading.iter().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    let magnitude = magnitude * 10_i128.pow(shift as u32);
    Ok(if negative { -magnitude } else { magnitude })
}

/// The value of a JSON number in millionths, rounded half-even; `None` from 2^63 millionths on.
///
/// `text` must be a number by the JSON grammar. Exact however many digits stand there: no float is involved.
pub fn to_millionths(text: &str) -> Option<i64> {
    const PLACES: i64 = 6;
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0');
    let Some(leading_zeros) = digits().position(|digit| digit != 0) else { return Some(0) };
    // Of all digits, so many stand before the point of the result.
    let before = whole.len() as i64 + exponent + PLACES;
    let significant = before - leading_zeros as i64;
    if significant > 19 {
        return None;
    }
    if significant < 0 {
        return Some(0);
    }
    let mut kept = 0_i128;
    let mut behind = digits().skip(leading_zeros);
    for _ in 0..significant {
        kept = kept * 10 + i128::from(behind.next().unwrap_or(0));
    }
    let first = behind.next().unwrap_or(0);
    let exactly_half = first == 5 && behind.all(|digit| digit == 0);
    let up = first > 5 || (first == 5 && !exactly_half) || (exactly_half && kept % 2 == 1);
    let magnitude = kept + i128::from(up);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Millionths as the shortest decimal: 0.25, -3, 12.000001.
pub fn from_millionths(value: i64) -> String {
    let (sign, magnitude) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    let (whole, fraction) = (magnitude / 1_000_000, magnitude % 1_000_000);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let places = format!("{fraction:06}");
    format!("{sign}{whole}.{}", places.trim_end_matches('0'))
}

/// Far beyond the length of any text in memory, and far from the ends of i64.
const EXPONENT_MAX: i64 = 1 << 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnInteger {
    /// A digit other than zero stands behind the decimal point.
    Fraction,
    /// 10^38 or more.
    TooLarge,
}

/// Saturates where no text is long enough for its digits to make up for it.
fn exponent_of(text: &str) -> i64 {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    sign * digits.bytes().fold(0_i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX))
}

trait TrimZeros {
    fn trim_ascii_end_zeros(&self) -> &[u8];
}

impl TrimZeros for Vec<u8> {
    fn trim_ascii_end_zeros(&self) -> &[u8] {
        let kept = self.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        &self[..kept]
    }
}

#[cfg(test)]
mod tests {
    use super::{NotAnInteger::*, *};

    #[test]
    fn millionths_are_rounded_half_even() {
        let many_zeros = format!("0.0000005{}1", "0".repeat(1000));
        let far = format!("{}e-1000", "1".repeat(1001));
        let table: &[(&str, Option<i64>)] = &[
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("1", Some(1_000_000)),
            ("0.8", Some(800_000)),
            ("-4.25", Some(-4_250_000)),
            ("4.2e-1", Some(420_000)),
            ("12E+1", Some(120_000_000)),
            ("0.0000005", Some(0)),
            ("0.0000015", Some(2)),
            ("0.0000025", Some(2)),
            ("-0.0000015", Some(-2)),
            ("0.00000050000001", Some(1)),
            (&many_zeros, Some(1)),
            ("0.0000004999", Some(0)),
            ("0.9999995", Some(1_000_000)),
            ("0.99999949", Some(999_999)),
            (&far, Some(1_111_111)),
            ("9223372036854.775807", Some(i64::MAX)),
            ("9223372036854.7758075", None),
            ("-9223372036854.775808", Some(i64::MIN)),
            ("1e13", None),
            ("1e999999999999", None),
            ("0e999999999999", Some(0)),
            ("1e-999999999999", Some(0)),
            ("0.001e3", Some(1_000_000)),
        ];
        for (text, expected) in table {
            assert_eq!(to_millionths(text), *expected, "{text}");
        }
    }

    #[test]
    fn millionths_are_written_as_the_shortest_decimal() {
        for (value, expected) in
            [(0, "0"), (1, "0.000001"), (-250_000, "-0.25"), (3_000_000, "3"), (-12_000_001, "-12.000001")]
        {
            assert_eq!(from_millionths(value), expected);
            assert_eq!(to_millionths(expected), Some(value));
        }
    }

    #[test]
    fn only_exact_integers_pass() {
        let table: &[(&str, Result<i128, NotAnInteger>)] = &[
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("0.000", Ok(0)),
            ("0e9", Ok(0)),
            ("12", Ok(12)),
            ("-12", Ok(-12)),
            ("10.0", Ok(10)),
            ("2e2", Ok(200)),
            ("1.25e2", Ok(125)),
            ("1200e-2", Ok(12)),
            ("0.5e1", Ok(5)),
            ("1.5", Err(Fraction)),
            ("1e-1", Err(Fraction)),
            ("1700000000000000.1", Err(Fraction)),
            ("9007199254740993", Ok(9_007_199_254_740_993)),
            ("1e37", Ok(10_i128.pow(37))),
            ("1e38", Err(TooLarge)),
            ("1e999999999999", Err(TooLarge)),
            ("1e-999999999999", Err(Fraction)),
        ];
        for (text, expected) in table {
            assert_eq!(to_integer(text), *expected, "{text}");
        }
    }
}
