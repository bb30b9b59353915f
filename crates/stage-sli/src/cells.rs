//! The live panes of one input partition.
//!
//! The bound of series keeps, per pane and group, the K series with the smallest keyed hashes and folds the rest into
//! `__other__`. Whoever is among the K smallest of all is never evicted on the way, so its numbers are complete, and
//! what is kept is a function of the set of records, not of their order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use streamgauge_events::facts::{FactType, OTHER};
use streamgauge_events::{DeadLetter, Delta, EventTime, Reason, Rejection, Request, topics};
use streamgauge_stage::{Activation, BatchHead, Cells, Outbox, Output, Placement};

use crate::GOLDEN;
use crate::bundle::{Bundles, Compiled, CompiledSli, Judge, Verdict};
use crate::cell::Cell;

pub struct SliCells {
    /// Every bundle that this worker knows.
    bundles: Bundles,
    /// Which of them applies from which pane on, ascending.
    active: Vec<(EventTime, Arc<Compiled>)>,
    panes: BTreeMap<EventTime, PaneCells>,
    live: usize,
}

/// Bounded series by tenant and group, ordered by their hash: the last is the next to go.
type Bounded = BTreeMap<Box<str>, BTreeMap<Box<str>, BTreeSet<(u64, Series)>>>;

struct PaneCells {
    bundle: Arc<Compiled>,
    series: HashMap<Series, Cell, foldhash::fast::FixedState>,
    bounded: Bounded,
}

/// Names one cell of a pane. The order is that of the deltas in a batch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Series {
    tenant: Box<str>,
    service: Box<str>,
    /// 0: the golden signals; from 1 on: the SLIs of the bundle.
    sli: u16,
    route: Option<Box<str>>,
    version: Option<Box<str>>,
}

/// The same, borrowed from a request.
#[derive(Clone, Copy, Hash)]
struct SeriesRef<'a> {
    tenant: &'a str,
    service: &'a str,
    sli: u16,
    route: Option<&'a str>,
    version: Option<&'a str>,
}

impl Equivalent<Series> for SeriesRef<'_> {
    fn equivalent(&self, key: &Series) -> bool {
        self.sli == key.sli
            && self.service == &*key.service
            && self.route == key.route.as_deref()
            && self.version == key.version.as_deref()
            && self.tenant == &*key.tenant
    }
}

impl SeriesRef<'_> {
    fn to_series(self) -> Series {
        Series {
            tenant: self.tenant.into(),
            service: self.service.into(),
            sli: self.sli,
            route: self.route.map(Into::into),
            version: self.version.map(Into::into),
        }
    }
}

impl SliCells {
    pub(crate) fn new(bundles: Bundles) -> Self {
        Self { bundles, active: Vec::new(), panes: BTreeMap::new(), live: 0 }
    }

    /// Heap bytes of all live cells, estimated from their parts.
    pub fn heap_bytes(&self) -> usize {
        let cells = self.panes.values().flat_map(|pane| pane.series.values());
        cells.map(|cell| size_of::<(Series, Cell)>() + 64 + cell.heap_bytes()).sum()
    }
}

impl Cells for SliCells {
    type Event<'a> = Request<'a>;

