//! The pattern of `matches` → an automaton.
//!
//! Patterns are those of RE2, as far as `regex-lite` has them: linear in the text, no look-around, no back-references.
//! Must never know: where the text comes from.

use regex_lite::{Regex, RegexBuilder};

/// Bytes that a compiled pattern may take: repetitions of repetitions grow without looking long.
const COMPILED_BYTES_MAX: usize = 1 << 18;
/// Groups within groups.
const NEST_MAX: u32 = 32;

#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// The error says why it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        check_meaning(text)?;
        let built = RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).nest_limit(NEST_MAX).build();
        built.map(Self).map_err(|error| error.to_string())
    }

    /// Anywhere in the text, as in RE2's partial match.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Refuses what RE2 reads in another way: `\<`, `\>` and `\b{…}` are no edges of words there, and `\s` leaves `\v` out.
fn check_meaning(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let behind = &rest[at + 1..];
        let mut characters = behind.chars();
        match (characters.next(), characters.next()) {
            (Some(edge @ ('<' | '>')), _) => {
                return Err(format!("`\\{edge}` is not the same in all engines; write `\\b` for the edge of a word"));
            }
            (Some(edge @ ('b' | 'B')), Some('{')) => {
                return Err(format!("`\\{edge}{{` is not the same in all engines; write `\\{edge}` alone"));
            }
            (Some(space @ ('s' | 'S')), _) => {
                let not = if space == 'S' { "^" } else { "" };
                return Err(format!("`\\{space}` is not the same in all engines; write `[{not}\\t\\n\\f\\r ]`"));
            }
            _ => {}
        }
        rest = &behind[characters_len(behind)..];
    }
    Ok(())
}

/// Bytes of the first character.
fn characters_len(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}
