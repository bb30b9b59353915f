//! A stage on Kafka: N workers, each on a thread of its own with its own consumer and producer; metrics and health over HTTP.

pub mod http;
pub mod metrics;
pub mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use streamgauge_kafka::{KafkaLog, KafkaSettings};
use streamgauge_stage::{Exit, Halt, LogError, Note, Source, Stage, Worker, WorkerSettings};
use tracing::{debug, error, info, warn};

use crate::shell::{self, LogFormat, Stop, Stopwatch};
pub use metrics::{Board, Family, WorkerSnapshot};

/// Bad configuration or definitions: nothing was started.
pub const EXIT_CONFIGURATION: u8 = 2;
/// The stage refuses to go on: the log says why, and what to do.
pub const EXIT_HALTED: u8 = 3;
/// A newer instance has this ordinal.
pub const EXIT_TAKEN_OVER: u8 = 4;
/// Nothing has worked for too long; a supervisor may start it again.
pub const EXIT_OUTAGE: u8 = 5;

/// How long a poll waits for records. Also the pace at which a silent worker looks at the clock.
const POLL_WAIT: Duration = Duration::from_millis(20);
/// Figures for `/metrics` are gathered this often.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// What the process of a stage needs to know, whatever the stage.
#[derive(Clone, Debug)]
pub struct Serving {
    pub stage: &'static str,
    pub brokers: String,
    pub group: String,
    pub ordinal: u32,
    pub workers: u32,
    pub output_prefix: String,
    /// May hold secrets: never printed.
    pub properties: BTreeMap<String, String>,
    pub pace: WorkerSettings,
    /// `None`: no server.
    pub listen: Option<SocketAddr>,
}

impl Serving {
    /// Settings of one worker's clients.
    pub fn kafka(&self, worker: u32) -> KafkaSettings {
        let mut kafka = KafkaSettings::new(&self.brokers, &self.group, self.ordinal, worker);
        kafka.output_prefix = self.output_prefix.clone();
        kafka.client.properties = self.properties.clone();
        kafka
    }
}

/// Why a stage ends.
pub enum Failure {
    Configuration(anyhow::Error),
    Exit(Exit),
    Other(anyhow::Error),
}

impl Failure {
    fn code(self) -> (u8, anyhow::Error) {
        match self {
            Self::Configuration(error) => (EXIT_CONFIGURATION, error),
            Self::Exit(exit @ Exit::Halted(Halt::Definitions(_))) => (EXIT_CONFIGURATION, exit.into()),
            Self::Exit(exit @ Exit::Halted(_)) => (EXIT_HALTED, exit.into()),
            Self::Exit(exit @ Exit::TakenOver(_)) => (EXIT_TAKEN_OVER, exit.into()),
            Self::Exit(exit @ Exit::Outage { .. }) => (EXIT_OUTAGE, exit.into()),
            Self::Exit(exit @ Exit::Fatal(_)) => (1, exit.into()),
            Self::Other(error) => (1, error),
        }
    }
}

/// Nothing was started.
pub fn misconfigured(stage: &str, error: &anyhow::Error) -> ExitCode {
    anstream::eprintln!("{stage}: {error:#}");
    ExitCode::from(EXIT_CONFIGURATION)
}

pub fn start_logs(format: LogFormat, level: &str) -> Result<(), Failure> {
    shell::start_logs(format, level).map_err(Failure::Configuration)
}

/// The exit code, with a last line in the log.
pub fn end(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let (code, error) = failure.code();
            error!(exit_code = code, "{error:#}");
            ExitCode::from(code)
        }
    }
}

/// A look at a worker, now and then: its number, and what it holds.
pub type Look<'l, S> = dyn Fn(usize, &Worker<KafkaLog, S>) + Sync + 'l;

