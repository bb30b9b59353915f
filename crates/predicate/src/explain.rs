//! predicate + event → its parts, with what was found and what each came to
//!
//! Reads the text again and compiles each part of it by itself: nothing is kept in a predicate for the day on which
//! somebody asks. Must never know: how a verdict is shown.

use std::collections::BTreeSet;

use streamgauge_events::{Event, Field, Kind, json_number};

use crate::Part;
use crate::check::Checker;
use crate::syntax::{self, Expression, Form};

pub(crate) fn explain(text: &str, kind: Kind, event: &Event<'_>) -> Vec<Part> {
    let mut explanation = Explanation { text, kind, event, parts: Vec::new() };
    // A text that has been compiled has a tree.
    if let Ok(expression) = syntax::parse(text) {
        explanation.add(&expression, 0);
    }
    explanation.parts
}

struct Explanation<'t> {
    text: &'t str,
    kind: Kind,
    event: &'t Event<'t>,
    parts: Vec<Part>,
}

impl Explanation<'_> {
    fn add(&mut self, expression: &Expression, depth: usize) {
        let holds = Checker::new(self.text, self.kind).condition(expression).and_then(|node| node.holds(self.event));
        let text = self.text[expression.start..expression.end].to_owned();
        let inner: Vec<&Expression> = match &expression.form {
            Form::Not(_) | Form::All(_) | Form::Any(_) | Form::Conditional(_) => expression.form.children(),
            _ => Vec::new(),
        };
        let found = if inner.is_empty() { self.found(expression) } else { String::new() };
        self.parts.push(Part { depth, text, found, holds });
        for part in inner {
            self.add(part, depth + 1);
        }
    }

    /// Each thing that is read below, once: `status = 503, route is absent`.
    fn found(&self, expression: &Expression) -> String {
        let mut found = Vec::new();
        self.collect(expression, &mut found);
        let mut seen = BTreeSet::new();
        found.retain(|reading| seen.insert(reading.clone()));
        found.join(", ")
    }

    fn collect(&self, expression: &Expression, found: &mut Vec<String>) {
        match &expression.form {
            Form::Name(name) => found.extend(self.kind.field(name).and_then(|field| self.field(field))),
            Form::Member(of, name, _) if is_attributes(of) => {
                found.push(self.attribute(name, format!("attributes.{name}")))
            }
            Form::Element(_, key) => {
                if let Form::Text(name) = &key.form {
                    found.push(self.attribute(name, format!("attributes[{name:?}]")));
                }
            }
            Form::In(left, right) if is_attributes(right) => {
                if let Form::Text(name) = &left.form {
                    found.push(self.attribute(name, format!("attributes[{name:?}]")));
                }
            }
            form => form.children().into_iter().for_each(|child| self.collect(child, found)),
        }
    }

    fn attribute(&self, name: &str, shown: String) -> String {
        reading(&shown, self.event.attributes.get(name).map(|text| format!("{text:?}")))
    }

    fn field(&self, field: Field) -> Option<String> {
        let value = match field {
            Field::Text(field) => self.event.text(field).map(|text| format!("{text:?}")),
            Field::Number(field) if field.is_decimal() => self.event.number(field).map(json_number::from_millionths),
            Field::Number(field) => self.event.number(field).map(|number| number.to_string()),
            Field::Ok => self.event.ok.map(|ok| ok.to_string()),
            Field::Ts | Field::Attributes => return None,
        };
        Some(reading(field.name(), value))
    }
}

fn reading(name: &str, value: Option<String>) -> String {
    value.map_or_else(|| format!("{name} is absent"), |value| format!("{name} = {value}"))
}

fn is_attributes(expression: &Expression) -> bool {
    matches!(&expression.form, Form::Name(name) if name == Field::Attributes.name())
}
