//! Distributions as tables of integer quantiles, sampled by one draw and linear interpolation.

use crate::maths::{exp, ln, normal_quantile};

/// 1,024 slices of equal probability.
const SLICE_BITS: u32 = 10;
const SLICES: usize = 1 << SLICE_BITS;
/// The unbounded ends are cut at 1/8 of the outermost slice, p = 1/8192.
const END: f64 = 1.0 / 8192.0;
/// Fine enough between two quantiles, and a gap of 2^34 times 2^24 stays within 64 bits.
const FRACTION_BITS: u32 = 24;

/// One hour: the range of the default histogram, and longer than any request in a scenario.
pub const LATENCY_US_MAX: u64 = 3_600_000_000;

#[derive(Clone, Debug)]
pub struct Quantiles {
    points: Vec<u64>,
}

impl Quantiles {
    fn new(quantile: impl Fn(f64) -> f64) -> Self {
        let at = |index: usize| match index {
            0 => END,
            SLICES => 1.0 - END,
            _ => index as f64 / SLICES as f64,
        };
        Self { points: (0..=SLICES).map(|index| quantile(at(index)).round() as u64).collect() }
    }

    /// Latency with the given median and 95th percentile, logarithms normally distributed; 1 µs to one hour.
    pub fn lognormal_us(p50_us: u64, p95_us: u64) -> Self {
        let mu = ln(p50_us as f64);
        let sigma = (ln(p95_us as f64) - mu) / normal_quantile(0.95);
        Self::new(|p| exp(mu + sigma * normal_quantile(p)).clamp(1.0, LATENCY_US_MAX as f64))
    }

    /// Time between arrivals of a Poisson process, scaled to a mean of 2^32.
    pub fn exponential_q32() -> Self {
        const ONE: f64 = (1_u64 << 32) as f64;
        let raw = Self::new(|p| -ln(1.0 - p) * ONE);
        // Cut and interpolated, the mean is a little off; rates must come out as asked.
        let doubled: f64 = raw.points.windows(2).map(|pair| (pair[0] + pair[1]) as f64).sum();
        let mean = doubled / 2.0 / SLICES as f64;
        Self { points: raw.points.iter().map(|point| (*point as f64 * ONE / mean).round() as u64).collect() }
    }

    pub fn sample(&self, draw: u64) -> u64 {
        let slice = (draw >> (64 - SLICE_BITS)) as usize;
        let fraction = (draw >> (64 - SLICE_BITS - FRACTION_BITS)) & ((1 << FRACTION_BITS) - 1);
        let (low, high) = (self.points[slice], self.points[slice + 1]);
        low + (((high - low) * fraction) >> FRACTION_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn lognormal_has_the_percentiles_asked_for() {
        let quantiles = Quantiles::lognormal_us(40_000, 120_000);
        let mut random = SplitMix64::new(9, 0);
        let mut values: Vec<u64> = (0..100_000).map(|_| quantiles.sample(random.next_u64())).collect();
        values.sort_unstable();
        for (rank, expected) in [(50_000, 40_000.0), (95_000, 120_000.0)] {
            let ratio = values[rank] as f64 / expected;
            assert!((0.97..1.03).contains(&ratio), "rank {rank}: {}", values[rank]);
        }
        assert!(values[0] >= 1 && values[99_999] <= LATENCY_US_MAX);
    }

    #[test]
    fn arrivals_have_mean_one() {
        let quantiles = Quantiles::exponential_q32();
        let mut random = SplitMix64::new(10, 0);
        let sum: f64 = (0..400_000).map(|_| quantiles.sample(random.next_u64()) as f64).sum();
        let mean = sum / 400_000.0 / (1_u64 << 32) as f64;
        assert!((0.99..1.01).contains(&mean), "{mean}");
    }
}
