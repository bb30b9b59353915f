//! The few transcendental functions that shape a scenario, from additions, multiplications, divisions and square roots.
//!
//! Those four are exact to the last bit on every IEEE 754 machine. The platform's ln, exp and cos are not, so they must
//! not decide a byte of output.

use std::f64::consts::{LN_2, PI, SQRT_2};

/// Natural logarithm of a positive, normal number.
pub fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1023 << 52));
    if mantissa > SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)); the argument is at most 0.172, so twelve terms reach the last bit.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let mut sum = 0.0;
    for odd in (1..24).rev().step_by(2) {
        sum = sum * s * s + 1.0 / f64::from(odd);
    }
    2.0 * s * sum + exponent as f64 * LN_2
}

/// The exponential function, for results that are normal numbers.
pub fn exp(x: f64) -> f64 {
    let halvings = (x / LN_2).round();
    let rest = x - halvings * LN_2;
    let mut sum = 1.0;
    for term in (1..=18).rev() {
        sum = 1.0 + sum * rest / f64::from(term);
    }
    sum * f64::from_bits(((halvings as i64 + 1023) as u64) << 52)
}

/// Cosine of an angle given in whole turns.
pub fn cos_turns(turns: f64) -> f64 {
    let angle = 2.0 * PI * (turns - turns.round());
    let mut sum = 1.0;
    for term in (1..=16).rev() {
        sum = 1.0 - sum * angle * angle / f64::from((2 * term - 1) * (2 * term));
    }
    sum
}

/// Quantile of the standard normal distribution for 0 < p < 1, to about 1e-9.
/// P. J. Acklam, "An algorithm for computing the inverse normal cumulative distribution function" (2003).
pub fn normal_quantile(p: f64) -> f64 {
    const TAIL: f64 = 0.02425;
    if p < TAIL {
        return normal_tail((-2.0 * ln(p)).sqrt());
    }
    if p > 1.0 - TAIL {
        return -normal_tail((-2.0 * ln(1.0 - p)).sqrt());
    }
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    let q = p - 0.5;
    horner(&A, q * q) * q / horner(&B, q * q)
}

fn normal_tail(q: f64) -> f64 {
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    horner(&C, q) / horner(&D, q)
}

fn horner(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the platform's functions, which are good to 1e-15, only not the same everywhere.
    #[test]
    fn agree_with_the_platform() {
        for x in [1e-6, 0.1, 0.5, 1.0, 1.4, 1.5, 2.0, 2.75, 10.0, 1234.5, 3.6e9] {
            assert!((ln(x) - f64::ln(x)).abs() < 1e-12, "ln {x}");
        }
        for x in [-30.0, -2.5, -0.1, 0.0, 0.3, 1.0, 5.0, 22.0] {
            assert!((exp(x) / f64::exp(x) - 1.0).abs() < 1e-13, "exp {x}");
        }
        for turns in [-3.3, -0.5, 0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 17.9] {
            assert!((cos_turns(turns) - f64::cos(2.0 * PI * turns)).abs() < 1e-12, "cos {turns}");
        }
    }

    /// Values of the normal distribution from printed tables.
    #[test]
    fn normal_quantiles_are_those_of_the_tables() {
        for (p, expected) in [
            (0.5, 0.0),
            (0.95, 1.644_853_627),
            (0.975, 1.959_963_985),
            (0.001, -3.090_232_306),
            (0.9999, 3.719_016_485),
        ] {
            assert!((normal_quantile(p) - expected).abs() < 1e-7, "quantile {p}");
        }
    }
}
