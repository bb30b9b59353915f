//! Facts → what is known now of each SLI, pane by pane. Reads no file.

use std::collections::{BTreeMap, BTreeSet};

use streamgauge_definitions::{Definitions, Measure, Sli};
use streamgauge_events::{EventTime, Fact, facts::GOLDEN, topics};
use streamgauge_slo::Tally;
use streamgauge_windows::cell::Cell;
use streamgauge_windows::coverage::{BatchId, Coverage, Source};
use streamgauge_windows::judge;
use streamgauge_windows::slice::{Counted, Verdict};

/// Everything that was counted of the SLIs that objectives are about.
#[derive(Debug, Default)]
pub struct Counts {
    /// The only one to count.
    tenant: Option<String>,
    /// Those that the SLIs asked for were counted of.
    tenants: BTreeSet<String>,
    /// Whether the spread of latencies and values is needed: only slices are judged by it.
    asked: BTreeMap<String, bool>,
    coverage: Coverage,
    panes: BTreeMap<String, BTreeMap<EventTime, Cell>>,
    /// Topics that an SLI was counted from.
    topics: BTreeMap<String, BTreeSet<String>>,
    /// By SLI and definitions, the last pane that these counted.
    counted_by: BTreeMap<String, BTreeMap<String, EventTime>>,
}

impl Counts {
    /// Keeps the SLIs that any of these definitions makes a promise about.
    pub fn new<'d>(definitions: impl Iterator<Item = &'d Definitions>, tenant: Option<&str>) -> Self {
        let mut asked = BTreeMap::new();
        for definitions in definitions {
            for name in definitions.slos.values().map(|slo| &slo.indicator) {
                let judges_slices = definitions.slis.get(name).is_some_and(|sli| sli.good.slice().is_some());
                *asked.entry(name.clone()).or_default() |= judges_slices;
            }
        }
        Self { asked, tenant: tenant.map(str::to_owned), ..Self::default() }
    }

    pub const fn tenants(&self) -> &BTreeSet<String> {
        &self.tenants
    }

    /// One record of `sli.windows` that can be added.
    pub fn add(&mut self, output_partition: i32, fact: &Fact) -> anyhow::Result<()> {
        let delta = match fact {
            Fact::Frontier(frontier) => {
                self.coverage.frontier(output_partition, frontier);
                return Ok(());
            }
            Fact::Delta(delta) => delta,
        };
        let source = Source { topic: delta.source.clone(), partition: delta.partition };
        if self.coverage.is_repeat(output_partition, &source, BatchId::of(delta.generation, delta.batch)) {
            return Ok(());
        }
        let keeps_spread = self.asked.get(&delta.sli);
        if keeps_spread.is_some() || GOLDEN.contains(&delta.sli.as_str()) {
            self.topics.entry(delta.sli.clone()).or_default().insert(delta.source.clone());
        }
        let Some(keeps_spread) = keeps_spread else { return Ok(()) };
        if self.tenant.as_ref().is_some_and(|tenant| *tenant != delta.tenant) {
            return Ok(());
        }
        self.tenants.insert(delta.tenant.clone());
        let mut cell = Cell::of(delta)?;
        if !keeps_spread {
            (cell.latency, cell.values) = (None, None);
        }
        let by =
            self.counted_by.entry(delta.sli.clone()).or_default().entry(delta.bundle.clone()).or_insert(delta.pane);
        *by = delta.pane.max(*by);
        self.panes.entry(delta.sli.clone()).or_default().entry(delta.pane).or_default().add(&cell);
        Ok(())
    }

    /// The first pane of the SLIs that were counted from a topic.
    pub fn first_of(&self, topic: &str) -> Option<EventTime> {
        let is_from = |name: &String| self.topics.get(name).is_some_and(|topics| topics.contains(topic));
        let panes = self.panes.iter().filter(|(name, _)| is_from(name));
        panes.filter_map(|(_, panes)| panes.keys().next()).min().copied()
    }

    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The topic of an SLI as the facts call it. Only that of requests may have another name on the bus.
    pub fn topic_of(&self, name: &str, definitions: &Definitions) -> String {
        let Some(sli) = definitions.slis.get(name) else { return String::new() };
        let from = |sli: &str| self.topics.get(sli).into_iter().flatten();
        if sli.topic != topics::REQUESTS || from(name).any(|topic| *topic == sli.topic) {
            return sli.topic.clone();
        }
        let renamed = from(name).chain(from(topics::REQUESTS));
        let renamed: BTreeSet<&String> = renamed.filter(|topic| !definitions.sources.contains_key(*topic)).collect();
        match (renamed.contains(&sli.topic), renamed.first()) {
            (false, Some(topic)) if renamed.len() == 1 => (*topic).clone(),
            _ => sli.topic.clone(),
        }
    }

    /// Panes up to this one were counted by definitions that judge events of this SLI in another way.
    pub fn counted_otherwise(&self, name: &str, sli: &Sli, known: &BTreeMap<String, Definitions>) -> Option<EventTime> {
        let by = self.counted_by.get(name)?;
        let otherwise = |hash: &String| {
            let counted = known.get(hash).and_then(|known| known.slis.get(name));
            counted.is_some_and(|counted| counted.counted_unlike(sli).is_some())
        };
        by.iter().filter(|(hash, _)| otherwise(hash)).map(|(_, last)| *last).max()
    }

    /// What there is of an SLI up to a grid point. `first`: the first pane of its topic, with which slices begin.
    pub fn history(
        &self,
        name: &str,
        sli: &Sli,
        topic: &str,
        pane_us: i64,
        first: EventTime,
        end: EventTime,
    ) -> History {
        let none = BTreeMap::new();
        let panes = self.panes.get(name).unwrap_or(&none);
        let exemplars = panes.iter().map(|(pane, cell)| (*pane, cell.exemplars())).filter(|(_, ids)| !ids.is_empty());
        let exemplars = exemplars.collect();
        let Measure::Slice { slice, rule } = &sli.good else {
            let tally = |cell: &Cell| {
                let total = i128::from(cell.n - cell.unjudged);
                Tally::new(total - i128::from(cell.good), total)
            };
            let panes = panes.iter().filter(|(pane, _)| pane.plus_us(pane_us) <= end);
            let tallies = panes.map(|(pane, cell)| (*pane, tally(cell))).collect();
            return History { width_us: pane_us, first, end, tallies, exemplars };
        };
        let mut counted: BTreeMap<EventTime, Counted> = BTreeMap::new();
        for (pane, cell) in panes {
            counted.entry(pane.floor(slice.length_us)).or_default().add(&sli.good, cell);
        }
        let (mut tallies, mut newest) = (BTreeMap::new(), None);
        let mut start = first.floor(slice.length_us);
        while start.plus_us(slice.length_us) <= end {
            let next = start.plus_us(slice.length_us);
            let mut counted = counted.remove(&start).unwrap_or_default();
            newest = newest.max(counted.sum.cell.newest);
            counted.newest = newest;
            let covered = self.coverage.lacks_of(topic, start, next).is_empty();
            let judged = judge(rule, *slice, next, covered, &counted);
            if let Some(good) = judged.counts.filter(|_| judged.verdict != Verdict::NoCoverage) {
                tallies.insert(start, Tally::new((!good).into(), 1));
            }
            start = next;
        }
        History { width_us: slice.length_us, first, end, tallies, exemplars }
    }
}

