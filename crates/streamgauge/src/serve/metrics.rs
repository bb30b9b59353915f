//! The figures of `/metrics`. Workers count in plain integers and hang a snapshot up now and then; a scrape reads the
//! snapshots and takes nothing from the per-event path.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use streamgauge_events::EventTime;
use streamgauge_kafka::{KafkaLog, TransactionStats};
use streamgauge_stage::worker::{Counters, PartitionView};
use streamgauge_stage::{Stage, Worker};

use super::http::Served;
use crate::shell;

/// Snapshots of all workers, shared with the HTTP server.
#[derive(Clone, Debug)]
pub struct Board {
    workers: Arc<Mutex<Vec<Option<WorkerSnapshot>>>>,
    /// What the stage itself has to say, by worker.
    own: Arc<Mutex<Vec<Vec<Family>>>>,
}

#[derive(Clone, Debug)]
pub struct WorkerSnapshot {
    taken: EventTime,
    ready: bool,
    counters: Counters,
    transactions: TransactionStats,
    partitions: Vec<PartitionSnapshot>,
}

#[derive(Clone, Debug)]
struct PartitionSnapshot {
    topic: String,
    view: PartitionView,
    /// Records behind the end of the log, as far as the client knows.
    lag: Option<i64>,
}

impl WorkerSnapshot {
    pub fn of<S: Stage>(worker: &Worker<KafkaLog, S>, inputs: &[String]) -> Self {
        let partition = |view: PartitionView| PartitionSnapshot {
            topic: inputs.get(usize::from(view.source.topic)).cloned().unwrap_or_default(),
            lag: worker.log().log_end(view.source).map(|end| (end - view.position).max(0)),
            view,
        };
        Self {
            taken: shell::now(),
            ready: worker.ready(),
            counters: worker.counters().clone(),
            transactions: worker.log().transaction_stats(),
            partitions: worker.views().into_iter().map(partition).collect(),
        }
    }
}

impl Board {
    pub fn new(workers: usize) -> Self {
        Self {
            workers: Arc::new(Mutex::new(vec![None; workers])),
            own: Arc::new(Mutex::new(vec![Vec::new(); workers])),
        }
    }

    /// Families of the stage's own, in place of those that this worker had published before. Of one name, all workers' samples
    /// are shown together.
    pub fn publish_own(&self, worker: usize, families: Vec<Family>) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)[worker] = families;
    }

    pub fn publish(&self, worker: usize, snapshot: WorkerSnapshot) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers[worker] = Some(snapshot);
    }

    fn families(&self) -> Vec<Family> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let live: Vec<(usize, &WorkerSnapshot)> =
            workers.iter().enumerate().filter_map(|(index, snapshot)| Some((index, snapshot.as_ref()?))).collect();
        let mut families = families(&live);
        for (name, help, kind, samples) in
            self.own.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().cloned()
        {
            match families.iter_mut().find(|family| family.0 == name) {
                Some(family) => family.3.extend(samples),
                None => families.push((name, help, kind, samples)),
            }
        }
        families
    }
}

impl Served for Board {
    fn metrics(&self) -> String {
        render(self.families())
    }

    /// Ready: every worker has taken its partitions over, and nothing is failing.
    fn not_ready(&self) -> Option<String> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().enumerate().find_map(|(index, snapshot)| match snapshot {
            None => Some(format!("worker {index} has not joined the group yet")),
            Some(snapshot) if !snapshot.ready => {
                Some(format!("worker {index} is taking partitions over, or can't reach Kafka"))
            }
            Some(_) => None,
        })
    }
}

/// OpenMetrics text.
pub fn render(families: Vec<Family>) -> String {
    let mut registry = Registry::with_prefix("streamgauge");
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    // Writing into a String does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

/// One sample: labels and value.
pub type Samples = Vec<(Vec<(String, String)>, f64)>;

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        for (name, help, kind, samples) in &self.0 {
            let mut metric = encoder.encode_descriptor(name, help, None, *kind)?;
            for (labels, value) in samples {
                let mut sample = metric.encode_family(labels)?;
                match kind {
                    MetricType::Counter => sample.encode_counter::<NoLabelSet, f64, f64>(value, None)?,
                    _ => sample.encode_gauge(value)?,
                }
            }
        }
        Ok(())
    }
}

/// Name, help, type and samples.
pub type Family = (&'static str, &'static str, MetricType, Samples);

