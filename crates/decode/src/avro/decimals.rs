//! Floats and Avro's decimals → millionths, half-even, exactly: `None` is beyond 64 bits.

use num_bigint::BigInt;
use streamgauge_events::event::VALUE_PLACES;

/// More places than 256 bits hold, so that no record makes us compute with large numbers.
pub const SCALE_MAX: usize = 76;

/// Half-even, of exactly what the bits of a finite float say.
pub fn of_float(value: f64) -> Option<i64> {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    const EXPONENT_BIAS: i64 = 1075;
    let bits = value.to_bits();
    let exponent = (bits >> FRACTION_BITS & 0x7ff) as i64;
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    // Subnormal numbers have the smallest exponent and no hidden bit.
    let (mantissa, exponent) = if exponent == 0 {
        (fraction, 1 - EXPONENT_BIAS)
    } else {
        (fraction | 1 << FRACTION_BITS, exponent - EXPONENT_BIAS)
    };
    // At most 53 + 20 bits.
    let scaled = u128::from(mantissa) * 10_u128.pow(VALUE_PLACES);
    let magnitude = if exponent >= 0 {
        // A mantissa with its hidden bit, times a million, is beyond 64 bits already.
        if scaled == 0 { 0 } else { return None }
    } else {
        let places = exponent.unsigned_abs();
        // Less than half: 2^73 / 2^75.
        if places > 100 { 0 } else { halved(scaled, 1 << places) }
    };
    signed(value.is_sign_negative(), magnitude)
}

/// `unscaled` is a two's complement integer, the highest byte first, to be divided by 10^`scale`.
pub fn of_decimal(unscaled: &[u8], scale: usize) -> Option<i64> {
    let extended = if unscaled.first().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
    let significant = unscaled.iter().position(|byte| *byte != extended).unwrap_or(unscaled.len());
    let tail = &unscaled[significant..];
    if tail.len() > 15 {
        return of_long_decimal(extended, tail, scale);
    }
    let mut bytes = [extended; 16];
    bytes[16 - tail.len()..].copy_from_slice(tail);
    let value = i128::from_be_bytes(bytes);
    let magnitude = match scale.checked_sub(VALUE_PLACES as usize) {
        None | Some(0) => value.unsigned_abs().checked_mul(10_u128.pow(VALUE_PLACES - scale as u32))?,
        // 10^39 is more than twice what fits.
        Some(places @ 1..=38) => halved(value.unsigned_abs(), 10_u128.pow(places as u32)),
        Some(_) => 0,
    };
    signed(value < 0, magnitude)
}

/// Beyond 128 bits; only a large scale brings such a number into the range of a value.
#[cold]
fn of_long_decimal(extended: u8, tail: &[u8], scale: usize) -> Option<i64> {
    // 10^76 has 253 bits; what has 64 more than that is too large.
    if tail.len() > 48 {
        return None;
    }
    let value = BigInt::from_signed_bytes_be(&[&[extended], tail].concat());
    let value = value * BigInt::from(10).pow(VALUE_PLACES);
    let divisor = BigInt::from(10).pow(scale as u32);
    let (mut quotient, rest) = (&value / &divisor, &value % &divisor);
    let twice = BigInt::from(rest.magnitude() * 2_u32);
    let odd = quotient.bit(0);
    if twice > divisor || (twice == divisor && odd) {
        quotient += if value < BigInt::ZERO { -1 } else { 1 };
    }
    i64::try_from(quotient).ok()
}

/// A quotient rounded half-even. The divisor is less than 2^127.
fn halved(dividend: u128, divisor: u128) -> u128 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let twice = rest * 2;
    quotient + u128::from(twice > divisor || (twice == divisor && quotient % 2 == 1))
}

fn signed(negative: bool, magnitude: u128) -> Option<i64> {
    let magnitude = i128::try_from(magnitude).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

#[cfg(test)]
mod tests {
    use streamgauge_events::json_number::to_millionths;

    use super::*;

    #[test]
    fn floats_become_what_their_exact_decimals_become() {
        let table = [
            0.0,
            -0.0,
            1.0,
            0.1,
            -0.25,
            0.5e-6,
            1.5e-6,
            2.5e-6,
            0.000001,
            1e-7,
            4.9e-324,
            2.2e-308,
            123_456.789_012_5,
            35_184_372.088_832,
            9.007_199_254_740_991e15,
            1e13,
            1e300,
            -1e-300,
            0.333_333_333_333_333_3,
            9.223e12,
            f64::MAX,
            f64::MIN_POSITIVE,
            1.0 / 128.0,
            3.0 / 2_097_152.0,
            0.007_812_5,
            0.000_030_517_578_125,
        ];
        for value in table {
            // A float is a finite decimal, and a thousand places hold every one.
            let exact = format!("{value:.1100}");
            assert_eq!(of_float(value), to_millionths(&exact), "{value}");
        }
    }

    #[test]
    fn random_floats_become_what_their_exact_decimals_become() {
        let mut bits = 1_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Exponents around those that matter.
            let value = f64::from_bits((bits >> 12) | (1023 - 60 + (bits & 0x7f)) << 52 | (bits << 63));
            assert_eq!(of_float(value), to_millionths(&format!("{value:.1100}")), "{value}");
        }
    }

    #[test]
    fn decimals_of_any_length_and_scale_become_millionths() {
        let of = |value: i128, scale| of_decimal(&value.to_be_bytes(), scale);
        let table = [
            (of_decimal(&[], 2), Some(0)),
            (of_decimal(&[0x7f], 0), Some(127_000_000)),
            (of_decimal(&[0x80], 2), Some(-1_280_000)),
            (of_decimal(&[0xff; 40], 6), Some(-1)),
            (of(12_345_678, 6), Some(12_345_678)),
            (of(-15, 7), Some(-2)),
            (of(25, 7), Some(2)),
            (of(26, 7), Some(3)),
            (of(i128::MAX, 6), None),
            (of(i128::MAX, 32), Some(1_701_411_834_605)),
            (of(i128::MIN, 32), Some(-1_701_411_834_605)),
            (of(i128::MAX, 44), Some(2)),
            (of(i128::MAX, 45), Some(0)),
            (of(i128::MAX, 76), Some(0)),
        ];
        for (index, (found, expected)) in table.into_iter().enumerate() {
            assert_eq!(found, expected, "row {index}");
        }
        // 3.5 millionths and 4.5, as 10^69 times that.
        for (halves, expected) in [(35, 4), (45, 4), (-45, -4), (-55, -6)] {
            let bytes = (BigInt::from(halves) * BigInt::from(10).pow(69)).to_signed_bytes_be();
            assert_eq!(of_decimal(&bytes, 76), Some(expected), "{halves} tenths");
        }
        assert_eq!(of_decimal(&[0x7f; 1_000_000], 76), None);
    }
}
