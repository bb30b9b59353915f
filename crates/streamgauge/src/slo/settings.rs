//! Settings of `streamgauge-slo`: a YAML file, the environment, flags; the later wins. `--print-config` shows the origin
//! of each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::bail;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser};
use serde::Deserialize;
use streamgauge_definitions::{Bundle, BundleSettings};
use streamgauge_events::topics;
use streamgauge_stage::WorkerSettings;

use crate::serve::Serving;
use crate::serve::settings::{Layers, Ordinal, describe, ordinal, parse_listen, properties, read_file, show_paths};
use crate::shell::LogFormat;

/// Keeps error budgets of SLOs and raises alarms, exactly once.
///
/// Reads sli.windows as a consumer group and writes alerts, dead-letters and slo.state in transactions. Budgets and alarms
/// follow from event time alone: a replay says the same. Run as many as sli.windows has partitions; each needs an --ordinal of
/// its own.
#[derive(Parser)]
#[command(
    name = "streamgauge-slo",
    version,
    max_term_width = 100,
    after_help = "Examples:
  streamgauge-slo --definitions docker/definitions --ordinal 0
  streamgauge-slo --config docker/slo.yaml --ordinal 1 --listen 127.0.0.1:9475
  streamgauge-slo --config docker/slo.yaml --print-config

Exit codes: 0 stopped, 1 failed, 2 bad configuration or definitions, 3 halted to keep results exact (the log says \
why and what to do), 4 a newer instance has this ordinal, 5 nothing worked for too long."
)]
pub struct Args {
    /// Configuration file (YAML)
    #[arg(long, env = "STREAMGAUGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show every setting with its origin, and exit
    #[arg(long)]
    print_config: bool,
    /// Kafka brokers, host:port with commas between them [default: 127.0.0.1:9092]
    #[arg(long, env = "STREAMGAUGE_BROKERS")]
    brokers: Option<String>,
    /// Consumer group, also the prefix of transactional ids [default: slo]
    #[arg(long, env = "STREAMGAUGE_GROUP")]
    group: Option<String>,
    /// Number of this instance, unique in its group; `from-hostname` takes the number at the end of a StatefulSet's host name
    #[arg(long, env = "STREAMGAUGE_ORDINAL")]
    ordinal: Option<String>,
    /// Worker threads, each with a consumer and a producer [default: 1]
    #[arg(long, env = "STREAMGAUGE_WORKERS")]
    workers: Option<u32>,
    /// The topic of facts [default: sli.windows, with the output prefix before it]
    #[arg(long, env = "STREAMGAUGE_INPUT")]
    input: Option<String>,
    /// What the sli stage reads as its topic of requests [default: requests]
    #[arg(long, env = "STREAMGAUGE_REQUESTS")]
    requests: Option<String>,
    /// Put before the names of the output topics [default: nothing]
    #[arg(long, env = "STREAMGAUGE_OUTPUT_PREFIX")]
    output_prefix: Option<String>,
    /// Definition files, or directories of them (*.yaml); may be repeated
    #[arg(long, env = "STREAMGAUGE_DEFINITIONS", value_name = "PATH", value_delimiter = ',')]
    definitions: Option<Vec<PathBuf>>,
    /// Positions are committed at least this often [default: 2000]
    #[arg(long, env = "STREAMGAUGE_COMMIT_INTERVAL_MS")]
    commit_interval_ms: Option<u32>,
    /// Give up when nothing has worked for so long [default: 900]
    #[arg(long, env = "STREAMGAUGE_OUTAGE_MAX_SECS")]
    outage_max_secs: Option<u32>,
    /// Go on where a batch of facts is missing: slices that it concerns are `no coverage`
    #[arg(long)]
    accept_hole: bool,
    /// Address of /metrics and /health, or `off` [default: 127.0.0.1:9474]
    #[arg(long, env = "STREAMGAUGE_LISTEN")]
    listen: Option<String>,
    /// Log format [default: human]
    #[arg(long, env = "STREAMGAUGE_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// Log filter, such as info or streamgauge=debug [default: info]
    #[arg(long, env = "STREAMGAUGE_LOG_LEVEL")]
    log_level: Option<String>,
    /// A librdkafka property; may be repeated. Secrets belong into the environment: STREAMGAUGE_KAFKA_SASL_PASSWORD sets
    /// sasl.password, and so on
    #[arg(short = 'X', long = "kafka-property", value_name = "KEY=VALUE")]
    kafka_properties: Vec<String>,
}

/// The configuration file. Every key is optional; unknown ones are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    brokers: Option<String>,
    group: Option<String>,
    ordinal: Option<Ordinal>,
    workers: Option<u32>,
    input: Option<String>,
    requests: Option<String>,
    output_prefix: Option<String>,
    definitions: Option<Vec<PathBuf>>,
    commit_interval_ms: Option<u32>,
    outage_max_secs: Option<u32>,
    listen: Option<String>,
    log_format: Option<LogFormat>,
    log_level: Option<String>,
    #[serde(default)]
    kafka_properties: BTreeMap<String, String>,
}

