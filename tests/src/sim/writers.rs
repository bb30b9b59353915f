//! Writers of Avro: three schemas of one topic, each framed, and records of them, sound and broken.

use apache_avro::rabin::Rabin;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use streamgauge_decode::Framing;
use streamgauge_memory_log::SplitMix64;

/// In the order in which writers began to use them. The second has a decimal and a field that nobody knows, the third
/// another unit of time, an enum, and values that may be absent.
pub const SCHEMAS: [&str; 3] = [
    r#"{"type":"record","name":"Sample","fields":[
        {"name":"ts","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"service","type":"string"},
        {"name":"metric","type":"string"},
        {"name":"tenant","type":["null","string"]},
        {"name":"instance","type":["null","string"]},
        {"name":"value","type":"double"}]}"#,
    r#"{"type":"record","name":"Sample","fields":[
        {"name":"value","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":7}},
        {"name":"rack","type":["null","int",{"type":"array","items":"string"}]},
        {"name":"ts","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"service","type":"string"},
        {"name":"metric","type":"string"},
        {"name":"tenant","type":["null","string"]},
        {"name":"instance","type":["null","string"]},
        {"name":"attributes","type":{"type":"map","values":"string"}}]}"#,
    r#"{"type":"record","name":"Sample","fields":[
        {"name":"ts","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"service","type":"string"},
        {"name":"metric","type":{"type":"enum","name":"Metric","symbols":["cpu","memory"]}},
        {"name":"tenant","type":["null","string"]},
        {"name":"instance","type":["null","string"]},
        {"name":"value","type":["null","double","long"]},
        {"name":"attributes","type":["null",{"type":"map","values":"string"}]}]}"#,
];

/// In the registry, with Confluent's framing.
pub fn schema_id(number: usize) -> u32 {
    11 + number as u32
}

pub struct Writers(Vec<(Vec<u8>, Schema)>);

/// A sample before it is written.
pub struct Sample {
    pub ts: i64,
    pub service: &'static str,
    pub metric: &'static str,
    pub tenant: Option<&'static str>,
    pub instance: Option<&'static str>,
    pub zone: Option<&'static str>,
}

/// How often each schema is used, of 16 records.
const SHARES: [usize; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2];

impl Writers {
    pub fn new(framing: Framing) -> Self {
        Self(
            (0..SCHEMAS.len())
                .map(|number| {
                    let schema = Schema::parse_str(SCHEMAS[number]).expect("a schema in this file");
                    (head(framing, number, &schema), schema)
                })
                .collect(),
        )
    }

    /// What stands before the records of each schema, and the schema.
    pub fn all(&self) -> &[(Vec<u8>, Schema)] {
        &self.0
    }

    pub fn sound(&self, random: &mut SplitMix64, sample: &Sample) -> Vec<u8> {
        let number = *random.pick(&SHARES);
        self.write(number, record(random, number, sample))
    }

    /// Wrong in one respect.
    pub fn broken(&self, random: &mut SplitMix64, sample: Sample) -> Vec<u8> {
        let number = *random.pick(&SHARES);
        let sound = self.write(number, record(random, number, &sample));
        let head = self.0[number].0.len();
        let wrong = |random: &mut SplitMix64, sample: &Sample, field: &str, value: Value| {
            let mut members = record(random, number, sample);
            members.iter_mut().filter(|(name, _)| name == field).for_each(|(_, old)| *old = value.clone());
            self.write(number, members)
        };
        match random.below(12) {
            0 => Vec::new(),
            1 => sound[..head / 2].to_vec(),
            2 | 3 => sound[..head + (sound.len() - head) / 2].to_vec(),
            4 => [sound.as_slice(), b"\0"].concat(),
            // A schema that nobody has ever defined.
            5 => [&[sound[0], sound[1], 0xee][..], &sound[3..]].concat(),
            6 => b"{\"ts\":1}".to_vec(),
            7 | 8 => wrong(random, &sample, "service", Value::String(String::new())),
            9 => {
                let ts = if number == 2 { Value::TimestampMillis(-1) } else { Value::TimestampMicros(-1) };
                wrong(random, &sample, "ts", ts)
            }
            _ => {
                let value = match number {
                    0 => Value::Double(*random.pick(&[f64::NAN, f64::INFINITY, 4e7, -1e300])),
                    1 => Value::Decimal(Decimal::from((10_i128.pow(15)).to_be_bytes())),
                    _ => Value::Union(0, Box::new(Value::Null)),
                };
                wrong(random, &sample, "value", value)
            }
        }
    }

