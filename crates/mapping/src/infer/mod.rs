//! The beginning of a file → a mapping to start from, with the reason for each of its lines.
//!
//! A function of rows. Guesses by names and by what nearly all the texts have in common, and never in silence: what can't be
//! told is a placeholder marked FILL IN, with which no mapping is accepted; what was guessed, or doesn't hold of every row, is
//! marked CHECK. What it writes is a valid mapping once it is filled in.

mod fit;
mod guess;
mod sample;
mod write;

use std::collections::BTreeSet;

use streamgauge_events::Kind;

use crate::convert::{ATTRIBUTES, Target};
use crate::decimal::Scale;
use crate::mapping::Format;
use crate::times::unit_shift;
use fit::Fit;
use guess::{
    at_most, best_times, duration_unit, has_word, integers, is_named, is_number, is_text, numbers, readable, times,
    words,
};
pub use sample::{Column, Table, table};
use write::quoted;

/// A mapping that nobody has looked at yet.
#[derive(Debug)]
pub struct Proposal {
    pub yaml: String,
    /// The same with something valid in place of each placeholder: to try it out, never to be kept.
    pub stand_in_yaml: String,
    pub kind: Kind,
    /// Lines that a person has to fill in, by their fields.
    pub to_fill_in: Vec<String>,
    /// Lines that a person has to check, by their fields.
    pub to_check: Vec<String>,
}

/// Texts that stand for no value in many files.
const NULLS: [&str; 8] = ["-", "NaN", "nan", "null", "NULL", "NA", "N/A", "None"];
/// Pods of a deployment: `frontend-579b9bff58-t2dbm` is one of `frontend`.
const POD: &str = "^(.+)-[0-9a-f]+-[0-9a-z]+$";
const FILL_IN: &str = "FILL IN";
const CHECK: &str = "CHECK";
/// What stands for an instant that the file doesn't tell.
const EPOCH_BASE: &str = "FILL_IN_EPOCH_BASE";
/// An instant for trying a mapping out.
const STAND_IN_TIME: &str = "2000-01-01T00:00:00Z";

const SERVICE: &[&str] = &["service", "service name", "app", "application", "component", "microservice"];
const POD_NAMES: &[&str] = &["pod", "pod name"];
const INSTANCE: &[&str] = &["instance", "instance id", "host", "hostname", "node", "pod", "pod name"];
const ROUTE: &[&str] = &["route", "operation", "operation name", "endpoint", "path", "url", "uri", "handler"];
const METHOD: &[&str] = &["method", "http method", "verb"];
const STATUS: &[&str] = &["status", "status code", "http status", "response code", "code"];
const OK: &[&str] = &["ok", "success", "successful", "succeeded"];
const FAILED: &[&str] = &["error", "is error", "failed", "failure"];
const LATENCY: &[&str] = &["latency", "duration", "elapsed", "took", "response time", "request time", "time taken"];
const VALUE: &[&str] = &["value", "score", "rating"];
const RESOURCES: &[&str] =
    &["cpu", "memory", "mem", "disk", "network", "usage", "utilization", "syscall", "threads", "heap"];
/// Statistics of requests; no requests.
const QUANTILES: &[&str] =
    &["p50", "p90", "p95", "p99", "average", "avg", "mean", "max", "min", "rate", "sum", "count"];

/// One line of `fields:`, and what is said above it.
#[derive(Debug)]
struct FieldLine {
    name: String,
    keys: String,
    /// Valid ones, where the keys hold a placeholder.
    stand_in: Option<String>,
    comment: String,
}

impl FieldLine {
    fn new(name: &str, keys: &str, comment: &str) -> Self {
        Self { name: name.to_owned(), keys: keys.to_owned(), stand_in: None, comment: comment.to_owned() }
    }
}

/// A column of wide rows that becomes records of its own.
#[derive(Debug)]
struct MetricColumn {
    place: String,
    metric: String,
    /// How many of its values don't fit.
    unfit: Option<String>,
}

/// What is known so far.
struct Inference<'t> {
    table: &'t Table,
    /// Which places a field takes already.
    used: Vec<bool>,
    nulls: Vec<Vec<&'static str>>,
    lines: Vec<FieldLine>,
    /// Fields whose places were not taken, since too many of their values don't fit, and how many.
    refused: Vec<(&'static str, String)>,
}

