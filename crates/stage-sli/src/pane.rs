//! The cells of one pane: services, and in each its series, under the bound.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use streamgauge_definitions::{Label, SeriesKey};
use streamgauge_events::facts::OTHER;
use streamgauge_events::{Event, EventTime, Offset, TextField};

use crate::cell::Cell;
use crate::cells::is_other;
use crate::plan::{Compiled, Keeps, Plan, PlannedSli, Verdict};
use crate::series::{Labels, LabelsRef, Series, SeriesRef};

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

pub(crate) struct PaneCells {
    pub bundle: Arc<Compiled>,
    pub plan: Arc<Plan>,
    services: Map<ServiceName, ServiceCells>,
    /// Bounded series of services that are not declared, by tenant: they share one bound.
    undeclared: BTreeMap<Box<str>, BTreeSet<(u64, Box<str>, Labels)>>,
    len: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ServiceName {
    tenant: Box<str>,
    service: Box<str>,
}

#[derive(Clone, Copy, Hash)]
struct ServiceRef<'a> {
    tenant: &'a str,
    service: &'a str,
}

impl Equivalent<ServiceName> for ServiceRef<'_> {
    fn equivalent(&self, key: &ServiceName) -> bool {
        self.service == &*key.service && self.tenant == &*key.tenant
    }
}

impl ServiceRef<'_> {
    fn to_name(self) -> ServiceName {
        ServiceName { tenant: self.tenant.into(), service: self.service.into() }
    }
}

#[derive(Default)]
struct ServiceCells {
    series: Map<Series, Cell>,
    /// SLIs without labels, in the order in which the plan lists those of the service.
    single: Vec<Option<Cell>>,
    /// Bounded series of a declared service, by SLI, ordered by their hash: the last is the next to go.
    bounded: BTreeMap<u16, BTreeSet<(u64, Labels)>>,
}

/// Where a cell stands, when a pane is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub tenant: Box<str>,
    pub service: Box<str>,
    pub series: Series,
    /// The bound of series applies to it.
    pub bounded: bool,
}

/// "other", for the digest alone.
const OTHER_IDENTITY: u64 = 0x6f_7468_6572;

/// What is counted of one event.
struct Counting<'c, 'e> {
    event: &'c Event<'e>,
    offset: Offset,
}

impl Counting<'_, '_> {
    #[inline]
    fn add(&self, cell: &mut Cell, verdict: Verdict, keeps: &Keeps) {
        cell.add(self.event, self.offset, verdict, keeps);
        if verdict.is_bad()
            && let Some(trace_id) = self.event.text(TextField::TraceId)
        {
            // By the built-in key, so that readers agree on the smallest: nothing is gained by choosing trace ids.
            cell.add_exemplar(SeriesKey::default().hash(&[Some(trace_id)]), trace_id);
        }
    }
}

impl PaneCells {
    pub fn new(bundle: Arc<Compiled>, plan: Arc<Plan>) -> Self {
        Self { bundle, plan, services: Map::default(), undeclared: BTreeMap::new(), len: 0 }
    }

    pub const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn fold(&mut self, event: &Event<'_>, offset: Offset) {
        let counting = Counting { event, offset };
        let key = ServiceRef { tenant: event.tenant(), service: event.service() };
        let Self { bundle, plan, services, len, .. } = self;
        let golden = plan.golden;
        let labels = golden.labels.map(|field| event.text(field));
        let verdict = golden.verdict(event);
        if let Some(cells) = services.get_mut(&key)
            && let Some(cell) = cells.series.get_mut(&SeriesRef { sli: 0, labels: &labels })
        {
            counting.add(cell, verdict, plan.keeps(0));
            cells.count_slis(bundle, plan, &counting, len);
            return;
        }
        if plan.slis_of(key.service).is_none() {
            let plan = Arc::clone(plan);
            counting.add(self.admit_undeclared(key, &labels), verdict, plan.keeps(0));
            return;
        }
        let cells = services.entry(key.to_name()).or_default();
        let series = SeriesRef { sli: 0, labels: &labels };
        let hash = bundle.settings.series_key.hash(&[Some(key.service), labels[0], labels[1]]);
        counting.add(cells.admit(bundle, series, hash, plan.keeps(0), len), verdict, plan.keeps(0));
        cells.count_slis(bundle, plan, &counting, len);
    }

