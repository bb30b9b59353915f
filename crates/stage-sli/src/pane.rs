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
use crate::names::{Names, Number};
use crate::plan::{Compiled, Keeps, Plan, PlannedSli, Verdict};
use crate::series::{Labels, LabelsRef, Series, SeriesRef};

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

pub(crate) struct PaneCells {
    pub bundle: Arc<Compiled>,
    pub plan: Arc<Plan>,
    cells: Slab,
    /// Cells of the golden signals by the numbers of names, of one generation of these.
    known: Vec<Option<Known>>,
    generation: u64,
    services: Map<ServiceName, ServiceCells>,
    /// Bounded series of services that are not declared, by tenant: they share one bound.
    undeclared: BTreeMap<Box<str>, Kept>,
}

/// Services and labels, ordered by their hash: the last is the next to go.
type Kept = BTreeSet<(u64, Box<str>, Labels)>;

/// All cells of a pane.
#[derive(Default)]
struct Slab {
    cells: Vec<Cell>,
    free: Vec<usize>,
}

/// Where events of one name are counted.
#[derive(Clone, Copy)]
struct Known {
    cell: usize,
    /// The service has SLIs, which count them too.
    slis: bool,
}

impl Slab {
    const fn len(&self) -> usize {
        self.cells.len() - self.free.len()
    }

    fn add(&mut self, cell: Cell) -> usize {
        if let Some(index) = self.free.pop() {
            self.cells[index] = cell;
            return index;
        }
        self.cells.push(cell);
        self.cells.len() - 1
    }

