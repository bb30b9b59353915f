//! The writer schemas of one topic, and how a record says which of them is its own.

use std::collections::BTreeMap;
use std::fmt;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use serde::{Deserialize, Serialize};
use streamgauge_events::Kind;

use super::canonical;
use super::plan::Plan;

/// The Confluent id of a schema, or the CRC-64-AVRO fingerprint of single-object encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaKey(pub u64);

impl fmt::Display for SchemaKey {
    /// An id as a number, a fingerprint as 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.0 <= u64::from(u32::MAX) { write!(f, "{}", self.0) } else { write!(f, "{:016x}", self.0) }
    }
}

/// How a record says which schema wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// `c3 01`, then the CRC-64-AVRO fingerprint of the schema, eight bytes, the lowest first. As in Avro's specification.
    SingleObject,
    /// `00`, then the id of the schema in a registry, four bytes, the highest first.
    Confluent,
}

/// The marker of single-object encoding, version 1.
const SINGLE_OBJECT: [u8; 2] = [0xc3, 0x01];
const CONFLUENT: u8 = 0;

impl Framing {
    /// What stands before the datum.
    pub fn head(self, key: SchemaKey) -> Vec<u8> {
        match self {
            Self::SingleObject => [&SINGLE_OBJECT[..], &key.0.to_le_bytes()].concat(),
            Self::Confluent => [&[CONFLUENT][..], &(key.0 as u32).to_be_bytes()].concat(),
        }
    }

    /// The key and the datum; `None` where the record does not begin as framed records do.
    #[inline]
    pub fn split(self, value: &[u8]) -> Option<(SchemaKey, &[u8])> {
        match self {
            Self::SingleObject => {
                let (key, datum) = value.strip_prefix(&SINGLE_OBJECT)?.split_first_chunk::<8>()?;
                Some((SchemaKey(u64::from_le_bytes(*key)), datum))
            }
            Self::Confluent => {
                let (key, datum) = value.strip_prefix(&[CONFLUENT])?.split_first_chunk::<4>()?;
                Some((SchemaKey(u32::from_be_bytes(*key).into()), datum))
            }
        }
    }
}

/// Why the schemas of a topic can't be used. Every one is repaired in the configuration or at the writer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AvroSchemaError {
    #[error("no schema is given: name at least one writer schema of the topic")]
    None,
    #[error("schema {schema} can't be parsed: {message}")]
    Unparsable { schema: SchemaName, message: String },
    #[error("schema {schema} has no id: records framed by Confluent's convention name their schema by it")]
    NoId { schema: SchemaName },
    #[error("schemas {schema} and {other} have the same {framing_key}: give each once")]
    SameKey { schema: SchemaName, other: SchemaName, framing_key: String },
    #[error("schema {schema} is {found}: events are records")]
    NoRecord { schema: SchemaName, found: String },
    #[error(
        "schema {schema} has no field {field}, which every {kind} needs: add it, or give the field that stands for it \
         the alias {field:?}"
    )]
    NoField { schema: SchemaName, kind: Kind, field: &'static str },
    #[error("schema {schema}, field {path}: {found} can't be read as {field}; it must be {expected}")]
    WrongType { schema: SchemaName, path: String, field: &'static str, found: String, expected: &'static str },
    #[error("schema {schema}: {path} and {other} both stand for {field}: take the alias from one of them")]
    Twice { schema: SchemaName, path: String, other: String, field: &'static str },
}

/// Which of the given schemas: by its id, else by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaName {
    Id(u32),
    /// From 1 on.
    Place(usize),
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "with id {id}"),
            Self::Place(place) => write!(f, "no. {place}"),
        }
    }
}

/// The writer schemas of one topic, each resolved to a plan for reading its records.
#[derive(Clone, Debug)]
pub struct AvroSchemas {
    pub(crate) kind: Kind,
    pub(crate) framing: Framing,
    pub(crate) plans: BTreeMap<SchemaKey, Plan>,
}

impl AvroSchemas {
    /// `schemas` are pairs of a Confluent id, which only that framing needs, and the schema as JSON.
    pub fn new(kind: Kind, framing: Framing, schemas: &[(Option<u32>, &str)]) -> Result<Self, AvroSchemaError> {
        let mut plans = BTreeMap::new();
        let (mut names, mut others) = (BTreeMap::new(), Vec::new());
        for (index, (id, text)) in schemas.iter().enumerate() {
            let name = id.map_or(SchemaName::Place(index + 1), SchemaName::Id);
            let schema = Schema::parse_str(text)
                .map_err(|error| AvroSchemaError::Unparsable { schema: name, message: error.to_string() })?;
            let key = match framing {
                Framing::SingleObject => {
                    let key = SchemaKey(canonical::fingerprint(text));
                    others.push((with_logical_types(&schema), key));
                    key
                }
                Framing::Confluent => SchemaKey(id.ok_or(AvroSchemaError::NoId { schema: name })?.into()),
            };
            if let Some(other) = names.insert(key, name) {
                return Err(AvroSchemaError::SameKey { schema: other, other: name, framing_key: same(framing, key) });
            }
            plans.insert(key, Plan::new(kind, name, &schema)?);
        }
        if plans.is_empty() {
            return Err(AvroSchemaError::None);
        }
        for (other, key) in others {
            let plan = plans[&key].clone();
            plans.entry(other).or_insert(plan);
        }
        Ok(Self { kind, framing, plans })
    }

    /// Takes the schemas of another set, of the same kind and framing, in place of its own where the keys are equal.
    pub fn merge(&mut self, others: Self) {
        self.plans.extend(others.plans);
    }

    /// In ascending order; by single objects a schema with logical types has two.
    pub fn keys(&self) -> impl Iterator<Item = SchemaKey> {
        self.plans.keys().copied()
    }
}

/// The fingerprint of libraries which take logical types for a part of a schema's canonical form, as those for Rust and
/// Python do.
fn with_logical_types(schema: &Schema) -> SchemaKey {
    let bytes = schema.fingerprint::<Rabin>().bytes;
    SchemaKey(bytes.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
}

fn same(framing: Framing, key: SchemaKey) -> String {
    match framing {
        Framing::SingleObject => format!("fingerprint {key}"),
        Framing::Confluent => format!("id {key}"),
    }
}
