//! What is kept of objectives in `slo.state`, in the partition of the same number as that of the facts.
//!
//! | key | value |
//! |---|---|
//! | `clock` | how far each source topic has been evaluated, and its chains |
//! | `slo/tenant/name` | an objective but for its chunks |
//! | `slo/tenant/name/part/number` | a chunk of buckets or slices of it |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamgauge_slo::saved::{self, Part};

use crate::clock::{Clock, Kept};
use crate::feed::SavedSlice;
use crate::objective::{Followed, KeptHead, Promise};
use crate::objectives::Objectives;

/// The records of a partition of `slo.state`: the last value of each key.
pub(crate) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) const CLOCK: &str = "clock";
const JUDGED: &str = "judged";

#[derive(Debug, Serialize, Deserialize)]
struct KeptClock {
    pane_us: i64,
    topics: BTreeMap<String, Kept>,
    /// Hashes of the SLOs that have been followed up to here, by name: also of those of which nothing has been counted here.
    promises: BTreeMap<String, String>,
}

/// Why state can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub(crate) struct Damaged {
    pub(crate) key: String,
    pub(crate) why: String,
}

impl Objectives {
    /// How far everything has been evaluated; `None`: nothing was read yet.
    pub(crate) fn clock_json(&self) -> Option<String> {
        if self.clocks.is_empty() {
            return None;
        }
        let topics = self.clocks.iter().map(|(topic, clock)| (topic.clone(), clock.kept().clone())).collect();
        let promises = self.promises.iter().map(|(name, promise)| (name.clone(), promise.hash.clone())).collect();
        Some(json(&KeptClock { pane_us: self.pane_us.unwrap_or_default(), topics, promises }))
    }

    /// Keys and values of what has changed since the last call, but for the clock. An empty value: nothing is left.
    pub(crate) fn take_changed(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut changed = Vec::new();
        for ((tenant, name), followed) in &mut self.followed {
            if !std::mem::take(&mut followed.is_changed) {
                continue;
            }
            let head = key_of(tenant, name);
            followed.evaluator.take_changed(&mut |part, chunk, tallies| {
                changed.push((format!("{head}/{part}/{chunk}"), saved::encode(tallies).into_bytes()));
            });
            followed.feed.take_changed(&mut |chunk, slices| {
                let value = if slices.is_empty() { Vec::new() } else { json(&slices).into_bytes() };
                changed.push((format!("{head}/{JUDGED}/{chunk}"), value));
            });
            changed.push((head, json(&followed.save_head()).into_bytes()));
        }
        changed
    }

    /// Goes on from what was kept. Answers the alarms of objectives that are not as they were kept, or were not kept at all, by
    /// name: those are to be counted anew from the facts.
    pub(crate) fn restore(&mut self, records: &Records) -> Result<Anew, Damaged> {
        let mut anew = Anew::default();
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        if let Some(value) = records.get(CLOCK.as_bytes()) {
            let KeptClock { pane_us, topics, promises } = parse(CLOCK, value)?;
            known = promises;
            self.pane_us = (pane_us > 0).then_some(pane_us);
            let asked = |topic: &String| self.promises.values().any(|promise| promise.topic == *topic);
            let topics = topics.into_iter().filter(|(topic, _)| asked(topic));
            self.clocks = topics.map(|(topic, kept)| (topic, Clock::restored(pane_us, kept))).collect();
        }
        for (key, value) in records {
            let text = String::from_utf8_lossy(key);
            let Some(Key { tenant, name, chunk: None }) = Key::parse(&text) else { continue };
            let head: KeptHead = parse(&text, value)?;
            let Some(promise) = self.promises.get(&name) else {
                anew.gone.push(text.into_owned());
                continue;
            };
            if known.get(&name) != Some(&promise.hash) {
                anew.alarms.insert((tenant, name), head.sums.alarms);
                continue;
            }
            if head.definition != promise.hash {
                // Nothing of it was left when it was counted anew.
                anew.gone.push(text.into_owned());
                continue;
            }
            let pane_us = self.pane_us.unwrap_or_default();
            let followed = Followed::new(&self.definitions, promise.clone(), tenant.clone(), pane_us);
            let mut followed = followed.map_err(|why| Damaged { key: text.to_string(), why })?;
            if !followed.restore_head(head) {
                return Err(Damaged { key: text.into_owned(), why: "its windows are others".to_owned() });
            }
            self.followed.insert((tenant, name), followed);
        }
        for (key, value) in records {
            let text = String::from_utf8_lossy(key);
            let Some(Key { tenant, name, chunk: Some((part, number)) }) = Key::parse(&text) else { continue };
            match self.followed.get_mut(&(tenant, name)) {
                Some(followed) => restore_chunk(followed, &text, &part, number, value)?,
                None => anew.gone.push(text.into_owned()),
            }
        }
        let is_new = |(name, promise): &(&String, &Promise)| known.get(*name) != Some(&promise.hash);
        anew.names = self.promises.iter().filter(is_new).map(|(name, _)| name.clone()).collect();
        Ok(anew)
    }
}

