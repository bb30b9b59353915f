//! A real Alertmanager, and what it tells by its webhook. `STREAMGAUGE_ALERTMANAGER` names its program; otherwise it is looked for on
//! the PATH.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use streamgauge::alertmanager_push::client::Credentials;
use streamgauge_tests::cluster::Process;

use crate::posts::{Pushing, fired, resolved};
use crate::receiver::{Receiver, free_port, get, wait_for};

const PROGRAM_VARIABLE: &str = "STREAMGAUGE_ALERTMANAGER";
const RESEND: Duration = Duration::from_secs(1);

struct Alertmanager {
    process: Process,
    address: SocketAddr,
    directory: tempfile::TempDir,
    program: PathBuf,
}

impl Alertmanager {
    /// `None`, and one line that says so, where there is none.
    fn for_test(name: &str, webhook: &Receiver) -> anyhow::Result<Option<Self>> {
        let on_path = || {
            std::env::split_paths(&std::env::var_os("PATH")?)
                .map(|path| path.join("alertmanager"))
                .find(|file| file.is_file())
        };
        let Some(program) = std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from).or_else(on_path) else {
            let remedy = "go install github.com/prometheus/alertmanager/cmd/alertmanager@v0.28.1, and set";
            streamgauge_tests::skipped(&format!("{name} needs a real Alertmanager; {remedy} {PROGRAM_VARIABLE}"));
            return Ok(None);
        };
        let directory = tempfile::tempdir()?;
        let config = format!(
            "route: {{receiver: test, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: test, webhook_configs: [{{url: '{}/notified', send_resolved: true}}]}}]
",
            webhook.url()
        );
        fs::write(directory.path().join("alertmanager.yml"), config)?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let process = Self::start(&program, &directory, address)?;
        Ok(Some(Self { process, address, directory, program }))
    }

    fn start(program: &PathBuf, directory: &tempfile::TempDir, address: SocketAddr) -> anyhow::Result<Process> {
        let log = directory.path().join("log");
        let child = Command::new(program)
            .current_dir(directory.path())
            .args(["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="])
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("couldn't start {}", program.display()))?;
        Ok(Process { child, log })
    }

    /// It keeps no alerts across this.
    fn restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process = Self::start(&self.program, &self.directory, self.address)?;
        Ok(())
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Alerts of an SLO as it holds them.
    fn alerts(&self, slo: &str) -> Vec<Value> {
        let all = get(self.address, "/api/v2/alerts").ok().and_then(|body| serde_json::from_str(&body).ok());
        let Some(Value::Array(alerts)) = all else { return Vec::new() };
        alerts.into_iter().filter(|alert| alert["labels"]["slo"] == slo).collect()
    }
}

/// A notification of this status about an SLO, with so many alerts.
fn notified(webhook: &Receiver, slo: &str, status: &str, alerts: usize) -> Option<Value> {
    webhook.notifications().into_iter().find(|notification| {
        notification["groupLabels"]["alertname"] == slo
            && notification["status"] == status
            && notification["alerts"].as_array().map_or(0, Vec::len) == alerts
    })
}

#[test]
fn a_real_alertmanager_takes_groups_repeats_and_resolves() -> anyhow::Result<()> {
    let webhook = Receiver::start()?;
    let Some(mut alertmanager) = Alertmanager::for_test("alertmanager", &webhook)? else { return Ok(()) };
    let pushing = Pushing::to(&[alertmanager.url()], RESEND, &Credentials::default())?.read_to_end();
    let (fast, slow) = (fired("checkout", "fast-burn"), fired("checkout", "slow-burn"));
    let search = fired("search", "fast-burn");
    for record in [&fast, &slow, &search] {
        pushing.note(record.clone());
    }

    // Both tiers of an SLO are one notification.
    let group = wait_for("both tiers in one group", || Ok(notified(&webhook, "checkout", "firing", 2)))?;
    ensure!(group["version"] == "4" && group["commonLabels"]["service"] == fast.service.as_str(), "{group:#}");
    let annotations = &group["alerts"][0]["annotations"];
    ensure!(annotations["burn_long"].as_str().is_some_and(|burn| burn.contains("bad")), "{annotations:#}");
    wait_for("the other SLO", || Ok(notified(&webhook, "search", "firing", 1)))?;

    // Repeated, an alert stays the same one.
    let first = wait_for("alerts", || Ok(Some(alertmanager.alerts("checkout")).filter(|alerts| alerts.len() == 2)))?;
    wait_for("it is received again", || {
        let again = alertmanager.alerts("checkout");
        ensure!(again.len() == 2, "two alerts have become {}", again.len());
        Ok((again[0]["updatedAt"] != first[0]["updatedAt"] && again[0]["endsAt"] != first[0]["endsAt"]).then_some(()))
    })?;

    // An Alertmanager that has forgotten everything is told again.
    alertmanager.restart()?;
    wait_for("alerts after a restart", || Ok((alertmanager.alerts("checkout").len() == 2).then_some(())))?;

    // What resolves ends when it did; the group has ended when all of it has.
    pushing.note(resolved(&fast));
    pushing.note(resolved(&slow));
    let over = wait_for("resolved", || Ok(notified(&webhook, "checkout", "resolved", 2)))?;
    let end = jiff::Timestamp::from_microsecond(resolved(&fast).at.0)?;
    for alert in over["alerts"].as_array().into_iter().flatten() {
        let told: jiff::Timestamp = alert["endsAt"].as_str().unwrap_or_default().parse()?;
        ensure!(told == end, "it ended at {told}, not at {end}");
    }
    ensure!(notified(&webhook, "search", "resolved", 1).is_none(), "what still fires has resolved");

    // What is repeated no longer ends by itself, four resends later.
    pushing.end()?;
    wait_for("ended by itself", || Ok(notified(&webhook, "search", "resolved", 1)))?;
    Ok(())
}
