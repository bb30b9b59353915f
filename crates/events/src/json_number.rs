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
