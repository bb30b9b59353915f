//! Words for what is asked of people → one of four.

use streamgauge_slo::Severity;

use crate::mistake::{Reader, listed};
use crate::yaml::Node;

/// Three vocabularies, one of them in two spellings; small and capital letters are the same.
const WORDS: [(&str, Severity); 15] = [
    ("critical", Severity::Critical),
    ("major", Severity::Major),
    ("warning", Severity::Warning),
    ("info", Severity::Info),
    ("P1", Severity::Critical),
    ("P2", Severity::Major),
    ("P3", Severity::Warning),
    ("P4", Severity::Info),
    ("sev1", Severity::Critical),
    ("sev2", Severity::Major),
    ("sev3", Severity::Warning),
    ("sev4", Severity::Info),
    ("page", Severity::Critical),
    ("ticket", Severity::Warning),
    ("log", Severity::Info),
];

pub(super) fn severity(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<Severity> {
    let text = node.text().unwrap_or_default();
    let found = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    if found.is_none() {
        let expected = format!("one of {}", listed(WORDS.map(|(word, _)| word)));
        reader.wrong(node, path, &expected, "docs/definitions.md says what each asks of people.");
    }
    found.map(|(_, severity)| *severity)
}
