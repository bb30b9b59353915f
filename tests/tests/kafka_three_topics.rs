//! Three topics on a real broker, one of them Avro, under kill -9 and a change of definitions: what the processes have
//! written adds up to what one ledger for each partition makes of the same records in this process.
//!
//! Writers begin to use a new schema before it is defined, as they do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::TopicPartitionList;
use streamgauge_decode::{AvroEncoder, Framing, SchemaKey, schemas};
use streamgauge_definitions::{Bundle, BundleSettings, Definitions};
use streamgauge_events::topics::{self, Topic, table};
use streamgauge_events::{DeadLetter, Event, EventTime, Kind, NumberField, TextField};
use streamgauge_kafka::TopicAdmin;
use streamgauge_memory_log::SplitMix64;
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{CommitMetadata, Counting as _, Ledger, Outbox, Output, Record, Source, TimeSettings};
use streamgauge_stage_sli::SliStage;
use streamgauge_tests::chaos::PACE;
use streamgauge_tests::clock::now_us;
use streamgauge_tests::cluster::{Cluster, Process, StoredRecord};
use streamgauge_windows::Fold;
use streamgauge_windows::fold::Only;

const SEED: u64 = 11;
const SERIES_MAX: u32 = 4;
const PROCESSES: u32 = 2;
/// Between two rounds of records.
const ROUND: Duration = Duration::from_millis(100);
const ROUNDS: u64 = 90;
const ROUND_RECORDS: u64 = 40;
/// In this round the writers begin to use the new schema, and in this one it is defined.
const WRITERS_CHANGE: u64 = 35;
const DEFINITIONS_CHANGE: u64 = 50;
const KILL_EVERY: u64 = 12;
const OLD_SCHEMA: u32 = 3;
const NEW_SCHEMA: u32 = 4;

#[test]
fn three_topics_stay_exact_under_kill_9_and_new_definitions() -> anyhow::Result<()> {
    let Some(cluster) = Cluster::for_test("three-topics")? else { return Ok(()) };
    let world = World::new(cluster)?;
    let kills = world.load()?;
    assert!(kills >= 5, "{kills} kills");
    let prefix = &world.cluster.prefix;
    for topic in &world.topics {
        // Fails where anything is counted twice, never, or out of order.
        world.cluster.tool(&["audit", "--prefix", prefix, "--source-check", topic])?;
    }
    let found = Results::of(world.cluster.records(topics::SLI_WINDOWS)?, world.cluster.records(topics::DEAD_LETTERS)?)?;
    let expected = world.undisturbed()?;
    assert_eq!(found.dead_letters, expected.dead_letters);
    assert!(found.panes.len() > 100, "{} panes", found.panes.len());
    assert_eq!(found.panes, expected.panes);
    let unknown = found.dead_letters.values().filter(|letter| letter.starts_with("unknown_schema")).count();
    assert!(unknown > 0, "the writers were first");
    Ok(())
}

struct World {
    cluster: Cluster,
    /// Requests, ratings, usage, as they are called on the bus.
    topics: [String; 3],
    /// Before the change, and after it.
    bundles: [Bundle; 2],
    files: [PathBuf; 2],
}

impl World {
    fn new(cluster: Cluster) -> anyhow::Result<Self> {
        let topics = [topics::REQUESTS, "ratings", "usage"].map(|name| cluster.topic(name));
        let like_requests = topics::named(topics::REQUESTS).context("the table has requests")?;
        let more = [("ratings", 3), ("usage", 2)].map(|(name, partitions)| Topic {
            topic: name.to_owned(),
            partitions,
            ..like_requests.clone()
        });
        let table: Vec<Topic> = table().iter().cloned().chain(more).collect();
        let remaining = TopicAdmin::open(&cluster.client(), &cluster.prefix)?.apply(&table)?;
        ensure!(remaining.is_empty(), "topics differ after apply: {remaining:?}");
        std::fs::write(cluster.directory.join("score.avsc"), schemas::current(Kind::Score))?;
        let files = ["before.yaml", "after.yaml"].map(|name| cluster.directory.join(name));
        let texts = [definitions(&topics, false), definitions(&topics, true)];
        for (file, text) in files.iter().zip(&texts) {
            std::fs::write(file, text)?;
        }
        let [before, after] = texts.map(|text| bundle(&text));
        Ok(Self { cluster, topics, bundles: [before?, after?], files })
    }

