//! What a promise means in numbers, as tables that can be checked by hand.
//!
//! In all of them panes are 10 s long, and objectives are looked at each 10 s of event time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use streamgauge_events::EventTime;
use streamgauge_slo::alert::{Condition, Rule, Severity, Transition};
use streamgauge_slo::burn::tiers_of;
use streamgauge_slo::calendar::{Calendar, Period, Unit};
use streamgauge_slo::evaluate::{Evaluator, Method, Objective};
use streamgauge_slo::significance::is_significant;
use streamgauge_slo::{Budget, Fraction, Tally, Target, Tier};

const SECOND_US: i64 = 1_000_000;
const PANE_US: i64 = 10 * SECOND_US;
const HOUR_US: i64 = 3_600 * SECOND_US;
const DAY_US: i64 = 24 * HOUR_US;
/// A full day begins here, and so does each shorter span.
const BEGIN: EventTime = EventTime(20_700 * DAY_US);

fn fraction(text: &str) -> Fraction {
    text.parse().expect("a decimal")
}

fn target(text: &str) -> Target {
    Target::new(fraction(text)).expect("it leaves a budget")
}

fn rule(condition: Condition, pending_points: u32) -> Rule {
    Rule { name: "rule".to_owned(), severity: Severity::Critical, condition, pending_points }
}

fn rolling(length_us: i64, target: Target, method: Method, rules: Vec<Rule>) -> Evaluator {
    Evaluator::new(Objective { target, method, period: Period::Rolling { length_us }, rules }, PANE_US)
}

fn is_close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

/// The burn rate is the share of bad ones over the share that is allowed; what remains is 1 less that burn rate.
#[test]
fn budgets_and_burn_rates() {
    for (promise, bad, total, burn, remaining) in [
        // One in a thousand is allowed.
        ("0.999", 0, 1_000, 0.0, 1.0),
        ("0.999", 1, 1_000, 1.0, 0.0),
        ("0.999", 1, 2_000, 0.5, 0.5),
        ("0.999", 2, 1_000, 2.0, -1.0),
        ("0.999", 1_000, 1_000, 1_000.0, -999.0),
        ("0.999", 9, 10_000, 0.9, 0.1),
        // One in a hundred.
        ("0.99", 0, 1, 0.0, 1.0),
        ("0.99", 1, 1, 100.0, -99.0),
        ("0.99", 1, 400, 0.25, 0.75),
        ("0.99", 144, 1_000, 14.4, -13.4),
        // One in twenty, one in ten, every other.
        ("0.95", 1, 100, 0.2, 0.8),
        ("0.95", 5, 100, 1.0, 0.0),
        ("0.9", 3, 60, 0.5, 0.5),
        ("0.5", 1, 4, 0.5, 0.5),
        ("0.5", 4, 4, 2.0, -1.0),
        // One in a hundred thousand: of a million, ten.
        ("0.99999", 1, 1_000_000, 0.1, 0.9),
        ("0.99999", 10, 1_000_000, 1.0, 0.0),
    ] {
        let (tally, row) = (Tally::new(bad, total), format!("{bad} bad of {total} at {promise}"));
        let target = target(promise);
        let found = (target.burn(tally).expect("some"), Budget { tally }.remaining(target).expect("some"));
        assert!(is_close(found.0, burn), "{row}: the burn rate is {}, not {burn}", found.0);
        assert!(is_close(found.1, remaining), "{row}: {} remain, not {remaining}", found.1);
        assert_eq!(Budget { tally }.is_exhausted(target), Some(remaining <= 0.0), "{row}");
    }
}

