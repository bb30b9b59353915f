//! Panes → windows of any length, grouped by labels.
//!
//! Windows are half-open and aligned to multiples of their length since the epoch. A window without events is not
//! listed: what is listed says by `coverage` and `complete` how much to trust it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use streamgauge_events::EventTime;
use streamgauge_events::facts::{AtOrUnder, GOLDEN};
use streamgauge_stats::{Bounds, Quantile};

use crate::cell::Sum;
use crate::coverage::Lack;
use crate::fold::{Fold, Group, PaneSpan, Series};

/// What windows are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    Tenant,
    Service,
    /// A label of the series: `route`, `version`, `attributes.plan`.
    Named(String),
}

impl Label {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tenant => "tenant",
            Self::Service => "service",
            Self::Named(name) => name,
        }
    }

    fn of<'a>(&self, group: &'a Group, series: &'a Series) -> Option<&'a str> {
        match self {
            Self::Tenant => Some(group.tenant.as_str()).filter(|tenant| !tenant.is_empty()),
            Self::Service => Some(series.service.as_str()),
            Self::Named(name) => series.labels.get(name).map(String::as_str),
        }
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const NAMED: [&str; 7] = ["environment", "instance", "method", "metric", "region", "route", "version"];
        match text {
            "tenant" => Ok(Self::Tenant),
            "service" => Ok(Self::Service),
            name if NAMED.contains(&name) || name.strip_prefix("attributes.").is_some_and(|name| !name.is_empty()) => {
                Ok(Self::Named(name.to_owned()))
            }
            _ => Err(format!(
                "{text:?} is no label to group by: choose among tenant, service, {}, attributes.NAME",
                NAMED.join(", ")
            )),
        }
    }
}

/// A quantile with the name that people use: 0.999 is p99.9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    pub name: String,
    pub quantile: Quantile,
}

impl Level {
    pub fn defaults() -> Vec<Self> {
        ["0.5", "0.95", "0.99"].map(|text| text.parse().expect("a decimal between 0 and 1")).into()
    }
}

impl FromStr for Level {
    type Err = String;

    /// From decimal text, digit by digit: by way of a float, a rank may be one off.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "{text:?} is no quantile: write a decimal above 0 and up to 1, such as 0.999, with at most 9 places"
            )
        };
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && places.is_empty())
            || whole.len() > 1
            || places.len() > 9
            || !digits(whole)
            || !digits(places)
        {
            return Err(refused());
        }
        let denominator = 10_u64.pow(places.len() as u32);
        let numerator = format!("{whole}{places}").parse().map_err(|_| refused())?;
        let quantile = Quantile::new(numerator, denominator).ok_or_else(refused)?;
        let percent = format!("{whole}{places:0<2}");
        let (before, behind) = percent.split_at(whole.len() + 2);
        let (before, behind) = (before.trim_start_matches('0'), behind.trim_end_matches('0'));
        let before = if before.is_empty() { "0" } else { before };
        let point = if behind.is_empty() { "" } else { "." };
        Ok(Self { name: format!("p{before}{point}{behind}"), quantile })
    }
}

/// Which windows.
#[derive(Clone, Debug)]
pub struct Query {
    pub length_us: i64,
    /// `None`: tenant and service for the golden signals (and what was measured), all labels for defined SLIs.
    pub by: Option<Vec<Label>>,
    pub sli: Option<String>,
    pub service: Option<String>,
    /// Windows that begin at or after this.
    pub from: Option<EventTime>,
    /// Windows that end at or before this.
    pub to: Option<EventTime>,
    pub levels: Vec<Level>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    #[error(
        "a window of {} is not a multiple of the panes of {} that were recorded; the next longer one has {}",
        length_text(*.length_us), length_text(*.pane_us), length_text(*.next_us)
    )]
    NotAMultiple { length_us: i64, pane_us: i64, next_us: i64 },
    #[error("a window of {0} us has no length")]
    NoLength(i64),
}

fn length_text(us: i64) -> String {
    match us {
        us if us % 1_000_000 == 0 => format!("{}s", us / 1_000_000),
        us if us % 1_000 == 0 => format!("{}ms", us / 1_000),
        us => format!("{us}us"),
    }
}

