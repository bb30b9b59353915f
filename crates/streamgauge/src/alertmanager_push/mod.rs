//! `streamgauge alertmanager-push`: alerts → one or more Alertmanagers, at least once.
//!
//! It keeps nothing. Where every alarm stands follows from the topic, which holds a few records an alarm and not one an event:
//! reading all of it takes seconds, and an offset that is kept would need a copy of that state beside it, which could be
//! another one. So each start reads from the beginning, and posts nothing until the end is reached.

pub mod body;
pub mod book;
pub mod client;
mod figures;
pub mod post;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use streamgauge_events::{Offset, topics};
use streamgauge_kafka::ClientSettings;
use streamgauge_slo::Transition;
use streamgauge_stage::{Exit, Source};
use streamgauge_stage_slo::AlertRecord;
use tracing::{debug, info, warn};

use crate::cli::bad_usage;
use crate::kafka_args::KafkaArgs;
use crate::load::duration;
use crate::serve::settings::parse_listen;
use crate::serve::{self, Failure};
use crate::shell::{LogFormat, Stop, Stopwatch};
use crate::topic_input::{Found, KafkaTopics, Pass};
use body::{Link, OWN_LABELS, Saying};
use book::Noted;
use client::{Address, Client, Credentials};
use post::Shared;

/// An Alertmanager cluster has three members, or five.
const ALERTMANAGERS_MAX: usize = 8;
const LABELS_MAX: usize = 32;
/// Kafka is asked so often whether it is there, and for new partitions.
const ASK_EVERY: Duration = Duration::from_secs(15);
const POLL_WAIT: Duration = Duration::from_millis(100);

/// Post the alerts of the slo stage to Alertmanager, again and again while they fire
///
/// Reads the topic of alerts from its beginning, keeps where each alarm stands, and posts what fires to every Alertmanager that is
/// named, at once and then at each --resend. What has resolved is posted with its end, three times. While an Alertmanager is away
/// it is tried again, at most every 30 s; what it then gets is how things stand by then. An alert that is no longer repeated
/// ends in Alertmanager after four resends, so run this under a supervisor.
///
/// Nothing is kept: a restart reads the topic again, and posts what fires, and what has resolved within 15 minutes.
///
/// At most 10,000 alarms at once; beyond, the most severe are kept.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge alertmanager-push --alertmanager http://127.0.0.1:9093
  streamgauge alertmanager-push --alertmanager http://am-0:9093 --alertmanager http://am-1:9093 --label cluster=eu-1
  streamgauge alertmanager-push --alertmanager http://127.0.0.1:9093 \\
    --external-url 'http://grafana.internal/d/streamgauge?var-slo={slo}'

Labels: alertname (the SLO), service, slo, rule, severity, tenant if there is one, targets (those of the alarm, with
commas between them), and those of --label. Everything else is in annotations.

Credentials come from the environment alone: STREAMGAUGE_ALERTMANAGER_USER and STREAMGAUGE_ALERTMANAGER_PASSWORD, or
STREAMGAUGE_ALERTMANAGER_TOKEN.

Exit codes: 0 stopped, 1 failed, 2 bad usage, 5 Kafka could not be read for too long.")]
pub struct PushArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    /// The topic of alerts
    #[arg(long, default_value = topics::ALERTS)]
    topic: String,
    /// Where an Alertmanager is: http://HOST:PORT; may be repeated
    #[arg(
        long,
        env = "STREAMGAUGE_ALERTMANAGER_URL",
        hide_env_values = true,
        value_name = "URL",
        value_delimiter = ',',
        required = true
    )]
    alertmanager: Vec<String>,
    /// What fires is posted again so often
    #[arg(long, default_value = "1m", value_parser = resend)]
    resend: Duration,
    /// A link for each alert, its generatorURL; may hold {slo}, {service}, {rule}, {tenant} and {alert}
    #[arg(long, value_name = "URL")]
    external_url: Option<String>,
    /// Definition files, or directories of them, from which alerts take descriptions and owners; may be repeated
    #[arg(long, env = "STREAMGAUGE_DEFINITIONS", value_name = "PATH", value_delimiter = ',')]
    definitions: Vec<PathBuf>,
    /// A label for every alert; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// Give up when Kafka could not be read for so long
    #[arg(long, default_value = "15m", value_parser = duration)]
    outage_max: Duration,
    /// Address of /metrics and /health, or `off`
    #[arg(long, env = "STREAMGAUGE_LISTEN", default_value = "127.0.0.1:9484")]
    listen: String,
    /// Log format
    #[arg(long, env = "STREAMGAUGE_LOG_FORMAT", value_enum, default_value = "human")]
    log_format: LogFormat,
    /// Log filter, such as info or streamgauge=debug
    #[arg(long, env = "STREAMGAUGE_LOG_LEVEL", default_value = "info")]
    log_level: String,
}

