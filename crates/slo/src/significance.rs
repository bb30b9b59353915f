//! Whether so many bad ones of so few may be chance.
//!
//! One failed request of two is a burn rate of 500 at 99.9%, and says nothing. A tier asks for three bad ones, and that so
//! many would come with less than one in a hundred if the budget burned at just the tier's factor.

use crate::sums::Tally;
use crate::target::{Fraction, Target};

/// Fewer bad ones than this never fire.
const BAD_MIN: i128 = 3;
/// So rarely may chance look like this.
const CHANCE_MAX: f64 = 0.01;
/// From here on what is above the factor is above it beyond chance.
const TOTAL_MAX: i128 = 1_000_000;
/// The smallest term that still counts beside the sum.
const TERM_MIN: f64 = 1e-17;

/// bad >= 3 and P(Bin(n, f b) >= bad) < 0.01. Callers have found the burn rate above the factor.
pub fn is_significant(tally: Tally, target: Target, factor: Fraction) -> bool {
    let Tally { bad, total } = tally;
    if bad < BAD_MIN {
        return false;
    }
    if total >= TOTAL_MAX {
        return true;
    }
    let b = target.allowed();
    let numerator = u128::from(factor.numerator) * u128::from(b.numerator);
    let denominator = u128::from(factor.denominator) * u128::from(b.denominator);
    if numerator >= denominator {
        return false;
    }
    binomial_tail(bad as u64, total as u64, numerator as f64 / denominator as f64) < CHANCE_MAX
}

/// P(Bin(n, p) >= k) for 0 < p < 1, summed from k upward, where the terms fall.
///
/// Terms are kept as multiples of the first, whose logarithm comes from `lgamma`; exact to about 1e-13.
pub fn binomial_tail(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n {
        return 0.0;
    }
    let (log_p, log_q) = (libm::log(p), libm::log1p(-p));
    let log_choose = libm::lgamma(n as f64 + 1.0) - libm::lgamma(k as f64 + 1.0) - libm::lgamma((n - k) as f64 + 1.0);
    let first = log_choose + k as f64 * log_p + (n - k) as f64 * log_q;
    let odds = p / (1.0 - p);
    let (mut term, mut sum) = (1.0, 1.0);
    for i in k..n {
        term *= (n - i) as f64 / (i + 1) as f64 * odds;
        sum += term;
        if term < TERM_MIN * sum {
            break;
        }
    }
    (libm::exp(first) * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small cases, added up by hand.
    #[test]
    fn tails_of_small_binomials() {
        for (k, n, p, expected) in [
            (0, 5, 0.3, 1.0),
            (1, 1, 0.25, 0.25),
            (1, 2, 0.5, 0.75),
            (2, 2, 0.5, 0.25),
            (3, 3, 0.1, 0.001),
            (2, 3, 0.5, 0.5),
            (4, 3, 0.5, 0.0),
            (3, 10, 0.1, 0.070_190_826_399_999_97),
        ] {
            let found = binomial_tail(k, n, p);
            assert!((found - expected).abs() <= 1e-12 * expected, "{k} of {n} at {p}: {found}");
        }
    }

    #[test]
    fn few_events_page_only_beyond_chance() {
        let target = Target::new("0.999".parse().expect("a decimal")).expect("it leaves a budget");
        let factor = Fraction::new(144, 10);
        for (bad, total, expected) in [
            (1, 1, false),
            (2, 2, false),
            (3, 3, true),
            // P(Bin(30, 0.0144) >= 3) = 0.0088, P(Bin(32, 0.0144) >= 3) = 0.0105.
            (3, 30, true),
            (3, 32, false),
            (20, 1000, false),
            (25, 1000, true),
            (14_401, 1_000_000, true),
        ] {
            assert_eq!(is_significant(Tally::new(bad, total), target, factor), expected, "{bad} of {total}");
        }
    }
}
