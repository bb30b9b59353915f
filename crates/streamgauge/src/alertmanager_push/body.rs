//! An alarm → an alert as `POST /api/v2/alerts` of Alertmanager takes it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use streamgauge_definitions::Definitions;
use streamgauge_events::EventTime;
use streamgauge_slo::Transition;
use streamgauge_stage_slo::{AlertRecord, WindowCounts};
use streamgauge_windows::window::rfc3339_text;

use super::book::Alarm;
use crate::slo_text;

/// An alert that is not repeated ends in Alertmanager after so many resends, as Prometheus has it.
pub const LIFE_RESENDS: u32 = 4;
/// Labels that are ours: `--label` can't set them.
pub const OWN_LABELS: [&str; 7] = ["alertname", "tenant", "service", "slo", "rule", "severity", "targets"];

/// What is said of every alert.
#[derive(Clone, Debug, Default)]
pub struct Saying {
    pub labels: BTreeMap<String, String>,
    pub link: Option<Link>,
    /// What descriptions and owners are taken from.
    pub definitions: Definitions,
    pub resend: Duration,
}

/// `postableAlert` of Alertmanager's OpenAPI description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableAlert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<&'static str, String>,
    pub starts_at: String,
    pub ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
}

impl PostableAlert {
    pub fn of(alarm: &Alarm, saying: &Saying, now: EventTime) -> Self {
        let newest = alarm.newest();
        let life_us = i64::try_from((saying.resend * LIFE_RESENDS).as_micros()).unwrap_or(i64::MAX);
        let ends_at = match &alarm.resolved {
            None => EventTime(now.0.saturating_add(life_us)),
            // An end to come would let it fire on.
            Some(resolved) => resolved.at.min(now).max(alarm.fired.starts_at),
        };
        Self {
            labels: labels(&alarm.fired, &saying.labels),
            annotations: annotations(newest, &saying.definitions),
            starts_at: rfc3339_text(alarm.fired.starts_at),
            ends_at: rfc3339_text(ends_at),
            generator_url: saying.link.as_ref().map(|link| link.of(newest)),
        }
    }
}

/// The name is that of the SLO: what is grouped by names, as is usual, tells of all its tiers at once.
fn labels(fired: &AlertRecord, more: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let AlertRecord { tenant, service, slo, rule, severity, targets, .. } = fired;
    let own = [
        ("alertname", slo.clone()),
        ("tenant", tenant.clone()),
        ("service", service.clone()),
        ("slo", slo.clone()),
        ("rule", rule.clone()),
        ("severity", severity.as_str().to_owned()),
        ("targets", targets.join(",")),
    ];
    let own = own.into_iter().filter(|(_, value)| !value.is_empty());
    let more = more.iter().map(|(name, value)| (name.clone(), value.clone()));
    more.chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
}

fn annotations(record: &AlertRecord, definitions: &Definitions) -> BTreeMap<&'static str, String> {
    let AlertRecord { alert, target, window, long, short, counted, remaining, forecast, exemplars, .. } = record;
    let told = [
        ("summary", Some(summary(record))),
        ("description", description(record, definitions)),
        ("owner", definitions.services.get(&record.service).and_then(|service| service.owner.clone())),
        ("target", Some(format!("{target} over {window}"))),
        ("burn_long", long.as_ref().map(burn)),
        ("burn_short", short.as_ref().map(burn)),
        ("budget_left", remaining.map(|share| slo_text::remaining(Some(share)))),
        ("counted", Some(bad_of(counted.bad, counted.total))),
        ("forecast", Some(slo_text::forecast(*forecast, *remaining))),
        ("traces", (!exemplars.is_empty()).then(|| exemplars.join(", "))),
        ("alert", (!alert.is_empty()).then(|| alert.clone())),
        ("explain", (!alert.is_empty()).then(|| format!("streamgauge explain {alert}"))),
    ];
    told.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

/// Of the alarm, or else of its SLO.
fn description(record: &AlertRecord, definitions: &Definitions) -> Option<String> {
    let slo = definitions.slos.get(&record.slo)?;
    let rule = slo.alerts.iter().flatten().find(|rule| rule.name == record.rule);
    rule.and_then(|rule| rule.description.clone()).or_else(|| slo.description.clone())
}

/// One line, for the head of a notification.
fn summary(record: &AlertRecord) -> String {
    let AlertRecord { service, slo, rule, long, short, remaining, .. } = record;
    let left = remaining
        .map_or_else(String::new, |share| format!("; {} of the budget left", slo_text::remaining(Some(share))));
    if record.transition == Transition::Resolved {
        let lasted = slo_text::span(record.at.0 - record.starts_at.0);
        return format!("{slo} of {service}: {rule} resolved after {lasted}{left}");
    }
    match (long, short) {
        // Only what asks for traffic fires on an empty window.
        (_, Some(short)) if short.total == 0 => format!("{slo} of {service}: {rule}: no traffic{left}"),
        (Some(long), Some(short)) => {
            let (long, short) = (slo_text::burn(long.burn), slo_text::burn(short.burn));
            format!(
                "{slo} of {service}: {rule}: burn rate {long} over the long window, {short} over the short one{left}"
            )
        }
        _ => format!("{slo} of {service}: {rule}{left}"),
    }
}

fn burn(counts: &WindowCounts) -> String {
    let WindowCounts { bad, total, burn } = counts;
    format!("{} ({})", slo_text::burn(*burn), bad_of(*bad, *total))
}

fn bad_of(bad: i128, total: i128) -> String {
    format!("{}/{} bad", slo_text::thousands(bad), slo_text::thousands(total))
}

/// A URL in which `{slo}`, `{service}`, `{rule}`, `{tenant}` and `{alert}` stand for those of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    pub fn new(template: &str) -> Result<Self, String> {
        let link = Self(template.to_owned());
        let whole = link.fill(|_| Some("x"));
        if whole.contains(['{', '}']) {
            return Err("it may hold {slo}, {service}, {rule}, {tenant} and {alert}, and no other braces".to_owned());
        }
        let url: axum::http::Uri = whole.parse().unwrap_or_default();
        let authority = url.authority().map_or("", |authority| authority.as_str());
        if !["http", "https"].contains(&url.scheme_str().unwrap_or_default()) || authority.is_empty() {
            return Err("it must begin with http:// or https:// and a host".to_owned());
        }
        if authority.contains('@') {
            return Err("it holds credentials, which everyone would see who gets an alert".to_owned());
        }
        Ok(link)
    }

    fn of(&self, record: &AlertRecord) -> String {
        self.fill(|name| match name {
            "slo" => Some(&record.slo),
            "service" => Some(&record.service),
            "rule" => Some(&record.rule),
            "tenant" => Some(&record.tenant),
            "alert" => Some(&record.alert),
            _ => None,
        })
    }

    fn fill<'r>(&self, value: impl Fn(&str) -> Option<&'r str>) -> String {
        ["slo", "service", "rule", "tenant", "alert"].iter().fold(self.0.clone(), |text, name| {
            text.replace(&format!("{{{name}}}"), &percent_encoded(value(name).unwrap_or_default()))
        })
    }
}

/// Everything but what RFC 3986 calls unreserved.
fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}
