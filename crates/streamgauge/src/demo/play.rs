//! scenario → records on the in-memory log → workers → facts, folded and audited as they come.
//!
//! What has been read is dropped from the log, so that memory holds panes and not a day of records.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use streamgauge_definitions::{Bundle, BundleSettings, Definitions};
use streamgauge_events::{DeadLetter, EventTime, Fact, Offset, Reason, topics};
use streamgauge_memory_log::{Broker, BrokerSettings, ClientConfig, MemoryLog};
use streamgauge_stage::{CommitMetadata, TimeSettings, Worker, WorkerSettings};
use streamgauge_stage_sli::SliStage;
use streamgauge_stage_slo::{AlertRecord, Objectives};
use streamgauge_synthetic::{Generated, Generator, Scenario, Truth, TruthParameters};
use streamgauge_windows::{Audit, Fold, Only, Report};

const GROUP: &str = "sli";
/// The workers get so much simulated time at once, so that a burst holds several batches.
const STEP_US: i64 = 60_000_000;
/// And never more records than this.
const STEP_RECORDS_MAX: u64 = 4_000;
/// Silence at the end, until idle advances have closed the last panes.
const TAIL_SECS_MAX: i64 = 120;

/// Everything that a run left behind.
pub struct Played {
    pub scenario: Scenario,
    pub seed: u64,
    pub truth: Truth,
    pub fold: Fold,
    pub dead_letters: BTreeMap<Reason, u64>,
    pub audit: Report,
    /// By partition of the facts.
    pub objectives: Vec<Objectives>,
    /// Each objective's in order.
    pub alerts: Vec<AlertRecord>,
}

pub fn play(
    scenario: &Scenario,
    definitions: Definitions,
    seed: u64,
    workers: u16,
    quiet: bool,
) -> anyhow::Result<Played> {
    let mut generator = Generator::new(scenario, seed);
    let mut stream = Stream::open(scenario, definitions, &generator, workers)?;
    let mut truth = Truth::new(&generator, truth_parameters());
    let bar = progress(scenario, quiet);
    let mut record = Generated::default();
    let mut step = Step { until_us: generator.start_us() + STEP_US, records: 0 };
    while generator.fill(&mut record) {
        if record.at_us >= step.until_us || step.records == STEP_RECORDS_MAX {
            stream.run_workers()?;
            bar.set_position(((record.at_us - generator.start_us()) / 1_000_000) as u64);
            bar.set_message(hour_and_minute(record.at_us));
            step = Step { until_us: record.at_us + STEP_US, records: 0 };
        }
        stream.append(&record);
        truth.delivered(&record, record.at_us);
        step.records += 1;
    }
    bar.finish_and_clear();
    stream.close()?;
    let Stream { readout: Readout { fold, mut audit, dead_letters, objectives, alerts, .. }, .. } = stream;
    audit.require_all();
    let audit = audit.report();
    Ok(Played { scenario: scenario.clone(), seed, truth, fold, dead_letters, audit, objectives, alerts })
}

struct Step {
    until_us: i64,
    records: u64,
}

fn progress(scenario: &Scenario, quiet: bool) -> ProgressBar {
    let style = ProgressStyle::with_template("  {bar:48} {percent:>3}%  {msg} of the simulated clock")
        .expect("a constant template");
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    ProgressBar::with_draw_target(Some(scenario.duration_secs()), target).with_style(style)
}

fn hour_and_minute(at_us: i64) -> String {
    jiff::Timestamp::from_microsecond(at_us).map_or_else(|_| String::new(), |at| at.strftime("%H:%M").to_string())
}

/// What the stage is set to, in the words of the truth.
fn truth_parameters() -> TruthParameters {
    let TimeSettings { pane_us, max_out_of_orderness_us, late_horizon_us, max_future_skew_us, .. } =
        TimeSettings::default();
    TruthParameters { pane_us, max_out_of_orderness_us, late_horizon_us, max_future_skew_us }
}

