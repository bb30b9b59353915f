//! The text of a literal → its exact value.
//!
//! Must never know: fields, where the literal stands. No float is involved.

use std::fmt;

use streamgauge_events::json_number;

/// A decimal number in millionths, exactly. 128 bits, so that any integer can be compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decimal(pub i128);

/// One in millionths.
pub(crate) const SCALE: i128 = streamgauge_events::event::VALUE_SCALE as i128;
const PLACES: usize = streamgauge_events::event::VALUE_PLACES as usize;
/// Digits before the point: beyond those of any integer of 64 bits nothing is left to compare with.
const WHOLE_DIGITS_MAX: i64 = 20;

impl Decimal {
    /// By the grammar of CEL: digits with a point or an exponent or both. The error is a remedy.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: String = [whole, fraction].concat();
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Ok(Self(0));
        }
        let zeros = digits.len() - digits.trim_end_matches('0').len();
        let too_large = || format!("Write a number of less than {WHOLE_DIGITS_MAX} digits before the point");
        let Ok(exponent) = exponent.trim_start_matches('+').parse::<i32>() else {
            return Err(too_large());
        };
        // Millionths are `significant` times ten to this power.
        let power = i64::from(exponent) - fraction.len() as i64 + zeros as i64 + PLACES as i64;
        if significant.len() as i64 + power > WHOLE_DIGITS_MAX + PLACES as i64 {
            return Err(too_large());
        }
        if power < 0 {
            let rounded = json_number::to_millionths(if whole.is_empty() { "0" } else { text });
            let near = rounded.map(|near| format!(", such as {}", Self(near.into()))).unwrap_or_default();
            return Err(format!("Values are kept in millionths: write at most {PLACES} places{near}"));
        }
        let magnitude = significant.bytes().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        Ok(Self(magnitude * 10_i128.pow(power as u32)))
    }

    pub const fn of_integer(value: i64) -> Self {
        Self(value as i128 * SCALE)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (sign, magnitude) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let (whole, fraction) = (magnitude / SCALE.unsigned_abs(), magnitude % SCALE.unsigned_abs());
        let places = format!("{fraction:06}");
        let places = places.trim_end_matches('0');
        write!(f, "{sign}{whole}.{}", if places.is_empty() { "0" } else { places })
    }
}

/// How many bytes at the start of a text are one number, which the text starts with.
pub(crate) fn decimal_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits_from = |at: usize| at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits_from(0);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits_from(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let behind = end + 1 + sign;
        if bytes.get(behind).is_some_and(u8::is_ascii_digit) {
            end = digits_from(behind);
        }
    }
    end
}

#[derive(Debug, PartialEq)]
pub(crate) struct WrongEscape {
    /// Bytes from the start of what stands between the quotes.
    pub at: usize,
    pub message: String,
    pub remedy: String,
}

/// What stands between quotes, with CEL's escapes resolved.
pub(crate) fn unescape(inner: &str) -> Result<String, WrongEscape> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(plain) = rest.find('\\') {
        text.push_str(&rest[..plain]);
        let at = inner.len() - rest.len() + plain;
        let escape = &rest[plain + 1..];
        let Some(letter) = escape.chars().next() else { break };
        let (value, length) = match letter {
            'a' => (Some('\x07'), 1),
            'b' => (Some('\x08'), 1),
            'f' => (Some('\x0c'), 1),
            'n' => (Some('\n'), 1),
            'r' => (Some('\r'), 1),
            't' => (Some('\t'), 1),
            'v' => (Some('\x0b'), 1),
            '\\' | '?' | '"' | '\'' | '`' => (Some(letter), 1),
            'x' | 'X' => (code_point(escape, 1, 2, 16), 3),
            'u' => (code_point(escape, 1, 4, 16), 5),
            'U' => (code_point(escape, 1, 8, 16), 9),
            '0'..='3' => (code_point(escape, 0, 3, 8), 3),
            _ => (None, 0),
        };
        let Some(value) = value else { return Err(wrong_escape(at, letter)) };
        text.push(value);
        rest = &escape[length..];
    }
    text.push_str(rest);
    Ok(text)
}

fn code_point(escape: &str, from: usize, digits: usize, radix: u32) -> Option<char> {
    let digits = escape.get(from..from + digits)?;
    // `from_str_radix` would take a sign.
    let is_number = digits.chars().all(|c| c.is_digit(radix));
    char::from_u32(u32::from_str_radix(digits, radix).ok().filter(|_| is_number)?)
}

fn wrong_escape(at: usize, letter: char) -> WrongEscape {
    let remedy = match letter {
        'x' | 'X' => "Two hexadecimal digits stand behind it: \\x2f",
        'u' => "Four hexadecimal digits of a character stand behind it: \\u00e9",
        'U' => "Eight hexadecimal digits of a character stand behind it: \\U0001f600",
        '0'..='9' => "Three octal digits up to \\377 stand behind the backslash: \\057",
        _ => "Write \\\\ for a backslash, or r\"...\" for a text without escapes",
    };
    WrongEscape { at, message: format!("\\{letter} is no escape"), remedy: remedy.to_owned() }
}
