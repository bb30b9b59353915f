//! `streamgauge-sli`: the stage on Kafka. N workers, each on a thread of its own with its own consumer and producer.

pub mod http;
pub mod metrics;
pub mod settings;

use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use streamgauge_kafka::{KafkaLog, TopicAdmin};
use streamgauge_stage::{Counting as _, Exit, Halt, LogError, Note, Source, Worker};
use streamgauge_stage_sli::SliStage;
use tracing::{debug, error, info, warn};

use crate::shell::{self, Stop, Stopwatch};
use metrics::{Board, WorkerSnapshot};
use settings::{Loaded, SliSettings};

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

pub fn main(args: (settings::Args, clap::ArgMatches)) -> ExitCode {
    let loaded = match Loaded::from(args) {
        Ok(loaded) => loaded,
        Err(error) => {
            anstream::eprintln!("streamgauge-sli: {error:#}");
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    if loaded.print_config {
        anstream::println!("{}", loaded.describe());
        return ExitCode::SUCCESS;
    }
    let result = shell::start_logs(loaded.settings.log_format, &loaded.settings.log_level)
        .map_err(Failure::Configuration)
        .and_then(|()| run(&loaded.settings));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let (code, error) = failure.code();
            error!(exit_code = code, "{error:#}");
            ExitCode::from(code)
        }
    }
}

enum Failure {
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

fn run(settings: &SliSettings) -> Result<(), Failure> {
    let bundle = settings.bundle().map_err(Failure::Configuration)?;
    let stop = Stop::on_signals().map_err(Failure::Other)?;
    let board = Board::new(settings.workers as usize);
    if let Some(listen) = settings.listen {
        http::serve(listen, board.clone()).map_err(Failure::Configuration)?;
        info!(%listen, "serving /metrics, /health/live and /health/ready");
    }
    let mut threads: Vec<JoinHandle<Result<(), Exit>>> = Vec::new();
    let mut warned = false;
    for index in 0..settings.workers {
        let stage =
            SliStage::new(&settings.input, settings.time, &bundle).and_then(|stage| match settings.input.as_str() {
                "off" => stage.without_requests(),
                _ => Ok(stage),
            });
        let stage = stage.map_err(|halt| Failure::Exit(halt.into()))?;
        if !std::mem::replace(&mut warned, true) {
            warn_of_foreign_clocks(settings, stage.inputs());
        }
        let (settings, board, stop) = (settings.clone(), board.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let result = work(index, &settings, stage, &board, &stop);
                // One worker that can't go on takes the others with it: a supervisor sees the process end.
                stop.set();
                result
            })
            .context("couldn't start a worker thread")
            .map_err(Failure::Other)?;
        threads.push(thread);
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
}

/// Best effort: a cluster that can't be asked now is met again, with patience, by the workers.
fn warn_of_foreign_clocks(settings: &SliSettings, inputs: &[String]) {
    for input in inputs {
        let admin = TopicAdmin::open(&settings.kafka(0).client, "");
        match admin.and_then(|admin| admin.timestamp_warning(input)) {
            Ok(Some(warning)) => warn!("{warning}"),
            Ok(None) => {}
            Err(error) => debug!(%error, input, "couldn't look up the timestamp type of an input topic"),
        }
    }
}

fn work(index: u32, settings: &SliSettings, stage: SliStage, board: &Board, stop: &Stop) -> Result<(), Exit> {
    let inputs = stage.inputs().to_vec();
    let Some(log) = connect(index, settings, &inputs, stop)? else { return Ok(()) };
    info!(worker = index, group = settings.group, bundle = stage.bundle(), "joining the group");
    let mut worker = Worker::new(log, stage, settings.pace);
    let mut published = Stopwatch::start();
    while !stop.is_set() {
        let result = worker.turn(shell::now(), POLL_WAIT);
        for note in worker.take_notes() {
            log_note(index, &inputs, &note);
        }
        let turn = result?;
        if published.elapsed() >= PUBLISH_EVERY {
            published = Stopwatch::start();
            board.publish(index as usize, WorkerSnapshot::of(&worker, &inputs));
        }
        if let Some(pause) = turn.pause {
            std::thread::sleep(pause);
        }
    }
    let (result, counters, notes) = worker.stop(shell::now());
    for note in notes {
        log_note(index, &inputs, &note);
    }
    info!(worker = index, records = counters.records, batches = counters.batches, "left the group");
    result
}

/// Connects, again and again while the brokers are away. `None`: told to stop meanwhile.
fn connect(index: u32, settings: &SliSettings, inputs: &[String], stop: &Stop) -> Result<Option<KafkaLog>, Exit> {
    let kafka = settings.kafka(index);
    let since = Stopwatch::start();
    let mut pause = Duration::from_millis(100);
    while !stop.is_set() {
        match KafkaLog::connect(&kafka, inputs) {
            Ok(log) => return Ok(Some(log)),
            Err(LogError::Fenced(message)) => return Err(Exit::TakenOver(message)),
            Err(LogError::Fatal(message)) => return Err(Exit::Fatal(message)),
            Err(error) => {
                let cause = error.to_string();
                if since.elapsed().as_micros() as i64 > settings.pace.outage_max_us {
                    return Err(Exit::Outage { secs: since.elapsed().as_secs() as i64, cause });
                }
                warn!(worker = index, brokers = settings.brokers, cause, "can't reach Kafka yet");
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
