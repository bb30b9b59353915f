//! a name that isn't there → what was probably meant
//!
//! Must never know: expressions.

use streamgauge_events::{Field, Kind};

/// What fields are called elsewhere: in access logs, OpenTelemetry, Envoy and other people's heads.
const ELSEWHERE: [(&str, &str); 40] = [
    ("code", "status"),
    ("status_code", "status"),
    ("http_status", "status"),
    ("response_code", "status"),
    ("latency", "latency_us"),
    ("latency_ms", "latency_us"),
    ("duration", "latency_us"),
    ("duration_ms", "latency_us"),
    ("duration_us", "latency_us"),
    ("elapsed", "latency_us"),
    ("response_time", "latency_us"),
    ("time", "latency_us"),
    ("path", "route"),
    ("url", "route"),
    ("uri", "route"),
    ("endpoint", "route"),
    ("url_path", "route"),
    ("verb", "method"),
    ("http_method", "method"),
    ("env", "environment"),
    ("stage", "environment"),
    ("success", "ok"),
    ("succeeded", "ok"),
    ("error", "ok"),
    ("failed", "ok"),
    ("app", "service"),
    ("job", "service"),
    ("customer", "tenant"),
    ("organization", "tenant"),
    ("release", "version"),
    ("build", "version"),
    ("zone", "region"),
    ("score", "value"),
    ("usage", "value"),
    ("passed", "good"),
    ("count", "total"),
    ("pod", "instance"),
    ("host", "instance"),
    ("labels", "attributes"),
    ("tags", "attributes"),
];

/// Fields that a predicate may read.
pub(crate) fn offered(kind: Kind) -> impl Iterator<Item = Field> {
    kind.fields().iter().copied().filter(|field| *field != Field::Ts)
}

/// The field of this kind that was probably meant.
pub(crate) fn closest_field(name: &str, kind: Kind) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let elsewhere = ELSEWHERE.iter().find(|(foreign, _)| *foreign == lower).map(|(_, field)| *field);
    let known = elsewhere.filter(|field| offered(kind).any(|known| known.name() == *field));
    known.or_else(|| closest(name, offered(kind).map(Field::name)))
}

/// The name that takes the fewest changes, if those are few beside its length.
pub(crate) fn closest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "");
    let name = plain(name);
    if name.len() > 32 {
        return None;
    }
    let distances = known.map(|known| (distance(&name, &plain(known)), known));
    let (distance, known) = distances.min()?;
    (distance <= known.len().div_ceil(3).min(3)).then_some(known)
}

/// Levenshtein's, in bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_what_they_are_called_elsewhere_and_by_typing_errors() {
        for (name, kind, expected) in [
            ("statsu", Kind::Request, Some("status")),
            ("Status", Kind::Request, Some("status")),
            ("latencyUs", Kind::Request, Some("latency_us")),
            ("latency_ms", Kind::Request, Some("latency_us")),
            ("path", Kind::Request, Some("route")),
            ("path", Kind::Resource, None),
            ("score", Kind::Score, Some("value")),
            ("xyz", Kind::Request, None),
            ("o", Kind::Request, Some("ok")),
        ] {
            assert_eq!(closest_field(name, kind), expected, "{name} of a {kind}");
        }
        let known = ELSEWHERE.iter().all(|(_, field)| Kind::ALL.iter().any(|kind| kind.field(field).is_some()));
        assert!(known);
    }
}
