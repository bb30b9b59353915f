//! The command as a process on a real Kafka: what is over stays untold, what fires is told, also by the next process.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use streamgauge_events::{EventTime, topics};
use streamgauge_slo::Transition;
use streamgauge_stage_slo::AlertRecord;
use streamgauge_tests::cluster::{Cluster, Process};

use crate::posts::{fired, resolved};
use crate::receiver::{Receiver, free_port, get, wait_for};

fn start(cluster: &Cluster, name: &str, port: u16, receiver: &Receiver) -> anyhow::Result<Process> {
    let log = cluster.directory.join(format!("{name}.log"));
    let child = Command::new(cluster.binaries.join("streamgauge"))
        .args(["alertmanager-push", "--brokers", &cluster.brokers, "--topic", &cluster.topic(topics::ALERTS)])
        .args(["--alertmanager", &receiver.url(), "--resend", "1s", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--log-format", "json"])
        .env("STREAMGAUGE_ALERTMANAGER_USER", "me")
        .env("STREAMGAUGE_ALERTMANAGER_PASSWORD", "hunter2")
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .spawn()
        .context("couldn't start streamgauge alertmanager-push")?;
    Ok(Process { child, log })
}

fn write(cluster: &Cluster, values: &[Vec<u8>]) -> anyhow::Result<()> {
    let mut sender = cluster.sender()?;
    for value in values {
        sender.send(&cluster.topic(topics::ALERTS), 1, None, Some(value), 0)?;
    }
    sender.flush()?;
    Ok(())
}

fn earlier(record: &AlertRecord, hours: i64) -> AlertRecord {
    let earlier = |time: EventTime| EventTime(time.0 - hours * 3_600_000_000);
    AlertRecord { at: earlier(record.at), starts_at: earlier(record.starts_at), ..record.clone() }
}

#[test]
fn alerts_in_a_topic_reach_a_receiver() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("push")? else { return Ok(()) };
    let receiver = Receiver::start()?;
    let (over, long, live) = (fired("over", "a"), fired("long", "a"), fired("live", "a"));
    let pending = AlertRecord { transition: Transition::Pending, ..fired("pending", "a") };
    let past = [
        earlier(&over, 5).to_json(),
        earlier(&resolved(&over), 5).to_json(),
        b"no alert".to_vec(),
        earlier(&long, 5).to_json(),
        pending.to_json(),
    ];
    write(&cluster, &past)?;
    let port = free_port()?;
    let mut process = start(&cluster, "first", port, &receiver)?;
    wait_for("what fires", || Ok(receiver.accepted("long")?.pop()))?;
    write(&cluster, &[live.to_json()])?;
    wait_for("what came", || Ok(receiver.accepted("live")?.pop()))?;
    let metrics = get(([127, 0, 0, 1], port).into(), "/metrics")?;
    for line in [
        r#"streamgauge_push_alarms{phase="firing"} 2"#,
        r#"streamgauge_push_records_total{transition="fired"} 3"#,
        r#"streamgauge_push_records_total{transition="pending"} 1"#,
        "streamgauge_push_unreadable_records_total{} 1",
        &format!(r#"streamgauge_push_alertmanager_up{{alertmanager="{}"}} 1"#, receiver.url()),
    ] {
        ensure!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    ensure!(get(([127, 0, 0, 1], port).into(), "/health/ready")? == "ready\n");

    // Dead without a word; the next one knows all the same.
    process.kill()?;
    write(&cluster, &[resolved(&live).to_json()])?;
    let before = receiver.accepted("long")?.len();
    let mut process = start(&cluster, "second", port, &receiver)?;
    wait_for("what still fires", || Ok((receiver.accepted("long")?.len() > before).then_some(())))?;
    let over_live = resolved(&live).at;
    let end = format!("{}", jiff::Timestamp::from_microsecond(over_live.0)?);
    wait_for("what resolved meanwhile", || {
        Ok(receiver.accepted("live")?.into_iter().find(|alert| alert["endsAt"] == end.as_str()))
    })?;
    ensure!(receiver.accepted("over")?.is_empty(), "what was over long ago was told");
    ensure!(receiver.accepted("pending")?.is_empty(), "what never fired was told");
    let signed = receiver.posts()?.iter().all(|post| post.authorization.as_deref() == Some("Basic bWU6aHVudGVyMg=="));
    ensure!(signed, "a post without credentials");
    process.terminate()?;
    for name in ["first", "second"] {
        let log = std::fs::read_to_string(cluster.directory.join(format!("{name}.log")))?;
        ensure!(!log.contains("hunter2") && !log.contains("bWU6"), "credentials in {name}.log");
        for line in log.lines() {
            serde_json::from_str::<serde_json::Value>(line).with_context(|| format!("{name}.log: {line}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_kafka_that_is_away_is_an_outage() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("push-away")? else { return Ok(()) };
    let receiver = Receiver::start()?;
    let away = Cluster { brokers: format!("127.0.0.1:{}", free_port()?), ..cluster };
    let log = away.directory.join("away.log");
    let child = Command::new(away.binaries.join("streamgauge"))
        .args(["alertmanager-push", "--brokers", &away.brokers, "--alertmanager", &receiver.url()])
        .args(["--listen", "off", "--outage-max", "2s"])
        .stderr(File::create(&log)?)
        .spawn()?;
    let mut process = Process { child, log };
    let (code, log) = process.wait_for_exit()?;
    ensure!(code == 5, "exit code {code}: {log}");
    std::thread::sleep(Duration::from_millis(100));
    ensure!(receiver.posts()?.is_empty(), "nothing is known, and something was told");
    Ok(())
}
