//! `requests`: one record per request that a service answered, or failed to answer.
//!
//! Strict about the types of the fields it knows, tolerant of fields it does not know, exact about numbers.
//! `schemas/request.example.jsonl` shows the records; `schemas/request-v1.avsc` is the same in Avro.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{self, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::dead_letter::{Reason, Rejection};
use crate::json_number::{NotAnInteger, to_integer};
use crate::time::EventTime;

/// Longer service, route, version, tenant and other label values are rejected: every one may become a key in memory.
pub const LABEL_BYTES_MAX: usize = 512;
/// 2^45 microseconds (407 days): sums of squares stay exact in 128 bits for 2^37 records.
pub const LATENCY_US_MAX: i128 = 1 << 45;
/// Three digits, as in HTTP; 0 may stand for "no answer".
pub const STATUS_MAX: i128 = 999;

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

    /// Reads one JSON object: valid UTF-8, the whole JSON grammar, nothing behind it.
    ///
    /// A field that is known but has the wrong type, stands twice or is out of range rejects the record.
    /// `null` counts as absent. Unknown fields, `attributes` among them, are skipped.
    pub fn from_json(value: &'a [u8]) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(value).map_err(|error| {
            Rejection::new(Reason::Undecodable, format!("not UTF-8 from byte {} on", error.valid_up_to()))
        })?;
        // Nearly every record takes the quick way. Where it fails, whatever the cause, the exact way decides and explains.
        quick(text).map_or_else(|_| exact(text), Ok)
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

    fn checked(self) -> Result<Self, Rejection> {
        if self.service.is_empty() {
            return Err(Rejection::new(Reason::OutOfRange, "service is empty"));
        }
        let labels = [
            ("service", Some(&self.service)),
            ("tenant", self.tenant.as_ref()),
            ("route", self.route.as_ref()),
            ("method", self.method.as_ref()),
            ("version", self.version.as_ref()),
            ("environment", self.environment.as_ref()),
            ("region", self.region.as_ref()),
            ("trace_id", self.trace_id.as_ref()),
            ("event_id", self.event_id.as_ref()),
        ];
        for (name, value) in labels {
            if value.is_some_and(|value| value.len() > LABEL_BYTES_MAX) {
                return Err(Rejection::new(
                    Reason::OutOfRange,
                    format!("{name} is longer than {LABEL_BYTES_MAX} bytes"),
                ));
            }
        }
        Ok(self)
    }
}

/// The fields of a record before anything is known to be present.
#[derive(Default)]
struct Fields<'a> {
    ts: Option<i64>,
    service: Option<Cow<'a, str>>,
    event_id: Option<Cow<'a, str>>,
    tenant: Option<Cow<'a, str>>,
    route: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    status: Option<u16>,
    ok: Option<bool>,
    latency_us: Option<u64>,
    version: Option<Cow<'a, str>>,
    environment: Option<Cow<'a, str>>,
    region: Option<Cow<'a, str>>,
    trace_id: Option<Cow<'a, str>>,
}

impl<'a> Fields<'a> {
    fn into_request(self) -> Result<Request<'a>, Rejection> {
        let missing = |name| Rejection::new(Reason::MissingField, format!("required field {name} is absent"));
        Request {
            ts: EventTime(self.ts.ok_or_else(|| missing("ts"))?),
            service: self.service.ok_or_else(|| missing("service"))?,
            event_id: self.event_id,
            tenant: self.tenant,
            route: self.route,
            method: self.method,
            status: self.status,
            ok: self.ok,
            latency_us: self.latency_us,
            version: self.version,
            environment: self.environment,
            region: self.region,
            trace_id: self.trace_id,
        }
        .checked()
    }
}

/// Names of the fields in a record, in one place for both ways of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Ts,
    Service,
    EventId,
    Tenant,
    Route,
    Method,
    Status,
    Ok,
    LatencyUs,
    Version,
    Environment,
    Region,
    TraceId,
    Attributes,
    Unknown,
}

