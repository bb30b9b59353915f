//! Cells of an SLI → what an objective counts: events by pane, or slices by the verdict on them.

use std::collections::{BTreeMap, BTreeSet};

use streamgauge_definitions::{Measure, Rule, Sli, Slice};
use streamgauge_events::EventTime;
use streamgauge_slo::Tally;
use streamgauge_windows::cell::Cell;
use streamgauge_windows::coverage::Coverage;
use streamgauge_windows::judge;
use streamgauge_windows::slice::Counted;

/// What one SLI gives at a grid point: changes of counts, by pane or slice.
#[derive(Debug)]
pub struct Feed {
    measure: Measure,
    topic: String,
    slices: BTreeMap<EventTime, Judged>,
    /// Slices that begin before this have been judged.
    judged_until: Option<EventTime>,
    /// Of those, the ones in which something was counted since.
    restated: BTreeSet<EventTime>,
    changes: Vec<(EventTime, Tally)>,
}

#[derive(Debug, Default)]
struct Judged {
    counted: Counted,
    worth: Tally,
}

impl Feed {
    pub fn new(sli: &Sli, topic: &str) -> Self {
        Self {
            measure: sli.good.clone(),
            topic: topic.to_owned(),
            slices: BTreeMap::new(),
            judged_until: None,
            restated: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    pub fn add(&mut self, pane: EventTime, cell: &Cell) {
        let Measure::Slice { slice, .. } = &self.measure else {
            let total = i128::from(cell.n - cell.unjudged);
            self.changes.push((pane, Tally::new(total - i128::from(cell.good), total)));
            return;
        };
        let start = pane.floor(slice.length_us);
        self.slices.entry(start).or_default().counted.add(&self.measure, cell);
        if self.judged_until.is_some_and(|until| start < until) {
            self.restated.insert(start);
        }
    }

    /// What has changed up to a grid point. `first`: the first pane of the topic; slices begin with it.
    pub fn take(&mut self, first: EventTime, now: EventTime, coverage: &Coverage) -> Vec<(EventTime, Tally)> {
        if let Measure::Slice { slice, rule } = self.measure.clone() {
            self.judge_slices(slice, &rule, first, now, coverage);
        }
        std::mem::take(&mut self.changes)
    }

    fn judge_slices(&mut self, slice: Slice, rule: &Rule, first: EventTime, now: EventTime, coverage: &Coverage) {
        let length_us = slice.length_us;
        while let Some(start) = self.restated.pop_first() {
            self.judge(slice, rule, start, coverage);
            // Slices without an event of their own are as fresh as the one before.
            let mut next = start.plus_us(length_us);
            while matches!(rule, Rule::Freshness { .. })
                && self.judged_until.is_some_and(|until| next < until)
                && self.slices.get(&next).is_some_and(|judged| judged.counted.sum.cell.newest.is_none())
            {
                self.judge(slice, rule, next, coverage);
                next = next.plus_us(length_us);
            }
        }
        let mut start = self.judged_until.unwrap_or_else(|| first.floor(length_us));
        while start.plus_us(length_us) <= now {
            self.judge(slice, rule, start, coverage);
            start = start.plus_us(length_us);
            self.judged_until = Some(start);
        }
    }

    fn judge(&mut self, slice: Slice, rule: &Rule, start: EventTime, coverage: &Coverage) {
        let end = start.plus_us(slice.length_us);
        let before = self.slices.range(..start).next_back().and_then(|(_, judged)| judged.counted.newest);
        let judged = self.slices.entry(start).or_default();
        judged.counted.newest = before.max(judged.counted.sum.cell.newest);
        let covered = coverage.lacks_of(&self.topic, start, end).is_empty();
        let worth = match judge(rule, slice, end, covered, &judged.counted).counts {
            Some(good) => Tally::new((!good).into(), 1),
            None => Tally::default(),
        };
        if worth != judged.worth {
            self.changes.push((start, worth - judged.worth));
            judged.worth = worth;
        }
    }
}