/// Below a second nothing is gained; above an hour an alert would take hours to end when this has stopped.
fn resend(text: &str) -> Result<Duration, String> {
    let resend = duration(text)?;
    let bounds = Duration::from_secs(1)..=Duration::from_secs(3600);
    if bounds.contains(&resend) { Ok(resend) } else { Err(format!("{text:?} is out of range: from 1s to 1h")) }
}

pub fn run(args: PushArgs) -> anyhow::Result<ExitCode> {
    let push = Push::new(&args).map_err(bad_usage)?;
    Ok(serve::end(serve::start_logs(args.log_format, &args.log_level).and_then(|()| push.run())))
}

/// What the process runs with.
struct Push {
    kafka: ClientSettings,
    topic: String,
    addresses: Vec<Address>,
    credentials: Credentials,
    saying: Saying,
    outage_max: Duration,
    listen: Option<SocketAddr>,
}

impl Push {
    fn new(args: &PushArgs) -> anyhow::Result<Self> {
        let link = |url: &String| Link::new(url).map_err(|error| anyhow!("--external-url: {error}"));
        Ok(Self {
            kafka: args.kafka.client()?,
            topic: args.topic.clone(),
            addresses: addresses(&args.alertmanager)?,
            credentials: Credentials::of_environment()?,
            saying: Saying {
                labels: labels(&args.label)?,
                definitions: crate::definitions::read(&args.definitions)?,
                link: args.external_url.as_ref().map(link).transpose()?,
                resend: args.resend,
            },
            outage_max: args.outage_max,
            listen: parse_listen(&args.listen)?,
        })
    }

    fn run(&self) -> Result<(), Failure> {
        let shared = Shared::new(&self.addresses, self.saying.resend);
        let stop = Stop::on_signals().map_err(Failure::Other)?;
        if let Some(listen) = self.listen {
            serve::http::serve(listen, shared.clone()).map_err(Failure::Configuration)?;
            info!(%listen, "serving /metrics, /health/live and /health/ready");
        }
        std::thread::scope(|scope| {
            for (index, address) in self.addresses.iter().enumerate() {
                if self.credentials.is_some() && !address.is_local() {
                    warn!(alertmanager = address.as_str(), "credentials go over the network in clear text");
                }
                let client = Client::new(address, self.credentials.clone());
                let (shared, saying, stop) = (&shared, &self.saying, &stop);
                std::thread::Builder::new()
                    .name(format!("post-{index}"))
                    .spawn_scoped(scope, move || post::run(shared, index, &client, saying, stop))
                    .context("couldn't start a thread")
                    .map_err(Failure::Other)
                    .inspect_err(|_| stop.set())?;
            }
            let result = self.read(&shared, &stop);
            // Whoever posts does so once more, and ends.
            stop.set();
            shared.wake();
            result
        })?;
        info!("stopped");
        Ok(())
    }

    /// Reads until told to stop.
    fn read(&self, shared: &Shared, stop: &Stop) -> Result<(), Failure> {
        let Some(mut kafka) = self.catch_up(shared, stop)? else { return Ok(()) };
        let (mut asked, mut answered) = (Stopwatch::start(), Stopwatch::start());
        while !stop.is_set() {
            let mut has_news = false;
            kafka
                .poll(POLL_WAIT, &mut |source, found| has_news |= self.note(shared, source, found))
                .map_err(Failure::Other)?;
            if has_news {
                shared.wake();
            }
            if asked.elapsed() >= ASK_EVERY {
                let answer = kafka.ask();
                self.heard(shared, answer.map(drop), &mut answered)?;
                asked = Stopwatch::start();
            }
            let mut state = shared.lock();
            let now = state.moment();
            state.book.tidy(now);
        }
        Ok(())
    }

