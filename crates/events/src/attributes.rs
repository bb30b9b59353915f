//! What else an event says of itself: names and texts that only those look up who ask for them.
//!
//! Kept as the bytes of the record, so that an event whose attributes nobody reads pays nothing for them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::{LABEL_BYTES_MAX, Text};

/// Only texts of at most [`LABEL_BYTES_MAX`] bytes count as values; of a name that stands twice the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attributes<'a> {
    #[default]
    None,
    /// A JSON object that has been checked.
    Json(&'a str),
    /// An Avro map of strings that has been checked: blocks, the closing empty one included.
    Avro(&'a [u8]),
}

impl<'a> Attributes<'a> {
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The text of that name. Numbers, objects and other values that are no text count as absent.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let text = match self {
            Self::None => None,
            Self::Json(object) => {
                let mut json = serde_json::Deserializer::from_str(object);
                json.deserialize_map(Lookup { name, of: std::marker::PhantomData }).ok().flatten()
            }
            Self::Avro(blocks) => {
                avro_entries(blocks).filter(|(key, _)| *key == name).last().map(|(_, text)| text.into())
            }
        };
        text.filter(|text| text.len() <= LABEL_BYTES_MAX)
    }

    /// As a JSON object.
    pub fn to_json(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Json(object) => Some((*object).to_owned()),
            Self::Avro(blocks) => {
                let entries: std::collections::BTreeMap<&str, &str> = avro_entries(blocks).collect();
                Some(serde_json::to_string(&entries).expect("a map of texts always has a JSON form"))
            }
        }
    }
}

struct Lookup<'n, 'de> {
    name: &'n str,
    of: std::marker::PhantomData<&'de str>,
}

impl<'de> Visitor<'de> for Lookup<'_, 'de> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        // A lone surrogate is no text, and so no name that anybody could ask for.
        while let Some(name) = map.next_key::<&'de RawValue>()? {
            if serde_json::from_str::<Text<'de>>(name.get()).is_ok_and(|Text(name)| name == self.name) {
                let raw: &'de RawValue = map.next_value()?;
                found = serde_json::from_str::<Text<'de>>(raw.get()).ok().map(|text| text.0);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Entries of an Avro map of strings. Ends at the first oddity, which checked bytes don't have.
fn avro_entries(blocks: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = blocks;
    let mut left = 0_u64;
    std::iter::from_fn(move || {
        while left == 0 {
            let count = zigzag(&mut rest)?;
            if count == 0 {
                return None;
            }
            if count < 0 {
                // A negative count is followed by the size of the block.
                zigzag(&mut rest)?;
            }
            left = count.unsigned_abs();
        }
        left -= 1;
        Some((take_text(&mut rest)?, take_text(&mut rest)?))
    })
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(zigzag(rest)?).ok()?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    std::str::from_utf8(text).ok()
}

fn zigzag(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_are_values_and_the_last_of_a_name_counts() {
        let attributes = Attributes::Json(
            r#"{"plan":"gold","n":3,"o":{"plan":"x"},"pl\u0061n2":"a\u0062","twice":"1","twice":"2","then":"x","then":5}"#,
        );
        for (name, expected) in [
            ("plan", Some("gold")),
            ("n", None),
            ("o", None),
            ("plan2", Some("ab")),
            ("twice", Some("2")),
            ("then", None),
            ("absent", None),
        ] {
            assert_eq!(attributes.get(name).as_deref(), expected, "{name}");
        }
        let long = format!(r#"{{"long":"{}"}}"#, "x".repeat(LABEL_BYTES_MAX + 1));
        assert_eq!(Attributes::Json(&long).get("long"), None);
    }

    #[test]
    fn maps_of_avro_are_read_by_blocks_of_both_forms() {
        // One entry; then two entries in a block that tells its size; then the end.
        let bytes = [&[2, 2, b'a', 2, b'x'][..], &[3, 16, 2, b'b', 2, b'y', 2, b'a', 2, b'z'], &[0]].concat();
        let attributes = Attributes::Avro(&bytes);
        assert_eq!(attributes.get("a").as_deref(), Some("z"));
        assert_eq!(attributes.get("b").as_deref(), Some("y"));
        assert_eq!(attributes.get("c"), None);
        assert_eq!(attributes.to_json().as_deref(), Some(r#"{"a":"z","b":"y"}"#));
        for end in 0..bytes.len() {
            Attributes::Avro(&bytes[..end]).get("a");
        }
    }
}
