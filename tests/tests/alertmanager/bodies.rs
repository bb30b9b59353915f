//! Examples of alerts, and what is posted of them.

use std::time::Duration;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use streamgauge::alertmanager_push::body::{Link, PostableAlert, Saying};
use streamgauge::alertmanager_push::book::{Book, Moment};
use streamgauge_definitions::Definitions;
use streamgauge_events::EventTime;
use streamgauge_slo::{Forecast, Transition};
use streamgauge_stage_slo::{AlertRecord, WindowCounts};

use crate::rules::mistakes;

/// 2026-01-05T10:20:00Z.
pub const NOW: EventTime = EventTime(1_767_608_400_000_000);

pub fn examples() -> Vec<AlertRecord> {
    let text = include_str!("../../../schemas/alerts.example.jsonl");
    text.lines().map(|line| AlertRecord::from_json(line.as_bytes()).expect("the examples are alerts")).collect()
}

fn body(records: &[AlertRecord], saying: &Saying) -> Value {
    let mut book = Book::new(1, Duration::from_secs(60));
    let now = Moment { wall: NOW, elapsed: Duration::ZERO };
    for record in records {
        book.note(record.clone(), now);
    }
    let alerts: Vec<PostableAlert> =
        book.due(0, now, 64).iter().map(|alarm| PostableAlert::of(alarm, saying, NOW)).collect();
    let body = json!(alerts);
    assert_eq!(mistakes(&body), Vec::<String>::new(), "{body:#}");
    body
}

fn saying() -> Saying {
    Saying { resend: Duration::from_secs(60), ..Saying::default() }
}