    /// Reads the topic from its beginning to the end that it has now, and tries again while Kafka is away. `None`: told to stop.
    fn catch_up(&self, shared: &Shared, stop: &Stop) -> Result<Option<KafkaTopics>, Failure> {
        let (mut answered, mut pause) = (Stopwatch::start(), Duration::from_millis(200));
        while !stop.is_set() {
            match self.read_to_end(shared, stop) {
                Ok(None) => return Ok(None),
                Ok(Some(kafka)) => {
                    let mut state = shared.lock();
                    (state.is_caught_up, state.kafka_failing) = (true, None);
                    let (firing, resolved) = state.book.counts();
                    info!(topic = self.topic, firing, resolved, "read to the end: posting");
                    return Ok(Some(kafka));
                }
                Err(error) => self.heard(shared, Err(error), &mut answered)?,
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        Ok(None)
    }

    fn read_to_end(&self, shared: &Shared, stop: &Stop) -> anyhow::Result<Option<KafkaTopics>> {
        let mut kafka = KafkaTopics::open(&self.kafka, &[&self.topic])?;
        kafka.ask()?;
        let pass = kafka.read(stop, &|| false, &mut |source, found| {
            self.note(shared, source, found);
        })?;
        Ok((pass == Pass::Complete).then_some(kafka))
    }

    /// Kafka has answered, or has not. What fires goes on being posted meanwhile.
    fn heard(&self, shared: &Shared, answer: anyhow::Result<()>, answered: &mut Stopwatch) -> Result<(), Failure> {
        let cause = answer.err().map(|error| format!("{error:#}"));
        shared.lock().kafka_failing.clone_from(&cause);
        let Some(cause) = cause else {
            *answered = Stopwatch::start();
            return Ok(());
        };
        if answered.elapsed() > self.outage_max {
            let secs = answered.elapsed().as_secs() as i64;
            return Err(Failure::Exit(Exit::Outage { secs, cause }));
        }
        warn!(brokers = self.kafka.brokers, cause, "can't read Kafka: trying again");
        Ok(())
    }

    /// Whether somebody is to be told.
    fn note(&self, shared: &Shared, source: Source, found: Found<'_>) -> bool {
        let Found::Record { offset, value: Some(value) } = found else { return false };
        let mut state = shared.lock();
        let record = match AlertRecord::from_json(value) {
            Ok(record) => record,
            Err(error) => {
                state.read.unreadable += 1;
                self.warn_of(source, offset, &error);
                return false;
            }
        };
        state.read.count(record.transition);
        let (now, is_live) = (state.moment(), state.is_caught_up);
        let shown = record.clone();
        let noted = state.book.note(record, now);
        drop(state);
        log(&shown, noted, is_live);
        noted == Noted::News
    }

    fn warn_of(&self, source: Source, offset: Offset, error: &serde_json::Error) {
        warn!(topic = self.topic, partition = source.partition, offset, %error, "a record that is no alert was left out");
    }
}

fn log(record: &AlertRecord, noted: Noted, is_live: bool) {
    let AlertRecord { slo, rule, alert, .. } = record;
    let (severity, at) = (record.severity.as_str(), record.at.0);
    match (noted, record.transition) {
        (Noted::NoRoom, _) => warn!(slo, rule, alert, severity, "an alert was left out: too many fire"),
        (Noted::News, Transition::Fired) if is_live => info!(slo, rule, alert, severity, at, "fired"),
        (Noted::News, Transition::Resolved) if is_live => info!(slo, rule, alert, severity, at, "resolved"),
        (_, transition) => debug!(slo, rule, alert, severity, at, transition = transition.as_str(), "read"),
    }
}

fn addresses(texts: &[String]) -> anyhow::Result<Vec<Address>> {
    let mut addresses: Vec<Address> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        // The text itself may hold a password.
        let address = Address::new(text).map_err(|error| anyhow!("--alertmanager, number {}: {error}", index + 1))?;
        if addresses.contains(&address) {
            bail!("--alertmanager {}: it is named twice", address.as_str());
        }
        addresses.push(address);
    }
    if addresses.len() > ALERTMANAGERS_MAX {
        bail!("{} Alertmanagers are named; {ALERTMANAGERS_MAX} at most", addresses.len());
    }
    Ok(addresses)
}

fn labels(flags: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for flag in flags {
        let (name, value) = flag.split_once('=').with_context(|| format!("--label {flag}: expected NAME=VALUE"))?;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            bail!("--label {flag}: a name has letters, digits and _, and begins with no digit");
        }
        if OWN_LABELS.contains(&name) {
            bail!("--label {flag}: {name} comes from the alert");
        }
        if value.is_empty() {
            bail!("--label {flag}: it is empty, which is as if it were not there");
        }
        if labels.insert(name.to_owned(), value.to_owned()).is_some() {
            bail!("--label {name}: it is there twice");
        }
    }
    if labels.len() > LABELS_MAX {
        bail!("{} labels by --label; {LABELS_MAX} at most", labels.len());
    }
    Ok(labels)
}
