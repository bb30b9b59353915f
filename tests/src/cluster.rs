//! A real broker, the shipped binaries, and topics of one's own: what the real-Kafka suite stands on.
//!
//! Knows processes, the clock and the Kafka client. Without a broker every test says so in one line and passes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use streamgauge_events::facts::GOLDEN;
use streamgauge_events::topics::{self, table};
use streamgauge_events::{DeadLetter, EventTime, Fact, Offset};
use streamgauge_kafka::{ClientSettings, RecordSender, TopicAdmin, TopicReader};
use streamgauge_stage::{Delivery, Source};

use crate::clock::{Stopwatch, now_us};

/// The broker to test against: host:port.
pub const BROKERS_VARIABLE: &str = "STREAMGAUGE_TEST_BROKERS";
/// How long to wait for something that should take seconds.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Topics with a prefix of their own on a real broker.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub brokers: String,
    pub prefix: String,
    /// Directory of the binaries under test.
    pub binaries: PathBuf,
    /// Logs and manifests of this run.
    pub directory: PathBuf,
}

impl Cluster {
    /// `None`, and one line that says so, where there is no broker to test against.
    pub fn for_test(name: &str) -> anyhow::Result<Option<Self>> {
        let Ok(brokers) = std::env::var(BROKERS_VARIABLE) else {
            let remedy = format!("start one by scripts/kafka and set {BROKERS_VARIABLE}=127.0.0.1:9092");
            crate::skipped(&format!("{name} needs a real Kafka; {remedy}"));
            return Ok(None);
        };
        let millis = now_us() / 1000;
        let prefix = format!("{name}-{millis}.");
        let directory = std::env::temp_dir().join(format!("streamgauge-{name}-{millis}"));
        let cluster = Self { brokers, prefix, binaries: binaries()?, directory };
        cluster.set_up()?;
        Ok(Some(cluster))
    }