    fn take(&mut self, index: usize) -> Cell {
        self.free.push(index);
        std::mem::take(&mut self.cells[index])
    }
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
    series: Map<Series, usize>,
    /// SLIs without labels, in the order in which the plan lists those of the service.
    single: Vec<Option<usize>>,
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
        Self {
            bundle,
            plan,
            cells: Slab::default(),
            known: Vec::new(),
            generation: 0,
            services: Map::default(),
            undeclared: BTreeMap::new(),
        }
    }

    pub const fn len(&self) -> usize {
        self.cells.len()
    }

    #[inline]
    pub fn fold(&mut self, event: &Event<'_>, offset: Offset, names: &mut Names) {
        let counting = Counting { event, offset };
        let golden = self.plan.golden;
        let [first, second] = golden.labels.map(|field| event.text(field));
        let number = names.number(&[event.text(TextField::Tenant), Some(event.service()), first, second]);
        let known = match self.known.get(number.index) {
            Some(Some(known)) if number.generation == self.generation => *known,
            _ => self.learn(event, number),
        };
        counting.add(&mut self.cells.cells[known.cell], golden.verdict(event), self.plan.keeps(0));
        if known.slis {
            self.count_slis(&counting);
        }
    }

    /// The cell for a name that this pane has not seen since it was numbered.
    #[cold]
    fn learn(&mut self, event: &Event<'_>, number: Number) -> Known {
        if self.generation != number.generation {
            self.generation = number.generation;
            self.known.clear();
        }
        let key = ServiceRef { tenant: event.tenant(), service: event.service() };
        let labels = self.plan.golden.labels.map(|field| event.text(field));
        let cell = self.golden(key, &labels);
        let known = Known { cell, slis: self.plan.slis_of(key.service).is_some_and(|slis| !slis.is_empty()) };
        if self.known.len() <= number.index {
            self.known.resize(number.index + 1, None);
        }
        self.known[number.index] = Some(known);
        known
    }

    fn golden(&mut self, key: ServiceRef<'_>, labels: LabelsRef<'_>) -> usize {
        let Self { bundle, plan, cells, known, services, .. } = self;
        let series = SeriesRef { sli: 0, labels };
        if let Some(cell) = services.get(&key).and_then(|service| service.series.get(&series)) {
            return *cell;
        }
        if plan.slis_of(key.service).is_none() {
            let plan = Arc::clone(plan);
            return self.admit_undeclared(key, labels, plan.keeps(0));
        }
        let service = services.entry(key.to_name()).or_default();
        let parts: Vec<Option<&str>> = [Some(key.service)].into_iter().chain(labels.iter().copied()).collect();
        let hash = bundle.settings.series_key.hash(&parts);
        let (cell, evicted) = service.admit(bundle, series, hash, plan.keeps(0), cells);
        if evicted {
            known.clear();
        }
        cell
    }

    fn count_slis(&mut self, counting: &Counting<'_, '_>) {
        let Self { bundle, plan, cells, services, .. } = self;
        let key = ServiceRef { tenant: counting.event.tenant(), service: counting.event.service() };
        if let Some(service) = services.get_mut(&key) {
            service.count_slis(bundle, plan, counting, cells);
        }
    }

    /// The cell of a series of a service that is not declared, and that has none yet.
    fn admit_undeclared(&mut self, key: ServiceRef<'_>, labels: LabelsRef<'_>, keeps: &Keeps) -> usize {
        let Self { bundle, cells, known, services, undeclared, .. } = self;
        let others = vec![Some(OTHER); labels.len()];
        let other = (ServiceRef { service: OTHER, ..key }, SeriesRef { sli: 0, labels: &others });
        if key.service == OTHER && labels == others {
            return cell_of(services, other.0, other.1, OTHER_IDENTITY, keeps, cells);
        }
        if !undeclared.contains_key(key.tenant) {
            undeclared.insert(key.tenant.into(), BTreeSet::new());
        }
        let kept = undeclared.get_mut(key.tenant).expect("inserted above");
        let parts: Vec<Option<&str>> = [Some(key.service)].into_iter().chain(labels.iter().copied()).collect();
        let new = (bundle.settings.series_key.hash(&parts), Box::from(key.service), Labels::of(labels));
        if kept.len() >= bundle.settings.series_max as usize {
            // What is kept only sinks from here on, so names that were sent to the others stay with them.
            if kept.last().is_none_or(|last| *last < new) {
                return cell_of(services, other.0, other.1, OTHER_IDENTITY, keeps, cells);
            }
            if let Some((_, service, labels)) = kept.pop_last() {
                let evicted = ServiceRef { service: &service, ..key };
                let refs = labels.refs();
                let of_service = services.get_mut(&evicted).expect("every bounded series has a service");
                let cell = of_service.series.remove(&SeriesRef { sli: 0, labels: &refs });
                let cell = cells.take(cell.expect("every bounded series has a cell"));
                // Whoever can choose names of services must not fill the memory with empty ones.
                if of_service.series.is_empty() {
                    services.remove(&evicted);
                }
                known.clear();
                let other = cell_of(services, other.0, other.1, OTHER_IDENTITY, keeps, cells);
                cells.cells[other].merge(&cell);
            }
        }
        let hash = new.0;
        kept.insert(new);
        cell_of(services, key, SeriesRef { sli: 0, labels }, hash, keeps, cells)
    }

    pub fn heap_bytes(&self) -> usize {
        self.cells().map(|cell| size_of::<(Series, Cell)>() + 64 + cell.heap_bytes()).sum()
    }

    pub fn digest(&self, start: EventTime) -> u64 {
        let bundle = self.bundle.number;
        self.cells().fold(0_u64, |sum, cell| sum.wrapping_add(cell.digest(start, bundle)))
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.services.values().flat_map(ServiceCells::cells).map(|cell| &self.cells.cells[*cell])
    }

    /// Every cell, ordered by tenant, service, SLI, labels.
    pub fn into_sorted(self) -> Vec<(Place, Cell)> {
        let Self { plan, mut cells, services, undeclared, .. } = self;
        let mut all = Vec::with_capacity(cells.len());
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
                all.push((place(series, is_bounded), cells.take(cell)));
            }
            for (index, cell) in indices.unwrap_or_default().iter().zip(single) {
                let series = Series { sli: index + 1, labels: Labels(Box::default()) };
                all.extend(cell.map(|cell| (place(series, false), cells.take(cell))));
            }
            drop(bounded);
        }
        drop(undeclared);
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

