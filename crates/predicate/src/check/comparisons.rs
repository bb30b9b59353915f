//! Comparisons and `in`: of fields with literals above all.

use streamgauge_events::NumberField;

use super::{Checker, Typed, general, is_attributes, negation};
use crate::literal::{self, SCALE};
use crate::node::{Decimal, General, Integer, Literals, Node, Text, Texts};
use crate::syntax::{Comparison, Expression, Form};

impl Checker<'_> {
    pub(super) fn compare(&mut self, comparison: Comparison, left: &Expression, right: &Expression) -> Option<Node> {
        if let Form::Compare(_, _, middle) = &left.form
            && !self.source(left).starts_with('(')
        {
            let message = format!("{} compares a comparison", comparison.symbol());
            let (first, middle, last) = (self.source(left), self.source(middle), self.source(right));
            let remedy = format!("Comparisons don't chain: write {first} && {middle} {} {last}", comparison.symbol());
            return self.refuse(left.start, message, remedy);
        }
        let (one, other) = self.both(left, right)?;
        Some(match (one, other) {
            (Typed::Integer(one), Typed::Integer(other)) => integers(comparison, one, other),
            (Typed::Text(one), Typed::Text(other)) => texts(comparison, one, other),
            (Typed::Decimal(one), Typed::Decimal(other)) => decimals(comparison, one, other),
            (Typed::Decimal(one), Typed::Integer(other)) => decimals(comparison, one, widened(other)),
            (Typed::Integer(one), Typed::Decimal(other)) => decimals(comparison, widened(one), other),
            (Typed::Condition(one), Typed::Condition(other)) => match comparison {
                Comparison::Equal => same(one, other),
                Comparison::NotEqual => negation(same(one, other)),
                _ => {
                    let message = format!("conditions have no order, so {} can't stand here", comparison.symbol());
                    return self.refuse(left.start, message, "Compare conditions by == or !=");
                }
            },
            (one, other) => return self.refuse_comparison(left, &one, right, &other),
        })
    }

    pub(super) fn within(&mut self, left: &Expression, right: &Expression) -> Option<Node> {
        if is_attributes(right) {
            let Form::Text(name) = &left.form else {
                let message = format!("{} is no name of an attribute", self.source(left));
                return self.refuse(left.start, message, "Write the name itself, in quotes: \"plan\" in attributes");
            };
            return Some(self.has_attribute(name));
        }
        let one = self.typed(left);
        let Form::List(entries) = &right.form else {
            let message = format!("in needs a list, {} is none", self.source(right));
            let remedy = match right.form {
                Form::Text(_) | Form::Integer(_) | Form::Decimal(_) => format!("Write in [{}]", self.source(right)),
                _ => format!("Write {} == {}", self.source(left), self.source(right)),
            };
            return self.refuse(right.start, message, remedy);
        };
        Some(match one? {
            Typed::Text(text) => {
                let literals = Literals::new(self.entries(left, entries, "texts in quotes", text_entry)?);
                match text {
                    Text::Field(field) => Node::TextOneOf(field, literals),
                    text => general(General::Texts(Texts::In(text, literals))),
                }
            }
            Typed::Integer(integer) => {
                let literals = Literals::new(self.entries(left, entries, "integers", integer_entry)?);
                match integer {
                    Integer::Field(field) => Node::NumberOneOf(field, literals),
                    integer => general(General::IntegerIn(integer, literals)),
                }
            }
            Typed::Decimal(decimal) => {
                let literals = self.entries(left, entries, "numbers", decimal_entry)?;
                match decimal {
                    // What doesn't fit is no value of any field.
                    Decimal::Field(field) => Node::NumberOneOf(
                        field,
                        Literals::new(literals.into_iter().filter_map(|literal| i64::try_from(literal).ok()).collect()),
                    ),
                    decimal => general(General::DecimalIn(decimal, Literals::new(literals))),
                }
            }
            Typed::Condition(_) => {
                let message = format!("{} is a condition, which stands in no list", self.source(left));
                return self.refuse(left.start, message, "Write the condition alone, or ! before it");
            }
        })
    }

    /// The literals of a list. Each one that is something else is refused.
    fn entries<T>(
        &mut self,
        left: &Expression,
        entries: &[Expression],
        nouns: &str,
        of: fn(&Form) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut literals = Vec::with_capacity(entries.len());
        for entry in entries {
            match of(&entry.form) {
                Some(literal) => literals.push(literal),
                None => {
                    let (left, entry_text) = (self.source(left), self.source(entry));
                    let message = format!("{left} is looked for among {nouns}, {entry_text} is none");
                    let remedy = match entry.form {
                        Form::Text(_) | Form::Integer(_) | Form::Decimal(_) | Form::Bool(_) => {
                            format!("Write {nouns} only")
                        }
                        _ => format!("Lists hold literals: write {left} == {entry_text} beside it, joined by ||"),
                    };
                    self.refuse::<()>(entry.start, message, remedy);
                }
            }
        }
        (literals.len() == entries.len()).then_some(literals)
    }
}

