//! What a row becomes: an event of the mapping's kind that owns all it says. Must never know where its texts stood.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use streamgauge_events::{Attributes, Event, EventTime, Field, Kind, Rejection};

/// One event of a row, complete by the rules of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedEvent {
    kind: Kind,
    event: Event<'static>,
    /// A JSON object of texts: the events of an expanded row share it.
    attributes: Option<Arc<str>>,
}

impl MappedEvent {
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    pub fn service(&self) -> &str {
        self.event.service()
    }

    /// The event, borrowed from here.
    pub fn event(&self) -> Event<'_> {
        let mut event = Event::empty();
        (event.ts, event.ok) = (self.event.ts, self.event.ok);
        for field in self.kind.fields() {
            match field {
                Field::Text(field) => {
                    if let Some(text) = self.event.text(*field) {
                        event.set_text(*field, Cow::Borrowed(text));
                    }
                }
                Field::Number(field) => {
                    if let Some(number) = self.event.number(*field) {
                        event.set_number(*field, number);
                    }
                }
                Field::Ts | Field::Ok | Field::Attributes => {}
            }
        }
        event.attributes = self.attributes.as_deref().map_or(Attributes::None, Attributes::Json);
        event
    }

    /// One line of JSON, as it lies in the topic of its kind.
    pub fn to_json(&self) -> Vec<u8> {
        self.event().to_json(self.kind)
    }

    /// The same event at another time, and good or not where that is known.
    pub(crate) fn moved(&self, ts: EventTime, ok: Option<bool>) -> Self {
        let mut moved = self.clone();
        moved.event.ts = ts;
        moved.event.ok = ok.or(moved.event.ok);
        moved
    }

    pub(crate) const fn ts(&self) -> EventTime {
        self.event.ts
    }
}

/// An event in the making: what a mapping and a row have said so far.
#[derive(Clone, Debug)]
pub struct Draft {
    pub kind: Kind,
    pub event: Event<'static>,
    pub attributes: BTreeMap<String, String>,
}

impl Draft {
    pub const fn new(kind: Kind) -> Self {
        Self { kind, event: Event::empty(), attributes: BTreeMap::new() }
    }

    /// What holds of every event of the kind is checked once here, for all the events of an expanded row.
    pub fn finish(self) -> Result<MappedEvent, Rejection> {
        let Self { kind, event, attributes } = self;
        let event = event.checked(kind)?;
        let attributes = (!attributes.is_empty())
            .then(|| serde_json::to_string(&attributes).expect("a map of texts always has a JSON form").into());
        Ok(MappedEvent { kind, event, attributes })
    }
}
