//! The same job in Java, built from `benches/peers` with Maven: how it is started, what it answers, and what its output
//! topic says when we read it ourselves.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use streamgauge_kafka::{ClientSettings, TopicReader};
use streamgauge_stage::{Delivery, Source};

use crate::kafka::ends;

/// A heap of fixed size, so that none of it is spent on growing; of the collectors the one that costs least CPU for a
/// worker on one core (measured with `plain`: G1 takes about a quarter more, Parallel a tenth).
pub const JVM_FLAGS: [&str; 3] = ["-Xms1g", "-Xmx1g", "-XX:+UseSerialGC"];
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Consumer, transactional producer, one loop.
    Plain,
    /// The Processor API of Kafka Streams, exactly once v2.
    Streams,
    /// Its DSL with a day of grace: writes a pane again whenever it has changed.
    Dsl,
    /// Its DSL with five seconds of grace: writes a pane once.
    DslFinal,
}

impl Peer {
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["plain"],
            Self::Streams => &["streams-papi"],
            Self::Dsl => &["streams-dsl"],
            // Large fetches let one input partition get further ahead of the others, so that more is late.
            Self::DslFinal => &["streams-dsl", "--grace-secs", "5", "--suppress", "true", "--large-fetches", "false"],
        }
    }

    /// The DSL drops what is later than its grace; to the others each record counts.
    const fn may_drop(self) -> bool {
        matches!(self, Self::Dsl | Self::DslFinal)
    }
}

/// The line that a peer prints when it is done.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    pub records: u64,
    /// Records that are in a pane, written or still open.
    pub counted: u64,
    pub dropped: u64,
    /// Events of the panes that were written.
    pub emitted: u64,
    pub user_ns: u64,
    pub system_ns: u64,
    /// From a tenth of the records on: without the start of the virtual machine and most of its compiling.
    pub steady_cpu_ns: u64,
    pub steady_records: u64,
    pub wall_ns: u64,
    pub outputs: u64,
    pub output_bytes: u64,
    pub transactions: u64,
}

/// The built jars.
pub struct Peers {
    classpath: String,
}

impl Peers {
    /// `directory` holds the `pom.xml`.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let target = directory.join("target");
        let (jar, libs) = (target.join("peers.jar"), target.join("libs"));
        if !jar.is_file() || !libs.is_dir() {
            bail!(
                "{} is not there. Build it: mvn -q -f {} package",
                jar.display(),
                directory.join("pom.xml").display()
            );
        }
        Ok(Self { classpath: format!("{}:{}/*", jar.display(), libs.display()) })
    }

    /// Lets a peer read `topic` to its end, in a new group, and holds what it says against what it wrote.
    pub fn run(&self, peer: Peer, client: &ClientSettings, job: &Job<'_>) -> anyhow::Result<Report> {
        let Job { topic, group, output, records } = *job;
        let state = StateDirectory(std::env::temp_dir().join(group));
        let child = Command::new("java")
            .args(JVM_FLAGS)
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", &self.classpath, "streamgauge.peers.Main"])
            .args(peer.arguments())
            .args(["--brokers", &client.brokers, "--topic", topic, "--group", group, "--output", output, "--state-dir"])
            .arg(&state.0)
            .output()
            .context("couldn't start java")?;
        if !child.status.success() {
            bail!("{peer:?} failed: {}", String::from_utf8_lossy(&child.stderr));
        }
        let report: Report = serde_json::from_slice(&child.stdout)
            .with_context(|| format!("{peer:?} answered {:?}", String::from_utf8_lossy(&child.stdout)))?;
        if report.records != records || report.counted + report.dropped != records {
            bail!("{peer:?} lost records of {records}: {report:?}");
        }
        if report.dropped > 0 && !peer.may_drop() {
            bail!("{peer:?} dropped records: {report:?}");
        }
        let written = events_written(client, output)?;
        if written != report.emitted {
            bail!("{peer:?} says {} events are in panes that it wrote, a reader finds {written}", report.emitted);
        }
        Ok(report)
    }
}

/// What a peer reads, and where it writes.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    pub topic: &'a str,
    pub group: &'a str,
    pub output: &'a str,
    /// How many records the topic holds.
    pub records: u64,
}

/// Where Kafka Streams keeps its stores; gone when the peer is.
struct StateDirectory(PathBuf);

impl Drop for StateDirectory {
    fn drop(&mut self) {
        // Contenders without stores never made it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Events in a topic of panes, as a `read_committed` reader sees them: a `delta` adds to its pane, a `pane` replaces it.
fn events_written(client: &ClientSettings, topic: &str) -> anyhow::Result<u64> {
    #[derive(Deserialize)]
    struct Written {
        r#type: String,
        tenant: String,
        service: String,
        labels: BTreeMap<String, String>,
        pane: i64,
        n: u64,
    }
    let ends: BTreeMap<Source, i64> = ends(client, topic)?
        .into_iter()
        .filter(|(_, end)| *end > 0)
        .map(|(partition, end)| (Source { topic: 0, partition }, end))
        .collect();
    let mut reader = TopicReader::open(client, &[topic])?;
    reader.assign(&ends.keys().map(|source| (*source, 0)).collect::<Vec<_>>())?;
    let mut panes = BTreeMap::new();
    let mut unreadable = None;
    let flow = reader.read_to(&ends, PATIENCE, &mut |delivery| {
        let Delivery::Record(record) = delivery else { return ControlFlow::Continue(()) };
        match serde_json::from_slice::<Written>(record.value.unwrap_or_default()) {
            Ok(Written { r#type, tenant, service, labels, pane, n }) => {
                let events = panes.entry((pane, tenant, service, labels)).or_insert(0);
                *events = if r#type == "pane" { n } else { *events + n };
                ControlFlow::Continue(())
            }
            Err(error) => {
                unreadable = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    match (flow, unreadable) {
        (ControlFlow::Continue(()), None) => Ok(panes.values().sum()),
        (_, error) => bail!("{topic} holds a record that is no pane: {error:?}"),
    }
}
