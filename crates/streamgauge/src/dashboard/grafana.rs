//! A dashboard as Grafana 11 imports it. Knows the names of `slo/figures.rs`, and no numbers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamgauge_definitions::{AlertCondition, AlertRule, Definitions, Slo, duration_text};
use streamgauge_slo::Severity;

use crate::slo::figures::{ALERT_FIRING, BUDGET_REMAINING, BURN_RATE, EVALUATED_UNTIL, EVENTS};

/// That of Grafana 11.0; later ones convert it.
const SCHEMA_VERSION: u32 = 39;
/// Grafana keeps a dashboard by this: a later import takes the place of an earlier one.
const UID: &str = "streamgauge-slos";
/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;
const HEIGHT: u32 = 7;
/// Only where the length of a pane decides which windows there are, which is below 10 s.
const PANE_US: i64 = 10_000_000;

/// JSON, with its keys in alphabetical order.
pub fn dashboard(definitions: &Definitions, datasource: Option<&str>) -> String {
    let mut board = Board::default();
    board.row("All SLOs", 4);
    board.panel(16, 4, all_firing());
    board.panel(8, 4, behind());
    for (service, slos) in by_service(definitions) {
        board.row(&row_title(definitions, service), HEIGHT);
        for (name, slo) in slos {
            let rules = definitions.alerts_of(slo, PANE_US);
            let of = selector(&slo.service, name);
            board.panel(4, HEIGHT, budget(name, slo, &of));
            board.panel(9, HEIGHT, burn_rates(name, &rules, &of));
            board.panel(6, HEIGHT, events(name, slo, &of));
            board.panel(5, HEIGHT, alarms(name, &of));
        }
    }
    let current = datasource.map_or_else(|| json!({}), |name| json!({ "selected": true, "text": name, "value": name }));
    let dashboard = json!({
        "uid": UID,
        "title": "Service level objectives",
        "description": "Made by streamgauge dashboard grafana: change the definitions, and make it again.",
        "tags": ["streamgauge", "slo"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-24h", "to": "now" },
        "timezone": "browser",
        "annotations": { "list": [] },
        "links": [],
        "templating": { "list": [{
            "type": "datasource",
            "name": "datasource",
            "label": "Data source",
            "query": "prometheus",
            "current": current,
            "hide": 0,
            "refresh": 1,
            "regex": "",
        }] },
        "panels": board.panels,
    });
    serde_json::to_string_pretty(&dashboard).expect("texts and numbers always have a JSON form")
}

/// Panels from left to right, and ids by counting.
#[derive(Default)]
struct Board {
    panels: Vec<Value>,
    x: u32,
    y: u32,
    row_height: u32,
}

impl Board {
    fn row(&mut self, title: &str, height: u32) {
        self.end_line();
        self.add(json!({ "type": "row", "title": title, "collapsed": false, "panels": [] }), COLUMNS, 1);
        self.row_height = 1;
        self.end_line();
        self.row_height = height;
    }

    fn panel(&mut self, width: u32, height: u32, panel: Value) {
        if self.x + width > COLUMNS {
            self.end_line();
            self.row_height = height;
        }
        self.add(panel, width, height);
    }

    fn end_line(&mut self) {
        if self.x > 0 {
            (self.x, self.y) = (0, self.y + self.row_height);
        }
    }

    fn add(&mut self, mut panel: Value, width: u32, height: u32) {
        panel["id"] = json!(self.panels.len() + 1);
        panel["gridPos"] = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        self.panels.push(panel);
        self.x += width;
    }
}

fn by_service(definitions: &Definitions) -> BTreeMap<&str, Vec<(&str, &Slo)>> {
    let mut services: BTreeMap<&str, Vec<(&str, &Slo)>> = BTreeMap::new();
    for (name, slo) in &definitions.slos {
        services.entry(&slo.service).or_default().push((name, slo));
    }
    services
}

fn row_title(definitions: &Definitions, service: &str) -> String {
    let known = definitions.services.get(service);
    let name = known.and_then(|known| known.display_name.as_deref()).unwrap_or(service);
    match known.and_then(|known| known.owner.as_deref()) {
        Some(owner) => format!("{name} ({owner})"),
        None => name.to_owned(),
    }
}

fn all_firing() -> Value {
    let query = format!("sum by (severity) ({})", metric(ALERT_FIRING, ""));
    let panel = panel("stat", "Alerts that fire", "By severity, of all SLOs.", vec![target(&query, "{{severity}}")]);
    with_field(panel, json!({ "min": 0, "thresholds": steps(&[("green", None), ("red", Some(1.0))]) }))
}

fn behind() -> Value {
    let query = format!("time() - min by (topic) ({})", metric(EVALUATED_UNTIL, ""));
    let about =
        "Time since the last grid point up to which everything was evaluated. What is older than this is unknown.";
    let panel = panel("stat", "Behind", about, vec![target(&query, "{{topic}}")]);
    let limits = steps(&[("green", None), ("orange", Some(60.0)), ("red", Some(120.0))]);
    with_field(panel, json!({ "unit": "s", "thresholds": limits }))
}

fn budget(name: &str, slo: &Slo, of: &str) -> Value {
    let query = format!("min by (tenant) ({})", metric(BUDGET_REMAINING, of));
    let about = format!(
        "{}{} of {} over {}: what is left of its error budget. Below 0% it is overdrawn.",
        slo.description.as_deref().map_or_else(String::new, |text| format!("{text}\n\n")),
        slo.target.percent_text(),
        slo.indicator,
        slo.window
    );
    let panel = panel("stat", &format!("{name}: budget left"), &about, vec![target(&query, "{{tenant}}")]);
    let limits = steps(&[("red", None), ("orange", Some(0.0)), ("green", Some(0.1))]);
    with_field(panel, json!({ "unit": "percentunit", "decimals": 1, "thresholds": limits }))
}

/// One line a window of each tier, and a dashed one at each factor.
fn burn_rates(name: &str, rules: &[AlertRule], of: &str) -> Value {
    let (mut targets, mut about, mut factors) = (Vec::new(), Vec::new(), Vec::new());
    for rule in rules {
        let AlertCondition::Burn { factor, long_us, short_us } = rule.condition else { continue };
        let factor_value = factor.numerator as f64 / factor.denominator as f64;
        factors.push((factor_value, colour(rule.severity)));
        let (long, short) = (duration_text(long_us), duration_text(short_us));
        let severity = rule.severity.as_str();
        about.push(format!("{} ({severity}): above {factor_value} over {long} and over {short}", rule.name));
        for (window, length) in [("long", &long), ("short", &short)] {
            let of = format!("{of}, rule={}, window=\"{window}\"", quoted(&rule.name));
            let query = format!("max by (tenant) ({})", metric(BURN_RATE, &of));
            targets.push(target(&query, &format!("{{{{tenant}}}} {} {length}", rule.name)));
        }
    }
    let title = format!("{name}: burn rates");
    if targets.is_empty() {
        return json!({
            "type": "text",
            "title": title,
            "options": { "mode": "markdown", "content": "No alarm of this SLO goes by a burn rate." },
        });
    }
    factors.sort_by(|one, other| one.0.total_cmp(&other.0));
    factors.dedup_by(|later, first| later.0 == first.0);
    let lines = factors.into_iter().map(|(factor, colour)| (colour, Some(factor)));
    let limits: Vec<(&str, Option<f64>)> = [("green", None)].into_iter().chain(lines).collect();
    let panel = panel("timeseries", &title, &about.join("\n\n"), targets);
    let custom = json!({ "thresholdsStyle": { "mode": "dashed" }, "fillOpacity": 0, "spanNulls": true });
    with_field(panel, json!({ "min": 0, "custom": custom, "thresholds": steps(&limits) }))
}

fn events(name: &str, slo: &Slo, of: &str) -> Value {
    let query = format!("sum by (tenant, outcome) (rate({}[$__rate_interval]))", metric(EVENTS, of));
    let about = match slo.budgeting.width_us() {
        None => "What its SLI judges, a second.".to_owned(),
        Some(width_us) => format!("Slices of {}, a second.", duration_text(width_us)),
    };
    let title = format!("{name}: good and bad");
    let panel = panel("timeseries", &title, &about, vec![target(&query, "{{tenant}} {{outcome}}")]);
    let custom = json!({ "fillOpacity": 20, "stacking": { "mode": "normal", "group": "A" } });
    let mut panel = with_field(panel, json!({ "min": 0, "unit": "short", "custom": custom }));
    let colour = |outcome: &str, colour: &str| {
        let properties = json!([{ "id": "color", "value": { "mode": "fixed", "fixedColor": colour } }]);
        json!({ "matcher": { "id": "byRegexp", "options": format!("/{outcome}$/") }, "properties": properties })
    };
    panel["fieldConfig"]["overrides"] = json!([colour("good", "green"), colour("bad", "red")]);
    panel
}

fn alarms(name: &str, of: &str) -> Value {
    let query = format!("max by (tenant, rule, severity) ({})", metric(ALERT_FIRING, of));
    let title = format!("{name}: alarms");
    let targets = vec![target(&query, "{{tenant}} {{rule}} ({{severity}})")];
    let panel = panel("state-timeline", &title, "Which of its alarms fire, and when they did.", targets);
    let state = |text: &str, colour: &str| json!({ "text": text, "color": colour });
    let mappings =
        json!([{ "type": "value", "options": { "0": state("quiet", "green"), "1": state("fires", "red") } }]);
    with_field(panel, json!({ "mappings": mappings, "thresholds": steps(&[("green", None), ("red", Some(1.0))]) }))
}

/// `service="…", slo="…"`.
fn selector(service: &str, slo: &str) -> String {
    format!("service={}, slo={}", quoted(service), quoted(slo))
}

/// A name as Prometheus has it: with our prefix, and the ending of a counter.
fn metric(name: &str, of: &str) -> String {
    let ending = if name == EVENTS { "_total" } else { "" };
    let of = if of.is_empty() { String::new() } else { format!("{{{of}}}") };
    format!("streamgauge_{name}{ending}{of}")
}

/// A string of PromQL.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn target(query: &str, legend: &str) -> Value {
    json!({ "datasource": datasource(), "expr": query, "legendFormat": legend, "range": true, "refId": "" })
}

fn panel(kind: &str, title: &str, about: &str, mut targets: Vec<Value>) -> Value {
    for (index, target) in targets.iter_mut().enumerate() {
        target["refId"] = json!(ref_id(index));
    }
    json!({
        "type": kind,
        "title": title,
        "description": about,
        "datasource": datasource(),
        "targets": targets,
        "fieldConfig": { "defaults": {}, "overrides": [] },
        "options": {},
    })
}

/// A, B, … Z, then A1, B1, …
fn ref_id(index: usize) -> String {
    let letter = char::from(b'A' + (index % 26) as u8);
    if index < 26 { letter.to_string() } else { format!("{letter}{}", index / 26) }
}

fn with_field(mut panel: Value, defaults: Value) -> Value {
    panel["fieldConfig"]["defaults"] = defaults;
    panel
}

/// Each colour from its value on; the first one from below everything.
fn steps(colours: &[(&str, Option<f64>)]) -> Value {
    let steps: Vec<Value> = colours.iter().map(|(colour, value)| json!({ "color": colour, "value": value })).collect();
    json!({ "mode": "absolute", "steps": steps })
}

const fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "blue",
        Severity::Warning => "yellow",
        Severity::Major => "orange",
        Severity::Critical => "red",
    }
}
