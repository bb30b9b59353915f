//! Slices of an SLI: each is judged by one pure function of what was counted in it.
//!
//! "No traffic", "no coverage" and "good" are three answers. A slice is covered when every partition of its topic has
//! been counted past its end and nothing of it is missing; of what is not covered, only what can't change any more is said.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, Serializer};
use streamgauge_definitions::{Aggregate, Bounds, Definitions, Empty, Failures, Label, Measure, Rule, Sli, Slice};
use streamgauge_events::facts::Values;
use streamgauge_events::json_number::from_millionths;
use streamgauge_events::{EventTime, topics};
use streamgauge_stats::{Histogram, HistogramError};

use crate::cell::{Cell, Sum};
use crate::coverage::Lack;
use crate::fold::{Fold, Group, Series};
use crate::window::rfc3339_text;

/// What was counted in one slice of one series.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    pub sum: Sum,
    /// The newest event up to the end of the slice, those of earlier slices among them.
    pub newest: Option<EventTime>,
    /// Successes within the threshold of a percentile: at least and at most. They differ only where events were counted
    /// under another threshold, and this one lies within a counter of their histogram.
    pub within: (u64, u64),
}

impl Counted {
    pub fn add(&mut self, measure: &Measure, cell: &Cell) {
        self.sum.add(cell);
        if let Measure::Slice { rule: Rule::Percentile { at_most_us, .. }, .. } = measure {
            let (least, most) = cell.within(*at_most_us);
            self.within = (self.within.0 + least, self.within.1 + most);
        }
    }
}

/// What rules judge by, and nothing else, as it can be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedCounted {
    pub n: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unjudged: u64,
    #[serde(default, skip_serializing_if = "is_none_within")]
    pub within: (u64, u64),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_newest: Option<EventTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<EventTime>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_none_within(within: &(u64, u64)) -> bool {
    *within == (0, 0)
}

impl Counted {
    pub fn save(&self) -> SavedCounted {
        let cell = &self.sum.cell;
        SavedCounted {
            n: cell.n,
            unjudged: cell.unjudged,
            within: self.within,
            values: self.sum.values(),
            own_newest: cell.newest,
            newest: self.newest,
        }
    }

    /// Fails where the histogram of values can't be read.
    pub fn restore(saved: SavedCounted) -> Result<Self, HistogramError> {
        let SavedCounted { n, unjudged, within, values, own_newest, newest } = saved;
        let mut sum = Sum::default();
        if let Some(values) = values {
            Histogram::decode(&values.histogram)?;
            sum.add(&Cell::of_values(values));
        }
        (sum.cell.n, sum.cell.unjudged, sum.cell.newest) = (n, unjudged, own_newest);
        Ok(Self { sum, newest, within })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Good,
    Bad,
    /// Its events were judged one by one: see how many were good.
    Counted,
    /// Covered, and no event.
    NoTraffic,
    /// Covered, and no event that could be judged.
    Unjudged,
    /// Its events were counted under another threshold than this one, and could be on either side of it.
    Unknown,
    /// Not counted to its end, or a part of it is missing.
    NoCoverage,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Counted => "counted",
            Self::NoTraffic => "no traffic",
            Self::Unjudged => "unjudged",
            Self::Unknown => "unknown",
            Self::NoCoverage => "no coverage",
        }
    }

    const fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }

    /// Of a slice without an event that could be judged.
    const fn without(cell: &Cell) -> Self {
        if cell.n > 0 { Self::Unjudged } else { Self::NoTraffic }
    }
}

/// The verdict, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub verdict: Verdict,
    /// Whether the slice counts as good (1 of 1), as bad (0 of 1), or not at all.
    pub counts: Option<bool>,
    /// The number that was compared, in millionths (per second for traffic); of latencies and ages, microseconds.
    pub value: Option<Value>,
}

/// Numbers, in the unit in which they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Millionths(i128),
    Microseconds(i64),
    /// So many of so many.
    Share {
        good: u64,
        total: u64,
    },
    /// At least and at most so many of so many.
    Between {
        least: u64,
        most: u64,
        total: u64,
    },
}

