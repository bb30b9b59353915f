//! An event of any kind, as it is read: which fields each kind has, of which types, and what makes a record one.
//!
//! Strict about the types of the fields that a kind has, tolerant of fields that it has not, exact about numbers. What is
//! accepted never depends on which fields somebody reads: otherwise a new definition would change what old ones count.
//! [`Event::from_json`] is the exact way, which decides in doubt and explains; quicker ways must agree with it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use crate::attributes::Attributes;
use crate::dead_letter::{Reason, Rejection};
use crate::json_number::{self, NotAnInteger, to_integer};
use crate::time::EventTime;

/// Longer service, route, version, tenant and other label values are rejected: every one may become a key in memory.
pub const LABEL_BYTES_MAX: usize = 512;
/// 2^45 microseconds (407 days): sums of squares stay exact in 128 bits for 2^37 records.
pub const LATENCY_US_MAX: i64 = 1 << 45;
/// Three digits, as in HTTP; 0 may stand for "no answer".
pub const STATUS_MAX: i64 = 999;
/// Values are kept in millionths.
pub const VALUE_PLACES: u32 = 6;
/// 10^[`VALUE_PLACES`].
pub const VALUE_SCALE: i64 = 1_000_000;
/// 2^45 millionths (35 million) either way, for the same reason as [`LATENCY_US_MAX`].
pub const VALUE_MILLIONTHS_MAX: i64 = 1 << 45;
/// Results of an audit, in one event: sums stay exact in 64 bits for 2^31 events.
pub const COUNT_MAX: i64 = 1 << 32;

/// What happened: the kind of event that a topic holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request that a service answered, or failed to answer.
    Request,
    /// A judgement of quality: a score, or how many of some things passed an audit.
    Score,
    /// A sample of a resource: its use at one moment.
    Resource,
}

/// A field by its name. The word is the same in records, predicates, labels and mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    Ts,
    Text(TextField),
    Number(NumberField),
    Ok,
    Attributes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextField {
    Service,
    EventId,
    Tenant,
    Route,
    Method,
    Version,
    Environment,
    Region,
    TraceId,
    /// What a score or a sample is of: `satisfaction`, `cpu`.
    Metric,
    /// Which of the service's processes, pods or machines.
    Instance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NumberField {
    /// HTTP status code, 0 to 999.
    Status,
    /// Duration in microseconds, 0 to 2^45.
    LatencyUs,
    /// In millionths, from -2^45 to 2^45.
    Value,
    /// How many of `total` passed, 0 to 2^32.
    Good,
    /// How many were looked at, 0 to 2^32.
    Total,
}

impl TextField {
    pub const ALL: [Self; 11] = [
        Self::Service,
        Self::EventId,
        Self::Tenant,
        Self::Route,
        Self::Method,
        Self::Version,
        Self::Environment,
        Self::Region,
        Self::TraceId,
        Self::Metric,
        Self::Instance,
    ];
    pub const COUNT: usize = Self::ALL.len();

    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::EventId => "event_id",
            Self::Tenant => "tenant",
            Self::Route => "route",
            Self::Method => "method",
            Self::Version => "version",
            Self::Environment => "environment",
            Self::Region => "region",
            Self::TraceId => "trace_id",
            Self::Metric => "metric",
            Self::Instance => "instance",
        }
    }
}

impl NumberField {
    pub const COUNT: usize = 5;

    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::LatencyUs => "latency_us",
            Self::Value => "value",
            Self::Good => "good",
            Self::Total => "total",
        }
    }

    /// Smallest and largest, in the unit in which it is kept.
    pub const fn range(self) -> (i64, i64) {
        match self {
            Self::Status => (0, STATUS_MAX),
            Self::LatencyUs => (0, LATENCY_US_MAX),
            Self::Value => (-VALUE_MILLIONTHS_MAX, VALUE_MILLIONTHS_MAX),
            Self::Good | Self::Total => (0, COUNT_MAX),
        }
    }

    /// Decimals are kept in millionths; all others are integers.
    pub const fn is_decimal(self) -> bool {
        matches!(self, Self::Value)
    }
}

