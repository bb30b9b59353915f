//! Predicate × event → verdict, as tables.

use std::borrow::Cow;

use streamgauge_events::{Attributes, Event, EventTime, Field, FieldSet, Kind, NumberField, TextField};
use streamgauge_predicate::Predicate;

const T: Option<bool> = Some(true);
const F: Option<bool> = Some(false);

#[track_caller]
fn check(kind: Kind, events: [&str; 2], table: &[(&str, Option<bool>, Option<bool>)]) {
    let [one, other] = events.map(|json| Event::from_json(kind, json.as_bytes()).expect("an event"));
    for (text, on_one, on_other) in table {
        let predicate = Predicate::compile(text, kind).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        assert_eq!(predicate.holds(&one), *on_one, "{text} on {}", events[0]);
        assert_eq!(predicate.holds(&other), *on_other, "{text} on {}", events[1]);
    }
}

const BARE: &str = r#"{"ts":1,"service":"a"}"#;
const FULL: &str = r#"{"ts":1,"service":"a","status":503,"ok":true,"latency_us":300,"route":"/x/é","method":"GET",
    "attributes":{"plan":"gold","seats":5,"a b":"q\"uote"}}"#;

#[test]
fn comparisons_hold_or_fail_or_lack_their_field() {
    check(
        Kind::Request,
        [BARE, FULL],
        &[
            ("status < 500", None, F),
            ("status >= 500", None, T),
            ("500 <= status", None, T),
            ("500 > status", None, F),
            ("status != 503", None, F),
            ("status == 503.0", None, T),
            ("status == 503.5", None, F),
            ("status != 503.5", None, T),
            ("status > 502.5 && status < 503.5", None, T),
            ("latency_us <= 300", None, T),
            ("latency_us < 300", None, F),
            ("latency_us < 3e2", None, F),
            ("latency_us <= 0.3e3", None, T),
            ("latency_us < 9223372036854775807", None, T),
            ("latency_us > -9223372036854775808", None, T),
            ("latency_us < -9223372036854775808", None, F),
            ("latency_us > 9223372036854775807", None, F),
            ("latency_us == 0x12C", None, T),
            ("status > latency_us", None, T),
            ("service == 'a'", T, T),
            ("service != \"a\"", F, F),
            ("'a' == service", T, T),
            ("service < 'b'", T, T),
            ("route > '/x'", None, T),
            ("ok", None, T),
            ("!ok", None, F),
            ("ok == false", None, F),
            ("true != ok", None, F),
            ("ok == (status < 500)", None, F),
            ("ok != (status < 500)", None, T),
            ("true", T, T),
            ("false", F, F),
            ("1 == 1 && 'a' < 'b' && 1.5 < 2", T, T),
        ],
    );
}

#[test]
fn what_is_undecided_stays_so_unless_the_rest_decides() {
    check(
        Kind::Request,
        [BARE, FULL],
        &[
            ("service == 'b' && status < 500", F, F),
            ("status < 500 && service == 'b'", F, F),
            ("service == 'a' && status < 500", None, F),
            ("service == 'a' || status < 500", T, T),
            ("status < 500 || service == 'a'", T, T),
            ("service == 'b' || status < 500", None, F),
            ("!(status == 503 || route == '/y') || latency_us > -1", None, T),
            ("service == 'a' || service == 'b' && service == 'c'", T, T),
            ("(service == 'a' || service == 'b') && service == 'c'", F, F),
            ("ok ? true : true", None, T),
            ("service == 'a' ? true : ok", T, T),
            ("service == 'b' ? ok : status == 503", None, T),
            ("(ok ? status : latency_us) == 503", None, T),
            ("(ok ? 'x' : route) == 'x'", None, T),
            ("(service == 'a' ? 1.5 : 2.5) == 1.5", T, T),
        ],
    );
}

