//! Where several reasons apply: "what is wrong with the bytes weighs most, then the first wrong field, then what is missing".

use streamgauge_decode::JsonDecoder;
use streamgauge_events::{FieldSet, Kind, Reason};

#[track_caller]
fn check(rows: &[(&str, Reason)]) {
    let long = "x".repeat(513);
    let mut decoder = JsonDecoder::new(Kind::Request, FieldSet::ALL);
    let wrong = rows.iter().filter_map(|(record, expected)| {
        let found = decoder.decode(record.replace("LONG", &long).as_bytes()).err().map(|rejection| rejection.reason);
        (found != Some(*expected)).then(|| format!("{record}: {found:?}, not {expected:?}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_wrong_field_weighs_more_than_one_that_is_missing() {
    check(&[
        (r#"{"service":"LONG"}"#, Reason::OutOfRange),
        (r#"{"service":""}"#, Reason::OutOfRange),
        (r#"{"ts":-1}"#, Reason::Negative),
    ]);
}

#[test]
fn the_first_wrong_field_weighs_most() {
    check(&[
        (r#"{"ts":1,"service":"","status":-1}"#, Reason::OutOfRange),
        (r#"{"ts":1,"service":"a","route":"LONG","status":-1}"#, Reason::OutOfRange),
        (r#"{"ts":1,"service":"a","status":-1,"route":"LONG"}"#, Reason::Negative),
    ]);
}

#[test]
fn what_is_wrong_with_the_bytes_weighs_more_than_what_they_begin_with() {
    check(&[
        ("[1,", Reason::Undecodable),
        ("[] x", Reason::Undecodable),
        ("5 x", Reason::Undecodable),
        ("\"a", Reason::Undecodable),
        ("[1]", Reason::WrongType),
        (r#"{"ts":-1,"service":"a"} x"#, Reason::Undecodable),
    ]);
}
