//! `load`, the stage, `verify`: a scenario full of trouble on a real broker, against the truth of its producer.

use streamgauge_events::topics;
use streamgauge_tests::cluster::Cluster;

#[test]
fn a_scenario_of_bad_input_is_verified_and_a_wrong_truth_is_not() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("load-verify")? else { return Ok(()) };
    let topic = cluster.topic(topics::REQUESTS);
    let manifest = cluster.directory.join("load.json").display().to_string();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/scenarios/bad-input.yaml");
    let mut sli = cluster.start_sli(0, "sli", &["--idle-after-ms", "1000"])?;
    let load = ["load", "--topic", &topic, "--scenario", scenario, "--events", "20000", "--rate", "4000"];
    cluster.tool(&[&load[..], &["--manifest", &manifest]].concat())?;
    let verdict = cluster.tool(&["verify", "--prefix", &cluster.prefix, "--manifest", &manifest, "--json"])?;
    let verdict: serde_json::Value = serde_json::from_str(&verdict)?;
    assert_eq!(verdict["requests"], 20_000, "{verdict}");
    assert!(verdict["cells_compared"].as_u64() > Some(100), "{verdict}");
    assert!(verdict["dead_lettered"].as_u64() > Some(100), "{verdict}");

    // Twice the truth must not pass: it is told, with its own exit code.
    let (status, printed, errors) = cluster.try_tool(&[
        "verify",
        "--prefix",
        &cluster.prefix,
        "--manifest",
        &manifest,
        &manifest,
        "--wait",
        "1s",
    ])?;
    assert_eq!(status.code(), Some(3), "{printed}{errors}");
    assert!(printed.contains("not complete") && printed.contains("different"), "{printed}");
    sli.terminate()?;
    cluster.tool(&["audit", "--prefix", &cluster.prefix, "--source-check"])?;
    Ok(())
}
