//! The truth in one pass: plain maps over the input records, by the definitions in the documentation.
//!
//! Shares no code with the stages, the contract or the statistics: JSON is read as a generic value, histogram counters
//! come from a loop, and definitions are stated again as closures. Slow, and simple enough to be checked by reading.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;

use serde_json::Value;
use siphasher::sip::SipHasher13;

pub const OTHER: &str = "__other__";
const GOLDEN: &str = "requests";
const HISTOGRAM_MAX_US: u64 = 3_600_000_000;

/// What one input partition held, in offset order, and which definitions applied from which pane on.
pub struct Input {
    pub partition: i32,
    pub records: Vec<InputRecord>,
    pub definitions: BTreeMap<i64, usize>,
}

pub struct InputRecord {
    pub offset: i64,
    pub timestamp_us: i64,
    pub value: Option<Vec<u8>>,
}

pub struct Limits {
    pub pane_us: i64,
    pub disorder_us: i64,
    pub horizon_us: i64,
    pub skew_us: i64,
    pub series_max: usize,
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
    pub route: Option<String>,
    pub version: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub n: u64,
    pub good: u64,
    pub failed: u64,
    pub unjudged: u64,
    /// Threshold, and successes at or under it.
    pub le: Option<(u64, u64)>,
    pub latency: Option<Latency>,
    pub newest: i64,
    pub exemplars: BTreeSet<(u64, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    pub sum_us: i128,
    pub min_us: u64,
    pub max_us: u64,
    pub overflow: u64,
    pub counters: BTreeMap<u64, u64>,
}

pub type Cells = BTreeMap<CellName, Totals>;

#[derive(Debug, Default)]
pub struct Truth {
    pub cells: Cells,
    /// Reason by partition and offset.
    pub dead_letters: BTreeMap<(i32, i64), String>,
}

/// Everything that the outputs must add up to.
pub fn truth(inputs: &[Input], limits: &Limits) -> Truth {
    let mut truth = Truth::default();
    for input in inputs {
        let mut newest = i64::MIN / 2;
        for record in &input.records {
            match admit(record, newest, limits) {
                Err(reason) => {
                    truth.dead_letters.insert((input.partition, record.offset), reason.to_owned());
                }
                Ok((ts, event)) => {
                    newest = newest.max(ts);
                    let pane = ts - ts.rem_euclid(limits.pane_us);
                    let bundle = input.definitions.range(..=pane).next_back().map_or(0, |(_, bundle)| *bundle);
                    count(&mut truth.cells, &event, Pane { pane, bundle, ts });
                }
            }
        }
    }
    keep_smallest(&mut truth.cells, limits.series_max);
    truth
}

/// The event time and the event, or the reason why it does not count.
fn admit(record: &InputRecord, newest: i64, limits: &Limits) -> Result<(i64, Value), &'static str> {
    let value = record.value.as_ref().ok_or("no_value")?;
    let text = std::str::from_utf8(value).map_err(|_| "undecodable")?;
    let event: Value = serde_json::from_str(text).map_err(|_| "undecodable")?;
    let members = event.as_object().ok_or("wrong_type")?;
    for (name, max) in [("ts", 253_402_300_799_999_999_i64), ("status", 999), ("latency_us", 1 << 45)] {
        match members.get(name) {
            None | Some(Value::Null) => {}
            Some(value @ Value::Number(_)) => match integer(value) {
                None => return Err("wrong_type"),
                Some(number) if number < 0 => return Err("negative"),
                Some(number) if number > max => return Err("out_of_range"),
                Some(_) => {}
            },
            Some(_) => return Err("wrong_type"),
        }
    }
    for name in ["service", "route", "version", "tenant", "trace_id"] {
        if members.get(name).is_some_and(|value| !value.is_null() && !value.is_string()) {
            return Err("wrong_type");
        }
    }
    let ts = members.get("ts").and_then(integer).ok_or("missing_field")?;
    match text_of(&event, "service") {
        None => return Err("missing_field"),
        Some("") => return Err("out_of_range"),
        Some(_) => {}
    }
    if ts - record.timestamp_us > limits.skew_us {
        return Err("future_timestamp");
    }
    if ts < newest - limits.disorder_us - limits.horizon_us {
        return Err("too_late");
    }
    Ok((ts, event))
}

/// Numbers of the generator are small enough for the float to be exact.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64))
}

fn text_of<'e>(event: &'e Value, name: &str) -> Option<&'e str> {
    event.get(name).and_then(Value::as_str)
}

fn failed(event: &Value) -> Option<bool> {
    let ok = event.get("ok").and_then(Value::as_bool);
    let status = event.get("status").and_then(integer);
    if ok.is_none() && status.is_none() { None } else { Some(ok == Some(false) || status >= Some(500)) }
}

struct Pane {
    pane: i64,
    bundle: usize,
    ts: i64,
}

fn count(cells: &mut Cells, event: &Value, at: Pane) {
    let service = text_of(event, "service").unwrap_or_default().to_owned();
    let declared = services(at.bundle).contains(&service.as_str());
    let golden = CellName {
        pane: at.pane,
        bundle: at.bundle,
        tenant: text_of(event, "tenant").unwrap_or_default().to_owned(),
        group: if declared { service.clone() } else { String::new() },
        sli: GOLDEN.to_owned(),
        service,
        route: text_of(event, "route").map(str::to_owned),
        version: text_of(event, "version").map(str::to_owned),
    };
    for (sli, judged) in judge(at.bundle, event) {
        let name = CellName { sli: sli.to_owned(), route: None, version: None, ..golden.clone() };
        cells.entry(name).or_default().add(event, at.ts, &judged);
    }
    let judged = Judged { good: failed(event).map(|failed| !failed), threshold_us: None, with_latency: true };
    cells.entry(golden).or_default().add(event, at.ts, &judged);
}