fn families(live: &[(usize, &WorkerSnapshot)]) -> Vec<Family> {
    use MetricType::{Counter, Gauge};
    let mut families = vec![
        per_worker(live, "records", "Input records folded", Counter, |s| s.counters.records as f64),
        per_worker(live, "record_bytes", "Bytes of their values", Counter, |s| s.counters.record_bytes as f64),
        per_worker(live, "refolded_records", "Records read again to rebuild state", Counter, |s| {
            s.counters.refolded as f64
        }),
        per_worker(live, "batches", "Batches committed", Counter, |s| s.counters.batches as f64),
        per_worker(live, "bursts", "Transactions committed", Counter, |s| s.counters.bursts as f64),
        per_worker(live, "outputs", "Output records committed", Counter, |s| s.counters.outputs as f64),
        per_worker(live, "output_bytes", "Bytes of their keys and values", Counter, |s| s.counters.output_bytes as f64),
        per_worker(live, "output_bytes_per_input_byte", "Bytes out per byte in, since the start", Gauge, |s| {
            s.counters.output_bytes as f64 / (s.counters.record_bytes.max(1)) as f64
        }),
        per_worker(live, "aborted_bursts", "Bursts that failed", Counter, |s| s.counters.aborts as f64),
        per_worker(live, "rebuilds", "Times that all state was rebuilt from what was committed", Counter, |s| {
            s.counters.rebuilds as f64
        }),
        per_worker(live, "idle_advances", "Idle advances of silent partitions", Counter, |s| {
            s.counters.idle_advances as f64
        }),
        per_worker(live, "transaction_seconds", "Time in committed transactions", Counter, |s| {
            s.transactions.sum_us as f64 / 1e6
        }),
        per_worker(live, "transaction_last_seconds", "Duration of the last transaction", Gauge, |s| {
            s.transactions.last_us as f64 / 1e6
        }),
        per_worker(live, "ready", "1: partitions taken over, nothing failing", Gauge, |s| f64::from(u8::from(s.ready))),
        dead_letters(live),
    ];
    families.extend([
        per_partition(live, "lag_records", "Records behind the end of the log", |_, p| p.lag.map(|lag| lag as f64)),
        per_partition(live, "watermark_delay_seconds", "Wall time minus watermark", |s, p| {
            let watermark = p.view.watermark;
            (watermark > EventTime::BEFORE_ALL).then(|| (s.taken.0 - watermark.0) as f64 / 1e6)
        }),
        per_partition(live, "live_cells", "Series in open panes", |_, p| Some(p.view.live_cells as f64)),
        per_partition(live, "open_events", "Events in open panes", |_, p| Some(p.view.open_events as f64)),
        per_partition(live, "position_offset", "Offset of the next record", |_, p| Some(p.view.position as f64)),
    ]);
    families.push(("resident_memory_bytes", "Memory of this process", Gauge, vec![(Vec::new(), resident_bytes())]));
    families
}

fn per_worker(
    live: &[(usize, &WorkerSnapshot)],
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: impl Fn(&WorkerSnapshot) -> f64,
) -> Family {
    let sample = |(index, snapshot): &(usize, &WorkerSnapshot)| {
        (vec![("worker".to_owned(), index.to_string())], value(snapshot))
    };
    (name, help, kind, live.iter().map(sample).collect())
}

fn per_partition(
    live: &[(usize, &WorkerSnapshot)],
    name: &'static str,
    help: &'static str,
    value: impl Fn(&WorkerSnapshot, &PartitionSnapshot) -> Option<f64>,
) -> Family {
    let mut samples = Samples::new();
    for (_, snapshot) in live {
        for partition in &snapshot.partitions {
            if let Some(value) = value(snapshot, partition) {
                let number = partition.view.source.partition.to_string();
                let labels = [("topic", partition.topic.clone()), ("partition", number)];
                samples.push((labels.map(|(name, value)| (name.to_owned(), value)).into(), value));
            }
        }
    }
    (name, help, MetricType::Gauge, samples)
}

fn dead_letters(live: &[(usize, &WorkerSnapshot)]) -> Family {
    let mut samples = Samples::new();
    for (index, snapshot) in live {
        for (reason, count) in &snapshot.counters.dead_letters {
            let labels = [("worker", index.to_string()), ("reason", reason.to_string())];
            samples.push((labels.map(|(name, value)| (name.to_owned(), value)).into(), *count as f64));
        }
    }
    ("dead_letters", "Records that could not be counted", MetricType::Counter, samples)
}

/// Of this process, from /proc; 0 where there is none.
pub fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.map_or(0.0, |kib: f64| kib * 1024.0)
}
