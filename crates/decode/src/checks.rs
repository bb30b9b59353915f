//! What must hold of an event beyond its single fields, while it is being read. As `Event::checked`, without the reasons.

use streamgauge_events::event::{Field, LABEL_BYTES_MAX, NumberField, TextField};
use streamgauge_events::{FieldSet, Kind};

/// What a decoder looks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub kind: Kind,
    /// The fields that are kept; the required ones among them.
    pub kept: FieldSet,
    required: u32,
}

impl Wanted {
    pub fn new(kind: Kind, fields: FieldSet) -> Self {
        let required: FieldSet = kind.required().iter().copied().collect();
        let bits = kind.required().iter().fold(0, |bits, field| bits | bit(*field));
        Self { kind, kept: fields.union(required), required: bits }
    }
}

pub const fn bit(field: Field) -> u32 {
    1 << field.index()
}

/// What has been read of a record so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Fields that are there and not null, by [`bit`].
    pub present: u32,
    /// A text that may not be so.
    pub broken: bool,
    /// Those that hold together, whether or not they are kept.
    pub numbers: [i64; NumberField::COUNT],
}

impl Tally {
    #[inline]
    pub fn holds(&self, wanted: &Wanted) -> bool {
        if self.broken || self.present & wanted.required != wanted.required {
            return false;
        }
        if wanted.kind != Kind::Score {
            return true;
        }
        let has = |field| self.present & bit(Field::Number(field)) != 0;
        let (good, total) = (has(NumberField::Good), has(NumberField::Total));
        let in_order = self.numbers[NumberField::Good as usize] <= self.numbers[NumberField::Total as usize];
        good == total && (good || has(NumberField::Value)) && in_order
    }
}

/// Whether a label may be so long.
#[inline]
pub fn text_holds(field: TextField, text_bytes: usize) -> bool {
    text_bytes <= LABEL_BYTES_MAX && !(text_bytes == 0 && matches!(field, TextField::Service | TextField::Metric))
}
