//! A thousand random histories, as `tests/oracle/histories.py` sees them: fractions and lists, in another language.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};

use flate2::read::GzDecoder;
use jiff::tz::TimeZone;
use serde_json::Value;
use streamgauge_events::EventTime;
use streamgauge_slo::alert::{Condition, Rule, Severity};
use streamgauge_slo::calendar::{Calendar, Period, Unit};
use streamgauge_slo::evaluate::{Evaluator, Method, Objective};
use streamgauge_slo::saved::{self, Part, SavedHead};
use streamgauge_slo::{Forecast, Fraction, Tally, Target, Tier};

const HISTORIES: &[u8] = include_bytes!("oracle/histories.jsonl.gz");
const PANE_US: i64 = 10_000_000;

/// Differences that are told before the rest is only counted.
const TOLD: usize = 20;

#[test]
fn histories_are_those_of_the_oracle() {
    let seen = replay_all(&mut |_, evaluator| evaluator);
    let shown: Vec<&str> = seen.differences.iter().take(TOLD).map(String::as_str).collect();
    assert!(shown.is_empty(), "{} differences, the first of them:\n{}", seen.differences.len(), shown.join("\n"));
    // A file that was cut or histories in which nothing happens would agree with everything.
    let least = |what: &str, count: usize, least: usize| assert!(count >= least, "only {count} {what}");
    least("histories", seen.histories, 1_000);
    least("transitions", seen.transitions, 5_000);
    least("checks", seen.checks, 15_000);
    least("forecasts with a time", seen.times, 2_000);
}

/// At every third grid point what was kept is all that is left.
#[test]
fn restarts_change_nothing() {
    let mut kept = Kept::default();
    let seen = replay_all(&mut |number, mut evaluator| {
        if number == 0 {
            kept = Kept::default();
        }
        kept.keep(&mut evaluator);
        if number % 3 == 0 { kept.restored(&evaluator) } else { evaluator }
    });
    let shown: Vec<&str> = seen.differences.iter().take(TOLD).map(String::as_str).collect();
    assert!(shown.is_empty(), "{} differences, the first of them:\n{}", seen.differences.len(), shown.join("\n"));
}

/// Texts, as a changelog holds them.
#[derive(Default)]
struct Kept {
    head: String,
    chunks: BTreeMap<(String, i64), String>,
}

impl Kept {
    fn keep(&mut self, evaluator: &mut Evaluator) {
        self.head = serde_json::to_string(&evaluator.save_head()).expect("integers and texts");
        evaluator.take_changed(&mut |part, chunk, tallies| {
            let key = (part.to_string(), chunk);
            if tallies.is_empty() {
                self.chunks.remove(&key);
            } else {
                self.chunks.insert(key, saved::encode(tallies));
            }
        });
    }

    fn restored(&self, evaluator: &Evaluator) -> Evaluator {
        let mut restored = Evaluator::new(evaluator.objective().clone(), PANE_US);
        let head: SavedHead = serde_json::from_str(&self.head).expect("what was kept");
        assert!(restored.restore_head(&head));
        for ((part, chunk), text) in &self.chunks {
            let part: Part = part.parse().expect("what was kept");
            assert!(restored.restore_chunk(part, *chunk, &saved::decode(text).expect("what was kept")));
        }
        restored
    }
}

/// `after`: what becomes of an evaluator at the end of each grid point.
fn replay_all(after: &mut dyn FnMut(usize, Evaluator) -> Evaluator) -> Seen {
    let mut seen = Seen::default();
    for line in BufReader::new(GzDecoder::new(HISTORIES)).lines() {
        let history: Value =
            serde_json::from_str(&line.expect("what the script packed")).expect("what the script wrote");
        replay(&history, &mut seen, after);
    }
    seen
}

#[derive(Default)]
struct Seen {
    histories: usize,
    transitions: usize,
    checks: usize,
    times: usize,
    differences: Vec<String>,
}

/// Stops at the first grid point that differs, since what follows from it says nothing new.
fn replay(history: &Value, seen: &mut Seen, after: &mut dyn FnMut(usize, Evaluator) -> Evaluator) {
    let objective = objective(history);
    let names: Vec<String> = objective.rules.iter().map(|rule| rule.name.clone()).collect();
    let mut evaluator = Evaluator::new(objective, PANE_US);
    let mut transitions = list(&history["transitions"]).iter().peekable();
    let mut checks = list(&history["checks"]).iter().peekable();
    seen.histories += 1;
    for (number, point) in list(&history["points"]).iter().enumerate() {
        let now = EventTime(integer(&point[0]) * PANE_US);
        evaluator.advance(now);
        for change in list(&point[1]) {
            let pane = now.minus_us(integer(&change[0]) * PANE_US);
            evaluator.add(pane, Tally::new(integer(&change[1]).into(), integer(&change[2]).into()));
        }
        let told: Vec<String> = evaluator
            .evaluate()
            .into_iter()
            .map(|(rule, transition)| format!("{} {}", names[rule], transition.as_str()))
            .collect();
        let mut expected = Vec::new();
        while let Some(transition) = transitions.next_if(|transition| integer(&transition[0]) == number as i64) {
            expected.push(format!("{} {}", names[integer(&transition[1]) as usize], text(&transition[2])));
        }
        seen.transitions += expected.len();
        let mut differences = Vec::new();
        if let Some(check) = checks.next_if(|check| integer(&check[0]) == number as i64) {
            seen.checks += 1;
            seen.times += usize::from(check[5].is_f64());
            compare(&evaluator, check, &names, &mut differences);
        }
        if told != expected {
            differences.push(format!("told {told:?}, expected {expected:?}"));
        }
        if !differences.is_empty() {
            let place = format!("seed {} point {number} at {}", history["seed"], now.0 / 1_000_000);
            seen.differences.extend(differences.into_iter().map(|difference| format!("{place}: {difference}")));
            return;
        }
        evaluator = after(number, evaluator);
    }
    assert!(transitions.next().is_none() && checks.next().is_none(), "each belongs to a point");
}