/// One group in one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    pub sli: String,
    pub labels: BTreeMap<String, String>,
    #[serde(serialize_with = "rfc3339")]
    pub start: EventTime,
    #[serde(serialize_with = "rfc3339")]
    pub end: EventTime,
    pub good: u64,
    /// Events, the unjudged ones among them.
    pub total: u64,
    pub failed: u64,
    pub unjudged: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub le: Vec<AtOrUnder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencySummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<ValueSummary>,
    /// By name, ascending; absent where nothing has a latency.
    #[serde(serialize_with = "as_map", skip_serializing_if = "Vec::is_empty")]
    pub quantiles: Vec<(String, BoundsUs)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exemplars: Vec<String>,
    pub coverage: CoverageVerdict,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub lacks: BTreeSet<Lack>,
    /// Every partition of the topics that the SLI is counted from has been counted past the end; late records may still
    /// come.
    pub complete: bool,
}

/// Latency of the successful events, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LatencySummary {
    pub count: u64,
    #[serde(with = "streamgauge_events::facts::decimal")]
    pub sum_us: i128,
    pub min_us: u64,
    pub max_us: u64,
}

/// Values of scores or samples, millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ValueSummary {
    pub count: u64,
    #[serde(with = "streamgauge_events::facts::decimal")]
    pub sum: i128,
    #[serde(with = "streamgauge_events::facts::decimal")]
    pub sum_of_squares: i128,
    pub min: i64,
    pub max: i64,
    /// The value with the greatest time.
    pub last: i64,
}

/// Where the value lies, microseconds. No upper bound: above one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BoundsUs {
    pub lower: u64,
    pub upper: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CoverageVerdict {
    Full,
    Partial,
}

impl CoverageVerdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
        }
    }
}

impl Window {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a struct of strings and integers always has a JSON form")
    }

    /// Events that were judged and found bad.
    pub fn bad(&self) -> u64 {
        self.total.saturating_sub(self.good + self.unjudged)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    sli: String,
    labels: BTreeMap<String, String>,
    start: EventTime,
}

#[derive(Default)]
struct Content {
    sum: Sum,
    /// Whose series went in where the bound of series may have held others back.
    groups: BTreeSet<Group>,
}

impl Query {
    /// Ordered by SLI, labels, start.
    pub fn windows(&self, fold: &Fold) -> Result<Vec<Window>, InvalidQuery> {
        let mut rows: BTreeMap<Row, Content> = BTreeMap::new();
        let mut folded: BTreeSet<(EventTime, Group, String)> = BTreeSet::new();
        for (span, groups) in fold.raw() {
            let start = self.window_of(*span)?;
            if self.from.is_some_and(|from| start < from)
                || self.to.is_some_and(|to| start.plus_us(self.length_us) > to)
            {
                continue;
            }
            for (group, cells) in groups {
                folded.extend(cells.folded().into_iter().map(|sli| (start, group.clone(), sli.to_owned())));
                let wanted = cells.parts().filter(|(series, _)| self.takes(series));
                for (series, cell) in wanted {
                    let by = self.labels_of(series);
                    let labels = by
                        .iter()
                        .filter_map(|label| Some((label.as_str().to_owned(), label.of(group, series)?.to_owned())));
                    let row = Row { sli: series.sli.clone(), labels: labels.collect(), start };
                    let content = rows.entry(row).or_default();
                    content.sum.add(cell);
                    if tells_apart(&by, group) {
                        content.groups.insert(group.clone());
                    }
                }
            }
        }
        let window = |(row, content): (Row, Content)| {
            let is_folded = |group: &Group| folded.contains(&(row.start, group.clone(), row.sli.clone()));
            let bounded = content.groups.iter().any(is_folded);
            self.window(fold, row, &content.sum, bounded)
        };
        Ok(rows.into_iter().map(window).collect())
    }

    /// The same groups over everything that the fold holds: one window that is long enough, of whole windows.
    pub fn whole_span(&self, fold: &Fold) -> Result<Vec<Window>, InvalidQuery> {
        let mut length_us = self.length_us;
        while length_us > 0 && length_us <= EventTime::MAX_RECORD.0 {
            length_us *= 2;
        }
        Self { length_us, from: None, to: None, ..self.clone() }.windows(fold)
    }

    fn window_of(&self, span: PaneSpan) -> Result<EventTime, InvalidQuery> {
        span.check_length(self.length_us)?;
        Ok(span.start.floor(self.length_us))
    }

    fn takes(&self, series: &Series) -> bool {
        self.sli.as_ref().is_none_or(|sli| *sli == series.sli)
            && self.service.as_ref().is_none_or(|service| *service == series.service)
    }

