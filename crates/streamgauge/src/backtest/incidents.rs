//! Known incidents, as a file tells them: YAML, unknown keys refused.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use streamgauge_definitions::duration_us;
use streamgauge_events::EventTime;

use crate::windows::instant;

/// Incidents of a file, merged, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incidents {
    /// So long before its start and after its end an alert still belongs to an incident.
    pub grace_us: i64,
    /// Incidents of one service that are no further apart than this are one.
    pub merge_us: i64,
    pub incidents: Vec<Incident>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    #[serde(serialize_with = "crate::slo_text::time")]
    pub start: EventTime,
    #[serde(serialize_with = "crate::slo_text::time")]
    pub end: EventTime,
    /// `None`: every service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "grace")]
    grace: String,
    #[serde(default = "merge")]
    merge: String,
    incidents: Vec<Entry>,
}

/// People note times by the minute, and late.
fn grace() -> String {
    "5m".to_owned()
}

/// Lists of bad minutes have neighbours that touch.
fn merge() -> String {
    "1m".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    start: String,
    end: String,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    name: String,
}

pub fn read(path: &Path) -> anyhow::Result<Incidents> {
    let text = std::fs::read_to_string(path).with_context(|| format!("couldn't read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no list of incidents", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Incidents> {
    let file: File = serde_saphyr::from_str(text)?;
    let duration = |key: &str, text: &str| match text {
        "0" | "0s" => Ok(0),
        _ => duration_us(text).map_err(|error| anyhow::anyhow!("{key}: {error}")),
    };
    let (grace_us, merge_us) = (duration("grace", &file.grace)?, duration("merge", &file.merge)?);
    let mut incidents = Vec::new();
    for (number, entry) in (1..).zip(file.incidents) {
        let at = |text: &str| instant(text).map_err(|error| anyhow::anyhow!("incident {number}: {error}"));
        let (start, end) = (at(&entry.start)?, at(&entry.end)?);
        if end <= start {
            bail!("incident {number} ends at {}, not after its start {}", entry.end, entry.start);
        }
        incidents.push(Incident { start, end, service: entry.service, name: entry.name });
    }
    Ok(Incidents { grace_us, merge_us, incidents: merged(incidents, merge_us) })
}

/// Neighbours of the same service become one that has the names of both.
fn merged(mut incidents: Vec<Incident>, merge_us: i64) -> Vec<Incident> {
    incidents.sort_by(|one, other| {
        (&one.service, one.start, one.end, &one.name).cmp(&(&other.service, other.start, other.end, &other.name))
    });
    let mut merged: Vec<Incident> = Vec::new();
    for next in incidents {
        match merged.last_mut() {
            Some(last) if last.service == next.service && next.start.0 - last.end.0 <= merge_us => {
                last.end = last.end.max(next.end);
                if !next.name.is_empty() && !last.name.split(", ").any(|name| name == next.name) {
                    last.name = if last.name.is_empty() { next.name } else { format!("{}, {}", last.name, next.name) };
                }
            }
            _ => merged.push(next),
        }
    }
    merged.sort_by(|one, other| (one.start, &one.service).cmp(&(other.start, &other.service)));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamgauge_windows::window::rfc3339_text;

    fn shown(text: &str) -> String {
        match parse(text) {
            Err(error) => format!("{error:#}"),
            Ok(found) => {
                let line = |incident: &Incident| {
                    let service = incident.service.as_deref().unwrap_or("*");
                    let (start, end) = (rfc3339_text(incident.start), rfc3339_text(incident.end));
                    format!("{} to {} {service} {:?}", &start[11..16], &end[11..16], incident.name)
                };
                found.incidents.iter().map(line).collect::<Vec<_>>().join("; ")
            }
        }
    }

    #[test]
    fn neighbours_of_one_service_are_one_incident() {
        let day = |lines: &[(&str, &str, &str, &str)], more: &str| {
            let entry = |(from, to, service, name): &(&str, &str, &str, &str)| {
                let service = if service.is_empty() { String::new() } else { format!(", service: {service}") };
                format!("- {{start: 2026-01-05T{from}:00Z, end: 2026-01-05T{to}:00Z, name: {name}{service}}}\n")
            };
            shown(&format!("{more}incidents:\n{}", lines.iter().map(entry).collect::<String>()))
        };
        let minutes = [("10:01", "10:02", "", "b"), ("10:00", "10:01", "", "a"), ("10:03", "10:04", "", "a")];
        assert_eq!(day(&minutes, ""), r#"10:00 to 10:04 * "a, b""#);
        assert_eq!(day(&minutes, "merge: 0s\n"), r#"10:00 to 10:02 * "a, b"; 10:03 to 10:04 * "a""#);
        let services =
            [("10:00", "10:05", "cart", "a"), ("10:01", "10:02", "pay", "b"), ("10:05", "10:06", "cart", "a")];
        assert_eq!(day(&services, ""), r#"10:00 to 10:06 cart "a"; 10:01 to 10:02 pay "b""#);
        let within = [("10:00", "10:30", "", "a"), ("10:05", "10:06", "", "b"), ("10:29", "10:40", "", "c")];
        assert_eq!(day(&within, ""), r#"10:00 to 10:40 * "a, b, c""#);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            (
                "incidents: [{start: 2026-01-05, end: 2026-01-05}]",
                "incident 1 ends at 2026-01-05, not after its start 2026-01-05",
            ),
            (
                "incidents: [{start: noon, end: 2026-01-05}]",
                "incident 1: \"noon\" is no time: write 2026-01-31, 2026-01-31T10:00:00Z or 2026-01-31T12:00:00+02:00",
            ),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert!(shown("incidents: [{start: 2026-01-05, end: 2026-01-06, severity: 1}]").contains("severity"));
        assert!(shown("grace: soon\nincidents: []").starts_with("grace: "));
    }
}
