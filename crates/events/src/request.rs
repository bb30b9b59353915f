//! `requests`: one record per request that a service answered, or failed to answer.
//!
//! A request by its fields, for those who make them; [`crate::event`] has the rules by which they are read.
//! `schemas/request.example.jsonl` shows the records; `schemas/request-v1.avsc` is the same in Avro.

use std::borrow::Cow;

use serde::Serialize;

use crate::dead_letter::Rejection;
use crate::event::{Event, Kind, NumberField, TextField};
use crate::time::EventTime;

/// One request, borrowed from the bytes of its record where JSON escapes allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request<'a> {
    /// When the request ended, by the clock of the service. Microseconds since the Unix epoch.
    pub ts: EventTime,
    pub service: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// HTTP status code, 0 to 999.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether the service itself calls the request successful; `false` also stands for a transport error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// Duration in microseconds, 0 to 2^45.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Cow<'a, str>>,
}

impl<'a> Request<'a> {
    /// A request that says nothing but when and where.
    pub fn new(ts: EventTime, service: impl Into<Cow<'a, str>>) -> Self {
        Self {
            ts,
            service: service.into(),
            event_id: None,
            tenant: None,
            route: None,
            method: None,
            status: None,
            ok: None,
            latency_us: None,
            version: None,
            environment: None,
            region: None,
            trace_id: None,
        }
    }

    /// Reads one JSON object, by the rules of [`Event::from_json`].
    pub fn from_json(value: &'a [u8]) -> Result<Self, Rejection> {
        Event::from_json(Kind::Request, value).map(Self::from)
    }

    /// One line of JSON, in the order of the fields above.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of strings and integers always has a JSON form")
    }

    /// What the golden signals call a failure: an explicit `ok: false`, or a status of 500 and above.
    /// `None` where the record says neither.
    pub fn failed(&self) -> Option<bool> {
        match (self.ok, self.status) {
            (None, None) => None,
            (ok, status) => Some(ok == Some(false) || status.is_some_and(|status| status >= 500)),
        }
    }
}

impl<'a> From<Event<'a>> for Request<'a> {
    /// Everything but the attributes.
    fn from(event: Event<'a>) -> Self {
        let number = |field| event.number(field);
        let (status, latency_us) = (number(NumberField::Status), number(NumberField::LatencyUs));
        let (ts, ok) = (event.ts, event.ok);
        let mut texts = event.into_texts();
        let mut take = |field: TextField| texts[field as usize].take();
        Self {
            ts,
            service: take(TextField::Service).unwrap_or_default(),
            event_id: take(TextField::EventId),
            tenant: take(TextField::Tenant),
            route: take(TextField::Route),
            method: take(TextField::Method),
            status: status.map(|status| status as u16),
            ok,
            latency_us: latency_us.map(|latency_us| latency_us as u64),
            version: take(TextField::Version),
            environment: take(TextField::Environment),
            region: take(TextField::Region),
            trace_id: take(TextField::TraceId),
        }
    }
}

impl<'a> From<Request<'a>> for Event<'a> {
    fn from(request: Request<'a>) -> Self {
        let mut event = Event::new(request.ts, request.service);
        event.ok = request.ok;
        for (field, text) in [
            (TextField::EventId, request.event_id),
            (TextField::Tenant, request.tenant),
            (TextField::Route, request.route),
            (TextField::Method, request.method),
            (TextField::Version, request.version),
            (TextField::Environment, request.environment),
            (TextField::Region, request.region),
            (TextField::TraceId, request.trace_id),
        ] {
            if let Some(text) = text {
                event.set_text(field, text);
            }
        }
        if let Some(status) = request.status {
            event.set_number(NumberField::Status, status.into());
        }
        if let Some(latency_us) = request.latency_us {
            event.set_number(NumberField::LatencyUs, latency_us as i64);
        }
        event
    }
}
