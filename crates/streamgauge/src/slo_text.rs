//! Numbers of objectives as people read them. Only shapes text; whatever is divided here is divided for the eye.

use serde::{Serialize as _, Serializer};
use streamgauge_definitions::{Budgeting, Measure, Sli, Slo, duration_text};
use streamgauge_events::EventTime;
use streamgauge_slo::{Budget, Forecast, Fraction, Tally, Target};
use streamgauge_windows::window::rfc3339_text;

/// Shares of slices are counted in millionths of millionths.
const RATIO_UNIT: i128 = 1_000_000_000_000;

/// What an objective counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Events,
    Slices(i64),
    /// Slices by their shares of bad events.
    Shares(i64),
}

impl Unit {
    pub fn of(slo: &Slo, sli: &Sli) -> Self {
        match (slo.budgeting, &sli.good) {
            (Budgeting::Timeslices { width_us, .. }, _) => Self::Slices(width_us),
            (Budgeting::RatioTimeslices { width_us }, _) => Self::Shares(width_us),
            (Budgeting::Occurrences, Measure::Slice { slice, .. }) => Self::Slices(slice.length_us),
            (Budgeting::Occurrences, _) => Self::Events,
        }
    }

    pub fn text(self) -> String {
        match self {
            Self::Events => "events".to_owned(),
            Self::Slices(width_us) => format!("slices of {}", duration_text(width_us)),
            Self::Shares(width_us) => format!("slices of {}, each by its share of bad events", duration_text(width_us)),
        }
    }

    /// Whole ones of it, rounded down.
    pub const fn whole(self, count: i128) -> i128 {
        match self {
            Self::Events | Self::Slices(_) => count,
            Self::Shares(_) => count.div_euclid(RATIO_UNIT),
        }
    }

    pub fn count(self, count: i128) -> String {
        match self {
            Self::Events | Self::Slices(_) => thousands(count),
            // Three places, rounded down.
            Self::Shares(_) => {
                let thousandths = count.div_euclid(RATIO_UNIT / 1000);
                format!("{}.{:03}", thousands(thousandths.div_euclid(1000)), thousandths.rem_euclid(1000))
            }
        }
    }

    /// Bad of all.
    pub fn tally(self, tally: Tally) -> String {
        format!("{}/{}", self.count(tally.bad), self.count(tally.total))
    }

    /// How many may be bad: b n, rounded down.
    pub fn allowance(self, target: Target, budget: Budget) -> String {
        let b = target.allowed();
        self.count(i128::from(b.numerator) * budget.tally.total / i128::from(b.denominator))
    }
}

pub fn thousands(count: i128) -> String {
    let sign = if count < 0 { "-" } else { "" };
    let digits = u64::try_from(count.unsigned_abs()).map(crate::windows_text::thousands);
    format!("{sign}{}", digits.unwrap_or_else(|_| count.unsigned_abs().to_string()))
}

/// Rounded down to a tenth: nothing looks better than it is.
pub fn remaining(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", (share * 1000.0).floor() / 10.0))
}

pub fn burn(burn: Option<f64>) -> String {
    match burn {
        None => "-".to_owned(),
        Some(burn) if burn >= 100.0 => format!("{burn:.0}"),
        Some(burn) if burn >= 10.0 => format!("{burn:.1}"),
        Some(burn) => format!("{burn:.2}"),
    }
}

/// 1 of 3 in percent, rounded down to a hundredth of it, so that one bad event is never perfection.
pub fn percent(part: i128, whole: i128) -> String {
    match whole {
        0 => "-".to_owned(),
        _ => {
            let hundredths = part * 10_000 / whole;
            format!("{}.{:02}%", hundredths / 100, hundredths % 100)
        }
    }
}

/// Whole seconds in the two largest units that fit.
pub fn span(us: i64) -> String {
    let secs = us / 1_000_000;
    let (sign, secs) = (if secs < 0 { "-" } else { "" }, secs.unsigned_abs());
    let (days, hours, minutes, rest) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = parts[first..].iter().take(2).filter(|(count, _)| *count > 0);
    let text: Vec<String> = shown.map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { format!("{sign}{}", text.join(" ")) }
}

