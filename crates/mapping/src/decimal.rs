//! Decimal numbers as they stand in files, exact, rounded once and half to even. Never by way of a float.

/// Digits that are kept. 36 of them times ten still fit into an i128; a double prints 17.
const DIGITS_MAX: u32 = 36;
/// An exponent past this decides the same way as a larger one, and can't overflow in sums.
const EXPONENT_MAX: i64 = 1_000_000;

/// `mantissa * 10^exponent`, and whether digits other than zero were cut off behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    mantissa: i128,
    exponent: i64,
    cut: bool,
}

impl Decimal {
    /// `-12`, `0.5`, `.5`, `5.`, `1e-3`; nothing else, above all no `NaN`, `inf`, `1_000` or `1,5`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, mut at) = match bytes.first()? {
            b'-' => (true, 1),
            b'+' => (false, 1),
            _ => (false, 0),
        };
        let (mut head, mut mantissa) = (0_u64, 0_i128);
        let (mut digits, mut kept, mut exponent) = (0_usize, 0_u32, 0_i64);
        let (mut point, mut cut) = (false, false);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'0'..=b'9' => {
                    let digit = byte - b'0';
                    digits += 1;
                    exponent -= i64::from(point);
                    if kept < DIGITS_MAX {
                        // The first 18 digits fit into 64 bits, and nearly every number ends there.
                        if kept < 18 {
                            head = head * 10 + u64::from(digit);
                            mantissa = i128::from(head);
                        } else {
                            mantissa = mantissa * 10 + i128::from(digit);
                        }
                        kept += u32::from(kept > 0 || digit > 0);
                    } else {
                        exponent += 1;
                        cut |= digit > 0;
                    }
                }
                b'.' if !point => point = true,
                _ => break,
            }
            at += 1;
        }
        if digits == 0 {
            return None;
        }
        exponent += match bytes.get(at) {
            None => 0,
            Some(b'e' | b'E') => exponent_of(&bytes[at + 1..])?,
            Some(_) => return None,
        };
        Some(Self { mantissa: if negative { -mantissa } else { mantissa }, exponent, cut })
    }

    /// The integer nearest to `self * 10^shift`, of two the even one. `None` from about 10^38 on.
    pub fn rounded(self, shift: i32) -> Option<i128> {
        let exponent = self.exponent + i64::from(shift);
        if self.mantissa == 0 {
            return Some(0);
        }
        if exponent >= 0 {
            if self.cut {
                return None;
            }
            let factor = 10_i128.checked_pow(u32::try_from(exponent).ok()?)?;
            return self.mantissa.checked_mul(factor);
        }
        // 38 digits at most stand in the mantissa: past that the value is below a tenth.
        let Some(divisor) = u32::try_from(-exponent).ok().filter(|n| *n <= 38).map(|n| 10_i128.pow(n)) else {
            return Some(0);
        };
        Some(nearest(self.mantissa, divisor, self.cut))
    }

    /// The integer nearest to `self * 10^shift / divisor`, of two the even one. `None` where more digits are needed than
    /// fit into 128 bits.
    pub fn rounded_over(self, shift: i32, divisor: u64) -> Option<i128> {
        if divisor == 1 {
            return self.rounded(shift);
        }
        if self.cut {
            return None;
        }
        let trimmed = self.trimmed();
        let exponent = trimmed.exponent + i64::from(shift);
        let power = u32::try_from(exponent.unsigned_abs()).ok().and_then(|power| 10_i128.checked_pow(power));
        match (exponent >= 0, power) {
            _ if trimmed.mantissa == 0 => Some(0),
            (true, power) => Some(nearest(trimmed.mantissa.checked_mul(power?)?, i128::from(divisor), false)),
            // The quotient is at most the mantissa, which has 38 digits: over 10^39 it is below a tenth.
            (false, None) => Some(0),
            (false, Some(power)) => match power.checked_mul(i128::from(divisor)) {
                Some(divisor) => Some(nearest(trimmed.mantissa, divisor, false)),
                // The divisor is above 2^127 then.
                None => (trimmed.mantissa.unsigned_abs() < 1 << 125).then_some(0),
            },
        }
    }

    /// Exact, or `None` where more digits are needed than are kept.
    pub fn times(self, other: Self) -> Option<Self> {
        if self.cut || other.cut {
            return None;
        }
        let (a, b) = (self.trimmed(), other.trimmed());
        Some(Self { mantissa: a.mantissa.checked_mul(b.mantissa)?, exponent: a.exponent + b.exponent, cut: false })
    }

    /// The integer that it is, exactly: `12`, `12.0`, `1.2e1`.
    pub fn integer(self) -> Option<i128> {
        let trimmed = self.trimmed();
        if self.cut || (trimmed.mantissa != 0 && trimmed.exponent < 0) { None } else { trimmed.rounded(0) }
    }

    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    pub const fn is_positive(self) -> bool {
        self.mantissa > 0
    }

    fn trimmed(mut self) -> Self {
        while self.mantissa != 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.exponent += 1;
        }
        self
    }
}

