//! tree of syntax + kind → compiled predicate
//!
//! Finds the type of everything, refuses what has none, and picks the node that answers quickest. Errors are collected, so
//! that one reading shows all of them. Must never know: events.

use streamgauge_events::{Field, FieldSet, Kind};

use crate::PredicateError;
use crate::node::{Decimal, General, Integer, Node, Text};
use crate::syntax::{Arithmetic, Expression, Form};

mod calls;
mod comparisons;
mod refusals;

/// A compiled expression, by its type.
pub(crate) enum Typed {
    Condition(Node),
    Integer(Integer),
    Decimal(Decimal),
    Text(Text),
}

impl Typed {
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Condition(_) => "a condition",
            Self::Integer(_) => "an integer",
            Self::Decimal(_) => "a decimal number",
            Self::Text(_) => "a text",
        }
    }
}

pub(crate) struct Checker<'t> {
    text: &'t str,
    kind: Kind,
    pub errors: Vec<PredicateError>,
    pub fields: FieldSet,
}

impl<'t> Checker<'t> {
    pub fn new(text: &'t str, kind: Kind) -> Self {
        Self { text, kind, errors: Vec::new(), fields: FieldSet::NONE }
    }

    /// What the text says there.
    fn source(&self, expression: &Expression) -> &'t str {
        &self.text[expression.start..expression.end]
    }

    /// `None` where it or something below it was refused.
    fn refuse<T>(&mut self, at: usize, message: impl Into<String>, remedy: impl Into<String>) -> Option<T> {
        self.errors.push(PredicateError { at, message: message.into(), remedy: remedy.into() });
        None
    }

    pub fn typed(&mut self, expression: &Expression) -> Option<Typed> {
        let at = expression.start;
        Some(match &expression.form {
            Form::Bool(value) => Typed::Condition(Node::Constant(*value)),
            Form::Integer(value) => Typed::Integer(Integer::Literal(*value)),
            Form::Decimal(value) => Typed::Decimal(Decimal::Literal(value.0)),
            Form::Text(text) => Typed::Text(Text::Literal(text.as_str().into())),
            Form::Null => return self.refuse_null(at),
            Form::Name(name) => return self.field(name, at),
            Form::List(_) => {
                return self.refuse(at, "a list can't stand here", "Lists stand behind in: route in [\"/a\", \"/b\"]");
            }
            Form::Member(of, name, name_at) => return self.member(of, name, *name_at),
            Form::Element(of, key) => return self.element(of, key),
            Form::Call(of, name, arguments, name_at) => {
                return self.call(expression, of.as_deref(), name, arguments, *name_at);
            }
            Form::Not(of) => Typed::Condition(negation(self.condition(of)?)),
            Form::Negative(of) => match self.typed(of)? {
                Typed::Integer(of) => Typed::Integer(Integer::Negative(Box::new(of))),
                Typed::Decimal(of) => Typed::Decimal(Decimal::Negative(Box::new(of))),
                other => {
                    let message = format!("- needs a number, {} is {}", self.source(of), other.noun());
                    return self.refuse(at, message, "Write - before numbers, ! before conditions");
                }
            },
            Form::All(parts) => Typed::Condition(all(self.conditions(parts)?)),
            Form::Any(parts) => Typed::Condition(Node::Any(self.conditions(parts)?.into())),
            Form::Compare(comparison, left, right) => {
                return self.compare(*comparison, left, right).map(Typed::Condition);
            }
            Form::In(left, right) => return self.within(left, right).map(Typed::Condition),
            Form::Arithmetic(operator, left, right) => return self.arithmetic(*operator, left, right),
            Form::Conditional(parts) => return self.conditional(parts),
        })
    }

    /// Something that holds or fails.
    pub fn condition(&mut self, expression: &Expression) -> Option<Node> {
        match self.typed(expression)? {
            Typed::Condition(node) => Some(node),
            other => self.refuse_as_condition(expression, &other, None),
        }
    }

    /// All of them are looked at, even if the first is refused.
    fn conditions(&mut self, parts: &[Expression]) -> Option<Vec<Node>> {
        let mut nodes = Vec::with_capacity(parts.len());
        let mut before = None;
        for part in parts {
            match self.typed(part) {
                Some(Typed::Condition(node)) => nodes.push(node),
                Some(other) => _ = self.refuse_as_condition::<()>(part, &other, before),
                None => {}
            }
            if let Form::Compare(_, of, _) | Form::In(of, _) = &part.form {
                before = Some(self.source(of));
            }
        }
        (nodes.len() == parts.len()).then_some(nodes)
    }

    fn both(&mut self, left: &Expression, right: &Expression) -> Option<(Typed, Typed)> {
        let (left, right) = (self.typed(left), self.typed(right));
        Some((left?, right?))
    }

    fn field(&mut self, name: &str, at: usize) -> Option<Typed> {
        let Some(field) = self.kind.field(name) else { return self.refuse_name(name, at) };
        let typed = match field {
            Field::Text(field) => Typed::Text(Text::Field(field)),
            Field::Number(field) if field.is_decimal() => Typed::Decimal(Decimal::Field(field)),
            Field::Number(field) => Typed::Integer(Integer::Field(field)),
            Field::Ok => Typed::Condition(Node::Ok),
            Field::Ts => {
                let remedy = "Take it out: time decides to which window an event belongs, whatever a predicate says";
                return self.refuse(at, "ts can't be asked for", remedy);
            }
            Field::Attributes => {
                let remedy =
                    "Write attributes.name, attributes[\"name\"], has(attributes.name) or \"name\" in attributes";
                return self.refuse(at, "attributes alone is no value", remedy);
            }
        };
        self.fields = self.fields.with(field);
        Some(typed)
    }

    fn attribute(&mut self, name: &str) -> Typed {
        self.fields = self.fields.with(Field::Attributes);
        Typed::Text(Text::Attribute(name.into()))
    }

    fn member(&mut self, of: &Expression, name: &str, name_at: usize) -> Option<Typed> {
        if is_attributes(of) {
            return Some(self.attribute(name));
        }
        self.refuse_member(of, name, name_at)
    }

    fn element(&mut self, of: &Expression, key: &Expression) -> Option<Typed> {
        match (&key.form, is_attributes(of)) {
            (Form::Text(name), true) => Some(self.attribute(name)),
            (_, true) => {
                let message = format!("{} is no name of an attribute", self.source(key));
                self.refuse(key.start, message, "Write the name itself, in quotes: attributes[\"plan\"]")
            }
            (_, false) => {
                let message = format!("{} has no elements", self.source(of));
                self.refuse(of.start, message, "Only attributes have: attributes[\"plan\"]")
            }
        }
    }

    fn arithmetic(&mut self, operator: Arithmetic, left: &Expression, right: &Expression) -> Option<Typed> {
        match self.both(left, right)? {
            (Typed::Integer(one), Typed::Integer(other)) => {
                Some(Typed::Integer(Integer::Arithmetic(operator, Box::new((one, other)))))
            }
            (one, other) => {
                let (wrong, found) = if matches!(one, Typed::Integer(_)) { (right, other) } else { (left, one) };
                let message =
                    format!("{} takes integers, {} is {}", operator.symbol(), self.source(wrong), found.noun());
                let remedy = match found {
                    Typed::Text(_) => "Compare texts by ==, in, startsWith, endsWith, contains or matches",
                    Typed::Decimal(_) => "Compare it with a literal, and do the arithmetic beforehand",
                    _ => "Write condition ? 1 : 0 to count a condition",
                };
                self.refuse(wrong.start, message, remedy)
            }
        }
    }

    fn conditional(&mut self, parts: &[Expression; 3]) -> Option<Typed> {
        let [condition, yes, no] = parts;
        let condition = self.condition(condition);
        let (one, other) = self.both(yes, no)?;
        let condition = condition?;
        Some(match (one, other) {
            (Typed::Condition(one), Typed::Condition(other)) => {
                Typed::Condition(general(General::Conditional([condition, one, other])))
            }
            (Typed::Integer(one), Typed::Integer(other)) => {
                Typed::Integer(Integer::Conditional(Box::new((condition, one, other))))
            }
            (Typed::Decimal(one), Typed::Decimal(other)) => {
                Typed::Decimal(Decimal::Conditional(Box::new((condition, one, other))))
            }
            (Typed::Text(one), Typed::Text(other)) => Typed::Text(Text::Conditional(Box::new((condition, one, other)))),
            (one, other) => {
                let message = format!(
                    "both sides of : have one type, {} is {} and {} is {}",
                    self.source(yes),
                    one.noun(),
                    self.source(no),
                    other.noun()
                );
                let remedy = match (&one, &other) {
                    (Typed::Integer(_), Typed::Decimal(_)) | (Typed::Decimal(_), Typed::Integer(_)) => {
                        "Write integers with a point where the other side is decimal: 1.0"
                    }
                    _ => "Give both sides the same type",
                };
                return self.refuse(yes.start, message, remedy);
            }
        })
    }
}

fn is_attributes(expression: &Expression) -> bool {
    matches!(&expression.form, Form::Name(name) if name == Field::Attributes.name())
}

fn general(general: General) -> Node {
    Node::General(Box::new(general))
}

fn negation(node: Node) -> Node {
    match node {
        Node::Not(node) => *node,
        Node::Constant(value) => Node::Constant(!value),
        node => Node::Not(Box::new(node)),
    }
}

/// Neighbours that bound the same field become one look at it: `status > 0 && status < 500`. All of them are undecided, or
/// none is.
fn all(parts: Vec<Node>) -> Node {
    let mut merged: Vec<Node> = Vec::with_capacity(parts.len());
    for part in parts {
        match (merged.last_mut(), &part) {
            (Some(Node::NumberWithin(before, from, to)), Node::NumberWithin(field, low, high)) if before == field => {
                (*from, *to) = ((*from).max(*low), (*to).min(*high));
            }
            _ => merged.push(part),
        }
    }
    if merged.len() > 1 { Node::All(merged.into()) } else { merged.pop().unwrap_or(Node::Constant(true)) }
}
