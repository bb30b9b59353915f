//! Events → Avro, by our newest schema: for tests, benches and the load generator.

use streamgauge_events::{Event, Field, Kind};

use super::schema::{Framing, SchemaKey};

/// Writes events of one kind by `schemas/<kind>-v1.avsc`.
pub struct AvroEncoder {
    kind: Kind,
    head: Vec<u8>,
}

impl AvroEncoder {
    pub fn new(kind: Kind, framing: Framing, key: SchemaKey) -> Self {
        Self { kind, head: framing.head(key) }
    }

    /// A framed record. The event must have the fields that its kind requires.
    pub fn encode(&self, event: &Event) -> Vec<u8> {
        let mut bytes = self.head.clone();
        for field in self.kind.fields() {
            let required = self.kind.required().contains(field);
            if !required {
                zigzag(&mut bytes, i64::from(event.has(*field)));
                if !event.has(*field) {
                    continue;
                }
            }
            match *field {
                Field::Ts => zigzag(&mut bytes, event.ts.0),
                Field::Text(field) => text(&mut bytes, event.text(field).unwrap_or_default()),
                Field::Number(field) => {
                    let number = event.number(field).unwrap_or_default();
                    if field.is_decimal() {
                        bytes.extend_from_slice(&i128::from(number).to_be_bytes());
                    } else {
                        zigzag(&mut bytes, number);
                    }
                }
                Field::Ok => bytes.push(u8::from(event.ok == Some(true))),
                Field::Attributes => attributes(&mut bytes, event),
            }
        }
        bytes
    }
}

/// Only texts have a place in a map of strings; of a name that stands twice the last one counts.
fn attributes(bytes: &mut Vec<u8>, event: &Event) {
    let json = event.attributes.to_json().unwrap_or_default();
    let all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap_or_default();
    let texts = || all.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    let count = texts().count();
    if count > 0 {
        zigzag(bytes, count as i64);
    }
    for (name, value) in texts() {
        text(bytes, name);
        text(bytes, value);
    }
    zigzag(bytes, 0);
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    zigzag(bytes, text.len() as i64);
    bytes.extend_from_slice(text.as_bytes());
}

pub(crate) fn zigzag(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}
