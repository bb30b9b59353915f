//! Real processes on a real broker, killed at random moments while the load goes on.
//!
//! Runs the shipped binaries, not their code: several `streamgauge-sli`, one `streamgauge load`, one `streamgauge audit
//! --follow`, and `streamgauge verify` again and again. Knows the clock and processes; is told the seed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use streamgauge_events::topics;

use crate::clock::{Stopwatch, now_us};
use crate::cluster::{Cluster, Process, terminate};
use streamgauge_memory_log::SplitMix64;

/// What to do to the system, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    pub cluster: Cluster,
    pub seed: u64,
    pub processes: u32,
    /// How often a process is killed by SIGKILL.
    pub kills: u32,
    /// Requests a second.
    pub rate: u32,
    /// A load is verified, and a new one begun, after so many disturbances.
    pub verify_every: u32,
    /// Every so many disturbances the brokers are disturbed, too; 0: never.
    pub broker_every: u32,
    /// The script that runs the brokers.
    pub kafka_script: PathBuf,
    /// kill -9 one broker among three, rather than a restart of all.
    pub broker_kill: bool,
}

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub kills: u32,
    pub terminations: u32,
    pub takeovers: u32,
    pub broker_faults: u32,
    pub verified: u32,
    pub requests: u64,
    /// Milliseconds from kill -9 to the first burst of the restarted process, and how many records it folded again.
    pub recoveries: Vec<Recovery>,
    /// The last state of the audit.
    pub audit: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recovery {
    pub flowing_ms: u64,
    pub opened_ms: u64,
}

impl Report {
    /// The value at a share of the sorted recoveries.
    pub fn recovery_at(&self, percent: usize) -> Option<Recovery> {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        sorted.get(last * percent / 100).copied()
    }
}

/// A member of the group that can be killed and started again.
struct Member {
    ordinal: u32,
    process: Process,
}

pub fn run(plan: &Plan, say: &mut dyn FnMut(String)) -> anyhow::Result<Report> {
    let mut random = SplitMix64::new(plan.seed);
    let mut report = Report::default();
    let mut members: Vec<Member> =
        (0..plan.processes).map(|ordinal| plan.start(ordinal, 0)).collect::<Result<_, _>>()?;
    let mut audit = Follower::start(plan)?;
    let mut manifests: Vec<PathBuf> = Vec::new();
    let mut starts = 0;
    while report.kills < plan.kills {
        let manifest = plan.cluster.directory.join(format!("manifest-{}.json", manifests.len()));
        let mut load = plan.load(&manifest, plan.seed + manifests.len() as u64)?;
        for _ in 0..plan.verify_every.min(plan.kills - report.kills) {
            std::thread::sleep(Duration::from_millis(300 + random.below(2200)));
            ensure!(load.try_wait()?.is_none(), "the load ended early: see {}", plan.cluster.directory.display());
            starts += 1;
            disturb(plan, &mut members, starts, &mut random, &mut report)?;
            audit.check()?;
        }
        terminate(&mut load, Duration::from_secs(60)).context("the load did not end")?;
        manifests.push(manifest);
        report.requests = verify(plan, &manifests)?;
        report.verified += 1;
        say(format!(
            "{} kills, {} requests verified, recovery p50 {:?}",
            report.kills,
            report.requests,
            report.recovery_at(50)
        ));
    }
    audit.check()?;
    for member in &mut members {
        member.process.terminate()?;
    }
    drop(members);
    report.audit = plan.cluster.tool(&["audit", "--prefix", &plan.cluster.prefix, "--source-check"])?;
    Ok(report)
}

/// One disturbance. Most are kill -9 and an immediate restart, as a supervisor would do it.
fn disturb(
    plan: &Plan,
    members: &mut [Member],
    start: u32,
    random: &mut SplitMix64,
    report: &mut Report,
) -> anyhow::Result<()> {
    if plan.broker_every > 0 && start.is_multiple_of(plan.broker_every) {
        report.broker_faults += 1;
        disturb_brokers(plan, random)?;
    }
    let victim = random.below(u64::from(plan.processes)) as usize;
    match random.below(10) {
        // In order, by SIGTERM.
        0 => {
            members[victim].process.terminate()?;
            report.terminations += 1;
            members[victim] = plan.start(members[victim].ordinal, start)?;
        }
        // Away for longer than the session: the others take over, and give back.
        1 => {
            members[victim].process.kill()?;
            report.kills += 1;
            report.takeovers += 1;
            std::thread::sleep(Duration::from_secs(8));
            members[victim] = plan.start(members[victim].ordinal, start)?;
        }
        _ => {
            let killed = Stopwatch::start();
            let at = now_us();
            members[victim].process.kill()?;
            report.kills += 1;
            members[victim] = plan.start(members[victim].ordinal, start)?;
            if random.below(3) == 0 {
                // Long enough to see it flow; otherwise the next kill may come while it still recovers.
                report.recoveries.extend(recovery(&members[victim], at, killed)?);
            }
        }
    }
    Ok(())
}

