//! The sentence of a rejection → what somebody can do about it, and what it has in common with others. Must never know
//! more of a row than its sentence says.

/// What sentences say, and what to do then. The first that fits.
const REMEDIES: [(&str, &str); 17] = [
    ("without a match of", "correct `extract`, or say `optional: true` for rows that may have no value"),
    (
        "stands for no value",
        "say `optional: true`, unless every event needs the field; `null_values` names what stands for none",
    ),
    ("is absent", "say `optional: true`, unless every event needs the field, or correct where it stands"),
    ("`map` doesn't translate", "add the text to `map`"),
    ("neither true nor false", "translate other words with `map`"),
    (
        "is not a decimal number",
        "`extract` takes a number out of a longer text; `null_values` names what stands for none",
    ),
    ("is not a time", "correct `format`; `extract` takes a time out of a longer text"),
    ("never stood on a clock", "correct `timezone`; if the clocks are right, the row is not"),
    ("between the years", "are `format`, `unit` and `epoch_base` right?"),
    ("is negative", "the row is damaged, or the column is another one"),
    ("larger unit with `scale`", "give `value` a `scale` that makes it smaller, and its metric another name"),
    ("us (407 days)", "is `unit` right?"),
    ("fields; expected", "is `delimiter` right? Else the row is damaged, or of another table"),
    ("a quote that this line opens", "close the quote, or double it where it is meant"),
    ("not one JSON object", "the row is damaged; `format: lines` reads any text by a pattern"),
    ("combined log format", "the row is damaged; `format: lines` reads any text by a pattern"),
    ("doesn't match the mapping's pattern", "correct `pattern`, or leave such rows out before"),
];

/// What to do about a row that gave no event.
pub fn remedy(message: &str) -> &'static str {
    let found = REMEDIES.iter().find(|(part, _)| message.contains(part));
    found.map_or("correct the row, or the field of the mapping that reads it", |(_, remedy)| remedy)
}

/// The sentence without the row's own texts, which many rows may share.
pub fn reason(message: &str) -> String {
    let mut reason = String::new();
    for (index, part) in message.split('`').enumerate() {
        let is_text = index % 2 == 1;
        let names_a_place = ["column ", "pointer ", "group ", "cell ", "which ", "with ", "by "];
        if is_text && !names_a_place.iter().any(|word| reason.ends_with(word)) {
            reason.push('…');
        } else if is_text {
            reason += &format!("`{part}`");
        } else {
            reason += part;
        }
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_the_same_mistake_share_a_reason() {
        let table = [
            (
                "ts: column `time` is `noon`, which is not a decimal number",
                "ts: column `time` is …, which is not a decimal number",
            ),
            (
                "ok: column `outcome` is `x`, which `map` doesn't translate; expected one of `a`, `b`",
                "ok: column `outcome` is …, which `map` doesn't translate; expected one of …, …",
            ),
            ("service `a`: value: cell `value` is ``, which", "service …: value: cell `value` is …, which"),
            (
                "the row has 3 fields; expected 4, as in the header",
                "the row has 3 fields; expected 4, as in the header",
            ),
        ];
        for (message, expected) in table {
            assert_eq!(reason(message), expected);
        }
    }

    #[test]
    fn every_remedy_is_for_a_sentence_of_ours() {
        let sources =
            [include_str!("convert.rs"), include_str!("times.rs"), include_str!("extract.rs"), include_str!("file.rs")];
        for (part, _) in REMEDIES {
            assert!(sources.iter().any(|source| source.contains(part)), "no sentence says {part:?}");
        }
    }
}
