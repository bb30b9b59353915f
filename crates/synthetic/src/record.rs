//! The bytes of a record, written by hand into a buffer that is used again, and the facts that the bytes state.

use serde::{Deserialize, Serialize};
use streamgauge_events::Reason;

use crate::random::SplitMix64;

/// Large enough to be refused by anything that expects a request, small enough for the topic.
const GARBAGE_BYTES: usize = 1_000_000;
/// A clock one year ahead.
pub const CLOCK_AHEAD_US: i64 = 365 * 86_400 * 1_000_000;

/// What a record was made to be. What becomes of it, the truth decides from its facts and when it was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    OnTime,
    /// Appended after its time, within what the stages wait for.
    Delayed,
    /// Appended after its pane was written.
    Late,
    /// Appended beyond the late horizon.
    TooLate,
    Broken(Breakage),
}

/// How a record is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breakage {
    NotJson,
    NotUtf8,
    MissingField,
    WrongType,
    DuplicateField,
    NegativeLatency,
    OutOfRange,
    ClockAhead,
    Garbage1mb,
}

impl Breakage {
    pub const ALL: [Self; 9] = [
        Self::NotJson,
        Self::NotUtf8,
        Self::MissingField,
        Self::WrongType,
        Self::DuplicateField,
        Self::NegativeLatency,
        Self::OutOfRange,
        Self::ClockAhead,
        Self::Garbage1mb,
    ];

    /// Why such a record is not counted.
    pub const fn reason(self) -> Reason {
        match self {
            Self::NotJson | Self::NotUtf8 | Self::Garbage1mb => Reason::Undecodable,
            Self::MissingField => Reason::MissingField,
            Self::WrongType => Reason::WrongType,
            Self::DuplicateField => Reason::DuplicateField,
            Self::NegativeLatency => Reason::Negative,
            Self::OutOfRange => Reason::OutOfRange,
            Self::ClockAhead => Reason::FutureTimestamp,
        }
    }
}

/// What a record says, for whoever keeps account of it after its bytes are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub kind: Kind,
    pub partition: i32,
    pub ts_us: i64,
    /// Index into [`crate::Truth::series`].
    pub series: u32,
    pub failed: bool,
    pub latency_us: Option<u64>,
}

/// The parts of one record, with names already as JSON strings.
pub struct Parts<'a> {
    pub facts: Facts,
    pub service: &'a str,
    /// `,"method":…,"route":…`
    pub endpoint: &'a str,
    pub version: &'a str,
    /// `,"tenant":…` or nothing.
    pub tenant: &'a str,
    /// `,"environment":…,"region":…` or nothing.
    pub place: &'a str,
    pub status: Option<u16>,
    pub customer: Option<u32>,
    pub event_id: bool,
}

const DEVICES: [&str; 4] = ["ios", "android", "desktop", "api"];

/// Replaces `value` by the record.
pub fn write(value: &mut Vec<u8>, parts: &Parts<'_>, random: &mut SplitMix64) {
    value.clear();
    match parts.facts.kind {
        Kind::Broken(Breakage::Garbage1mb) => return write_garbage(value, random),
        Kind::Broken(breakage) => write_members(value, parts, Some(breakage), random),
        _ => write_members(value, parts, None, random),
    }
    match parts.facts.kind {
        // An object without its end is never JSON, wherever it was cut.
        Kind::Broken(Breakage::NotJson) => {
            let cut = 1 + random.below(value.len() as u64 - 1) as usize;
            value.truncate(cut);
        }
        // 0xff occurs nowhere in UTF-8.
        Kind::Broken(Breakage::NotUtf8) => {
            let at = random.below(value.len() as u64) as usize;
            value[at] = 0xff;
        }
        _ => {}
    }
}