/// Of two integers equally near the even one. `cut`: there is a little more than the numerator says. The divisor is a
/// power of ten where something is cut, so that its half is exact.
const fn nearest(numerator: i128, divisor: i128, cut: bool) -> i128 {
    let (quotient, remainder) = (numerator / divisor, (numerator % divisor).abs());
    // Not doubled, which could overflow.
    let rest = divisor - remainder;
    let above_half = remainder > rest || (remainder == rest && cut);
    let tie_to_odd = remainder == rest && quotient % 2 != 0;
    let away = (above_half || tie_to_odd) as i128;
    if numerator < 0 { quotient - away } else { quotient + away }
}

/// A factor that a mapping names: `0.01`, or a fraction such as `1/1048576`, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    times: Decimal,
    over: u64,
}

impl Scale {
    pub const ONE: Self = Self { times: Decimal { mantissa: 1, exponent: 0, cut: false }, over: 1 };

    /// A decimal number above 0, or two with a slash between them, the second an integer.
    pub fn parse(text: &str) -> Option<Self> {
        let (times, over) = match text.split_once('/') {
            None => (text, 1),
            Some((times, over)) => {
                let over = over.trim_ascii();
                let is_integer = over.bytes().all(|byte| byte.is_ascii_digit());
                (times, is_integer.then(|| over.parse().ok()).flatten().filter(|over| *over > 0)?)
            }
        };
        let times = Decimal::parse(times.trim_ascii()).filter(|times| times.is_positive() && !times.cut)?;
        Some(Self { times, over })
    }

    /// The integer nearest to `number * scale * 10^shift`, of two the even one.
    pub fn rounded(self, number: Decimal, shift: i32) -> Option<i128> {
        if self == Self::ONE {
            return number.rounded(shift);
        }
        number.times(self.times)?.rounded_over(shift, self.over)
    }
}

impl From<u64> for Decimal {
    fn from(integer: u64) -> Self {
        Self { mantissa: i128::from(integer), exponent: 0, cut: false }
    }
}