fn cell_of(
    services: &mut Map<ServiceName, ServiceCells>,
    key: ServiceRef<'_>,
    series: SeriesRef<'_>,
    identity: u64,
    keeps: &Keeps,
    cells: &mut Slab,
) -> usize {
    let service = if services.contains_key(&key) {
        services.get_mut(&key).expect("it is there")
    } else {
        services.entry(key.to_name()).or_default()
    };
    service.cell(series, identity, keeps, cells)
}

impl ServiceCells {
    fn cells(&self) -> impl Iterator<Item = &usize> {
        self.series.values().chain(self.single.iter().flatten())
    }

    fn cell(&mut self, series: SeriesRef<'_>, identity: u64, keeps: &Keeps, cells: &mut Slab) -> usize {
        *self.series.entry(series.to_series()).or_insert_with(|| cells.add(Cell::new(identity, keeps)))
    }

    /// Counts the event in every SLI of the service that it matches.
    #[inline]
    fn count_slis(&mut self, bundle: &Compiled, plan: &Plan, counting: &Counting<'_, '_>, cells: &mut Slab) {
        let event = counting.event;
        let indices = plan.slis_of(event.service()).unwrap_or_default();
        if self.single.len() < indices.len() {
            self.single.resize_with(indices.len(), || None);
        }
        for (single, index) in self.single.iter_mut().zip(indices) {
            let sli = &plan.slis[usize::from(*index)];
            let Some(verdict) = sli.judge(event) else { continue };
            if sli.labels.is_empty() {
                let cell = *single.get_or_insert_with(|| {
                    let parts = [Some(event.tenant()), Some(event.service()), Some(sli.name.as_str())];
                    cells.add(Cell::new(SeriesKey::default().hash(&parts), &sli.keeps))
                });
                counting.add(&mut cells.cells[cell], verdict, &sli.keeps);
            }
        }
        for index in indices {
            let sli = &plan.slis[usize::from(*index)];
            if !sli.labels.is_empty()
                && let Some(verdict) = sli.judge(event)
            {
                let cell = self.labelled(bundle, index + 1, sli, event, cells);
                counting.add(&mut cells.cells[cell], verdict, &sli.keeps);
            }
        }
    }

    fn labelled(
        &mut self,
        bundle: &Compiled,
        sli: u16,
        planned: &PlannedSli,
        event: &Event<'_>,
        cells: &mut Slab,
    ) -> usize {
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
        if let Some(cell) = self.series.get(&series) {
            return *cell;
        }
        let parts: Vec<Option<&str>> =
            [Some(event.service()), Some(planned.name.as_str())].into_iter().chain(labels.iter().copied()).collect();
        let hash = bundle.settings.series_key.hash(&parts);
        if planned.is_pinned(&labels) {
            return self.cell(series, hash, &planned.keeps, cells);
        }
        self.admit(bundle, series, hash, &planned.keeps, cells).0
    }

    /// The cell of a series that the service does not have yet: its own if it is among the K smallest, else `__other__`.
    /// And whether another one had to go for it.
    fn admit(
        &mut self,
        bundle: &Compiled,
        series: SeriesRef<'_>,
        hash: u64,
        keeps: &Keeps,
        cells: &mut Slab,
    ) -> (usize, bool) {
        let others = vec![Some(OTHER); series.labels.len()];
        let other = SeriesRef { labels: &others, ..series };
        if series.labels == others {
            return (self.cell(other, OTHER_IDENTITY, keeps, cells), false);
        }
        let kept = self.bounded.entry(series.sli).or_default();
        let new = (hash, Labels::of(series.labels));
        if kept.len() >= bundle.settings.series_max as usize {
            if kept.last().is_none_or(|last| *last < new) {
                return (self.cell(other, OTHER_IDENTITY, keeps, cells), false);
            }
            if let Some((_, labels)) = kept.pop_last() {
                let refs = labels.refs();
                let evicted = self.series.remove(&SeriesRef { labels: &refs, ..series });
                let evicted = cells.take(evicted.expect("every bounded series has a cell"));
                kept.insert(new);
                let other = self.cell(other, OTHER_IDENTITY, keeps, cells);
                cells.cells[other].merge(&evicted);
                return (self.cell(series, hash, keeps, cells), true);
            }
        }
        kept.insert(new);
        (self.cell(series, hash, keeps, cells), false)
    }
}
