//! Tiers of burn-rate alerts: a long window says that the budget is at risk, a short one that it still is.
//!
//! Windows and factors by the Site Reliability Workbook, chapter 5, for 30 days; other periods have their own.

use serde::{Deserialize, Serialize};

use crate::alert::Severity;
use crate::target::{Fraction, Target};

/// Fires where the budget burns faster than `factor` in both windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    pub long_us: i64,
    pub short_us: i64,
    pub factor: Fraction,
    pub severity: Severity,
}

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_US: i64 = 24 * HOUR_US;

/// The four tiers of a period of that length, the fastest first. Windows hold whole panes.
pub fn tiers_of(period_us: i64, pane_us: i64) -> [Tier; 4] {
    let windows = match period_us / DAY_US {
        _ if period_us % DAY_US != 0 => None,
        7 | 28 | 30 => Some(WINDOWS_OF_30_DAYS),
        90 => Some([
            (3 * HOUR_US, 15 * MINUTE_US),
            (18 * HOUR_US, 90 * MINUTE_US),
            (3 * DAY_US, 6 * HOUR_US),
            (9 * DAY_US, 18 * HOUR_US),
        ]),
        _ => None,
    };
    let scaled = |us: i64| {
        let us = i128::from(us) * i128::from(period_us) / i128::from(30 * DAY_US);
        let panes = us / i128::from(pane_us);
        i64::try_from(panes.max(1)).unwrap_or(1) * pane_us
    };
    let windows = windows.unwrap_or_else(|| WINDOWS_OF_30_DAYS.map(|(long, short)| (scaled(long), scaled(short))));
    // In hundredths.
    let factors = match period_us {
        us if us == 28 * DAY_US => [1344, 560, 280, 100],
        us if us == 7 * DAY_US => [1344, 350, 140, 100],
        _ => [1440, 600, 300, 100],
    };
    let severities = [Severity::Critical, Severity::Critical, Severity::Warning, Severity::Warning];
    let tier = |index: usize| {
        let ((long_us, short_us), factor) = (windows[index], Fraction::new(factors[index], 100));
        Tier { long_us, short_us, factor, severity: severities[index] }
    };
    [tier(0), tier(1), tier(2), tier(3)]
}

const WINDOWS_OF_30_DAYS: [(i64, i64); 4] =
    [(HOUR_US, 5 * MINUTE_US), (6 * HOUR_US, 30 * MINUTE_US), (DAY_US, 2 * HOUR_US), (3 * DAY_US, 6 * HOUR_US)];

impl Tier {
    /// The share of the period's budget that is gone when the tier fires at its factor: c = f L / P.
    pub fn budget_share(&self, period_us: i64) -> f64 {
        self.factor.to_f64() * self.long_us as f64 / period_us as f64
    }

    /// Event time from the beginning of an outage to the alert: f b L / e, for an error ratio e on a clean past and uniform
    /// traffic. `None`: it never fires.
    pub fn detection_us(&self, target: Target, error_ratio: f64) -> Option<f64> {
        let share = self.factor.to_f64() * target.allowed().to_f64() / error_ratio;
        (share < 1.0).then_some(share * self.long_us as f64)
    }

    /// Even a total outage burns no faster than 1 / b: f b >= 1 can't fire.
    pub fn can_fire(&self, target: Target) -> bool {
        let (b, f) = (target.allowed(), self.factor);
        u128::from(f.numerator) * u128::from(b.numerator) < u128::from(f.denominator) * u128::from(b.denominator)
    }

    /// Whether it may fire while the promise is kept: f < 1.
    pub const fn fires_while_compliant(&self) -> bool {
        self.factor.numerator < self.factor.denominator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::new(text.parse().expect("a decimal")).expect("it leaves a budget")
    }

    #[test]
    fn each_period_has_its_own_windows_and_factors() {
        for (days, expected) in [
            (30, ["1h/5m 14.4", "6h/30m 6", "24h/2h 3", "72h/6h 1"]),
            (28, ["1h/5m 13.44", "6h/30m 5.6", "24h/2h 2.8", "72h/6h 1"]),
            (7, ["1h/5m 13.44", "6h/30m 3.5", "24h/2h 1.4", "72h/6h 1"]),
            (90, ["3h/15m 14.4", "18h/90m 6", "72h/6h 3", "216h/18h 1"]),
            (15, ["30m/150s 14.4", "3h/15m 6", "12h/1h 3", "36h/3h 1"]),
            (1, ["2m/10s 14.4", "12m/1m 6", "48m/4m 3", "144m/12m 1"]),
        ] {
            let text = |us: i64| match us {
                us if us % HOUR_US == 0 => format!("{}h", us / HOUR_US),
                us if us % MINUTE_US == 0 => format!("{}m", us / MINUTE_US),
                us => format!("{}s", us / 1_000_000),
            };
            let found = tiers_of(days * DAY_US, 10_000_000)
                .map(|tier| format!("{}/{} {}", text(tier.long_us), text(tier.short_us), tier.factor));
            assert_eq!(found, expected, "{days} days");
        }
    }

    #[test]
    fn shares_of_the_budget_by_tier() {
        let shares = |days: i64| {
            tiers_of(days * DAY_US, 10_000_000).map(|tier| (tier.budget_share(days * DAY_US) * 1e4).round() / 1e4)
        };
        assert_eq!(shares(30), [0.02, 0.05, 0.1, 0.1]);
        assert_eq!(shares(28), [0.02, 0.05, 0.1, 0.1071]);
        assert_eq!(shares(7), [0.08, 0.125, 0.2, 0.4286]);
    }

    #[test]
    fn a_total_outage_at_three_nines_is_seen_within_a_minute() {
        let found = tiers_of(30 * DAY_US, 10_000_000)
            .map(|tier| tier.detection_us(target("0.999"), 1.0).map(|us| (us / 1e4).round() / 100.0));
        assert_eq!(found, [Some(51.84), Some(129.6), Some(259.2), Some(259.2)]);
    }

    #[test]
    fn tiers_that_can_never_fire_are_told() {
        for (text, expected) in [
            ("0.999", [true, true, true, true]),
            ("0.9306", [true, true, true, true]),
            ("0.9305", [false, true, true, true]),
            ("0.83", [false, false, true, true]),
            ("0.5", [false, false, false, true]),
        ] {
            let found = tiers_of(30 * DAY_US, 10_000_000).map(|tier| tier.can_fire(target(text)));
            assert_eq!(found, expected, "{text}");
        }
    }
}
