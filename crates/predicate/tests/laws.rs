//! What holds of every text: no panic, errors that point into it, verdicts that follow the laws of three values.

use proptest::prelude::*;
use streamgauge_events::{Event, Kind};
use streamgauge_predicate::Predicate;

/// Pieces of predicates, so that random texts get past the first word.
const PIECES: [&str; 58] = [
    "status",
    "latency_us",
    "route",
    "ok",
    "value",
    "ts",
    "service",
    "attributes",
    ".",
    "plan",
    "[",
    "]",
    "(",
    ")",
    "&&",
    "||",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "?",
    ":",
    "+",
    "-",
    "*",
    "/",
    "%",
    ",",
    "'a'",
    "\"b\"",
    "r'\\'",
    "'\\u00e9'",
    "'\\x'",
    "'",
    "\"",
    "5",
    "0.5",
    "1e9",
    "1e999999999999",
    ".5",
    "0x1F",
    "9223372036854775808",
    "true",
    "false",
    "null",
    "has",
    "size",
    ".startsWith(",
    ".matches(",
    "'('",
    "é",
    "\\",
    "//",
    "\n",
];

const EVENTS: [&str; 3] = [
    r#"{"ts":1,"service":"a"}"#,
    r#"{"ts":1,"service":"b","status":5,"route":"a","ok":true}"#,
    r#"{"ts":1,"service":"a","latency_us":300,"ok":false,"attributes":{"plan":"b"}}"#,
];

fn check_text(text: &str) -> Result<(), TestCaseError> {
    for kind in Kind::ALL {
        match Predicate::compile(text, kind) {
            Ok(predicate) => {
                for json in EVENTS {
                    // Of whatever kind: a field that is absent is nothing to stumble over.
                    let event = Event::from_json(Kind::Request, json.as_bytes()).expect("an event");
                    let parts = predicate.explain(&event);
                    prop_assert_eq!(parts[0].holds, predicate.holds(&event));
                    prop_assert_eq!(parts[0].depth, 0);
                }
                prop_assert_eq!(&predicate, &Predicate::compile(predicate.text(), kind).expect("the same text"));
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                prop_assert!(errors.is_sorted_by_key(|error| error.at));
                for error in errors {
                    prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at), "{:?}", error);
                    prop_assert!(!error.message.is_empty() && !error.remedy.is_empty(), "{:?}", error);
                }
            }
        }
    }
    Ok(())
}

/// A condition, of which some parts may be absent from an event.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "ok",
        "status > 3",
        "route == 'a'",
        "service == 'a'",
        "latency_us / (status - 5) > 1",
        "has(attributes.plan)",
        "attributes.plan == 'b'",
        "true",
        "false",
        "status in [5, 6]",
        "status + 9223372036854775807 > 0",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| format!("!({of})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} && {right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} || {right})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(if_, yes, no)| format!("({if_} ? {yes} : {no})")),
        ]
    })
}

fn verdicts(text: &str) -> Vec<Option<bool>> {
    let predicate = Predicate::compile(text, Kind::Request).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    let event = |json: &'static str| Event::from_json(Kind::Request, json.as_bytes()).expect("an event");
    EVENTS.into_iter().map(|json| predicate.holds(&event(json))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_a_predicate_or_says_what_is_wrong(text in "\\PC{0,80}") {
        check_text(&text)?;
    }

    #[test]
    fn any_sequence_of_words_is_a_predicate_or_says_what_is_wrong(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..24),
        gap in prop::sample::select(vec!["", " "]),
    ) {
        check_text(&pieces.join(gap))?;
    }

    #[test]
    fn a_predicate_with_a_byte_changed_is_one_or_says_what_is_wrong(
        text in condition(),
        at in any::<prop::sample::Index>(),
        with in "\\PC",
    ) {
        let at = at.index(text.len());
        let changed = [&text[..at], &with, &text[at + 1..]].concat();
        check_text(&changed)?;
    }

    #[test]
    fn and_or_and_not_are_those_of_three_values(left in condition(), right in condition(), third in condition()) {
        let both = |left: &str, right: &str| verdicts(&format!("({left}) && ({right})"));
        let either = |left: &str, right: &str| verdicts(&format!("({left}) || ({right})"));
        let not = |of: &str| format!("!({of})");
        prop_assert_eq!(both(&left, &right), both(&right, &left));
        prop_assert_eq!(either(&left, &right), either(&right, &left));
        prop_assert_eq!(verdicts(&not(&not(&left))), verdicts(&left));
        prop_assert_eq!(verdicts(&not(&format!("({left}) && ({right})"))), either(&not(&left), &not(&right)));
        prop_assert_eq!(
            verdicts(&format!("({left}) && ({right}) && ({third})")),
            both(&left, &format!("({right}) && ({third})"))
        );
        prop_assert_eq!(
            verdicts(&format!("({left}) || ({right}) || ({third})")),
            either(&left, &format!("({right}) || ({third})"))
        );
    }

    #[test]
    fn integers_are_compared_as_integers(number in any::<i64>(), literal in any::<i64>(), near in -2_i64..3) {
        use streamgauge_events::{EventTime, NumberField};
        for literal in [literal, number.saturating_add(near)] {
            let mut event = Event::new(EventTime(1), "a");
            event.set_number(NumberField::LatencyUs, number);
            for (symbol, expected) in [
                ("==", number == literal), ("!=", number != literal), ("<", number < literal),
                ("<=", number <= literal), (">", number > literal), (">=", number >= literal),
            ] {
                for text in [
                    format!("latency_us {symbol} {literal}"),
                    format!("latency_us {symbol} {literal}.0"),
                    format!("latency_us + 0 {symbol} {literal}"),
                    format!("latency_us {symbol} 0 + {literal}"),
                ] {
                    let predicate = Predicate::compile(&text, Kind::Request).expect("a predicate");
                    prop_assert_eq!(predicate.holds(&event), Some(expected), "{} of {}", text, number);
                }
            }
        }
    }

    #[test]
    fn decimals_are_compared_as_decimals(value in -(1_i64 << 45)..=1 << 45, near in -2_i64..3, other in any::<i64>()) {
        use streamgauge_events::{EventTime, NumberField, json_number::from_millionths};
        for literal in [value + near, other] {
            let mut event = Event::new(EventTime(1), "a");
            event.set_number(NumberField::Value, value);
            for (symbol, expected) in [
                ("==", value == literal), ("!=", value != literal), ("<", value < literal),
                ("<=", value <= literal), (">", value > literal), (">=", value >= literal),
            ] {
                for text in [
                    format!("value {symbol} {}", from_millionths(literal)),
                    format!("value {symbol} {literal}e-6"),
                    format!("(true ? value : 0.0) {symbol} {literal}e-6"),
                ] {
                    let predicate = Predicate::compile(&text, Kind::Score).expect("a predicate");
                    prop_assert_eq!(predicate.holds(&event), Some(expected), "{} of {}", text, value);
                }
            }
        }
    }
}