#[test]
fn arithmetic_is_of_64_bits_and_undecided_beyond() {
    check(
        Kind::Request,
        [BARE, FULL],
        &[
            ("latency_us / 100 == 3", None, T),
            ("latency_us % 7 == 6", None, T),
            ("-latency_us % 7 == -6", None, T),
            ("-7 / 2 == -3", T, T),
            ("1 - 2 - 3 == -4", T, T),
            ("2 + 3 * 4 == 14", T, T),
            ("latency_us / 0 == 1", None, None),
            ("latency_us % (status - 503) == 0", None, None),
            ("9223372036854775807 + 1 > 0", None, None),
            ("-9223372036854775808 - 1 < 0", None, None),
            ("-(-9223372036854775808) > 0", None, None),
            ("-9223372036854775808 / -1 > 0", None, None),
            ("-9223372036854775808 % -1 == 0", None, None),
            ("4611686018427387904 * 2 > 0", None, None),
            ("1 / 0 == 1 || service == 'a'", T, T),
            ("1 / 0 == 1 && service == 'b'", F, F),
            ("latency_us * 2 in [600, 700]", None, T),
            ("latency_us + 1 > 300.5", None, T),
            ("status - 3 == 500 && latency_us - 1 == 299", None, T),
        ],
    );
}