    /// The cell of a series of a service that is not declared, and that has none yet.
    fn admit_undeclared(&mut self, key: ServiceRef<'_>, labels: LabelsRef<'_>) -> &mut Cell {
        let Self { bundle, plan, services, undeclared, len } = self;
        let keeps = plan.keeps(0);
        let others = vec![Some(OTHER); labels.len()];
        let other = (ServiceRef { service: OTHER, ..key }, SeriesRef { sli: 0, labels: &others });
        if key.service == OTHER && labels == others {
            return cell_of(services, other.0, other.1, OTHER_IDENTITY, keeps, len);
        }
        if !undeclared.contains_key(key.tenant) {
            undeclared.insert(key.tenant.into(), BTreeSet::new());
        }
        let kept = undeclared.get_mut(key.tenant).expect("inserted above");
        let parts: Vec<Option<&str>> = [Some(key.service)].into_iter().chain(labels.iter().copied()).collect();
        let new = (bundle.settings.series_key.hash(&parts), Box::from(key.service), Labels::of(labels));
        if kept.len() >= bundle.settings.series_max as usize {
            if kept.last().is_none_or(|last| *last < new) {
                return cell_of(services, other.0, other.1, OTHER_IDENTITY, keeps, len);
            }
            if let Some((_, service, labels)) = kept.pop_last() {
                let evicted = ServiceRef { service: &service, ..key };
                let refs = labels.refs();
                let cells = services.get_mut(&evicted).expect("every bounded series has a service");
                let cell = cells.series.remove(&SeriesRef { sli: 0, labels: &refs });
                let cell = cell.expect("every bounded series has a cell");
                // Whoever can choose names of services must not fill the memory with empty ones.
                if cells.series.is_empty() {
                    services.remove(&evicted);
                }
                *len -= 1;
                cell_of(services, other.0, other.1, OTHER_IDENTITY, keeps, len).merge(&cell);
            }
        }
        let hash = new.0;
        kept.insert(new);
        cell_of(services, key, SeriesRef { sli: 0, labels }, hash, keeps, len)
    }

    pub fn heap_bytes(&self) -> usize {
        let cells = self.services.values().flat_map(ServiceCells::cells);
        cells.map(|cell| size_of::<(Series, Cell)>() + 64 + cell.heap_bytes()).sum()
    }

    pub fn digest(&self, start: EventTime) -> u64 {
        let bundle = self.bundle.number;
        let cells = self.services.values().flat_map(ServiceCells::cells);
        cells.fold(0_u64, |sum, cell| sum.wrapping_add(cell.digest(start, bundle)))
    }

    /// Every cell, ordered by tenant, service, SLI, labels.
    pub fn into_sorted(self) -> Vec<(Place, Cell)> {
        let Self { plan, services, undeclared, .. } = self;
        let mut all = Vec::with_capacity(self.len);
        for (ServiceName { tenant, service }, ServiceCells { series, single, bounded }) in services {
            let place =
                |series: Series, bounded| Place { tenant: tenant.clone(), service: service.clone(), series, bounded };
            let indices = plan.slis_of(&service);
            for (series, cell) in series {
                let sli = usize::from(series.sli).checked_sub(1).map(|index| &plan.slis[index]);
                let is_bounded = match indices {
                    None => !(is_other(&series.labels.0) && &*service == OTHER),
                    Some(_) => {
                        !is_other(&series.labels.0) && !sli.is_some_and(|sli| sli.is_pinned(&series.labels.refs()))
                    }
                };
                all.push((place(series, is_bounded), cell));
            }
            for (index, cell) in indices.unwrap_or_default().iter().zip(single) {
                let series = Series { sli: index + 1, labels: Labels(Box::default()) };
                all.extend(cell.map(|cell| (place(series, false), cell)));
            }
            drop(bounded);
        }
        drop(undeclared);
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

fn cell_of<'s>(
    services: &'s mut Map<ServiceName, ServiceCells>,
    key: ServiceRef<'_>,
    series: SeriesRef<'_>,
    identity: u64,
    keeps: &Keeps,
    len: &mut usize,
) -> &'s mut Cell {
    let cells = if services.contains_key(&key) {
        services.get_mut(&key).expect("it is there")
    } else {
        services.entry(key.to_name()).or_default()
    };
    cells.cell(series, identity, keeps, len)
}