/// What the stage runs with.
#[derive(Clone, Debug)]
pub struct SloSettings {
    pub brokers: String,
    pub group: String,
    pub ordinal: u32,
    pub workers: u32,
    pub input: String,
    pub requests: String,
    pub output_prefix: String,
    pub definitions: Vec<PathBuf>,
    pub accept_hole: bool,
    pub pace: WorkerSettings,
    /// `None`: no server.
    pub listen: Option<SocketAddr>,
    pub log_format: LogFormat,
    pub log_level: String,
    /// May hold secrets: never printed.
    properties: BTreeMap<String, String>,
}

pub struct Loaded {
    pub settings: SloSettings,
    pub print_config: bool,
    origins: Vec<(&'static str, String, String)>,
}

impl Args {
    /// Reads the command line; what it can't make sense of ends the process with exit code 2.
    pub fn from_command_line() -> (Self, ArgMatches) {
        let matches = Self::command().get_matches();
        let args = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        (args, matches)
    }
}

impl Loaded {
    pub fn from((args, matches): (Args, ArgMatches)) -> anyhow::Result<Self> {
        let file = match &args.config {
            Some(path) => read_file(path, |file: &File| &file.kafka_properties)?,
            None => File::default(),
        };
        let origin = args.config.as_ref().map_or(String::new(), |path| path.display().to_string());
        let mut layers = Layers { matches: &matches, file: origin, origins: Vec::new() };
        let file_ordinal = file.ordinal.map(Ordinal::into_text);
        let output_prefix = layers.text("output_prefix", args.output_prefix, file.output_prefix, "");
        let facts = format!("{output_prefix}{}", topics::SLI_WINDOWS);
        let mut millis =
            |name: &'static str, arg, file, default| i64::from(layers.number(name, arg, file, default)) * 1000;
        let pace = WorkerSettings {
            commit_interval_us: millis("commit_interval_ms", args.commit_interval_ms, file.commit_interval_ms, 2000),
            outage_max_us: 1000 * millis("outage_max_secs", args.outage_max_secs, file.outage_max_secs, 900),
            ..WorkerSettings::default()
        };
        let listen = layers.text("listen", args.listen, file.listen, "127.0.0.1:9474");
        let settings = SloSettings {
            brokers: layers.text("brokers", args.brokers, file.brokers, "127.0.0.1:9092"),
            group: layers.text("group", args.group, file.group, "slo"),
            ordinal: ordinal(&layers.text("ordinal", args.ordinal, file_ordinal, ""), args.print_config)?,
            workers: layers.number("workers", args.workers, file.workers, 1),
            input: layers.text("input", args.input, file.input, &facts),
            requests: layers.text("requests", args.requests, file.requests, topics::REQUESTS),
            output_prefix,
            definitions: layers
                .choose("definitions", args.definitions, file.definitions, Vec::new(), |paths| show_paths(paths)),
            accept_hole: layers.choose("accept_hole", args.accept_hole.then_some(true), None, false, bool::to_string),
            pace,
            listen: parse_listen(&listen)?,
            log_format: layers.choose("log_format", args.log_format, file.log_format, LogFormat::Human, |format| {
                format!("{format:?}").to_lowercase()
            }),
            log_level: layers.text("log_level", args.log_level, file.log_level, "info"),
            properties: properties(&mut layers, file.kafka_properties, &args.kafka_properties)?,
        };
        settings.check()?;
        Ok(Self { settings, print_config: args.print_config, origins: layers.origins })
    }

    /// One line a setting: name, value, origin. Secrets are not among them.
    pub fn describe(&self) -> String {
        describe(&self.origins)
    }
}

impl SloSettings {
    /// Reads all definitions; there must be an SLO among them.
    pub fn bundle(&self) -> anyhow::Result<Bundle> {
        let definitions = crate::definitions::read(&self.definitions)?;
        if definitions.slos.is_empty() {
            bail!(
                "there is no SLO among the definitions, so there is nothing to follow: give files with `kind: SLO` by --definitions"
            );
        }
        Ok(Bundle { settings: BundleSettings::default(), definitions })
    }

    /// What its process needs to know.
    pub fn serving(&self) -> Serving {
        Serving {
            stage: "streamgauge-slo",
            brokers: self.brokers.clone(),
            group: self.group.clone(),
            ordinal: self.ordinal,
            workers: self.workers,
            output_prefix: self.output_prefix.clone(),
            properties: self.properties.clone(),
            pace: self.pace,
            listen: self.listen,
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        if !(1..=256).contains(&self.workers) {
            bail!("workers is {}; it must be at least 1 and at most 256", self.workers);
        }
        if self.pace.commit_interval_us < 10_000 {
            bail!("commit_interval_ms is {}; it must be at least 10", self.pace.commit_interval_us / 1000);
        }
        self.serving().kafka(0).check().map_err(Into::into)
    }
}
