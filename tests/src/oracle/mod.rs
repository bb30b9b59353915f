//! The truth in one pass: plain maps over the input records, by the definitions in the documentation.
//!
//! Shares no code with the stages, the contract or the statistics: JSON is read as a generic value and Avro by its
//! reference implementation, histogram counters come from a loop, and definitions are stated again as functions. Slow,
//! and simple enough to be checked by reading.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use apache_avro::Schema;
use siphasher::sip::SipHasher13;

pub mod definitions;
pub mod event;
mod totals;

use definitions::{Sli, Topic};
use event::Event;
pub use totals::{Last, Latency, Totals, Values};

pub const OTHER: &str = "__other__";

/// What one input partition held, in offset order, and which definitions applied, one after another.
pub struct Input {
    pub topic: &'static str,
    pub partition: i32,
    pub records: Vec<InputRecord>,
    pub definitions: Vec<Applied>,
}

/// Definitions by their number, for panes and for records from here on.
pub struct Applied {
    pub from_pane: i64,
    pub from_offset: i64,
    pub bundle: usize,
}

pub struct InputRecord {
    pub offset: i64,
    pub timestamp_us: i64,
    pub value: Option<Vec<u8>>,
}

pub struct Limits<'w> {
    pub pane_us: i64,
    pub disorder_us: i64,
    pub horizon_us: i64,
    pub skew_us: i64,
    pub series_max: usize,
    /// What stands before records of each writer schema, and the schema.
    pub writers: &'w [(Vec<u8>, Schema)],
}

/// Names a cell. In the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellName {
    pub pane: i64,
    /// Number of the definitions.
    pub bundle: usize,
    pub tenant: String,
    pub group: String,
    pub sli: String,
    pub service: String,
    /// By name.
    pub labels: BTreeMap<String, Option<String>>,
}

pub type Cells = BTreeMap<CellName, Totals>;

#[derive(Debug, Default)]
pub struct Truth {
    pub cells: Cells,
    /// Reason by topic, partition and offset.
    pub dead_letters: BTreeMap<(String, i32, i64), String>,
}

/// Everything that the outputs must add up to.
pub fn truth(inputs: &[Input], limits: &Limits<'_>) -> Truth {
    let mut truth = Truth::default();
    for input in inputs {
        let topic = definitions::topic(input.topic);
        let mut newest = i64::MIN / 2;
        for record in &input.records {
            match admit(input, record, newest, limits) {
                Err(reason) => {
                    let place = (input.topic.to_owned(), input.partition, record.offset);
                    truth.dead_letters.insert(place, reason.to_owned());
                }
                Ok(event) => {
                    newest = newest.max(event.ts);
                    count(&mut truth.cells, topic, &event, &Place::of(input, record, event.ts, limits));
                }
            }
        }
    }
    keep_smallest(&mut truth.cells, limits.series_max);
    truth
}

/// Where a record is counted, and by what.
struct Place {
    pane: i64,
    bundle: usize,
    offset: i64,
}

impl Place {
    fn of(input: &Input, record: &InputRecord, ts: i64, limits: &Limits<'_>) -> Self {
        let pane = ts - ts.rem_euclid(limits.pane_us);
        Self { pane, bundle: input.bundle_at(pane, record.offset), offset: record.offset }
    }
}

impl Input {
    fn bundle_at(&self, pane: i64, offset: i64) -> usize {
        let applies = |applied: &&Applied| applied.from_pane <= pane && applied.from_offset <= offset;
        let applied = self.definitions.iter().rev().find(applies).or(self.definitions.first());
        applied.map_or(0, |applied| applied.bundle)
    }
}