/// Runs a worker for each of the stages until it is told to stop, or one can't go on. `look` sees each worker when its figures
/// are gathered.
pub fn run<S: Stage + Send>(
    serving: &Serving,
    stages: Vec<S>,
    board: &Board,
    stop: &Stop,
    look: &Look<'_, S>,
) -> Result<(), Failure> {
    if let Some(listen) = serving.listen {
        http::serve(listen, board.clone()).map_err(Failure::Configuration)?;
        info!(%listen, "serving /metrics, /health/live and /health/ready");
    }
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (index, stage) in stages.into_iter().enumerate() {
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn_scoped(scope, move || {
                    let result = work(index, serving, stage, board, stop, look);
                    // One worker that can't go on takes the others with it: a supervisor sees the process end.
                    stop.set();
                    result
                })
                .context("couldn't start a worker thread")
                .map_err(Failure::Other);
            match thread {
                Ok(thread) => threads.push(thread),
                Err(failure) => {
                    stop.set();
                    return Err(failure);
                }
            }
        }
        let mut first = Ok(());
        for thread in threads {
            let result = match thread.join() {
                Ok(result) => result.map_err(Failure::Exit),
                Err(_) => Err(Failure::Other(anyhow::anyhow!("a worker thread panicked; its message is above"))),
            };
            if first.is_ok() {
                first = result;
            }
        }
        first
    })
}

fn work<S: Stage>(
    index: usize,
    serving: &Serving,
    stage: S,
    board: &Board,
    stop: &Stop,
    look: &Look<'_, S>,
) -> Result<(), Exit> {
    let inputs = stage.inputs().to_vec();
    let Some(log) = connect(index as u32, serving, &inputs, stop)? else { return Ok(()) };
    info!(worker = index, group = serving.group, bundle = stage.bundle(), "joining the group");
    let mut worker = Worker::new(log, stage, serving.pace);
    let mut published = Stopwatch::start();
    while !stop.is_set() {
        let result = worker.turn(shell::now(), POLL_WAIT);
        for note in worker.take_notes() {
            log_note(index as u32, &inputs, &note);
        }
        let turn = result?;
        if published.elapsed() >= PUBLISH_EVERY {
            published = Stopwatch::start();
            board.publish(index, WorkerSnapshot::of(&worker, &inputs));
            look(index, &worker);
        }
        if let Some(pause) = turn.pause {
            std::thread::sleep(pause);
        }
    }
    let (result, counters, notes) = worker.stop(shell::now());
    for note in notes {
        log_note(index as u32, &inputs, &note);
    }
    info!(worker = index, records = counters.records, batches = counters.batches, "left the group");
    result
}

/// Connects, again and again while the brokers are away. `None`: told to stop meanwhile.
fn connect(index: u32, serving: &Serving, inputs: &[String], stop: &Stop) -> Result<Option<KafkaLog>, Exit> {
    let kafka = serving.kafka(index);
    let since = Stopwatch::start();
    let mut pause = Duration::from_millis(100);
    while !stop.is_set() {
        match KafkaLog::connect(&kafka, inputs) {
            Ok(log) => return Ok(Some(log)),
            Err(LogError::Fenced(message)) => return Err(Exit::TakenOver(message)),
            Err(LogError::Fatal(message)) => return Err(Exit::Fatal(message)),
            Err(error) => {
                let cause = error.to_string();
                if since.elapsed().as_micros() as i64 > serving.pace.outage_max_us {
                    return Err(Exit::Outage { secs: since.elapsed().as_secs() as i64, cause });
                }
                warn!(worker = index, brokers = serving.brokers, cause, "can't reach Kafka yet");
            }
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    Ok(None)
}

fn log_note(worker: u32, inputs: &[String], note: &Note) {
    let topic = |source: &Source| inputs.get(usize::from(source.topic)).map_or("?", String::as_str);
    match note {
        Note::Opened { source, start, committed, kept } => {
            info!(
                worker,
                topic = topic(source),
                partition = source.partition,
                start,
                committed,
                kept,
                "partition opened"
            );
        }
        Note::LostRange { source, from, to } => {
            warn!(
                worker,
                topic = topic(source),
                partition = source.partition,
                from,
                to,
                "records had left the log before they were counted"
            );
        }
        Note::Revoked { partitions } => info!(worker, partitions, "partitions revoked"),
        Note::Lost { partitions } => warn!(worker, partitions, "partitions lost: others may own them already"),
        Note::IdleAdvance { source, complete_until } => {
            debug!(
                worker,
                topic = topic(source),
                partition = source.partition,
                complete_until = complete_until.0,
                "time goes on in silence"
            );
        }
        Note::Burst { outputs, batches, bytes } => debug!(worker, outputs, batches, bytes, "burst committed"),
        Note::Rebuilding { cause } => warn!(worker, cause, "burst failed: rebuilding from what was committed"),
        Note::Waiting { cause } => warn!(worker, cause, "waiting"),
    }
}
