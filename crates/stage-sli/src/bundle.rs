//! A bundle: all definitions together with the bound of series, by one hash. Facts say which bundle made them.

use std::hash::Hasher as _;
use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher13;
use streamgauge_events::Request;

use crate::definitions::{Definitions, Failures, Good};
use crate::predicate::Predicate;

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

    fn number(&self) -> u64 {
        let digest = Sha256::digest(self.to_json());
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// The error is a sentence: bundles are checked where they are read, so this concerns the state topic alone.
    pub(crate) fn compile(&self) -> Result<Compiled, String> {
        let mut compiled = Compiled {
            hash: self.hash(),
            number: self.number(),
            settings: self.settings.clone(),
            slis: Vec::new(),
            services: HashMap::default(),
        };
        for name in self.definitions.services.keys() {
            compiled.services.insert(name.clone(), Vec::new());
        }
        for (name, sli) in &self.definitions.slis {
            let parse =
                |text: &String| Predicate::parse(text).map_err(|error| format!("SLI {name}: {text:?}: {error}"));
            let good = match &sli.good {
                Good::When(text) => Judge::When(parse(text)?),
                Good::Latency { threshold_us, failures } => {
                    Judge::Latency { threshold_us: *threshold_us, failures: *failures }
                }
            };
            let filter = sli.filter.as_ref().map(parse).transpose()?;
            let index = compiled.slis.len() as u16;
            compiled.slis.push(CompiledSli { name: name.clone(), filter, good });
            compiled.services.entry(sli.service.clone()).or_default().push(index);
        }
        Ok(compiled)
    }
}

/// Definitions ready for the hot path.
pub(crate) struct Compiled {
    pub hash: String,
    /// The same hash as a number.
    pub number: u64,
    pub settings: BundleSettings,
    pub slis: Vec<CompiledSli>,
    /// Declared services, each with the indices of its SLIs.
    services: HashMap<String, Vec<u16>, foldhash::fast::FixedState>,
}

pub(crate) struct CompiledSli {
    pub name: String,
    filter: Option<Predicate>,
    pub good: Judge,
}

pub(crate) enum Judge {
    When(Predicate),
    Latency { threshold_us: u64, failures: Failures },
}

/// What an SLI says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    Bad,
    /// The request lacks what it would take.
    Unjudged,
}

impl Compiled {
    /// Indices of the SLIs of a service; `None` if it is not declared.
    pub fn slis_of(&self, service: &str) -> Option<&[u16]> {
        self.services.get(service).map(Vec::as_slice)
    }
}

impl CompiledSli {
    /// `None`: the SLI does not count this request.
    pub fn judge(&self, request: &Request<'_>) -> Option<Verdict> {
        if self.filter.as_ref().is_some_and(|filter| filter.holds(request) != Some(true)) {
            return None;
        }
        match &self.good {
            Judge::When(predicate) => Some(predicate.holds(request).map_or(Verdict::Unjudged, Verdict::of)),
            Judge::Latency { threshold_us, failures } => match (request.failed(), request.latency_us) {
                (Some(true), _) if *failures == Failures::Exclude => None,
                (Some(true), _) => Some(Verdict::Bad),
                (_, None) => Some(Verdict::Unjudged),
                (_, Some(latency_us)) => Some(Verdict::of(latency_us <= *threshold_us)),
            },
        }
    }
}

impl Verdict {
    pub fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

pub(crate) type Bundles = std::collections::BTreeMap<String, Arc<Compiled>>;