/// The log, the workers in front of it, and who reads what they write.
struct Stream {
    broker: Broker,
    workers: Vec<Worker<MemoryLog, SliStage>>,
    partitions: i32,
    readout: Readout,
}

impl Stream {
    fn open(
        scenario: &Scenario,
        definitions: Definitions,
        generator: &Generator,
        workers: u16,
    ) -> anyhow::Result<Self> {
        let broker = Broker::new(BrokerSettings::default());
        let partitions = scenario.partitions();
        broker.create_topic(topics::REQUESTS, partitions);
        for topic in topics::table().iter().filter(|topic| topic.topic != topics::REQUESTS) {
            broker.create_topic(&topic.topic, topic.partitions);
        }
        broker.advance_to(EventTime(generator.start_us()));
        // Room for every series: the generator's truth knows no bound.
        let series_max = u32::try_from(generator.series().len())?.max(BundleSettings::default().series_max);
        let settings = BundleSettings { series_max, ..BundleSettings::default() };
        let readout = Readout::new(&broker, partitions, &definitions)?;
        let bundle = Bundle { settings, definitions };
        let mut stream = Self { readout, broker, workers: Vec::new(), partitions };
        for index in 0..workers {
            let config = ClientConfig::new(GROUP, &format!("{GROUP}-0-{index}"), &[topics::REQUESTS]);
            let log = MemoryLog::connect(&stream.broker, config).context("couldn't connect to the log in memory")?;
            let stage = SliStage::new(topics::REQUESTS, TimeSettings::default(), &bundle)?;
            stream.workers.push(Worker::new(log, stage, WorkerSettings::default()));
        }
        stream.wait_for_assignments()?;
        Ok(stream)
    }

    /// All members join before the day begins.
    fn wait_for_assignments(&mut self) -> anyhow::Result<()> {
        for _ in 0..100 {
            let now = self.broker.now();
            for worker in &mut self.workers {
                worker.turn(now, Duration::ZERO)?;
            }
            let owned: usize = self.workers.iter().map(|worker| worker.views().len()).sum();
            let busy = self.workers.iter().filter(|worker| !worker.views().is_empty()).count();
            let expected = self.workers.len().min(self.partitions as usize);
            if owned == self.partitions as usize && busy == expected {
                return Ok(());
            }
        }
        bail!("the workers did not share the partitions among them: this is a bug")
    }

    fn append(&mut self, record: &Generated) {
        self.broker.advance_to(EventTime(record.at_us));
        let offset = self.broker.append(topics::REQUESTS, record.partition, record.key.as_deref(), Some(&record.value));
        self.readout.audit.input_record(topics::REQUESTS, record.partition, offset);
    }

    /// Lets the workers read everything there is, then reads what they wrote.
    fn run_workers(&mut self) -> anyhow::Result<()> {
        let now = self.broker.now();
        loop {
            let mut delivered = 0;
            for worker in &mut self.workers {
                delivered += worker.turn(now, Duration::ZERO)?.delivered;
                worker.take_notes();
            }
            if delivered == 0 {
                break;
            }
        }
        self.readout.read(&self.broker)?;
        self.drop_what_is_done();
        Ok(())
    }

    /// Retention, as far as no worker would ever read again.
    fn drop_what_is_done(&self) {
        for partition in 0..self.partitions {
            let committed = self.broker.group_offset(GROUP, topics::REQUESTS, partition);
            let metadata =
                committed.and_then(|committed| serde_json::from_str::<CommitMetadata>(&committed.metadata).ok());
            if let Some(metadata) = metadata {
                self.broker.delete_before(topics::REQUESTS, partition, metadata.m);
            }
        }
        for (topic, positions) in &self.readout.positions {
            for (partition, position) in (0..).zip(positions) {
                self.broker.delete_before(topic, partition, *position);
            }
        }
    }

