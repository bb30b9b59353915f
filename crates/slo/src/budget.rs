//! The error budget of a period: what may be bad, what was, what is left.

use serde::Serialize;

use crate::sums::Tally;
use crate::target::{Fraction, Target};

/// Allowed are b n of the n in the period. Nothing is clamped: an overdrawn budget is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// What was bad, of all that the allowance is a share of. By slices that are all the slices of the period, those that
    /// have not begun among them; by events those that came.
    pub tally: Tally,
}

impl Budget {
    /// remaining < r <=> bad D r_d > (r_d - r_n) (D - T_n) n; `None` where there is nothing to have a budget of.
    pub fn remains_less_than(self, target: Target, share: Fraction) -> Option<bool> {
        let (b, Tally { bad, total }) = (target.allowed(), self.tally);
        (total > 0).then(|| {
            let spent = bad * i128::from(b.denominator) * i128::from(share.denominator);
            let spendable = i128::from(share.denominator) - i128::from(share.numerator);
            spent > spendable * i128::from(b.numerator) * total
        })
    }

    /// Whether at least so much is left.
    pub fn remains_at_least(self, target: Target, share: Fraction) -> Option<bool> {
        self.remains_less_than(target, share).map(|less| !less)
    }

    /// Whether nothing is left: remaining <= 0.
    pub fn is_exhausted(self, target: Target) -> Option<bool> {
        let (b, Tally { bad, total }) = (target.allowed(), self.tally);
        (total > 0).then(|| bad * i128::from(b.denominator) >= i128::from(b.numerator) * total)
    }

    /// 1 - bad / (b n), computed once from integers.
    pub fn remaining(self, target: Target) -> Option<f64> {
        let (b, Tally { bad, total }) = (target.allowed(), self.tally);
        let allowed = i128::from(b.numerator) * total;
        let left = allowed - bad * i128::from(b.denominator);
        (total > 0).then(|| left as f64 / allowed as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_of_a_budget() {
        for (target, bad, total, remaining, below_tenth, exhausted) in [
            // A thousandth of a million is a thousand.
            ("0.999", 0, 1_000_000, Some(1.0), Some(false), Some(false)),
            ("0.999", 500, 1_000_000, Some(0.5), Some(false), Some(false)),
            ("0.999", 900, 1_000_000, Some(0.1), Some(false), Some(false)),
            ("0.999", 901, 1_000_000, Some(0.099), Some(true), Some(false)),
            ("0.999", 999, 1_000_000, Some(0.001), Some(true), Some(false)),
            ("0.999", 1000, 1_000_000, Some(0.0), Some(true), Some(true)),
            ("0.999", 1001, 1_000_000, Some(-0.001), Some(true), Some(true)),
            ("0.999", 1_000_000, 1_000_000, Some(-999.0), Some(true), Some(true)),
            ("0.5", 1, 2, Some(0.0), Some(true), Some(true)),
            ("0.99", 0, 1, Some(1.0), Some(false), Some(false)),
            ("0.99", 1, 1, Some(-99.0), Some(true), Some(true)),
            ("0.999", 0, 0, None, None, None),
        ] {
            let target = Target::new(target.parse().expect("a decimal")).expect("it leaves a budget");
            let budget = Budget { tally: Tally::new(bad, total) };
            assert_eq!(budget.remaining(target), remaining, "{bad} of {total}");
            assert_eq!(budget.remains_less_than(target, Fraction::new(1, 10)), below_tenth, "{bad} of {total}");
            assert_eq!(budget.is_exhausted(target), exhausted, "{bad} of {total}");
        }
    }
}
