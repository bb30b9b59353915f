//! A writer schema → the steps by which its records are read.
//!
//! By name, then by an alias of ours, then by an alias of the writer's: a topic whose field is called otherwise is read
//! once the schema that we are given says so. Aliases are no part of a schema's fingerprint.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, RecordField, RecordSchema, ResolvedSchema, UuidSchema};
use streamgauge_events::Kind;
use streamgauge_events::event::Field;

use super::decimals::SCALE_MAX;
use super::schema::{AvroSchemaError, SchemaName};
use super::texts::TextStep;
use crate::schemas;

/// In the order of the writer's fields.
#[derive(Clone, Debug)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub skips: Vec<Skip>,
}

#[derive(Clone, Debug)]
pub enum Step {
    Skip(SkipIndex),
    Read(Field, Form),
    Choose(Field, Vec<Form>),
    Texts {
        texts: Vec<TextStep>,
        /// The same again, where that is not so plain.
        one_by_one: Vec<Step>,
    },
}

/// How a value of a known field is written.
#[derive(Clone, Debug)]
pub enum Form {
    Null,
    Boolean,
    Int,
    Long,
    /// Milliseconds, for `ts`.
    Milliseconds,
    Float,
    Double,
    DecimalBytes {
        scale: usize,
    },
    DecimalFixed {
        size: usize,
        scale: usize,
    },
    Text,
    Symbol(Vec<String>),
    TextMap,
    /// Attributes without texts: as if there were none.
    NoTexts(SkipIndex),
    /// A branch of a union that the field can't be: the schema is taken, such records are not.
    Wrong(SkipIndex, &'static str),
}

pub type SkipIndex = usize;

/// How a value is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    Nothing,
    Boolean,
    Int,
    Long,
    Bytes,
    Text,
    Fixed(usize),
    Enum(usize),
    Union(Vec<SkipIndex>),
    Record { fields: Vec<SkipIndex>, no_width: bool },
    Array { items: SkipIndex, no_width: bool },
    Map(SkipIndex),
}

impl Plan {
    pub fn new(kind: Kind, name: SchemaName, writer: &Schema) -> Result<Self, AvroSchemaError> {
        let reader = Schema::parse_str(schemas::current(kind)).expect("our own schemas are parsed by a test");
        Self::resolve(kind, name, writer, &reader)
    }

    fn resolve(kind: Kind, schema: SchemaName, writer: &Schema, reader: &Schema) -> Result<Self, AvroSchemaError> {
        let Schema::Record(record) = writer else {
            return Err(AvroSchemaError::NoRecord { schema, found: called(writer).to_owned() });
        };
        let names = ResolvedSchema::new(writer)
            .map_err(|error| AvroSchemaError::Unparsable { schema, message: error.to_string() })?;
        let fields = matched(kind, schema, record, reader)?;
        let mut planner = Planner { schema, names, skips: Vec::new(), named: BTreeMap::new() };
        let mut steps = Vec::new();
        let namespace = record.name.namespace();
        for (place, field) in record.fields.iter().enumerate() {
            steps.push(match fields.iter().find(|(_, at)| *at == place) {
                Some((known, _)) => planner.step(*known, field, namespace)?,
                None => Step::Skip(planner.skip(&field.schema, namespace)?),
            });
        }
        let mut skips = planner.skips;
        mark_no_width(&mut skips);
        Ok(Self { steps: texts_together(steps), skips })
    }
}

fn texts_together(steps: Vec<Step>) -> Vec<Step> {
    let mut together = Vec::new();
    for step in steps {
        match (TextStep::of(&step), together.last_mut()) {
            (Some(text), Some(Step::Texts { texts, one_by_one })) => {
                texts.push(text);
                one_by_one.push(step);
            }
            (Some(text), _) => together.push(Step::Texts { texts: vec![text], one_by_one: vec![step] }),
            (None, _) => together.push(step),
        }
    }
    together
}

/// Whether a field of the writer's is one of ours.
type Way<'w> = &'w dyn Fn(Field, &RecordField) -> bool;

