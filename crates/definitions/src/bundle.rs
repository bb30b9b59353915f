//! A bundle: all definitions together with the bound of series, by one hash. Facts say which bundle made them.

use std::hash::Hasher as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher13;

use crate::model::Definitions;

/// The keyed hash by which series compete for a place under the bound: whoever can choose routes must not be able to
/// choose hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SeriesKey([u8; 16]);

impl Default for SeriesKey {
    /// For those who need no defence: the same everywhere, so that results can be compared.
    fn default() -> Self {
        Self(*b"streamgauge/1000")
    }
}

impl TryFrom<String> for SeriesKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let expected = || "a series key has 32 hexadecimal digits".to_owned();
        if text.len() != 32 || !text.is_ascii() {
            return Err(expected());
        }
        let mut key = [0; 16];
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| expected())?;
        }
        Ok(Self(key))
    }
}

impl From<SeriesKey> for String {
    fn from(key: SeriesKey) -> Self {
        key.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl SeriesKey {
    /// SipHash-1-3 over the parts, each with its length (absent parts count as length 2^32 - 1).
    pub fn hash(&self, parts: &[Option<&str>]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        for part in parts {
            match part {
                Some(text) => {
                    hasher.write(&(text.len() as u32).to_le_bytes());
                    hasher.write(text.as_bytes());
                }
                None => hasher.write(&u32::MAX.to_le_bytes()),
            }
        }
        hasher.finish()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleSettings {
    /// K: series that a pane keeps per declared service, and for all undeclared services of a tenant together.
    pub series_max: u32,
    pub series_key: SeriesKey,
}

impl Default for BundleSettings {
    fn default() -> Self {
        Self { series_max: 1000, series_key: SeriesKey::default() }
    }
}

/// Definitions as they are kept in the state topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    pub settings: BundleSettings,
    pub definitions: Definitions,
}

impl Bundle {
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of strings and integers always has a JSON form")
    }

    /// The first 64 bits of the SHA-256 of the JSON form, hexadecimal. Maps are sorted, so files may be split and reordered.
    pub fn hash(&self) -> String {
        format!("{:016x}", self.number())
    }

    /// The same hash as a number.
    pub fn number(&self) -> u64 {
        let digest = Sha256::digest(self.to_json());
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