    /// Silence, until every pane is written; then the workers leave as on SIGTERM.
    fn close(&mut self) -> anyhow::Result<()> {
        self.run_workers()?;
        let start = self.broker.now();
        for secs in 1..=TAIL_SECS_MAX {
            self.broker.advance_to(start.plus_us(secs * 1_000_000));
            self.run_workers()?;
            let open: u64 = self.workers.iter().flat_map(Worker::views).map(|view| view.open_events).sum();
            if open == 0 && secs > 20 {
                break;
            }
        }
        let now = self.broker.now();
        for worker in std::mem::take(&mut self.workers) {
            worker.stop(now).0?;
        }
        self.readout.read(&self.broker)
    }
}

/// Reads the topics that the workers write, only what is committed, each record once.
struct Readout {
    fold: Fold,
    audit: Audit,
    dead_letters: BTreeMap<Reason, u64>,
    objectives: Vec<Objectives>,
    alerts: Vec<AlertRecord>,
    positions: BTreeMap<&'static str, Vec<Offset>>,
}

impl Readout {
    fn new(broker: &Broker, partitions: i32, definitions: &Definitions) -> anyhow::Result<Self> {
        let mut audit = Audit::new();
        let of = |topic| broker.partitions(topic).unwrap_or(0);
        for partition in 0..of(topics::SLI_WINDOWS) {
            // The log is empty now, but it will be read from its very beginning.
            audit.output_partition(partition, 0, 1);
        }
        audit.dead_letters_begin(0);
        (0..partitions).for_each(|partition| audit.input_begins(topics::REQUESTS, partition, 0));
        let positions = [topics::SLI_WINDOWS, topics::DEAD_LETTERS].map(|topic| (topic, vec![0; of(topic) as usize]));
        let lanes = 0..of(topics::SLI_WINDOWS);
        let objectives = lanes.map(|_| Objectives::new(definitions, &|_| topics::REQUESTS.to_owned()));
        Ok(Self {
            fold: Fold::new(Only::default()),
            audit,
            dead_letters: BTreeMap::new(),
            objectives: objectives.collect::<Result<_, _>>()?,
            alerts: Vec::new(),
            positions: positions.into(),
        })
    }

    fn read(&mut self, broker: &Broker) -> anyhow::Result<()> {
        let mut failed = None;
        let Self { fold, audit, dead_letters, objectives, alerts, positions } = self;
        for (topic, positions) in positions {
            for (partition, position) in (0..).zip(positions) {
                *position = broker.read(topic, partition, *position, usize::MAX, |record| {
                    let value = record.value.unwrap_or_default();
                    let result = if *topic == topics::SLI_WINDOWS {
                        audit.fact(partition, value);
                        let lane = &mut objectives[partition as usize];
                        follow(lane, record.offset, value, alerts).and_then(|()| fold_fact(fold, partition, value))
                    } else {
                        audit.dead_letter(partition, value);
                        count_letter(dead_letters, value)
                    };
                    failed = failed.take().or(result.err());
                });
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn follow(lane: &mut Objectives, offset: Offset, value: &[u8], alerts: &mut Vec<AlertRecord>) -> anyhow::Result<()> {
    lane.observe(offset, value)?;
    lane.advance(&mut |alert| alerts.push(alert));
    Ok(())
}

fn fold_fact(fold: &mut Fold, partition: i32, value: &[u8]) -> anyhow::Result<()> {
    let fact = Fact::from_json(value).context("couldn't read a fact")?;
    Ok(fold.add(partition, &fact)?)
}

fn count_letter(dead_letters: &mut BTreeMap<Reason, u64>, value: &[u8]) -> anyhow::Result<()> {
    let letter: DeadLetter = serde_json::from_slice(value).context("couldn't read a dead letter")?;
    *dead_letters.entry(letter.reason).or_default() += 1;
    Ok(())
}
