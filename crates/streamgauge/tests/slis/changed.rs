//! `streamgauge windows` over facts that were counted by one definition after the other.

use crate::program::{Files, documents};

const FIRST: &str = r#"{"ts":1767607201000000,"service":"checkout","route":"/pay","status":200,"latency_us":120000}
{"ts":1767607202000000,"service":"checkout","route":"/cart","status":503,"latency_us":120000}
"#;
const SECOND: &str = r#"{"ts":1767607221000000,"service":"checkout","route":"/pay","status":200,"latency_us":120000}
"#;

/// What two generations of a chain wrote, the second by other definitions than the first; in the directory `both`.
fn counted_by(before: &str, after: &str) -> Files {
    let (before, after) = (documents("checkout", &[("tested", before)]), documents("checkout", &[("tested", after)]));
    let files = Files::new(&[
        ("before.yaml", &before),
        ("after.yaml", &after),
        ("first.jsonl", FIRST),
        ("second.jsonl", SECOND),
        ("both/sli.windows.jsonl", ""),
    ]);
    let read = |name: &str| std::fs::read_to_string(files.path(name)).expect("a backfill writes it");
    for (input, definitions) in [("first", "before"), ("second", "after")] {
        let backfill = format!(
            "backfill --quiet --event request --input {input}.jsonl --definitions {definitions}.yaml --out {input}"
        );
        assert_eq!(files.run(&backfill, ""), "0\n");
    }
    let second = read("second/sli.windows.jsonl").replace(r#""generation":0"#, r#""generation":1"#);
    let second =
        second.replace(r#""from":0,"to":1"#, r#""from":2,"to":3"#).replace(r#""from":1,"to":1"#, r#""from":3,"to":3"#);
    std::fs::write(files.path("both/sli.windows.jsonl"), read("first/sli.windows.jsonl") + &second).expect("a file");
    let states = read("first/sli.state.jsonl") + &read("second/sli.state.jsonl");
    std::fs::write(files.path("both/sli.state.jsonl"), states).expect("a file");
    files
}

/// "Where the filter, the labels or the way to judge an event do differ from what was counted, the command refuses, since
/// the facts can't tell", or says so of the slices that were counted otherwise. One of the first two events is of another
/// route than the second definition asks for.
#[test]
fn slices_that_were_counted_by_another_filter_are_not_shown_as_if_by_this_one() {
    let files = counted_by(
        "topic: requests, good: status < 500",
        "topic: requests, filter: route == '/pay', good: status < 500",
    );
    let found = files.run("windows --input both --sli tested --window 10s --csv", "");
    assert!(!found.contains("10:00:00Z,2026-01-05T10:00:10Z,counted,,1/2"), "{found}");
    let found = files.run("windows --input both --sli tested --window 10s --definitions after.yaml --csv", "");
    assert!(!found.contains("10:00:00Z,2026-01-05T10:00:10Z,counted,,1/2"), "{found}");
}

#[test]
fn slices_that_were_counted_as_a_ratio_are_not_bad_percentiles() {
    let percentile = "topic: requests, slice: 10s, percentile: {quantile: 0.5, atMostUs: 300000}";
    let files = counted_by("topic: requests, good: status < 500", percentile);
    let found = files.run("windows --input both --sli tested --csv", "");
    assert!(!found.contains("10:00:00Z,2026-01-05T10:00:10Z,bad,0,0/2"), "{found}");
}

/// "`--csv` writes the same in columns, without `le`, `latency`, `exemplars` and `lacks`."
#[test]
fn csv_has_the_values_of_scores() {
    let files = Files::new(&[(
        "scores.jsonl",
        "{\"ts\":1767607201000000,\"service\":\"checkout\",\"metric\":\"m\",\"value\":4.25}\n",
    )]);
    assert_eq!(files.run("backfill --quiet --event score --input scores.jsonl --out out", ""), "0\n");
    let found = files.run("windows --input out --sli scores --csv", "");
    assert!(found.contains("4250000"), "{found}");
}

/// "`start`, `end`: RFC 3339, UTC", and a record may have any time up to the end of the year 9999.
#[test]
fn windows_of_the_last_day_of_9999_have_times() {
    let files = Files::new(&[("end.jsonl", "{\"ts\":253402300799999999,\"service\":\"checkout\",\"status\":200}\n")]);
    assert_eq!(files.run("backfill --quiet --event request --input end.jsonl --out out", ""), "0\n");
    let found = files.run("windows --input out --json", "");
    assert!(found.contains(r#""start":"9999-12-31T23:59:00Z""#), "{found}");
}
