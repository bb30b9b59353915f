//! What must hold of an event beyond its single fields, while it is being read. As `Event::checked`, without the reasons.

use streamgauge_events::event::{Field, NumberField};
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
    /// Those that hold together, whether or not they are kept.
    pub numbers: [i64; NumberField::COUNT],
}

impl Tally {
    #[inline]
    pub fn holds(&self, wanted: &Wanted) -> bool {
        if self.present & wanted.required != wanted.required {
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