    /// Makes the directory and all topics.
    pub fn set_up(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.directory).with_context(|| format!("couldn't make {}", self.directory.display()))?;
        let remaining = TopicAdmin::open(&self.client(), &self.prefix)?.apply(table())?;
        ensure!(remaining.is_empty(), "topics differ after apply: {remaining:?}");
        Ok(())
    }

    pub fn client(&self) -> ClientSettings {
        ClientSettings::new(&self.brokers)
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn group(&self) -> String {
        format!("{}sli", self.prefix)
    }

    /// Runs a command of `streamgauge` to its end; what it printed.
    pub fn tool(&self, args: &[&str]) -> anyhow::Result<String> {
        let (status, printed, errors) = self.try_tool(args)?;
        ensure!(status.success(), "streamgauge {} ended with {status}: {printed}{errors}", args.join(" "));
        Ok(printed)
    }

    /// The same, whatever its exit code.
    pub fn try_tool(&self, args: &[&str]) -> anyhow::Result<(ExitStatus, String, String)> {
        let output = Command::new(self.binaries.join("streamgauge"))
            .args(args)
            .args(["--brokers", &self.brokers])
            .output()
            .context("couldn't run streamgauge")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status, text(&output.stdout), text(&output.stderr)))
    }

    /// Starts a stage process that writes its log to a file. `extra` are further flags.
    pub fn start_sli(&self, ordinal: u32, log: &str, extra: &[&str]) -> anyhow::Result<Process> {
        let log = self.directory.join(format!("{log}.log"));
        let child = Command::new(self.binaries.join("streamgauge-sli"))
            .args(["--brokers", &self.brokers, "--group", &self.group(), "--ordinal", &ordinal.to_string()])
            .args(["--input", &self.topic(topics::REQUESTS), "--output-prefix", &self.prefix])
            .args(["--listen", "off", "--log-format", "json", "--log-level", "info,streamgauge=debug"])
            .args(extra)
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("couldn't start streamgauge-sli")?;
        Ok(Process { child, log })
    }

    /// The same of the stage that keeps budgets.
    pub fn start_slo(&self, ordinal: u32, log: &str, extra: &[&str]) -> anyhow::Result<Process> {
        let log = self.directory.join(format!("{log}.log"));
        let child = Command::new(self.binaries.join("streamgauge-slo"))
            .args(["--brokers", &self.brokers, "--group", &self.topic("slo"), "--ordinal", &ordinal.to_string()])
            .args(["--requests", &self.topic(topics::REQUESTS), "--output-prefix", &self.prefix])
            .args(["--listen", "off", "--log-format", "json", "--log-level", "info,streamgauge=debug"])
            .args(extra)
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("couldn't start streamgauge-slo")?;
        Ok(Process { child, log })
    }

    pub fn sender(&self) -> anyhow::Result<RecordSender> {
        Ok(RecordSender::open(&self.client(), 50_000)?)
    }

    /// Everything committed in the output topics now.
    pub fn outputs(&self) -> anyhow::Result<Outputs> {
        let mut outputs = Outputs::default();
        for record in self.records(topics::SLI_WINDOWS)? {
            let fact = Fact::from_json(record.value.as_deref().unwrap_or_default());
            outputs.facts.push(fact.context("a record of sli.windows that is no fact")?);
        }
        for record in self.records(topics::DEAD_LETTERS)? {
            let letter = serde_json::from_slice(record.value.as_deref().unwrap_or_default());
            outputs.dead_letters.push(letter.context("a record that is no dead letter")?);
        }
        Ok(outputs)
    }

    /// Everything committed in a topic of ours now, in order within its partitions.
    pub fn records(&self, topic: &str) -> anyhow::Result<Vec<StoredRecord>> {
        let mut reader = TopicReader::open(&self.client(), &[&self.topic(topic)])?;
        let watermarks = reader.watermarks()?;
        let starts: Vec<(Source, Offset)> =
            watermarks.iter().map(|(source, marks)| (*source, marks.log_start)).collect();
        let ends: BTreeMap<Source, Offset> =
            watermarks.iter().map(|(source, marks)| (*source, marks.log_end)).collect();
        reader.assign(&starts)?;
        let mut records = Vec::new();
        let _flow = reader.read_to(&ends, Duration::from_secs(30), &mut |delivery| {
            if let Delivery::Record(record) = delivery {
                records.push(StoredRecord {
                    partition: record.source.partition,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    value: record.value.map(<[u8]>::to_vec),
                });
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(records)
    }

    /// Reads the outputs again and again until `done`.
    pub fn wait_for(&self, what: &str, done: &mut dyn FnMut(&Outputs) -> bool) -> anyhow::Result<Outputs> {
        let since = Stopwatch::start();
        loop {
            let outputs = self.outputs()?;
            if done(&outputs) {
                return Ok(outputs);
            }
            ensure!(since.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// One record, without its key.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    pub partition: i32,
    pub offset: Offset,
    pub timestamp: Option<EventTime>,
    pub value: Option<Vec<u8>>,
}

/// What a stage has written.
#[derive(Debug, Default)]
pub struct Outputs {
    pub facts: Vec<Fact>,
    pub dead_letters: Vec<DeadLetter>,
}

impl Outputs {
    /// Events of the golden signals.
    pub fn counted(&self) -> u64 {
        let golden = |fact: &Fact| match fact {
            Fact::Delta(delta) if GOLDEN.contains(&delta.sli.as_str()) => Some(delta.n),
            _ => None,
        };
        self.facts.iter().filter_map(golden).sum()
    }

    pub fn dead_letters_by_reason(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for letter in &self.dead_letters {
            *counts.entry(letter.reason.as_str()).or_default() += 1;
        }
        counts
    }
}

/// A process that does not outlive its test.
pub struct Process {
    pub child: Child,
    pub log: PathBuf,
}

impl Process {
    /// kill -9.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and a clean end.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        terminate(&mut self.child, Duration::from_secs(20)).with_context(|| format!("log: {}", self.log.display()))
    }

    /// Waits for the process to end by itself; its exit code and log.
    pub fn wait_for_exit(&mut self) -> anyhow::Result<(i32, String)> {
        let since = Stopwatch::start();
        while since.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status.code().unwrap_or(-1), fs::read_to_string(&self.log)?));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("still running after {} s; log: {}", PATIENCE.as_secs(), self.log.display());
    }

    /// Resident memory, bytes.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        Ok(kib.context("no VmRSS in /proc")? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SIGTERM, then wait for exit code 0.
pub fn terminate(child: &mut Child, limit: Duration) -> anyhow::Result<()> {
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    ensure!(status.success(), "couldn't send SIGTERM: the process had ended already");
    let since = Stopwatch::start();
    while since.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "ended with {status} after SIGTERM");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("still running {} s after SIGTERM", limit.as_secs());
}

/// The directory of the binaries: two above that of the test.
pub fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.ancestors().find(|path| path.join("streamgauge-sli").exists()).map(Path::to_owned);
    directory.context("streamgauge-sli is not built: run `cargo build --workspace` first")
}
