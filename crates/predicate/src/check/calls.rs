//! Calls: `has`, `size`, `startsWith`, `endsWith`, `contains`, `matches`.

use streamgauge_events::Field;

use super::{Checker, Typed, general, is_attributes};
use crate::names::closest;
use crate::node::{General, Integer, Node, Test, Text, Texts};
use crate::pattern::Pattern;
use crate::syntax::{Expression, Form};

const FUNCTIONS: [&str; 6] = ["has", "size", "startsWith", "endsWith", "contains", "matches"];

/// Functions of CEL, and of its usual companions, that are not part of the language here.
const ELSEWHERE: [(&[&str], &str); 8] = [
    (
        &["int", "uint", "double", "string", "bool", "dyn", "bytes", "type"],
        "Fields have their types already: write the field itself",
    ),
    (&["timestamp", "duration", "now"], "Time is no part of predicates; latency_us is an integer of microseconds"),
    (
        &["all", "exists", "exists_one", "map", "filter", "existsOne"],
        "Write the comparisons themselves, joined by && or ||, or in [..]",
    ),
    (
        &["lowerAscii", "upperAscii", "lower", "upper", "toLowerCase", "toLower", "toUpper", "toUpperCase"],
        "Write matches(\"(?i)^text$\") to compare without regard to case",
    ),
    (&["abs", "round", "floor", "ceil", "min", "max"], "Compare with both bounds, joined by && or ||"),
    (
        &["trim", "split", "replace", "substring", "indexOf", "charAt", "format", "join"],
        "Write startsWith, endsWith, contains or matches",
    ),
    (&["in", "includes", "oneOf", "isIn"], "Write route in [\"/a\", \"/b\"]"),
    (
        &["isNull", "defined", "exists_field", "present"],
        "Write has(attributes.name); a comparison with an absent field is undecided by itself",
    ),
];

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        call: &Expression,
        of: Option<&Expression>,
        name: &str,
        arguments: &[Expression],
        name_at: usize,
    ) -> Option<Typed> {
        match (name, of, arguments) {
            ("has", None, [argument]) => self.has(argument).map(Typed::Condition),
            ("size", None, [of]) | ("size", Some(of), []) => {
                Some(Typed::Integer(Integer::Size(self.text_of(of, name)?)))
            }
            ("startsWith", Some(of), [with]) => self.test(Test::StartsWith, of, with, name),
            ("endsWith", Some(of), [with]) => self.test(Test::EndsWith, of, with, name),
            ("contains", Some(of), [with]) => self.test(Test::Contains, of, with, name),
            ("matches", Some(of), [pattern]) | ("matches", None, [of, pattern]) => self.matches(of, pattern),
            _ if FUNCTIONS.contains(&name) => {
                let remedy = match name {
                    "has" => "Write has(attributes.name)",
                    "size" => "Write size(route) or route.size()",
                    "matches" => "Write route.matches(\"^/pay\")",
                    _ => &format!("Write it behind a text, with one argument: route.{name}(\"/pay\")"),
                };
                let message = format!("{} is not how {name} is called", self.source(call));
                self.refuse(name_at, message, remedy)
            }
            _ => self.refuse_function(name, name_at),
        }
    }

    fn refuse_function<T>(&mut self, name: &str, at: usize) -> Option<T> {
        let elsewhere =
            ELSEWHERE.iter().find(|(names, _)| names.contains(&name)).map(|(_, remedy)| (*remedy).to_owned());
        let remedy = elsewhere.unwrap_or_else(|| match closest(name, FUNCTIONS.into_iter()) {
            Some(known) => format!("Write {known}"),
            None => format!("There are {}", FUNCTIONS.join(", ")),
        });
        self.refuse(at, format!("there is no function {name}"), remedy)
    }

    pub(super) fn has_attribute(&mut self, name: &str) -> Node {
        self.fields = self.fields.with(Field::Attributes);
        general(General::HasAttribute(name.into()))
    }

    fn has(&mut self, argument: &Expression) -> Option<Node> {
        match &argument.form {
            Form::Member(of, name, _) if is_attributes(of) => Some(self.has_attribute(name)),
            Form::Element(of, key) if is_attributes(of) => {
                let remedy = format!("Write {} in attributes", self.source(key));
                self.refuse(argument.start, "has() takes a name behind a dot", remedy)
            }
            _ => {
                let message = format!("has() asks for an attribute, {} is none", self.source(argument));
                let remedy = "Write has(attributes.name); a comparison with an absent field is undecided by itself";
                self.refuse(argument.start, message, remedy)
            }
        }
    }

    /// What a function of texts is called on or with.
    fn text_of(&mut self, expression: &Expression, name: &str) -> Option<Text> {
        match self.typed(expression)? {
            Typed::Text(text) => Some(text),
            other => {
                let message = format!("{name} takes texts, {} is {}", self.source(expression), other.noun());
                let remedy = match (&other, &expression.form) {
                    (_, Form::Integer(_) | Form::Decimal(_)) => {
                        format!("Write \"{}\", in quotes", self.source(expression))
                    }
                    (Typed::Condition(_), _) => "Write the condition alone".to_owned(),
                    _ => "Compare numbers by == != < <= > >= or in".to_owned(),
                };
                self.refuse(expression.start, message, remedy)
            }
        }
    }

    fn test(&mut self, test: Test, of: &Expression, with: &Expression, name: &str) -> Option<Typed> {
        let (of, with) = (self.text_of(of, name), self.text_of(with, name));
        Some(Typed::Condition(match (of?, with?) {
            (Text::Field(field), Text::Literal(literal)) => Node::TextTest(field, test, literal),
            (of, with) => general(General::Texts(Texts::Test(test, of, with))),
        }))
    }

    fn matches(&mut self, of: &Expression, pattern: &Expression) -> Option<Typed> {
        let of = self.text_of(of, "matches");
        let Form::Text(text) = &pattern.form else {
            let message = format!("{} is no literal pattern", self.source(pattern));
            return self.refuse(pattern.start, message, "Write the pattern itself, in quotes: matches(\"^/pay\")");
        };
        match Pattern::new(text) {
            Ok(pattern) => Some(Typed::Condition(general(General::Texts(Texts::Matches(of?, pattern))))),
            Err(error) => {
                let remedy = "Write a pattern of RE2 without Unicode classes; a backslash of the pattern is \\\\ here, or \\ in r\"...\"";
                self.refuse(pattern.start, format!("the pattern can't be read: {error}"), remedy)
            }
        }
    }
}