fn write_garbage(value: &mut Vec<u8>, random: &mut SplitMix64) {
    value.push(0xff);
    while value.len() < GARBAGE_BYTES {
        value.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    value.truncate(GARBAGE_BYTES);
}

fn write_members(value: &mut Vec<u8>, parts: &Parts<'_>, breakage: Option<Breakage>, random: &mut SplitMix64) {
    let facts = &parts.facts;
    // Two forms of the same breakage, so that no reader gets by with knowing one.
    let other_form = breakage.is_some() && random.below(2) == 1;
    match breakage {
        Some(Breakage::MissingField) if !other_form => value.extend_from_slice(b"{\"source\":\"edge\""),
        Some(Breakage::WrongType) if !other_form => value.extend_from_slice(b"{\"ts\":\"yesterday\""),
        _ => {
            value.extend_from_slice(b"{\"ts\":");
            push_integer(value, facts.ts_us.unsigned_abs());
        }
    }
    if !(breakage == Some(Breakage::MissingField) && other_form) {
        value.extend_from_slice(b",\"service\":");
        value.extend_from_slice(parts.service.as_bytes());
    }
    if parts.event_id {
        value.extend_from_slice(b",\"event_id\":\"");
        push_hexadecimal(value, random.next_u64());
        value.push(b'"');
    }
    value.extend_from_slice(parts.tenant.as_bytes());
    value.extend_from_slice(b",\"trace_id\":\"");
    push_hexadecimal(value, random.next_u64());
    push_hexadecimal(value, random.next_u64());
    value.push(b'"');
    value.extend_from_slice(parts.endpoint.as_bytes());
    write_outcome(value, parts, breakage, other_form);
    value.extend_from_slice(b",\"version\":");
    value.extend_from_slice(parts.version.as_bytes());
    value.extend_from_slice(parts.place.as_bytes());
    write_attributes(value, parts.customer, random);
    value.push(b'}');
}

fn write_outcome(value: &mut Vec<u8>, parts: &Parts<'_>, breakage: Option<Breakage>, other_form: bool) {
    match (parts.status, breakage) {
        (_, Some(Breakage::OutOfRange)) if !other_form => value.extend_from_slice(b",\"status\":2000"),
        (_, Some(Breakage::DuplicateField)) => value.extend_from_slice(b",\"status\":200,\"status\":500"),
        (Some(status), _) => {
            value.extend_from_slice(b",\"status\":");
            push_integer(value, u64::from(status));
        }
        // No answer came, so there is no status.
        (None, _) => value.extend_from_slice(b",\"ok\":false"),
    }
    match (parts.facts.latency_us, breakage) {
        (_, Some(Breakage::WrongType)) if other_form => value.extend_from_slice(b",\"latency_us\":\"12ms\""),
        (_, Some(Breakage::NegativeLatency)) => {
            value.extend_from_slice(b",\"latency_us\":-");
            push_integer(value, parts.facts.latency_us.unwrap_or(1).max(1));
        }
        // 2^45 + 1: one more than the largest latency that a request may have.
        (_, Some(Breakage::OutOfRange)) if other_form => value.extend_from_slice(b",\"latency_us\":35184372088833"),
        (Some(latency_us), _) => {
            value.extend_from_slice(b",\"latency_us\":");
            push_integer(value, latency_us);
        }
        (None, _) => {}
    }
}

fn write_attributes(value: &mut Vec<u8>, customer: Option<u32>, random: &mut SplitMix64) {
    let draw = random.next_u64();
    value.extend_from_slice(b",\"attributes\":{\"device\":\"");
    value.extend_from_slice(DEVICES[(draw >> 62) as usize].as_bytes());
    value.extend_from_slice(b"\",\"bytes\":");
    push_integer(value, 200 + (draw & 0xffff));
    if let Some(customer) = customer {
        value.extend_from_slice(b",\"customer\":\"");
        push_key(value, customer);
        value.push(b'"');
    }
    value.push(b'}');
}

/// The key of the records of one customer.
pub fn push_key(buffer: &mut Vec<u8>, customer: u32) {
    buffer.extend_from_slice(b"c-");
    push_integer(buffer, u64::from(customer));
}

fn push_integer(buffer: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    buffer.extend_from_slice(&digits[first..]);
}

fn push_hexadecimal(buffer: &mut Vec<u8>, value: u64) {
    let digits: [u8; 16] = std::array::from_fn(|index| b"0123456789abcdef"[(value >> (60 - 4 * index)) as usize & 15]);
    buffer.extend_from_slice(&digits);
}
