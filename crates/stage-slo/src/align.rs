//! Facts → D(t): what was known at grid point t.
//!
//! D(t) holds, of each source partition, the deltas of panes that end at or before t, in batches up to and including the first
//! that is complete until t. So it depends on the records alone, and a late record is known from its own batch on.

use std::collections::{BTreeMap, BTreeSet};

use streamgauge_events::{Delta, EventTime, Fact};
use streamgauge_windows::cell::Cell;
use streamgauge_windows::coverage::{BatchId, Coverage, Source};
use streamgauge_windows::fold::Refused;

/// The facts of a bounded reading, by source partition and batch.
#[derive(Debug, Default)]
pub struct Alignment {
    /// SLIs that somebody asks for.
    slis: BTreeSet<String>,
    chains: BTreeMap<String, BTreeMap<i32, BTreeMap<BatchId, Batch>>>,
    coverage: Coverage,
    pane_us: Option<i64>,
}

#[derive(Debug, Default)]
struct Batch {
    /// `None`: its frontier has not been read, so it may lack deltas.
    complete_until: Option<EventTime>,
    parts: Vec<Part>,
}

/// What one delta adds to an SLI.
#[derive(Clone, Debug)]
pub struct Part {
    pub sli: String,
    pub pane: EventTime,
    pub cell: Cell,
}

impl Alignment {
    /// Keeps what these SLIs have counted.
    pub fn new(slis: impl IntoIterator<Item = String>) -> Self {
        Self { slis: slis.into_iter().collect(), ..Self::default() }
    }

    /// One record of `sli.windows`, in the order of its output partition.
    pub fn observe(&mut self, output_partition: i32, value: &[u8]) -> Result<(), Refused> {
        match Fact::from_json(value).map_err(|error| Refused::Undecodable(error.to_string()))? {
            Fact::Delta(delta) => self.delta(output_partition, &delta),
            Fact::Frontier(frontier) => {
                self.coverage.frontier(output_partition, &frontier);
                let id = BatchId::of(frontier.generation, frontier.batch);
                let batch = self.batch(&frontier.source, frontier.partition, id);
                batch.complete_until.get_or_insert(frontier.complete_until);
                Ok(())
            }
        }
    }

    fn delta(&mut self, output_partition: i32, delta: &Delta) -> Result<(), Refused> {
        let source = Source { topic: delta.source.clone(), partition: delta.partition };
        let id = BatchId::of(delta.generation, delta.batch);
        if self.coverage.is_repeat(output_partition, &source, id) {
            return Ok(());
        }
        let (service, pane, pane_us) = (&delta.service, delta.pane.0, delta.pane_us);
        if pane_us <= 0 || pane.rem_euclid(pane_us) != 0 || self.pane_us.is_some_and(|known| known != pane_us) {
            return Err(Refused::BadPane { service: service.clone(), pane, pane_us });
        }
        self.pane_us = Some(pane_us);
        if !self.slis.contains(&delta.sli) {
            return Ok(());
        }
        let cell = Cell::of(delta).map_err(|error| Refused::BadHistogram { service: service.clone(), pane, error })?;
        let part = Part { sli: delta.sli.clone(), pane: delta.pane, cell };
        self.batch(&delta.source, delta.partition, id).parts.push(part);
        Ok(())
    }

    fn batch(&mut self, topic: &str, partition: i32, id: BatchId) -> &mut Batch {
        let chains = self.chains.entry(topic.to_owned()).or_default();
        chains.entry(partition).or_default().entry(id).or_default()
    }

    pub const fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Length of the panes; `None` while nothing has been counted.
    pub const fn pane_us(&self) -> Option<i64> {
        self.pane_us
    }

    /// The grid of one topic, from its first pane of an SLI that is asked for on. `None` while a partition is unheard of, or
    /// nothing was counted of them.
    pub fn grid(&self, topic: &str) -> Option<Grid<'_>> {
        self.coverage.complete_until_of(topic)?;
        let pane_us = self.pane_us?;
        let chains = self.chains.get(topic)?;
        let parts = || chains.values().flat_map(BTreeMap::values).flat_map(|batch| &batch.parts);
        let first = parts().map(|part| part.pane).min()?;
        let last = parts().map(|part| part.pane.plus_us(pane_us)).max()?;
        let chains: Vec<Chain<'_>> = chains
            .values()
            .map(|batches| {
                // A batch without its frontier is not whole, nor is anything behind it.
                let whole = batches.values().map_while(|batch| Some((batch.complete_until?, batch.parts.as_slice())));
                Chain { batches: whole.collect(), next: 0, until: EventTime::BEFORE_ALL }
            })
            .collect();
        let until = |chain: &Chain<'_>| chain.batches.last().map_or(EventTime::BEFORE_ALL, |(until, _)| *until);
        let complete = chains.iter().map(until).min().unwrap_or(EventTime::BEFORE_ALL);
        // A bounded input ends with its last pane.
        let end = if complete >= EventTime::AFTER_ALL { last } else { complete };
        Some(Grid { pane_us, first, end, now: first, newest: first, chains, waiting: BTreeMap::new() })
    }
}

/// Goes from grid point to grid point of one topic.
pub struct Grid<'a> {
    pane_us: i64,
    pub first: EventTime,
    /// The last point that can be evaluated.
    pub end: EventTime,
    now: EventTime,
    newest: EventTime,
    chains: Vec<Chain<'a>>,
    /// Parts of batches that reach beyond the grid point, by pane.
    waiting: BTreeMap<EventTime, Vec<&'a Part>>,
}

struct Chain<'a> {
    batches: Vec<(EventTime, &'a [Part])>,
    next: usize,
    until: EventTime,
}

/// So long after the newest pane every grid point is evaluated, from then on one an hour.
const DENSE_US: i64 = 3_600_000_000;

impl<'a> Grid<'a> {
    /// The next grid point, and what is known at it beyond the one before.
    pub fn next_point(&mut self) -> Option<(EventTime, Vec<&'a Part>)> {
        loop {
            let now = self.now.plus_us(self.pane_us);
            if now > self.end {
                return None;
            }
            self.now = now;
            for chain in &mut self.chains {
                while chain.until < now
                    && let Some((until, parts)) = chain.batches.get(chain.next)
                {
                    chain.until = chain.until.max(*until);
                    chain.next += 1;
                    for part in *parts {
                        self.waiting.entry(part.pane).or_default().push(part);
                    }
                }
            }
            let behind = self.waiting.split_off(&now.minus_us(self.pane_us).plus_us(1));
            let known = std::mem::replace(&mut self.waiting, behind);
            if let Some((newest, _)) = known.last_key_value() {
                self.newest = self.newest.max(newest.plus_us(self.pane_us));
            }
            let known: Vec<&Part> = known.into_values().flatten().collect();
            if !known.is_empty() || now.0 - self.newest.0 <= DENSE_US || now.0 % DENSE_US == 0 {
                return Some((now, known));
            }
        }
    }
}
