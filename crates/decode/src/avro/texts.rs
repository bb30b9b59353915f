//! Fields of text one behind the other, whose UTF-8 is checked at once.
//!
//! What stands between short texts (branches, lengths, counts) are bytes below 0x80, each a character by itself. So if
//! all of it together is UTF-8, every text is. Long texts have longer lengths, and a stretch ends before one. Whatever is
//! not plainly right is read again by the steps, one by one.

use std::borrow::Cow;

use streamgauge_events::event::{Field, TextField, text_holds};
use streamgauge_events::{Attributes, Event, FieldSet};

use super::plan::{Form, Step};
use crate::checks::bit;

/// A field that is a text, or a map of them.
#[derive(Clone, Copy, Debug)]
pub struct TextStep {
    field: Field,
    /// The byte that says that it is there; the other branch of the two is null. `None`: it always is.
    there: Option<u8>,
}

/// The index of the first branch, and what changes it into that of the second.
const FIRST: u8 = 0;
const OTHER: u8 = 2;

impl TextStep {
    pub fn of(step: &Step) -> Option<Self> {
        let is_text = |form: &Form| matches!(form, Form::Text | Form::TextMap);
        let (field, there) = match step {
            Step::Read(field, form) if is_text(form) => (*field, None),
            Step::Choose(field, forms) => match &forms[..] {
                [Form::Null, form] if is_text(form) => (*field, Some(FIRST ^ OTHER)),
                [form, Form::Null] if is_text(form) => (*field, Some(FIRST)),
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { field, there })
    }
}

/// Texts on their way to an event.
pub struct Texts<'a, 'e> {
    event: &'e mut Event<'a>,
    bytes: &'a [u8],
    /// Where the stretch begins that has not been checked yet.
    unchecked: usize,
    /// The texts in it that are kept.
    waiting: [(TextField, usize, usize); WAITING_MAX],
    waiting_count: usize,
}

/// More seldom stand together, and a stretch may end behind any of them.
const WAITING_MAX: usize = 4;

impl<'a, 'e> Texts<'a, 'e> {
    #[inline]
    pub fn new(event: &'e mut Event<'a>, bytes: &'a [u8]) -> Self {
        Self { event, bytes, unchecked: 0, waiting: [(TextField::Service, 0, 0); WAITING_MAX], waiting_count: 0 }
    }

    /// The fields that are there, by [`bit`], and where the last one ends.
    #[inline]
    pub fn read(mut self, steps: &[TextStep], kept: FieldSet) -> Option<(u32, usize)> {
        let (mut present, mut at) = (0, 0);
        for step in steps {
            if let Some(there) = step.there {
                let branch = *self.bytes.get(at)?;
                at = at.wrapping_add(1);
                if branch == there ^ OTHER {
                    continue;
                }
                if branch != there {
                    return None;
                }
            }
            let Field::Text(field) = step.field else {
                present |= bit(Field::Attributes);
                let start = at;
                at = self.map(at)?;
                if kept.contains(Field::Attributes) {
                    self.event.attributes = Attributes::Avro(self.bytes.get(start..at)?);
                }
                continue;
            };
            present |= bit(Field::Text(field));
            let start;
            (start, at) = self.text(at)?;
            if !text_holds(field, at.wrapping_sub(start)) {
                return None;
            }
            if kept.contains(Field::Text(field)) {
                if self.waiting_count == WAITING_MAX {
                    self.check(start)?;
                }
                *self.waiting.get_mut(self.waiting_count)? = (field, start, at);
                self.waiting_count = self.waiting_count.wrapping_add(1);
            }
        }
        self.check(at)?;
        Some((present, at))
    }

    /// Where the text whose length stands at `at` begins and ends.
    #[inline(always)]
    fn text(&mut self, at: usize) -> Option<(usize, usize)> {
        let length = *self.bytes.get(at)?;
        // The lowest bit is the sign, the highest says that the next byte belongs to it.
        if length & 0x81 != 0 {
            return self.long_text(at);
        }
        let start = at.wrapping_add(1);
        let end = start.wrapping_add(usize::from(length >> 1));
        (end <= self.bytes.len()).then_some((start, end))
    }

    /// With a length of two bytes, the first of which is no character by itself.
    #[inline(never)]
    fn long_text(&mut self, at: usize) -> Option<(usize, usize)> {
        let [low, high] = *self.bytes.get(at..)?.first_chunk()?;
        if low & 0x81 != 0x80 || high >= 0x80 {
            return None;
        }
        self.check(at)?;
        self.unchecked = at + 2;
        let end = self.unchecked + (usize::from(low & 0x7f) | usize::from(high) << 7) / 2;
        (end <= self.bytes.len()).then_some((self.unchecked, end))
    }

    /// The end of a map of texts, in blocks that don't tell their size.
    #[inline]
    fn map(&mut self, mut at: usize) -> Option<usize> {
        loop {
            let count = *self.bytes.get(at)?;
            at = at.wrapping_add(1);
            if count & 0x81 != 0 {
                return None;
            }
            if count == 0 {
                return Some(at);
            }
            // Written as twice that of the entries, it is the count of their texts.
            for _ in 0..count {
                (_, at) = self.text(at)?;
            }
        }
    }

    /// Ends a stretch at `end`.
    fn check(&mut self, end: usize) -> Option<()> {
        let text = simdutf8::basic::from_utf8(self.bytes.get(self.unchecked..end)?).ok()?;
        for (field, start, end) in self.waiting.get(..self.waiting_count)? {
            let text = text.get(start.wrapping_sub(self.unchecked)..end.wrapping_sub(self.unchecked))?;
            self.event.set_text(*field, Cow::Borrowed(text));
        }
        self.unchecked = end;
        self.waiting_count = 0;
        Some(())
    }
}