/// Exactly at a limit is not beyond it, however the decimal looks as a float.
#[test]
fn limits_are_exact() {
    for (promise, factor, bad, total, is_above) in [
        ("0.999", "14.4", 144, 10_000, false),
        ("0.999", "14.4", 145, 10_000, true),
        ("0.999", "1", 1, 1_000, false),
        ("0.999", "1", 1, 999, true),
        ("0.9", "3", 3, 10, false),
        ("0.9", "3", 4, 10, true),
        // More than all can't be bad.
        ("0.9", "14.4", 10, 10, false),
        ("0.9", "10", 10, 10, false),
    ] {
        let found = target(promise).burns_above(Tally::new(bad, total), fraction(factor));
        assert_eq!(found, Some(is_above), "{bad} bad of {total} at {promise} above {factor}");
    }
    for (promise, share, bad, total, is_less) in [
        // Nine of ten allowed ones are spent: exactly 10% remain.
        ("0.999", "0.1", 9, 10_000, false),
        ("0.999", "0.1", 10, 10_000, true),
        ("0.9", "0.5", 5, 100, false),
        ("0.9", "0.5", 6, 100, true),
    ] {
        let found = Budget { tally: Tally::new(bad, total) }.remains_less_than(target(promise), fraction(share));
        assert_eq!(found, Some(is_less), "{bad} bad of {total} at {promise} below {share}");
    }
}

/// So many bad ones must not be chance: at least three, and fewer than once in a hundred times that many among so many, if
/// each is bad with the probability that the limit stands for.
#[test]
fn few_events_do_not_page() {
    for (promise, factor, bad, total, pages) in [
        // p = 0.2: all three in 0.8% of all cases. At 0.25 it is 1.6%.
        ("0.9", "2", 3, 3, true),
        ("0.75", "1", 3, 3, false),
        // p = 0.1: three or four of four in 0.37%. At 0.15, 1.2%.
        ("0.9", "1", 3, 4, true),
        ("0.9", "1.5", 3, 4, false),
        // One or two are never enough.
        ("0.999", "1", 1, 1, false),
        ("0.999", "14.4", 2, 2, false),
        ("0.99999", "1", 2, 10, false),
        // p = 0.01: three of a hundred in 7.9%, six in 0.05%.
        ("0.99", "1", 3, 100, false),
        ("0.99", "1", 6, 100, true),
        // Of a million no chance is left.
        ("0.99", "1", 10_001, 1_000_000, true),
        // And below a million it is: 51% of all cases.
        ("0.5", "1", 500_000, 999_999, false),
    ] {
        let found = is_significant(Tally::new(bad, total), target(promise), fraction(factor));
        assert_eq!(found, pages, "{bad} bad of {total} at {promise}, factor {factor}");
    }
}

