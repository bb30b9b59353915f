//! What is wrong with a definition, or probably not meant: where, what was found, what was expected, what to do. And how a
//! document is read so that all mistakes come out at once.

use std::fmt;

use crate::yaml::{Content, Node, Place};

/// One mistake in a definition file, or one warning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Mistake {
    pub file: String,
    /// From 1.
    pub line: u64,
    /// From 1.
    pub column: u64,
    /// Where in the document: `SLI/checkout-fast: spec.ratioMetric.counter`.
    pub path: String,
    pub found: String,
    pub expected: String,
    pub remedy: String,
}

impl std::error::Error for Mistake {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { file, line, column, path, found, expected, remedy } = self;
        write!(f, "{file}:{line}:{column}: {path}: found {found}; expected {expected}. {remedy}")
    }
}

/// Collects mistakes while the documents of one file are read.
pub(crate) struct Reader<'f> {
    pub file: &'f str,
    /// `SLI/checkout-fast`, as soon as that is known.
    pub document: String,
    pub mistakes: &'f mut Vec<Mistake>,
    /// What is allowed, and probably not meant.
    pub warnings: &'f mut Vec<Mistake>,
}

impl Reader<'_> {
    pub fn mistake(&mut self, place: Place, path: &str, found: &str, expected: &str, remedy: &str) {
        let mistake = self.at(place, path, found, expected, remedy);
        self.mistakes.push(mistake);
    }

    pub fn warning(&mut self, place: Place, path: &str, found: &str, expected: &str, remedy: &str) {
        let warning = self.at(place, path, found, expected, remedy);
        self.warnings.push(warning);
    }

    fn at(&self, place: Place, path: &str, found: &str, expected: &str, remedy: &str) -> Mistake {
        let path = match (self.document.as_str(), path) {
            ("", "") => "the document".to_owned(),
            ("", path) => path.to_owned(),
            (document, "") => document.to_owned(),
            (document, path) => format!("{document}: {path}"),
        };
        Mistake {
            file: self.file.to_owned(),
            line: place.line,
            column: place.column,
            path,
            found: found.to_owned(),
            expected: expected.to_owned(),
            remedy: remedy.to_owned(),
        }
    }

    pub fn wrong(&mut self, node: &Node, path: &str, expected: &str, remedy: &str) {
        self.mistake(node.place, path, &node.shown(), expected, remedy);
    }
}

/// A block of keys that is taken apart key by key; what nobody has taken is a mistake.
pub(crate) struct Map<'n> {
    place: Place,
    pub path: String,
    entries: Vec<(&'n Node, &'n Node)>,
}

impl<'n> Map<'n> {
    /// `None`, with a mistake, where the node is no block of keys or names a key twice.
    pub fn of(reader: &mut Reader<'_>, node: &'n Node, path: &str) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            reader.wrong(node, path, "a block of keys", "docs/definitions.md shows each document as a whole.");
            return None;
        };
        let mut once: Vec<(&Node, &Node)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if once.iter().any(|(other, _)| other.text() == key.text()) {
                let shown = key.shown();
                reader.mistake(
                    key.place,
                    path,
                    &format!("the key {shown} again"),
                    "each key once",
                    "Remove one of them.",
                );
            } else {
                once.push((key, value));
            }
        }
        Some(Self { place: node.place, path: path.to_owned(), entries: once })
    }

    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of a key; one that is null counts as absent.
    pub fn take(&mut self, key: &str) -> Option<&'n Node> {
        let index = self.entries.iter().position(|(name, _)| name.text() == Some(key))?;
        let (_, value) = self.entries.remove(index);
        let is_null = matches!(value.content, Content::Scalar { .. }) && value.text().is_none();
        (!is_null).then_some(value)
    }

    pub fn need(&mut self, reader: &mut Reader<'_>, key: &str, what: &str) -> Option<&'n Node> {
        let found = self.take(key);
        if found.is_none() {
            let path = self.path_of(key);
            reader.mistake(self.place, &path, "no such key", what, &format!("Add `{key}:`."));
        }
        found
    }

    pub fn text(&mut self, reader: &mut Reader<'_>, key: &str, what: &str) -> Option<&'n str> {
        let node = self.take(key)?;
        text_of(reader, node, &self.path_of(key), what)
    }

    pub fn need_map(&mut self, reader: &mut Reader<'_>, key: &str, what: &str) -> Option<Map<'n>> {
        let node = self.need(reader, key, what)?;
        let path = self.path_of(key);
        Map::of(reader, node, &path)
    }

    pub const fn place(&self) -> Place {
        self.place
    }

    /// Entries not taken yet, in their order.
    pub fn rest(&mut self) -> Vec<(&'n Node, &'n Node)> {
        std::mem::take(&mut self.entries)
    }

    /// Whether a key that nobody has taken was probably meant to be one of these.
    pub fn holds_one_like(&self, names: &[&str]) -> bool {
        let is_like = |key: &Node| key.text().is_some_and(|key| closest(key, names.iter().copied()).is_some());
        self.entries.iter().any(|(key, _)| is_like(key))
    }

    /// What is left was not asked for.
    pub fn finish(self, reader: &mut Reader<'_>, known: &[&str]) {
        for (key, _) in &self.entries {
            let name = key.text().unwrap_or_default();
            let remedy = match closest(name, known.iter().copied()) {
                Some(meant) if meant != name => format!("Did you mean `{meant}`?"),
                _ => "Remove it: what can't be honoured is refused, never ignored.".to_owned(),
            };
            let expected = format!("one of {}", listed(known.iter().copied()));
            reader.mistake(key.place, &self.path, &format!("the unknown key {}", key.shown()), &expected, &remedy);
        }
    }
}

pub(crate) fn text_of<'n>(reader: &mut Reader<'_>, node: &'n Node, path: &str, what: &str) -> Option<&'n str> {
    let text = node.text();
    if text.is_none() {
        reader.wrong(node, path, what, "Write one text there.");
    }
    text
}

/// The one of `names` that `wrong` was probably meant to be.
pub(crate) fn closest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .map(|name| (edit_distance(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            // `atLeast` is a good beginning of `atLeastPerSec`.
            *distance <= 1 + name.len() / 3 || (wrong.len() > 3 && name.starts_with(wrong))
        })
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions and replacements that lead from one word to the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

/// Names as people read them in a sentence: `a`, `b`, `c`.
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
