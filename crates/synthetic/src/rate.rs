//! When requests arrive: a rate over scenario time, and an open-loop schedule that follows it.
//!
//! The schedule depends on nothing that happens to the requests, so a slow consumer can't hide its latency in it.

use serde::Deserialize;

use crate::check::number;
use crate::latency::Quantiles;
use crate::maths::cos_turns;
use crate::random::SplitMix64;
use crate::scenario::ScenarioError;

/// Above this the schedule's 64-bit arithmetic would overflow; faster than any producer in one process.
pub const EVENTS_PER_SEC_MAX: f64 = 4_000_000.0;
/// One event in 1,000 seconds: every profile must go on, or a run of a given number of events would never end.
const EVENTS_PER_SEC_MIN: f64 = 0.001;

/// Events per second as a function of scenario time, held for one second at a time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rate {
    Constant {
        events_per_sec: f64,
    },
    /// A cosine: `mean * (1 + a * cos)`, highest at `peak_secs`, with the given ratio of peak to trough.
    Diurnal {
        events_per_sec_mean: f64,
        peak_to_trough_ratio: f64,
        peak_secs: u64,
        #[serde(default = "one_day")]
        period_secs: u64,
    },
    /// `events_per_sec`, but `burst_events_per_sec` in the first `burst_secs` of each `every_secs`.
    Burst {
        events_per_sec: f64,
        burst_events_per_sec: f64,
        burst_secs: u64,
        every_secs: u64,
    },
    /// A straight line over `ramp_secs`, then the final rate.
    Ramp {
        events_per_sec_first: f64,
        events_per_sec_last: f64,
        ramp_secs: u64,
    },
}

fn one_day() -> u64 {
    86_400
}

impl Rate {
    /// The rate in the second that begins `second` seconds into the scenario.
    pub fn events_per_sec(&self, second: u64) -> f64 {
        match *self {
            Self::Constant { events_per_sec } => events_per_sec,
            Self::Diurnal { events_per_sec_mean, peak_to_trough_ratio, peak_secs, period_secs } => {
                let swing = (peak_to_trough_ratio - 1.0) / (peak_to_trough_ratio + 1.0);
                let turns = (second as f64 - peak_secs as f64) / period_secs as f64;
                events_per_sec_mean * (1.0 + swing * cos_turns(turns))
            }
            Self::Burst { events_per_sec, burst_events_per_sec, burst_secs, every_secs } => {
                if second % every_secs < burst_secs { burst_events_per_sec } else { events_per_sec }
            }
            Self::Ramp { events_per_sec_first, events_per_sec_last, ramp_secs } => {
                let part = second.min(ramp_secs) as f64 / ramp_secs as f64;
                events_per_sec_first + (events_per_sec_last - events_per_sec_first) * part
            }
        }
    }

    /// How many arrivals the schedule has in the first `secs` seconds, on average.
    pub fn events_expected(&self, secs: u64) -> f64 {
        (0..secs).map(|second| self.events_per_sec(second)).sum()
    }

    pub(crate) fn check(&self) -> Result<(), ScenarioError> {
        let rate = |path: &str, value: f64| number(path, value, EVENTS_PER_SEC_MIN, EVENTS_PER_SEC_MAX);
        match *self {
            Self::Constant { events_per_sec } => rate("rate.constant.events_per_sec", events_per_sec),
            Self::Diurnal { events_per_sec_mean, peak_to_trough_ratio, period_secs, .. } => {
                rate("rate.diurnal.events_per_sec_mean", events_per_sec_mean)?;
                number("rate.diurnal.peak_to_trough_ratio", peak_to_trough_ratio, 1.0, 1000.0)?;
                number("rate.diurnal.period_secs", period_secs as f64, 1.0, 1e9)
            }
            Self::Burst { events_per_sec, burst_events_per_sec, burst_secs, every_secs } => {
                rate("rate.burst.events_per_sec", events_per_sec)?;
                rate("rate.burst.burst_events_per_sec", burst_events_per_sec)?;
                number("rate.burst.every_secs", every_secs as f64, 1.0, 1e9)?;
                number("rate.burst.burst_secs", burst_secs as f64, 0.0, every_secs as f64)
            }
            Self::Ramp { events_per_sec_first, events_per_sec_last, ramp_secs } => {
                rate("rate.ramp.events_per_sec_first", events_per_sec_first)?;
                rate("rate.ramp.events_per_sec_last", events_per_sec_last)?;
                number("rate.ramp.ramp_secs", ramp_secs as f64, 1.0, 1e9)
            }
        }
    }
}