    fn start(&self, ordinal: u32, round: u64) -> anyhow::Result<Process> {
        let file = &self.files[usize::from(round >= DEFINITIONS_CHANGE)];
        let (file, series_max) = (file.display().to_string(), SERIES_MAX.to_string());
        let mut flags = vec!["--definitions", &file, "--series-max", &series_max];
        flags.extend(PACE);
        self.cluster.start_sli(ordinal, &format!("sli-{ordinal}-{round}"), &flags)
    }

    /// Sends records, kills and starts processes, and waits until everything is counted. How often it killed.
    fn load(&self) -> anyhow::Result<u64> {
        let mut random = SplitMix64::new(SEED);
        let mut sender = self.cluster.sender()?;
        let mut processes: Vec<Process> =
            (0..PROCESSES).map(|ordinal| self.start(ordinal, 0)).collect::<anyhow::Result<_>>()?;
        let mut kills = 0;
        for round in 1..=ROUNDS {
            for _ in 0..ROUND_RECORDS {
                let topic = *random.pick(&[0, 0, 1, 2]);
                let partition = random.below([4, 3, 2][topic]) as i32;
                let ts = now_us() - *random.pick(&[0, 0, 0, 400_000, 900_000, 4_000_000]);
                let value = match topic {
                    0 => request(&mut random, ts),
                    1 => rating(&mut random, ts, round),
                    _ => usage(&mut random, ts),
                };
                sender.send(&self.topics[topic], partition, None, Some(&value), 0)?;
            }
            sender.poll();
            sender.take_settled();
            std::thread::sleep(ROUND);
            if round == DEFINITIONS_CHANGE {
                for (ordinal, process) in (0..).zip(&mut processes) {
                    process.terminate()?;
                    *process = self.start(ordinal, round)?;
                }
            } else if round % KILL_EVERY == 0 {
                let ordinal = random.below(PROCESSES.into()) as u32;
                let victim = &mut processes[ordinal as usize];
                victim.kill()?;
                *victim = self.start(ordinal, round)?;
                kills += 1;
            }
        }
        sender.flush()?;
        let sent = ROUNDS * ROUND_RECORDS;
        self.cluster.wait_for("everything is counted", &mut |outputs| {
            outputs.counted() + outputs.dead_letters.len() as u64 == sent
        })?;
        processes.iter_mut().try_for_each(Process::terminate)?;
        Ok(kills)
    }

    /// What one ledger for each partition makes of the same records, with definitions as the group has activated them.
    fn undisturbed(&self) -> anyhow::Result<Results> {
        let time = TimeSettings { pane_us: 1_000_000, max_out_of_orderness_us: 1_000_000, ..TimeSettings::default() };
        let [before, after] = &self.bundles;
        let mut stage = SliStage::new(&self.topics[0], time, after)?;
        for output in SliStage::new(&self.topics[0], time, before)?.unsaved() {
            stage.learn(&output.key, &output.value);
        }
        let mut outbox = Outbox::default();
        for (index, topic) in (0..).zip(stage.inputs()) {
            let name = topic.strip_prefix(&self.cluster.prefix).context("a topic of ours")?;
            let mut partitions: BTreeMap<i32, Vec<StoredRecord>> = BTreeMap::new();
            for record in self.cluster.records(name)? {
                partitions.entry(record.partition).or_default().push(record);
            }
            for (partition, records) in partitions {
                let opening = Opening {
                    source: topic,
                    partition,
                    partitions: 0,
                    offset: 0,
                    metadata: "",
                    log_start: 0,
                    generation: 0,
                    new_generation: false,
                    bundle: stage.bundle(),
                    time,
                };
                let mut ledger = Ledger::open(&opening, stage.cells(index))?;
                ledger.set_activations(self.committed(topic, partition)?.b)?;
                let source = Source { topic: index, partition };
                for StoredRecord { offset, timestamp, value, .. } in &records {
                    let (offset, timestamp, value) = (*offset, *timestamp, value.as_deref());
                    ledger
                        .fold(&Record { source, offset, timestamp, key: None, value, rejected: None }, &mut outbox)?;
                }
                ledger.end(records.last().map_or(0, |last| last.offset + 1), &mut outbox);
            }
        }
        let of_topic = |topic: &str| {
            let outputs = outbox.outputs().iter().filter(|output| output.topic == topic);
            outputs.map(|Output { value, .. }| stored(value)).collect()
        };
        Results::of(of_topic(topics::SLI_WINDOWS), of_topic(topics::DEAD_LETTERS))
    }