impl Field {
    fn named(name: &str) -> Self {
        match name {
            "ts" => Self::Ts,
            "service" => Self::Service,
            "event_id" => Self::EventId,
            "tenant" => Self::Tenant,
            "route" => Self::Route,
            "method" => Self::Method,
            "status" => Self::Status,
            "ok" => Self::Ok,
            "latency_us" => Self::LatencyUs,
            "version" => Self::Version,
            "environment" => Self::Environment,
            "region" => Self::Region,
            "trace_id" => Self::TraceId,
            "attributes" => Self::Attributes,
            _ => Self::Unknown,
        }
    }
}

// ---- the quick way: one pass of serde, no allocation, any oddity is an error

fn quick(text: &str) -> Result<Request<'_>, ()> {
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = json.deserialize_map(QuickVisitor).map_err(drop)?;
    json.end().map_err(drop)?;
    fields.into_request().map_err(drop)
}

struct QuickVisitor;

impl<'de> Visitor<'de> for QuickVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        let mut seen = 0_u16;
        while let Some(FieldKey(field)) = map.next_key()? {
            if field == Field::Unknown {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let bit = 1_u16 << field as u16;
            if seen & bit != 0 {
                return Err(de::Error::custom("duplicate field"));
            }
            seen |= bit;
            match field {
                Field::Ts => fields.ts = Some(bounded(map.next_value::<Integer>()?.0, 0, EventTime::MAX_RECORD.0)?),
                Field::Service => fields.service = Some(map.next_value::<Text>()?.0),
                Field::EventId => fields.event_id = map.next_value::<Option<Text>>()?.map(|text| text.0),
                Field::Tenant => fields.tenant = map.next_value::<Option<Text>>()?.map(|text| text.0),
                Field::Route => fields.route = map.next_value::<Option<Text>>()?.map(|text| text.0),
                Field::Method => fields.method = map.next_value::<Option<Text>>()?.map(|text| text.0),
                Field::Status => {
                    if let Some(status) = map.next_value::<Option<Integer>>()? {
                        fields.status = Some(bounded(status.0, 0, STATUS_MAX as i64)? as u16);
                    }
                }
                Field::Ok => fields.ok = map.next_value::<Option<bool>>()?,
                Field::LatencyUs => {
                    if let Some(latency) = map.next_value::<Option<Integer>>()? {
                        fields.latency_us = Some(bounded(latency.0, 0, LATENCY_US_MAX as i64)? as u64);
                    }
                }
                Field::Version => fields.version = map.next_value::<Option<Text>>()?.map(|text| text.0),
                Field::Environment => fields.environment = map.next_value::<Option<Text>>()?.map(|text| text.0),
                Field::Region => fields.region = map.next_value::<Option<Text>>()?.map(|text| text.0),
                Field::TraceId => fields.trace_id = map.next_value::<Option<Text>>()?.map(|text| text.0),
                Field::Attributes => {
                    map.next_value::<Option<Object>>()?;
                }
                Field::Unknown => {}
            }
        }
        Ok(fields)
    }
}

fn bounded<E: de::Error>(value: i64, min: i64, max: i64) -> Result<i64, E> {
    if (min..=max).contains(&value) { Ok(value) } else { Err(E::custom("out of range")) }
}

struct FieldKey(Field);

impl<'de> de::Deserialize<'de> for FieldKey {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = FieldKey;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<FieldKey, E> {
                Ok(FieldKey(Field::named(name)))
            }
        }
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

/// A string that borrows where it has no escapes. (`&str` fails on escapes, `Cow` under `Option` always owns.)
struct Text<'a>(Cow<'a, str>);

impl<'de> de::Deserialize<'de> for Text<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// An integer written as one. A decimal point or an exponent goes the exact way.
struct Integer(i64);

impl<'de> de::Deserialize<'de> for Integer {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntegerVisitor;
        impl Visitor<'_> for IntegerVisitor {
            type Value = Integer;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an integer")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Integer, E> {
                i64::try_from(value).map(Integer).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Integer, E> {
                Ok(Integer(value))
            }
        }
        deserializer.deserialize_any(IntegerVisitor)
    }
}

/// Any JSON object, skipped.
struct Object;