/// A Poisson process along a [`Rate`]: exponential portions of expected events, spent second by second.
#[derive(Clone, Debug)]
pub struct Arrivals {
    rate: Rate,
    rate_factor: f64,
    random: SplitMix64,
    portions_q32: Quantiles,
    second: u64,
    /// Position within the second, of 2^32.
    fraction_q32: u64,
    millievents_per_sec: u64,
}

impl Arrivals {
    pub fn new(rate: Rate, rate_factor: f64, random: SplitMix64) -> Self {
        let portions_q32 = Quantiles::exponential_q32();
        let mut arrivals =
            Self { rate, rate_factor, random, portions_q32, second: 0, fraction_q32: 0, millievents_per_sec: 0 };
        arrivals.enter_second(0);
        arrivals
    }

    /// Microseconds from the start of the scenario to the next arrival; never decreases.
    pub fn next_us(&mut self) -> i64 {
        let mut portion = self.portions_q32.sample(self.random.next_u64()) * 1000;
        loop {
            let left = ((1 << 32) - self.fraction_q32) * self.millievents_per_sec;
            if portion < left {
                self.fraction_q32 += portion / self.millievents_per_sec;
                return self.second as i64 * 1_000_000 + ((self.fraction_q32 * 1_000_000) >> 32) as i64;
            }
            portion -= left;
            self.enter_second(self.second + 1);
        }
    }

    fn enter_second(&mut self, second: u64) {
        let events_per_sec = self.rate.events_per_sec(second) * self.rate_factor;
        self.second = second;
        self.fraction_q32 = 0;
        self.millievents_per_sec = (events_per_sec.clamp(EVENTS_PER_SEC_MIN, EVENTS_PER_SEC_MAX) * 1000.0) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals_in(rate: &Rate, rate_factor: f64, from_secs: i64, to_secs: i64) -> usize {
        let mut arrivals = Arrivals::new(rate.clone(), rate_factor, SplitMix64::new(5, 0));
        std::iter::repeat_with(|| arrivals.next_us())
            .take_while(|us| *us < to_secs * 1_000_000)
            .filter(|us| *us >= from_secs * 1_000_000)
            .count()
    }

    #[test]
    fn arrivals_follow_the_profile() {
        let constant = Rate::Constant { events_per_sec: 500.0 };
        let diurnal =
            Rate::Diurnal { events_per_sec_mean: 20.0, peak_to_trough_ratio: 3.0, peak_secs: 1800, period_secs: 3600 };
        let burst = Rate::Burst { events_per_sec: 10.0, burst_events_per_sec: 1000.0, burst_secs: 10, every_secs: 100 };
        let ramp = Rate::Ramp { events_per_sec_first: 100.0, events_per_sec_last: 300.0, ramp_secs: 100 };
        for (name, rate, rate_factor, from_secs, to_secs, expected) in [
            ("constant", &constant, 1.0, 0, 100, 50_000.0),
            ("constant, twice as fast", &constant, 2.0, 0, 100, 100_000.0),
            ("a whole period", &diurnal, 1.0, 0, 3600, 72_000.0),
            ("trough: half the mean", &diurnal, 1.0, 3500, 3700, 2_000.0),
            ("peak: one and a half", &diurnal, 1.0, 1700, 1900, 6_000.0),
            ("within a burst", &burst, 1.0, 100, 110, 10_000.0),
            ("between bursts", &burst, 1.0, 110, 200, 900.0),
            ("on the ramp", &ramp, 1.0, 0, 100, 20_000.0),
            ("after the ramp", &ramp, 1.0, 100, 200, 30_000.0),
        ] {
            let counted = arrivals_in(rate, rate_factor, from_secs, to_secs) as f64;
            // Five standard deviations of a Poisson count.
            assert!((counted - expected).abs() < 5.0 * expected.sqrt() + expected * 0.01, "{name}: {counted}");
        }
    }
}