    fn labels_of<'q>(&'q self, series: &Series) -> Cow<'q, [Label]> {
        let named = |name: &str| Label::Named(name.to_owned());
        match &self.by {
            Some(by) => Cow::Borrowed(by),
            None => {
                let mut by = vec![Label::Tenant, Label::Service];
                match GOLDEN.iter().position(|golden| *golden == series.sli) {
                    Some(0) => {}
                    // Values of different metrics can't be added up.
                    Some(_) => by.push(named("metric")),
                    None => by.extend(series.labels.keys().map(|name| named(name))),
                }
                Cow::Owned(by)
            }
        }
    }

    fn window(&self, fold: &Fold, row: Row, sum: &Sum, bounded: bool) -> Window {
        let (start, end) = (row.start, row.start.plus_us(self.length_us));
        let (mut lacks, mut complete) = (BTreeSet::new(), true);
        for topic in fold.topics_of(&row.sli) {
            lacks.extend(fold.coverage().lacks_of(topic, start, end));
            complete &= fold.coverage().complete_until_of(topic).is_some_and(|until| until >= end);
        }
        if bounded {
            lacks.insert(Lack::SeriesBound);
        }
        let quantile = |level: &Level| {
            let Bounds { lower, upper } = sum.quantile(level.quantile)?;
            Some((level.name.clone(), BoundsUs { lower, upper }))
        };
        Window {
            sli: row.sli,
            labels: row.labels,
            start,
            end,
            good: sum.cell.good,
            total: sum.cell.n,
            failed: sum.cell.failed,
            unjudged: sum.cell.unjudged,
            le: sum.cell.le(),
            latency: sum.cell.latency.as_ref().map(|spread| LatencySummary {
                count: sum.count(),
                sum_us: spread.sum_us,
                min_us: spread.min_us,
                max_us: spread.max_us,
            }),
            values: sum.cell.values.as_ref().map(|values| ValueSummary {
                count: values.count,
                sum: values.sum,
                sum_of_squares: values.sum_of_squares,
                min: values.min,
                max: values.max,
                last: values.last.value,
            }),
            quantiles: self.levels.iter().filter_map(quantile).collect(),
            exemplars: sum.cell.exemplars(),
            coverage: if lacks.is_empty() { CoverageVerdict::Full } else { CoverageVerdict::Partial },
            lacks,
            complete,
        }
    }
}

/// Whether this grouping separates what the bound folds together: then a folded part may be missing from the row.
fn tells_apart(by: &[Label], group: &Group) -> bool {
    let labels = by.iter().any(|label| matches!(label, Label::Named(_)));
    let services = group.group.is_empty() && by.contains(&Label::Service);
    labels || services
}

/// `2026-01-31T10:00:00Z`; microseconds since the epoch beyond the year 9999, or before the year 0.
pub fn rfc3339_text(time: EventTime) -> String {
    if let Ok(timestamp) = jiff::Timestamp::from_microsecond(time.0) {
        return timestamp.to_string();
    }
    // Timestamps end a day before the calendar does, so that every zone can show them.
    let civil = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0).checked_add(jiff::SignedDuration::from_micros(time.0));
    civil.map_or_else(|_| time.0.to_string(), |civil| format!("{civil}Z"))
}

fn rfc3339<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_text(*time))
}

fn as_map<S: Serializer>(pairs: &[(String, BoundsUs)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, bounds)| (name, bounds)))
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Hole => "hole",
            Self::SeriesBound => "series_bound",
            Self::Definition => "definition",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_read_digit_by_digit() {
        for (text, name, rank_of_1000) in [
            ("0.5", "p50", Some(500)),
            ("0.95", "p95", Some(950)),
            (".99", "p99", Some(990)),
            ("0.999", "p99.9", Some(999)),
            ("0.07", "p7", Some(70)),
            ("0.0005", "p0.05", Some(1)),
            ("1", "p100", Some(1000)),
            ("1.00", "p100", Some(1000)),
            ("0", "", None),
            ("1.1", "", None),
            ("-0.5", "", None),
            ("99", "", None),
            ("p99", "", None),
            ("", "", None),
            (".", "", None),
            ("0.1234567891", "", None),
            ("0.5%", "", None),
        ] {
            let level = text.parse::<Level>().ok();
            let found = level.as_ref().map(|level| (level.name.as_str(), level.quantile.rank(1000)));
            assert_eq!(found, rank_of_1000.map(|rank| (name, rank)), "{text:?}");
        }
    }
}