/// `source` names the sample; `wanted` is the kind of event, where the caller knows it.
pub fn propose(mut table: Table, source: &str, wanted: Option<Kind>) -> Proposal {
    let nulls = table.places.iter_mut().map(take_nulls).collect();
    let kind = wanted.unwrap_or_else(|| kind_of(&mut table));
    let used = vec![false; table.places.len()];
    let mut inference = Inference { table: &table, used, nulls, lines: Vec::new(), refused: Vec::new() };
    inference.time(kind);
    inference.service();
    let unpivot = match kind {
        Kind::Request => {
            inference.request();
            Vec::new()
        }
        Kind::Score | Kind::Resource => inference.value(kind),
    };
    inference.labels(kind);
    write::proposal(&inference, kind, source, &unpivot)
}

/// Takes texts out that stand for no value, and says which.
fn take_nulls(column: &mut Column) -> Vec<&'static str> {
    let mut found = Vec::new();
    for text in &mut column.texts {
        if let Some(null) = NULLS.into_iter().find(|null| text.as_deref() == Some(null)) {
            *text = None;
            if !found.contains(&null) {
                found.push(null);
            }
        }
    }
    found
}

fn kind_of(table: &mut Table) -> Kind {
    let named = |wanted: &[&str]| {
        let found = table.places.iter().find(|column| is_named(bare(&column.place), wanted));
        found.map(|column| column.place.clone())
    };
    let sounds = table.places.iter().any(|column| has_word(&column.place, RESOURCES) && is_number(column));
    let duration = table.places.iter().find(|column| is_named_duration(&column.place) && numbers(column).is_most());
    let duration = duration.map(|column| column.place.clone());
    let request = duration.or_else(|| named(STATUS)).or_else(|| named(METHOD)).or_else(|| named(ROUTE));
    let (kind, why) = match (table.format, request) {
        (Format::Combined | Format::Lines, _) => (Kind::Request, "an access log is one of requests".to_owned()),
        (_, Some(place)) => (Kind::Request, format!("`{place}` is something that requests have")),
        _ if named(&["score", "rating"]).is_some() => (Kind::Score, "there is a score".to_owned()),
        _ if named(VALUE).is_some() => (Kind::Resource, "there is a value with a time".to_owned()),
        _ if sounds => (Kind::Resource, "there are numbers that sound like resources".to_owned()),
        _ => {
            (Kind::Request, "nothing says otherwise: each row is taken for the arrival of a request. CHECK".to_owned())
        }
    };
    table.notes.push(format!("events are {kind}s: {why}; --event says otherwise"));
    kind
}

/// The name without a unit in brackets, which would be its last word.
fn bare(place: &str) -> &str {
    place.split('(').next().unwrap_or(place)
}

/// Whether no text stands twice.
fn is_unique(column: &Column) -> bool {
    let mut seen = BTreeSet::new();
    column.present().all(|text| seen.insert(text))
}

/// Named like a duration of one request, not like a statistic of many.
fn is_named_duration(place: &str) -> bool {
    let name = format!(" {} ", words(place).join(" "));
    LATENCY.iter().any(|wanted| name.contains(&format!(" {wanted} "))) && !has_word(place, QUANTILES)
}

