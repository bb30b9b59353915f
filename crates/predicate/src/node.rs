//! compiled predicate + event → holds, fails, or is undecided
//!
//! Trees of nodes, with a node of its own for each comparison of a field with a literal: that is what nearly every
//! predicate consists of. `None` is CEL's error: something was absent, or arithmetic left 64 bits. Must never know: texts
//! of predicates, types, since what stands here has been checked.

use std::borrow::Cow;

use streamgauge_events::{Event, NumberField, TextField};

use crate::literal::SCALE;
use crate::pattern::Pattern;
use crate::syntax::{Arithmetic, Comparison};

/// A condition.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Constant(bool),
    Ok,
    /// `field == literal`, in the unit in which the field is kept.
    NumberIs(NumberField, i64),
    /// Both ends included: every comparison with a literal but `!=` is one of these.
    NumberWithin(NumberField, i64, i64),
    NumberOneOf(NumberField, Literals<i64>),
    TextIs(TextField, Box<str>),
    TextOneOf(TextField, Literals<Box<str>>),
    TextTest(TextField, Test, Box<str>),
    Not(Box<Node>),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    General(Box<General>),
}

/// Conditions that are rarer.
#[derive(Clone, Debug)]
pub(crate) enum General {
    HasAttribute(Box<str>),
    Texts(Texts),
    CompareIntegers(Comparison, Integer, Integer),
    IntegerIn(Integer, Literals<i64>),
    CompareDecimals(Comparison, Decimal, Decimal),
    DecimalIn(Decimal, Literals<i128>),
    Same(Node, Node),
    Conditional([Node; 3]),
}

/// Conditions on texts other than a field against a literal.
#[derive(Clone, Debug)]
pub(crate) enum Texts {
    Matches(Text, Pattern),
    Compare(Comparison, Text, Text),
    Test(Test, Text, Text),
    In(Text, Literals<Box<str>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Clone, Debug)]
pub(crate) enum Text {
    Literal(Box<str>),
    Field(TextField),
    Attribute(Box<str>),
    Conditional(Box<(Node, Text, Text)>),
}

#[derive(Clone, Debug)]
pub(crate) enum Integer {
    Literal(i64),
    Field(NumberField),
    /// Of a text, in characters.
    Size(Text),
    Negative(Box<Integer>),
    Arithmetic(Arithmetic, Box<(Integer, Integer)>),
    Conditional(Box<(Node, Integer, Integer)>),
}

/// In millionths.
#[derive(Clone, Debug)]
pub(crate) enum Decimal {
    Literal(i128),
    Field(NumberField),
    Integer(Integer),
    Negative(Box<Decimal>),
    Conditional(Box<(Node, Decimal, Decimal)>),
}

/// A set of literals: few are compared one by one, many are searched.
#[derive(Clone, Debug)]
pub(crate) struct Literals<T>(Box<[T]>);

/// From so many on a search takes fewer comparisons than looking at each, most of which end at the length.
const SEARCHED_FROM: usize = 12;

impl<T: Ord> Literals<T> {
    pub fn new(mut literals: Vec<T>) -> Self {
        literals.sort();
        literals.dedup();
        Self(literals.into())
    }

    #[inline]
    fn contains<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        if self.0.len() < SEARCHED_FROM {
            self.0.iter().any(|literal| literal.borrow() == value)
        } else {
            self.finds(value)
        }
    }

    #[inline(never)]
    fn finds<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        self.0.binary_search_by(|literal| literal.borrow().cmp(value)).is_ok()
    }
}

impl Node {
    /// Leaves are answered where they are asked for; what has parts takes a call.
    #[inline]
    pub fn holds(&self, event: &Event<'_>) -> Option<bool> {
        match self {
            Self::Ok => event.ok,
            Self::NumberIs(field, literal) => Some(event.number(*field)? == *literal),
            Self::NumberWithin(field, from, to) => {
                let number = event.number(*field)?;
                // Both without a branch: which of them fails can't be foretold.
                Some((number >= *from) & (number <= *to))
            }
            Self::TextIs(field, literal) => Some(event.text(*field)? == &**literal),
            composed => composed.holds_composed(event),
        }
    }

    #[inline(never)]
    fn holds_composed(&self, event: &Event<'_>) -> Option<bool> {
        match self {
            Self::All(nodes) => decide(nodes, event, false),
            Self::Any(nodes) => decide(nodes, event, true),
            Self::Not(node) => node.holds(event).map(|holds| !holds),
            Self::NumberOneOf(field, literals) => Some(literals.contains(&event.number(*field)?)),
            Self::TextOneOf(field, literals) => Some(literals.contains(event.text(*field)?)),
            Self::TextTest(field, test, literal) => Some(test.holds(event.text(*field)?, literal)),
            Self::Constant(constant) => Some(*constant),
            Self::General(general) => general.holds(event),
            leaf => leaf.holds(event),
        }
    }
}

