//! The short form of the kill test on a real broker; `chaos` is the long one.

use std::path::PathBuf;

use streamgauge_tests::chaos::{self, Plan};
use streamgauge_tests::cluster::Cluster;

#[test]
fn results_stay_exact_under_kill_9() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("kills")? else { return Ok(()) };
    let plan = Plan {
        cluster,
        seed: 7,
        processes: 2,
        kills: 8,
        rate: 1500,
        verify_every: 5,
        broker_every: 0,
        kafka_script: PathBuf::from("../scripts/kafka"),
        broker_kill: false,
    };
    let report = chaos::run(&plan, &mut |line| println!("{line}"))?;
    assert!(report.kills >= 8 && report.verified >= 2, "{report:?}");
    assert!(report.requests > 1000, "{report:?}");
    Ok(())
}
