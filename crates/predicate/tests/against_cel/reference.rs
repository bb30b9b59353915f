//! An event as the `cel` crate sees it, and the specification's table around what it answers.

use std::collections::HashMap;

use cel::{Context, Program, Value};
use streamgauge_events::{Event, Field, Kind};

use crate::generate::Tree;

/// Fields that the event lacks are undeclared there: to read one is an error. Attributes are a map of those that are texts.
pub fn cel_context(event: &Event<'_>, kind: Kind) -> Context<'static, 'static> {
    let mut context = Context::default();
    for field in kind.fields() {
        let value = match *field {
            Field::Ts => None,
            Field::Text(field) => event.text(field).map(Value::from),
            Field::Number(number) if number.is_decimal() => {
                event.number(number).map(|millionths| Value::from(millionths as f64 / 1e6))
            }
            Field::Number(number) => event.number(number).map(Value::from),
            Field::Ok => event.ok.map(Value::from),
            Field::Attributes => {
                let names = ["plan", "seats", "absent", "with space"];
                let text = |name: &str| Some((name.to_owned(), event.attributes.get(name)?.into_owned()));
                Some(Value::from(names.into_iter().filter_map(text).collect::<HashMap<String, String>>()))
            }
        };
        if let Some(value) = value {
            context.add_variable_from_value(field.name(), value);
        }
    }
    context
}

/// The value of an expression; decimals in millionths, since 53 bits are too few for some of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Bool(bool),
    Integer(i64),
    Decimal(i128),
    Text(String),
}

/// What an expression comes to, node by node: `&&`, `||`, `!` and `?:` by the table of the specification, numbers of
/// different types by integers, all else by the `cel` crate on the values of the operands. `None` is an error.
pub fn reference(tree: &Tree, event: &Event<'_>, kind: Kind) -> Option<Found> {
    let of = |tree: &Tree| reference(tree, event, kind);
    let truth = |tree: &Tree| match of(tree) {
        None => None,
        Some(Found::Bool(holds)) => Some(holds),
        Some(other) => panic!("{tree:?} is {other:?}"),
    };
    Some(match tree {
        Tree::Bool(value) => Found::Bool(*value),
        Tree::Integer(value) => Found::Integer(*value),
        Tree::Decimal(millionths) => Found::Decimal(*millionths),
        Tree::Text(text) => Found::Text(text.clone()),
        Tree::Field(name) => match kind.field(name)? {
            Field::Text(field) => Found::Text(event.text(field)?.to_owned()),
            Field::Number(field) if field.is_decimal() => Found::Decimal(event.number(field)?.into()),
            Field::Number(field) => Found::Integer(event.number(field)?),
            Field::Ok => Found::Bool(event.ok?),
            other => panic!("{other} is not generated"),
        },
        Tree::Attribute(name) => Found::Text(event.attributes.get(name)?.into_owned()),
        Tree::Has(name) => Found::Bool(event.attributes.get(name).is_some()),
        Tree::Not(of) => Found::Bool(!truth(of)?),
        Tree::All(parts) => Found::Bool(parts.iter().map(truth).fold(Some(true), both)?),
        Tree::Any(parts) => {
            let fails = |tree: &Tree| truth(tree).map(|holds| !holds);
            Found::Bool(!parts.iter().map(fails).fold(Some(true), both)?)
        }
        Tree::Conditional(parts) => of(if truth(&parts[0])? { &parts[1] } else { &parts[2] })?,
        Tree::Negative(operand) => match of(operand)? {
            Found::Decimal(millionths) => Found::Decimal(-millionths),
            value => applied("-a", value, None)?,
        },
        Tree::Binary(symbol, left, right) => {
            let (left, right) = (of(left)?, of(right)?);
            match (millionths(&left), millionths(&right)) {
                (Some(one), Some(other)) if is_decimal(&left, &right) => Found::Bool(compared(symbol, one, other)),
                _ => applied(&format!("a {symbol} b"), left, Some(right))?,
            }
        }
        Tree::In(operand, literals) => {
            let value = of(operand)?;
            let found = literals.iter().map(|literal| of(literal).expect("a literal has a value"));
            let same = |literal: Found| {
                literal == value || (millionths(&literal).is_some() && millionths(&literal) == millionths(&value))
            };
            Found::Bool(found.into_iter().any(same))
        }
        Tree::Size(operand) => applied("size(a)", of(operand)?, None)?,
        Tree::Method(name, operand, with) => applied(&format!("a.{name}(b)"), of(operand)?, Some(of(with)?))?,
    })
}

/// False wins, then errors, then true.
fn both(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn millionths(found: &Found) -> Option<i128> {
    match found {
        Found::Integer(integer) => Some(i128::from(*integer) * 1_000_000),
        Found::Decimal(millionths) => Some(*millionths),
        _ => None,
    }
}

fn is_decimal(left: &Found, right: &Found) -> bool {
    matches!(left, Found::Decimal(_)) || matches!(right, Found::Decimal(_))
}

fn compared(symbol: &str, left: i128, right: i128) -> bool {
    match symbol {
        "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        other => panic!("{other} compares nothing"),
    }
}

/// One operator or function of the `cel` crate on values.
fn applied(text: &str, a: Found, b: Option<Found>) -> Option<Found> {
    let mut context = Context::default();
    for (name, found) in std::iter::once(("a", Some(a))).chain([("b", b)]) {
        let value = match found {
            None => continue,
            Some(Found::Bool(value)) => Value::from(value),
            Some(Found::Integer(value)) => Value::from(value),
            Some(Found::Text(value)) => Value::from(value),
            Some(Found::Decimal(_)) => panic!("{text} on a decimal is not generated"),
        };
        context.add_variable_from_value(name, value);
    }
    match Program::compile(text).expect("an expression").execute(&context).ok()? {
        Value::Bool(value) => Some(Found::Bool(value)),
        Value::Int(value) => Some(Found::Integer(value)),
        other => panic!("{text} is {other:?}"),
    }
}
