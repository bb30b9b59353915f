//! Records of apache-avro's writer, some of them changed, through [`AvroDecoder`] and through apache-avro's reader, whose
//! value is written as JSON and read by the exact way: so both formats are held to the same event.
//!
//! Known differences, counted as `stricter`: integers whose tenth byte overflows, blocks of another size than they say,
//! and nesting beyond our bound, all of which apache-avro takes.

use std::io::Read;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use num_bigint::BigInt;
use streamgauge_decode::{AvroDecoder, AvroSchemas, Framing, SchemaKey};
use streamgauge_events::event::{Field, NumberField, TextField};
use streamgauge_events::{Attributes, Event, FieldSet, Kind, Reason};

use super::json::shown;
use super::random::Random;
use writers::{value, writer};

#[path = "writers.rs"]
mod writers;

pub struct AvroFuzz {
    random: Random,
    writers: Vec<Writer>,
    pub accepted: u64,
    /// Records that only we reject, for the reasons above.
    pub stricter: u64,
}

/// A writer schema with what reads it.
pub struct Writer {
    kind: Kind,
    pub text: String,
    schema: Schema,
    /// Of each field of the schema, in its order.
    fields: Vec<Option<Field>>,
    framing: Framing,
    key: SchemaKey,
    kept: FieldSet,
    decoder: AvroDecoder,
}

const WRITERS: usize = 30;

impl AvroFuzz {
    pub fn new(seed: u64) -> Self {
        Self { random: Random(seed), writers: Vec::new(), accepted: 0, stricter: 0 }
    }

    pub fn step(&mut self) -> Result<(), String> {
        if self.writers.len() < WRITERS || self.random.one_in(2000) {
            let writer = writer(&mut self.random);
            if self.writers.len() < WRITERS {
                self.writers.push(writer);
            } else {
                self.writers[self.random.below(WRITERS)] = writer;
            }
        }
        let index = self.random.below(self.writers.len());
        let (random, writer) = (&mut self.random, &mut self.writers[index]);
        let mut datum = writer.datum(random);
        if !random.one_in(3) {
            changed(random, &mut datum);
        }
        let found = writer.check(&datum)?;
        self.accepted += u64::from(found == Found::Event);
        self.stricter += u64::from(found == Found::Stricter);
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
pub enum Found {
    Event,
    Rejection,
    Stricter,
}

fn changed(random: &mut Random, datum: &mut Vec<u8>) {
    for _ in 0..=random.below(2) {
        let at = random.below(datum.len());
        match random.below(9) {
            0 if !datum.is_empty() => datum[at] ^= 1 << random.below(8),
            1 if !datum.is_empty() => datum[at] = *random.pick(&[0, 1, 2, 3, 4, 0x7f, 0x80, 0xff, 0xc3]),
            2 => datum.truncate(at),
            3 => drop(datum.splice(at..at, std::iter::repeat_n(0xff, random.below(11)))),
            4 => {
                let end = at + random.below((datum.len() - at).min(4) + 1);
                datum.drain(at..end);
            }
            5 => {
                let end = at + random.below(datum.len() - at + 1);
                let copied = datum[at..end].to_vec();
                datum.splice(at..at, copied);
            }
            // A length that is one more or less ends a text within a character, or behind the next length.
            6 if !datum.is_empty() => datum[at] = datum[at].wrapping_add(*random.pick(&[2, 0xfe])),
            7 if at + 1 < datum.len() => datum.swap(at, at + 1),
            _ => datum.insert(at, random.next() as u8),
        }
    }
}

/// Tells whether anybody wanted more than there was: apache-avro takes some ends of a record for nulls.
struct Watched<'a> {
    rest: &'a [u8],
    ended: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.rest.read(into)?;
        self.ended |= count == 0 && !into.is_empty();
        Ok(count)
    }
}

impl Writer {
    pub fn new(kind: Kind, text: String, fields: Vec<Option<Field>>, framing: Framing, kept: FieldSet) -> Self {
        let schema = Schema::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let schemas =
            AvroSchemas::new(kind, framing, &[(Some(7), &text)]).unwrap_or_else(|error| panic!("{error}: {text}"));
        let key = schemas.keys().next().expect("one schema has one key");
        let decoder = AvroDecoder::new(&schemas, kept);
        Self { kind, text, schema, fields, framing, key, kept, decoder }
    }