impl ServiceCells {
    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.series.values().chain(self.single.iter().flatten())
    }

    fn cell(&mut self, series: SeriesRef<'_>, identity: u64, keeps: &Keeps, len: &mut usize) -> &mut Cell {
        self.series.entry(series.to_series()).or_insert_with(|| {
            *len += 1;
            Cell::new(identity, keeps)
        })
    }

    /// Counts the event in every SLI of the service that it matches.
    #[inline]
    fn count_slis(&mut self, bundle: &Compiled, plan: &Plan, counting: &Counting<'_, '_>, len: &mut usize) {
        let event = counting.event;
        let indices = plan.slis_of(event.service()).unwrap_or_default();
        if self.single.len() < indices.len() {
            self.single.resize_with(indices.len(), || None);
        }
        for (single, index) in self.single.iter_mut().zip(indices) {
            let sli = &plan.slis[usize::from(*index)];
            let Some(verdict) = sli.judge(event) else { continue };
            if sli.labels.is_empty() {
                let cell = single.get_or_insert_with(|| {
                    *len += 1;
                    let parts = [Some(event.tenant()), Some(event.service()), Some(sli.name.as_str())];
                    Cell::new(SeriesKey::default().hash(&parts), &sli.keeps)
                });
                counting.add(cell, verdict, &sli.keeps);
            }
        }
        for index in indices {
            let sli = &plan.slis[usize::from(*index)];
            if !sli.labels.is_empty()
                && let Some(verdict) = sli.judge(event)
            {
                let cell = self.labelled(bundle, index + 1, sli, event, len);
                counting.add(cell, verdict, &sli.keeps);
            }
        }
    }

    fn labelled(
        &mut self,
        bundle: &Compiled,
        sli: u16,
        planned: &PlannedSli,
        event: &Event<'_>,
        len: &mut usize,
    ) -> &mut Cell {
        let values: Vec<Option<Cow<'_, str>>> = planned
            .labels
            .iter()
            .map(|(label, _)| match label {
                Label::Text(field) => event.text(*field).map(Cow::Borrowed),
                Label::Attribute(name) => event.attributes.get(name),
            })
            .collect();
        let labels: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let series = SeriesRef { sli, labels: &labels };
        if self.series.contains_key(&series) {
            return self.series.get_mut(&series).expect("it is there");
        }
        let parts: Vec<Option<&str>> =
            [Some(event.service()), Some(planned.name.as_str())].into_iter().chain(labels.iter().copied()).collect();
        let hash = bundle.settings.series_key.hash(&parts);
        if planned.is_pinned(&labels) {
            return self.cell(series, hash, &planned.keeps, len);
        }
        self.admit(bundle, series, hash, &planned.keeps, len)
    }

    /// The cell of a series that the service does not have yet: its own if it is among the K smallest, else `__other__`.
    fn admit(
        &mut self,
        bundle: &Compiled,
        series: SeriesRef<'_>,
        hash: u64,
        keeps: &Keeps,
        len: &mut usize,
    ) -> &mut Cell {
        let others = vec![Some(OTHER); series.labels.len()];
        let other = SeriesRef { labels: &others, ..series };
        if series.labels == others {
            return self.cell(other, OTHER_IDENTITY, keeps, len);
        }
        let kept = self.bounded.entry(series.sli).or_default();
        let new = (hash, Labels::of(series.labels));
        if kept.len() >= bundle.settings.series_max as usize {
            if kept.last().is_none_or(|last| *last < new) {
                return self.cell(other, OTHER_IDENTITY, keeps, len);
            }
            if let Some((_, labels)) = kept.pop_last() {
                let refs = labels.refs();
                let evicted = self.series.remove(&SeriesRef { labels: &refs, ..series });
                let evicted = evicted.expect("every bounded series has a cell");
                kept.insert(new);
                *len -= 1;
                self.cell(other, OTHER_IDENTITY, keeps, len).merge(&evicted);
                return self.cell(series, hash, keeps, len);
            }
        }
        kept.insert(new);
        self.cell(series, hash, keeps, len)
    }
}
