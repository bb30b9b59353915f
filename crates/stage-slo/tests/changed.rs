//! Definitions change while an alarm fires: whoever was told that it fires must be told that it ended, by the same fingerprint,
//! and nobody is told of one outage twice.

#[allow(dead_code)]
#[path = "objectives/support/facts.rs"]
mod facts;
#[allow(dead_code)]
#[path = "objectives/support/promises.rs"]
mod promises;

use std::time::Duration;

use facts::{Chain, json_of, point};
use promises::{DAY_US, HOUR_US, rolling, share, sli, slo};
use serde_json::Value;
use streamgauge_definitions::{
    AlertCondition, AlertRule, Budgeting, Bundle, Definitions, Failures, Measure, Service, Slo,
};
use streamgauge_events::{Fact, topics};
use streamgauge_memory_log::{Broker, ClientConfig, MemoryLog};
use streamgauge_slo::{Fraction, Severity};
use streamgauge_stage::{Worker, WorkerSettings};
use streamgauge_stage_slo::SloStage;

struct Bus {
    broker: Broker,
    chain: Chain,
}

impl Bus {
    fn new() -> Self {
        let broker = Broker::default();
        for topic in [topics::SLI_WINDOWS, topics::SLO_STATE, topics::ALERTS, topics::DEAD_LETTERS] {
            broker.create_topic(topic, 1);
        }
        Self { broker, chain: Chain::new(topics::REQUESTS, 0) }
    }

    fn append(&self, fact: &Fact) {
        self.broker.append(topics::SLI_WINDOWS, 0, None, Some(&json_of(fact)));
    }

    /// A pane, and the end of its batch.
    fn pane(&mut self, pane: i64, n: u64, good: u64) {
        if n > 0 {
            self.append(&Fact::Delta(self.chain.delta("answers", "checkout", pane, n, good)));
        }
        let frontier = self.chain.frontier(point(pane + 1), Some(1));
        self.append(&Fact::Frontier(frontier));
    }

    /// Reads all that there is, by these definitions.
    fn run(&self, definitions: &Definitions) {
        let bundle = Bundle { definitions: definitions.clone(), ..Bundle::default() };
        let stage = SloStage::new(&bundle, topics::REQUESTS).expect("valid");
        let log = MemoryLog::connect(&self.broker, ClientConfig::new("slo", "one", &[topics::SLI_WINDOWS]));
        let mut worker = Worker::new(log.expect("a log"), stage, WorkerSettings::default());
        let mut now = self.broker.now();
        for _ in 0..20 {
            now = now.plus_us(3_000_000);
            self.broker.advance_to(now);
            worker.turn(now, Duration::ZERO).unwrap_or_else(|exit| panic!("it gave up: {exit}"));
        }
        worker.stop(now).0.unwrap_or_else(|exit| panic!("it gave up: {exit}"));
        let committed = self.broker.group_offset("slo", topics::SLI_WINDOWS, 0).map(|committed| committed.offset);
        assert_eq!(committed, Some(self.broker.offsets(topics::SLI_WINDOWS, 0).1));
    }

    fn alerts(&self) -> Vec<Value> {
        let records = self.broker.records(topics::ALERTS, 0);
        records.iter().filter_map(|record| serde_json::from_slice(record.value.as_deref()?).ok()).collect()
    }

    /// `fired` or the like, of these alerts.
    fn told(&self) -> Vec<String> {
        let text = |alert: &Value, key: &str| alert[key].as_str().unwrap_or_default().to_owned();
        self.alerts()
            .iter()
            .map(|alert| format!("{} {} {}", text(alert, "slo"), text(alert, "rule"), text(alert, "transition")))
            .collect()
    }
}

fn burn(severity: Severity) -> AlertRule {
    AlertRule {
        name: "fast".to_owned(),
        description: None,
        severity,
        condition: AlertCondition::Burn { factor: Fraction::new(2, 1), long_us: HOUR_US, short_us: 300_000_000 },
        pending_us: 0,
        targets: Vec::new(),
    }
}

fn objective(alerts: Option<Vec<AlertRule>>) -> Slo {
    Slo { alerts, ..slo("checkout", "answers", share(9, 10), Budgeting::Occurrences, rolling(DAY_US)) }
}

fn definitions(slos: &[(&str, Slo)]) -> Definitions {
    let mut definitions = Definitions::default();
    definitions.services.insert("checkout".to_owned(), Service::default());
    let measure = Measure::Latency { threshold_us: 250_000, failures: Failures::Bad, thresholds_us: Vec::new() };
    definitions.slis.insert("answers".to_owned(), sli("checkout", topics::REQUESTS, measure));
    for (name, slo) in slos {
        definitions.slos.insert((*name).to_owned(), slo.clone());
    }
    definitions
}

/// Ten bad panes, the definitions change, then an hour and a half of calm.
fn changed(before: &Definitions, after: &Definitions) -> Bus {
    let mut bus = Bus::new();
    (0..10).for_each(|pane| bus.pane(pane, 100, 0));
    bus.run(before);
    assert_eq!(bus.told().iter().filter(|line| line.ends_with("fired")).count(), 1, "{:?}", bus.told());
    (10..12).for_each(|pane| bus.pane(pane, 100, 0));
    bus.run(after);
    (12..600).for_each(|pane| bus.pane(pane, 100, 100));
    bus.run(after);
    bus
}

fn ends_with_the_fingerprint_that_it_fired_with(bus: &Bus) {
    let alerts = bus.alerts();
    for fired in alerts.iter().filter(|alert| alert["transition"] == "fired") {
        let is_end = |alert: &&Value| alert["transition"] != "fired" && alert["fingerprint"] == fired["fingerprint"];
        assert!(alerts.iter().any(|alert| is_end(&alert)), "it fires for ever: {:?}", bus.told());
    }
}

#[test]
fn an_alarm_that_goes_on_is_told_of_once() {
    let strict = Slo { target: share(95, 100), ..objective(Some(vec![burn(Severity::Critical)])) };
    let before = definitions(&[("one", objective(Some(vec![burn(Severity::Critical)])))]);
    let bus = changed(&before, &definitions(&[("one", strict)]));
    assert_eq!(bus.told(), ["one fast fired", "one fast resolved"]);
    ends_with_the_fingerprint_that_it_fired_with(&bus);
}

#[test]
fn an_alarm_of_another_severity_ends_as_it_began() {
    let before = definitions(&[("one", objective(Some(vec![burn(Severity::Warning)])))]);
    let after = definitions(&[("one", objective(Some(vec![burn(Severity::Critical)])))]);
    ends_with_the_fingerprint_that_it_fired_with(&changed(&before, &after));
}