    fn datum(&self, random: &mut Random) -> Vec<u8> {
        let Schema::Record(record) = &self.schema else { unreachable!("events are records") };
        let values = record.fields.iter().zip(&self.fields);
        let values =
            values.map(|(field, known)| (field.name.clone(), value(random, &field.schema, *known, 0, None))).collect();
        let writer = GenericDatumWriter::builder(&self.schema).build().expect("the schema stands alone");
        writer.write_value_to_vec(Value::Record(values)).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// What apache-avro makes of the datum, as JSON with our names.
    fn as_json(&self, datum: &[u8]) -> Option<String> {
        let mut bytes = Watched { rest: datum, ended: false };
        let reader = GenericDatumReader::builder(&self.schema).build().expect("the schema stands alone");
        let read = reader.read_value(&mut bytes).ok()?;
        let (Value::Record(values), true) = (read, bytes.rest.is_empty() && !bytes.ended) else { return None };
        let Schema::Record(record) = &self.schema else { unreachable!("events are records") };
        let members =
            values.iter().zip(&self.fields).zip(&record.fields).filter_map(|(((_, value), field), written)| {
                let field = (*field)?;
                Some(format!("\"{field}\":{}", json_of(field, &written.schema, value)))
            });
        Some(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }

    pub fn check(&mut self, datum: &[u8]) -> Result<Found, String> {
        let framed = [self.framing.head(self.key), datum.to_vec()].concat();
        let found = self.decoder.decode(&framed);
        let json = self.as_json(datum);
        let expected = match &json {
            Some(json) => Event::from_json(self.kind, json.as_bytes()).map_err(|rejection| rejection.reason),
            None => Err(Reason::Undecodable),
        };
        let expected = expected.map(|event| event.restricted(self.kind, self.kept));
        let difference = match (found, expected) {
            (Ok((key, mut event)), Ok(mut expected)) => {
                let attributes = (content(&event.attributes), content(&expected.attributes));
                (event.attributes, expected.attributes) = (Attributes::None, Attributes::None);
                if key == self.key && event == expected && attributes.0 == attributes.1 {
                    return Ok(Found::Event);
                }
                format!("{event:?} {attributes:?}\n  not {expected:?}")
            }
            (Err(rejection), Err(reason)) if rejection.reason == reason => return Ok(Found::Rejection),
            (Err(rejection), _)
                if ["of more than 64 bits", "of another size than it says", "nested too deep"]
                    .iter()
                    .any(|known| rejection.message.contains(known)) =>
            {
                return Ok(Found::Stricter);
            }
            (found, expected) => format!("{found:?}\n  not {expected:?}"),
        };
        Err(format!("{}, {difference}\n  for {}\n  by {}\n  json {json:?}", self.kind, shown(datum), self.text))
    }
}

/// The texts by name; an empty map is not the same as none.
fn content(attributes: &Attributes) -> Option<serde_json::Value> {
    attributes.to_json().map(|json| serde_json::from_str(&json).expect("attributes are JSON"))
}

fn json_of(field: Field, schema: &Schema, value: &Value) -> String {
    match (field, value) {
        (_, Value::Union(branch, value)) => match schema {
            Schema::Union(union) => json_of(field, &union.variants()[*branch as usize], value),
            _ => unreachable!("a branch of no union"),
        },
        (_, Value::Null) => "null".to_owned(),
        (Field::Ts | Field::Number(_), Value::Int(value)) => value.to_string(),
        (Field::Ts | Field::Number(_), Value::Long(value)) => value.to_string(),
        (Field::Ts, Value::TimestampMicros(value)) => value.to_string(),
        (Field::Ts, Value::TimestampMillis(value)) => (i128::from(*value) * 1000).to_string(),
        (Field::Number(NumberField::Value), Value::Double(value)) if value.is_finite() => format!("{value:.1100}"),
        (Field::Number(NumberField::Value), Value::Float(value)) if value.is_finite() => format!("{value:.200}"),
        (Field::Number(NumberField::Value), Value::Decimal(value)) => {
            let Schema::Decimal(written) = schema else { unreachable!("a decimal by another schema") };
            format!("{}e-{}", BigInt::from(value.clone()), written.scale)
        }
        (Field::Text(_), Value::String(text) | Value::Enum(_, text)) => {
            serde_json::to_string(text).expect("a text has a JSON form")
        }
        // What is no UTF-8 can't be written as JSON; a lone quote is as undecodable.
        (Field::Text(_), Value::Bytes(bytes)) => std::str::from_utf8(bytes)
            .map_or("\"".to_owned(), |text| serde_json::to_string(text).expect("a text has a JSON form")),
        (Field::Ok, Value::Boolean(ok)) => ok.to_string(),
        (Field::Attributes, Value::Map(map)) => {
            let Schema::Map(written) = schema else { unreachable!("a map by another schema") };
            if !matches!(*written.types, Schema::String) {
                return "null".to_owned();
            }
            let mut texts = std::collections::BTreeMap::new();
            for (name, value) in map {
                let Value::String(text) = value else { unreachable!("{value:?} in a map of strings") };
                texts.insert(name, text);
            }
            serde_json::to_string(&texts).expect("texts have a JSON form")
        }
        (Field::Attributes, Value::Record(_)) => "null".to_owned(),
        _ => "[]".to_owned(),
    }
}
