//! What is wrong with a mapping file, or with a whole input file: where, what was found, what was expected, what to do.
//!
//! A single bad row is never an error here; it is a rejection.

use std::fmt;
use std::io;

/// Why a mapping can't be used, or why an input file can't be read on.
///
/// Each says its cause itself and has none behind it: a chain of errors would say it twice.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// The mapping file, or the input file, can't be opened.
    #[error("couldn't open {file}: {cause}")]
    NotReadable { file: String, cause: io::Error },
    /// The mapping file says something that has no meaning.
    #[error(transparent)]
    Invalid(#[from] Box<Invalid>),
    /// The mapping and the header of the input file don't fit.
    #[error("{file}:{line}: {problem}; the header has: {header}. {remedy}")]
    Header { file: String, line: u64, problem: String, header: String, remedy: String },
    /// The file breaks off or its compression is damaged. What came before was delivered.
    #[error("{file}: reading failed after line {line}: {cause}")]
    Broken { file: String, line: u64, cause: io::Error },
}

/// One mistake in a mapping file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub file: String,
    /// From 1.
    pub line: u64,
    /// From 1.
    pub column: u64,
    /// Where in the document: `fields.ts.format`.
    pub path: String,
    pub found: String,
    pub expected: String,
    pub remedy: String,
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { file, line, column, path, found, expected, remedy } = self;
        write!(f, "{file}:{line}:{column}: {path}: found {found}; expected {expected}. {remedy}")
    }
}

/// The one of `names` that `wrong` was probably meant to be.
pub(crate) fn closest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .map(|name| (edit_distance(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3)
        .min()
        .map(|(_, name)| name)
}

/// A remedy: the name that was probably meant, or else `otherwise`.
pub(crate) fn did_you_mean(wrong: &str, names: &[&str], otherwise: &str) -> String {
    match closest(wrong, names.iter().copied()) {
        Some(meant) => format!("Did you mean `{meant}`?"),
        None => otherwise.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn the_closest_name_is_offered_only_if_it_is_close() {
        let names = ["column", "pointer", "null_values", "unit"];
        let table = [
            ("colum", Some("column")),
            ("Column", Some("column")),
            ("null_value", Some("null_values")),
            ("units", Some("unit")),
            ("elephant", None),
        ];
        for (wrong, expected) in table {
            assert_eq!(closest(wrong, names), expected, "{wrong}");
        }
    }
}
