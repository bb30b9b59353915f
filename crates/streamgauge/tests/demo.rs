//! The first thing that a new user runs: the same answer every time, however many workers play.

use std::process::Command;

use serde_json::Value;

/// Half an hour of two services, 18,000 records, with disorder, late and broken records, and faults.
const SCENARIO: &str = "
name: half-hour
description: Small, but with every kind of trouble.
start: 2026-01-05T00:00:00Z
duration_secs: 1800
partitions: 4
rate:
  constant: { events_per_sec: 10 }
services:
  - service: shop
    versions: [{ version: 1.0.0 }]
    error_share: 0.01
    latency: { p50_us: 15000, p95_us: 50000 }
    routes: [{ route: /, method: GET, weight: 4 }, { route: /cart, method: GET }]
  - service: payments
    versions: [{ version: 2.0.0 }]
    error_share: 0.003
    latency: { p50_us: 200000, p95_us: 600000 }
    routes: [{ route: /authorize, method: POST }]
faults:
  - error_burst: { service: payments, route: /authorize, start_secs: 600, duration_secs: 300, error_share: 0.4 }
disorder:
  delayed: { share: 0.1, delay_secs_max: 3 }
";

fn demo(args: &[&str]) -> Value {
    let directory = tempfile::tempdir().expect("a directory for the scenario");
    let scenario = directory.path().join("half-hour.yaml");
    std::fs::write(&scenario, SCENARIO).expect("the scenario can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .args(["demo", "--json", "--scenario"])
        .arg(scenario)
        .args(args)
        .output()
        .expect("the binary of this package");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn the_answer_depends_on_the_seed_alone() {
    let one = demo(&["--seed", "5", "--workers", "1"]);
    assert_eq!(one, demo(&["--seed", "5", "--workers", "3"]), "one worker or three");
    assert_ne!(one, demo(&["--seed", "6", "--workers", "3"]), "another seed");
    let audit = &one["audit"];
    let number = |name: &str| audit[name].as_u64().unwrap_or_else(|| panic!("{name} is a number in {audit}"));
    assert!(number("counted") > 0);
    assert_eq!(number("produced"), number("counted") + number("dead_lettered"));
    assert_eq!((number("lost"), number("repeated")), (0, 0));
}