/// Judges one slice that ends at `end`. `covered`: every partition has been counted past the end, and nothing is missing.
///
/// A slice without events counts by `empty`, except for traffic and freshness, which are about exactly that.
pub fn judge(rule: &Rule, slice: Slice, end: EventTime, covered: bool, counted: &Counted) -> Judged {
    let cell = &counted.sum.cell;
    let usable = cell.n - cell.unjudged;
    let mut is_unknown = false;
    let (holds, value) = match rule {
        Rule::Percentile { quantile, .. } => {
            // ceil(p n) of them at or under the threshold: le p_d >= p_n n.
            let suffices = |within: u64| {
                let (le, n) = (u128::from(within), u128::from(usable));
                le * u128::from(quantile.denominator) >= u128::from(quantile.numerator) * n
            };
            let (least, most) = counted.within;
            is_unknown = suffices(least) != suffices(most);
            let value = match least == most {
                true => Value::Share { good: least, total: usable },
                false => Value::Between { least, most, total: usable },
            };
            ((usable > 0).then(|| suffices(least)), Some(value))
        }
        Rule::Mean(bounds) => mean(cell.values.as_ref(), *bounds),
        Rule::Traffic(bounds) => {
            // n events in so many microseconds: n 10^6 10^6 / length millionths a second, compared without dividing.
            let scaled = i128::from(cell.n) * 1_000_000_000_000;
            let length = i128::from(slice.length_us);
            let least = bounds.at_least.is_none_or(|least| scaled >= i128::from(least) * length);
            let most = bounds.at_most.is_none_or(|most| scaled <= i128::from(most) * length);
            (Some(least && most), Some(Value::Millionths(scaled / length)))
        }
        Rule::Saturation { aggregate, bounds } => aggregated(&counted.sum, *aggregate, *bounds),
        Rule::Freshness { at_most_us } => {
            let age_us = counted.newest.map(|newest| (end.0 - newest.0).max(0));
            (age_us.map(|age_us| age_us <= *at_most_us), age_us.map(Value::Microseconds))
        }
    };
    let is_empty = match rule {
        Rule::Traffic(_) => false,
        // Nothing was ever heard: neither fresh nor stale.
        Rule::Freshness { .. } => counted.newest.is_none(),
        _ => holds.is_none(),
    };
    let value = value.filter(|_| !is_empty);
    if !covered {
        return Judged { verdict: Verdict::NoCoverage, counts: None, value };
    }
    if is_empty {
        let counts = match slice.empty {
            Empty::Ignore => None,
            Empty::Good => Some(true),
            Empty::Bad => Some(false),
        };
        return Judged { verdict: Verdict::without(cell), counts, value: None };
    }
    if is_unknown {
        return Judged { verdict: Verdict::Unknown, counts: None, value };
    }
    let good = holds == Some(true);
    Judged { verdict: Verdict::of(good), counts: Some(good), value }
}

type Held = (Option<bool>, Option<Value>);

/// sum / n of the slice, never a mean of means; compared without dividing, shown rounded half-even.
fn mean(values: Option<&streamgauge_events::facts::Values>, bounds: Bounds) -> Held {
    let Some(values) = values.filter(|values| values.count > 0) else { return (None, None) };
    let n = i128::from(values.count);
    let least = bounds.at_least.is_none_or(|least| values.sum >= i128::from(least) * n);
    let most = bounds.at_most.is_none_or(|most| values.sum <= i128::from(most) * n);
    (Some(least && most), Some(Value::Millionths(divided_half_even(values.sum, n))))
}

fn divided_half_even(dividend: i128, divisor: i128) -> i128 {
    let (floor, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    match (2 * rest).cmp(&divisor) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + (floor & 1),
    }
}

fn aggregated(sum: &Sum, aggregate: Aggregate, bounds: Bounds) -> Held {
    let Some(values) = &sum.cell.values else { return (None, None) };
    let value = match aggregate {
        Aggregate::Mean => return mean(Some(values), bounds),
        Aggregate::Min => Some(values.min),
        Aggregate::Max => Some(values.max),
        Aggregate::Last => Some(values.last.value),
        Aggregate::Quantile(share) => {
            share.quantile().and_then(|quantile| sum.value_quantile(quantile)).map(|bounds| bounds.upper)
        }
    };
    let value = value.map(i128::from);
    (value.map(|value| bounds.hold(value)), value.map(Value::Millionths))
}