struct Judged {
    good: Option<bool>,
    threshold_us: Option<u64>,
    with_latency: bool,
}

fn services(bundle: usize) -> &'static [&'static str] {
    [&[][..], &["checkout"], &["checkout", "cart"]][bundle]
}

/// The SLIs that count an event, under each of the simulator's definitions.
fn judge(bundle: usize, event: &Value) -> Vec<(&'static str, Judged)> {
    if bundle == 0 || text_of(event, "service") != Some("checkout") {
        return Vec::new();
    }
    let mut judged = Vec::new();
    if bundle == 1 || text_of(event, "route") == Some("/a") {
        let good = event.get("status").and_then(integer).map(|status| status < 500);
        judged.push(("available", Judged { good, threshold_us: None, with_latency: false }));
    }
    let threshold_us = [0, 300_000, 250_000][bundle];
    let latency = event.get("latency_us").and_then(integer);
    let failed = failed(event) == Some(true);
    if !(failed && bundle == 2) {
        let good = if failed { Some(false) } else { latency.map(|latency| latency <= threshold_us as i64) };
        judged.push(("fast", Judged { good, threshold_us: Some(threshold_us), with_latency: true }));
    }
    judged
}

impl Totals {
    fn add(&mut self, event: &Value, ts: i64, judged: &Judged) {
        let failed = failed(event) == Some(true);
        self.n += 1;
        self.good += u64::from(judged.good == Some(true));
        self.failed += u64::from(failed);
        self.unjudged += u64::from(judged.good.is_none());
        self.newest = self.newest.max(ts);
        if let Some(threshold_us) = judged.threshold_us {
            self.le.get_or_insert((threshold_us, 0));
        }
        if let (true, false, Some(latency)) = (judged.with_latency, failed, event.get("latency_us").and_then(integer)) {
            let latency_us = latency as u64;
            if let Some((threshold_us, count)) = &mut self.le {
                *count += u64::from(latency_us <= *threshold_us);
            }
            self.merge_latency(&Latency::of(latency_us));
        }
        if let (Some(false), Some(trace_id)) = (judged.good, text_of(event, "trace_id")) {
            self.exemplars.insert((keyed_hash(&[Some(trace_id)]), trace_id.to_owned()));
            self.keep_exemplars();
        }
    }

    fn keep_exemplars(&mut self) {
        while self.exemplars.len() > 3 {
            self.exemplars.pop_last();
        }
    }

    fn merge_latency(&mut self, other: &Latency) {
        match &mut self.latency {
            None => self.latency = Some(other.clone()),
            Some(latency) => {
                latency.sum_us += other.sum_us;
                latency.min_us = latency.min_us.min(other.min_us);
                latency.max_us = latency.max_us.max(other.max_us);
                latency.overflow += other.overflow;
                for (counter, count) in &other.counters {
                    *latency.counters.entry(*counter).or_default() += count;
                }
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.good += other.good;
        self.failed += other.failed;
        self.unjudged += other.unjudged;
        self.newest = self.newest.max(other.newest);
        self.le = match (self.le, other.le) {
            (Some((threshold, a)), Some((_, b))) => Some((threshold, a + b)),
            (a, b) => a.or(b),
        };
        if let Some(latency) = &other.latency {
            self.merge_latency(latency);
        }
        self.exemplars.extend(other.exemplars.iter().cloned());
        self.keep_exemplars();
    }
}

impl Latency {
    fn of(latency_us: u64) -> Self {
        let in_range = latency_us <= HISTOGRAM_MAX_US;
        Self {
            sum_us: i128::from(latency_us),
            min_us: latency_us,
            max_us: latency_us,
            overflow: u64::from(!in_range),
            counters: in_range.then(|| (counter_of(latency_us), 1)).into_iter().collect(),
        }
    }
}

/// 256 exact counters, then 128 for each doubling.
fn counter_of(value: u64) -> u64 {
    let (mut mantissa, mut doublings) = (value, 0);
    while mantissa >= 256 {
        mantissa /= 2;
        doublings += 1;
    }
    128 * doublings + mantissa
}

/// Per pane, tenant and group the golden series with the smallest hashes stay; the rest is one series.
pub fn keep_smallest(cells: &mut Cells, series_max: usize) {
    let is_other = |name: &CellName| name.route.as_deref() == Some(OTHER) && name.version.as_deref() == Some(OTHER);
    let mut groups = BTreeMap::<_, Vec<(u64, CellName)>>::new();
    for name in cells.keys().filter(|name| name.sli == GOLDEN && !is_other(name)) {
        let group = (name.pane, name.bundle, name.tenant.clone(), name.group.clone());
        let hash = keyed_hash(&[Some(&name.service), name.route.as_deref(), name.version.as_deref()]);
        groups.entry(group).or_default().push((hash, name.clone()));
    }
    for mut series in groups.into_values() {
        series.sort();
        for (_, name) in series.into_iter().skip(series_max) {
            let totals = cells.remove(&name).expect("the name was read from the map");
            let service = if name.group.is_empty() { OTHER.to_owned() } else { name.service.clone() };
            let other = CellName { service, route: Some(OTHER.into()), version: Some(OTHER.into()), ..name };
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