/// The places of the kind's fields among the writer's.
fn matched(
    kind: Kind,
    schema: SchemaName,
    writer: &RecordSchema,
    reader: &Schema,
) -> Result<Vec<(Field, usize)>, AvroSchemaError> {
    let aliases = |field: Field| {
        let Schema::Record(reader) = reader else { return &[][..] };
        reader.fields.iter().find(|known| known.name == field.name()).map_or(&[][..], |known| &known.aliases)
    };
    let mut found: Vec<(Field, usize)> = Vec::new();
    let ways: [Way; 3] = [
        &|field, written| written.name == field.name(),
        &|field, written| aliases(field).contains(&written.name),
        &|field, written| written.aliases.iter().any(|alias| alias == field.name()),
    ];
    for way in ways {
        let before = found.clone();
        for (place, written) in writer.fields.iter().enumerate() {
            if before.iter().any(|(_, at)| *at == place) {
                continue;
            }
            for field in kind.fields().iter().filter(|field| way(**field, written)) {
                if before.iter().any(|(known, _)| known == field) {
                    continue;
                }
                // Found twice in the same way, or one for two.
                if let Some((known, at)) =
                    found[before.len()..].iter().find(|(known, at)| known == field || *at == place)
                {
                    return Err(AvroSchemaError::Twice {
                        schema,
                        path: writer.fields[*at].name.clone(),
                        other: if *at == place { known.name() } else { &written.name }.to_owned(),
                        field: field.name(),
                    });
                }
                found.push((*field, place));
            }
        }
    }
    match kind.required().iter().find(|field| !found.iter().any(|(known, _)| known == *field)) {
        Some(missing) => Err(AvroSchemaError::NoField { schema, kind, field: missing.name() }),
        None => Ok(found),
    }
}

struct Planner<'s> {
    schema: SchemaName,
    names: ResolvedSchema<'s>,
    skips: Vec<Skip>,
    /// Records, by their full names: they may be within themselves.
    named: BTreeMap<String, SkipIndex>,
}

impl<'s> Planner<'s> {
    /// What a reference stands for, with the namespace in which it stands.
    fn named<'n>(
        &self,
        name: &'n Name,
        namespace: Option<&'n str>,
    ) -> Result<(&'s Schema, Option<String>), AvroSchemaError> {
        let full = name.fully_qualified_name(namespace);
        match self.names.get_names().get(full.as_ref()) {
            Some(schema) => Ok((*schema, full.namespace().map(str::to_owned))),
            None => Err(AvroSchemaError::Unparsable {
                schema: self.schema,
                message: format!("{} is named but not defined", full.fullname(None)),
            }),
        }
    }

    fn step(
        &mut self,
        field: Field,
        written: &'s RecordField,
        namespace: Option<&str>,
    ) -> Result<Step, AvroSchemaError> {
        let wrong = |found: &str, schema| AvroSchemaError::WrongType {
            schema,
            path: written.name.clone(),
            field: field.name(),
            found: found.to_owned(),
            expected: expected(field),
        };
        if let Schema::Union(union) = &written.schema {
            let mut forms = Vec::new();
            for branch in union.variants() {
                forms.push(match self.form(field, branch, namespace)? {
                    Some(form) => form,
                    None => Form::Wrong(self.skip(branch, namespace)?, called(branch)),
                });
            }
            if !forms.iter().any(|form| !matches!(form, Form::Null | Form::Wrong(..))) {
                return Err(wrong("a union without a branch for it", self.schema));
            }
            return Ok(Step::Choose(field, forms));
        }
        match self.form(field, &written.schema, namespace)? {
            Some(form) if !matches!(form, Form::Null) => Ok(Step::Read(field, form)),
            _ => Err(wrong(called(&written.schema), self.schema)),
        }
    }

    /// `None` where a value of that schema can't be the field.
    fn form(
        &mut self,
        field: Field,
        schema: &'s Schema,
        namespace: Option<&str>,
    ) -> Result<Option<Form>, AvroSchemaError> {
        let decimal = matches!(field, Field::Number(number) if number.is_decimal());
        Ok(Some(match (field, schema) {
            (_, Schema::Ref { name }) => {
                let (schema, namespace) = self.named(name, namespace)?;
                return self.form(field, schema, namespace.as_deref());
            }
            (_, Schema::Null) => Form::Null,
            (Field::Ts | Field::Number(_), Schema::Int) => Form::Int,
            (Field::Ts | Field::Number(_), Schema::Long) | (Field::Ts, Schema::TimestampMicros) => Form::Long,
            (Field::Ts, Schema::TimestampMillis) => Form::Milliseconds,
            (Field::Number(_), Schema::Float) if decimal => Form::Float,
            (Field::Number(_), Schema::Double) if decimal => Form::Double,
            (Field::Number(_), Schema::Decimal(written)) if decimal && written.scale <= SCALE_MAX => {
                let scale = written.scale;
                match &written.inner {
                    InnerDecimalSchema::Bytes => Form::DecimalBytes { scale },
                    InnerDecimalSchema::Fixed(fixed) => Form::DecimalFixed { size: fixed.size, scale },
                }
            }
            (Field::Text(_), Schema::String | Schema::Bytes | Schema::Uuid(UuidSchema::String)) => Form::Text,
            (Field::Text(_), Schema::Enum(written)) => Form::Symbol(written.symbols.clone()),
            (Field::Ok, Schema::Boolean) => Form::Boolean,
            (Field::Attributes, Schema::Map(map)) if matches!(*map.types, Schema::String) => Form::TextMap,
            (Field::Attributes, Schema::Map(_) | Schema::Record(_)) => Form::NoTexts(self.skip(schema, namespace)?),
            _ => return Ok(None),
        }))
    }

    fn skip(&mut self, schema: &'s Schema, namespace: Option<&str>) -> Result<SkipIndex, AvroSchemaError> {
        let skip = match schema {
            Schema::Null => Skip::Nothing,
            Schema::Boolean => Skip::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Skip::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Skip::Long,
            Schema::Float => Skip::Fixed(4),
            Schema::Double => Skip::Fixed(8),
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Skip::Bytes,
            Schema::String | Schema::Uuid(UuidSchema::String) => Skip::Text,
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                Skip::Fixed(fixed.size)
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Skip::Bytes,
                InnerDecimalSchema::Fixed(fixed) => Skip::Fixed(fixed.size),
            },
            Schema::Enum(written) => Skip::Enum(written.symbols.len()),
            Schema::Union(union) => {
                let branches = union.variants().iter().map(|branch| self.skip(branch, namespace));
                Skip::Union(branches.collect::<Result<_, _>>()?)
            }
            Schema::Array(array) => Skip::Array { items: self.skip(&array.items, namespace)?, no_width: false },
            Schema::Map(map) => Skip::Map(self.skip(&map.types, namespace)?),
            Schema::Ref { name } => {
                let (schema, namespace) = self.named(name, namespace)?;
                return self.skip(schema, namespace.as_deref());
            }
            Schema::Record(record) => return self.skip_record(record, namespace),
        };
        self.skips.push(skip);
        Ok(self.skips.len() - 1)
    }

    fn skip_record(&mut self, record: &'s RecordSchema, namespace: Option<&str>) -> Result<SkipIndex, AvroSchemaError> {
        let full = record.name.fully_qualified_name(namespace);
        let name = full.fullname(None);
        if let Some(known) = self.named.get(&name) {
            return Ok(*known);
        }
        let place = self.skips.len();
        self.skips.push(Skip::Nothing);
        self.named.insert(name, place);
        let fields = record.fields.iter().map(|field| self.skip(&field.schema, full.namespace()));
        self.skips[place] = Skip::Record { fields: fields.collect::<Result<_, _>>()?, no_width: false };
        Ok(place)
    }
}

