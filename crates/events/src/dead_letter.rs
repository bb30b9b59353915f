//! `dead-letters`: one record for each input record that could not be counted, with the reason and its source.
//!
//! A whole 1 MB record would not fit into a record again, so only the head of its value is kept, beside its length and
//! SHA-256.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{EventTime, Offset};

/// How much of a rejected value is kept.
pub const VALUE_HEAD_BYTES: usize = 4096;

/// Longer messages are cut: a parser may quote all of what it was given.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// Why a record was not counted. The words are stable: people alert on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not UTF-8, not JSON or Avro, something behind it, or nested too deep.
    Undecodable,
    /// A record without a value (a tombstone) where a value is needed.
    NoValue,
    MissingField,
    WrongType,
    DuplicateField,
    Negative,
    OutOfRange,
    /// `ts` is more than `max_future_skew` ahead of the record's Kafka timestamp.
    FutureTimestamp,
    /// `ts` is more than the late horizon behind the newest record of its partition.
    TooLate,
    /// A row of a file that its mapping can't turn into an event.
    Unmapped,
    /// An output that would not fit into a record.
    OutputTooLarge,
    /// Avro without the bytes that name its schema, or written by a schema that the configuration doesn't know.
    UnknownSchema,
}

impl Reason {
    pub const ALL: [Self; 12] = [
        Self::Undecodable,
        Self::NoValue,
        Self::MissingField,
        Self::WrongType,
        Self::DuplicateField,
        Self::Negative,
        Self::OutOfRange,
        Self::FutureTimestamp,
        Self::TooLate,
        Self::Unmapped,
        Self::OutputTooLarge,
        Self::UnknownSchema,
    ];

    /// The word in records, metrics and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::NoValue => "no_value",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::DuplicateField => "duplicate_field",
            Self::Negative => "negative",
            Self::OutOfRange => "out_of_range",
            Self::FutureTimestamp => "future_timestamp",
            Self::TooLate => "too_late",
            Self::Unmapped => "unmapped",
            Self::OutputTooLarge => "output_too_large",
            Self::UnknownSchema => "unknown_schema",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reason with the sentence that explains this one record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Rejection {
    pub reason: Reason,
    pub message: String,
}

impl Rejection {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The record in `dead-letters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub reason: Reason,
    pub message: String,
    pub source: String,
    pub partition: i32,
    pub offset: Offset,
    /// The log's timestamp of the rejected record, microseconds, where the log has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<EventTime>,
    /// The key, as text where it is UTF-8, else in base64 (`key_base64`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<String>,
    /// The first 4 KB of the value, as text where they are UTF-8, else in base64 (`value_base64`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    pub value_bytes: u64,
    /// Of the whole value, in hexadecimal.
    pub value_sha256: String,
}

/// Where a rejected record stood.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub source: &'a str,
    pub partition: i32,
    pub offset: Offset,
    pub timestamp: Option<EventTime>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

impl DeadLetter {
    pub fn new(rejection: Rejection, origin: Origin<'_>) -> Self {
        let (key, key_base64) = text_or_base64(origin.key);
        let (value, value_base64) = text_or_base64(origin.value);
        let whole = origin.value.unwrap_or_default();
        let Rejection { reason, mut message } = rejection;
        let cut = (0..=MESSAGE_BYTES_MAX.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
        message.truncate(cut.unwrap_or(0));
        Self {
            reason,
            message,
            source: origin.source.to_owned(),
            partition: origin.partition,
            offset: origin.offset,
            timestamp: origin.timestamp,
            key,
            key_base64,
            value,
            value_base64,
            value_bytes: whole.len() as u64,
            value_sha256: hexadecimal(&Sha256::digest(whole)),
        }
    }

    /// All dead letters of a source partition share a key, so they stay in order.
    pub fn key(source: &str, partition: i32) -> Vec<u8> {
        format!("{source}/{partition}").into_bytes()
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of strings and integers always has a JSON form")
    }
}

/// The head of `bytes`: as text if all of the head is UTF-8 but for a character cut in two at its end.
fn text_or_base64(bytes: Option<&[u8]>) -> (Option<String>, Option<String>) {
    let Some(bytes) = bytes else { return (None, None) };
    let head = &bytes[..bytes.len().min(VALUE_HEAD_BYTES)];
    match std::str::from_utf8(head) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(error) if error.error_len().is_none() && bytes.len() > head.len() => {
            let text = String::from_utf8_lossy(&head[..error.valid_up_to()]).into_owned();
            (Some(text), None)
        }
        Err(_) => (None, Some(STANDARD.encode(head))),
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