fn check(records: &[AlertRecord], saying: &Saying, expected: Expect) {
    let lines: Vec<String> = body(records, saying)
        .as_array()
        .expect("an array")
        .iter()
        .map(|alert| serde_json::to_string_pretty(alert).expect("it was JSON"))
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn what_the_stage_writes_is_read_as_it_was() {
    let text = include_str!("../../../schemas/alerts.example.jsonl");
    let again: Vec<u8> = examples().iter().flat_map(|record| [record.to_json(), b"\n".to_vec()].concat()).collect();
    assert_eq!(String::from_utf8_lossy(&again), text);
}

#[test]
fn every_example_has_a_body_that_alertmanager_takes() {
    let examples = examples();
    let firing: Vec<AlertRecord> =
        examples.iter().filter(|record| record.transition == Transition::Fired).cloned().collect();
    let alerts = body(&firing, &saying()).as_array().map_or(0, Vec::len);
    assert!(alerts >= 3, "{alerts} alerts");
    for mut record in firing {
        let fired = record.clone();
        record.transition = Transition::Resolved;
        record.at = EventTime(record.at.0 + 90_000_000);
        body(&[fired, record], &saying());
    }
}

#[test]
fn a_firing_alert() {
    let mut record = examples().swap_remove(2);
    record.alert = "8f7f47d4".to_owned();
    record.tenant = "acme".to_owned();
    let link = Link::new("https://grafana.internal/d/streamgauge?var-slo={slo}&from={alert}").expect("a link");
    let labels = [("cluster".to_owned(), "eu-1".to_owned())].into();
    check(
        &[record],
        &Saying { labels, link: Some(link), ..saying() },
        expect![[r#"
            {
              "annotations": {
                "alert": "8f7f47d4",
                "budget_left": "99.0%",
                "burn_long": "20.0 (120/12,000 bad)",
                "burn_short": "80.0 (120/3,000 bad)",
                "counted": "120/12,000 bad",
                "explain": "streamgauge explain 8f7f47d4",
                "forecast": "spent in 3d 17h at the rate of the last 6h",
                "summary": "shop-payments of checkout: fast-burn: burn rate 20.0 over the long window, 80.0 over the short one; 99.0% of the budget left",
                "target": "99.95% over 30d",
                "traces": "00002eb8, 00002e86, 00002e81"
              },
              "endsAt": "2026-01-05T10:24:00Z",
              "generatorURL": "https://grafana.internal/d/streamgauge?var-slo=shop-payments&from=8f7f47d4",
              "labels": {
                "alertname": "shop-payments",
                "cluster": "eu-1",
                "rule": "fast-burn",
                "service": "checkout",
                "severity": "critical",
                "slo": "shop-payments",
                "targets": "chat,pager",
                "tenant": "acme"
              },
              "startsAt": "2026-01-05T10:00:40Z"
            }"#]],
    );
}

#[test]
fn a_resolved_alert() {
    let fired = examples().swap_remove(2);
    let mut resolved = fired.clone();
    resolved.transition = Transition::Resolved;
    resolved.at = EventTime(fired.at.0 + 560_000_000);
    resolved.short = Some(WindowCounts { bad: 3, total: 3000, burn: Some(2.0) });
    resolved.forecast = Forecast::NotAtThisRate;
    // What it is routed by stays as it was.
    resolved.targets = vec!["somebody else".to_owned()];
    check(
        &[fired, resolved],
        &saying(),
        expect![[r#"
            {
              "annotations": {
                "alert": "09707ea2",
                "budget_left": "99.0%",
                "burn_long": "20.0 (120/12,000 bad)",
                "burn_short": "2.00 (3/3,000 bad)",
                "counted": "120/12,000 bad",
                "explain": "streamgauge explain 09707ea2",
                "forecast": "not spent at the rate of the last 6h",
                "summary": "shop-payments of checkout: fast-burn resolved after 9m 20s; 99.0% of the budget left",
                "target": "99.95% over 30d",
                "traces": "00002eb8, 00002e86, 00002e81"
              },
              "endsAt": "2026-01-05T10:10:00Z",
              "labels": {
                "alertname": "shop-payments",
                "rule": "fast-burn",
                "service": "checkout",
                "severity": "critical",
                "slo": "shop-payments",
                "targets": "chat,pager"
              },
              "startsAt": "2026-01-05T10:00:40Z"
            }"#]],
    );
}

#[test]
fn definitions_add_descriptions_and_owners() {
    let told = |rule: &str, definitions: &str| {
        let mut record = examples().swap_remove(2);
        record.rule = rule.to_owned();
        let definitions = Definitions::of_text("slos.yaml", definitions).expect("valid definitions");
        let body = body(&[record], &Saying { definitions, ..saying() });
        let text = |name: &str| body[0]["annotations"][name].as_str().unwrap_or("-").to_owned();
        format!("{}; {}", text("description"), text("owner"))
    };
    assert_eq!(told("fast-burn", DEFINITIONS), "Page: payments fail; shop");
    assert_eq!(told("slow-burn", DEFINITIONS), "Payments go through; shop");
    assert_eq!(told("fast-burn", &DEFINITIONS.replace("shop-payments", "another")), "-; shop");
}

const DEFINITIONS: &str = r#"
{apiVersion: openslo/v1, kind: Service, metadata: {name: checkout, labels: {owner: shop}}, spec: {}}
---
{apiVersion: openslo/v1, kind: SLI, metadata: {name: ok}, spec: {ratioMetric: {counter: true, rawType: success,
  raw: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, good: ok}}}}}}
---
{apiVersion: openslo/v1, kind: AlertCondition, metadata: {name: fast-burn, annotations: {streamgauge.io/short-window: 5m}},
  spec: {severity: critical, condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h}}}
---
{apiVersion: openslo/v1, kind: AlertPolicy, metadata: {name: fast-burn}, spec: {description: "Page: payments fail",
  conditions: [{conditionRef: fast-burn}], notificationTargets: []}}
---
{apiVersion: openslo/v1, kind: SLO, metadata: {name: shop-payments}, spec: {service: checkout, indicatorRef: ok,
  description: Payments go through, timeWindow: [{duration: 30d, isRolling: true}], budgetingMethod: Occurrences,
  objectives: [{target: 0.9995}], alertPolicies: [fast-burn]}}
"#;

#[test]
fn summaries() {
    let summary = |change: &dyn Fn(&mut AlertRecord)| {
        let mut record = examples().swap_remove(2);
        change(&mut record);
        body(&[record], &saying())[0]["annotations"]["summary"].as_str().unwrap_or_default().to_owned()
    };
    let none = WindowCounts { bad: 0, total: 0, burn: None };
    let lines = [
        summary(&|_| {}),
        summary(&|record| record.short = Some(none)),
        summary(&|record| {
            (record.long, record.short, record.remaining) = (None, None, Some(-0.2));
            record.rule = "budget-exhausted".to_owned();
        }),
        summary(&|record| record.remaining = None),
    ];
    expect![[r#"
        shop-payments of checkout: fast-burn: burn rate 20.0 over the long window, 80.0 over the short one; 99.0% of the budget left
        shop-payments of checkout: fast-burn: no traffic; 99.0% of the budget left
        shop-payments of checkout: budget-exhausted; -20.0% of the budget left
        shop-payments of checkout: fast-burn: burn rate 20.0 over the long window, 80.0 over the short one"#]].assert_eq(&lines.join("\n"));
}

/// An end to come would let it fire on.
#[test]
fn an_end_is_never_to_come_nor_before_the_start() {
    let end = |secs: i64| {
        let fired = examples().swap_remove(2);
        let mut resolved = fired.clone();
        resolved.transition = Transition::Resolved;
        resolved.at = EventTime(NOW.0 + secs * 1_000_000);
        body(&[fired, resolved], &saying())[0]["endsAt"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(end(7), "2026-01-05T10:20:00Z");
    assert_eq!(end(-60), "2026-01-05T10:19:00Z");
}

#[test]
fn odd_names_stay_what_they_are() {
    let mut record = examples().swap_remove(0);
    record.slo = "naïve \"slo\"\n{0}/&?".to_owned();
    let link = Link::new("http://127.0.0.1:3000/{slo}").expect("a link");
    let body = body(&[record.clone()], &Saying { link: Some(link), ..saying() });
    assert_eq!(body[0]["labels"]["slo"], record.slo.as_str());
    assert_eq!(body[0]["generatorURL"], "http://127.0.0.1:3000/na%C3%AFve%20%22slo%22%0A%7B0%7D%2F%26%3F");
}

#[test]
fn links_that_are_none_are_refused() {
    let refused = |text: &str| Link::new(text).expect_err(text);
    assert!(refused("grafana/d/{slo}").contains("http://"));
    assert!(refused("http://me:secret@grafana/{slo}").contains("credentials"));
    assert!(refused("http://grafana/{slos}").contains("no other braces"));
    assert!(!refused("http://me:secret@grafana/{slo}").contains("secret"));
}
