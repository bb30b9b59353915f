//! Writer schemas at random, all of which can be read as some kind, and values by them.

use apache_avro::schema::RecordSchema;

use super::*;

/// Names of types, each once in a schema.
struct Names(usize);

impl Names {
    fn next(&mut self, stem: &str) -> String {
        self.0 += 1;
        format!("{stem}{}", self.0)
    }
}

pub fn writer(random: &mut Random) -> Writer {
    let kind = *random.pick(&Kind::ALL);
    let mut names = Names(0);
    let mut fields: Vec<(Option<Field>, String)> = Vec::new();
    for field in kind.fields() {
        if kind.required().contains(field) || !random.one_in(4) {
            let of_field = known(random, *field);
            let schema = nullable(random, &mut names, of_field);
            let (name, aliases) = match random.below(8) {
                0 => (format!("their_{field}"), format!(r#","aliases":["x","{field}"]"#)),
                _ => (field.to_string(), String::new()),
            };
            fields.push((Some(*field), format!(r#"{{"name":"{name}","type":{schema}{aliases}}}"#)));
        }
    }
    for extra in 0..random.below(5) {
        let schema = any(random, &mut names, 0);
        fields.push((None, format!(r#"{{"name":"extra{extra}","type":{schema}}}"#)));
    }
    if random.one_in(2) {
        (0..fields.len()).for_each(|last| fields.swap(last, random.below(last + 1)));
    }
    let namespace = if random.one_in(2) { r#""namespace":"com.example","# } else { "" };
    let written: Vec<&str> = fields.iter().map(|(_, text)| text.as_str()).collect();
    let text = format!(r#"{{"type":"record",{namespace}"name":"Event","fields":[{}]}}"#, written.join(","));
    let framing = *random.pick(&[Framing::SingleObject, Framing::Confluent]);
    let kept = *random.pick(&[FieldSet::NONE, FieldSet::ALL, FieldSet::NONE.with(Field::Text(TextField::Route))]);
    Writer::new(kind, text, fields.into_iter().map(|(field, _)| field).collect(), framing, kept)
}

/// What may stand for a field, with a name for a type of its own.
fn known(random: &mut Random, field: Field) -> Box<dyn Fn(&str) -> String> {
    let plain = |text: &'static str| -> Box<dyn Fn(&str) -> String> { Box::new(move |_| text.to_owned()) };
    match field {
        Field::Ts => plain(random.pick::<&str>(&[
            r#""long""#,
            r#""int""#,
            r#"{"type":"long","logicalType":"timestamp-micros"}"#,
            r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        ])),
        Field::Text(_) if random.one_in(5) => {
            Box::new(|name| format!(r#"{{"type":"enum","name":"{name}","symbols":["GET","POST","x_1"]}}"#))
        }
        Field::Text(_) => plain(random.pick::<&str>(&[r#""string""#, r#""string""#, r#""bytes""#])),
        Field::Number(NumberField::Value) => match random.below(6) {
            0 => plain(r#""int""#),
            1 => plain(r#""long""#),
            2 => plain(r#""float""#),
            3 => plain(r#""double""#),
            4 => {
                let scale = *random.pick(&[0, 2, 6, 7, 20, 60]);
                Box::new(move |_| {
                    format!(r#"{{"type":"bytes","logicalType":"decimal","precision":76,"scale":{scale}}}"#)
                })
            }
            _ => {
                let (size, precision, scale) =
                    *random.pick(&[(16, 38, 6), (16, 38, 0), (16, 38, 30), (4, 9, 9), (8, 18, 3), (24, 57, 50)]);
                Box::new(move |name| {
                    format!(
                        r#"{{"type":"fixed","name":"{name}","size":{size},"logicalType":"decimal","precision":{precision},"scale":{scale}}}"#
                    )
                })
            }
        },
        Field::Number(_) => plain(random.pick::<&str>(&[r#""int""#, r#""long""#])),
        Field::Ok => plain(r#""boolean""#),
        Field::Attributes => match random.below(6) {
            0 => plain(r#"{"type":"map","values":["null","string"]}"#),
            1 => plain(r#"{"type":"map","values":"long"}"#),
            2 => Box::new(|name| {
                format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"plan","type":"string"}}]}}"#)
            }),
            _ => plain(r#"{"type":"map","values":"string"}"#),
        },
    }
}

/// By itself, or in a union: null before or behind, or beside what the field can't be.
fn nullable(random: &mut Random, names: &mut Names, schema: Box<dyn Fn(&str) -> String>) -> String {
    let schema = schema(&names.next("T"));
    match random.below(6) {
        0 | 1 => schema,
        2 | 3 => format!(r#"["null",{schema}]"#),
        4 => format!(r#"[{schema},"null"]"#),
        _ => format!(r#"["null",{{"type":"array","items":"int"}},{schema}]"#),
    }
}

/// Any type; arrays only of what takes bytes, since apache-avro makes room for each null.
fn any(random: &mut Random, names: &mut Names, depth: usize) -> String {
    let simple = [
        r#""null""#,
        r#""boolean""#,
        r#""int""#,
        r#""long""#,
        r#""float""#,
        r#""double""#,
        r#""bytes""#,
        r#""string""#,
        r#"{"type":"int","logicalType":"date"}"#,
        r#"{"type":"int","logicalType":"time-millis"}"#,
        r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
        r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
    ];
    if depth > 2 {
        return (*random.pick(&simple[1..])).to_owned();
    }
    match random.below(9) {
        0 => format!(r#"{{"type":"fixed","name":"{}","size":{}}}"#, names.next("F"), 1 + random.below(9)),
        1 => format!(r#"{{"type":"enum","name":"{}","symbols":["A","B"]}}"#, names.next("E")),
        2 => format!(r#"{{"type":"array","items":{}}}"#, any(random, names, 3)),
        3 => format!(r#"{{"type":"map","values":{}}}"#, any(random, names, depth + 1)),
        4 => format!(r#"["null",{{"type":"map","values":{}}},"string"]"#, any(random, names, depth + 1)),
        5 => {
            let name = names.next("R");
            format!(
                r#"{{"type":"record","namespace":"org.{}","name":"{name}","fields":[{{"name":"a","type":{}}},{{"name":"next","type":["null","{name}"]}}]}}"#,
                name.to_lowercase(),
                any(random, names, depth + 1)
            )
        }
        _ => (*random.pick(&simple)).to_owned(),
    }
}

/// A value by a schema, within the range of the field most of the time.
pub fn value(
    random: &mut Random,
    schema: &Schema,
    field: Option<Field>,
    depth: usize,
    within: Option<&RecordSchema>,
) -> Value {
    match schema {
        Schema::Null => Value::Null,
        Schema::Boolean => Value::Boolean(random.one_in(2)),
        Schema::Int => Value::Int(integer(random, field) as i32),
        Schema::Date => Value::Date(random.next() as i32),
        Schema::TimeMillis => Value::TimeMillis(random.next() as i32),
        Schema::Long => Value::Long(integer(random, field)),
        Schema::TimestampMicros => Value::TimestampMicros(integer(random, field)),
        Schema::TimestampMillis => Value::TimestampMillis(integer(random, field) / 1000),
        Schema::LocalTimestampMicros => Value::LocalTimestampMicros(random.next() as i64),
        Schema::Float => Value::Float(float(random) as f32),
        Schema::Double => Value::Double(float(random)),
        Schema::Bytes => Value::Bytes(text(random).into_bytes()),
        Schema::String => Value::String(text(random)),
        Schema::Fixed(fixed) => Value::Fixed(fixed.size, (0..fixed.size).map(|_| random.next() as u8).collect()),
        Schema::Decimal(decimal) => {
            let size = match &decimal.inner {
                apache_avro::schema::InnerDecimalSchema::Bytes => 30,
                apache_avro::schema::InnerDecimalSchema::Fixed(fixed) => fixed.size,
            };
            // About a million times the scale, where that fits.
            let most = (20 + decimal.scale * 10 / 3) / 8;
            let length = 1 + random.below(size.min(most.max(1) + 1));
            let bytes: Vec<u8> = (0..length.min(size)).map(|_| random.next() as u8).collect();
            Value::Decimal(Decimal::from(bytes))
        }
        Schema::Enum(symbols) => {
            let index = random.below(symbols.symbols.len());
            Value::Enum(index as u32, symbols.symbols[index].clone())
        }
        Schema::Union(union) => {
            let wrong = |schema: &Schema| matches!(schema, Schema::Array(_)) && field.is_some();
            let mut index = random.below(union.variants().len());
            // Mostly there and of the right type.
            for _ in 0..3 {
                if depth < 4 && (union.variants()[index] == Schema::Null || wrong(&union.variants()[index])) {
                    index = random.below(union.variants().len());
                }
            }
            // An end to recursion.
            if depth > 6 {
                index = 0;
            }
            Value::Union(index as u32, Box::new(value(random, &union.variants()[index], field, depth + 1, within)))
        }
        Schema::Array(array) => {
            Value::Array((0..random.below(4)).map(|_| value(random, &array.items, None, depth + 1, within)).collect())
        }
        Schema::Map(map) => Value::Map(
            (0..random.below(4)).map(|_| (text(random), value(random, &map.types, None, depth + 1, within))).collect(),
        ),
        Schema::Record(record) => Value::Record(
            record
                .fields
                .iter()
                .map(|of| (of.name.clone(), value(random, &of.schema, None, depth + 1, Some(record))))
                .collect(),
        ),
        // The only references are of records to themselves.
        Schema::Ref { .. } => {
            let record = within.expect("a record around its own name");
            value(random, &Schema::Record(record.clone()), None, depth + 1, within)
        }
        other => unreachable!("{other:?} is not made here"),
    }
}

fn integer(random: &mut Random, field: Option<Field>) -> i64 {
    if random.one_in(20) {
        return (random.next() >> random.below(64)) as i64 * if random.one_in(2) { -1 } else { 1 };
    }
    match field {
        Some(Field::Ts) => 1_767_607_200_000_000 + random.below(1_000_000_000) as i64,
        Some(Field::Number(NumberField::Good)) => random.below(10) as i64,
        Some(Field::Number(NumberField::Total)) => 10 + random.below(10) as i64,
        Some(Field::Number(_)) => random.below(1000) as i64,
        _ => (random.next() >> random.below(64)) as i64,
    }
}

fn float(random: &mut Random) -> f64 {
    match random.below(6) {
        0 => f64::from_bits(random.next()),
        1 => random.below(100) as f64 * 0.5e-6,
        2 => *random.pick(&[f64::NAN, f64::INFINITY, -0.0, 35_184_372.088_832, 35_184_372.088_833]),
        _ => (random.next() as i32 as f64) / [1e6, 1e3, 7.0, 1024.0][random.below(4)] / 100.0,
    }
}

fn text(random: &mut Random) -> String {
    let filling = *random.pick(&["a", "b", "東", "\"", "\\", "\u{0}", "/x"]);
    let length = match random.below(40) {
        0 => 0,
        1 => 512 / filling.len() + random.below(2),
        2 => 60 + random.below(80),
        // From 64 bytes on a length takes two of them.
        3 => 62 / filling.len() + random.below(3),
        _ => 1 + random.below(12),
    };
    filling.repeat(length)
}
