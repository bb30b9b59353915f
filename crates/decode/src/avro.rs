//! Avro → an event, by a plan that is made once for each writer schema.

mod canonical;
mod cursor;
mod decimals;
mod encode;
mod plan;
mod schema;
mod texts;

use std::borrow::Cow;

use streamgauge_events::event::{Field, VALUE_SCALE, check_text};
use streamgauge_events::{Attributes, Event, EventTime, FieldSet, Reason, Rejection, json_number};

pub use encode::AvroEncoder;
pub use schema::{AvroSchemaError, AvroSchemas, Framing, SchemaKey, SchemaName};

use crate::checks::{Tally, Wanted, bit};
use cursor::Cursor;
use plan::{Form, Plan, Step};
use texts::Texts;

/// Reads Avro records of one topic.
#[derive(Debug)]
pub struct AvroDecoder {
    schemas: AvroSchemas,
    wanted: Wanted,
}

impl AvroDecoder {
    /// Of the optional fields, those in `fields` are kept. Which records are accepted does not depend on it.
    pub fn new(schemas: &AvroSchemas, fields: FieldSet) -> Self {
        Self { schemas: schemas.clone(), wanted: Wanted::new(schemas.kind, fields) }
    }

    /// A framed record, with the schema that wrote it. The same rules as for JSON, with the same reasons.
    #[inline]
    pub fn decode<'a>(&mut self, value: &'a [u8]) -> Result<(SchemaKey, Event<'a>), Rejection> {
        let mut event = Event::empty();
        let key = self.decode_into(value, &mut event)?;
        Ok((key, event))
    }

    /// The same, written where the event is to stand. `event` must be empty; after a rejection it means nothing.
    #[inline]
    pub fn decode_into<'a>(&mut self, value: &'a [u8], event: &mut Event<'a>) -> Result<SchemaKey, Rejection> {
        let Some((key, datum)) = self.schemas.framing.split(value) else { return Err(self.unframed()) };
        let Some(plan) = self.schemas.plans.get(&key) else { return Err(self.unknown(key)) };
        let mut reading = Reading { event, kept: self.wanted.kept, tally: Tally::default(), problem: None };
        let is_whole = reading.record(plan, &mut Cursor::new(datum)).is_some();
        if is_whole && reading.problem.is_none() && reading.tally.holds(&self.wanted) {
            return Ok(key);
        }
        Err(self.explain(plan, datum))
    }

    /// Why a record is rejected: what is wrong with its bytes, else its first wrong field, else what it lacks.
    #[cold]
    fn explain(&self, plan: &Plan, datum: &[u8]) -> Rejection {
        let mut event = Event::empty();
        let mut reading = Reading { event: &mut event, kept: FieldSet::ALL, tally: Tally::default(), problem: None };
        let mut cursor = Cursor::new(datum);
        if reading.record(plan, &mut cursor).is_none() {
            let at = datum.len() - cursor.rest().len();
            return Rejection::new(Reason::Undecodable, format!("{} before byte {at} of the datum", cursor.fault()));
        }
        let problem = reading.problem.take();
        problem.or_else(|| event.checked(self.wanted.kind).err()).unwrap_or_else(|| {
            // Not reached: `Tally::holds` and `Event::checked` say the same, which tests hold them to.
            Rejection::new(Reason::Undecodable, "rejected without a reason")
        })
    }

    #[cold]
    fn unframed(&self) -> Rejection {
        let expected = match self.schemas.framing {
            Framing::SingleObject => "c3 01 and the fingerprint of a schema",
            Framing::Confluent => "00 and the id of a schema",
        };
        Rejection::new(Reason::UnknownSchema, format!("does not begin with {expected}"))
    }

    #[cold]
    fn unknown(&self, key: SchemaKey) -> Rejection {
        let what = match self.schemas.framing {
            Framing::SingleObject => "fingerprint",
            Framing::Confluent => "id",
        };
        let message =
            format!("no schema with {what} {key} is configured: add the writer's schema to those of the topic");
        Rejection::new(Reason::UnknownSchema, message)
    }
}

/// A record on its way to an event.
struct Reading<'a, 'e> {
    event: &'e mut Event<'a>,
    kept: FieldSet,
    tally: Tally,
    /// The first field that is wrong. What is wrong with the bytes behind it weighs more.
    problem: Option<Rejection>,
}