fn text_entry(form: &Form) -> Option<Box<str>> {
    match form {
        Form::Text(text) => Some(text.as_str().into()),
        _ => None,
    }
}

fn integer_entry(form: &Form) -> Option<i64> {
    match form {
        Form::Integer(integer) => Some(*integer),
        _ => None,
    }
}

fn decimal_entry(form: &Form) -> Option<i128> {
    match form {
        Form::Integer(integer) => Some(literal::Decimal::of_integer(*integer).0),
        Form::Decimal(decimal) => Some(decimal.0),
        _ => None,
    }
}

fn same(one: Node, other: Node) -> Node {
    match (one, other) {
        (Node::Constant(constant), node) | (node, Node::Constant(constant)) => {
            if constant {
                node
            } else {
                negation(node)
            }
        }
        (one, other) => general(General::Same(one, other)),
    }
}

fn texts(comparison: Comparison, one: Text, other: Text) -> Node {
    match (comparison, one, other) {
        (Comparison::Equal, Text::Field(field), Text::Literal(literal))
        | (Comparison::Equal, Text::Literal(literal), Text::Field(field)) => Node::TextIs(field, literal),
        (Comparison::NotEqual, one, other) => negation(texts(Comparison::Equal, one, other)),
        (comparison, one, other) => general(General::Texts(Texts::Compare(comparison, one, other))),
    }
}

fn integers(comparison: Comparison, one: Integer, other: Integer) -> Node {
    match (one, other) {
        (Integer::Field(field), Integer::Literal(literal)) => bounded(field, comparison, literal.into(), true),
        (Integer::Literal(literal), Integer::Field(field)) => {
            bounded(field, comparison.mirrored(), literal.into(), true)
        }
        (one, other) => general(General::CompareIntegers(comparison, one, other)),
    }
}

fn widened(integer: Integer) -> Decimal {
    match integer {
        Integer::Literal(literal) => Decimal::Literal(literal::Decimal::of_integer(literal).0),
        integer => Decimal::Integer(integer),
    }
}

fn decimals(comparison: Comparison, one: Decimal, other: Decimal) -> Node {
    match (one, other) {
        (Decimal::Field(field), Decimal::Literal(literal)) => bounded(field, comparison, literal, true),
        (Decimal::Literal(literal), Decimal::Field(field)) => bounded(field, comparison.mirrored(), literal, true),
        (Decimal::Integer(Integer::Field(field)), Decimal::Literal(literal)) => {
            bounded(field, comparison, literal.div_euclid(SCALE), literal.rem_euclid(SCALE) == 0)
        }
        (one @ Decimal::Literal(_), other @ Decimal::Integer(Integer::Field(_))) => {
            decimals(comparison.mirrored(), other, one)
        }
        (one, other) => general(General::CompareDecimals(comparison, one, other)),
    }
}

/// A field against a literal, of which `floor` is what lies at or below it in the unit of the field.
fn bounded(field: NumberField, comparison: Comparison, floor: i128, exact: bool) -> Node {
    let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
    let (from, to) = match comparison {
        Comparison::NotEqual => return negation(bounded(field, Comparison::Equal, floor, exact)),
        Comparison::Equal if exact => (floor, floor),
        Comparison::Equal => (most, least),
        Comparison::Less if exact => (least, floor - 1),
        Comparison::Less | Comparison::LessOrEqual => (least, floor),
        Comparison::GreaterOrEqual if exact => (floor, most),
        Comparison::Greater | Comparison::GreaterOrEqual => (floor + 1, most),
    };
    match (i64::try_from(from.max(least)), i64::try_from(to.min(most))) {
        (Ok(from), Ok(to)) if from == to => Node::NumberIs(field, from),
        (Ok(from), Ok(to)) => Node::NumberWithin(field, from, to),
        // Out of all numbers' reach: fails wherever the field is there.
        _ => Node::NumberWithin(field, i64::MAX, i64::MIN),
    }
}