/// `left`: the budget. A forecast goes by what was counted alone, the budget by what the whole period will have had.
pub fn forecast(forecast: Forecast, left: Option<f64>) -> String {
    match forecast {
        Forecast::ExhaustedNow if left.is_some_and(|left| left > 0.0) => {
            "unknown: only a part of the period was counted".to_owned()
        }
        Forecast::Unknown => "unknown: nothing came in the last hours to go by".to_owned(),
        Forecast::ExhaustedNow => "spent".to_owned(),
        Forecast::ExhaustedIn(secs) => format!("spent in {} at the rate of the last 6h", span((secs * 1e6) as i64)),
        Forecast::NotAtThisRate => "not spent at the rate of the last 6h".to_owned(),
    }
}

/// A bad share that may not be passed, such as 14.4 x 0.001.
pub fn product(factor: Fraction, b: Fraction) -> String {
    format!("{factor} x {b}")
}

pub fn optional_time<S: Serializer>(time: &Option<EventTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339_text).serialize(serializer)
}

pub fn time<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_text(*time))
}

/// A chart of shares over time, from 100% at the top down to 0 or the lowest; a blank where there is nothing to say.
pub fn chart(values: &[Option<f64>]) -> Vec<String> {
    const ROWS: usize = 6;
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let lowest = values.iter().flatten().fold(0.0_f64, |lowest, value| lowest.min(*value));
    let step = (1.0 - lowest) / ROWS as f64;
    let row = |index: usize| {
        let bottom = 1.0 - step * (index + 1) as f64;
        let cell = |value: &Option<f64>| {
            let Some(value) = value else { return ' ' };
            let eighths = ((value - bottom) / step * 8.0).round().clamp(0.0, 8.0) as usize;
            // What is spent to the last is a line on the ground, and no blank.
            if eighths == 0 && index + 1 == ROWS { '_' } else { EIGHTHS[eighths] }
        };
        let label = match index {
            0 => "100%".to_owned(),
            _ if index + 1 == ROWS => format!("{:.0}%", lowest * 100.0),
            _ => String::new(),
        };
        format!("  {label:>7} |{}", values.iter().map(cell).collect::<String>()).trim_end().to_owned()
    };
    (0..ROWS).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        for (secs, expected) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3_661, "1h 1m"), (3_600, "1h"), (90_000, "1d 1h"), (-90, "-1m 30s")]
        {
            assert_eq!(span(secs * 1_000_000), expected, "{secs} s");
        }
    }

    #[test]
    fn nothing_looks_better_than_it_is() {
        for (share, expected) in [(0.99999, "99.9%"), (1.0, "100.0%"), (-0.001, "-0.1%"), (0.1, "10.0%")] {
            assert_eq!(remaining(Some(share)), expected);
        }
        assert_eq!(remaining(None), "-");
        for (good, total, expected) in
            [(999_999, 1_000_000, "99.99%"), (0, 0, "-"), (3, 3, "100.00%"), (1, 3, "33.33%")]
        {
            assert_eq!(percent(good, total), expected);
        }
    }

    #[test]
    fn counts_of_shares_are_sums_of_shares() {
        let slices = Unit::Shares(60_000_000);
        assert_eq!(slices.tally(Tally::new(RATIO_UNIT / 4, 2 * RATIO_UNIT)), "0.250/2.000");
        assert_eq!(Unit::Events.tally(Tally::new(1, 12_345)), "1/12,345");
    }

    #[test]
    fn a_chart_goes_below_zero_with_the_budget() {
        let values = [None, Some(1.0), Some(0.5), Some(0.0), Some(-1.0)];
        let lines: Vec<String> = chart(&values).iter().map(|line| format!("|{line}")).collect();
        expect_test::expect![[r#"
            |     100% | █
            |          | █▄
            |          | ██
            |          | ███
            |          | ███
            |    -100% | ███_"#]]
        .assert_eq(&lines.join("\n"));
    }
}