impl<'a> Reading<'a, '_> {
    /// `None`: the bytes are not what the schema says, and the cursor tells why.
    fn record(&mut self, plan: &Plan, cursor: &mut Cursor<'a>) -> Option<()> {
        self.steps(plan, &plan.steps, cursor)?;
        if cursor.rest().is_empty() { Some(()) } else { cursor.broken("something behind the record") }
    }

    fn steps(&mut self, plan: &Plan, steps: &[Step], cursor: &mut Cursor<'a>) -> Option<()> {
        for step in steps {
            let (field, form) = match step {
                Step::Skip(skip) => {
                    cursor.skip(&plan.skips, *skip)?;
                    continue;
                }
                Step::Texts { texts, one_by_one } => {
                    match Texts::new(self.event, cursor.rest()).read(texts, self.kept) {
                        Some((present, length)) => {
                            self.tally.present |= present;
                            cursor.fixed(length)?;
                        }
                        None => self.steps(plan, one_by_one, cursor)?,
                    }
                    continue;
                }
                Step::Read(field, form) => (*field, form),
                Step::Choose(field, forms) => (*field, &forms[cursor.index(forms.len())?]),
            };
            self.value(plan, field, form, cursor)?;
        }
        Some(())
    }

    #[inline]
    fn value(&mut self, plan: &Plan, field: Field, form: &Form, cursor: &mut Cursor<'a>) -> Option<()> {
        match form {
            Form::Null => {}
            Form::Text if self.kept.contains(field) => self.text(field, Cow::Borrowed(cursor.text()?)),
            Form::Text => {
                let bytes = cursor.skip_text()?;
                self.text_of(field, bytes);
            }
            Form::Int | Form::Long | Form::Milliseconds => {
                let value = cursor.long()?;
                let value = match form {
                    Form::Int if i32::try_from(value).is_err() => {
                        return cursor.broken("an int of more than 32 bits");
                    }
                    // What 64 bits don't hold is far behind the last time that a record may have, or before the first.
                    Form::Milliseconds => value.saturating_mul(1000),
                    _ => value,
                };
                self.integer(field, value);
            }
            Form::Boolean => {
                let value = cursor.boolean()?;
                self.tally.present |= bit(field);
                if self.kept.contains(field) {
                    self.event.ok = Some(value);
                }
            }
            Form::Double => self.float(field, f64::from_le_bytes(cursor.chunk()?)),
            Form::Float => self.float(field, f32::from_le_bytes(cursor.chunk()?).into()),
            Form::DecimalBytes { scale } => self.decimal(field, cursor.bytes()?, *scale),
            Form::DecimalFixed { size, scale } => self.decimal(field, cursor.fixed(*size)?, *scale),
            Form::Symbol(symbols) => {
                let index = cursor.index(symbols.len())?;
                self.text(field, Cow::Owned(symbols[index].clone()));
            }
            Form::TextMap => {
                let blocks = cursor.text_map()?;
                self.tally.present |= bit(field);
                if self.kept.contains(field) {
                    self.event.attributes = Attributes::Avro(blocks);
                }
            }
            Form::NoTexts(skip) => cursor.skip(&plan.skips, *skip)?,
            Form::Wrong(skip, found) => {
                cursor.skip(&plan.skips, *skip)?;
                self.wrong_type(field, found);
            }
        }
        Some(())
    }

    #[inline]
    fn text(&mut self, field: Field, text: Cow<'a, str>) {
        self.text_of(field, text.len());
        if let Field::Text(name) = field
            && self.kept.contains(field)
        {
            self.event.set_text(name, text);
        }
    }

    #[inline]
    fn text_of(&mut self, field: Field, text_bytes: usize) {
        let Field::Text(name) = field else { return };
        self.tally.present |= bit(field);
        if let Err(rejection) = check_text(name, text_bytes) {
            self.wrong(|| rejection);
        }
    }

    /// In the unit in which the field is kept, but for `value`, which is whole here.
    #[inline]
    fn integer(&mut self, field: Field, value: i64) {
        let max = match field {
            Field::Ts => EventTime::MAX_RECORD.0,
            Field::Number(number) if number.is_decimal() => {
                return self.number(field, i128::from(value) * i128::from(VALUE_SCALE));
            }
            Field::Number(number) => number.range().1,
            _ => return,
        };
        if (0..=max).contains(&value) {
            return self.set(field, value);
        }
        self.wrong(|| match value {
            ..0 => Rejection::new(Reason::Negative, format!("{field} is {value}")),
            _ => Rejection::new(Reason::OutOfRange, format!("{field} must be from 0 to {max}, not {value}")),
        });
    }

    #[inline]
    fn set(&mut self, field: Field, value: i64) {
        self.tally.present |= bit(field);
        match field {
            Field::Ts => self.event.ts = EventTime(value),
            Field::Number(number) => {
                self.tally.numbers[number as usize] = value;
                if self.kept.contains(field) {
                    self.event.set_number(number, value);
                }
            }
            _ => {}
        }
    }

    fn float(&mut self, field: Field, value: f64) {
        if !value.is_finite() {
            return self.wrong_type(field, if value.is_nan() { "NaN" } else { "infinity" });
        }
        self.number(field, decimals::of_float(value).map_or(i128::MAX, i128::from));
    }

    #[inline]
    fn decimal(&mut self, field: Field, unscaled: &[u8], scale: usize) {
        self.number(field, decimals::of_decimal(unscaled, scale).map_or(i128::MAX, i128::from));
    }

    /// Millionths; the largest number stands for all that are too large either way.
    #[inline]
    fn number(&mut self, field: Field, millionths: i128) {
        let Field::Number(number) = field else { return };
        let (min, max) = number.range();
        if (i128::from(min)..=i128::from(max)).contains(&millionths) {
            return self.set(field, millionths as i64);
        }
        self.wrong(|| {
            let (min, max) = (json_number::from_millionths(min), json_number::from_millionths(max));
            Rejection::new(Reason::OutOfRange, format!("{field} must be from {min} to {max}"))
        });
    }

    #[cold]
    fn wrong_type(&mut self, field: Field, found: &str) {
        self.wrong(|| Rejection::new(Reason::WrongType, format!("{field} can't be {found}")));
    }

    #[cold]
    fn wrong(&mut self, rejection: impl FnOnce() -> Rejection) {
        self.problem.get_or_insert_with(rejection);
    }
}
