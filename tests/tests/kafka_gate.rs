//! The gate on a real broker: it opens and shuts with the budget, and never opens while the stage is behind.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use streamgauge_events::topics;
use streamgauge_tests::chaos::PACE;
use streamgauge_tests::clock::{Stopwatch, now_us};
use streamgauge_tests::cluster::{Cluster, PATIENCE};

/// Of a minute, so that a budget can be spent while one looks.
const DEFINITIONS: &str = r#"
{apiVersion: openslo/v1, kind: Service, metadata: {name: checkout}, spec: {}}
---
{apiVersion: openslo/v1, kind: SLI, metadata: {name: checkout-ok}, spec: {ratioMetric: {counter: true, rawType: success,
  raw: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, good: status < 500}}}}}}
---
{apiVersion: openslo/v1, kind: SLO, metadata: {name: available}, spec: {service: checkout, indicatorRef: checkout-ok,
  timeWindow: [{duration: 1m, isRolling: true}], budgetingMethod: Occurrences, objectives: [{target: 0.9}]}}
"#;

/// Further behind than this nobody can tell.
const BEHIND_AFTER_SECS: i64 = 8;

struct Gate {
    cluster: Cluster,
    facts: String,
}

#[derive(Debug)]
struct Found {
    code: i32,
    answer: String,
    behind_secs: Option<f64>,
    text: String,
}

impl Gate {
    fn ask(&self, extra: &[&str]) -> anyhow::Result<Found> {
        let behind_after = format!("{BEHIND_AFTER_SECS}s");
        let args = ["gate", "--service", "checkout", "--json", "--behind-after", &behind_after, "--topic", &self.facts];
        let (status, printed, errors) = self.cluster.try_tool(&[&args[..], extra].concat())?;
        let found: Value = serde_json::from_str(&printed).with_context(|| format!("no answer: {printed}{errors}"))?;
        Ok(Found {
            code: status.code().unwrap_or(-1),
            answer: found["answer"].as_str().unwrap_or("?").to_owned(),
            behind_secs: found["slos"][0]["behind_us"].as_f64().map(|us| us / 1e6),
            text: printed + &errors,
        })
    }

    /// Asks until the answer is this one.
    fn wait_for(&self, code: i32, send: &mut dyn FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let since = Stopwatch::start();
        loop {
            send()?;
            let found = self.ask(&[])?;
            if found.code == code {
                return Ok(());
            }
            ensure!(since.elapsed() < PATIENCE, "still not {code}: {found:?}");
        }
    }

    fn decide(&self, args: &[&str]) -> anyhow::Result<String> {
        self.cluster.tool(&[&["override", "--topic", &self.facts], args].concat())
    }
}

#[test]
fn the_gate_shuts_with_the_budget_and_never_opens_while_the_stage_is_behind() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("gate")? else { return Ok(()) };
    let definitions = cluster.directory.join("definitions.yaml");
    fs::write(&definitions, DEFINITIONS.replacen('\n', "", 1))?;
    let definitions = definitions.display().to_string();
    let extra = [&PACE[..], &["--definitions", &definitions]].concat();
    let gate = Gate { facts: cluster.topic(topics::SLI_WINDOWS), cluster: cluster.clone() };
    let found = gate.ask(&[])?;
    ensure!(found.code == 11 && found.answer == "unknown", "nothing was counted yet: {found:?}");
    ensure!(gate.ask(&["--rollback"])?.code == 0, "a rollback is never blocked");

    let mut sender = cluster.sender()?;
    let requests = cluster.topic(topics::REQUESTS);
    let mut send = |status: u16| -> anyhow::Result<()> {
        for number in 0..40 {
            let value = format!(r#"{{"ts":{},"service":"checkout","status":{status}}}"#, now_us());
            sender.send(&requests, number % 4, None, Some(value.as_bytes()), 0)?;
        }
        sender.flush()?;
        sender.take_settled();
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    };
    let mut stage = cluster.start_sli(0, "sli-0", &extra)?;
    gate.wait_for(0, &mut || send(200))?;

    // While the stage stands still and requests go on coming, the gate shuts, and stays shut.
    stage.kill()?;
    let (since, mut unknown) = (Stopwatch::start(), 0);
    while unknown < 5 {
        send(500)?;
        let found = gate.ask(&[])?;
        match found.code {
            0 => {
                let behind_secs = found.behind_secs.context("it was counted")?;
                ensure!(behind_secs <= BEHIND_AFTER_SECS as f64 && unknown == 0, "go, though behind: {found:?}");
            }
            11 => unknown += 1,
            _ => ensure!(false, "nothing that was counted is bad: {found:?}"),
        }
        ensure!(since.elapsed() < PATIENCE, "never behind: {found:?}");
    }
    let rollback = gate.ask(&["--rollback"])?;
    ensure!(rollback.code == 0 && rollback.answer == "unknown", "a rollback is never blocked: {rollback:?}");
    gate.decide(&["--service", "checkout", "--reason", "nobody knows", "--expires", "1m", "--actor", "ann"])?;
    ensure!(gate.ask(&[])?.code == 11, "an override is about what is spent, not about what nobody knows");
    let listed = gate.decide(&["--list", "--json"])?;
    let early: Value = serde_json::from_str(&listed)?;
    let revoke = |id: &str| gate.decide(&["--revoke", id, "--reason", "tried", "--actor", "bob"]);
    revoke(early["id"].as_str().context("it was written")?)?;

    // What was bad meanwhile is counted, and spends the budget.
    let mut stage = cluster.start_sli(0, "sli-0-again", &extra)?;
    gate.wait_for(10, &mut || send(500))?;
    ensure!(gate.ask(&["--rollback"])?.answer == "frozen", "a rollback goes, and is told");
    let written =
        gate.decide(&["--service", "checkout", "--reason", "CHK-77", "--expires", "5m", "--actor", "ann", "--json"])?;
    let written: Value = serde_json::from_str(&written)?;
    send(500)?;
    let found = gate.ask(&[])?;
    ensure!(found.code == 0 && found.text.contains("CHK-77"), "the override lets go: {found:?}");
    revoke(written["id"].as_str().context("it was written")?)?;
    send(500)?;
    let found = gate.ask(&[])?;
    ensure!(found.code == 10 && found.answer == "frozen", "it was revoked: {found:?}");
    let (status, _, errors) = cluster.try_tool(&[
        "override",
        "--topic",
        &gate.facts,
        "--service",
        "search",
        "--reason",
        "x",
        "--expires",
        "1m",
    ])?;
    ensure!(status.code() == Some(2) && errors.contains("has no SLO"), "search has none: {errors}");
    ensure!(cluster.records(topics::COMMANDS)?.len() == 4, "every decision is kept");
    stage.terminate()
}
