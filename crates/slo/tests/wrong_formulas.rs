//! Formulas in circulation that are wrong, each beside ours on the same numbers.
//!
//! Percentile indices, latency over successes only, overlapping outages and acknowledged alerts are wrong elsewhere: they
//! belong to the crates that judge events, report downtime and notify.

use streamgauge_events::EventTime;
use streamgauge_slo::alert::{Condition, Rule, Severity, Transition};
use streamgauge_slo::burn::tiers_of;
use streamgauge_slo::calendar::Period;
use streamgauge_slo::evaluate::{Evaluator, Method, Objective};
use streamgauge_slo::{Budget, Forecast, Fraction, Tally, Target, forecast};

const PANE_US: i64 = 10_000_000;
const HOUR_US: i64 = 3_600_000_000;
const MONTH_US: i64 = 720 * HOUR_US;
const BEGIN: EventTime = EventTime(1_790_000_000_000_000);

fn target(text: &str) -> Target {
    Target::new(text.parse().expect("a decimal")).expect("it leaves a budget")
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{found}, expected {expected}");
}

fn evaluator(text: &str, rules: Vec<Rule>) -> Evaluator {
    let period = Period::Rolling { length_us: MONTH_US };
    Evaluator::new(Objective { target: target(text), method: Method::Occurrences, period, rules }, PANE_US)
}

/// The fastest tier of 30 days.
fn fastest(pending_points: u32) -> Rule {
    let tier = tiers_of(MONTH_US, PANE_US)[0];
    Rule { name: "fastest".to_owned(), severity: Severity::Critical, condition: Condition::Burn(tier), pending_points }
}

/// Goes on by one pane, which has this tally, and tells what happened.
fn pane(evaluator: &mut Evaluator, number: i64, tally: Tally) -> Vec<Transition> {
    evaluator.advance(BEGIN.plus_us((number + 1) * PANE_US));
    evaluator.add(BEGIN.plus_us(number * PANE_US), tally);
    evaluator.evaluate().into_iter().map(|(_, transition)| transition).collect()
}

/// An hour in which all went well, of 100 events in each pane.
fn clean_hour(evaluator: &mut Evaluator) {
    for number in -360..0 {
        assert_eq!(pane(evaluator, number, Tally::new(0, 100)), []);
    }
}

/// All hours have 1,000 events.
fn hours(bad: impl Fn(usize) -> i128) -> Vec<Tally> {
    (0..720).map(|hour| Tally::new(bad(hour), 1_000)).collect()
}