    fn write(&self, number: usize, members: Vec<(String, Value)>) -> Vec<u8> {
        let (head, schema) = &self.0[number];
        let writer = GenericDatumWriter::builder(schema).build().expect("a schema in this file");
        let datum = writer.write_value_to_vec(Value::Record(members)).expect("a record by its schema");
        [head.as_slice(), &datum].concat()
    }
}

fn head(framing: Framing, number: usize, schema: &Schema) -> Vec<u8> {
    match framing {
        Framing::Confluent => [&[0][..], &schema_id(number).to_be_bytes()].concat(),
        Framing::SingleObject => [&[0xc3, 0x01][..], &schema.fingerprint::<Rabin>().bytes].concat(),
    }
}

fn record(random: &mut SplitMix64, number: usize, sample: &Sample) -> Vec<(String, Value)> {
    let text = |text: &str| Value::String(text.to_owned());
    let maybe = |value: Option<&str>| match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(text(value))),
    };
    let zone = sample.zone.map(|zone| ("zone".to_owned(), text(zone)));
    let attributes = Value::Map(zone.into_iter().collect());
    let metric = match (number, sample.metric) {
        (2, "cpu") => Value::Enum(0, "cpu".to_owned()),
        (2, _) => Value::Enum(1, "memory".to_owned()),
        (_, metric) => text(metric),
    };
    let ts = if number == 2 { Value::TimestampMillis(sample.ts / 1000) } else { Value::TimestampMicros(sample.ts) };
    let mut members = vec![
        ("ts", ts),
        ("service", text(sample.service)),
        ("metric", metric),
        ("tenant", maybe(sample.tenant)),
        ("instance", maybe(sample.instance)),
        ("value", value(random, number)),
    ];
    match number {
        0 => {}
        1 => {
            let words = Value::Array(vec![text("a"), text("b")]);
            let (branch, rack) = random.pick(&[(0, Value::Null), (1, Value::Int(-7)), (2, words)]).clone();
            let rack = Value::Union(branch, Box::new(rack));
            members = vec![members[5].clone(), ("rack", rack)].into_iter().chain(members.drain(..5)).collect();
            members.push(("attributes", attributes));
        }
        _ => members.push(("attributes", Value::Union(1, Box::new(attributes)))),
    }
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Around the bounds, below zero, halves of a millionth, and sums of binary fractions that no decimal is.
fn value(random: &mut SplitMix64, number: usize) -> Value {
    let signed = |random: &mut SplitMix64, bound: u64| random.below(2 * bound) as i64 - bound as i64;
    match number {
        0 => Value::Double(match random.below(4) {
            0 => *random.pick(&[0.0, -0.0, 0.9, 1e-7, -2.5, 35_184_372.0]),
            1 => signed(random, 100_000) as f64 / 1024.0,
            _ => random.below(1000) as f64 / 1000.0,
        }),
        1 => {
            let unscaled = if random.chance(0.3) { signed(random, 1000) * 5 } else { signed(random, 20_000_000) };
            // As few bytes as it takes, or more.
            let bytes = unscaled.to_be_bytes();
            let from = random.below(5) as usize;
            Value::Decimal(Decimal::from(&bytes[from.min(3)..]))
        }
        _ if random.chance(0.3) => Value::Union(2, Box::new(Value::Long(signed(random, 5)))),
        _ => Value::Union(1, Box::new(Value::Double(random.below(2000) as f64 / 1000.0))),
    }
}
