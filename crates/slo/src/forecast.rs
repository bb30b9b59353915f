//! When the budget will be spent if what is bad goes on at the rate of the last hours, and what is old leaves the window.

use serde::{Deserialize, Serialize};

use crate::sums::Tally;
use crate::target::Target;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forecast {
    /// Nothing came in the last hours to go by, or nothing at all.
    Unknown,
    ExhaustedNow,
    /// Seconds from now.
    ExhaustedIn(f64),
    /// Even after the whole window has been replaced.
    NotAtThisRate,
}

/// The window slides: `buckets` are its buckets of `bucket_us`, oldest first, and the last `recent` of them, in which was counted for
/// `recent_us`, go on as they were. In integers, scaled by `recent_us`, but for the place within a bucket.
pub fn rolling(target: Target, buckets: &[Tally], bucket_us: i64, recent: usize, recent_us: i64) -> Forecast {
    let recent = recent.min(buckets.len());
    let rate = sum(&buckets[buckets.len() - recent..]);
    let all = sum(buckets);
    if recent_us <= 0 || rate.total == 0 || all.total == 0 {
        return Forecast::Unknown;
    }
    // In milliseconds: panes are whole seconds, and shares of slices leave little room.
    let (scale, step) = (i128::from(recent_us / 1000), i128::from(bucket_us / 1000));
    let rate = Tally::new(rate.bad * step, rate.total * step);
    let (mut bad, mut total) = (all.bad * scale, all.total * scale);
    let slack_of = |bad: i128, total: i128| {
        let b = target.allowed();
        i128::from(b.numerator) * total - i128::from(b.denominator) * bad
    };
    let mut slack = slack_of(bad, total);
    if slack <= 0 {
        return Forecast::ExhaustedNow;
    }
    for (index, leaving) in buckets.iter().enumerate() {
        total += rate.total - scale * leaving.total;
        bad += rate.bad - scale * leaving.bad;
        let next = slack_of(bad, total);
        if next <= 0 {
            let within = slack as f64 / (slack - next) as f64;
            return Forecast::ExhaustedIn((index as f64 + within) * bucket_us as f64 / 1e6);
        }
        slack = next;
    }
    Forecast::NotAtThisRate
}

/// The window ends at a date: nothing leaves it before. `left_us`: from now to its end. t = (b N - B) / mu, where N is what
/// will have come by then at the recent rate.
pub fn calendar(target: Target, so_far: Tally, recent: Tally, recent_us: i64, left_us: i64) -> Forecast {
    if recent.total == 0 || so_far.total == 0 || recent_us <= 0 {
        return Forecast::Unknown;
    }
    let b = target.allowed();
    // Scaled by the recent span, so that what is to come stays whole; in milliseconds, so that a century fits.
    let (scale, left) = (i128::from((recent_us / 1000).max(1)), i128::from(left_us.max(0) / 1000));
    let projected = so_far.total * scale + recent.total * left;
    let slack = i128::from(b.numerator) * projected - i128::from(b.denominator) * so_far.bad * scale;
    if slack <= 0 {
        return Forecast::ExhaustedNow;
    }
    let spending = i128::from(b.denominator) * recent.bad;
    if spending * left < slack {
        return Forecast::NotAtThisRate;
    }
    // slack / (D scale) are the bad ones that are left; recent.bad / recent_us come in a millisecond.
    Forecast::ExhaustedIn(slack as f64 / spending as f64 / 1e3)
}

fn sum(buckets: &[Tally]) -> Tally {
    let mut sum = Tally::default();
    buckets.iter().for_each(|bucket| sum += *bucket);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn target(text: &str) -> Target {
        Target::new(text.parse().expect("a decimal")).expect("it leaves a budget")
    }

    /// 720 hours of 1,000 events each; some hours have another count of bad ones.
    fn month(bad: &[(std::ops::Range<usize>, i128)]) -> Vec<Tally> {
        let mut hours = vec![Tally::new(0, 1000); 720];
        for (range, bad) in bad {
            hours[range.clone()].iter_mut().for_each(|hour| hour.bad = *bad);
        }
        hours
    }

    fn hours(forecast: Forecast) -> Option<f64> {
        match forecast {
            Forecast::ExhaustedIn(secs) => Some((secs / 36.0).round() / 100.0),
            _ => None,
        }
    }

    #[test]
    fn a_steady_burn_runs_out_when_it_should() {
        // The budget is 720 a month. Two bad ones an hour from a clean month: 360 hours.
        let clean = month(&[(714..720, 2)]);
        assert_eq!(hours(rolling(target("0.999"), &clean, HOUR_US, 6, 6 * HOUR_US)), Some(354.0));
        // At half of what is allowed it never runs out.
        let calm = month(&[(0..720, 0), (714..720, 0)]);
        assert_eq!(rolling(target("0.999"), &calm, HOUR_US, 6, 6 * HOUR_US), Forecast::NotAtThisRate);
    }

    #[test]
    fn what_is_about_to_leave_the_window_is_no_burden() {
        // Half of the budget was spent in one hour that leaves in ten; since then two bad ones an hour.
        let old = month(&[(9..10, 360), (600..720, 2)]);
        let (found, naive) = (hours(rolling(target("0.999"), &old, HOUR_US, 6, 6 * HOUR_US)), (720.0 - 600.0) / 2.0);
        assert_eq!(naive, 60.0);
        assert_eq!(found, Some(240.0));
    }

    #[test]
    fn there_may_be_nothing_to_say() {
        assert_eq!(rolling(target("0.999"), &[], HOUR_US, 6, 6 * HOUR_US), Forecast::Unknown);
        let mut silent = month(&[]);
        silent[714..].fill(Tally::default());
        assert_eq!(rolling(target("0.999"), &silent, HOUR_US, 6, 6 * HOUR_US), Forecast::Unknown);
        let spent = month(&[(0..1, 720)]);
        assert_eq!(rolling(target("0.999"), &spent, HOUR_US, 6, 6 * HOUR_US), Forecast::ExhaustedNow);
    }

    #[test]
    fn a_month_that_ends_forgives() {
        let target = target("0.999");
        // 100 h of 1,000 an hour with 50 bad ones; 2 an hour lately; 620 h to go: 720 are allowed in all, 670 are left.
        let (so_far, recent) = (Tally::new(50, 100_000), Tally::new(12, 6000));
        let found = calendar(target, so_far, recent, 6 * HOUR_US, 620 * HOUR_US);
        assert_eq!(hours(found), Some(335.0));
        // With 300 h to go 400 are allowed, and 350 would take 175 h; with 1 bad one an hour they last.
        assert_eq!(hours(calendar(target, so_far, recent, 6 * HOUR_US, 300 * HOUR_US)), Some(175.0));
        let calm = Tally::new(6, 6000);
        assert_eq!(calendar(target, so_far, calm, 6 * HOUR_US, 300 * HOUR_US), Forecast::NotAtThisRate);
        assert_eq!(
            calendar(target, Tally::new(500, 100_000), recent, 6 * HOUR_US, 300 * HOUR_US),
            Forecast::ExhaustedNow
        );
        assert_eq!(calendar(target, so_far, Tally::default(), 6 * HOUR_US, 0), Forecast::Unknown);
    }
}