/// All was well for as long as the window is, then some share of ten thousand events in each pane is bad until it is seen,
/// and for as long again as the short window is. The alert fires f b L / e after the beginning, rounded up to the grid, and resolves
/// S (1 - f b / e) after the end.
#[test]
fn step_outages() {
    let days = |days: i64| days * DAY_US;
    for (promise, period_us, tier, percent_bad, detected_s, resolved_s) in [
        // A total outage: 51.84 s, 129.6 s and twice 259.2 s.
        ("0.999", days(30), 0, 100, Some(60), Some(300)),
        ("0.999", days(30), 1, 100, Some(130), Some(1_790)),
        ("0.999", days(30), 2, 100, Some(260), Some(7_180)),
        // A window of 6 hours begins at a minute, and is up to 50 s longer in between. The outage lasted 21,860 s, and 21,580 s
        // later a minute is full; had it lasted 20 s less, this would be told at 21,600 s.
        ("0.999", days(30), 3, 100, Some(260), Some(21_580)),
        // Half of all: 103.68 s, 259.2 s, twice 518.4 s.
        ("0.999", days(30), 0, 50, Some(110), Some(300)),
        ("0.999", days(30), 1, 50, Some(260), Some(1_780)),
        ("0.999", days(30), 2, 50, Some(520), Some(7_160)),
        // A tenth: 518.4 s, 1,296 s, 2,592 s.
        ("0.999", days(30), 0, 10, Some(520), Some(260)),
        ("0.999", days(30), 1, 10, Some(1_300), Some(1_700)),
        ("0.999", days(30), 2, 10, Some(2_600), Some(6_990)),
        // A fiftieth: 2,592 s. Reset after 300 (1 - 0.0144 / 0.02) = 84 s.
        ("0.999", days(30), 0, 2, Some(2_600), Some(90)),
        // A hundredth burns the budget tenfold: below 14.4, above 6.
        ("0.999", days(30), 0, 1, None, None),
        // Of two nines a total outage is 100 times what is allowed: 518.4 s, 1,296 s.
        ("0.99", days(30), 0, 100, Some(520), Some(260)),
        ("0.99", days(30), 1, 100, Some(1_300), Some(1_700)),
        // Of one nine it is 10 times: the fastest tier can never fire, the second after 3.6 h.
        ("0.9", days(30), 0, 100, None, None),
        ("0.9", days(30), 1, 100, Some(12_970), Some(720)),
        // A week: 13.44 of an hour are 48.384 s, 3.5 of six hours 75.6 s, 1.4 of a day 120.96 s.
        ("0.999", days(7), 0, 100, Some(50), Some(300)),
        ("0.999", days(7), 1, 100, Some(80), Some(1_800)),
        ("0.999", days(7), 2, 100, Some(130), Some(7_190)),
        // Four weeks: 48.384 s, 120.96 s.
        ("0.999", days(28), 0, 100, Some(50), Some(300)),
        ("0.999", days(28), 1, 100, Some(130), Some(1_790)),
        // A quarter: 14.4 of three hours are 155.52 s.
        ("0.999", days(90), 0, 100, Some(160), Some(890)),
        // A day has its windows in proportion: 14.4 of 2 minutes are 1.728 s, so the first pane tells.
        ("0.999", days(1), 0, 100, Some(10), Some(10)),
    ] {
        let tier = tiers_of(period_us, PANE_US)[tier];
        let row = format!("{percent_bad}% bad at {promise}, {}", describe(&tier));
        let (detected, resolved) = step_outage(target(promise), period_us, tier, percent_bad * 100, 10_000);
        assert_eq!((detected, resolved), (detected_s, resolved_s), "{row}");
        // The formulas say the same, but for the grid and the bucket by which the window moves.
        let (allowed, worst) = (target(promise).allowed().to_f64(), percent_bad as f64 / 100.0);
        let share = tier.factor.to_f64() * allowed / worst;
        if let (Some(detected), Some(resolved)) = (detected, resolved) {
            let moment = share * tier.long_us as f64 / 1e6;
            assert!(detected as f64 > moment && detected as f64 <= moment + 10.0 + 60.0 * share, "{row}");
            let bound = (tier.short_us as f64 / 1e6 * (1.0 - share)).max(0.0);
            let bucket = if tier.short_us >= 6 * HOUR_US { 60.0 } else { 10.0 };
            assert!(resolved as f64 >= bound && resolved as f64 <= bound + bucket, "{row}");
        } else {
            assert!(share >= 1.0, "{row}");
        }
    }
}

/// The same tenth, with fewer events. 518.4 s are the moment at which the limit is met; it must also be beyond chance.
#[test]
fn the_fewer_events_the_later_it_is_sure() {
    for (events, detected_s) in [
        // A million an hour and more are beyond chance.
        (10_000, 520),
        // 1.44% of 360,000 are 5,184, give or take 71. Chance is ruled out from 5,352 on: 54 panes have 5,400.
        (1_000, 540),
        // 518, give or take 22.6: 573 are enough, and 58 panes have 580.
        (100, 580),
        // 51.8, give or take 7.1: 70 are enough, and as many panes have them.
        (10, 700),
    ] {
        let tier = tiers_of(30 * DAY_US, PANE_US)[0];
        let (detected, _) = step_outage(target("0.999"), 30 * DAY_US, tier, events / 10, events);
        assert_eq!(detected, Some(detected_s), "{events} events in 10 s");
    }
}

fn describe(tier: &Tier) -> String {
    format!("{} s / {} s above {}", tier.long_us / SECOND_US, tier.short_us / SECOND_US, tier.factor)
}