fn in_hours(forecast: Forecast) -> f64 {
    match forecast {
        Forecast::ExhaustedIn(seconds) => seconds / 3_600.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_burn_rate_divided_by_the_hours_of_the_period_never_alerts() {
    // Nothing works any more. That is a burn rate of 1,000, which the wrong one calls 1.389: far below 14.4.
    let outage = Tally::new(100, 100);
    let ours = target("0.999").burn(outage).expect("there were events");
    close(ours, 1_000.0);
    let wrong = ours / 720.0;
    close(wrong, 1.388_888_888_888_889);
    assert!(wrong < 14.4);

    let mut evaluator = evaluator("0.999", vec![fastest(1)]);
    clean_hour(&mut evaluator);
    let fired = (0..360).find(|number| !pane(&mut evaluator, *number, outage).is_empty());
    assert_eq!(fired, Some(5), "in the sixth pane: after 60 s");
}

#[test]
fn a_target_in_percent_is_no_share() {
    // 99.95% good is better than 99.9, but as a share never above it: each service would be in breach for ever.
    let good_share = 0.9995;
    let wrong_keeps_its_promise = good_share >= 99.9;
    assert!(!wrong_keeps_its_promise);
    assert_eq!(target("0.999").burns_above(Tally::new(5, 10_000), Fraction::new(1, 1)), Some(false));
    // So such a target is refused.
    assert!(Target::new(Fraction::new(999, 10)).is_err());
}

#[test]
fn a_latency_target_is_no_percentage() {
    // "200 ms" read as 200%: a budget of -100.
    let wrong_budget = 100.0 - 200.0;
    close(wrong_budget, -100.0);
    assert!(Target::new(Fraction::new(200, 1)).is_err());
    assert!(Target::new(Fraction::new(200, 100)).is_err());
    // And so are the two ends, at which there is no budget, or no promise.
    assert!(Target::new(Fraction::new(1, 1)).is_err());
    assert!(Target::new(Fraction::new(0, 1)).is_err());
}

#[test]
fn what_remains_is_not_allowed_minus_missed() {
    // (100 - T) - (T - actual), in percent.
    let wrong = |actual: f64| (100.0 - 99.9) - (99.9 - actual);
    let ours = |bad: i128| Budget { tally: Tally::new(bad, 1_000_000) };
    for (bad, wrong_points, ours_share, ours_is_spent) in
        [(0, 0.2, 1.0, false), (500, 0.15, 0.5, false), (1_000, 0.1, 0.0, true), (2_000, 0.0, -1.0, true)]
    {
        close(wrong(100.0 - bad as f64 / 10_000.0), wrong_points);
        close(ours(bad).remaining(target("0.999")).expect("there were events"), ours_share);
        assert_eq!(ours(bad).is_exhausted(target("0.999")), Some(ours_is_spent));
    }
    // With 1,000 bad ones of a million all that is allowed is spent, and the wrong one says 0.1 of 0.1: a full budget. It
    // would freeze at 2,000.
}

#[test]
fn what_remains_is_not_clamped() {
    // Who stops at 0 can't see that three times the budget is gone, nor how long the way back is.
    let overdrawn = Budget { tally: Tally::new(3_000, 1_000_000) };
    let ours = overdrawn.remaining(target("0.999")).expect("there were events");
    let wrong = ours.clamp(0.0, 1.0);
    close(wrong, 0.0);
    close(ours, -2.0);
}

#[test]
fn percentage_points_over_a_share_per_hour_are_no_hours() {
    // A burn rate of 1 spends the budget of 720 hours in 720 hours: a share of 1/720 in each of them. Of a budget of 0.1
    // percentage points the wrong one says 0.1 / (1/720) = 72 h.
    let wrong = (100.0 - 99.9) / (1.0 / 720.0);
    close(wrong, 72.0);
    // It has gone on for 6 hours, by which ours measures it: 714 are left of the 720.
    let ours =
        in_hours(forecast::rolling(target("0.999"), &hours(|hour| (hour >= 714).into()), HOUR_US, 6, 6 * HOUR_US));
    close(ours + 6.0, 720.0);
}

#[test]
fn a_forecast_knows_what_leaves_the_window() {
    // 390 bad ones in the first three hours of the window, and for two hours a burn rate of 3: 396 of 720 are spent.
    let buckets = hours(|hour| match hour {
        0..3 => 130,
        718.. => 3,
        _ => 0,
    });
    let spent = Tally::new(buckets.iter().map(|bucket| bucket.bad).sum(), 720_000);
    assert_eq!(spent.bad, 396);
    let remaining = Budget { tally: spent }.remaining(target("0.999")).expect("there were events");
    let wrong = remaining * 720.0 / 3.0;
    close(wrong, 108.0);
    // When the old incident has left, 6 are spent and 714 are not, of which 3 go in an hour.
    close(in_hours(forecast::rolling(target("0.999"), &buckets, HOUR_US, 2, 2 * HOUR_US)), 238.0);
}

#[test]
fn ratios_are_not_averaged() {
    // Eleven slices of five minutes at night with 10 good events each, and one by day with 10,000 that all failed.
    let slices: Vec<Tally> =
        (0..12).map(|slice| if slice == 11 { Tally::new(10_000, 10_000) } else { Tally::new(0, 10) }).collect();
    let wrong = slices.iter().map(|slice| slice.bad as f64 / slice.total as f64).sum::<f64>() / 12.0;
    close(wrong, 1.0 / 12.0);

    let mut evaluator = evaluator("0.9", vec![]);
    evaluator.advance(BEGIN.plus_us(12 * 300_000_000));
    for (number, slice) in slices.iter().enumerate() {
        evaluator.add(BEGIN.plus_us(number as i64 * 300_000_000), *slice);
    }
    evaluator.evaluate();
    let ours = evaluator.counted();
    assert_eq!(ours, Tally::new(10_000, 10_110));
    // 98.9% were bad. The average is below the 10% that are allowed.
    close(target("0.9").burn(ours).expect("there were events"), 10_000.0 / 1_011.0);
    close(wrong / 0.1, 10.0 / 12.0);
}

#[test]
fn no_data_is_not_a_hundred_percent() {
    let nothing = Tally::new(0, 0);
    let wrong = if nothing.total == 0 { 1.0 } else { 0.0 };
    close(wrong, 1.0);
    assert_eq!(target("0.999").burn(nothing), None);
    assert_eq!(target("0.999").burns_above(nothing, Fraction::new(1, 1)), None);
    assert_eq!(Budget { tally: nothing }.remaining(target("0.999")), None);
    assert_eq!(Budget { tally: nothing }.is_exhausted(target("0.999")), None);

    // An outage so total that no event arrives any more: the wrong one would call it over.
    let mut evaluator = evaluator("0.999", vec![fastest(1)]);
    clean_hour(&mut evaluator);
    let told: Vec<Transition> = (0..30).flat_map(|number| pane(&mut evaluator, number, Tally::new(100, 100))).collect();
    assert_eq!(told, [Transition::Fired]);
    for number in 30..2_000 {
        assert_eq!(pane(&mut evaluator, number, nothing), [], "at pane {number}");
    }
    assert!(evaluator.alert(0).is_firing());
}

#[test]
fn one_outage_is_one_alert() {
    // An hour is 360 evaluations. Who notifies whenever the condition holds does so 355 times.
    let mut evaluator = evaluator("0.999", vec![fastest(1)]);
    clean_hour(&mut evaluator);
    let (mut wrong, mut ours) = (0, Vec::new());
    for number in 0..360 {
        ours.extend(pane(&mut evaluator, number, Tally::new(100, 100)));
        wrong += u32::from(evaluator.alert(0).is_firing());
    }
    assert_eq!(wrong, 355);
    assert_eq!(ours, [Transition::Fired]);
}

#[test]
fn a_duration_is_waited_for() {
    // The condition holds from the sixth pane on. Who ignores that it must do so at 6 points fires there.
    let fired_at = |pending_points: u32, outage: i64| {
        let mut evaluator = evaluator("0.999", vec![fastest(pending_points)]);
        clean_hour(&mut evaluator);
        (0..360).find(|number| {
            let bad = if *number < outage { 100 } else { 0 };
            pane(&mut evaluator, *number, Tally::new(bad, 100)).contains(&Transition::Fired)
        })
    };
    let wrong = fired_at(1, 360);
    assert_eq!(wrong, Some(5));
    let ours = fired_at(6, 360);
    assert_eq!(ours, Some(10), "held at 5, 6, 7, 8, 9 and 10");
    // An outage of a minute stays in the short window for longer than that; 40 points are longer still.
    assert_eq!(fired_at(40, 6), None);
    assert_eq!(fired_at(1, 6), Some(5));
}
