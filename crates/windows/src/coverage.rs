//! How far the input has been counted, and which spans of event time lack a part of it.
//!
//! Follows the frontiers of one output partition at a time: what its batches left out, none of its deltas can tell.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use streamgauge_events::{EventTime, Frontier, Offset};

/// The input partition that a chain of batches counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Source {
    pub topic: String,
    pub partition: i32,
}

/// Position of a batch in its chain: later generations begin again with batch 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BatchId {
    pub generation: u32,
    pub batch: u64,
}

impl BatchId {
    pub const fn of(generation: u32, batch: u64) -> Self {
        Self { generation, batch }
    }

    /// Whether a chain may go on with this batch after `self`.
    pub const fn is_followed_by(self, next: Self) -> bool {
        (next.generation == self.generation && next.batch == self.batch + 1)
            || (next.generation > self.generation && next.batch == 0)
    }
}

impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.generation {
            0 => write!(f, "batch {}", self.batch),
            generation => write!(f, "batch {} of generation {generation}", self.batch),
        }
    }
}

/// Why a span lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// Records had left the log before they could be counted.
    Lost,
    /// A batch is missing from the chain.
    Hole,
    /// More series than the bound of series keeps: what is folded into `__other__` is missing elsewhere.
    SeriesBound,
    /// Counted by definitions that judge events in another way, or that did not have the SLI.
    Definition,
}

/// A batch that is missing, as it shows in one output partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Hole {
    pub source: Source,
    pub output_partition: i32,
    pub after: BatchId,
    pub next: BatchId,
    /// Offsets that no batch covers, half-open; empty where only the numbers jump.
    pub offsets: (Offset, Offset),
}

#[derive(Clone, Debug, Default)]
pub struct Coverage {
    chains: BTreeMap<(i32, Source), Head>,
    /// Partitions of each source topic, as its partition 0 announces them.
    rosters: BTreeMap<String, i32>,
    lacks: BTreeSet<(EventTime, EventTime, Lack, String)>,
    holes: Vec<Hole>,
    holes_total: u64,
    repeated_batches: u64,
    repeated_deltas: u64,
}

/// Holes listed; further ones are only counted.
const HOLES_MAX: usize = 100;

#[derive(Clone, Debug)]
struct Head {
    id: BatchId,
    to: Offset,
    complete_until: EventTime,
    /// The definitions that the batch cites: from which pane on, and their hash.
    bundle: (EventTime, String),
    /// A lack that lasts until the grid moves past its start.
    lacking: BTreeMap<Lack, EventTime>,
}

impl Coverage {
    /// Whether this delta belongs to a batch that has been read before.
    pub fn is_repeat(&mut self, output_partition: i32, source: &Source, id: BatchId) -> bool {
        let repeated = self.head(output_partition, source).is_some_and(|head| id <= head.id);
        self.repeated_deltas += u64::from(repeated);
        repeated
    }

    fn head(&self, output_partition: i32, source: &Source) -> Option<&Head> {
        self.chains.get(&(output_partition, source.clone()))
    }

    /// The end of a batch.
    pub fn frontier(&mut self, output_partition: i32, frontier: &Frontier) {
        let source = Source { topic: frontier.source.clone(), partition: frontier.partition };
        let id = BatchId::of(frontier.generation, frontier.batch);
        let before = self.head(output_partition, &source).cloned();
        if before.as_ref().is_some_and(|head| id <= head.id) {
            self.repeated_batches += 1;
            return;
        }
        if let Some(partitions) = frontier.partitions {
            let roster = self.rosters.entry(source.topic.clone()).or_insert(partitions);
            *roster = (*roster).max(partitions);
        }
        let since = before.as_ref().map_or(EventTime::BEFORE_ALL, |head| head.complete_until);
        let mut lacking = before.as_ref().map(|head| head.lacking.clone()).unwrap_or_default();
        if !frontier.lost.is_empty() || frontier.lost_events > 0 {
            lacking.entry(Lack::Lost).or_insert(since);
        }
        if let Some(head) = before
            && (!head.id.is_followed_by(id) || head.to != frontier.from)
        {
            lacking.entry(Lack::Hole).or_insert(since);
            self.holes_total += 1;
            if self.holes.len() < HOLES_MAX {
                let offsets = (head.to, frontier.from.max(head.to));
                self.holes.push(Hole { source: source.clone(), output_partition, after: head.id, next: id, offsets });
            }
        }
        let complete_until = frontier.complete_until;
        lacking.retain(|lack, from| {
            let passed = complete_until > *from;
            if passed {
                self.lacks.insert((*from, complete_until, *lack, source.topic.clone()));
            }
            !passed
        });
        let bundle = (frontier.bundle_start, frontier.bundle.clone());
        self.chains.insert((output_partition, source), Head { id, to: frontier.to, complete_until, bundle, lacking });
    }

    /// Every pane of a source topic that ends at or before this is complete, up to late records; `None` while a partition is
    /// unheard of.
    pub fn complete_until_of(&self, topic: &str) -> Option<EventTime> {
        let heads = || self.chains.iter().filter(|((_, source), _)| source.topic == topic);
        let partitions = self.rosters.get(topic)?;
        let seen: BTreeSet<i32> = heads().map(|((_, source), _)| source.partition).collect();
        if (0..*partitions).any(|partition| !seen.contains(&partition)) {
            return None;
        }
        heads().map(|(_, head)| head.complete_until).min()
    }

    /// Partitions of a source topic that no fact tells of. Partition 0 tells how many there are: without it, it is the one.
    pub fn unheard_of(&self, topic: &str) -> Vec<i32> {
        let heard: BTreeSet<i32> = self
            .chains
            .keys()
            .filter(|(_, source)| source.topic == topic)
            .map(|(_, source)| source.partition)
            .collect();
        let partitions = self.rosters.get(topic).copied().unwrap_or(1);
        (0..partitions).filter(|partition| !heard.contains(partition)).collect()
    }

    /// Source topics that facts cite.
    pub fn topics(&self) -> BTreeSet<&str> {
        self.chains.keys().map(|(_, source)| source.topic.as_str()).collect()
    }

    /// What [from, to) lacks of a source topic.
    pub fn lacks_of(&self, topic: &str, from: EventTime, to: EventTime) -> BTreeSet<Lack> {
        let closed = self.lacks.iter().filter(|(start, end, _, of)| *start < to && *end > from && of == topic);
        let heads = self.chains.iter().filter(|((_, source), _)| source.topic == topic);
        let open = heads.flat_map(|(_, head)| &head.lacking).filter(|(_, start)| **start < to);
        closed.map(|(_, _, lack, _)| *lack).chain(open.map(|(lack, _)| *lack)).collect()
    }

    /// Hash of the definitions that apply at the end: of those that the last batches cite, the ones that begin last.
    pub fn bundle(&self) -> Option<&str> {
        self.chains.values().map(|head| &head.bundle).max().map(|(_, hash)| hash.as_str())
    }

    /// The first [`HOLES_MAX`] of them; see [`Self::holes_total`].
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    pub fn holes_total(&self) -> u64 {
        self.holes_total
    }

    /// Batches that were read again and left out.
    pub fn repeated_batches(&self) -> u64 {
        self.repeated_batches
    }

    /// Deltas that were read again and left out.
    pub fn repeated_deltas(&self) -> u64 {
        self.repeated_deltas
    }
}