/// One slice of one series, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SliceRow {
    pub sli: String,
    pub labels: BTreeMap<String, String>,
    #[serde(serialize_with = "rfc3339")]
    pub start: EventTime,
    #[serde(serialize_with = "rfc3339")]
    pub end: EventTime,
    pub verdict: Verdict,
    /// 1 if the slice counts as good, 0 if as bad, absent if it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good: Option<u8>,
    /// What was compared with the bounds: see `unit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub unit: &'static str,
    /// Events, the unjudged ones among them.
    pub events: u64,
    pub unjudged: u64,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub lacks: BTreeSet<Lack>,
}

/// The slices of an SLI between the first pane and as far as was counted.
pub struct Slices<'s> {
    pub name: &'s str,
    pub sli: &'s Sli,
    /// Those by which it is judged.
    pub definitions: &'s Definitions,
    /// By hash, definitions that facts cite. What was counted by others than those that judge is told from what was not;
    /// hashes that are missing here count as if nothing had changed.
    pub counted_by: &'s BTreeMap<String, Definitions>,
    /// The slice; for SLIs that judge single events, a window of any length.
    pub slice: Slice,
    pub from: Option<EventTime>,
    pub to: Option<EventTime>,
}

impl Slices<'_> {
    /// One row a slice and series, the empty and the uncovered ones among them: ordered by labels, then time. None where
    /// the fold leaves this SLI out. At most [`SLICES_MAX`] of them.
    pub fn rows(&self, fold: &Fold) -> Result<Vec<SliceRow>, TooManySlices> {
        let leaves_out = |only: &Option<String>, mine: &str| only.as_ref().is_some_and(|only| only != mine);
        if leaves_out(&fold.only().sli, self.name) || leaves_out(&fold.only().service, &self.sli.service) {
            return Ok(Vec::new());
        }
        let Some((first, last)) = self.span(fold) else { return Ok(Vec::new()) };
        let length_us = self.slice.length_us;
        let in_span = (last.0.saturating_sub(first.0) / length_us) as usize;
        let mut series: BTreeMap<BTreeMap<String, String>, BTreeMap<EventTime, Counted>> = BTreeMap::new();
        let changed = self.changed(fold);
        // (tenant, slice) in which the bound of series has folded something away.
        let mut folded: BTreeSet<(&str, EventTime)> = BTreeSet::new();
        for (span, groups) in fold.raw() {
            for (group, cells) in groups {
                if cells.folded().contains(self.name) {
                    folded.insert((&group.tenant, span.start.floor(length_us)));
                }
                for (name, cell) in cells.parts().filter(|(series, _)| series.sli == self.name) {
                    let slices = series.entry(labels_of(group, name)).or_default();
                    slices.entry(span.start.floor(length_us)).or_default().add(&self.sli.good, cell);
                }
            }
        }
        let declared = self.declared_series();
        let known: BTreeSet<BTreeMap<String, String>> = series.keys().map(without_tenant).collect();
        for labels in declared.difference(&known) {
            // Nothing may ever have been counted for it: that is said slice by slice, too.
            series.insert(labels.clone(), BTreeMap::new());
        }
        let mut rows = Vec::new();
        for (labels, slices) in series {
            // A series that nobody declared has no slice before its first event, nor where it has none.
            let is_declared = declared.contains(&without_tenant(&labels));
            let is_pinned = self.is_pinned(&labels);
            let tenant = labels.get("tenant").map_or("", String::as_str);
            if rows.len() + if is_declared { in_span } else { slices.len() } > SLICES_MAX {
                return Err(TooManySlices { first, last });
            }
            let mut newest: Option<EventTime> = None;
            let mut shown = first;
            let mut show = |start: EventTime, mut counted: Counted, newest: Option<EventTime>| {
                counted.newest = newest;
                // What is declared now may have been folded away before it was.
                let is_bounded = folded.contains(&(tenant, start)) && (!is_pinned || changed.values.contains(&start));
                let doubts = [
                    is_bounded.then_some(Lack::SeriesBound),
                    changed.judging.contains(&start).then_some(Lack::Definition),
                ];
                rows.push(self.row(fold, labels.clone(), start, &counted, doubts));
            };
            for (start, counted) in slices.into_iter().take_while(|(start, _)| *start < last) {
                while is_declared && shown < start {
                    show(shown, Counted::default(), newest);
                    shown = shown.plus_us(length_us);
                }
                newest = newest.max(counted.sum.cell.newest);
                if start >= first {
                    show(start, counted, newest);
                    shown = start.plus_us(length_us);
                }
            }
            while is_declared && shown < last {
                show(shown, Counted::default(), newest);
                shown = shown.plus_us(length_us);
            }
        }
        Ok(rows)
    }

    /// Which slices other definitions have counted than those that judge.
    fn changed(&self, fold: &Fold) -> Changed {
        let mut changed = Changed::default();
        for (pane, bundles) in fold.made_by(self.topic(fold)) {
            let slice = pane.floor(self.slice.length_us);
            for definitions in bundles.iter().filter_map(|hash| self.counted_by.get(hash.as_ref())) {
                let counted = definitions.slis.get(self.name);
                if counted.is_none_or(|counted| counted.counted_unlike(self.sli).is_some()) {
                    changed.judging.insert(slice);
                } else if counted.is_some_and(|counted| !counted.declares_like(self.sli)) {
                    changed.values.insert(slice);
                }
            }
        }
        changed
    }

    /// The first pane that was counted by definitions which have this SLI, where some have not.
    fn defined_from(&self, fold: &Fold) -> Option<EventTime> {
        let has_it = |hash: &str| self.counted_by.get(hash).is_none_or(|known| known.slis.contains_key(self.name));
        let defined = |bundles: &BTreeSet<std::sync::Arc<str>>| bundles.iter().any(|hash| has_it(hash));
        fold.made_by(self.topic(fold)).find(|(_, bundles)| defined(bundles)).map(|(pane, _)| pane)
    }

    /// The series that exist by definition: that of the service, or those of every combination of declared values.
    fn declared_series(&self) -> BTreeSet<BTreeMap<String, String>> {
        let service = BTreeMap::from([("service".to_owned(), self.sli.service.clone())]);
        let series = self.sli.group_by.iter().fold(vec![service], |series, (label, values)| {
            let with = |labels: &BTreeMap<String, String>, value: &String| {
                let mut labels = labels.clone();
                labels.insert(label.name(), value.clone());
                labels
            };
            series.iter().flat_map(|labels| values.iter().map(move |value| with(labels, value))).collect()
        });
        series.into_iter().collect()
    }

    /// Whether all of its values are declared: the bound of series takes nothing from it.
    fn is_pinned(&self, labels: &BTreeMap<String, String>) -> bool {
        let is_declared = |(label, values): (&Label, &Vec<String>)| {
            labels.get(&label.name()).is_some_and(|value| values.binary_search(value).is_ok())
        };
        self.sli.group_by.iter().all(is_declared)
    }

    /// The topic as the facts call it. Only that of requests may have another name on the bus; the golden signal knows it.
    fn topic<'t>(&'t self, fold: &'t Fold) -> &'t str {
        if self.sli.topic != topics::REQUESTS || fold.span_of(topics::REQUESTS).is_some() {
            return &self.sli.topic;
        }
        let mut unknown =
            fold.topics_of(topics::REQUESTS).filter(|topic| !self.definitions.sources.contains_key(*topic));
        match (unknown.next(), unknown.next()) {
            (Some(renamed), None) => renamed,
            _ => &self.sli.topic,
        }
    }

    /// The first slice, and the end of the last.
    fn span(&self, fold: &Fold) -> Option<(EventTime, EventTime)> {
        let length_us = self.slice.length_us;
        // Without any event of its own, an SLI is shown over what was counted of its topic.
        let (first, newest) = fold.span_of(self.topic(fold))?;
        let first = self.defined_from(fold).map_or(first, |defined| defined.max(first));
        let counted = fold.coverage().complete_until_of(self.topic(fold)).filter(|until| *until < EventTime::AFTER_ALL);
        let end = newest.max(counted.unwrap_or(EventTime::BEFORE_ALL));
        let ceil = |time: EventTime| time.plus_us(length_us - 1).floor(length_us);
        let from = self.from.map_or(first.floor(length_us), |from| ceil(from).max(first.floor(length_us)));
        let to = self.to.map_or(ceil(end), |to| to.floor(length_us).min(ceil(end)));
        (from < to).then_some((from, to))
    }

    fn row(
        &self,
        fold: &Fold,
        labels: BTreeMap<String, String>,
        start: EventTime,
        counted: &Counted,
        doubts: [Option<Lack>; 2],
    ) -> SliceRow {
        let end = start.plus_us(self.slice.length_us);
        let topic = self.topic(fold);
        let mut lacks = fold.coverage().lacks_of(topic, self.rests_on(end, counted).min(start), end);
        lacks.extend(doubts.into_iter().flatten());
        let complete = fold.coverage().complete_until_of(topic).is_some_and(|until| until >= end);
        let covered = complete && lacks.is_empty();
        let cell = &counted.sum.cell;
        let judged = match &self.sli.good {
            Measure::Slice { rule, .. } => judge(rule, self.slice, end, covered, counted),
            _ => events_of(covered, counted),
        };
        SliceRow {
            sli: self.name.to_owned(),
            labels,
            start,
            end,
            verdict: judged.verdict,
            good: judged.counts.map(u8::from),
            // What was counted in another way is no number of this SLI.
            value: judged.value.filter(|_| !lacks.contains(&Lack::Definition)).map(Value::text),
            unit: unit_of(&self.sli.good),
            events: cell.n,
            unjudged: cell.unjudged,
            lacks,
        }
    }
}