impl General {
    #[inline(never)]
    fn holds(&self, event: &Event<'_>) -> Option<bool> {
        match self {
            Self::Conditional([condition, yes, no]) => if condition.holds(event)? { yes } else { no }.holds(event),
            Self::CompareIntegers(comparison, left, right) => {
                Some(comparison.holds(&left.of(event)?, &right.of(event)?))
            }
            Self::IntegerIn(integer, literals) => Some(literals.contains(&integer.of(event)?)),
            Self::CompareDecimals(comparison, left, right) => {
                Some(comparison.holds(&left.of(event)?, &right.of(event)?))
            }
            Self::DecimalIn(decimal, literals) => Some(literals.contains(&decimal.of(event)?)),
            Self::Same(left, right) => Some(left.holds(event)? == right.holds(event)?),
            Self::HasAttribute(name) => Some(event.attributes.get(name).is_some()),
            Self::Texts(texts) => texts.holds(event),
        }
    }
}

impl Texts {
    /// Apart: texts that may be owned need a frame that others shouldn't pay for.
    #[inline(never)]
    fn holds(&self, event: &Event<'_>) -> Option<bool> {
        Some(match self {
            Self::Matches(text, pattern) => pattern.is_match(&text.of(event)?),
            Self::Compare(comparison, left, right) => comparison.holds(&*left.of(event)?, &*right.of(event)?),
            Self::Test(test, text, with) => test.holds(&text.of(event)?, &with.of(event)?),
            Self::In(text, literals) => literals.contains(&*text.of(event)?),
        })
    }
}

/// `decisive` in one part decides, whatever is undecided beside it.
#[inline]
fn decide(nodes: &[Node], event: &Event<'_>, decisive: bool) -> Option<bool> {
    let mut verdict = Some(!decisive);
    for node in nodes {
        match node.holds(event) {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => verdict = None,
        }
    }
    verdict
}

impl Test {
    #[inline]
    fn holds(self, text: &str, with: &str) -> bool {
        match self {
            Self::StartsWith => text.starts_with(with),
            Self::EndsWith => text.ends_with(with),
            Self::Contains => contains(text, with),
        }
    }
}

/// Apart, since the search is large and rare.
#[inline(never)]
fn contains(text: &str, with: &str) -> bool {
    text.contains(with)
}

impl Text {
    #[inline(never)]
    fn size(&self, event: &Event<'_>) -> Option<i64> {
        i64::try_from(self.of(event)?.chars().count()).ok()
    }

    fn of<'e>(&'e self, event: &'e Event<'_>) -> Option<Cow<'e, str>> {
        match self {
            Self::Literal(literal) => Some(Cow::Borrowed(literal)),
            Self::Field(field) => event.text(*field).map(Cow::Borrowed),
            Self::Attribute(name) => event.attributes.get(name),
            Self::Conditional(parts) => {
                let (condition, yes, no) = &**parts;
                if condition.holds(event)? { yes } else { no }.of(event)
            }
        }
    }
}

impl Integer {
    #[inline]
    fn of(&self, event: &Event<'_>) -> Option<i64> {
        match self {
            Self::Literal(literal) => Some(*literal),
            Self::Field(field) => event.number(*field),
            composed => composed.of_composed(event),
        }
    }

    #[inline(never)]
    fn of_composed(&self, event: &Event<'_>) -> Option<i64> {
        match self {
            Self::Arithmetic(operator, operands) => {
                let (left, right) = (operands.0.of(event)?, operands.1.of(event)?);
                match operator {
                    Arithmetic::Add => left.checked_add(right),
                    Arithmetic::Subtract => left.checked_sub(right),
                    Arithmetic::Multiply => left.checked_mul(right),
                    Arithmetic::Divide => left.checked_div(right),
                    Arithmetic::Remainder => left.checked_rem(right),
                }
            }
            Self::Negative(of) => of.of(event)?.checked_neg(),
            Self::Conditional(parts) => {
                let (condition, yes, no) = &**parts;
                if condition.holds(event)? { yes } else { no }.of(event)
            }
            Self::Size(text) => text.size(event),
            leaf => leaf.of(event),
        }
    }
}

impl Decimal {
    /// No sum of what stands here leaves 128 bits: nothing but signs is applied to literals and fields.
    fn of(&self, event: &Event<'_>) -> Option<i128> {
        match self {
            Self::Literal(literal) => Some(*literal),
            Self::Field(field) => event.number(*field).map(i128::from),
            Self::Integer(integer) => integer.of(event).map(|integer| i128::from(integer) * SCALE),
            Self::Negative(of) => of.of(event).map(|value| -value),
            Self::Conditional(parts) => {
                let (condition, yes, no) = &**parts;
                if condition.holds(event)? { yes } else { no }.of(event)
            }
        }
    }
}
