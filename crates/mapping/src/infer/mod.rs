//! The beginning of a file → a mapping to start from, with the reason for each of its lines.
//!
//! A function of rows. Guesses by names and by what the texts have in common, and never in silence: what can't be told is
//! a constant marked FILL IN, what was guessed is marked CHECK. What it writes is a valid mapping.

mod guess;
mod sample;
mod write;

use std::collections::BTreeSet;

use streamgauge_events::Kind;

use crate::convert::ATTRIBUTES;
use crate::mapping::Format;
use guess::{all, are_integers, best_times, duration_unit, has_word, is_named, is_number, times, words};
pub use sample::{Column, Table, table};
use write::quoted;

/// A mapping that nobody has looked at yet.
#[derive(Debug)]
pub struct Proposal {
    pub yaml: String,
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
    comment: String,
}

/// What is known so far.
struct Inference<'t> {
    table: &'t Table,
    /// Which places a field takes already.
    used: Vec<bool>,
    nulls: Vec<Vec<&'static str>>,
    lines: Vec<FieldLine>,
}

/// `source` names the sample; `wanted` is the kind of event, where the caller knows it.
pub fn propose(mut table: Table, source: &str, wanted: Option<Kind>) -> Proposal {
    let nulls = table.places.iter_mut().map(take_nulls).collect();
    let kind = wanted.unwrap_or_else(|| kind_of(&mut table));
    let used = vec![false; table.places.len()];
    let mut inference = Inference { table: &table, used, nulls, lines: Vec::new() };
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
    write::proposal(inference, kind, source, &unpivot)
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
    let duration = table.places.iter().find(|column| is_duration(column)).map(|column| column.place.clone());
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

/// A duration of one request, not a statistic of many.
fn is_duration(column: &Column) -> bool {
    let name = words(&column.place);
    let named = LATENCY.iter().any(|wanted| format!(" {} ", name.join(" ")).contains(&format!(" {wanted} ")));
    named && !has_word(&column.place, QUANTILES) && is_number(column)
}

impl Inference<'_> {
    fn place(&self, index: usize) -> String {
        format!("{}: {}", self.table.format.place_key(), quoted(&self.table.places[index].place))
    }

    /// The first place that nobody has taken, is named so and passes.
    fn find(&self, wanted: &[&str], test: impl Fn(&Column) -> bool) -> Option<usize> {
        let free = |index: &usize| !self.used[*index];
        let fits = |index: &usize| {
            let column = &self.table.places[*index];
            is_named(bare(&column.place), wanted) && test(column)
        };
        (0..self.table.places.len()).filter(free).find(fits)
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
        self.lines.push(FieldLine { name: name.to_owned(), keys, comment });
    }

    fn fill_in(&mut self, name: &str, keys: &str, why: &str) {
        let comment = format!("{FILL_IN}: {why}");
        self.lines.push(FieldLine { name: name.to_owned(), keys: keys.to_owned(), comment });
    }

    fn time(&mut self, kind: Kind) {
        if self.table.format == Format::Combined {
            let keys = "group: time, format: \"%d/%b/%Y:%H:%M:%S %z\"";
            self.lines.push(FieldLine { name: "ts".into(), keys: keys.into(), comment: String::new() });
            return;
        }
        let found: Vec<_> = (self.table.places.iter().enumerate())
            .filter_map(|(index, column)| Some((index, times(column)?)))
            .collect();
        let Some((index, best)) = best_times(&found, |index| self.table.places[index].place.clone()) else {
            let why = "no column could be read as a time";
            return self.fill_in("ts", "constant: \"2000-01-01T00:00:00Z\", format: rfc3339", why);
        };
        let mut comment = format!("Times: {}", best.why);
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
        if let Some(index) = self.find(SERVICE, |column| !is_number(column)) {
            return self.take("service", index, "", "By the name", true);
        }
        let is_pod = |column: &Column| {
            let pod = regex_lite::Regex::new(POD).expect("a constant pattern");
            all(column, |text| pod.is_match(text))
        };
        if let Some(index) = self.find(POD_NAMES, is_pod) {
            let more = format!("extract: \"{POD}\"");
            self.take("service", index, &more, "All are names of pods; the service is what stands before", true);
            // It tells the instance, too.
            self.used[index] = false;
            return;
        }
        self.fill_in("service", "constant: FILL_IN_SERVICE", "no column names a service");
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
                self.lines.push(FieldLine { name: name.into(), keys: keys.into(), comment: comment.into() });
            }
            return;
        }
        if let Some(index) = self.find(ROUTE, |column| !is_number(column)) {
            let is_path = self.table.places[index].present().any(|text| text.contains('?'));
            let comment =
                if is_path { "By the name. CHECK: there are queries in it; use `extract`" } else { "By the name" };
            self.take("route", index, "", comment, false);
        }
        if let Some(index) = self.find(METHOD, |column| all(column, |text| text.len() < 16)) {
            self.take("method", index, "", "By the name", false);
        }
        if let Some(index) = self.find(STATUS, |column| are_integers(column, 0, 999)) {
            self.take("status", index, "", "By the name, and all are integers from 0 to 999", false);
        }
        for (names, when_true) in [(OK, true), (FAILED, false)] {
            let words = [("true", true), ("false", false), ("1", true), ("0", false), ("True", true), ("False", false)];
            let test = |column: &Column| all(column, |text| words.iter().any(|(word, _)| *word == text));
            let Some(index) = self.find(names, test).filter(|_| self.lines.iter().all(|line| line.name != "ok")) else {
                continue;
            };
            let seen = words.iter().filter(|(word, _)| self.table.places[index].present().any(|text| text == *word));
            let table: Vec<String> = seen.map(|(word, truth)| format!("\"{word}\": {}", *truth == when_true)).collect();
            self.take("ok", index, &format!("map: {{ {} }}", table.join(", ")), "By the name", false);
        }
        let duration =
            (0..self.table.places.len()).find(|index| !self.used[*index] && is_duration(&self.table.places[*index]));
        if let Some(index) = duration {
            let (unit, why) = duration_unit(&self.table.places[index]);
            self.take("latency_us", index, &format!("unit: {unit}"), &format!("A duration: {why}"), false);
        }
    }

    /// `metric` and `value`; where there are several columns of numbers, all of them, which are returned.
    fn value(&mut self, kind: Kind) -> Vec<(String, String)> {
        let is_free = |index: &usize| !self.used[*index] && is_number(&self.table.places[*index]);
        let named = self.find(VALUE, is_number);
        let numbers: Vec<usize> = (0..self.table.places.len()).filter(is_free).collect();
        let resources: Vec<usize> =
            numbers.iter().copied().filter(|index| has_word(&self.table.places[*index].place, RESOURCES)).collect();
        if named.is_none() && resources.len() > 1 && self.table.format.has_columns() && kind == Kind::Resource {
            let column = |index: &usize| {
                let place = &self.table.places[*index].place;
                (quoted(place), words(place).join("_"))
            };
            let columns = resources.iter().map(column).collect();
            for index in resources {
                self.used[index] = true;
            }
            for (name, keys, comment) in
                [("metric", "group: metric", "CHECK the names and the scales above"), ("value", "cell: value", "")]
            {
                self.lines.push(FieldLine { name: name.into(), keys: keys.into(), comment: comment.into() });
            }
            return columns;
        }
        match self.find(&["metric", "metric name", "name"], |column| !is_number(column)) {
            Some(index) => self.take("metric", index, "", "By the name", true),
            None => {
                let why = "no column names what is measured; `from: file_name` may";
                self.fill_in("metric", "constant: FILL_IN_METRIC", why);
            }
        }
        match named.or(numbers.first().copied()) {
            Some(index) => {
                let comment = match (named, numbers.len()) {
                    (Some(_), _) => "By the name, and all are numbers".to_owned(),
                    (None, 1) => "The only column of numbers".to_owned(),
                    (None, count) => format!("CHECK: the first of {count} columns of numbers"),
                };
                self.take("value", index, "", &comment, true);
            }
            None => self.fill_in("value", "constant: 0", "no column of numbers"),
        }
        Vec::new()
    }

    /// Fields that any kind may have, by their names alone.
    fn labels(&mut self, kind: Kind) {
        let table: [(&str, &[&str]); 7] = [
            ("instance", INSTANCE),
            ("tenant", &["tenant", "tenant id", "customer", "account"]),
            ("version", &["version", "release"]),
            ("environment", &["environment", "env"]),
            ("region", &["region", "zone"]),
            ("trace_id", &["trace id", "trace"]),
            ("event_id", &["event id", "request id", "id"]),
        ];
        for (field, names) in table {
            let short = |column: &Column| all(column, |text| text.len() <= 128);
            if kind.field(field).is_none() {
                continue;
            }
            if let Some(index) = self.find(names, |column| short(column) && (field != "event_id" || is_unique(column)))
            {
                self.take(field, index, "", "By the name", false);
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
