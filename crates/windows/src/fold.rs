//! Deltas → panes, under the bound of series.
//!
//! Phase one keeps, of each batch and pane, the K series with the smallest hashes; this keeps the K smallest of the
//! pane. A series among the K smallest of all was evicted nowhere, so the result is a function of the records alone.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use streamgauge_events::facts::{AtOrUnder, Latency, OTHER, Values};
use streamgauge_events::{Delta, EventTime, Fact};

use crate::cell::Cell;
use crate::coverage::{BatchId, Coverage, Source};
use crate::window::InvalidQuery;

/// A fact that can't be added to anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("not a delta or a frontier: {0}")]
    Undecodable(String),
    #[error("a delta of {service} at {pane}: {error}")]
    BadHistogram { service: String, pane: i64, error: streamgauge_stats::HistogramError },
    #[error("a delta of {service} at {pane}: series_hash {hash:?} is not a hexadecimal number of 64 bits")]
    BadSeriesHash { service: String, pane: i64, hash: String },
    #[error("a delta of {service}: pane {pane} of {pane_us} us doesn't lie on the grid")]
    BadPane { service: String, pane: i64, pane_us: i64 },
}

/// Leaves out what will not be asked for, so that it takes no memory. `None`: everything.
#[derive(Clone, Debug, Default)]
pub struct Only {
    pub sli: Option<String>,
    pub service: Option<String>,
    pub from: Option<EventTime>,
    pub to: Option<EventTime>,
}

