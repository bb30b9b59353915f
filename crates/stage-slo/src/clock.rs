//! Facts of one source topic → D(t): what was known at grid point t.
//!
//! D(t) holds, of each source partition, the deltas of panes that end at or before t, in batches up to and including the first
//! that is complete until t. So a delta counts from a grid point on that its own chain decides, whatever the order in which
//! chains are read: from the end of its pane, or from the first grid point that the batch before it is not complete for,
//! whichever is later. It waits for that point; the point comes when every partition of the topic is complete for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use streamgauge_events::{EventTime, Frontier, Offset};
use streamgauge_windows::coverage::BatchId;

/// The clock of one source topic, and what waits for it. `H` is what a delta adds to an SLI.
#[derive(Debug)]
pub(crate) struct Clock<H> {
    pane_us: i64,
    kept: Kept,
    /// By the grid point from which on they count.
    waiting: BTreeMap<EventTime, Waiting<H>>,
    /// Of partitions that partition 0 has not announced yet.
    unlisted: BTreeMap<i32, Vec<Unlisted<H>>>,
    /// The last frontiers read again, while what waited is read again.
    again: Option<BTreeMap<i32, ReadAgain>>,
}

#[derive(Clone, Copy, Debug)]
struct ReadAgain {
    id: BatchId,
    /// Where it stands among the facts.
    offset: Offset,
    complete_until: EventTime,
}

/// What is kept of a clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The last grid point.
    pub(crate) at: EventTime,
    /// The first pane.
    pub(crate) first: Option<EventTime>,
    /// The end of the newest pane that was known at `at`.
    newest: EventTime,
    /// The last grid point that a partition is complete for, but for those that have ended.
    reached: EventTime,
    chains: BTreeMap<i32, Chain>,
    /// How many partitions the topic has for grid points after this one.
    rosters: BTreeMap<EventTime, i32>,
    /// Spans of which a part was lost, or is in a batch that is missing, and of which partition.
    gaps: BTreeSet<(EventTime, EventTime, i32)>,
}

/// The batches of one source partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Chain {
    first: (u32, u64),
    last: (u32, u64),
    to: Offset,
    complete_until: EventTime,
    /// Batches from which on the chain was complete for less than before, and for how much it had been: as far as that may
    /// still decide when a delta counts.
    fell_back: Vec<((u32, u64), EventTime)>,
    /// Where its last frontier stands among the facts.
    frontier: Offset,
    /// Since when something is missing that no grid point has passed yet.
    gap: Option<EventTime>,
}

#[derive(Debug)]
struct Waiting<H> {
    /// Facts are to be read from here on to know all of this again.
    from: Offset,
    parts: Vec<(EventTime, H)>,
}

#[derive(Debug)]
struct Unlisted<H> {
    counts_from: EventTime,
    from: Offset,
    pane: EventTime,
    part: H,
}

/// A frontier does not go on where the last one of its chain ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    pub topic: String,
    pub partition: i32,
    pub after: BatchId,
    pub next: BatchId,
    /// Offsets that no batch covers.
    pub offsets: (Offset, Offset),
}

impl std::fmt::Display for Hole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { topic, partition, after, next, offsets: (from, to) } = self;
        write!(f, "{topic}/{partition}: {next} follows {after}; offsets {from} to {to} are in no batch")
    }
}

/// So long after the newest pane every grid point is evaluated, from then on one an hour.
const DENSE_US: i64 = 3_600_000_000;
/// Gaps further back than this can't concern a slice that is still judged.
const GAPS_KEPT_US: i64 = 100 * 24 * 3_600_000_000;

impl<H> Clock<H> {
    pub(crate) fn new(pane_us: i64) -> Self {
        let kept = Kept {
            at: EventTime::BEFORE_ALL,
            first: None,
            newest: EventTime::BEFORE_ALL,
            reached: EventTime::BEFORE_ALL,
            chains: BTreeMap::new(),
            rosters: BTreeMap::new(),
            gaps: BTreeSet::new(),
        };
        Self { pane_us, kept, waiting: BTreeMap::new(), unlisted: BTreeMap::new(), again: None }
    }

    /// Goes on from what was kept. What waited is to be read again, from [`Self::needed_from`] on, until [`Self::caught_up`].
    pub(crate) fn restored(pane_us: i64, kept: Kept) -> Self {
        Self { kept, again: Some(BTreeMap::new()), ..Self::new(pane_us) }
    }

    pub(crate) fn know_panes(&mut self, pane_us: i64) {
        self.pane_us = pane_us;
    }

    /// Another one has read the same facts up to the same one, for other SLIs: whatever could be evaluated has been.
    pub(crate) fn come_to(&mut self, other: &Kept) {
        if self.kept.chains.is_empty() {
            (self.kept.chains, self.kept.rosters) = (other.chains.clone(), other.rosters.clone());
            (self.kept.gaps, self.kept.reached) = (other.gaps.clone(), other.reached);
            self.again = Some(BTreeMap::new());
        }
        self.kept.at = self.kept.at.max(other.at);
        self.kept.newest = self.kept.newest.max(other.newest);
        self.kept.first = self.kept.first.into_iter().chain(other.first).min();
    }