    /// What stands beside the group's last offset.
    fn committed(&self, topic: &str, partition: i32) -> anyhow::Result<CommitMetadata> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.cluster.brokers)
            .set("group.id", self.cluster.group())
            .create()
            .context("couldn't make a consumer")?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, partition);
        let answered = consumer.committed_offsets(asked, Duration::from_secs(10))?;
        let found = answered.find_partition(topic, partition).context("the group answers what it was asked")?;
        CommitMetadata::decode(found.metadata()).with_context(|| format!("no metadata of {topic}/{partition}"))
    }
}

fn bundle(text: &str) -> anyhow::Result<Bundle> {
    let schema = |_: &str, _: &str| Ok(schemas::current(Kind::Score).to_owned());
    let definitions = Definitions::read([("definitions", text)], &schema);
    let definitions = definitions.map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))?;
    Ok(Bundle { settings: BundleSettings { series_max: SERIES_MAX, ..BundleSettings::default() }, definitions })
}

fn stored(value: &[u8]) -> StoredRecord {
    StoredRecord { partition: 0, offset: 0, timestamp: None, value: Some(value.to_vec()) }
}

/// Folded facts, a line each, and dead letters: reason and message by topic, partition and offset.
struct Results {
    panes: BTreeSet<String>,
    dead_letters: BTreeMap<(String, i32, i64), String>,
}

impl Results {
    fn of(facts: Vec<StoredRecord>, letters: Vec<StoredRecord>) -> anyhow::Result<Self> {
        let mut fold = Fold::new(Only::default());
        for StoredRecord { partition, value, .. } in &facts {
            fold.observe(*partition, value.as_deref().unwrap_or_default())?;
        }
        let mut dead_letters = BTreeMap::new();
        for letter in letters {
            let letter: DeadLetter = serde_json::from_slice(letter.value.as_deref().unwrap_or_default())?;
            let place = (letter.source, letter.partition, letter.offset);
            let twice = dead_letters.insert(place, format!("{}: {}", letter.reason, letter.message));
            ensure!(twice.is_none(), "a dead letter stands twice");
        }
        Ok(Self { panes: fold.panes().map(|pane| pane.to_json()).collect(), dead_letters })
    }
}

// ---- the records

