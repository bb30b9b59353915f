//! Quantiles by nearest rank, in integers: a rank by way of f64 is one off at p = 0.07, n = 100.

use crate::histogram::{Histogram, VALUE_MAX, lower_edge, upper_edge};

/// A quantile as a fraction: p99.9 is 999/1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantile {
    numerator: u64,
    denominator: u64,
}

/// Where the value of a rank lies. `upper` is what to report: it is never below the true value, and above it by less
/// than 1/128. `None`: beyond the histogram's range (one hour).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub lower: u64,
    pub upper: Option<u64>,
}

impl Quantile {
    pub const P50: Self = Self { numerator: 1, denominator: 2 };
    pub const P95: Self = Self { numerator: 19, denominator: 20 };
    pub const P99: Self = Self { numerator: 99, denominator: 100 };

    /// `None` unless 0 < numerator <= denominator <= 10^9.
    pub fn new(numerator: u64, denominator: u64) -> Option<Self> {
        (numerator > 0 && numerator <= denominator && denominator <= 1_000_000_000)
            .then_some(Self { numerator, denominator })
    }

    /// ceil(p n), at least 1: the nearest rank among n values.
    pub fn rank(self, n: u64) -> u64 {
        let product = u128::from(self.numerator) * u128::from(n);
        (product.div_ceil(u128::from(self.denominator)) as u64).max(1)
    }
}

impl Histogram {
    /// The bounds of the value at quantile `q`, among the counted values and `overflow` more above the range. Exact
    /// `min` and `max` narrow the first and the last counter. `None` where there are no values.
    pub fn quantile(&self, q: Quantile, overflow: u64, min: u64, max: u64) -> Option<Bounds> {
        let n = self.total() + overflow;
        if n == 0 {
            return None;
        }
        let found = self.at_rank(q.rank(n)).unwrap_or(Bounds { lower: VALUE_MAX + 1, upper: None });
        Some(Bounds { lower: found.lower.max(min), upper: found.upper.map(|upper| upper.min(max)) })
    }

    /// The bounds of the value at a rank, from 1 on, among the counted values; `None` above their number.
    pub fn at_rank(&self, rank: u64) -> Option<Bounds> {
        let mut left = rank;
        for (index, count) in self.counts() {
            if count >= left {
                let (lower, upper) = (lower_edge(index.into()), upper_edge(index.into()));
                return Some(Bounds { lower, upper: Some(upper) });
            }
            left -= count;
        }
        None
    }

    /// How many values may exceed `threshold`: at least the first number, at most the second; equal when `threshold` is
    /// the upper edge of a counter.
    pub fn above(&self, threshold: u64, overflow: u64) -> (u64, u64) {
        let count_if = |exceeds: &dyn Fn(usize) -> bool| -> u64 {
            self.counts().filter(|(index, _)| exceeds((*index).into())).map(|(_, count)| count).sum()
        };
        let least = count_if(&|index| lower_edge(index) > threshold);
        let most = count_if(&|index| upper_edge(index) > threshold);
        (overflow + least, overflow + most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::OpenHistogram;
    use proptest::prelude::*;

    #[test]
    fn ranks_are_exact_where_floats_are_not() {
        for (numerator, denominator, n, expected) in [
            (7, 100, 100, 7),
            (1, 2, 1, 1),
            (1, 2, 2, 1),
            (99, 100, 100, 99),
            (99, 100, 101, 100),
            (1, 1, 5, 5),
            (1, 1000, 5, 1),
        ] {
            let quantile = Quantile::new(numerator, denominator).expect("a valid quantile");
            assert_eq!(quantile.rank(n), expected, "p = {numerator}/{denominator}, n = {n}");
        }
    }

    proptest! {
        #[test]
        fn bounds_hold_the_value_of_sorted_data(
            mut values in prop::collection::vec(prop_oneof![0..300_u64, 0..2 * VALUE_MAX], 1..200),
            numerator in 1..=1000_u64,
        ) {
            let quantile = Quantile::new(numerator, 1000).expect("a valid quantile");
            let mut histogram = OpenHistogram::default();
            values.iter().filter(|v| **v <= VALUE_MAX).for_each(|v| histogram.record(*v));
            let overflow = values.iter().filter(|v| **v > VALUE_MAX).count() as u64;
            values.sort_unstable();
            let truth = values[quantile.rank(values.len() as u64) as usize - 1];
            let bounds = histogram.close().quantile(quantile, overflow, values[0], values[values.len() - 1]).expect("values");
            prop_assert!(bounds.lower <= truth);
            match bounds.upper {
                Some(upper) => prop_assert!(truth <= upper && upper - truth <= truth / 128),
                None => prop_assert!(truth > VALUE_MAX),
            }
        }

        #[test]
        fn counts_above_a_threshold_are_bracketed(
            values in prop::collection::vec(0..2 * VALUE_MAX, 0..100), threshold in 0..VALUE_MAX,
        ) {
            let mut histogram = OpenHistogram::default();
            values.iter().filter(|v| **v <= VALUE_MAX).for_each(|v| histogram.record(*v));
            let overflow = values.iter().filter(|v| **v > VALUE_MAX).count() as u64;
            let truth = values.iter().filter(|v| **v > threshold).count() as u64;
            let (least, most) = histogram.close().above(threshold, overflow);
            prop_assert!(least <= truth && truth <= most);
        }
    }
}