/// Seconds from the beginning to the alert, and from the end to its resolution.
fn step_outage(target: Target, period_us: i64, tier: Tier, bad: i128, total: i128) -> (Option<i64>, Option<i64>) {
    let rules = vec![rule(Condition::Burn(tier), 1)];
    let mut evaluator = rolling(period_us, target, Method::Occurrences, rules);
    evaluator.advance(BEGIN);
    for pane in 1..=tier.long_us / PANE_US + 360 {
        evaluator.add(BEGIN.minus_us(pane * PANE_US), Tally::new(0, total));
    }
    assert_eq!(evaluator.evaluate(), []);
    let mut now = BEGIN;
    let mut pane = |evaluator: &mut Evaluator, bad: i128| {
        let start = now;
        now = now.plus_us(PANE_US);
        evaluator.advance(now);
        evaluator.add(start, Tally::new(bad, total));
        let told = evaluator.evaluate();
        (now.0 - BEGIN.0, told.first().map(|(_, transition)| *transition))
    };
    let (mut detected, mut end) = (None, 0);
    let mut until = 12 * HOUR_US;
    while end < until {
        let (after, told) = pane(&mut evaluator, bad);
        end = after;
        if told == Some(Transition::Fired) {
            detected = Some(after / SECOND_US);
            until = after + tier.short_us;
        }
    }
    if detected.is_none() {
        return (None, None);
    }
    let resolved = (0..8_640).find_map(|_| match pane(&mut evaluator, 0) {
        (after, Some(Transition::Resolved)) => Some((after - end) / SECOND_US),
        _ => None,
    });
    (detected, resolved)
}

/// Minutes of an hour, each with its good events of all; `-` is a minute without any. 90% of the minutes are to be good, so 6
/// of 60 may be bad. A minute is good if 95% of its events are.
#[test]
fn minutes_that_are_good_or_bad() {
    for (minutes, bad, total, remaining) in [
        ("100/100", 0, 1, 1.0),
        ("95/100", 0, 1, 1.0),
        ("94/100", 1, 1, 5.0 / 6.0),
        ("0/1", 1, 1, 5.0 / 6.0),
        ("19/20", 0, 1, 1.0),
        ("18/20", 1, 1, 5.0 / 6.0),
        // A busy minute is one minute.
        ("0/1000000 1/1 1/1", 1, 3, 5.0 / 6.0),
        // A minute without events is neither.
        ("0/1 - - 1/1", 1, 2, 5.0 / 6.0),
        ("0/1 0/1 0/1", 3, 3, 0.5),
        ("0/1 0/1 0/1 0/1 0/1 0/1", 6, 6, 0.0),
        ("0/1 0/1 0/1 0/1 0/1 0/1 0/1 - 9/9", 7, 8, -1.0 / 6.0),
    ] {
        let method = Method::Timeslices { target: fraction("0.95"), width_us: 60 * SECOND_US };
        let evaluator = of_minutes(minutes, method, 0);
        assert_eq!(evaluator.counted(), Tally::new(bad, total), "{minutes}");
        let found = evaluator.budget().remaining(target("0.9")).expect("60 minutes");
        assert!(is_close(found, remaining), "{minutes}: {found} remain, not {remaining}");
    }
}

/// Each minute counts by its share of bad events, in millionths of millionths; one that has no events is none.
#[test]
fn minutes_by_their_share_of_bad_events() {
    for (minutes, bad, count, remaining) in [
        ("1/1", 0, 1, 1.0),
        ("0/7", 1_000_000_000_000, 1, -9.0),
        ("1/2", 500_000_000_000, 1, -4.0),
        // A third and two thirds, to the nearest.
        ("2/3", 333_333_333_333, 1, -2.333_333_333_33),
        ("1/3", 666_666_666_667, 1, -5.666_666_666_67),
        // Busy minutes weigh no more than others.
        ("900000/1000000 1/1", 100_000_000_000, 2, 0.5),
        ("9/10 - - 1/1", 100_000_000_000, 2, 0.5),
        ("95/100 85/100", 200_000_000_000, 2, 0.0),
    ] {
        let evaluator = of_minutes(minutes, Method::RatioTimeslices { width_us: 60 * SECOND_US }, 0);
        assert_eq!(evaluator.counted(), Tally::new(bad, count * 1_000_000_000_000), "{minutes}");
        let found = evaluator.budget().remaining(target("0.9")).expect("some");
        assert!(is_close(found, remaining), "{minutes}: {found} remain, not {remaining}");
    }
}

