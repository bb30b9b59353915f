//! The same predicates on the same events by the `cel` crate: verdict for verdict, undecided for error.
//!
//! Expressions and events are made from a seed, so that every run sees the same ones. Nothing that is generated is left
//! out. Where the `cel` crate compares numbers of 64 bits by floats of 53, `reference.rs` combines what it says of the parts
//! by the specification's table and compares such numbers exactly; these cases are counted.

mod generate;
mod reference;

use std::collections::BTreeMap;

use cel::{Program, Value};
use streamgauge_events::Kind;
use streamgauge_predicate::Predicate;

use generate::{Generator, Tree};
use reference::{Found, cel_context, reference};

const SEED: u64 = 20_261_125;
const EXPRESSIONS: usize = 10_000;
const EVENTS_EACH: usize = 2;
/// One in so many is also taken apart node by node, though both agree on the whole.
const TAKEN_APART: usize = 10;

#[test]
fn verdicts_agree() {
    let mut generator = Generator::new(SEED);
    let mut verdicts: BTreeMap<Option<bool>, usize> = BTreeMap::new();
    let mut forms: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut deviations, mut taken_apart) = (0, 0);
    for number in 0..EXPRESSIONS {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let tree = generator.condition(kind, 1 + number % 4);
        let text = generator.written(&tree);
        tree.count(&mut forms);
        let ours = Predicate::compile(&text, kind).unwrap_or_else(|errors| panic!("{text}\n{errors:?}"));
        let theirs = Program::compile(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        for _ in 0..EVENTS_EACH {
            let made = generator.event(kind);
            let event = made.event();
            let verdict = ours.holds(&event);
            let said = match theirs.execute(&cel_context(&event, kind)) {
                Ok(Value::Bool(holds)) => Some(holds),
                Ok(other) => panic!("{text} is {other:?}"),
                Err(_) => None,
            };
            let shown = || format!("{text}\non {}", String::from_utf8_lossy(&event.to_json(kind)));
            if said != verdict {
                assert!(needs_more_than_53_bits(&tree), "{verdict:?} here, {said:?} by cel\n{}", shown());
                deviations += 1;
            }
            if said != verdict || number % TAKEN_APART == 0 {
                assert_eq!(verdict.map(Found::Bool), reference(&tree, &event, kind), "{}", shown());
                taken_apart += 1;
            }
            assert_eq!(ours.explain(&event)[0].holds, verdict, "the explanation of {}", shown());
            *verdicts.entry(verdict).or_default() += 1;
        }
    }
    let compared = verdicts.values().sum::<usize>();
    println!("{compared} compared: {verdicts:?}; {taken_apart} taken apart; {deviations} deviations; {forms:?}");
    assert!(compared >= 10_000);
    for verdict in [None, Some(false), Some(true)] {
        assert!(verdicts[&verdict] * 5 > compared, "too few are {verdict:?}: {verdicts:?}");
    }
    assert!(forms.len() >= 28 && forms.values().all(|count| *count > 100), "{forms:?}");
    assert!(deviations > 0, "cel compares exactly now: what is said about it in the page has to go");
    assert!(deviations * 200 < compared, "{deviations}");
}

/// A literal in it that a float of 64 bits can't tell from its neighbours.
fn needs_more_than_53_bits(tree: &Tree) -> bool {
    match tree {
        Tree::Integer(value) => value.unsigned_abs() > 1 << 53,
        Tree::Decimal(millionths) => millionths.unsigned_abs() > (1 << 53) * 1_000_000,
        tree => tree.children().into_iter().any(needs_more_than_53_bits),
    }
}

#[test]
fn what_has_no_type_is_refused() {
    let mut generator = Generator::new(SEED);
    let mut refused = 0;
    for number in 0..600 {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let tree = generator.ill_typed(kind);
        let text = generator.written(&tree);
        let errors = Predicate::compile(&text, kind).expect_err(&text);
        for error in &errors {
            assert!(
                error.at < text.len() && !error.message.is_empty() && !error.remedy.is_empty(),
                "{text}: {error:?}"
            );
        }
        refused += errors.len();
        // It is about types, not about grammar: cel parses it.
        assert!(Program::compile(&text).is_ok(), "{text}");
    }
    assert!(refused >= 600);
}

/// What the page says that full CEL does otherwise.
#[test]
fn deviations_are_as_documented() {
    let said = |text: &str| Program::compile(text).expect("an expression").execute(&cel::Context::default());
    // By floats of 53 bits; ours are compared exactly.
    let text = "9007199254740993 == 9007199254740992.0";
    assert_eq!(said(text), Ok(Value::Bool(true)));
    let event = streamgauge_events::Event::empty();
    assert_eq!(Predicate::compile(text, Kind::Request).expect("a predicate").holds(&event), Some(false));
    // Types are looked at while it runs, or not at all; ours are refused when loaded.
    assert_eq!(said("'a' == 1"), Ok(Value::Bool(false)));
    assert!(said("'a' < 1").is_err());
    for text in ["'a' == 1", "'a' < 1"] {
        assert!(Predicate::compile(text, Kind::Request).is_err());
    }
}