    pub(crate) fn caught_up(&mut self) {
        self.again = None;
    }

    pub(crate) const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What waits needs facts from here on; `None`: nothing waits.
    pub(crate) fn needed_from(&self) -> Option<Offset> {
        let unlisted = self.unlisted.values().flatten().map(|unlisted| unlisted.from);
        self.waiting.values().map(|waiting| waiting.from).chain(unlisted).min()
    }

    /// How many deltas wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.values().map(|waiting| waiting.parts.len()).sum::<usize>()
            + self.unlisted.values().map(Vec::len).sum::<usize>()
    }

    /// Files what a delta adds. `offset`: where the delta stands among the facts. Repeats are left out.
    pub(crate) fn delta(&mut self, partition: i32, id: BatchId, offset: Offset, pane: EventTime, part: H) {
        let pane_end = pane.plus_us(self.pane_us);
        let chain = self.kept.chains.get(&partition);
        let repeats = chain.is_some_and(|chain| id <= id_of(chain.last));
        let (from, before) = match (&self.again, chain) {
            (None, _) if repeats => return,
            (Some(again), Some(chain)) if repeats => {
                // What its chain has not told of yet has been counted: nothing before that waits.
                let (from, mut before) = match again.get(&partition) {
                    Some(seen) if id <= seen.id => return,
                    Some(seen) => (seen.offset, seen.complete_until),
                    None if id == id_of(chain.first) => (offset, EventTime::BEFORE_ALL),
                    None => return,
                };
                for (since, until) in &chain.fell_back {
                    if id > id_of(*since) {
                        before = before.max(*until);
                    }
                }
                (from, before)
            }
            (_, Some(chain)) => (chain.frontier, chain.complete_until),
            (_, None) => (offset, EventTime::BEFORE_ALL),
        };
        let counts_from = pane_end.max(self.point_after(before));
        match self.listed_since(partition) {
            Some(since) => {
                let counts_from = counts_from.max(self.point_after(since));
                if counts_from > self.kept.at {
                    self.wait(counts_from, from, pane, part);
                }
            }
            None => self.unlisted.entry(partition).or_default().push(Unlisted { counts_from, from, pane, part }),
        }
    }

    fn wait(&mut self, counts_from: EventTime, from: Offset, pane: EventTime, part: H) {
        let waiting = self.waiting.entry(counts_from).or_insert_with(|| Waiting { from, parts: Vec::new() });
        waiting.from = waiting.from.min(from);
        waiting.parts.push((pane, part));
    }

    fn point_after(&self, time: EventTime) -> EventTime {
        if time == EventTime::BEFORE_ALL { time } else { time.floor(self.pane_us).plus_us(self.pane_us) }
    }

    /// The grid point after which a partition counts.
    fn listed_since(&self, partition: i32) -> Option<EventTime> {
        self.kept.rosters.iter().find(|(_, partitions)| **partitions > partition).map(|(since, _)| *since)
    }

    /// The end of a batch; whether the one before it is missing. `offset`: where it stands among the facts.
    pub(crate) fn frontier(&mut self, frontier: &Frontier, offset: Offset) -> Option<Hole> {
        let id = BatchId::of(frontier.generation, frontier.batch);
        let until = frontier.complete_until;
        let chain = self.kept.chains.get(&frontier.partition);
        if chain.is_some_and(|chain| id <= id_of(chain.last)) {
            if let Some(again) = &mut self.again {
                let seen = again.get(&frontier.partition);
                if seen.is_none_or(|seen| seen.id < id) {
                    let complete_until = until.max(seen.map_or(EventTime::BEFORE_ALL, |seen| seen.complete_until));
                    again.insert(frontier.partition, ReadAgain { id, offset, complete_until });
                }
            }
            return None;
        }
        let before = chain.map_or(EventTime::BEFORE_ALL, |chain| chain.complete_until);
        let hole = chain.filter(|chain| !id_of(chain.last).is_followed_by(id) || chain.to != frontier.from);
        let hole = hole.map(|chain| Hole {
            topic: frontier.source.clone(),
            partition: frontier.partition,
            after: id_of(chain.last),
            next: id,
            offsets: (chain.to, frontier.from.max(chain.to)),
        });
        let lacks = hole.is_some() || !frontier.lost.is_empty() || frontier.lost_events > 0;
        let chain = self.kept.chains.entry(frontier.partition).or_insert_with(|| Chain {
            first: (id.generation, id.batch),
            last: (id.generation, id.batch),
            to: frontier.to,
            complete_until: EventTime::BEFORE_ALL,
            fell_back: Vec::new(),
            frontier: offset,
            gap: None,
        });
        (chain.last, chain.to, chain.frontier) = ((id.generation, id.batch), frontier.to, offset);
        let at = self.kept.at;
        chain.fell_back.retain(|(_, until)| *until >= at);
        if until < before && chain.fell_back.last().is_none_or(|(_, known)| *known < before) {
            chain.fell_back.push((chain.last, before));
        }
        chain.complete_until = before.max(until);
        if until < EventTime::AFTER_ALL {
            self.kept.reached = self.kept.reached.max(until);
        }
        if lacks {
            chain.gap.get_or_insert(before);
        }
        if let Some(since) = chain.gap.filter(|since| chain.complete_until > *since) {
            self.kept.gaps.insert((since, chain.complete_until, frontier.partition));
            chain.gap = None;
        }
        if let (0, Some(partitions)) = (frontier.partition, frontier.partitions) {
            self.announce(before, partitions);
        }
        hole
    }

    /// Partition 0 says how many partitions there are for grid points after `since`.
    fn announce(&mut self, since: EventTime, partitions: i32) {
        let known = self.kept.rosters.last_key_value().map_or(0, |(_, known)| *known);
        if partitions <= known {
            return;
        }
        self.kept.rosters.insert(since, partitions);
        for partition in known..partitions {
            for Unlisted { counts_from, from, pane, part } in self.unlisted.remove(&partition).unwrap_or_default() {
                self.wait(counts_from.max(self.point_after(since)), from, pane, part);
            }
        }
    }

    /// Every grid point up to here can be evaluated; `None` while a partition is unheard of.
    pub(crate) fn complete_until(&self) -> Option<EventTime> {
        let until = |partition: i32| self.kept.chains.get(&partition).map(|chain| chain.complete_until);
        let announced = until(0)?;
        let mut complete = announced;
        for (since, partitions) in &self.kept.rosters {
            // Grid points up to `since` go by an earlier roster.
            if *since >= complete {
                break;
            }
            for partition in 0..*partitions {
                complete = complete.min(until(partition).unwrap_or(EventTime::BEFORE_ALL).max(*since));
            }
        }
        (complete > EventTime::BEFORE_ALL).then_some(complete)
    }

    /// The next grid point, and what is known at it beyond the one before.
    pub(crate) fn next_point(&mut self) -> Option<(EventTime, Vec<(EventTime, H)>)> {
        let complete = self.complete_until()?;
        let next_known = self.waiting.first_key_value().map(|(at, _)| *at).filter(|at| *at < EventTime::AFTER_ALL);
        let now = match self.kept.first {
            None => next_known?,
            Some(_) => {
                let next = self.kept.at.plus_us(self.pane_us);
                if next.0 - self.kept.newest.0 <= DENSE_US {
                    next
                } else {
                    let hour = next.plus_us(DENSE_US - 1).floor(DENSE_US);
                    next_known.map_or(hour, |known| hour.min(known))
                }
            }
        };
        // A bounded input ends with its last pane, or where the last of its partitions came to; else it would matter which of
        // them is read first.
        let last = self.kept.newest.max(self.kept.reached);
        let is_over = complete >= EventTime::AFTER_ALL && next_known.is_none() && now > last;
        if now > complete || is_over {
            return None;
        }
        let later = self.waiting.split_off(&now.plus_us(1));
        let known = std::mem::replace(&mut self.waiting, later);
        let parts: Vec<(EventTime, H)> = known.into_values().flat_map(|waiting| waiting.parts).collect();
        self.kept.at = now;
        if let Some(newest) = parts.iter().map(|(pane, _)| *pane).max() {
            self.kept.newest = self.kept.newest.max(newest.plus_us(self.pane_us));
        }
        if self.kept.first.is_none() {
            self.kept.first = parts.iter().map(|(pane, _)| *pane).min();
        }
        while let Some(gap) = self.kept.gaps.first().copied()
            && gap.1 < now.minus_us(GAPS_KEPT_US)
        {
            self.kept.gaps.remove(&gap);
        }
        Some((now, parts))
    }

    /// Whether nothing of [from, to) is missing, where `to` is no later than the grid point. A partition that does not count
    /// yet lacks nothing.
    pub(crate) fn is_covered(&self, from: EventTime, to: EventTime) -> bool {
        let counts = |partition: i32| self.listed_since(partition).is_some_and(|since| since < self.kept.at);
        let mut gaps = self.kept.gaps.iter();
        let closed = gaps.any(|(start, end, partition)| *start < to && *end > from && counts(*partition));
        let mut chains = self.kept.chains.iter();
        let open = chains.any(|(partition, chain)| chain.gap.is_some_and(|since| since < to) && counts(*partition));
        !closed && !open
    }
}

const fn id_of((generation, batch): (u32, u64)) -> BatchId {
    BatchId::of(generation, batch)
}