fn request(random: &mut SplitMix64, ts: i64) -> Vec<u8> {
    if random.chance(0.02) {
        return b"{\"ts\":1,".to_vec();
    }
    let service = random.pick(&["shop", "shop", "search"]);
    let (route, status) = (random.pick(&["a", "b", "c", "d", "e", "f", "g"]), random.pick(&[200, 200, 404, 503]));
    let (plan, latency_us) = (random.pick(&["gold", "free"]), random.below(600_000));
    let trace = random.below(10_000);
    let head = format!(r#""ts":{ts},"service":"{service}","route":"/{route}","status":{status}"#);
    let tail = format!(r#""latency_us":{latency_us},"trace_id":"t{trace}","attributes":{{"plan":"{plan}"}}"#);
    format!("{{{head},{tail}}}").into_bytes()
}

fn rating(random: &mut SplitMix64, ts: i64, round: u64) -> Vec<u8> {
    let id = if round >= WRITERS_CHANGE && random.chance(0.5) { NEW_SCHEMA } else { OLD_SCHEMA };
    let mut event = Event::new(EventTime(ts), "shop");
    event.set_text(TextField::Metric, (*random.pick(&["satisfaction", "toxicity"])).into());
    event.set_text(TextField::Version, (*random.pick(&["1", "2", "3", "4", "5", "6"])).into());
    if random.chance(0.7) {
        event.set_number(NumberField::Value, random.below(2_000_000) as i64 - 500_000);
    } else {
        let total = random.below(50) as i64;
        event.set_number(NumberField::Total, total);
        event.set_number(NumberField::Good, total - (random.below(3) as i64).min(total));
    }
    let mut bytes = AvroEncoder::new(Kind::Score, Framing::Confluent, SchemaKey(id.into())).encode(&event);
    if random.chance(0.02) {
        bytes.truncate(9);
    }
    bytes
}

fn usage(random: &mut SplitMix64, ts: i64) -> Vec<u8> {
    let (instance, metric) = (random.below(7), random.pick(&["cpu", "memory"]));
    let head = format!(r#""ts":{ts},"service":"shop","instance":"i{instance}","metric":"{metric}""#);
    if random.chance(0.02) {
        return format!("{{{head}}}").into_bytes();
    }
    let sign = if random.chance(0.1) { "-" } else { "" };
    format!(r#"{{{head},"value":{sign}0.{:03}}}"#, random.below(1000)).into_bytes()
}

// ---- the definitions

/// `after` has another schema, another filter, another threshold, and an SLI more.
fn definitions(topics: &[String; 3], after: bool) -> String {
    let [_, ratings, usage] = topics;
    let mut ids = vec![OLD_SCHEMA];
    ids.extend(after.then_some(NEW_SCHEMA));
    let schemas: Vec<String> = ids.iter().map(|id| format!("{{id: {id}, file: score.avsc}}")).collect();
    let schemas = schemas.join(", ");
    let (metric, good) = if after { ("cpu", "value >= 0.7") } else { ("memory", "value >= 0.5") };
    let load = format!("filter: metric == '{metric}', groupBy: {{instance: []}}, slice: 10s");
    let load = format!("{load}, saturation: {{aggregate: last, atMost: 0.9}}");
    let mut documents = vec![
        document("Service", "shop", "{}"),
        source("ratings", ratings, &format!("event: score, format: avro, framing: confluent, schemas: [{schemas}]")),
        source("usage", usage, "event: resource"),
        ratio("fast", "requests", "latencyThresholdUs: 300000"),
        ratio("satisfied", "ratings", &format!("groupBy: {{version: ['1']}}, good: {good}")),
        ratio("passed", "ratings", "goodCount: good, totalCount: total"),
        document("SLI", "load", &format!("{{thresholdMetric: {}}}", metric_source("usage", &load))),
    ];
    let by_plan = "groupBy: {attributes.plan: [gold], route: []}, good: status < 500";
    documents.extend(after.then(|| ratio("by_plan", "requests", by_plan)));
    documents.join("---\n")
}

fn document(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: openslo/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn source(name: &str, topic: &str, what: &str) -> String {
    document("DataSource", name, &format!("{{type: streamgauge, connectionDetails: {{topic: {topic}, {what}}}}}"))
}

fn ratio(name: &str, source: &str, judged: &str) -> String {
    let raw = metric_source(source, judged);
    document("SLI", name, &format!("{{ratioMetric: {{counter: true, rawType: success, raw: {raw}}}}}"))
}

fn metric_source(source: &str, judged: &str) -> String {
    format!("{{metricSource: {{metricSourceRef: {source}, spec: {{service: shop, {judged}}}}}}}")
}
