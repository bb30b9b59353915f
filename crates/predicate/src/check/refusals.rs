//! What is refused, and what to write instead.

use streamgauge_events::{Field, Kind};

use super::{Checker, Typed, is_attributes};
use crate::names::{closest_field, offered};
use crate::syntax::{Expression, Form};

impl Checker<'_> {
    pub(super) fn refuse_null<T>(&mut self, at: usize) -> Option<T> {
        let remedy =
            "A comparison with an absent field is undecided by itself; ask for an attribute by has(attributes.name)";
        self.refuse(at, "null can't be compared with", remedy)
    }

    pub(super) fn refuse_name<T>(&mut self, name: &str, at: usize) -> Option<T> {
        let kind = self.kind;
        let message = format!("a {kind} has no field {name}");
        let others: Vec<&str> = Kind::ALL
            .into_iter()
            .filter(|other| *other != kind && other.field(name).is_some())
            .map(Kind::as_str)
            .collect();
        let known = || offered(kind).map(|field| field.name()).collect::<Vec<_>>().join(", ");
        let remedy = match (closest_field(name, kind), name.to_ascii_lowercase().as_str()) {
            _ if !others.is_empty() => {
                format!("It is a field of the kind {}; a {kind} has {}", others.join(" and of "), known())
            }
            (_, "null" | "nil" | "none" | "undefined") => {
                "A comparison with an absent field is undecided by itself; ask for an attribute by has(attributes.name)"
                    .to_owned()
            }
            (_, "true" | "false") => format!("Write {}", name.to_ascii_lowercase()),
            (Some("attributes"), _) => "Write attributes.name".to_owned(),
            (
                Some("latency_us"),
                "latency" | "latency_ms" | "duration" | "duration_ms" | "elapsed" | "response_time",
            ) => "Write latency_us, in microseconds".to_owned(),
            (Some("ok"), "error" | "failed") => "Write !ok".to_owned(),
            (Some(closest), _) => format!("Write {closest}"),
            (None, _) => format!(
                "Write \"{name}\" in quotes if it is a text, attributes.{name} if it is an attribute; a {kind} has {}",
                known()
            ),
        };
        self.refuse(at, message, remedy)
    }

    pub(super) fn refuse_member<T>(&mut self, of: &Expression, name: &str, name_at: usize) -> Option<T> {
        let source = self.source(of);
        match &of.form {
            Form::Member(inner, ..) if is_attributes(inner) => {
                let remedy = format!(
                    "Attributes are texts without members; write attributes[\"...{name}\"] if that is its name"
                );
                self.refuse(name_at, format!("{source} has no member {name}"), remedy)
            }
            Form::Name(outer) if self.kind.field(outer).is_none() => {
                let remedy = match (self.kind.field(name), closest_field(name, self.kind)) {
                    (Some(field), _) => format!("Write {field}: fields stand alone"),
                    (None, Some(closest)) => format!("Write {closest}: fields stand alone"),
                    (None, None) => format!("Write attributes.{name} if it is an attribute"),
                };
                self.refuse(of.start, format!("there is no {source}.{name}"), remedy)
            }
            _ => self.refuse(
                name_at,
                format!("{source} has no member {name}"),
                "Only attributes have members: attributes.name",
            ),
        }
    }

    /// `before` is what the condition before it compares: `route` in `route == "/a" || "/b"`.
    pub(super) fn refuse_as_condition<T>(
        &mut self,
        expression: &Expression,
        found: &Typed,
        before: Option<&str>,
    ) -> Option<T> {
        let source = self.source(expression);
        let remedy = match (found, &expression.form) {
            (_, Form::Text(_) | Form::Integer(_) | Form::Decimal(_)) => match before {
                Some(before) => {
                    format!("Repeat what it is compared with: {before} == {source}, or write {before} in [..]")
                }
                None => format!("Compare a field with it: {} == {source}", self.field_for(found)),
            },
            (Typed::Text(_), _) => format!("Compare it: {source} == \"...\""),
            (Typed::Decimal(_), _) => format!("Compare it: {source} >= 0.5"),
            _ => format!("Compare it: {source} > 0"),
        };
        self.refuse(expression.start, format!("{source} is {}, no condition", found.noun()), remedy)
    }

    /// A field of that type, as an example.
    fn field_for(&self, found: &Typed) -> &'static str {
        let is_text = matches!(found, Typed::Text(_));
        let is_like =
            |field: &Field| if is_text { matches!(field, Field::Text(_)) } else { matches!(field, Field::Number(_)) };
        offered(self.kind).find(is_like).map_or("field", Field::name)
    }

    /// Sides of different types: the remedy is about the literal among them.
    pub(super) fn refuse_comparison<T>(
        &mut self,
        left: &Expression,
        one: &Typed,
        right: &Expression,
        other: &Typed,
    ) -> Option<T> {
        let is_literal = |expression: &Expression| {
            matches!(expression.form, Form::Text(_) | Form::Integer(_) | Form::Decimal(_) | Form::Bool(_))
        };
        // What the comparison is about, and what stands against it.
        let (about, about_type, against, against_type) =
            if is_literal(left) && !is_literal(right) { (right, other, left, one) } else { (left, one, right, other) };
        let (source, literal) = (self.source(about), self.source(against));
        let message = format!("{source} is {}, {literal} is {}", about_type.noun(), against_type.noun());
        let remedy = match (about_type, &against.form) {
            (Typed::Integer(_) | Typed::Decimal(_), Form::Text(text)) if is_number(text) => {
                format!("Write {text}, without quotes")
            }
            (Typed::Text(_), Form::Integer(_) | Form::Decimal(_) | Form::Bool(_)) => {
                format!("Write \"{literal}\", in quotes")
            }
            (Typed::Integer(_), _) => format!("Compare {source} with an integer"),
            (Typed::Decimal(_), _) => format!("Compare {source} with a number"),
            (Typed::Text(_), _) => format!("Compare {source} with a text in quotes"),
            (Typed::Condition(_), _) => format!("Write {source} or !{source} alone"),
        };
        self.refuse(against.start, message, remedy)
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()) && crate::literal::decimal_length(digits) == digits.len()
}