fn disturb_brokers(plan: &Plan, random: &mut SplitMix64) -> anyhow::Result<()> {
    let run = |args: &[&str]| -> anyhow::Result<()> {
        let output = Command::new(&plan.kafka_script).args(args).output().context("couldn't run the Kafka script")?;
        ensure!(
            output.status.success(),
            "{} {args:?}: {}",
            plan.kafka_script.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    };
    if plan.broker_kill {
        run(&["kill", &(1 + random.below(3)).to_string()])?;
        std::thread::sleep(Duration::from_millis(500 + random.below(8000)));
        run(&["start"])
    } else {
        run(&["restart"])
    }
}

/// Reads in the log of a restarted member when it had its partitions and when its first burst was durable.
fn recovery(member: &Member, killed_at_us: i64, killed: Stopwatch) -> anyhow::Result<Option<Recovery>> {
    let after_ms = |line: &serde_json::Value| -> Option<u64> {
        let at: i64 = micros(line.get("timestamp")?.as_str()?)?;
        u64::try_from((at - killed_at_us) / 1000).ok()
    };
    while killed.elapsed() < Duration::from_secs(30) {
        let mut opened = None;
        for line in BufReader::new(File::open(&member.process.log)?).lines() {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(&line?) else { continue };
            match line.get("message").and_then(serde_json::Value::as_str) {
                Some("partition opened") => opened = opened.or(after_ms(&line)),
                Some("burst committed") => {
                    let flowing = after_ms(&line).context("a log line without a time")?;
                    return Ok(opened.map(|opened_ms| Recovery { flowing_ms: flowing, opened_ms }));
                }
                _ => {}
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // More members than partitions: this one had nothing to do.
    Ok(None)
}

/// Microseconds of `2026-01-02T03:04:05.678901Z` within its day; runs at midnight would be off, and are rare.
fn micros(text: &str) -> Option<i64> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(instant.as_microsecond())
}

fn verify(plan: &Plan, manifests: &[PathBuf]) -> anyhow::Result<u64> {
    let mut args = vec!["verify".to_owned(), "--json".to_owned(), "--prefix".to_owned(), plan.cluster.prefix.clone()];
    args.extend(["--wait".to_owned(), "90s".to_owned(), "--manifest".to_owned()]);
    args.extend(manifests.iter().map(|path| path.display().to_string()));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = plan.cluster.tool(&args)?;
    let verdict: serde_json::Value = serde_json::from_str(&output).context("verify printed no JSON")?;
    verdict["requests"].as_u64().with_context(|| format!("verify says no number of requests: {output}"))
}

/// `streamgauge audit --follow`, which must not find a problem while all this goes on.
struct Follower {
    child: Child,
    log: PathBuf,
}

impl Follower {
    fn start(plan: &Plan) -> anyhow::Result<Self> {
        let log = plan.cluster.directory.join("audit.log");
        let child = Command::new(plan.cluster.binaries.join("streamgauge"))
            .args(["audit", "--follow", "--brokers", &plan.cluster.brokers, "--prefix", &plan.cluster.prefix])
            .stdout(File::create(&log)?)
            .stderr(Stdio::inherit())
            .spawn()
            .context("couldn't start the audit")?;
        Ok(Self { child, log })
    }

    fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("audit --follow ended with {status}: see {}", self.log.display());
        }
        Ok(())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Plan {
    fn start(&self, ordinal: u32, start: u32) -> anyhow::Result<Member> {
        let process = self.cluster.start_sli(ordinal, &format!("sli-{ordinal}-{start}"), &PACE)?;
        Ok(Member { ordinal, process })
    }

    fn load(&self, manifest: &Path, seed: u64) -> anyhow::Result<Child> {
        let log = File::create(manifest.with_extension("log"))?;
        Command::new(self.cluster.binaries.join("streamgauge"))
            .args(["load", "--brokers", &self.cluster.brokers, "--topic", &self.cluster.topic(topics::REQUESTS)])
            .args(["--scenario", "steady", "--seed", &seed.to_string(), "--rate", &self.rate.to_string()])
            .args(["--duration", "3600s", "--manifest", &manifest.display().to_string()])
            .args(["--pane-secs", "1", "--max-out-of-orderness-ms", "1000"])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("couldn't start the load")
    }
}

/// Panes of a second rather than ten: more batches, more bursts, more moments to be killed in.
pub const PACE: [&str; 8] =
    ["--pane-secs", "1", "--max-out-of-orderness-ms", "1000", "--idle-after-ms", "1500", "--commit-interval-ms", "500"];
