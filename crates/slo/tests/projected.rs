//! What a period will have held, where counts reach back for a part of it only.

use jiff::tz::TimeZone;
use streamgauge_events::EventTime;
use streamgauge_slo::calendar::Unit;
use streamgauge_slo::evaluate::Method;
use streamgauge_slo::{Calendar, Evaluator, Forecast, Fraction, Objective, Period, Tally, Target};

const PANE_US: i64 = 10_000_000;
const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_US: i64 = 24 * HOUR_US;
/// 2022-01-08, a Saturday in the middle of nothing.
const BEGIN: EventTime = EventTime(19_000 * DAY_US);

fn target(text: &str) -> Target {
    Target::new(text.parse::<Fraction>().expect("a decimal")).expect("it leaves a budget")
}

fn objective(period: Period, promise: &str, method: Method) -> Objective {
    Objective { target: target(promise), method, period, rules: Vec::new() }
}

fn calendar(unit: Unit, count: i32, anchor: &str) -> Period {
    let anchor = anchor.parse().expect("a date");
    Period::Calendar(Calendar::new(unit, count, anchor, TimeZone::UTC).expect("some"))
}

/// 30 days hold 8,640 slices of five minutes. At 99.9%, 8.64 of them may be bad: one is more than a tenth of the budget.
#[test]
fn the_first_slice_of_an_sli_that_judges_slices_is_no_pane() {
    let slice_us = 5 * MINUTE_US;
    let period = Period::Rolling { length_us: 30 * DAY_US };
    for slices in [1_i64, 2, 12] {
        let mut evaluator =
            Evaluator::new(objective(period.clone(), "0.999", Method::Occurrences), PANE_US).projected();
        evaluator = evaluator.by_steps_of(slice_us);
        for slice in 0..slices {
            evaluator.advance(BEGIN.plus_us((slice + 1) * slice_us));
            evaluator.add(BEGIN.plus_us(slice * slice_us), Tally::new(i128::from(slice == 0), 1));
            evaluator.evaluate();
        }
        let total = evaluator.budget().tally.total;
        assert!((8_600..=8_650).contains(&total), "after {slices} slices the period is taken to hold {total}");
    }
}

/// Whatever moment one asks at, thirty days hold 720 slices of an hour.
#[test]
fn shares_of_slices_are_projected_from_slices_that_are_over() {
    const RATIO_UNIT: i128 = 1_000_000_000_000;
    let method = Method::RatioTimeslices { width_us: HOUR_US };
    let period = Period::Rolling { length_us: 30 * DAY_US };
    let mut evaluator = Evaluator::new(objective(period, "0.999", method), PANE_US).projected();
    for pane in 0..2 * 360 - 1 {
        let start = BEGIN.plus_us(pane * PANE_US);
        evaluator.advance(start.plus_us(PANE_US));
        evaluator.add(start, Tally::new(0, 100));
        evaluator.evaluate();
    }
    let slices = evaluator.budget().tally.total / RATIO_UNIT;
    assert!((715..=725).contains(&slices), "the period is taken to hold {slices} slices");
}

/// Counting began in the middle of a month, with ten bad minutes. Budget and forecast are of the same month.
#[test]
fn a_forecast_of_a_month_does_not_contradict_its_budget() {
    let month = calendar(Unit::Months, 1, "2022-01-01");
    let mut evaluator = Evaluator::new(objective(month, "0.999", Method::Occurrences), PANE_US).projected();
    for pane in 0..60 {
        let start = BEGIN.plus_us(pane * PANE_US);
        evaluator.advance(start.plus_us(PANE_US));
        evaluator.add(start, Tally::new(100, 1000));
        evaluator.evaluate();
    }
    let standing = evaluator.standing();
    let remaining = standing.remaining.expect("some came");
    assert!(remaining > 0.9, "{remaining}");
    assert_ne!(standing.forecast, Forecast::ExhaustedNow, "though {remaining} of the budget remains");
}

/// "At most 100 of a calendar's units", slices of a pane, a promise with nine places: all of it may be written.
#[test]
fn a_century_of_shares_of_slices_does_not_overflow() {
    for (promise, is_spent) in [("0.500000001", false), ("0.999999999", true)] {
        let century = calendar(Unit::Years, 100, "2000-01-01");
        let method = Method::RatioTimeslices { width_us: PANE_US };
        let mut evaluator = Evaluator::new(objective(century, promise, method), PANE_US).projected();
        for pane in 0..2160 {
            let start = BEGIN.plus_us(pane * PANE_US);
            evaluator.advance(start.plus_us(PANE_US));
            evaluator.add(start, Tally::new(1, 1));
            evaluator.evaluate();
        }
        assert_eq!(evaluator.standing().forecast == Forecast::ExhaustedNow, is_spent, "{promise}");
    }
}