#[test]
fn texts_are_searched_and_measured_in_characters() {
    check(
        Kind::Request,
        [BARE, FULL],
        &[
            ("route.startsWith('/x')", None, T),
            ("route.endsWith('é')", None, T),
            ("route.contains('/x/')", None, T),
            ("route.contains('')", None, T),
            ("'GET,PUT'.contains(method)", None, T),
            ("size(route) == 4", None, T),
            ("route.size() == 4", None, T),
            ("route.matches('^/[a-z]/.$')", None, T),
            ("matches(route, 'x')", None, T),
            (r#"route.matches(r"^/\w/\d")"#, None, F),
            ("route.matches('(?i)^/X/')", None, T),
            ("service in ['a', 'b']", T, T),
            ("route in []", None, F),
            ("status in [500, 502, 503,]", None, T),
            ("!(status in [500])", None, T),
            ("service in ['b','c','d','e','f','g','h','i','j','k','l','m','n','a']", T, T),
            ("service in ['b','c','d','e','f','g','h','i','j','k','l','m','n','o']", F, F),
            (r"'\x41\u00e9\U0001F600\101\n\'' == 'Aé😀A\x0a\x27'", T, T),
            (r#"r'\n' == "\\n""#, T, T),
            (r"'\xe9\351' == 'éé'", T, T),
            ("// whose\n service == 'a' // this one's", T, T),
        ],
    );
}

#[test]
fn attributes_are_texts_or_absent() {
    check(
        Kind::Request,
        [BARE, FULL],
        &[
            ("attributes.plan == 'gold'", None, T),
            ("attributes['plan'] != \"gold\"", None, F),
            ("attributes.seats == '5'", None, None),
            ("has(attributes.plan)", F, T),
            ("has(attributes.seats)", F, F),
            ("'plan' in attributes", F, T),
            ("has(attributes.plan) && attributes.plan == 'gold'", F, T),
            ("attributes['a b'] == 'q\"uote'", None, T),
            ("attributes.plan in ['gold', 'silver']", None, T),
            ("attributes.plan.startsWith('g')", None, T),
            ("size(attributes.plan) == size('gold')", None, T),
            ("attributes.plan < route", None, F),
            ("attributes.plan == attributes.nothing", None, None),
        ],
    );
    let predicate = Predicate::compile("attributes.plan == 'gold'", Kind::Request).expect("a predicate");
    let mut event = Event::new(EventTime(1), "a");
    event.attributes = Attributes::Avro(&[2, 8, b'p', b'l', b'a', b'n', 8, b'g', b'o', b'l', b'd', 0]);
    assert_eq!(predicate.holds(&event), T);
}

#[test]
fn decimals_are_compared_exactly() {
    check(
        Kind::Score,
        [
            r#"{"ts":1,"service":"a","metric":"m","value":0.3}"#,
            r#"{"ts":1,"service":"a","metric":"m","good":1,"total":3}"#,
        ],
        &[
            ("value == 0.3", T, None),
            ("value == 0.300000", T, None),
            ("value == .3", T, None),
            ("value == 3e-1", T, None),
            ("value >= 0.300001", F, None),
            ("value > 0.299999", T, None),
            ("value < 1", T, None),
            ("value > -1", T, None),
            ("0 < value", T, None),
            ("-value == -0.3", T, None),
            ("value in [0.1, 0.2, 0.3]", T, None),
            ("value in [0, 1, 9223372036854775807]", F, None),
            ("value < 9223372036854775807", T, None),
            ("value > -9223372036854775808", T, None),
            ("value < 99999999999999999999.999999", T, None),
            ("value < -99999999999999999999.999999", F, None),
            ("(value > 1 ? 0.5 : 0.25) == 0.25", T, None),
            ("value < total", None, None),
            ("total > 2.5 && good * 3 == total", None, T),
            ("good + total > 3.9", None, T),
            ("0.1 < 0.2", T, T),
        ],
    );
}

#[test]
fn numbers_at_the_ends_of_64_bits_compare_as_they_should() {
    for (number, table) in [
        (i64::MAX, [("latency_us > 9223372036854775806", T), ("latency_us < 9223372036854775807.5", T)]),
        (i64::MIN, [("latency_us < -9223372036854775807", T), ("latency_us < -9223372036854775808.5", F)]),
        (i64::MIN, [("latency_us >= -9223372036854775808", T), ("latency_us != -9223372036854775808", F)]),
        (i64::MIN, [("latency_us == -9223372036854775808.5", F), ("latency_us < -9223372036854775808", F)]),
        (i64::MAX, [("latency_us > 9223372036854775807", F), ("latency_us == 9223372036854775807.5", F)]),
    ] {
        let mut event = Event::new(EventTime(1), "a");
        event.set_number(NumberField::LatencyUs, number);
        for (text, expected) in table {
            let predicate = Predicate::compile(text, Kind::Request).expect("a predicate");
            assert_eq!(predicate.holds(&event), expected, "{text} on {number}");
        }
    }
}

#[test]
fn the_fields_that_are_read_are_known() {
    let set = |fields: &[Field]| fields.iter().copied().collect::<FieldSet>();
    for (text, fields) in [
        ("true", &[][..]),
        ("status < 500 && ok", &[Field::Number(NumberField::Status), Field::Ok]),
        ("has(attributes.a)", &[Field::Attributes]),
        ("'a' in attributes || attributes['b'] == route", &[Field::Attributes, Field::Text(TextField::Route)]),
        (
            "size(tenant) > 3 ? latency_us > 5 : !ok",
            &[Field::Text(TextField::Tenant), Field::Number(NumberField::LatencyUs), Field::Ok],
        ),
        ("method.matches('x')", &[Field::Text(TextField::Method)]),
    ] {
        let predicate = Predicate::compile(text, Kind::Request).expect("a predicate");
        assert_eq!(predicate.fields(), set(fields), "{text}");
    }
}

#[test]
fn a_predicate_goes_to_other_threads_and_equals_its_like() {
    fn goes<T: Send + Sync + Clone>(_: &T) {}
    let compile = |text, kind| Predicate::compile(text, kind).expect("a predicate");
    let predicate = compile("service == 'a'", Kind::Request);
    goes(&predicate);
    assert_eq!(predicate, predicate.clone());
    assert_ne!(predicate, compile("service == 'a'", Kind::Score));
    assert_ne!(predicate, compile("service == 'b'", Kind::Request));
    assert_eq!(predicate.text(), "service == 'a'");
    assert_eq!(Cow::Borrowed("Predicate(service == 'a' of a request)"), format!("{predicate:?}"));
}
