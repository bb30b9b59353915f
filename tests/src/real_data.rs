//! Public data with known truth, through files and through Kafka. Lies beside the checkout; `STREAMGAUGE_DATA` says
//! where else. Tests that want it say in one line that they are skipped where it is absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::cluster::binaries;

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned()
}

/// A data set's directory.
pub fn data(set: &str, test: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("STREAMGAUGE_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let found = directory.join(set);
    if found.is_dir() {
        return Some(found);
    }
    crate::skipped(&format!("{test} needs the data set {set} in {}", directory.display()));
    None
}

/// One data set, ready to be mapped.
pub struct Prepared {
    pub mapping: PathBuf,
    pub input: PathBuf,
    pub definitions: Option<PathBuf>,
    /// Window length for the comparison.
    pub window: &'static str,
}

/// The front end's minutes of 2022-08-22, joined as the documentation says.
pub fn nezha(data: &Path, scratch: &Path) -> anyhow::Result<Prepared> {
    let metrics = data.join("rca_data/2022-08-22/metric");
    let output = Command::new("sh")
        .arg(root().join("examples/mappings/nezha-prepare.sh"))
        .arg(metrics.join("front_service.csv"))
        .arg(metrics.join("frontend-579b9bff58-t2dbm_metric.csv"))
        .output()
        .context("couldn't run the preparation")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let input = scratch.join("minutes.csv");
    std::fs::write(&input, output.stdout)?;
    Ok(Prepared { mapping: root().join("examples/mappings/nezha.yaml"), input, definitions: None, window: "60s" })
}

/// The access log, with one SLI a status, so that the windows count statuses.
pub fn access_log(data: &Path, scratch: &Path) -> anyhow::Result<Prepared> {
    let mut definitions = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: web}\nspec: {}\n".to_owned();
    for status in STATUSES {
        definitions += &format!(
            "---
apiVersion: openslo/v1
kind: SLI
metadata: {{name: status-{}}}
spec:
  ratioMetric:
    counter: true
    rawType: success
    raw: {{metricSource: {{type: streamgauge, spec: {{topic: requests, service: web, good: status == {}}}}}}}
",
            status.0, status.0
        );
    }
    let path = scratch.join("statuses.yaml");
    std::fs::write(&path, definitions)?;
    Ok(Prepared {
        mapping: root().join("examples/mappings/elastic_apache.yaml"),
        input: data.join("apache_access.log"),
        definitions: Some(path),
        window: "1h",
    })
}

/// The shop's quiet days: a wide table of five-minute aggregates.
pub fn petshop(data: &Path) -> Prepared {
    let (mapping, input) = ("examples/mappings/petshop.yaml", "dataset/low_traffic/noissue/metrics.csv");
    Prepared { mapping: root().join(mapping), input: data.join(input), definitions: None, window: "5m" }
}

/// Requests of the access log by status.
pub const STATUSES: [(u16, u64); 3] = [(200, 9126), (404, 213), (500, 3)];
pub const ACCESS_LOG_REQUESTS: u64 = 10_000;
pub const NEZHA_REQUESTS: u64 = 619_389;
/// Ends of the minutes in which fewer than 99% of the requests succeeded.
pub const NEZHA_BAD_MINUTES: [&str; 22] = [
    "04:03", "04:04", "04:05", "04:19", "04:20", "04:21", "05:02", "05:03", "05:04", "05:10", "05:11", "05:12",
    "06:28", "06:29", "06:30", "06:44", "06:45", "06:46", "06:47", "07:45", "07:46", "07:47",
];

/// Runs `streamgauge` and gives its standard output.
pub fn streamgauge(args: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new(binaries()?.join("streamgauge")).args(args).output().context("couldn't run streamgauge")?;
    ensure!(
        output.status.success(),
        "streamgauge {} ended with {}: {}",
        args.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

impl Prepared {
    /// Backfills into `out` and gives the windows, one JSON object a line.
    pub fn backfill(&self, out: &Path) -> anyhow::Result<String> {
        let text = |path: &Path| path.display().to_string();
        let mut args = vec!["backfill".to_owned(), "--quiet".to_owned(), "--mapping".to_owned(), text(&self.mapping)];
        args.extend(["--input".to_owned(), text(&self.input), "--out".to_owned(), text(out)]);
        if let Some(definitions) = &self.definitions {
            args.extend(["--definitions".to_owned(), text(definitions)]);
        }
        streamgauge(&args.iter().map(String::as_str).collect::<Vec<_>>())?;
        let out = text(out);
        streamgauge(&["audit", "--input", &out])?;
        streamgauge(&["windows", "--input", &out, "--window", self.window, "--json"])
    }
}

/// The sum of a number over all windows of an SLI.
pub fn sum(windows: &str, sli: &str, field: &str) -> anyhow::Result<u64> {
    let mut sum = 0;
    for window in parsed(windows)? {
        if window["sli"] == sli {
            sum += window[field].as_u64().with_context(|| format!("{field} is no number in {window}"))?;
        }
    }
    Ok(sum)
}

pub fn parsed(windows: &str) -> anyhow::Result<Vec<Value>> {
    windows.lines().map(|line| serde_json::from_str(line).context("a window that is no JSON")).collect()
}

/// Both truths of the front end's minutes.
pub fn check_nezha(windows: &str) -> anyhow::Result<()> {
    ensure!(sum(windows, "requests", "total")? == NEZHA_REQUESTS);
    let mut bad = Vec::new();
    for window in parsed(windows)? {
        let (good, total) = (window["good"].as_u64().context("good")?, window["total"].as_u64().context("total")?);
        if good * 100 < total * 99 {
            bad.push(window["end"].as_str().context("end")?[11..16].to_owned());
        }
    }
    ensure!(bad == NEZHA_BAD_MINUTES, "minutes below 99%: {bad:?}");
    Ok(())
}

pub fn check_access_log(windows: &str) -> anyhow::Result<()> {
    ensure!(sum(windows, "requests", "total")? == ACCESS_LOG_REQUESTS);
    for (status, count) in STATUSES {
        let found = sum(windows, &format!("status-{status}"), "good")?;
        ensure!(found == count, "{found} requests of status {status}, {count} in the log");
    }
    Ok(())
}

/// Counted by `crates/mapping/tests/real_data_counts.py`: all requests, the good ones, and the one row in which the
/// shop's own site answered only 40.65% of them.
pub fn check_petshop(windows: &str) -> anyhow::Result<()> {
    ensure!(sum(windows, "requests", "total")? == 2_216_397);
    ensure!(sum(windows, "requests", "good")? == 2_202_483);
    let mut worst = Vec::new();
    for window in parsed(windows)? {
        let (good, total) = (window["good"].as_u64().context("good")?, window["total"].as_u64().context("total")?);
        if window["labels"]["service"] == "PetSite" && good * 100 < total * 41 {
            worst.push((window["start"].as_str().context("start")?.to_owned(), good, total));
        }
    }
    ensure!(worst == [("2023-08-23T05:45:00Z".to_owned(), 485, 1_193)], "windows below 41%: {worst:?}");
    Ok(())
}
