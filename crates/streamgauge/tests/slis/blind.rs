//! What commands say of objectives whose alarms are not the usual ones.

use serde_json::Value;

use crate::program::{Files, documents};
use crate::slos::{counted, slos, traffic};

/// An hour and a quarter of calm.
const CALM: [(usize, i64, i64); 1] = [(75, 60, 0)];

/// The exit code, and the state.
fn status(files: &Files) -> String {
    let text = files.run("status --json --input out", "");
    let (code, out) = text.split_once('\n').expect("the code stands in the first line");
    let found: Option<Value> = out.lines().next().and_then(|line| serde_json::from_str(line).ok());
    format!(
        "{code} {}",
        found.map_or_else(|| "-".to_owned(), |found| found["state"].as_str().unwrap_or("?").to_owned())
    )
}

fn counted_with(definitions: &str, events: &str) -> Files {
    let files = Files::new(&[("slos.yaml", definitions), ("events.jsonl", events)]);
    let backfill = "backfill --quiet --event request --input events.jsonl --definitions slos.yaml --out out";
    assert_eq!(files.run(backfill, ""), "0\n");
    files
}

/// Takes one batch near the end out.
fn with_a_hole(files: &Files) {
    let facts = std::fs::read_to_string(files.path("out/sli.windows.jsonl")).expect("counted");
    let batch = |line: &str| serde_json::from_str::<Value>(line).expect("a fact")["batch"].clone();
    let gone = batch(facts.lines().nth(facts.lines().count() - 10).expect("there are more"));
    let rest: String = facts.lines().filter(|line| batch(line) != gone).map(|line| format!("{line}\n")).collect();
    std::fs::write(files.path("out/sli.windows.jsonl"), rest).expect("a temporary file");
}

/// With an alarm of one's own in place of the usual ones; `""`: none.
fn alarmed(text: &str, condition: &str) -> String {
    if condition.is_empty() {
        return text.replace("objectives:", "alertPolicies: []\n  objectives:");
    }
    text.replace("objectives:", "alertPolicies: [mine]\n  objectives:")
        + &format!(
            "---\napiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: {{name: mine}}\nspec: {{conditions: [{{conditionRef: spent}}], \
             notificationTargets: []}}\n---\napiVersion: openslo/v1\nkind: AlertCondition\nmetadata: {{name: spent}}\n\
             spec: {{severity: critical, condition: {{{condition}}}}}\n"
        )
}

/// A part that is missing is missing whether or not somebody is told of burn rates.
#[test]
fn a_hole_is_seen_whatever_the_alarms_are() {
    let usual = slos(&[("available", "ok", "0.999")]);
    for condition in ["", "kind: remaining, op: lte, threshold: 0", "kind: absence"] {
        let files = counted_with(&alarmed(&usual, condition), &traffic(&CALM));
        assert_eq!(status(&files), "0 fine", "{condition:?}");
        with_a_hole(&files);
        assert_eq!(status(&files), "2 no_coverage", "{condition:?}");
    }
}

/// The events of another service go on; those of this one ended two hours ago.
#[test]
fn silence_is_seen_whatever_the_alarms_are() {
    let mut events = traffic(&CALM);
    events += &traffic(&[(200, 1, 0)]).replace("checkout", "cart");
    let mut events: Vec<&str> = events.lines().collect();
    events.sort_by_key(|line| line[6..22].parse::<i64>().expect("a time"));
    let events = events.join("\n") + "\n";
    let usual = slos(&[("available", "ok", "0.999")]);
    for condition in ["", "kind: remaining, op: lte, threshold: 0"] {
        let files = counted_with(&alarmed(&usual, condition), &events);
        assert_eq!(status(&files), "2 no_traffic", "{condition:?}");
    }
}

/// A slice that counts although it is empty hides the silence: such an alarm can never fire.
#[test]
fn absence_over_slices_that_count_when_empty_is_refused_or_fires() {
    for spec in [
        "topic: requests, slice: 1m, empty: good, percentile: {quantile: 0.5, atMostUs: 1000}",
        "topic: requests, slice: 1m, empty: bad, percentile: {quantile: 0.5, atMostUs: 1000}",
        "topic: requests, slice: 1m, traffic: {atLeastPerSec: 0.5}",
    ] {
        let slo = "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {name: speed}\nspec:\n  service: checkout\n  indicatorRef: fast\n  \
             budgetingMethod: Occurrences\n  timeWindow: [{duration: 30d, isRolling: true}]\n  objectives: [{target: 0.9}]\n";
        let text = alarmed(&(documents("checkout", &[("fast", spec)]) + slo), "kind: absence, alertAfter: 5m");
        let mut events: Vec<String> = traffic(&CALM).lines().map(str::to_owned).collect();
        let other = traffic(&[(200, 1, 0)]).replace("checkout", "cart");
        events.extend(other.lines().map(str::to_owned));
        events.sort_by_key(|line| line[6..22].parse::<i64>().expect("a time"));
        let files = Files::new(&[("slos.yaml", &text), ("events.jsonl", &(events.join("\n") + "\n"))]);
        if files.run("validate slos.yaml", "").starts_with('2') {
            continue;
        }
        let backfill = "backfill --quiet --event request --input events.jsonl --definitions slos.yaml --out out";
        assert_eq!(files.run(backfill, ""), "0\n");
        let found = files.run("backtest --input out", "");
        assert!(found.contains("mine"), "{spec}: silent for two hours, and nobody was told: {found}");
    }
}

/// Shares of the budget are shown as they were asked for.
#[test]
fn small_shares_are_not_explained_as_nothing() {
    let condition = "kind: remaining, op: lt, threshold: 0.995";
    let text = alarmed(&slos(&[("available", "ok", "0.999")]), condition);
    let files = counted_with(&text, &traffic(&[(60, 60, 0), (10, 60, 12), (5, 60, 0)]));
    let found = files.run("status --json --input out", "");
    let found: Value = serde_json::from_str(found.lines().nth(1).expect("one line")).expect("JSON");
    let id = found["slos"][0]["firing"][0]["id"].as_str().expect("it fires").to_owned();
    let found = files.run(&format!("explain {id} --input out"), "");
    assert!(found.contains("less than 99.5% of the budget"), "{found}");
}

#[test]
fn thousands_of_objectives_are_read_and_followed() {
    let names: Vec<String> = (0..2000).map(|number| format!("slo-{number}")).collect();
    let promises: Vec<(&str, &str, &str)> = names.iter().map(|name| (name.as_str(), "ok", "0.999")).collect();
    let files = Files::new(&[("slos.yaml", &slos(&promises))]);
    assert!(files.run("validate slos.yaml", "").starts_with('0'));
    let files = counted(&[(3, 60, 0)], &promises);
    let found = files.run("status --json --input out", "");
    assert!(found.starts_with("0\n"), "{}", &found[..200]);
}
