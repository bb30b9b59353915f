//! `matches` means what it means in RE2, wherever it is accepted.

use streamgauge_events::{Event, EventTime, Kind, TextField};
use streamgauge_predicate::Predicate;

/// Found in a route; `None` where the pattern is refused.
fn found(pattern: &str, route: &str) -> Option<bool> {
    let predicate = Predicate::compile(&format!("route.matches(r'{pattern}')"), Kind::Request).ok()?;
    let mut event = Event::new(EventTime(1), "a");
    event.set_text(TextField::Route, route.into());
    predicate.holds(&event)
}

/// Behind a backslash RE2 takes punctuation for itself, `\b` is followed by what stands there, and `\s` has no `\v`.
/// Refusing them would do as well.
#[test]
fn patterns_mean_what_they_mean_in_re2_or_are_refused() {
    let mut wrong = Vec::new();
    for (pattern, route, in_re2) in [
        (r"\<a", "xa a", false),
        (r"\<a", "<a", true),
        (r"a\>", "a", false),
        (r"\b{start}a", "a", false),
        (r"^\s$", "\x0b", false),
        (r"[[:space:]]", "\x0b", true),
        (r"a$", "a\n", false),
        (r"^.$", "\r", true),
        (r"\d", "\u{661}", false),
        (r"\bé", "é", false),
        (r"[]a]", "]", true),
        (r"\-\/\.", "-/.", true),
    ] {
        if found(pattern, route).is_some_and(|found| found != in_re2) {
            wrong.push(format!("{pattern} in {route:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
