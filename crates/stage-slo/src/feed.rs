//! Deltas of an SLI → what an objective counts: events by pane, or slices by the verdict on them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use streamgauge_definitions::{Measure, Rule, Slice};
use streamgauge_events::{Delta, EventTime};
use streamgauge_slo::Tally;
use streamgauge_slo::saved::CHUNK;
use streamgauge_stats::HistogramError;
use streamgauge_windows::cell::Cell;
use streamgauge_windows::judge;
use streamgauge_windows::slice::{Counted, SavedCounted};

/// What a delta adds.
#[derive(Clone, Debug)]
pub(crate) enum Added {
    Events { tally: Tally, exemplars: Vec<String> },
    Slice(Box<Cell>),
}

impl Added {
    /// Fails where a histogram that slices are judged by can't be read.
    pub(crate) fn of(delta: &Delta, measure: &Measure) -> Result<Self, HistogramError> {
        if let Measure::Slice { .. } = measure {
            return Ok(Self::Slice(Box::new(Cell::of(delta)?)));
        }
        let total = i128::from(delta.n) - i128::from(delta.unjudged);
        let tally = Tally::new(total - i128::from(delta.good), total);
        Ok(Self::Events { tally, exemplars: delta.exemplars.clone() })
    }

    pub(crate) fn exemplars(&self) -> Vec<String> {
        match self {
            Self::Events { exemplars, .. } => exemplars.clone(),
            Self::Slice(cell) => cell.exemplars(),
        }
    }
}

/// What one SLI gives at a grid point: changes of counts, by pane or slice.
#[derive(Debug)]
pub(crate) struct Feed {
    measure: Measure,
    slices: BTreeMap<EventTime, Judged>,
    /// Slices that begin before this have been judged.
    judged_until: Option<EventTime>,
    /// Of those, the ones in which something was counted since.
    restated: BTreeSet<EventTime>,
    changes: Vec<(EventTime, Tally)>,
    /// Chunks of slices that differ from what was kept of them.
    changed: BTreeSet<i64>,
}

#[derive(Debug, Default)]
struct Judged {
    counted: Counted,
    worth: Tally,
}

/// A slice as it is kept: bad and total of 1, or 0 of 0 where it does not count.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedSlice {
    start: EventTime,
    bad: u8,
    total: u8,
    #[serde(flatten)]
    counted: SavedCounted,
}

impl Feed {
    pub(crate) fn new(measure: Measure) -> Self {
        Self {
            measure,
            slices: BTreeMap::new(),
            judged_until: None,
            restated: BTreeSet::new(),
            changes: Vec::new(),
            changed: BTreeSet::new(),
        }
    }

    pub(crate) fn add(&mut self, pane: EventTime, added: &Added) {
        match (added, &self.measure) {
            (Added::Events { tally, .. }, _) => self.changes.push((pane, *tally)),
            (Added::Slice(cell), Measure::Slice { slice, .. }) => {
                let start = pane.floor(slice.length_us);
                self.changed.insert(chunk_of(start, slice.length_us));
                self.slices.entry(start).or_default().counted.add(&self.measure, cell);
                if self.judged_until.is_some_and(|until| start < until) {
                    self.restated.insert(start);
                }
            }
            (Added::Slice(_), _) => {}
        }
    }

    /// What has changed up to a grid point. `first`: the first pane of the topic; slices begin with it. `covered`: whether
    /// nothing between two times is missing.
    pub(crate) fn take(
        &mut self,
        first: EventTime,
        now: EventTime,
        covered: &dyn Fn(EventTime, EventTime) -> bool,
    ) -> Vec<(EventTime, Tally)> {
        if let Measure::Slice { slice, rule } = self.measure.clone() {
            self.judge_slices(slice, &rule, first, now, covered);
        }
        std::mem::take(&mut self.changes)
    }