impl Slices<'_> {
    /// From when on an event that is missing could change the verdict. What is stale may only seem so, since a newer
    /// event was lost before the slice began; what is fresh stays fresh.
    fn rests_on(&self, end: EventTime, counted: &Counted) -> EventTime {
        match &self.sli.good {
            Measure::Slice { rule: Rule::Freshness { at_most_us }, .. } => {
                let fresh_from = end.minus_us(*at_most_us);
                match counted.newest {
                    Some(newest) if newest >= fresh_from => end,
                    Some(_) => fresh_from,
                    // That there was never an event holds only if none was ever lost.
                    None => EventTime::BEFORE_ALL,
                }
            }
            _ => end,
        }
    }
}

/// Where single events are judged, a span has no verdict of its own but for what it lacks.
fn events_of(covered: bool, counted: &Counted) -> Judged {
    let cell = &counted.sum.cell;
    let total = cell.n - cell.unjudged;
    let value = (total > 0).then_some(Value::Share { good: cell.good, total });
    let verdict = match (covered, total) {
        (false, _) => Verdict::NoCoverage,
        (true, 0) => Verdict::without(cell),
        (true, _) => Verdict::Counted,
    };
    Judged { verdict, counts: None, value }
}

/// Rows of one query. One event in 1970 among those of today would make half a million slices of an hour.
pub const SLICES_MAX: usize = 200_000;