impl Field {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ts => "ts",
            Self::Text(field) => field.name(),
            Self::Number(field) => field.name(),
            Self::Ok => "ok",
            Self::Attributes => "attributes",
        }
    }

    /// A number below 32, for sets.
    #[inline]
    pub const fn index(self) -> u32 {
        match self {
            Self::Ts => 0,
            Self::Ok => 1,
            Self::Attributes => 2,
            Self::Text(field) => 3 + field as u32,
            Self::Number(field) => 3 + TextField::COUNT as u32 + field as u32,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Fields that somebody reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(u32);

impl FieldSet {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(u32::MAX);

    #[must_use]
    #[inline]
    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | 1 << field.index())
    }

    #[must_use]
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub const fn contains(self, field: Field) -> bool {
        self.0 & 1 << field.index() != 0
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        fields.into_iter().fold(Self::NONE, Self::with)
    }
}

const REQUEST_FIELDS: &[Field] = &[
    Field::Ts,
    Field::Text(TextField::Service),
    Field::Text(TextField::EventId),
    Field::Text(TextField::Tenant),
    Field::Text(TextField::Route),
    Field::Text(TextField::Method),
    Field::Number(NumberField::Status),
    Field::Ok,
    Field::Number(NumberField::LatencyUs),
    Field::Text(TextField::Version),
    Field::Text(TextField::Environment),
    Field::Text(TextField::Region),
    Field::Text(TextField::TraceId),
    Field::Attributes,
];

const SCORE_FIELDS: &[Field] = &[
    Field::Ts,
    Field::Text(TextField::Service),
    Field::Text(TextField::Metric),
    Field::Text(TextField::EventId),
    Field::Text(TextField::Tenant),
    Field::Text(TextField::Route),
    Field::Number(NumberField::Value),
    Field::Number(NumberField::Good),
    Field::Number(NumberField::Total),
    Field::Text(TextField::Version),
    Field::Text(TextField::Environment),
    Field::Text(TextField::Region),
    Field::Text(TextField::TraceId),
    Field::Attributes,
];

const RESOURCE_FIELDS: &[Field] = &[
    Field::Ts,
    Field::Text(TextField::Service),
    Field::Text(TextField::Metric),
    Field::Text(TextField::EventId),
    Field::Text(TextField::Tenant),
    Field::Text(TextField::Instance),
    Field::Number(NumberField::Value),
    Field::Text(TextField::Version),
    Field::Text(TextField::Environment),
    Field::Text(TextField::Region),
    Field::Attributes,
];