    fn judge_slices(
        &mut self,
        slice: Slice,
        rule: &Rule,
        first: EventTime,
        now: EventTime,
        covered: &dyn Fn(EventTime, EventTime) -> bool,
    ) {
        let length_us = slice.length_us;
        let begin = first.floor(length_us);
        if self.judged_until.is_none() {
            // What is older than the first pane came late: it counts like any slice in which something was counted since.
            self.restated.extend(self.slices.range(..begin).map(|(start, _)| *start));
        }
        let mut start = *self.judged_until.get_or_insert(begin);
        while let Some(start) = self.restated.pop_first() {
            self.judge(slice, rule, start, covered);
            // Slices without an event of their own are as fresh as the one before.
            let mut next = start.plus_us(length_us);
            while matches!(rule, Rule::Freshness { .. })
                && self.judged_until.is_some_and(|until| next < until)
                && self.slices.get(&next).is_some_and(|judged| judged.counted.sum.cell.newest.is_none())
            {
                self.judge(slice, rule, next, covered);
                next = next.plus_us(length_us);
            }
        }
        while start.plus_us(length_us) <= now {
            self.judge(slice, rule, start, covered);
            start = start.plus_us(length_us);
            self.judged_until = Some(start);
        }
    }

    fn judge(&mut self, slice: Slice, rule: &Rule, start: EventTime, covered: &dyn Fn(EventTime, EventTime) -> bool) {
        let end = start.plus_us(slice.length_us);
        let before = self.slices.range(..start).next_back().and_then(|(_, judged)| judged.counted.newest);
        let judged = self.slices.entry(start).or_default();
        judged.counted.newest = before.max(judged.counted.sum.cell.newest);
        let worth = match judge(rule, slice, end, covered(start, end), &judged.counted).counts {
            Some(good) => Tally::new((!good).into(), 1),
            None => Tally::default(),
        };
        self.changed.insert(chunk_of(start, slice.length_us));
        if worth != judged.worth {
            self.changes.push((start, worth - judged.worth));
            judged.worth = worth;
        }
    }

    /// Slices that end before this can't matter any more, but for the last: the next one may be as fresh as it.
    pub(crate) fn forget_before(&mut self, oldest: EventTime) {
        let Measure::Slice { slice, .. } = &self.measure else { return };
        while self.slices.len() > 1
            && let Some((start, _)) = self.slices.first_key_value()
            && start.plus_us(slice.length_us) < oldest
        {
            self.changed.insert(chunk_of(*start, slice.length_us));
            self.slices.pop_first();
        }
    }

    pub(crate) const fn judged_until(&self) -> Option<EventTime> {
        self.judged_until
    }

    pub(crate) fn restore_judged_until(&mut self, until: Option<EventTime>) {
        self.judged_until = until;
    }

    /// Calls `changed` with every chunk of slices that has changed since the last call; an empty one is gone.
    pub(crate) fn take_changed(&mut self, changed: &mut dyn FnMut(i64, Vec<SavedSlice>)) {
        let Measure::Slice { slice, .. } = &self.measure else { return };
        let chunk_us = slice.length_us * CHUNK;
        for chunk in std::mem::take(&mut self.changed) {
            let span = EventTime(chunk * chunk_us)..EventTime((chunk + 1) * chunk_us);
            let saved = self.slices.range(span).map(|(start, judged)| SavedSlice {
                start: *start,
                bad: u8::from(judged.worth.bad > 0),
                total: u8::from(judged.worth.total > 0),
                counted: judged.counted.save(),
            });
            changed(chunk, saved.collect());
        }
    }

    pub(crate) fn restore_chunk(&mut self, slices: Vec<SavedSlice>) -> Result<(), HistogramError> {
        for SavedSlice { start, bad, total, counted } in slices {
            let worth = Tally::new(bad.into(), total.into());
            self.slices.insert(start, Judged { counted: Counted::restore(counted)?, worth });
        }
        Ok(())
    }
}

const fn chunk_of(start: EventTime, length_us: i64) -> i64 {
    start.0.div_euclid(length_us).div_euclid(CHUNK)
}
