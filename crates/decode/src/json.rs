//! One JSON object → an event.
//!
//! One pass marks the quotes, then keys are guessed from recent records and values are read where they stand. Whatever
//! is not plainly right goes the exact way, [`Event::from_json`], which decides and explains.

mod marks;
mod scan;
mod shapes;

use streamgauge_events::event::{Field, NumberField, text_holds};
use streamgauge_events::{Attributes, Event, EventTime, FieldSet, Kind, Rejection};

use crate::checks::{Tally, Wanted, bit};
use marks::Marks;
use scan::{Next, Scan};
use shapes::{Member, Shapes};

/// Reads JSON records of one kind.
#[derive(Debug)]
pub struct JsonDecoder {
    wanted: Wanted,
    marks: Marks,
    shapes: Shapes,
}

impl JsonDecoder {
    /// Of the optional fields, those in `fields` are kept. Which records are accepted does not depend on it.
    pub fn new(kind: Kind, fields: FieldSet) -> Self {
        Self { wanted: Wanted::new(kind, fields), marks: Marks::default(), shapes: Shapes::default() }
    }

    /// As [`Event::from_json`], restricted to the fields.
    #[inline]
    pub fn decode<'a>(&mut self, value: &'a [u8]) -> Result<Event<'a>, Rejection> {
        let mut event = Event::empty();
        self.decode_into(value, &mut event)?;
        Ok(event)
    }

    /// The same, written where the event is to stand: moving one costs as much as reading two members. `event` must be
    /// empty; after a rejection it means nothing.
    #[inline]
    pub fn decode_into<'a>(&mut self, value: &'a [u8], event: &mut Event<'a>) -> Result<(), Rejection> {
        if self.read(value, event).is_some() {
            return Ok(());
        }
        *event = self.decode_exactly(value)?;
        Ok(())
    }

    #[cold]
    fn decode_exactly<'a>(&self, value: &'a [u8]) -> Result<Event<'a>, Rejection> {
        Ok(Event::from_json(self.wanted.kind, value)?.restricted(self.wanted.kind, self.wanted.kept))
    }

    /// `None` where the record is wrong, or where that is not plain to see.
    fn read<'a>(&mut self, value: &'a [u8], event: &mut Event<'a>) -> Option<()> {
        let text = simdutf8::basic::from_utf8(value).ok()?;
        self.marks.set(value);
        let scan = Scan { text, marks: &self.marks };
        let mut guesses = self.shapes.guesses();
        let mut expected = guesses.expected();
        let mut reading = Reading { scan, event, seen: 0, tally: Tally::default() };
        let mut at = 0;
        loop {
            while let Some((literal, behind)) = expected.split_first()
                && literal.stands_at(value, at)
            {
                expected = behind;
                at = reading.value(&literal.member, at.wrapping_add(literal.length))?;
            }
            if at > 0 && value.get(at..) == Some(b"}") {
                break;
            }
            if let Some(elsewhere) = guesses.elsewhere(value, at, expected) {
                expected = elsewhere;
                continue;
            }
            let Next::Key { start, end, value_at } = scan.next(at, at == 0)? else { break };
            let member = member(&self.wanted, &scan.unescaped(start, end)?);
            expected = guesses.read(member, expected);
            at = reading.unexpected_value(&member, value_at)?;
        }
        if !reading.tally.holds(&self.wanted) {
            return None;
        }
        let told = guesses.told();
        if self.shapes.end(told) {
            self.learn(text);
        }
        Some(())
    }

    /// Remembers what stands between the values of a record that was just read.
    #[cold]
    fn learn(&mut self, text: &str) {
        let scan = Scan { text, marks: &self.marks };
        let mut at = 0;
        let literals = std::iter::from_fn(|| {
            let Some(Next::Key { start, end, value_at }) = scan.next(at, at == 0) else { return None };
            let literal = &text.as_bytes()[at..value_at];
            at = scan.skip(value_at)?;
            Some((literal, member(&self.wanted, &scan.unescaped(start, end)?)))
        });
        self.shapes.learn(literals);
    }
}

fn member(wanted: &Wanted, name: &str) -> Member {
    let field = wanted.kind.field(name);
    let max = match field {
        Some(Field::Ts) => EventTime::MAX_RECORD.0,
        Some(Field::Number(number)) => number.range().1,
        _ => 0,
    };
    Member { field, bit: field.map_or(0, bit), kept: field.is_some_and(|field| wanted.kept.contains(field)), max }
}

/// A record on its way to an event.
struct Reading<'a, 'm, 'e> {
    scan: Scan<'a, 'm>,
    event: &'e mut Event<'a>,
    /// Fields whose key stood there.
    seen: u32,
    tally: Tally,
}

impl Reading<'_, '_, '_> {
    /// Reads the value at `at`; where it ends.
    #[inline(always)]
    fn value(&mut self, member: &Member, at: usize) -> Option<usize> {
        let Some(field) = member.field else { return self.scan.skip(at) };
        if self.seen & member.bit != 0 {
            return None;
        }
        self.seen |= member.bit;
        if self.scan.byte(at)? == b'n' {
            return self.scan.word(at, "null");
        }
        self.tally.present |= member.bit;
        match field {
            Field::Text(field) => {
                let (start, end) = self.scan.string(at)?;
                if !member.kept && !self.scan.marks.escapes {
                    // Its bytes are its text: nothing needs to be cut out.
                    return text_holds(field, end.wrapping_sub(start)).then(|| end.wrapping_add(1));
                }
                let text = self.scan.unescaped(start, end)?;
                if !text_holds(field, text.len()) {
                    return None;
                }
                if member.kept {
                    self.event.set_text(field, text);
                }
                Some(end.wrapping_add(1))
            }
            Field::Number(field) if field.is_decimal() => {
                let (number, end) = self.scan.millionths(at, member.max)?;
                self.number(field, member.kept, number);
                Some(end)
            }
            Field::Ts | Field::Number(_) => {
                let (number, end) = self.scan.integer(at, member.max)?;
                match field {
                    Field::Number(field) => self.number(field, member.kept, number),
                    _ => self.event.ts = EventTime(number),
                }
                Some(end)
            }
            Field::Ok => {
                let (ok, end) = match self.scan.byte(at)? {
                    b't' => (true, self.scan.word(at, "true")?),
                    _ => (false, self.scan.word(at, "false")?),
                };
                if member.kept {
                    self.event.ok = Some(ok);
                }
                Some(end)
            }
            Field::Attributes => {
                if self.scan.byte(at)? != b'{' {
                    return None;
                }
                let end = match self.scan.skip_flat_object(at) {
                    Some(end) => end,
                    None => self.scan.skip(at)?,
                };
                if member.kept {
                    self.event.attributes = Attributes::Json(&self.scan.text[at..end]);
                }
                Some(end)
            }
        }
    }

    #[inline(never)]
    fn unexpected_value(&mut self, member: &Member, at: usize) -> Option<usize> {
        self.value(member, at)
    }

    #[inline(always)]
    fn number(&mut self, field: NumberField, kept: bool, number: i64) {
        self.tally.numbers[field as usize] = number;
        if kept {
            self.event.set_number(field, number);
        }
    }
}