/// What counts for one SLI, as it is known now, late records among it.
#[derive(Clone, Debug)]
pub struct History {
    /// Of a pane, or of a slice where the SLI judges slices.
    pub width_us: i64,
    /// The first pane of the topic.
    pub first: EventTime,
    /// The last grid point.
    pub end: EventTime,
    pub tallies: BTreeMap<EventTime, Tally>,
    /// Trace ids of bad events by pane.
    pub exemplars: BTreeMap<EventTime, Vec<String>>,
}

impl History {
    pub fn sum(&self, from: EventTime, to: EventTime) -> Tally {
        let mut sum = Tally::default();
        self.tallies.range(from..to.max(from)).for_each(|(_, tally)| sum += *tally);
        sum
    }

    /// Sums over spans of this width, the empty ones left out.
    pub fn spans(&self, width_us: i64, from: EventTime, to: EventTime) -> BTreeMap<EventTime, Tally> {
        let mut spans: BTreeMap<EventTime, Tally> = BTreeMap::new();
        for (start, tally) in self.tallies.range(from..to.max(from)) {
            *spans.entry(start.floor(width_us)).or_default() += *tally;
        }
        spans
    }

    /// The first few trace ids of bad events in a span.
    pub fn exemplars(&self, from: EventTime, to: EventTime) -> Vec<String> {
        const MAX: usize = 3;
        let mut found: Vec<String> = Vec::new();
        for id in self.exemplars.range(from..to.max(from)).flat_map(|(_, ids)| ids) {
            if found.len() < MAX && !found.contains(id) {
                found.push(id.clone());
            }
        }
        found
    }
}
