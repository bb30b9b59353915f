//! Both stages on a real broker, killed again and again: the alerts are those that the facts alone give.
//!
//! `STREAMGAUGE_KILLS` says how often; by default a dozen times. Facts hold the idle advances that were made, so that reading
//! them again in one process, without a disturbance, is the replay that obeys them.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use streamgauge_definitions::Definitions;
use streamgauge_events::topics;
use streamgauge_memory_log::SplitMix64;
use streamgauge_stage_slo::Objectives;
use streamgauge_tests::chaos::PACE;
use streamgauge_tests::clock::{Stopwatch, now_us};
use streamgauge_tests::cluster::{Cluster, PATIENCE, Process};

const DEFINITIONS: &str = r#"
{apiVersion: openslo/v1, kind: Service, metadata: {name: checkout}, spec: {}}
---
{apiVersion: openslo/v1, kind: Service, metadata: {name: search}, spec: {}}
---
{apiVersion: openslo/v1, kind: SLI, metadata: {name: checkout-ok}, spec: {ratioMetric: {counter: true, rawType: success,
  raw: {metricSource: {type: streamgauge, spec: {topic: requests, service: checkout, good: status < 500}}}}}}
---
{apiVersion: openslo/v1, kind: SLI, metadata: {name: search-ok}, spec: {ratioMetric: {counter: true, rawType: success,
  raw: {metricSource: {type: streamgauge, spec: {topic: requests, service: search, good: status < 500}}}}}}
---
{apiVersion: openslo/v1, kind: AlertCondition, metadata: {name: burning,
  annotations: {streamgauge.io/short-window: 10s}}, spec: {severity: critical,
  condition: {kind: burnrate, op: gt, threshold: 4, lookbackWindow: 20s}}}
---
{apiVersion: openslo/v1, kind: AlertPolicy, metadata: {name: burning}, spec: {conditions: [{conditionRef: burning}],
  notificationTargets: []}}
---
{apiVersion: openslo/v1, kind: SLO, metadata: {name: checkout}, spec: {service: checkout, indicatorRef: checkout-ok,
  timeWindow: [{duration: 1h, isRolling: true}], budgetingMethod: Occurrences, objectives: [{target: 0.99}],
  alertPolicies: [burning]}}
---
{apiVersion: openslo/v1, kind: SLO, metadata: {name: search}, spec: {service: search, indicatorRef: search-ok,
  timeWindow: [{duration: 1h, isRolling: true}], budgetingMethod: Timeslices,
  objectives: [{target: 0.9, timeSliceTarget: 0.95, timeSliceWindow: 10s}], alertPolicies: []}}
"#;

const KILLS: u32 = 12;
/// Requests sent between two looks at the clock.
const CHUNK: usize = 40;