    #[inline]
    fn decode<'a>(&self, value: &'a [u8]) -> Result<(EventTime, Request<'a>), Rejection> {
        let request = Request::from_json(value)?;
        Ok((request.ts, request))
    }

    fn fold(&mut self, pane: EventTime, request: Request<'_>) {
        let Self { active, panes, live, .. } = self;
        let cells = panes.entry(pane).or_insert_with(|| {
            let applies = active.iter().rev().find(|(start, _)| *start <= pane).or(active.first());
            let (_, bundle) = applies.expect("a ledger activates its definitions before it folds");
            PaneCells { bundle: Arc::clone(bundle), series: HashMap::default(), bounded: BTreeMap::new() }
        });
        let before = cells.series.len();
        cells.fold(&request);
        *live = *live + cells.series.len() - before;
    }

    fn live(&self) -> usize {
        self.live
    }

    fn digest(&self) -> u64 {
        let of_pane = |(start, pane): (&EventTime, &PaneCells)| {
            let (start, bundle) = (*start, pane.bundle.number);
            pane.series.values().fold(0_u64, |sum, cell| sum.wrapping_add(cell.digest(start, bundle)))
        };
        self.panes.iter().map(of_pane).fold(0, u64::wrapping_add)
    }

    fn cut(&mut self, pane: EventTime, head: &BatchHead<'_>, out: &mut Outbox) {
        let Some(cells) = self.panes.remove(&pane) else { return };
        self.live -= cells.series.len();
        let PaneCells { bundle, series, .. } = cells;
        let mut series: Vec<(Series, Cell)> = series.into_iter().collect();
        series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (series, cell) in &series {
            let delta = delta(pane, head, &bundle, series, cell);
            let output = Output {
                topic: topics::SLI_WINDOWS,
                key: delta.key(),
                placement: Placement::ByKey,
                value: delta.to_json(),
            };
            out.push_fact(output, || too_large(&delta));
        }
    }

    fn forget(&mut self, pane: EventTime) {
        if let Some(cells) = self.panes.remove(&pane) {
            self.live -= cells.series.len();
        }
    }

    fn activate(&mut self, activations: &[Activation]) -> Result<(), String> {
        let resolve = |activation: &Activation| match self.bundles.get(&activation.hash) {
            Some(bundle) => Ok((activation.start, Arc::clone(bundle))),
            None => Err(activation.hash.clone()),
        };
        self.active = activations.iter().map(resolve).collect::<Result<_, _>>()?;
        Ok(())
    }
}

impl PaneCells {
    #[inline]
    fn fold(&mut self, request: &Request<'_>) {
        let key = SeriesRef {
            tenant: request.tenant.as_deref().unwrap_or_default(),
            service: &request.service,
            sli: 0,
            route: request.route.as_deref(),
            version: request.version.as_deref(),
        };
        let verdict = request.failed().map_or(Verdict::Unjudged, |failed| Verdict::of(!failed));
        let Self { bundle, series, bounded } = self;
        // By the built-in key, so that readers agree on the smallest: nothing is gained by choosing trace ids.
        let exemplar = match (request.failed(), &request.trace_id) {
            (Some(true), Some(trace_id)) => {
                Some((crate::SeriesKey::default().hash(&[Some(trace_id)]), trace_id.as_ref()))
            }
            _ => None,
        };
        let count = |cell: &mut Cell, verdict, with_latency| {
            cell.add(request, verdict, with_latency);
            if let Some((hash, trace_id)) = exemplar {
                cell.add_exemplar(hash, trace_id);
            }
        };
        match series.get_mut(&key) {
            Some(cell) => count(cell, verdict, true),
            None => count(admit(bundle, series, bounded, key), verdict, true),
        }
        for index in bundle.slis_of(key.service).unwrap_or_default() {
            let sli = &bundle.slis[usize::from(*index)];
            let Some(verdict) = sli.judge(request) else { continue };
            let key = SeriesRef { sli: index + 1, route: None, version: None, ..key };
            let with_latency = matches!(sli.good, Judge::Latency { .. });
            match series.get_mut(&key) {
                Some(cell) => count(cell, verdict, with_latency),
                None => count(series.entry(key.to_series()).or_insert(defined_cell(sli, &key)), verdict, with_latency),
            }
        }
    }
}

fn defined_cell(sli: &CompiledSli, key: &SeriesRef<'_>) -> Cell {
    let threshold_us = match sli.good {
        Judge::Latency { threshold_us, .. } => Some(threshold_us),
        Judge::When(_) => None,
    };
    let identity = crate::SeriesKey::default().hash(&[Some(key.tenant), Some(key.service), Some(&sli.name)]);
    Cell::new(identity, threshold_us)
}

