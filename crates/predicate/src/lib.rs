//! text of CEL + kind → whether an event is meant
//!
//! A typed subset of CEL over one event: parsed and checked against the fields of a kind when it is loaded, compiled once to
//! something that answers in nanoseconds. What an event lacks leaves a question undecided, by CEL's rules for errors.
//! Must never know: what a verdict is counted for, records' encodings, clocks, IO. `docs/predicates.md` is its page.

use std::fmt;

use streamgauge_events::{Event, FieldSet, Kind};

mod check;
mod explain;
mod literal;
mod names;
mod node;
mod pattern;
mod syntax;
mod token;

/// A predicate over the events of a kind that has been checked.
#[derive(Clone)]
pub struct Predicate {
    text: Box<str>,
    kind: Kind,
    fields: FieldSet,
    node: node::Node,
}

/// What is wrong with a predicate, where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at column {}). {remedy}", .at + 1)]
pub struct PredicateError {
    /// Bytes from the start of the text.
    pub at: usize,
    pub message: String,
    pub remedy: String,
}

/// One step of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many steps it stands inside of.
    pub depth: usize,
    /// Its source.
    pub text: String,
    /// The values that the event has for what it reads; empty where it stands above other parts.
    pub found: String,
    pub holds: Option<bool>,
}

impl Predicate {
    /// All that is wrong with its types at once; of its grammar the first thing.
    pub fn compile(text: &str, kind: Kind) -> Result<Self, Vec<PredicateError>> {
        let expression = syntax::parse(text).map_err(|error| vec![error])?;
        let mut checker = check::Checker::new(text, kind);
        match checker.condition(&expression) {
            Some(node) if checker.errors.is_empty() => {
                Ok(Self { text: text.into(), kind, fields: checker.fields, node })
            }
            _ => {
                let mut errors = checker.errors;
                errors.sort_by_key(|error| error.at);
                Err(errors)
            }
        }
    }

    /// `None`: the event lacks what it would take to decide.
    #[inline]
    pub fn holds(&self, event: &Event<'_>) -> Option<bool> {
        self.node.holds(event)
    }

    /// The fields that it reads.
    pub fn fields(&self) -> FieldSet {
        self.fields
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it came to part by part, in the order of the text: for people who ask why.
    pub fn explain(&self, event: &Event<'_>) -> Vec<Part> {
        explain::explain(&self.text, self.kind, event)
    }
}

/// Two are equal that say the same of the same kind.
impl PartialEq for Predicate {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.text == other.text
    }
}

impl Eq for Predicate {}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Predicate({} of a {})", self.text, self.kind)
    }
}