impl Kind {
    pub const ALL: [Self; 3] = [Self::Request, Self::Score, Self::Resource];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Score => "score",
            Self::Resource => "resource",
        }
    }

    /// Its fields, in the order in which they are written.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Request => REQUEST_FIELDS,
            Self::Score => SCORE_FIELDS,
            Self::Resource => RESOURCE_FIELDS,
        }
    }

    /// Fields without which a record is none of this kind.
    pub const fn required(self) -> &'static [Field] {
        const SERVICE: Field = Field::Text(TextField::Service);
        const METRIC: Field = Field::Text(TextField::Metric);
        match self {
            Self::Request => &[Field::Ts, SERVICE],
            Self::Score => &[Field::Ts, SERVICE, METRIC],
            Self::Resource => &[Field::Ts, SERVICE, METRIC, Field::Number(NumberField::Value)],
        }
    }

    /// The field of that name, if this kind has one.
    pub fn field(self, name: &str) -> Option<Field> {
        self.fields().iter().copied().find(|field| field.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One event, borrowed from the bytes of its record where escapes allow. Fields that were not asked for are absent.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// When it happened, by the clock of the service. Microseconds since the Unix epoch.
    pub ts: EventTime,
    /// Whether the service itself calls the request successful; `false` also stands for a transport error.
    pub ok: Option<bool>,
    /// Those that stand in the record as they are. Without anything to drop, so that making and leaving an event is cheap.
    texts: [Option<&'a str>; TextField::COUNT],
    /// Those that had escapes, or were made. A field is here or there.
    owned: Vec<(TextField, String)>,
    numbers: [Option<i64>; NumberField::COUNT],
    pub attributes: Attributes<'a>,
}

impl<'a> Event<'a> {
    /// An event that says nothing but when and where.
    pub fn new(ts: EventTime, service: impl Into<Cow<'a, str>>) -> Self {
        let mut event = Self::empty();
        event.ts = ts;
        event.set_text(TextField::Service, service.into());
        event
    }

    /// An event before anything is known of it. [`Event::checked`] tells whether what was added makes it one.
    pub const fn empty() -> Self {
        Self {
            ts: EventTime::BEFORE_ALL,
            ok: None,
            texts: [None; TextField::COUNT],
            owned: Vec::new(),
            numbers: [None; NumberField::COUNT],
            attributes: Attributes::None,
        }
    }

    #[inline]
    pub fn text(&self, field: TextField) -> Option<&str> {
        match self.texts[field as usize] {
            None if !self.owned.is_empty() => self.owned_text(field),
            text => text,
        }
    }

    #[cold]
    fn owned_text(&self, field: TextField) -> Option<&str> {
        self.owned.iter().find(|(of, _)| *of == field).map(|(_, text)| text.as_str())
    }

    #[inline(always)]
    pub fn set_text(&mut self, field: TextField, text: Cow<'a, str>) {
        match text {
            Cow::Borrowed(text) if self.owned.is_empty() => self.texts[field as usize] = Some(text),
            text => self.set_any_text(field, text),
        }
    }

    #[cold]
    fn set_any_text(&mut self, field: TextField, text: Cow<'a, str>) {
        self.remove_text(field);
        match text {
            Cow::Borrowed(text) => self.texts[field as usize] = Some(text),
            Cow::Owned(text) => self.owned.push((field, text)),
        }
    }

    fn remove_text(&mut self, field: TextField) {
        self.texts[field as usize] = None;
        self.owned.retain(|(of, _)| *of != field);
    }

    /// The texts by [`TextField`].
    pub fn into_texts(self) -> [Option<Cow<'a, str>>; TextField::COUNT] {
        let mut texts = self.texts.map(|text| text.map(Cow::Borrowed));
        for (field, text) in self.owned {
            texts[field as usize] = Some(Cow::Owned(text));
        }
        texts
    }

    /// In the unit in which the field is kept: `value` in millionths.
    #[inline]
    pub fn number(&self, field: NumberField) -> Option<i64> {
        self.numbers[field as usize]
    }

    #[inline]
    pub fn set_number(&mut self, field: NumberField, number: i64) {
        self.numbers[field as usize] = Some(number);
    }

    /// Empty where it is absent, which no event is that was decoded.
    #[inline]
    pub fn service(&self) -> &str {
        self.text(TextField::Service).unwrap_or_default()
    }

    #[inline]
    pub fn tenant(&self) -> &str {
        self.text(TextField::Tenant).unwrap_or_default()
    }

    /// What the golden signals call a failed request: an explicit `ok: false`, or a status of 500 and above.
    /// `None` where the record says neither.
    #[inline]
    pub fn failed(&self) -> Option<bool> {
        match (self.ok, self.number(NumberField::Status)) {
            (None, None) => None,
            (ok, status) => Some(ok == Some(false) || status.is_some_and(|status| status >= 500)),
        }
    }

    pub fn has(&self, field: Field) -> bool {
        match field {
            Field::Ts => self.ts != EventTime::BEFORE_ALL,
            Field::Text(field) => self.text(field).is_some(),
            Field::Number(field) => self.number(field).is_some(),
            Field::Ok => self.ok.is_some(),
            Field::Attributes => !self.attributes.is_none(),
        }
    }

    /// What is left of it for those who read only these fields. The fields that its kind requires always are.
    #[must_use]
    pub fn restricted(mut self, kind: Kind, fields: FieldSet) -> Self {
        let kept = fields.union(kind.required().iter().copied().collect());
        for field in kind.fields().iter().filter(|field| !kept.contains(**field)) {
            match *field {
                Field::Ts => {}
                Field::Text(text) => self.remove_text(text),
                Field::Number(number) => self.numbers[number as usize] = None,
                Field::Ok => self.ok = None,
                Field::Attributes => self.attributes = Attributes::None,
            }
        }
        self
    }

    /// What holds of every event of a kind, beyond the types and ranges of single fields.
    pub fn checked(self, kind: Kind) -> Result<Self, Rejection> {
        for field in kind.fields() {
            let Field::Text(field) = field else { continue };
            self.text(*field).map_or(Ok(()), |text| check_text(*field, text.len()))?;
        }
        if let Some(missing) = kind.required().iter().find(|field| !self.has(**field)) {
            return Err(Rejection::new(Reason::MissingField, format!("required field {missing} is absent")));
        }
        if kind == Kind::Score {
            self.check_score()?;
        }
        Ok(self)
    }

    /// A score says something: a value, or the counts of an audit, or both.
    fn check_score(&self) -> Result<(), Rejection> {
        let missing = |message: &str| Err(Rejection::new(Reason::MissingField, message));
        let number = |field| self.number(field);
        match (number(NumberField::Value), number(NumberField::Good), number(NumberField::Total)) {
            (None, None, None) => missing("a score needs value, or good and total"),
            (_, Some(_), None) => missing("good needs total beside it"),
            (_, None, Some(_)) => missing("total needs good beside it"),
            (_, Some(good), Some(total)) if good > total => {
                Err(Rejection::new(Reason::OutOfRange, format!("good is {good}, more than total, which is {total}")))
            }
            _ => Ok(()),
        }
    }

    /// Reads one JSON object: valid UTF-8, the whole JSON grammar, nothing behind it.
    ///
    /// A field that the kind has but that has the wrong type, stands twice or is out of range rejects the record.
    /// `null` counts as absent. Fields that the kind has not are skipped.
    pub fn from_json(kind: Kind, value: &'a [u8]) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(value).map_err(|error| {
            Rejection::new(Reason::Undecodable, format!("not UTF-8 from byte {} on", error.valid_up_to()))
        })?;
        let undecodable = |error: serde_json::Error| Rejection::new(Reason::Undecodable, error.to_string());
        let mut json = serde_json::Deserializer::from_str(text);
        let members = match json.deserialize_map(MembersVisitor(kind)) {
            Ok(members) => members,
            // What is no object may be no JSON either, further on, and that weighs more.
            Err(error) if error.is_data() => {
                serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(undecodable)?;
                return Err(Rejection::new(Reason::WrongType, error.to_string()));
            }
            Err(error) => return Err(undecodable(error)),
        };
        json.end().map_err(undecodable)?;
        let mut event = Self::empty();
        let mut seen = FieldSet::NONE;
        for member in members {
            if seen.contains(member.field) {
                return Err(Rejection::new(Reason::DuplicateField, format!("{} stands twice", member.field)));
            }
            seen = seen.with(member.field);
            member.write(&mut event)?;
        }
        event.checked(kind)
    }

    /// One line of JSON, in the order of [`Kind::fields`].
    pub fn to_json(&self, kind: Kind) -> Vec<u8> {
        serde_json::to_vec(&Written { event: self, kind }).expect("texts and integers always have a JSON form")
    }
}