/// More rows than [`SLICES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "from {} to {} there are more than {SLICES_MAX} slices; take --from and --to closer together",
    rfc3339_text(*.first), rfc3339_text(*.last)
)]
pub struct TooManySlices {
    /// Start of the first slice, and end of the last.
    pub first: EventTime,
    pub last: EventTime,
}

/// Slices that other definitions have counted than those that judge: those that judged events in another way, or had no such
/// SLI; and those that declared other values.
#[derive(Default)]
struct Changed {
    judging: BTreeSet<EventTime>,
    values: BTreeSet<EventTime>,
}

/// Tenants are not declared: each that has events has series of its own.
fn without_tenant(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.iter().filter(|(name, _)| *name != "tenant").map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn labels_of(group: &Group, series: &Series) -> BTreeMap<String, String> {
    let mut labels = series.labels.clone();
    labels.insert("service".to_owned(), series.service.clone());
    if !group.tenant.is_empty() {
        labels.insert("tenant".to_owned(), group.tenant.clone());
    }
    labels
}

impl Value {
    /// As people read it: decimals, whole microseconds, `good/total`, `least..most/total`.
    pub fn text(self) -> String {
        match self {
            Self::Millionths(value) => i64::try_from(value).map_or_else(|_| value.to_string(), from_millionths),
            Self::Microseconds(us) => us.to_string(),
            Self::Share { good, total } => format!("{good}/{total}"),
            Self::Between { least, most, total } => format!("{least}..{most}/{total}"),
        }
    }
}

/// The unit of [`SliceRow::value`].
pub const fn unit_of(measure: &Measure) -> &'static str {
    match measure {
        Measure::When(_) | Measure::Latency { failures: Failures::Bad | Failures::Exclude, .. } | Measure::Counts => {
            "good/total"
        }
        Measure::Slice { rule, .. } => match rule {
            Rule::Percentile { .. } => "in time/total",
            Rule::Mean(_) | Rule::Saturation { .. } => "value",
            Rule::Traffic(_) => "per second",
            Rule::Freshness { .. } => "us",
        },
    }
}

fn rfc3339<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_text(*time))
}
