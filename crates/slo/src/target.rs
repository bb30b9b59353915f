//! What is promised, as fractions of integers: no comparison goes by way of a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::sums::Tally;

/// A number of 0 or more, from its decimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fraction {
    pub numerator: u64,
    pub denominator: u64,
}

impl Fraction {
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };

    /// `denominator` must not be 0.
    pub const fn new(numerator: u64, denominator: u64) -> Self {
        Self { numerator, denominator }
    }

    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

impl FromStr for Fraction {
    type Err = InvalidFraction;

    /// A plain decimal with at most nine places, such as `14.4`.
    fn from_str(text: &str) -> Result<Self, InvalidFraction> {
        let invalid = || InvalidFraction(text.to_owned());
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(places) || whole.len() > 9 || places.len() > 9 {
            return Err(invalid());
        }
        let places = places.trim_end_matches('0');
        let numerator = format!("{whole}{places}").parse().map_err(|_| invalid())?;
        Ok(Self { numerator, denominator: 10_u64.pow(places.len() as u32) })
    }
}

impl fmt::Display for Fraction {
    /// As a decimal, where the denominator is a power of ten; else as a quotient.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.denominator.checked_ilog10().unwrap_or_default();
        if 10_u64.pow(places) != self.denominator {
            return write!(f, "{}/{}", self.numerator, self.denominator);
        }
        let (whole, rest) = (self.numerator / self.denominator, self.numerator % self.denominator);
        let rest = format!("{rest:0width$}", width = places as usize);
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { write!(f, "{whole}") } else { write!(f, "{whole}.{rest}") }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no decimal with at most 9 digits before and behind the point")]
pub struct InvalidFraction(String);

/// The share of good events that is promised: T = T_n / D, between 0 and 1, both excluded. A promise of 1 has no budget
/// that could be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    good: u64,
    of: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    #[error("a target of {0} promises nothing; it must be above 0")]
    Nothing(Fraction),
    #[error("a target of {0} leaves no budget for errors; it must be below 1")]
    NoBudget(Fraction),
}

impl Target {
    pub fn new(share: Fraction) -> Result<Self, InvalidTarget> {
        match share {
            Fraction { numerator: 0, .. } => Err(InvalidTarget::Nothing(share)),
            Fraction { numerator, denominator } if numerator >= denominator => Err(InvalidTarget::NoBudget(share)),
            Fraction { numerator, denominator } => Ok(Self { good: numerator, of: denominator }),
        }
    }

    pub const fn share(self) -> Fraction {
        Fraction::new(self.good, self.of)
    }

    /// b = 1 - T as (D - T_n, D).
    pub const fn allowed(self) -> Fraction {
        Fraction::new(self.of - self.good, self.of)
    }

    /// Whether the share of bad ones is above `factor` times what is allowed; `None` where there is nothing to judge.
    ///
    /// burn > f <=> bad D f_d > f_n (D - T_n) n.
    pub fn burns_above(self, tally: Tally, factor: Fraction) -> Option<bool> {
        let (b, f) = (self.allowed(), factor);
        (tally.total > 0).then(|| {
            tally.bad * i128::from(b.denominator) * i128::from(f.denominator)
                > i128::from(f.numerator) * i128::from(b.numerator) * tally.total
        })
    }

    /// The burn rate (bad / n) / b, computed once from integers.
    pub fn burn(self, tally: Tally) -> Option<f64> {
        let b = self.allowed();
        let quotient = (tally.bad * i128::from(b.denominator)) as f64 / (i128::from(b.numerator) * tally.total) as f64;
        (tally.total > 0).then_some(quotient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fraction(text: &str) -> Fraction {
        text.parse().expect("a decimal")
    }

    #[test]
    fn decimals_are_read_digit_by_digit() {
        for (text, expected) in [
            ("0.999", Some((999, 1000))),
            ("0.9990", Some((999, 1000))),
            ("14.4", Some((144, 10))),
            ("1", Some((1, 1))),
            ("0", Some((0, 1))),
            ("0.07", Some((7, 100))),
            ("0.123456789", Some((123_456_789, 1_000_000_000))),
            ("0.1234567891", None),
            (".5", None),
            ("5.", None),
            ("-1", None),
            ("1e3", None),
            ("99.9%", None),
            ("", None),
        ] {
            let found = text.parse::<Fraction>().ok().map(|found| (found.numerator, found.denominator));
            assert_eq!(found, expected, "{text:?}");
        }
        for text in ["0.999", "14.4", "1", "0", "0.07", "0.05"] {
            assert_eq!(fraction(text).to_string(), text);
        }
        assert_eq!(Fraction::new(1, 3).to_string(), "1/3");
    }

    #[test]
    fn targets_leave_a_budget() {
        for (text, expected) in [
            ("0.999", None),
            ("1", Some("a target of 1 leaves no budget for errors; it must be below 1")),
            ("99.9", Some("a target of 99.9 leaves no budget for errors; it must be below 1")),
            ("0", Some("a target of 0 promises nothing; it must be above 0")),
        ] {
            let found = Target::new(fraction(text)).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn burn_is_compared_exactly() {
        let target = Target::new(fraction("0.999")).expect("it leaves a budget");
        // 144 bad ones of 10,000 are 14.4 times the allowed ten: not above.
        for (bad, total, expected) in [
            (144, 10_000, Some(false)),
            (145, 10_000, Some(true)),
            (143, 10_000, Some(false)),
            (0, 10_000, Some(false)),
            (0, 0, None),
            // 14.4 times a thousandth of nine billion million, and one more.
            (129_600_000_000_000, 9_000_000_000_000_000, Some(false)),
            (129_600_000_000_001, 9_000_000_000_000_000, Some(true)),
        ] {
            assert_eq!(target.burns_above(Tally { bad, total }, fraction("14.4")), expected, "{bad} of {total}");
        }
        assert_eq!(target.burn(Tally { bad: 1000, total: 1000 }), Some(1000.0));
        assert_eq!(target.burn(Tally { bad: 0, total: 0 }), None);
    }
}
