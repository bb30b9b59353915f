//! The values of one JSON line at some JSON pointers (RFC 6901), found in one pass. Numbers stay text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::extract::Value;

/// A tree of the pointers: one edge per token.
#[derive(Debug, Default)]
pub struct Node {
    slot: Option<usize>,
    /// At most as many as a mapping has fields, so that a scan is quicker than any map.
    children: Vec<(String, Node)>,
}

impl Node {
    /// The error says what is wrong with the pointer.
    pub fn insert(&mut self, pointer: &str, slot: usize) -> Result<(), String> {
        let Some(tokens) = pointer.strip_prefix('/') else {
            return Err("A pointer starts with `/`".to_owned());
        };
        let mut node = self;
        for token in tokens.split('/') {
            let token = unescaped(token)?;
            let at = node.children.iter().position(|(name, _)| *name == token).unwrap_or_else(|| {
                node.children.push((token, Self::default()));
                node.children.len() - 1
            });
            node = &mut node.children[at].1;
        }
        node.slot = Some(slot);
        Ok(())
    }

    /// The error says why the row is no JSON object.
    pub fn extract<'r>(&self, row: &'r str, values: &mut [Value<'r>]) -> Result<(), String> {
        let mut json = serde_json::Deserializer::from_str(row);
        Seed { node: self, values, is_root: true }.deserialize(&mut json).map_err(explained)?;
        json.end().map_err(explained)
    }

    fn child(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|(child, _)| child == name)
    }
}

/// A row has one line, so only the byte in it tells something.
fn explained(error: serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} at byte {}", error.column()),
        None => message,
    }
}

fn unescaped(token: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = token.chars();
    while let Some(char) = rest.next() {
        text.push(match char {
            '~' => match rest.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err("`~` is written `~0` in a pointer, and `/` in a name `~1`".to_owned()),
            },
            char => char,
        });
    }
    Ok(text)
}

struct Seed<'t, 'v, 'r> {
    node: &'t Node,
    values: &'v mut [Value<'r>],
    is_root: bool,
}

impl<'r> DeserializeSeed<'r> for Seed<'_, '_, 'r> {
    type Value = ();

    fn deserialize<D: Deserializer<'r>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(slot) = self.node.slot else {
            return if self.is_root { deserializer.deserialize_map(self) } else { deserializer.deserialize_any(self) };
        };
        let raw: &RawValue = de::Deserialize::deserialize(deserializer)?;
        self.values[slot] = value(raw.get());
        if self.node.children.is_empty() {
            return Ok(());
        }
        let mut inner = serde_json::Deserializer::from_str(raw.get());
        inner.deserialize_any(self).map_err(de::Error::custom)
    }
}

fn value(raw: &str) -> Value<'_> {
    match raw.as_bytes().first() {
        Some(b'"') if !raw.contains('\\') => Value::Text(Cow::Borrowed(&raw[1..raw.len() - 1])),
        Some(b'"') => match serde_json::from_str(raw) {
            Ok(text) => Value::Text(Cow::Owned(text)),
            Err(_) => Value::NotText("a string with half of a surrogate pair"),
        },
        Some(b'{') => Value::NotText("an object"),
        Some(b'[') => Value::NotText("an array"),
        Some(b'n') | None => Value::Absent,
        Some(_) => Value::Text(Cow::Borrowed(raw)),
    }
}

/// Visits an object or an array; in anything else there is nothing to find.
impl<'r> Visitor<'r> for Seed<'_, '_, 'r> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0_u64;
        while let Some(child) = map.next_key_seed(ChildOf(self.node))? {
            let Some(child) = child else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let (name, node) = &self.node.children[child];
            if seen & (1 << child) != 0 {
                return Err(de::Error::custom(format_args!("{name:?} stands twice")));
            }
            seen |= 1 << child;
            map.next_value_seed(Seed { node, values: &mut *self.values, is_root: false })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'r>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let more = match self.node.child(&index.to_string()) {
                Some(child) => {
                    let node = &self.node.children[child].1;
                    seq.next_element_seed(Seed { node, values: &mut *self.values, is_root: false })?.is_some()
                }
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Which child a key is, without keeping the key.
struct ChildOf<'t>(&'t Node);

impl<'r> DeserializeSeed<'r> for ChildOf<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'r>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for ChildOf<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.child(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pointer: &str, row: &str) -> String {
        let mut root = Node::default();
        root.insert(pointer, 0).expect("a pointer of these tests");
        let mut values = [Value::Absent];
        match root.extract(row, &mut values) {
            Ok(()) => format!("{:?}", values[0]),
            Err(error) => error,
        }
    }

    #[test]
    fn pointers_find_values() {
        let table = [
            ("/a", r#"{"a":"x"}"#, r#"Text("x")"#),
            ("/a", r#"{"a":"x\u0041\n"}"#, r#"Text("xA\n")"#),
            ("/a", r#"{"b":{"a":1},"a":0.10}"#, r#"Text("0.10")"#),
            ("/a", r#"{"a":12345678901234567890123}"#, r#"Text("12345678901234567890123")"#),
            ("/a", r#"{"a":true}"#, r#"Text("true")"#),
            ("/a", r#"{"a":null}"#, "Absent"),
            ("/a", r#"{"b":1}"#, "Absent"),
            ("/a/b", r#"{"a":{"b":"y"}}"#, r#"Text("y")"#),
            ("/a/b", r#"{"a":5}"#, "Absent"),
            ("/a/b", r#"{"a":-1.5}"#, "Absent"),
            ("/a/b", r#"{"a":"b"}"#, "Absent"),
            ("/a/b", r#"{"a":null}"#, "Absent"),
            ("/a/1/b", r#"{"a":[0,{"b":"z"},2]}"#, r#"Text("z")"#),
            ("/a~1b/~0", r#"{"a/b":{"~":"t"}}"#, r#"Text("t")"#),
            ("/", r#"{"":"empty"}"#, r#"Text("empty")"#),
            ("/a", r#"{"a":{"b":1}}"#, r#"NotText("an object")"#),
            ("/a", r#"{"a":[1]}"#, r#"NotText("an array")"#),
            ("/a", r#"{"a":"\ud800"}"#, r#"NotText("a string with half of a surrogate pair")"#),
            ("/a", r#"{"a":1,"a":2}"#, r#""a" stands twice at byte 10"#),
            ("/a", r#"{"a":1"#, "EOF while parsing an object at byte 6"),
            ("/a", r#"{"a":1} x"#, "trailing characters at byte 9"),
            ("/a", "[1]", "invalid type: sequence, expected a JSON object at byte 0"),
        ];
        for (pointer, row, expected) in table {
            assert_eq!(find(pointer, row), expected, "{pointer} in {row}");
        }
    }

    #[test]
    fn a_value_and_a_part_of_it() {
        let mut root = Node::default();
        root.insert("/a", 0).expect("a pointer");
        root.insert("/a/b", 1).expect("a pointer");
        let mut values = [Value::Absent, Value::Absent];
        root.extract(r#"{"a":{"b":7}}"#, &mut values).expect("JSON");
        assert_eq!(format!("{values:?}"), r#"[NotText("an object"), Text("7")]"#);
    }

    #[test]
    fn pointers_are_checked() {
        for (pointer, part) in [("a", "starts with"), ("", "starts with"), ("/a~", "`~0`"), ("/a~2", "`~0`")] {
            let problem = Node::default().insert(pointer, 0).expect_err(pointer);
            assert!(problem.contains(part), "{pointer}: {problem}");
        }
    }
}
