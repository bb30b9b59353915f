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
        let built = RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).nest_limit(NEST_MAX).build();
        built.map(Self).map_err(|error| error.to_string())
    }

    /// Anywhere in the text, as in RE2's partial match.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}