/// The event, or the reason why the record does not count.
fn admit(input: &Input, record: &InputRecord, newest: i64, limits: &Limits<'_>) -> Result<Event, &'static str> {
    let value = record.value.as_ref().ok_or("no_value")?;
    let topic = definitions::topic(input.topic);
    let event = if topic.avro { read_avro(input, record, newest, limits)? } else { Event::of_json(topic.kind, value)? };
    if event.ts - record.timestamp_us > limits.skew_us {
        return Err("future_timestamp");
    }
    if event.ts < newest - limits.disorder_us - limits.horizon_us {
        return Err("too_late");
    }
    Ok(event)
}

/// Schemas are known or not by the definitions of the record's time, if they were there when it was read; where the
/// record tells no time, or is too late, that of the newest event before it counts.
fn read_avro(input: &Input, record: &InputRecord, newest: i64, limits: &Limits<'_>) -> Result<Event, &'static str> {
    let value = record.value.as_deref().unwrap_or_default();
    let mut writers = limits.writers.iter().enumerate();
    let written = writers.find_map(|(number, (head, schema))| {
        let datum = value.strip_prefix(head.as_slice())?;
        Some((number, Event::of_avro(schema, datum)))
    });
    let (number, read) = written.ok_or("unknown_schema")?;
    let oldest = newest - limits.disorder_us - limits.horizon_us;
    let time = read.as_ref().map_or(newest, |event| if event.ts < oldest { newest } else { event.ts });
    let known = definitions::schemas(input.bundle_at(time - time.rem_euclid(limits.pane_us), record.offset));
    if known.contains(&number) { read } else { Err("unknown_schema") }
}

fn count(cells: &mut Cells, topic: &Topic, event: &Event, at: &Place) {
    let service = event.text("service").unwrap_or_default();
    let declared = definitions::services(at.bundle).contains(&service);
    let mut add = |sli: &Sli| {
        let Some(judged) = (sli.judge)(event) else { return };
        let labels = sli.labels.iter().map(|(name, _)| ((*name).to_owned(), event.label(name).map(str::to_owned)));
        let name = CellName {
            pane: at.pane,
            bundle: at.bundle,
            tenant: event.text("tenant").unwrap_or_default().to_owned(),
            group: if declared { service.to_owned() } else { String::new() },
            sli: sli.name.to_owned(),
            service: service.to_owned(),
            labels: labels.collect(),
        };
        cells.entry(name).or_default().add(event, at.offset, &judged, &sli.keeps);
    };
    add(&topic.golden);
    let slis = definitions::slis(at.bundle, topic.name);
    slis.iter().filter(|sli| sli.service == Some(service)).for_each(&mut add);
}

impl CellName {
    fn is_other(&self) -> bool {
        let all = self.labels.values().all(|label| label.as_deref() == Some(OTHER));
        all && !self.labels.is_empty() && (!self.group.is_empty() || self.service == OTHER)
    }

    /// Whether all its values are declared.
    fn is_pinned(&self) -> bool {
        let all = definitions::TOPICS.iter().flat_map(|topic| definitions::slis(self.bundle, topic.name));
        let Some(sli) = all.into_iter().find(|sli| sli.name == self.sli) else { return false };
        sli.labels.iter().all(|(name, values)| {
            let label = self.labels[*name].as_deref();
            label.is_some_and(|label| values.contains(&label))
        })
    }

    /// By which the bound chooses, where it applies.
    pub fn hash(&self) -> Option<u64> {
        if self.is_other() || self.is_pinned() {
            return None;
        }
        let is_golden = definitions::TOPICS.iter().any(|topic| topic.golden.name == self.sli);
        let sli = (!is_golden).then_some(Some(self.sli.as_str()));
        let labels = self.labels.values().map(Option::as_deref);
        let parts: Vec<Option<&str>> = [Some(self.service.as_str())].into_iter().chain(sli).chain(labels).collect();
        Some(keyed_hash(&parts))
    }
}

/// Per pane, tenant, group and SLI the series with the smallest hashes stay; the rest is one series.
pub fn keep_smallest(cells: &mut Cells, series_max: usize) {
    let mut groups = BTreeMap::<_, Vec<(u64, CellName)>>::new();
    for name in cells.keys() {
        let Some(hash) = name.hash() else { continue };
        let group = (name.pane, name.bundle, name.tenant.clone(), name.group.clone(), name.sli.clone());
        groups.entry(group).or_default().push((hash, name.clone()));
    }
    for mut series in groups.into_values() {
        series.sort();
        for (_, name) in series.into_iter().skip(series_max) {
            let totals = cells.remove(&name).expect("the name was read from the map");
            let service = if name.group.is_empty() { OTHER.to_owned() } else { name.service.clone() };
            let labels = name.labels.keys().map(|label| (label.clone(), Some(OTHER.to_owned())));
            let other = CellName { service, labels: labels.collect(), ..name };
            cells.entry(other).or_default().merge(&totals);
        }
    }
}

/// SipHash-1-3 under the default key, over parts with their lengths.
pub fn keyed_hash(parts: &[Option<&str>]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(b"streamgauge/1000");
    for part in parts {
        hasher.write(&part.map_or(u32::MAX, |text| text.len() as u32).to_le_bytes());
        hasher.write(part.unwrap_or_default().as_bytes());
    }
    hasher.finish()
}