fn exponent_of(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = match bytes.first()? {
        b'-' => (-1, &bytes[1..]),
        b'+' => (1, &bytes[1..]),
        _ => (1, bytes),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(sign * digits.iter().fold(0_i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)))
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Scale};

    #[test]
    fn rounds_once_and_half_to_even() {
        let table: &[(&str, i32, Option<i128>)] = &[
            ("0", 6, Some(0)),
            ("1661140279", 6, Some(1_661_140_279_000_000)),
            ("1661140279.4999995", 6, Some(1_661_140_279_500_000)),
            ("1661140279.4999985", 6, Some(1_661_140_279_499_998)),
            ("0.0000005", 6, Some(0)),
            ("0.0000015", 6, Some(2)),
            ("0.00000050000000000000000000000000000000000000000001", 6, Some(1)),
            ("-0.0000015", 6, Some(-2)),
            ("-2.5", 0, Some(-2)),
            ("2.365", 6, Some(2_365_000)),
            ("0.24062500000000003", 6, Some(240_625)),
            ("9007199254740993", 0, Some(9_007_199_254_740_993)),
            ("1.5e3", 0, Some(1500)),
            ("15e-1", 0, Some(2)),
            (".5", 1, Some(5)),
            ("5.", 0, Some(5)),
            ("1e-999999999999", 6, Some(0)),
            ("1e999999999999", 6, None),
            ("1e38", 0, Some(10_i128.pow(38))),
            ("123456789012345678901234567890123456789", 0, None),
            ("000000000000000000000000000000000000000001.5", 1, Some(15)),
            ("1661140374351773094", -3, Some(1_661_140_374_351_773)),
        ];
        for (text, shift, expected) in table {
            let actual = Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number")).rounded(*shift);
            assert_eq!(actual, *expected, "{text} x 10^{shift}");
        }
    }

    #[test]
    fn only_decimal_numbers_are_numbers() {
        for text in ["", "-", ".", "NaN", "inf", "1_000", "1,5", "0x10", "1e", "1e+", "1.2.3", " 1", "1 ", "١"] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn products_are_exact() {
        let table = [
            ("9.133333333333333", "60", 0, Some(548)),
            ("0.5", "1", 0, Some(0)),
            ("1.5", "1", 0, Some(2)),
            ("49.586776859504134", "0.01", 6, Some(495_868)),
            ("1.00000000000000000000000000000000000", "3", 0, Some(3)),
            ("1.23456789012345678901234567890123456", "1.23456789012345678901234567890123456", 0, None),
        ];
        for (a, b, shift, expected) in table {
            let product = Decimal::parse(a).expect("a number").times(Decimal::parse(b).expect("a number"));
            assert_eq!(product.and_then(|product| product.rounded(shift)), expected, "{a} x {b}");
        }
    }

    #[test]
    fn scales_are_exact_fractions() {
        let table = [
            ("1048576", "1/1048576", Some(1_000_000)),
            ("524288.5", "1/1048576", Some(500_000)),
            ("29341.718334809568", "1/1048576", Some(27_982)),
            ("3", "1/7", Some(428_571)),
            ("49.586776859504134", "0.01", Some(495_868)),
            ("1", "2/3", Some(666_667)),
            ("-1", "1/2000000", Some(0)),
            ("-3", "1/2000000", Some(-2)),
            ("1e-40", "1/3", Some(0)),
            ("0", "1/3", Some(0)),
            ("1e30", "1/3", Some(333_333_333_333_333_333_333_333_333_333_333_333)),
            ("1e32", "1/3", Some(33_333_333_333_333_333_333_333_333_333_333_333_333)),
            ("1e33", "1/3", None),
            ("1e-999999999999", "1/3", Some(0)),
            ("1e999999999999", "1/3", None),
        ];
        for (text, scale, expected) in table {
            let number = Decimal::parse(text).expect("a number");
            let scale = Scale::parse(scale).expect("a scale");
            assert_eq!(scale.rounded(number, 6), expected, "{text} x {scale:?}");
        }
        for text in ["0", "-1", "1/0", "1/1.5", "1/-2", "1%", "", "/", "1/", "/2"] {
            assert_eq!(Scale::parse(text), None, "{text}");
        }
    }

    #[test]
    fn integers_are_told_apart_from_fractions() {
        for (text, expected) in [
            ("12", Some(12)),
            ("12.0", Some(12)),
            ("1.2e1", Some(12)),
            ("-0.0", Some(0)),
            ("12.5", None),
            ("1e-9", None),
        ] {
            assert_eq!(Decimal::parse(text).expect("a number").integer(), expected, "{text}");
        }
    }
}