/// Whether a label may be so long: they have a bound, and a service or a metric has a name.
#[inline]
pub fn text_holds(field: TextField, text_bytes: usize) -> bool {
    text_bytes <= LABEL_BYTES_MAX && !(text_bytes == 0 && matches!(field, TextField::Service | TextField::Metric))
}

/// The same, with a sentence.
#[inline]
pub fn check_text(field: TextField, text_bytes: usize) -> Result<(), Rejection> {
    if text_holds(field, text_bytes) {
        return Ok(());
    }
    let message = match text_bytes {
        0 => format!("{} is empty", field.name()),
        _ => format!("{} is longer than {LABEL_BYTES_MAX} bytes", field.name()),
    };
    Err(Rejection::new(Reason::OutOfRange, message))
}

impl Default for Event<'_> {
    fn default() -> Self {
        Self::empty()
    }
}

/// Whether a text is borrowed makes no difference.
impl PartialEq for Event<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.ts, self.ok, self.numbers, self.attributes) == (other.ts, other.ok, other.numbers, other.attributes)
            && TextField::ALL.iter().all(|field| self.text(*field) == other.text(*field))
    }
}

impl Eq for Event<'_> {}

struct Written<'e> {
    event: &'e Event<'e>,
    kind: Kind,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in self.kind.fields() {
            match field {
                Field::Ts => map.serialize_entry(field.name(), &self.event.ts)?,
                Field::Text(text) => {
                    if let Some(text) = self.event.text(*text) {
                        map.serialize_entry(field.name(), text)?;
                    }
                }
                Field::Number(number) => match self.event.number(*number) {
                    Some(value) if number.is_decimal() => {
                        let text = json_number::from_millionths(value);
                        map.serialize_entry(field.name(), &raw(text))?;
                    }
                    Some(value) => map.serialize_entry(field.name(), &value)?,
                    None => {}
                },
                Field::Ok => {
                    if let Some(ok) = self.event.ok {
                        map.serialize_entry(field.name(), &ok)?;
                    }
                }
                Field::Attributes => {
                    if let Some(attributes) = self.event.attributes.to_json() {
                        map.serialize_entry(field.name(), &raw(attributes))?;
                    }
                }
            }
        }
        map.end()
    }
}

fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).expect("a JSON value by construction")
}

/// The members of an object that the kind knows, in their order.
struct MembersVisitor(Kind);

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            match self.0.field(&name) {
                Some(field) => {
                    let raw: &RawValue = map.next_value()?;
                    members.push(Member { field, raw: raw.get() });
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

/// One known member of the object, as text.
struct Member<'a> {
    field: Field,
    raw: &'a str,
}

impl<'a> Member<'a> {
    fn write(&self, event: &mut Event<'a>) -> Result<(), Rejection> {
        if self.raw == "null" {
            return Ok(());
        }
        match self.field {
            Field::Ts => event.ts = EventTime(self.integer(0, EventTime::MAX_RECORD.0)?),
            Field::Text(field) => {
                let Text(text) = serde_json::from_str(self.raw).map_err(|_| self.wrong_type("a string"))?;
                check_text(field, text.len())?;
                event.set_text(field, text);
            }
            Field::Number(field) => {
                let (min, max) = field.range();
                let number = if field.is_decimal() { self.decimal(max)? } else { self.integer(min, max)? };
                event.set_number(field, number);
            }
            Field::Ok => {
                event.ok = Some(match self.raw {
                    "true" => true,
                    "false" => false,
                    _ => return Err(self.wrong_type("true or false")),
                });
            }
            Field::Attributes => {
                if !self.raw.starts_with('{') {
                    return Err(self.wrong_type("an object"));
                }
                event.attributes = Attributes::Json(self.raw);
            }
        }
        Ok(())
    }

    fn wrong_type(&self, expected: &str) -> Rejection {
        let shown: String = self.raw.chars().take(40).collect();
        Rejection::new(Reason::WrongType, format!("{} must be {expected}, not {shown}", self.field))
    }

    fn out_of_range(&self, min: impl fmt::Display, max: impl fmt::Display) -> Rejection {
        let message = format!("{} must be from {min} to {max}, not {:.40}", self.field, self.raw);
        Rejection::new(Reason::OutOfRange, message)
    }

    fn is_number(&self) -> bool {
        matches!(self.raw.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
    }

    fn integer(&self, min: i64, max: i64) -> Result<i64, Rejection> {
        if !self.is_number() {
            return Err(self.wrong_type("an integer"));
        }
        match to_integer(self.raw) {
            Ok(value) if value < 0 => Err(Rejection::new(Reason::Negative, format!("{} is {value}", self.field))),
            Ok(value) if value > i128::from(max) => Err(self.out_of_range(min, max)),
            Ok(value) => Ok(value as i64),
            Err(NotAnInteger::TooLarge) => Err(self.out_of_range(min, max)),
            Err(NotAnInteger::Fraction) => Err(self.wrong_type("an integer")),
        }
    }

    /// Millionths, rounded half-even, at most `max` either way after rounding.
    fn decimal(&self, max: i64) -> Result<i64, Rejection> {
        if !self.is_number() {
            return Err(self.wrong_type("a number"));
        }
        let rounded = json_number::to_millionths(self.raw).filter(|value| value.unsigned_abs() <= max.unsigned_abs());
        rounded.ok_or_else(|| {
            let most = json_number::from_millionths(max);
            self.out_of_range(format_args!("-{most}"), &most)
        })
    }
}

/// A string that borrows where it has no escapes. (`&str` fails on escapes, `Cow` under `Option` always owns.)
pub(crate) struct Text<'a>(pub Cow<'a, str>);

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