/// What state does not tell.
#[derive(Debug, Default)]
pub(crate) struct Anew {
    /// SLOs to be counted anew.
    pub(crate) names: Vec<String>,
    /// What their alarms were, where they had any.
    pub(crate) alarms: BTreeMap<(String, String), BTreeMap<String, streamgauge_slo::Alert>>,
    /// Keys that nothing stands for any more.
    pub(crate) gone: Vec<String>,
}

fn restore_chunk(followed: &mut Followed, key: &str, part: &str, number: i64, value: &[u8]) -> Result<(), Damaged> {
    let damaged = |why: String| Damaged { key: key.to_owned(), why };
    if part == JUDGED {
        let slices: Vec<SavedSlice> = parse(key, value)?;
        return followed.feed.restore_chunk(slices).map_err(|error| damaged(error.to_string()));
    }
    let part: Part = part.parse().map_err(|()| damaged("no part of an objective is called so".to_owned()))?;
    let text = std::str::from_utf8(value).map_err(|error| damaged(error.to_string()))?;
    let tallies = saved::decode(text).ok_or_else(|| damaged(format!("{text:?} is no list of bad/total")))?;
    if !followed.evaluator.restore_chunk(part, number, &tallies) {
        return Err(damaged("nothing has such buckets".to_owned()));
    }
    Ok(())
}

fn parse<T: serde::de::DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, Damaged> {
    serde_json::from_slice(value).map_err(|error| Damaged { key: key.to_owned(), why: error.to_string() })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and integers always have a JSON form")
}

fn key_of(tenant: &str, name: &str) -> String {
    format!("slo/{}/{}", escaped(tenant), escaped(name))
}

struct Key {
    tenant: String,
    name: String,
    chunk: Option<(String, i64)>,
}

impl Key {
    fn parse(key: &str) -> Option<Self> {
        let parts: Vec<&str> = key.strip_prefix("slo/")?.split('/').collect();
        let (tenant, name, chunk) = match parts[..] {
            [tenant, name] => (tenant, name, None),
            [tenant, name, part, number] => (tenant, name, Some((part.to_owned(), number.parse().ok()?))),
            _ => return None,
        };
        Some(Self { tenant: unescaped(tenant), name: unescaped(name), chunk })
    }
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

fn unescaped(text: &str) -> String {
    text.replace("%2F", "/").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written() {
        for (tenant, name) in [("", "checkout"), ("a/b", "c%2Fd"), ("%", "/"), ("%25", "%2F/")] {
            let key = Key::parse(&key_of(tenant, name)).expect("a key");
            assert_eq!((key.tenant.as_str(), key.name.as_str()), (tenant, name));
            let key = Key::parse(&format!("{}/judged/-3", key_of(tenant, name))).expect("a key");
            assert_eq!((key.tenant.as_str(), key.name.as_str()), (tenant, name));
            assert_eq!(key.chunk, Some(("judged".to_owned(), -3)));
        }
        assert!(Key::parse("clock").is_none() && Key::parse("slo/a").is_none() && Key::parse("slo/a/b/c/d").is_none());
    }
}