fn compare(evaluator: &Evaluator, check: &Value, names: &[String], differences: &mut Vec<String>) {
    let standing = evaluator.standing();
    let mut compare = |what: &str, found: String, expected: String| {
        if found != expected {
            differences.push(format!("{what} is {found}, expected {expected}"));
        }
    };
    let expected = [&check[1], &check[2]].map(wide);
    compare("the period's", format!("{:?}", pair(standing.counted)), format!("{expected:?}"));
    if !is_close(standing.remaining, check[3].as_f64()) {
        compare("remaining", format!("{:?}", standing.remaining), format!("{:?}", check[3].as_f64()));
    }
    for (rule, name) in names.iter().enumerate() {
        let found = evaluator.windows(rule).map(|(long, short)| [pair(long), pair(short)].concat());
        let expected = check[4][rule].as_array().map(|counts| counts.iter().map(wide).collect::<Vec<_>>());
        compare(&format!("long and short of {name}"), format!("{found:?}"), format!("{expected:?}"));
    }
    let is_same = match standing.forecast {
        Forecast::Unknown => check[5].is_null(),
        Forecast::ExhaustedNow => check[5] == "now",
        Forecast::NotAtThisRate => check[5] == "never",
        Forecast::ExhaustedIn(seconds) => check[5].is_f64() && is_close(Some(seconds), check[5].as_f64()),
    };
    if !is_same {
        compare("forecast", format!("{:?}", standing.forecast), check[5].to_string());
    }
}

/// Within 1e-9 of each other, relative to the larger one.
fn is_close(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9 * found.abs().max(expected.abs()),
        (found, expected) => found == expected,
    }
}

fn pair(tally: Tally) -> [i128; 2] {
    [tally.bad, tally.total]
}

fn objective(history: &Value) -> Objective {
    let target = Target::new(fraction(&history["target"])).expect("it leaves a budget");
    let method = &history["method"];
    let width_us = || integer(&method["width"]) * 1_000_000;
    let method = match text(&method["kind"]) {
        "occurrences" => Method::Occurrences,
        "timeslices" => Method::Timeslices { target: fraction(&method["target"]), width_us: width_us() },
        "ratio_timeslices" => Method::RatioTimeslices { width_us: width_us() },
        other => panic!("no method {other}"),
    };
    let period = &history["period"];
    let period = match text(&period["kind"]) {
        "rolling" => Period::Rolling { length_us: integer(&period["length"]) * 1_000_000 },
        _ => Period::Calendar(calendar(period)),
    };
    let rules = list(&history["rules"]).iter().enumerate().map(|(number, rule)| rule_of(number, rule)).collect();
    Objective { target, method, period, rules }
}

fn calendar(period: &Value) -> Calendar {
    let unit = match text(&period["unit"]) {
        "days" => Unit::Days,
        "weeks" => Unit::Weeks,
        "months" => Unit::Months,
        other => panic!("no unit {other}"),
    };
    let anchor = text(&period["anchor"]).parse().expect("a date");
    let zone = TimeZone::get(text(&period["zone"])).expect("a zone");
    Calendar::new(unit, integer(&period["count"]) as i32, anchor, zone).expect("some units")
}

fn rule_of(number: usize, rule: &Value) -> Rule {
    let us = |name: &str| integer(&rule[name]) * 1_000_000;
    let severity = Severity::Warning;
    let (what, condition) = match text(&rule["kind"]) {
        "burn" => {
            let (long_us, short_us, factor) = (us("long"), us("short"), fraction(&rule["factor"]));
            let name = format!("burn {}s/{}s {factor}", rule["long"], rule["short"]);
            (name, Condition::Burn(Tier { long_us, short_us, factor, severity }))
        }
        "remaining" => {
            let (share, clears_at) = (fraction(&rule["share"]), fraction(&rule["clears_at"]));
            (format!("remaining {share}, clears at {clears_at}"), Condition::Remaining { share, clears_at })
        }
        "absence" => {
            let (silent_us, within_us) = (us("silent"), us("within"));
            let name = format!("absence {}s within {}s", rule["silent"], rule["within"]);
            (name, Condition::Absence { silent_us, within_us })
        }
        other => panic!("no rule {other}"),
    };
    let pending_points = integer(&rule["pending_points"]) as u32;
    Rule { name: format!("rule {number} ({what}, pending {pending_points})"), severity, condition, pending_points }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn integer(value: &Value) -> i64 {
    value.as_i64().expect("an integer")
}

fn wide(value: &Value) -> i128 {
    value.as_number().and_then(serde_json::Number::as_i128).expect("an integer")
}

fn fraction(value: &Value) -> Fraction {
    text(value).parse().expect("a decimal")
}