impl Only {
    /// Undeclared services share a bound, so all of them are needed to know whom it keeps.
    fn takes(&self, delta: &Delta) -> bool {
        self.sli.as_ref().is_none_or(|sli| *sli == delta.sli)
            && self.service.as_ref().is_none_or(|service| *service == delta.service || delta.group.is_empty())
            && self.from.is_none_or(|from| delta.pane.plus_us(delta.pane_us) > from)
            && self.to.is_none_or(|to| delta.pane < to)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Fold {
    only: Only,
    coverage: Coverage,
    panes: BTreeMap<PaneSpan, BTreeMap<Group, GroupCells>>,
    names: BTreeSet<Arc<Series>>,
    /// The topics that deltas of an SLI come from, whatever [`Only`] leaves out of them.
    topics: BTreeMap<String, BTreeSet<String>>,
    /// By topic and pane, the definitions that counted it; only where one SLI is asked for.
    made_by: BTreeMap<String, BTreeMap<EventTime, BTreeSet<Arc<str>>>>,
    bundles: BTreeSet<Arc<str>>,
    /// From the first pane of each topic to the end of the last, whatever [`Only`] leaves out of them.
    spans: BTreeMap<String, (EventTime, EventTime)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PaneSpan {
    pub start: EventTime,
    pub length_us: i64,
}

impl PaneSpan {
    pub fn check_length(self, length_us: i64) -> Result<(), InvalidQuery> {
        let pane_us = self.length_us;
        if length_us <= 0 {
            return Err(InvalidQuery::NoLength(length_us));
        }
        if length_us % pane_us != 0 {
            let next_us = (length_us / pane_us + 1) * pane_us;
            return Err(InvalidQuery::NotAMultiple { length_us, pane_us, next_us });
        }
        Ok(())
    }
}

/// Whose bound series count in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub tenant: String,
    pub group: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub service: String,
    pub sli: String,
    pub labels: BTreeMap<String, String>,
}

/// Where a value became declared, the partitions of one pane may have counted a series with and without the bound. Each
/// part keeps a cell of its own, so that what is folded away does not depend on which came first.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupCells {
    /// Series that the bound never touches, and those that take what it folds away.
    kept: BTreeMap<Arc<Series>, Cell>,
    /// Series that the bound applies to, by SLI: the last is the next to go.
    bounded: BTreeMap<String, BTreeMap<Rank, Cell>>,
    /// The smallest K that any delta names: only so many are complete.
    series_max: Option<u32>,
}

/// Ties between hashes are broken by name, in the order that phase one uses.
#[derive(Clone, Debug)]
struct Rank {
    hash: u64,
    series: Arc<Series>,
    /// Names of all labels of the SLI, those that this series lacks among them.
    names: Vec<String>,
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (&self.series, &other.series);
        let by_name = (&mine.service, &mine.labels, &self.names).cmp(&(&theirs.service, &theirs.labels, &other.names));
        self.hash.cmp(&other.hash).then(by_name)
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rank {}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Fold {
    pub fn new(only: Only) -> Self {
        Self { only, ..Self::default() }
    }

    /// One record of `sli.windows`, in the order of its output partition.
    pub fn observe(&mut self, output_partition: i32, value: &[u8]) -> Result<(), Refused> {
        let fact = Fact::from_json(value).map_err(|error| Refused::Undecodable(error.to_string()))?;
        self.add(output_partition, &fact)
    }

    pub fn add(&mut self, output_partition: i32, fact: &Fact) -> Result<(), Refused> {
        match fact {
            Fact::Delta(delta) => self.add_delta(output_partition, delta),
            Fact::Frontier(frontier) => {
                self.coverage.frontier(output_partition, frontier);
                Ok(())
            }
        }
    }

    fn add_delta(&mut self, output_partition: i32, delta: &Delta) -> Result<(), Refused> {
        let source = Source { topic: delta.source.clone(), partition: delta.partition };
        let id = BatchId::of(delta.generation, delta.batch);
        self.see_origin(delta);
        if self.coverage.is_repeat(output_partition, &source, id) || !self.only.takes(delta) {
            return Ok(());
        }
        let (service, pane, pane_us) = (&delta.service, delta.pane.0, delta.pane_us);
        if pane_us <= 0 || pane.rem_euclid(pane_us) != 0 {
            return Err(Refused::BadPane { service: service.clone(), pane, pane_us });
        }
        let cell = Cell::of(delta).map_err(|error| Refused::BadHistogram { service: service.clone(), pane, error })?;
        let hash = match &delta.series_hash {
            None => None,
            Some(hash) => Some(u64::from_str_radix(hash, 16).map_err(|_| Refused::BadSeriesHash {
                service: service.clone(),
                pane,
                hash: hash.clone(),
            })?),
        };
        let series = self.intern(Series {
            service: delta.service.clone(),
            sli: delta.sli.clone(),
            labels: delta.labels.clone(),
        });
        let span = PaneSpan { start: delta.pane, length_us: pane_us };
        let group = Group { tenant: delta.tenant.clone(), group: delta.group.clone() };
        let cells = self.panes.entry(span).or_default().entry(group.clone()).or_default();
        let (Some(hash), Some(series_max)) = (hash, delta.series_max) else {
            cells.keep(series, cell);
            return Ok(());
        };
        cells.series_max = Some(cells.series_max.map_or(series_max, |known| known.min(series_max)));
        let mut names: Vec<String> = delta.labels.keys().chain(&delta.absent).cloned().collect();
        names.sort_unstable();
        match cells.bounded.entry(delta.sli.clone()).or_default().entry(Rank { hash, series, names }) {
            Entry::Occupied(mut mine) => mine.get_mut().add(&cell),
            Entry::Vacant(place) => drop(place.insert(cell)),
        }
        cells.keep_within_bound(&group);
        Ok(())
    }

    fn intern(&mut self, series: Series) -> Arc<Series> {
        if let Some(known) = self.names.get(&series) {
            return Arc::clone(known);
        }
        let new = Arc::new(series);
        self.names.insert(Arc::clone(&new));
        new
    }

    fn see_origin(&mut self, delta: &Delta) {
        if !self.topics.get(&delta.sli).is_some_and(|topics| topics.contains(&delta.source)) {
            self.topics.entry(delta.sli.clone()).or_default().insert(delta.source.clone());
        }
        if self.only.sli.is_some() {
            let bundle = match self.bundles.get(delta.bundle.as_str()) {
                Some(known) => Arc::clone(known),
                None => {
                    let new: Arc<str> = delta.bundle.as_str().into();
                    self.bundles.insert(Arc::clone(&new));
                    new
                }
            };
            match self.made_by.get_mut(&delta.source) {
                Some(panes) => drop(panes.entry(delta.pane).or_default().insert(bundle)),
                None => {
                    let panes = BTreeMap::from([(delta.pane, BTreeSet::from([bundle]))]);
                    self.made_by.insert(delta.source.clone(), panes);
                }
            }
        }
        let (start, end) = (delta.pane, EventTime(delta.pane.0.saturating_add(delta.pane_us)));
        match self.spans.get_mut(&delta.source) {
            Some(span) => *span = (span.0.min(start), span.1.max(end)),
            None => drop(self.spans.insert(delta.source.clone(), (start, end))),
        }
    }

    /// From the first pane of a topic to the end of the last.
    pub fn span_of(&self, topic: &str) -> Option<(EventTime, EventTime)> {
        self.spans.get(topic).copied()
    }

    /// The topics that an SLI was counted from.
    pub fn topics_of(&self, sli: &str) -> impl Iterator<Item = &str> {
        self.topics.get(sli).into_iter().flatten().map(String::as_str)
    }

    /// The panes of a topic in which anything was counted, each with the hashes of the definitions that counted it. Empty
    /// unless one SLI is asked for.
    pub(crate) fn made_by(&self, topic: &str) -> impl Iterator<Item = (EventTime, &BTreeSet<Arc<str>>)> {
        self.made_by.get(topic).into_iter().flatten().map(|(pane, bundles)| (*pane, bundles))
    }

    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Whether windows of this length hold whole panes.
    pub fn check_length(&self, length_us: i64) -> Result<(), InvalidQuery> {
        self.panes.keys().try_for_each(|span| span.check_length(length_us))
    }

    /// What [`Only`] leaves out, `panes` don't hold.
    pub fn only(&self) -> &Only {
        &self.only
    }

    pub(crate) fn raw(&self) -> &BTreeMap<PaneSpan, BTreeMap<Group, GroupCells>> {
        &self.panes
    }

    /// Every pane of every series, ordered by pane, tenant, group, service, SLI, labels.
    pub fn panes(&self) -> impl Iterator<Item = FoldedPane> {
        self.panes.iter().flat_map(|(span, groups)| {
            groups.iter().flat_map(move |(group, cells)| {
                let mut whole: BTreeMap<&Series, Cow<'_, Cell>> = BTreeMap::new();
                for (series, cell) in cells.parts() {
                    match whole.entry(series) {
                        Entry::Occupied(mut mine) => mine.get_mut().to_mut().add(cell),
                        Entry::Vacant(place) => drop(place.insert(Cow::Borrowed(cell))),
                    }
                }
                whole.into_iter().map(move |(series, cell)| FoldedPane::new(*span, group, series, &cell))
            })
        })
    }
}

impl GroupCells {
    /// Every series, some of them in two parts.
    pub fn parts(&self) -> impl Iterator<Item = (&Series, &Cell)> {
        let bounded = self.bounded.values().flatten().map(|(rank, cell)| (rank.series.as_ref(), cell));
        self.kept.iter().map(|(series, cell)| (series.as_ref(), cell)).chain(bounded)
    }