impl Inference<'_> {
    fn place(&self, index: usize) -> String {
        format!("{}: {}", self.table.format.place_key(), quoted(&self.table.places[index].place))
    }

    /// The first place that nobody has taken, is named so and passes.
    fn find(&self, wanted: &[&str], test: impl Fn(&Column) -> bool) -> Option<usize> {
        self.named(wanted).find(|index| test(&self.table.places[*index]))
    }

    /// The first place that nobody has taken, is named so and holds what it should, and how well.
    fn find_fit(
        &mut self,
        field: &'static str,
        wanted: &[&str],
        test: impl Fn(&Column) -> Fit,
    ) -> Option<(usize, Fit)> {
        let named: Vec<usize> = self.named(wanted).collect();
        self.first_fit(field, &named, test)
    }

    /// The first of these places that holds what it should, and how well. Of one that only nearly does it is told why the
    /// field has none.
    fn first_fit(
        &mut self,
        field: &'static str,
        places: &[usize],
        test: impl Fn(&Column) -> Fit,
    ) -> Option<(usize, Fit)> {
        let fits: Vec<(usize, Fit)> = places.iter().map(|index| (*index, test(&self.table.places[*index]))).collect();
        let found = fits.iter().find(|(_, fit)| fit.holds()).cloned();
        if found.is_none() {
            let refused = fits.iter().find_map(|(index, fit)| self.refusal(field, *index, fit));
            self.refused.extend(refused);
        }
        found
    }

    /// Why a place that nearly holds what it should is not taken.
    fn refusal(&self, field: &'static str, index: usize, fit: &Fit) -> Option<(&'static str, String)> {
        let unfit = fit.unfit().filter(|_| fit.is_most() && !fit.holds())?;
        let place = &self.table.places[index].place;
        Some((field, format!("`{place}` is not taken for `{field}`, since {unfit}")))
    }

    /// The places that nobody has taken and are named so.
    fn named(&self, wanted: &[&str]) -> impl Iterator<Item = usize> {
        (0..self.table.places.len())
            .filter(|index| !self.used[*index] && is_named(bare(&self.table.places[*index].place), wanted))
    }

    /// A field from a place, with `more` keys behind it.
    fn take(&mut self, name: &str, index: usize, more: &str, comment: &str, needed: bool) {
        self.used[index] = true;
        let mut keys = self.place(index);
        if !more.is_empty() {
            keys += &format!(", {more}");
        }
        let mut comment = comment.to_owned();
        let gaps = self.table.places[index].has_gaps();
        if gaps && needed {
            comment +=
                &format!("{}Some rows have none, and become dead letters.", if comment.is_empty() { "" } else { ". " });
        } else if gaps {
            keys += ", optional: true";
        }
        if !self.nulls[index].is_empty() {
            let nulls: Vec<String> = self.nulls[index].iter().map(|null| format!("\"{null}\"")).collect();
            keys += &format!(", null_values: [\"\", {}]", nulls.join(", "));
        }
        // Where it counts from is the only part of a place that a file may leave open.
        let stand_in = keys.contains(EPOCH_BASE).then(|| keys.replace(EPOCH_BASE, STAND_IN_TIME));
        self.lines.push(FieldLine { name: name.to_owned(), keys, stand_in, comment });
    }

    /// A placeholder: `stand_in` is what the field may be for trying the mapping out.
    fn fill_in(&mut self, name: &str, keys: &str, stand_in: &str, why: &str) {
        let line = FieldLine::new(name, keys, &format!("{FILL_IN}: {why}"));
        self.lines.push(FieldLine { stand_in: Some(stand_in.to_owned()), ..line });
    }

    fn time(&mut self, kind: Kind) {
        if self.table.format == Format::Combined {
            let keys = "group: time, format: \"%d/%b/%Y:%H:%M:%S %z\"";
            self.lines.push(FieldLine::new("ts", keys, ""));
            return;
        }
        let place = |index: usize| self.table.places[index].place.clone();
        let (found, near): (Vec<_>, Vec<_>) = (self.table.places.iter().enumerate())
            .filter_map(|(index, column)| Some((index, times(column)?)))
            .partition(|(_, times)| times.fit.holds());
        let near = best_times(&near, place).map(|(index, times)| {
            let unfit = times.fit.unfit().unwrap_or_default();
            format!("`{}` would be one (`{}`), but {unfit}", place(index), times.keys)
        });
        let Some((index, best)) = best_times(&found, place) else {
            let why = near.map_or_else(String::new, |near| format!("; {near}"));
            let stand_in = format!("constant: \"{STAND_IN_TIME}\", format: rfc3339");
            let why = format!("no column could be read as a time{why}");
            return self.fill_in("ts", "constant: FILL_IN_TIME, format: rfc3339", &stand_in, &why);
        };
        let mut comment = format!("Times: {}{}", best.why, best.fit.doubt());
        if let Some(near) = near {
            comment += &format!(". {CHECK}: {near}");
        }
        let others: Vec<String> = (found.iter().filter(|(other, times)| *other != index && times.is_sure))
            .map(|(other, _)| format!("`{}`", self.table.places[*other].place))
            .collect();
        if !others.is_empty() {
            comment += &format!(". {CHECK}: {} would do, too", others.join(", "));
        }
        if kind == Kind::Request && has_word(&self.table.places[index].place, &["start", "begin"]) {
            comment += &format!(". {CHECK}: a request counts when it ends");
        }
        self.take("ts", index, &best.keys, &comment, true);
        // The other times of a row are of no use for any field.
        for (other, times) in found {
            self.used[other] |= times.is_sure;
        }
    }

    fn service(&mut self) {
        if let Some(index) = self.find(SERVICE, is_text) {
            return self.take("service", index, "", "By the name", true);
        }
        let is_pod = |column: &Column| {
            let pod = regex_lite::Regex::new(POD).expect("a constant pattern");
            Fit::of(column, |text| if pod.is_match(text) { Ok(()) } else { Err("is not the name of a pod".into()) })
        };
        if let Some((index, fit)) = self.find_fit("service", POD_NAMES, is_pod) {
            let more = format!("extract: \"{POD}\"");
            let comment = format!(
                "{} are names of pods; the service is what stands before{}",
                if fit.unfit().is_none() { "All" } else { "Nearly all" },
                fit.doubt()
            );
            self.take("service", index, &more, &comment, true);
            // It tells the instance, too.
            self.used[index] = false;
            return;
        }
        let why = "no column names a service";
        self.fill_in("service", "constant: FILL_IN_SERVICE", "constant: service", why);
    }

    fn request(&mut self) {
        if self.table.format == Format::Combined {
            for (name, keys, comment) in [
                ("status", "group: status", ""),
                ("method", "group: method, optional: true", "Absent where a client sent no HTTP at all"),
                (
                    "route",
                    "group: path, extract: \"^/[^/]*\", optional: true",
                    "CHECK: the first part of the path; whole paths would be too many series",
                ),
            ] {
                self.lines.push(FieldLine::new(name, keys, comment));
            }
            return;
        }
        if let Some(index) = self.find(ROUTE, is_text) {
            let is_path = self.table.places[index].present().any(|text| text.contains('?'));
            let comment =
                if is_path { "By the name. CHECK: there are queries in it; use `extract`" } else { "By the name" };
            self.take("route", index, "", comment, false);
        }
        if let Some((index, fit)) = self.find_fit("method", METHOD, |column| at_most(column, 15)) {
            self.take("method", index, "", &format!("By the name{}", fit.doubt()), false);
        }
        if let Some((index, fit)) = self.find_fit("status", STATUS, |column| integers(column, 0, 999)) {
            let comment = format!("By the name, and {} are integers from 0 to 999", fit.share());
            let doubt = readable(&self.table.places[index], &Target::Status).doubt();
            self.take("status", index, "", &format!("{comment}{doubt}"), false);
        }
        self.outcome();
        let durations: Vec<usize> = (0..self.table.places.len())
            .filter(|index| !self.used[*index] && is_named_duration(&self.table.places[*index].place))
            .collect();
        if let Some((index, _)) = self.first_fit("latency_us", &durations, numbers) {
            let column = &self.table.places[index];
            let (unit, why) = duration_unit(column);
            let shift = unit_shift(unit).expect("units are guessed from those that there are");
            let doubt = readable(column, &Target::LatencyUs { shift, unit: unit.to_owned() }).doubt();
            self.take("latency_us", index, &format!("unit: {unit}"), &format!("A duration: {why}{doubt}"), false);
        }
    }

    /// `ok`, where words tell it.
    fn outcome(&mut self) {
        let words = [("true", true), ("false", false), ("1", true), ("0", false), ("True", true), ("False", false)];
        let test = |column: &Column| {
            Fit::of(column, |text| match words.iter().any(|(word, _)| *word == text) {
                true => Ok(()),
                false => Err("is neither true nor false".to_owned()),
            })
        };
        for (names, when_true) in [(OK, true), (FAILED, false)] {
            let Some((index, fit)) = self.find_fit("ok", names, test) else { continue };
            let seen = words.iter().filter(|(word, _)| self.table.places[index].present().any(|text| text == *word));
            let table: Vec<String> = seen.map(|(word, truth)| format!("\"{word}\": {}", *truth == when_true)).collect();
            let comment = format!("By the name{}", fit.doubt());
            return self.take("ok", index, &format!("map: {{ {} }}", table.join(", ")), &comment, false);
        }
    }

    /// `metric` and `value`; where there are several columns of numbers, all of them, which are returned.
    fn value(&mut self, kind: Kind) -> Vec<MetricColumn> {
        let table = self.table;
        let reading = |index: usize| readable(&table.places[index], &Target::Value(Scale::ONE));
        let named = self.find_fit("value", VALUE, numbers).map(|(index, _)| index);
        let is_resource = |index: usize| has_word(&table.places[index].place, RESOURCES);
        let free: Vec<(usize, Fit)> = (0..table.places.len())
            .filter(|index| !self.used[*index])
            .map(|index| (index, numbers(&table.places[index])))
            .collect();
        let of_numbers: Vec<usize> = free.iter().filter(|(_, fit)| fit.holds()).map(|(index, _)| *index).collect();
        let resources: Vec<usize> = of_numbers.iter().copied().filter(|index| is_resource(*index)).collect();
        if named.is_none() && resources.len() > 1 && table.format.has_columns() && kind == Kind::Resource {
            let refused = free.iter().filter(|(index, _)| is_resource(*index));
            let refused: Vec<_> = refused.filter_map(|(index, fit)| self.refusal("value", *index, fit)).collect();
            self.refused.extend(refused);
            let column = |index: &usize| {
                let place = &table.places[*index].place;
                let unfit = reading(*index).unfit();
                MetricColumn { place: place.clone(), metric: words(place).join("_"), unfit }
            };
            let columns = resources.iter().map(column).collect();
            for index in resources {
                self.used[index] = true;
            }
            for (name, keys, comment) in
                [("metric", "group: metric", "CHECK the names and the scales above"), ("value", "cell: value", "")]
            {
                self.lines.push(FieldLine::new(name, keys, comment));
            }
            return columns;
        }
        match self.find(&["metric", "metric name", "name"], is_text) {
            Some(index) => self.take("metric", index, "", "By the name", true),
            None => {
                let why = "no column names what is measured; `from: file_name` may";
                self.fill_in("metric", "constant: FILL_IN_METRIC", "constant: metric", why);
            }
        }
        match named.or(of_numbers.first().copied()) {
            Some(index) => {
                let fit = reading(index);
                let comment = match (named, of_numbers.len()) {
                    (Some(_), _) => format!("By the name, and {} are numbers", fit.share()),
                    (None, 1) => "The only column of numbers".to_owned(),
                    (None, count) => format!("CHECK: the first of {count} columns of numbers"),
                };
                self.take("value", index, "", &format!("{comment}{}", fit.doubt()), true);
            }
            None => self.fill_in("value", "constant: FILL_IN_VALUE", "constant: 0", "no column of numbers"),
        }
        Vec::new()
    }

    /// Fields that any kind may have, by their names alone.
    fn labels(&mut self, kind: Kind) {
        let table: [(&'static str, &[&str]); 7] = [
            ("instance", INSTANCE),
            ("tenant", &["tenant", "tenant id", "customer", "account"]),
            ("version", &["version", "release"]),
            ("environment", &["environment", "env"]),
            ("region", &["region", "zone"]),
            ("trace_id", &["trace id", "trace"]),
            ("event_id", &["event id", "request id", "id"]),
        ];
        for (field, names) in table {
            if kind.field(field).is_none() {
                continue;
            }
            let short = |column: &Column| at_most(column, 128);
            if field == "event_id" {
                // An id that stands twice is none, and rows would be taken for one another.
                if let Some(index) = self.find(names, |column| short(column).holds() && is_unique(column)) {
                    self.take(field, index, "", "By the name", false);
                }
            } else if let Some((index, fit)) = self.find_fit(field, names, short) {
                self.take(field, index, "", &format!("By the name{}", fit.doubt()), false);
            }
        }
    }

    /// What no field took: the line that would keep it, and an example of what stands there.
    fn left_over(&self) -> Vec<String> {
        let line = |index: usize| {
            let column = &self.table.places[index];
            let example = column
                .present()
                .next()
                .map_or("no value".to_owned(), |text| format!("such as {}", crate::convert::head(text)));
            let name = words(&column.place).join("_");
            format!("{ATTRIBUTES}{name}: {{ {} }}   {example}", self.place(index))
        };
        (0..self.table.places.len()).filter(|index| !self.used[*index]).map(line).collect()
    }
}