/// A minute counts when it is over, and what comes late judges it anew.
#[test]
fn minutes_end_and_may_be_judged_anew() {
    let method = Method::Timeslices { target: fraction("0.5"), width_us: 60 * SECOND_US };
    for (seconds_short, bad, total) in [(0, 1, 2), (10, 0, 1), (50, 0, 1), (60, 0, 1), (70, 0, 0)] {
        let evaluator = of_minutes("1/1 0/1", method, seconds_short);
        assert_eq!(evaluator.counted(), Tally::new(bad, total), "{seconds_short} s before the end");
    }
    for (late_bad, late_total, bad) in [(0, 0, 1), (0, 1, 0), (0, 100, 0), (1, 1, 1), (-1, 0, 0)] {
        let mut evaluator = of_minutes("0/1", method, 0);
        assert_eq!(evaluator.counted(), Tally::new(1, 1));
        evaluator.advance(BEGIN.plus_us(120 * SECOND_US));
        evaluator.add(BEGIN.plus_us(50 * SECOND_US), Tally::new(late_bad, late_total));
        evaluator.evaluate();
        assert_eq!(evaluator.counted(), Tally::new(bad, 1), "{late_bad} of {late_total} late");
    }
}

/// 90% of an hour, at the end of the minutes or some seconds before. Panes that have not ended then hold nothing.
fn of_minutes(minutes: &str, method: Method, seconds_short: i64) -> Evaluator {
    let minutes: Vec<&str> = minutes.split(' ').collect();
    let now = BEGIN.plus_us((minutes.len() as i64 * 60 - seconds_short) * SECOND_US);
    let mut evaluator = rolling(HOUR_US, target("0.9"), method, vec![]);
    evaluator.advance(now);
    for (number, minute) in minutes.into_iter().enumerate() {
        let start = BEGIN.plus_us(number as i64 * 60 * SECOND_US);
        if let Some((good, total)) = minute.split_once('/')
            && start.plus_us(PANE_US) <= now
        {
            let (good, total): (i128, i128) = (good.parse().expect("a count"), total.parse().expect("a count"));
            evaluator.add(start, Tally::new(total - good, total));
        }
    }
    evaluator.evaluate();
    evaluator
}

/// Each quarter of an hour has one event, in its first pane; so what counts tells how long the span has lasted. The budget is
/// one of quarters, so what it allows tells how long the span is.
#[test]
fn spans_of_a_calendar() {
    use Unit::{Days, Months, Weeks};
    for (count, unit, anchor, zone, now, quarters_so_far, hours_long) in [
        (1, Days, "2026-01-01", "UTC", "2026-05-05T12:00:00Z", 48, 24.0),
        (1, Days, "2026-01-01", "UTC", "2026-05-05T23:45:00Z", 95, 24.0),
        // What ends at midnight belongs to the day that ends.
        (1, Days, "2026-01-01", "UTC", "2026-05-06T00:00:00Z", 96, 24.0),
        (1, Days, "2026-01-01", "UTC", "2026-05-06T00:00:10Z", 0, 24.0),
        (1, Days, "2026-01-01", "UTC", "2026-05-06T00:15:00Z", 1, 24.0),
        // Days on which clocks are set forward and back.
        (1, Days, "2026-01-01", "Europe/Berlin", "2026-03-29T22:00:00Z", 92, 23.0),
        (1, Days, "2026-01-01", "Europe/Berlin", "2026-10-25T23:00:00Z", 100, 25.0),
        (1, Days, "2026-01-01", "Australia/Lord_Howe", "2026-04-05T13:30:00Z", 98, 24.5),
        (1, Days, "2025-01-01", "Australia/Lord_Howe", "2025-10-05T13:00:00Z", 94, 23.5),
        // In Havana that day begins at one o'clock.
        (1, Days, "2025-01-01", "America/Havana", "2025-03-09T06:00:00Z", 4, 23.0),
        // Kathmandu is 5:45 ahead, so its days begin at 18:15.
        (1, Days, "2026-01-01", "Asia/Kathmandu", "2026-05-05T18:30:00Z", 1, 24.0),
        // Samoa had no 30th: the 31st follows the 29th.
        (1, Days, "2011-01-01", "Pacific/Apia", "2011-12-30T11:00:00Z", 4, 24.0),
        // A Monday's week, and the one in which summer time begins.
        (1, Weeks, "2026-01-05", "UTC", "2026-05-06T00:00:00Z", 192, 168.0),
        (1, Weeks, "2026-01-05", "Europe/Berlin", "2026-03-29T22:00:00Z", 668, 167.0),
        (2, Weeks, "2026-01-05", "UTC", "2026-01-12T00:15:00Z", 673, 336.0),
        (1, Months, "2026-01-01", "UTC", "2026-02-02T00:00:00Z", 96, 672.0),
        (1, Months, "2024-01-01", "UTC", "2024-02-02T00:00:00Z", 96, 696.0),
        (3, Months, "2026-01-01", "UTC", "2026-04-01T00:00:00Z", 8_640, 2_160.0),
        // From the 31st: a month that has none begins at its last day.
        (1, Months, "2026-01-31", "UTC", "2026-02-28T06:00:00Z", 24, 744.0),
    ] {
        let row = format!("{count} {unit:?} from {anchor} in {zone} at {now}");
        let now: Timestamp = now.parse().expect("a time");
        let now = EventTime(now.as_microsecond());
        let anchor = anchor.parse().expect("a date");
        let calendar = Calendar::new(unit, count, anchor, TimeZone::get(zone).expect("a zone")).expect("some units");
        let (quarter_us, half) = (900 * SECOND_US, target("0.5"));
        let method = Method::Timeslices { target: half.share(), width_us: quarter_us };
        let objective = Objective { target: half, method, period: Period::Calendar(calendar), rules: vec![] };
        let mut evaluator = Evaluator::new(objective, PANE_US);
        evaluator.advance(now);
        let last = now.floor(quarter_us);
        for number in 1..10_000 {
            evaluator.add(last.minus_us(number * quarter_us), Tally::new(1, 1));
        }
        evaluator.evaluate();
        assert_eq!(evaluator.counted(), Tally::new(quarters_so_far, quarters_so_far), "{row}");
        let all = (hours_long * 4.0) as i128;
        assert_eq!(evaluator.budget().tally, Tally::new(quarters_so_far, all), "{row}");
    }
}

