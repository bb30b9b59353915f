//! The same data by way of Kafka: `import`, the stage, `windows` from the topic. The windows must be those of the files.

use std::path::Path;

use streamgauge_events::topics;
use streamgauge_tests::cluster::Cluster;
use streamgauge_tests::real_data::{Prepared, access_log, check_access_log, check_nezha, data, nezha};

fn through_kafka(cluster: &Cluster, prepared: &Prepared, requests: u64) -> anyhow::Result<String> {
    let text = |path: &Path| path.display().to_string();
    let (mapping, input) = (text(&prepared.mapping), text(&prepared.input));
    cluster.tool(&["import", "--mapping", &mapping, "--input", &input, "--topic", &cluster.topic(topics::REQUESTS)])?;
    let definitions = prepared.definitions.as_deref().map(text);
    let mut extra = vec!["--idle-after-ms", "1000"];
    if let Some(definitions) = &definitions {
        extra.extend(["--definitions", definitions]);
    }
    let mut one = cluster.start_sli(0, "sli-0", &extra)?;
    let mut two = cluster.start_sli(1, "sli-1", &extra)?;
    cluster.wait_for("all requests", &mut |outputs| outputs.counted() == requests)?;
    one.terminate()?;
    two.terminate()?;
    cluster.tool(&["audit", "--prefix", &cluster.prefix, "--source-check"])?;
    let topic = cluster.topic(topics::SLI_WINDOWS);
    cluster.tool(&["windows", "--topic", &topic, "--window", prepared.window, "--json"])
}

#[test]
fn minutes_of_a_shop() -> anyhow::Result<()> {
    let Some(data) = data("nezha", "minutes_of_a_shop") else { return Ok(()) };
    let Some(cluster) = Cluster::for_test("nezha")? else { return Ok(()) };
    let prepared = nezha(&data, &cluster.directory)?;
    let windows = through_kafka(&cluster, &prepared, streamgauge_tests::real_data::NEZHA_REQUESTS)?;
    check_nezha(&windows)?;
    assert_eq!(windows, prepared.backfill(&cluster.directory.join("out"))?);
    Ok(())
}

#[test]
fn an_access_log() -> anyhow::Result<()> {
    let Some(data) = data("elastic_apache", "an_access_log") else { return Ok(()) };
    let Some(cluster) = Cluster::for_test("access-log")? else { return Ok(()) };
    let prepared = access_log(&data, &cluster.directory)?;
    let windows = through_kafka(&cluster, &prepared, streamgauge_tests::real_data::ACCESS_LOG_REQUESTS)?;
    check_access_log(&windows)?;
    assert_eq!(windows, prepared.backfill(&cluster.directory.join("out"))?);
    Ok(())
}