#[test]
fn alerts_are_those_of_the_facts_under_kill_9() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("alerts")? else { return Ok(()) };
    let kills = match std::env::var("STREAMGAUGE_KILLS") {
        Ok(text) => text.parse().context("STREAMGAUGE_KILLS is no number")?,
        Err(_) => KILLS,
    };
    let definitions = cluster.directory.join("definitions.yaml");
    fs::write(&definitions, DEFINITIONS.replacen('\n', "", 1))?;
    let definitions = definitions.display().to_string();
    let start = |stage: &str, ordinal: u32, number: u32| -> anyhow::Result<Process> {
        let log = format!("{stage}-{ordinal}-{number}");
        let extra = ["--definitions", &definitions];
        match stage {
            "sli" => cluster.start_sli(ordinal, &log, &[&PACE[..], &extra].concat()),
            _ => cluster.start_slo(ordinal, &log, &extra),
        }
    };
    let members = [("sli", 0), ("sli", 1), ("slo", 0), ("slo", 1)];
    let mut processes: Vec<Process> =
        members.iter().map(|(stage, ordinal)| start(stage, *ordinal, 0)).collect::<anyhow::Result<_>>()?;
    let mut random = SplitMix64::new(11);
    let mut sender = cluster.sender()?;
    let requests = cluster.topic(topics::REQUESTS);
    let (began, mut killed, mut sent) = (Stopwatch::start(), 0, 0_u64);
    let mut next_kill = Duration::from_secs(3);
    while killed < kills || began.elapsed() < Duration::from_secs(70) {
        // Fifteen seconds are well, fifteen are not.
        let bad = (began.elapsed().as_secs() / 15) % 2 == 1;
        for _ in 0..CHUNK {
            let service = *random.pick(&["checkout", "checkout", "search"]);
            let status = if bad && random.below(4) == 0 { 500 } else { 200 };
            let value = format!(r#"{{"ts":{},"service":"{service}","status":{status}}}"#, now_us());
            sender.send(&requests, random.below(4) as i32, None, Some(value.as_bytes()), 0)?;
            sent += 1;
        }
        sender.poll();
        sender.take_settled();
        std::thread::sleep(Duration::from_millis(100));
        if killed < kills && began.elapsed() > next_kill {
            next_kill = began.elapsed() + Duration::from_millis(300 + random.below(1500));
            let victim = random.below(members.len() as u64) as usize;
            processes[victim].kill()?;
            killed += 1;
            processes[victim] = start(members[victim].0, members[victim].1, killed)?;
        }
    }
    sender.flush()?;
    cluster.wait_for("everything is counted", &mut |outputs| outputs.counted() == sent)?;
    // No fact comes any more once those that count have stopped.
    processes[..2].iter_mut().try_for_each(Process::terminate)?;
    let expected = of_the_facts(&cluster)?;
    let since = Stopwatch::start();
    let found = loop {
        let found = by_objective(cluster.records(topics::ALERTS)?.into_iter().filter_map(|record| record.value))?;
        if found == expected || since.elapsed() > PATIENCE {
            break found;
        }
        std::thread::sleep(Duration::from_millis(300));
    };
    ensure!(found == expected, "alerts differ from those of the facts: found {found:#?}, expected {expected:#?}");
    processes[2..].iter_mut().try_for_each(Process::terminate)?;
    let transitions: usize = expected.values().map(Vec::len).sum();
    println!("{killed} kills, {sent} requests, {transitions} transitions");
    ensure!(transitions >= 3, "only {transitions} transitions: there was nothing to tell");
    ensure!(cluster.records(topics::DEAD_LETTERS)?.is_empty(), "nothing here is a dead letter");
    Ok(())
}

type Told = BTreeMap<String, Vec<String>>;

/// What one process makes of the facts, a partition after the other.
fn of_the_facts(cluster: &Cluster) -> anyhow::Result<Told> {
    let no_files = |_: &str, _: &str| Err("no files are named".to_owned());
    let definitions = Definitions::read([("definitions.yaml", DEFINITIONS)], &no_files)
        .map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))?;
    let requests = cluster.topic(topics::REQUESTS);
    let mut lanes: BTreeMap<i32, Objectives> = BTreeMap::new();
    let mut told = Vec::new();
    for record in cluster.records(topics::SLI_WINDOWS)? {
        let lane = match lanes.entry(record.partition) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(Objectives::new(&definitions, &|_| requests.clone())?)
            }
        };
        lane.observe(record.offset, &record.value.unwrap_or_default())?;
        lane.advance(&mut |alert| told.push(alert.to_json()));
    }
    by_objective(told.into_iter())
}

fn by_objective(values: impl Iterator<Item = Vec<u8>>) -> anyhow::Result<Told> {
    let mut told = Told::new();
    for value in values {
        let alert: serde_json::Value = serde_json::from_slice(&value).context("an alert that is no JSON")?;
        let slo = alert["slo"].as_str().context("an alert of no SLO")?.to_owned();
        told.entry(slo).or_default().push(String::from_utf8(value)?);
    }
    Ok(told)
}