/// Panes of 10 s: `#` all of a hundred events are good, `x` all are bad, `.` there are none. What is told, at which second.
#[test]
fn alarms_over_time() {
    let silence = || Condition::Absence { silent_us: 60 * SECOND_US, within_us: DAY_US };
    let burn = || {
        let (long_us, short_us) = (120 * SECOND_US, 20 * SECOND_US);
        Condition::Burn(Tier { long_us, short_us, factor: fraction("2"), severity: Severity::Critical })
    };
    let remaining =
        |share: &str, clears_at: &str| Condition::Remaining { share: fraction(share), clears_at: fraction(clears_at) };
    for (condition, pending_points, panes, told) in [
        // A minute without events, of a service that had some today.
        (silence(), 1, "##.......", "fired 80"),
        (silence(), 1, "##.....##", ""),
        (silence(), 1, "##.......#..", "fired 80, resolved 100"),
        (silence(), 1, "...........", ""),
        (silence(), 3, "#.........", "pending 70, fired 90"),
        (silence(), 3, "#.......#.", "pending 70, dropped 90"),
        // 90% are promised: 2 is a fifth of a long window of 12 panes, and of a short one of 2.
        // One in six is no fifth; at the third bad pane a quarter of the long window is bad.
        (burn(), 1, "############xx", ""),
        (burn(), 1, "############xxx#", "fired 150"),
        (burn(), 1, "############xxx##", "fired 150, resolved 170"),
        (burn(), 2, "############xxx##", "pending 150, fired 160, resolved 170"),
        (burn(), 3, "############xxx##", "pending 150, dropped 170"),
        (burn(), 2, "############xxxx##", "pending 150, fired 160, resolved 180"),
        // When nothing comes any more nothing is known, and so nothing changes.
        (burn(), 1, "############xxx.....", "fired 150"),
        (burn(), 3, "############xxx..........", "pending 150"),
        (burn(), 3, "############xxx....x", "pending 150, fired 200"),
        (burn(), 3, "############xxx....##", "pending 150, dropped 200"),
        // Of what is allowed, which is a tenth, less than half remains once more than one in twenty are bad.
        (remaining("0.5", "0.5"), 1, "##########x", "fired 110"),
        (remaining("0.5", "0.5"), 1, "####################x", ""),
        // It clears at 60%: one in 25.
        (remaining("0.5", "0.6"), 1, "##########x##############", "fired 110, resolved 250"),
        (remaining("0", "0"), 1, "#########x", "fired 100"),
        (remaining("0", "0.05"), 1, "#########x#", "fired 100, resolved 110"),
        (remaining("0", "0.05"), 1, "x.........", "fired 10"),
    ] {
        let mut evaluator =
            rolling(DAY_US, target("0.9"), Method::Occurrences, vec![rule(condition.clone(), pending_points)]);
        let found: Vec<String> = panes
            .chars()
            .enumerate()
            .filter_map(|(number, what)| {
                let start = BEGIN.plus_us(number as i64 * PANE_US);
                evaluator.advance(start.plus_us(PANE_US));
                match what {
                    '#' => evaluator.add(start, Tally::new(0, 100)),
                    'x' => evaluator.add(start, Tally::new(100, 100)),
                    _ => {}
                }
                let told = evaluator.evaluate();
                told.first().map(|(_, transition)| format!("{} {}", transition.as_str(), (number + 1) * 10))
            })
            .collect();
        assert_eq!(found.join(", "), told, "{panes} with {condition:?}, pending {pending_points}");
    }
}