impl<'de> de::Deserialize<'de> for Object {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

// ---- the exact way: decimals, and the reason why a record is rejected

fn exact(text: &str) -> Result<Request<'_>, Rejection> {
    let undecodable = |error: serde_json::Error| Rejection::new(Reason::Undecodable, error.to_string());
    let mut json = serde_json::Deserializer::from_str(text);
    let members = match json.deserialize_map(MembersVisitor) {
        Ok(members) => members,
        Err(error) if error.is_data() => return Err(Rejection::new(Reason::WrongType, error.to_string())),
        Err(error) => return Err(undecodable(error)),
    };
    json.end().map_err(undecodable)?;

    let mut fields = Fields::default();
    let mut seen = 0_u16;
    for (name, raw) in members {
        let field = Field::named(&name);
        if field == Field::Unknown {
            continue;
        }
        let bit = 1_u16 << field as u16;
        if seen & bit != 0 {
            return Err(Rejection::new(Reason::DuplicateField, format!("{name} stands twice")));
        }
        seen |= bit;
        let member = Member { name: &name, raw: raw.get() };
        match field {
            Field::Ts => fields.ts = member.integer(i128::from(EventTime::MAX_RECORD.0))?.map(|ts| ts as i64),
            Field::Service => fields.service = member.text()?,
            Field::EventId => fields.event_id = member.text()?,
            Field::Tenant => fields.tenant = member.text()?,
            Field::Route => fields.route = member.text()?,
            Field::Method => fields.method = member.text()?,
            Field::Status => fields.status = member.integer(STATUS_MAX)?.map(|status| status as u16),
            Field::Ok => fields.ok = member.boolean()?,
            Field::LatencyUs => fields.latency_us = member.integer(LATENCY_US_MAX)?.map(|latency| latency as u64),
            Field::Version => fields.version = member.text()?,
            Field::Environment => fields.environment = member.text()?,
            Field::Region => fields.region = member.text()?,
            Field::TraceId => fields.trace_id = member.text()?,
            Field::Attributes if matches!(raw.get().as_bytes().first(), Some(b'{' | b'n')) => {}
            Field::Attributes => return Err(member.wrong_type("an object")),
            Field::Unknown => {}
        }
    }
    fields.into_request()
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            let raw = map.next_value()?;
            if Field::named(&name) != Field::Unknown {
                members.push((name, raw));
            }
        }
        Ok(members)
    }
}

/// One known member of the object, as text.
struct Member<'n, 'a> {
    name: &'n str,
    raw: &'a str,
}

impl<'a> Member<'_, 'a> {
    fn is_null(&self) -> bool {
        self.raw == "null"
    }

    fn wrong_type(&self, expected: &str) -> Rejection {
        let shown: String = self.raw.chars().take(40).collect();
        Rejection::new(Reason::WrongType, format!("{} must be {expected}, not {shown}", self.name))
    }

    fn text(&self) -> Result<Option<Cow<'a, str>>, Rejection> {
        if self.is_null() {
            return Ok(None);
        }
        let text: Text<'a> = serde_json::from_str(self.raw).map_err(|_| self.wrong_type("a string"))?;
        Ok(Some(text.0))
    }

    fn boolean(&self) -> Result<Option<bool>, Rejection> {
        match self.raw {
            "null" => Ok(None),
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    fn integer(&self, max: i128) -> Result<Option<i128>, Rejection> {
        if self.is_null() {
            return Ok(None);
        }
        if !matches!(self.raw.as_bytes().first(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.wrong_type("an integer"));
        }
        let out_of_range = || {
            Rejection::new(Reason::OutOfRange, format!("{} must be from 0 to {max}, not {:.40}", self.name, self.raw))
        };
        match to_integer(self.raw) {
            Ok(value) if value < 0 => Err(Rejection::new(Reason::Negative, format!("{} is {value}", self.name))),
            Ok(value) if value > max => Err(out_of_range()),
            Ok(value) => Ok(Some(value)),
            Err(NotAnInteger::TooLarge) => Err(out_of_range()),
            Err(NotAnInteger::Fraction) => Err(self.wrong_type("an integer")),
        }
    }
}