/// Finds what takes no bytes at all: a block of any number of such items takes no time then, either.
fn mark_no_width(skips: &mut [Skip]) {
    let mut none = vec![false; skips.len()];
    loop {
        let mut changed = false;
        for (place, skip) in skips.iter().enumerate() {
            let now = match skip {
                Skip::Nothing | Skip::Fixed(0) => true,
                Skip::Record { fields, .. } => fields.iter().all(|field| none[*field]),
                _ => false,
            };
            changed |= now != none[place];
            none[place] = now;
        }
        if !changed {
            break;
        }
    }
    for (place, skip) in skips.iter_mut().enumerate() {
        match skip {
            Skip::Record { no_width, .. } => *no_width = none[place],
            Skip::Array { items, no_width } => *no_width = none[*items],
            _ => {}
        }
    }
}

/// What a field may be, for people.
fn expected(field: Field) -> &'static str {
    match field {
        Field::Ts => "timestamp-micros, timestamp-millis, or a long or int of microseconds",
        Field::Text(_) => "a string, UTF-8 bytes or an enum",
        Field::Number(number) if number.is_decimal() => {
            "an int, long, float, double, or a decimal of at most 76 places on bytes or fixed"
        }
        Field::Number(_) => "an int or a long",
        Field::Ok => "a boolean",
        Field::Attributes => "a map",
    }
}

fn called(schema: &Schema) -> &'static str {
    match schema {
        Schema::Null => "null",
        Schema::Boolean => "a boolean",
        Schema::Int => "an int",
        Schema::Long => "a long",
        Schema::Float => "a float",
        Schema::Double => "a double",
        Schema::Bytes => "bytes",
        Schema::String => "a string",
        Schema::Array(_) => "an array",
        Schema::Map(_) => "a map",
        Schema::Union(_) => "a union",
        Schema::Record(_) => "a record",
        Schema::Enum(_) => "an enum",
        Schema::Fixed(_) => "fixed",
        Schema::Decimal(_) => "a decimal",
        Schema::BigDecimal => "a big-decimal",
        Schema::Uuid(_) => "a uuid",
        Schema::Date => "a date",
        Schema::TimeMillis => "time-millis",
        Schema::TimeMicros => "time-micros",
        Schema::TimestampMillis => "timestamp-millis",
        Schema::TimestampMicros => "timestamp-micros",
        Schema::TimestampNanos => "timestamp-nanos",
        Schema::LocalTimestampMillis => "local-timestamp-millis",
        Schema::LocalTimestampMicros => "local-timestamp-micros",
        Schema::LocalTimestampNanos => "local-timestamp-nanos",
        Schema::Duration(_) => "a duration",
        Schema::Ref { .. } => "a named type",
    }
}