/// The cell of a series that the pane does not have yet: its own if it is among the K smallest, else `__other__`.
fn admit<'s>(
    bundle: &Compiled,
    series: &'s mut HashMap<Series, Cell, foldhash::fast::FixedState>,
    bounded: &mut Bounded,
    key: SeriesRef<'_>,
) -> &'s mut Cell {
    let declared = bundle.slis_of(key.service).is_some();
    let group = if declared { key.service } else { "" };
    let other = SeriesRef {
        service: if declared { key.service } else { OTHER },
        route: Some(OTHER),
        version: Some(OTHER),
        ..key
    };
    if other.route == key.route && other.version == key.version && other.service == key.service {
        return series.entry(other.to_series()).or_insert(Cell::new(OTHER_IDENTITY, None));
    }
    let hash = identity(bundle, key.service, key.route, key.version);
    let kept = of_group(bounded, key.tenant, group);
    let full = kept.len() >= bundle.settings.series_max as usize;
    if full && kept.last().is_none_or(|(largest, last)| (*largest, last) < (hash, &key.to_series())) {
        return series.entry(other.to_series()).or_insert(Cell::new(OTHER_IDENTITY, None));
    }
    if full && let Some((_, evicted)) = kept.pop_last() {
        let cell = series.remove(&evicted).expect("every bounded series has a cell");
        series.entry(other.to_series()).or_insert(Cell::new(OTHER_IDENTITY, None)).merge(&cell);
    }
    let new = key.to_series();
    kept.insert((hash, new.clone()));
    series.entry(new).or_insert(Cell::new(hash, None))
}

/// "other", for the digest alone.
const OTHER_IDENTITY: u64 = 0x6f_7468_6572;

fn of_group<'b>(bounded: &'b mut Bounded, tenant: &str, group: &str) -> &'b mut BTreeSet<(u64, Series)> {
    if !bounded.contains_key(tenant) {
        bounded.insert(tenant.into(), BTreeMap::new());
    }
    let groups = bounded.get_mut(tenant).expect("inserted above");
    if !groups.contains_key(group) {
        groups.insert(group.into(), BTreeSet::new());
    }
    groups.get_mut(group).expect("inserted above")
}

fn identity(bundle: &Compiled, service: &str, route: Option<&str>, version: Option<&str>) -> u64 {
    bundle.settings.series_key.hash(&[Some(service), route, version])
}

fn delta(pane: EventTime, head: &BatchHead<'_>, bundle: &Compiled, series: &Series, cell: &Cell) -> Delta {
    let labels = [("route", &series.route), ("version", &series.version)];
    let labels = labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.as_ref()?.to_string())));
    let declared = bundle.slis_of(&series.service).is_some();
    let is_other = series.route.as_deref() == Some(OTHER) && series.version.as_deref() == Some(OTHER);
    let bounded = series.sli == 0 && !is_other;
    Delta {
        r#type: FactType::Delta,
        tenant: series.tenant.to_string(),
        service: series.service.to_string(),
        sli: match series.sli {
            0 => GOLDEN.to_owned(),
            index => bundle.slis[usize::from(index) - 1].name.clone(),
        },
        labels: labels.collect(),
        group: if declared { series.service.to_string() } else { String::new() },
        series_hash: bounded.then(|| format!("{:016x}", cell.identity)),
        series_max: bounded.then_some(bundle.settings.series_max),
        pane,
        pane_us: head.pane_us,
        source: head.source.to_owned(),
        partition: head.partition,
        generation: head.generation,
        batch: head.batch,
        bundle: bundle.hash.clone(),
        n: cell.n,
        good: cell.good,
        failed: cell.failed,
        unjudged: cell.unjudged,
        le: cell.le(),
        latency: cell.latency(),
        newest: cell.newest.unwrap_or(pane),
        exemplars: cell.exemplars(),
    }
}

/// Labels, histogram and exemplars of a delta are all bounded far below the bound of a record, so this is a last resort.
fn too_large(delta: &Delta) -> DeadLetter {
    let message = format!("a delta of {} {:?} would not fit into a record", delta.service, delta.labels);
    let origin = streamgauge_events::dead_letter::Origin {
        source: &delta.source,
        partition: delta.partition,
        offset: -1,
        timestamp: None,
        key: None,
        value: None,
    };
    DeadLetter::new(Rejection::new(Reason::OutputTooLarge, message), origin)
}