/// An absence is one of events. Counted by minutes that have ended, each service would be silent for nearly a minute in each.
#[test]
fn slices_do_not_make_a_service_silent() {
    let method = Method::Timeslices { target: fraction("0.5"), width_us: 300 * SECOND_US };
    let condition = Condition::Absence { silent_us: 60 * SECOND_US, within_us: DAY_US };
    let mut evaluator = rolling(DAY_US, target("0.9"), method, vec![rule(condition, 1)]);
    for number in 0..60 {
        let start = BEGIN.plus_us(number * PANE_US);
        evaluator.advance(start.plus_us(PANE_US));
        evaluator.add(start, Tally::new(0, 100));
        assert_eq!(evaluator.evaluate(), [], "after {} s", (number + 1) * 10);
    }
}

/// A rule may look further back than the period. A slice that has left the period is still one slice, when more of it comes.
#[test]
fn late_events_do_not_double_a_slice_that_left_the_period() {
    let method = Method::Timeslices { target: fraction("0.5"), width_us: 60 * SECOND_US };
    let tier =
        Tier { long_us: 3 * HOUR_US, short_us: 3 * HOUR_US, factor: fraction("1"), severity: Severity::Critical };
    let mut evaluator = rolling(HOUR_US, target("0.9"), method, vec![rule(Condition::Burn(tier), 1)]);
    evaluator.advance(BEGIN.plus_us(60 * SECOND_US));
    evaluator.add(BEGIN, Tally::new(1, 1));
    evaluator.evaluate();
    evaluator.advance(BEGIN.plus_us(2 * HOUR_US));
    evaluator.evaluate();
    evaluator.advance(BEGIN.plus_us(2 * HOUR_US + PANE_US));
    evaluator.add(BEGIN, Tally::new(1, 1));
    evaluator.evaluate();
    assert_eq!(evaluator.windows(0), Some((Tally::new(1, 1), Tally::new(1, 1))));
}

/// A window of an hour of which only a part has been seen: the rest is as busy as what was seen while anything came. 100 events
/// a pane for ten panes, then silence.
#[test]
fn what_is_not_known_of_a_period_is_taken_to_be_as_busy() {
    let objective = Objective {
        target: Target::new("0.99".parse().expect("a decimal")).expect("it leaves a budget"),
        method: Method::Occurrences,
        period: Period::Rolling { length_us: 360 * PANE_US },
        rules: Vec::new(),
    };
    let mut evaluator = Evaluator::new(objective, PANE_US).projected();
    let start = 720_000;
    // (panes since the first, events that the whole hour will have had).
    let expected =
        [(1, 36_000), (10, 36_000), (100, 27_000), (180, 19_000), (350, 2_000), (360, 1_000), (365, 500), (371, 0)];
    let mut found = Vec::new();
    for point in 1..=371 {
        evaluator.advance(EventTime((start + point) * PANE_US));
        if point <= 10 {
            evaluator.add(EventTime((start + point - 1) * PANE_US), Tally::new(0, 100));
        }
        evaluator.evaluate();
        if expected.iter().any(|(at, _)| *at == point) {
            found.push((point, evaluator.budget().tally.total));
        }
    }
    assert_eq!(found, expected);
}
