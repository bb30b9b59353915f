//! One JSON object → an event.

use streamgauge_events::{Event, FieldSet, Kind, Rejection};

/// Reads JSON records of one kind.
pub struct JsonDecoder {
    kind: Kind,
    fields: FieldSet,
}

impl JsonDecoder {
    /// Of the optional fields, those in `fields` are kept. Which records are accepted does not depend on it.
    pub fn new(kind: Kind, fields: FieldSet) -> Self {
        Self { kind, fields }
    }

    /// As [`Event::from_json`], restricted to the fields.
    pub fn decode<'a>(&mut self, value: &'a [u8]) -> Result<Event<'a>, Rejection> {
        Ok(Event::from_json(self.kind, value)?.restricted(self.kind, self.fields))
    }
}