    fn keep(&mut self, series: Arc<Series>, cell: Cell) {
        match self.kept.entry(series) {
            Entry::Occupied(mut mine) => mine.get_mut().add(&cell),
            Entry::Vacant(place) => drop(place.insert(cell)),
        }
    }

    fn keep_within_bound(&mut self, group: &Group) {
        let max = self.series_max.map_or(usize::MAX, |max| max as usize);
        let mut evicted = Vec::new();
        for bounded in self.bounded.values_mut() {
            while bounded.len() > max {
                evicted.extend(bounded.pop_last());
            }
        }
        for (rank, cell) in evicted {
            self.keep(Arc::new(other_of(group, &rank)), cell);
        }
    }

    /// SLIs of which the bound has folded something away, here or in phase one. A series that carries `__other__` in one
    /// label only was called so by whoever wrote its events.
    pub fn folded(&self) -> BTreeSet<&str> {
        let is_other = |series: &&Arc<Series>| {
            let labels = &series.labels;
            series.service == OTHER || (!labels.is_empty() && labels.values().all(|value| value == OTHER))
        };
        self.kept.keys().filter(is_other).map(|series| series.sli.as_str()).collect()
    }
}

/// The series that takes what the bound does not keep: of its service, or of `__other__` for undeclared services.
fn other_of(group: &Group, evicted: &Rank) -> Series {
    let service = if group.group.is_empty() { OTHER } else { &group.group };
    let labels = evicted.names.iter().map(|name| (name.clone(), OTHER.to_owned())).collect();
    Series { service: service.to_owned(), sli: evicted.series.sli.clone(), labels }
}

/// One series in one pane, in the form in which runs are compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoldedPane {
    pub tenant: String,
    pub service: String,
    pub sli: String,
    pub labels: BTreeMap<String, String>,
    pub group: String,
    /// Start of the pane, microseconds since the epoch.
    pub pane: EventTime,
    pub pane_us: i64,
    pub n: u64,
    pub good: u64,
    pub failed: u64,
    pub unjudged: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub le: Vec<AtOrUnder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
    pub newest: Option<EventTime>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exemplars: Vec<String>,
}

impl FoldedPane {
    fn new(span: PaneSpan, group: &Group, series: &Series, cell: &Cell) -> Self {
        Self {
            tenant: group.tenant.clone(),
            service: series.service.clone(),
            sli: series.sli.clone(),
            labels: series.labels.clone(),
            group: group.group.clone(),
            pane: span.start,
            pane_us: span.length_us,
            n: cell.n,
            good: cell.good,
            failed: cell.failed,
            unjudged: cell.unjudged,
            le: cell.le(),
            latency: cell.latency(),
            values: cell.values.clone(),
            newest: cell.newest,
            exemplars: cell.exemplars(),
        }
    }

    /// One line, without its end.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a struct of strings and integers always has a JSON form")
    }
}
