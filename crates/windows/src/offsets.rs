//! Which offsets of an input partition were seen, and whether as many stand in each batch as its frontier says.
//!
//! Memory is bounded by what is not yet proven: offsets are kept as runs, and dropped with the batch that they prove.

use std::collections::{BTreeMap, VecDeque};

use streamgauge_events::Offset;

use crate::coverage::BatchId;

/// Half-open runs of offsets.
#[derive(Clone, Debug, Default)]
struct Runs(BTreeMap<Offset, Offset>);

impl Runs {
    /// False if it was there.
    fn insert(&mut self, offset: Offset) -> bool {
        let before = self.0.range(..=offset).next_back().map(|(start, end)| (*start, *end));
        if before.is_some_and(|(_, end)| end > offset) {
            return false;
        }
        let end = self.0.remove(&(offset + 1)).unwrap_or(offset + 1);
        match before {
            Some((start, known)) if known == offset => self.0.insert(start, end),
            _ => self.0.insert(offset, end),
        };
        true
    }

    fn count(&self, from: Offset, to: Offset) -> u64 {
        let first = self.0.range(..=from).next_back().map_or(from, |(start, _)| *start);
        let overlap = |(start, end): (&Offset, &Offset)| (*end).min(to) - (*start).max(from);
        self.0.range(first..to.max(first)).map(overlap).filter(|count| *count > 0).map(|count| count as u64).sum()
    }

    fn forget_before(&mut self, to: Offset) {
        while let Some((start, end)) = self.0.first_key_value().map(|(start, end)| (*start, *end)) {
            if start >= to {
                return;
            }
            self.0.remove(&start);
            if end > to {
                self.0.insert(to, end);
            }
        }
    }
}

/// What a frontier says of [from, to).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub from: Offset,
    pub to: Offset,
    pub count: u64,
    pub id: BatchId,
}

/// A batch whose count is not what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Differs {
    pub expected: Expected,
    pub found: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Proof {
    runs: Runs,
    waiting: VecDeque<Expected>,
    /// Everything below is decided.
    decided: Offset,
    /// Offsets below were gone before anyone could look.
    begins: Offset,
    /// Batches up to here reach back before that: nothing can be said of them.
    undecidable: Offset,
    /// A batch is decided as soon as its count is reached; else only once everything in it must have been seen.
    eager: bool,
    pub proven: u64,
}

impl Proof {
    /// Records that were seen and are in no batch that has been proven.
    pub fn beyond(&self) -> u64 {
        self.runs.count(self.decided, Offset::MAX)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    Again,
    /// In a batch that was proven without it.
    Undeclared,
}

impl Proof {
    pub fn eager() -> Self {
        Self { eager: true, ..Self::default() }
    }

    pub fn begin_at(&mut self, offset: Offset) {
        self.begins = offset;
    }

    pub fn see(&mut self, offset: Offset) -> Seen {
        if offset < self.undecidable {
            return Seen::New;
        }
        if offset < self.decided {
            return Seen::Undeclared;
        }
        if self.runs.insert(offset) { Seen::New } else { Seen::Again }
    }

    pub fn expect(&mut self, expected: Expected) {
        if expected.from < self.begins {
            self.undecidable = self.undecidable.max(expected.to);
            self.runs.forget_before(expected.to);
            return;
        }
        self.waiting.push_back(expected);
        // Without a known end only full batches are decided, and those differ in nothing.
        self.settle(Offset::MIN);
    }

    /// Decides every batch that ends at or before `known`: nothing below it will be seen any more.
    pub fn settle(&mut self, known: Offset) -> Vec<Differs> {
        let mut differing = Vec::new();
        while let Some(expected) = self.waiting.front().copied() {
            let found = self.runs.count(expected.from, expected.to);
            if expected.to > known && !(self.eager && found == expected.count) {
                break;
            }
            if found == expected.count {
                self.proven += found;
            } else {
                differing.push(Differs { expected, found });
            }
            self.waiting.pop_front();
            self.decided = self.decided.max(expected.to);
            self.runs.forget_before(self.decided);
        }
        differing
    }

    /// What was seen and is in no batch so far: the start of each run.
    pub fn unclaimed(&self) -> impl Iterator<Item = Offset> {
        self.runs.0.keys().copied()
    }

    /// Batches that wait for the other side.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_count_what_was_inserted() {
        let mut runs = Runs::default();
        for (offset, new) in [(5, true), (6, true), (4, true), (5, false), (9, true), (8, true), (7, true), (20, true)]
        {
            assert_eq!(runs.insert(offset), new, "{offset}");
        }
        for (from, to, expected) in [(0, 30, 7), (4, 10, 6), (5, 6, 1), (10, 20, 0), (10, 21, 1), (6, 6, 0), (9, 3, 0)]
        {
            assert_eq!(runs.count(from, to), expected, "[{from}, {to})");
        }
        runs.forget_before(8);
        assert_eq!((runs.count(0, 30), runs.0.len()), (3, 2));
    }
}
