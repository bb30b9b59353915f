//! Why an event is meant or not: each part of a predicate, what was found, what it came to.

use expect_test::{Expect, expect};
use streamgauge_events::{Event, Kind};
use streamgauge_predicate::Predicate;

#[track_caller]
fn check(kind: Kind, text: &str, json: &str, expected: Expect) {
    let predicate = Predicate::compile(text, kind).expect("a predicate");
    let event = Event::from_json(kind, json.as_bytes()).expect("an event");
    let mut shown = String::new();
    for part in predicate.explain(&event) {
        let holds = part.holds.map_or("undecided".to_owned(), |holds| holds.to_string());
        let found = if part.found.is_empty() { String::new() } else { format!("  ({})", part.found) };
        shown.push_str(&format!("{}{}: {holds}{found}\n", "  ".repeat(part.depth), part.text));
    }
    expected.assert_eq(&shown);
}

#[test]
fn every_part_says_what_it_found() {
    check(
        Kind::Request,
        "status > 0 && !(status < 500 || route == '/pay') && attributes.plan != attributes['gold plan']",
        r#"{"ts":1,"service":"a","status":503,"attributes":{"plan":"go\"ld"}}"#,
        expect![[r#"
            status > 0 && !(status < 500 || route == '/pay') && attributes.plan != attributes['gold plan']: undecided
              status > 0: true  (status = 503)
              !(status < 500 || route == '/pay'): undecided
                (status < 500 || route == '/pay'): undecided
                  status < 500: false  (status = 503)
                  route == '/pay': undecided  (route is absent)
              attributes.plan != attributes['gold plan']: undecided  (attributes.plan = "go\"ld", attributes["gold plan"] is absent)
        "#]],
    );
    check(
        Kind::Request,
        "ok ? latency_us * 2 + latency_us < 900 : ('plan' in attributes) == has(attributes.seats)",
        r#"{"ts":1,"service":"a","ok":false,"latency_us":300}"#,
        expect![[r#"
            ok ? latency_us * 2 + latency_us < 900 : ('plan' in attributes) == has(attributes.seats): true
              ok: false  (ok = false)
              latency_us * 2 + latency_us < 900: false  (latency_us = 300)
              ('plan' in attributes) == has(attributes.seats): true  (attributes["plan"] is absent, attributes.seats is absent)
        "#]],
    );
    check(
        Kind::Resource,
        "(metric in ['cpu', 'memory'] && value <= 0.9) || true",
        r#"{"ts":1,"service":"a","metric":"cpu","value":0.95}"#,
        expect![[r#"
            (metric in ['cpu', 'memory'] && value <= 0.9) || true: true
              (metric in ['cpu', 'memory'] && value <= 0.9): false
                metric in ['cpu', 'memory']: true  (metric = "cpu")
                value <= 0.9: false  (value = 0.95)
              true: true
        "#]],
    );
}
