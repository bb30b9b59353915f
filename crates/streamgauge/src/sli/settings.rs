//! Settings of `streamgauge-sli`: a YAML file, the environment, flags; the later wins. `--print-config` shows the origin
//! of each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::bail;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser};
use serde::Deserialize;
use streamgauge_definitions::{Bundle, BundleSettings, SeriesKey};
use streamgauge_stage::{TimeSettings, WorkerSettings};

use crate::serve::Serving;
use crate::serve::settings::{
    Layers, Ordinal, Start, describe, ordinal, parse_listen, properties, read_file, show_paths,
};
use crate::shell::LogFormat;

/// Folds requests from Kafka into SLI windows, exactly once.
///
/// Reads the input topic as a consumer group and writes sli.windows, dead-letters and sli.state in transactions. Run as many
/// as the topic has partitions; each needs an --ordinal of its own.
#[derive(Parser)]
#[command(
    name = "streamgauge-sli",
    version,
    max_term_width = 100,
    after_help = "Examples:
  streamgauge-sli --ordinal 0
  streamgauge-sli --config docker/sli.yaml --ordinal 1 --listen 127.0.0.1:9465
  streamgauge-sli --config docker/sli.yaml --print-config

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
    /// Consumer group, also the prefix of transactional ids [default: sli]
    #[arg(long, env = "STREAMGAUGE_GROUP")]
    group: Option<String>,
    /// Number of this instance, unique in its group; `from-hostname` takes the number at the end of a StatefulSet's host name
    #[arg(long, env = "STREAMGAUGE_ORDINAL")]
    ordinal: Option<String>,
    /// Worker threads, each with a consumer and a producer [default: 1]
    #[arg(long, env = "STREAMGAUGE_WORKERS")]
    workers: Option<u32>,
    /// The topic of requests, or `off`; further topics are read as definitions name them [default: requests]
    #[arg(long, env = "STREAMGAUGE_INPUT")]
    input: Option<String>,
    /// Put before the names of the output topics [default: nothing]
    #[arg(long, env = "STREAMGAUGE_OUTPUT_PREFIX")]
    output_prefix: Option<String>,
    /// Definition files, or directories of them (*.yaml); may be repeated
    #[arg(long, env = "STREAMGAUGE_DEFINITIONS", value_name = "PATH", value_delimiter = ',')]
    definitions: Option<Vec<PathBuf>>,
    /// Series kept per pane and declared service (and for all undeclared services of a tenant) [default: 1000]
    #[arg(long, env = "STREAMGAUGE_SERIES_MAX")]
    series_max: Option<u32>,
    /// Key of the hash by which series compete under that bound, 32 hexadecimal digits; the same for all instances
    #[arg(long, env = "STREAMGAUGE_SERIES_KEY", hide_env_values = true)]
    series_key: Option<String>,
    /// Length of a pane [default: 10]
    #[arg(long, env = "STREAMGAUGE_PANE_SECS")]
    pane_secs: Option<u32>,
    /// How far records may be out of order before their pane is written without them [default: 5000]
    #[arg(long, env = "STREAMGAUGE_MAX_OUT_OF_ORDERNESS_MS")]
    max_out_of_orderness_ms: Option<u32>,
    /// How much later than that a record still counts [default: 86400]
    #[arg(long, env = "STREAMGAUGE_LATE_HORIZON_SECS")]
    late_horizon_secs: Option<u32>,
    /// How far a record's time may be ahead of its Kafka timestamp [default: 5000]
    #[arg(long, env = "STREAMGAUGE_MAX_FUTURE_SKEW_MS")]
    max_future_skew_ms: Option<u32>,
    /// Live cells of a partition at which all of them are written [default: 20000]
    #[arg(long, env = "STREAMGAUGE_CELLS_MAX")]
    cells_max: Option<u32>,
    /// Positions are committed at least this often [default: 2000]
    #[arg(long, env = "STREAMGAUGE_COMMIT_INTERVAL_MS")]
    commit_interval_ms: Option<u32>,
    /// A silent partition gets idle advances after this time [default: 5000]
    #[arg(long, env = "STREAMGAUGE_IDLE_AFTER_MS")]
    idle_after_ms: Option<u32>,
    /// Give up when nothing has worked for so long [default: 900]
    #[arg(long, env = "STREAMGAUGE_OUTAGE_MAX_SECS")]
    outage_max_secs: Option<u32>,
    /// Where a group starts that has committed nothing [default: earliest]
    #[arg(long, env = "STREAMGAUGE_START", value_enum)]
    start: Option<Start>,
    /// Begin a new chain of batches where the group's offsets and the output don't agree
    #[arg(long)]
    new_generation: bool,
    /// Address of /metrics and /health, or `off` [default: 127.0.0.1:9464]
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
    output_prefix: Option<String>,
    definitions: Option<Vec<PathBuf>>,
    series_max: Option<u32>,
    pane_secs: Option<u32>,
    max_out_of_orderness_ms: Option<u32>,
    late_horizon_secs: Option<u32>,
    max_future_skew_ms: Option<u32>,
    cells_max: Option<u32>,
    commit_interval_ms: Option<u32>,
    idle_after_ms: Option<u32>,
    outage_max_secs: Option<u32>,
    start: Option<Start>,
    listen: Option<String>,
    log_format: Option<LogFormat>,
    log_level: Option<String>,
    #[serde(default)]
    kafka_properties: BTreeMap<String, String>,
}

/// What the stage runs with.
#[derive(Clone, Debug)]
pub struct SliSettings {
    pub brokers: String,
    pub group: String,
    pub ordinal: u32,
    pub workers: u32,
    pub input: String,
    pub output_prefix: String,
    pub definitions: Vec<PathBuf>,
    pub bundle: BundleSettings,
    pub time: TimeSettings,
    pub pace: WorkerSettings,
    /// `None`: no server.
    pub listen: Option<SocketAddr>,
    pub log_format: LogFormat,
    pub log_level: String,
    /// May hold secrets: never printed.
    properties: BTreeMap<String, String>,
}

pub struct Loaded {
    pub settings: SliSettings,
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
        let time = TimeSettings {
            pane_us: i64::from(layers.number("pane_secs", args.pane_secs, file.pane_secs, 10)) * 1_000_000,
            max_out_of_orderness_us: 1000
                * i64::from(layers.number(
                    "max_out_of_orderness_ms",
                    args.max_out_of_orderness_ms,
                    file.max_out_of_orderness_ms,
                    5000,
                )),
            late_horizon_us: 1_000_000
                * i64::from(layers.number("late_horizon_secs", args.late_horizon_secs, file.late_horizon_secs, 86_400)),
            max_future_skew_us: Some(
                1000 * i64::from(layers.number(
                    "max_future_skew_ms",
                    args.max_future_skew_ms,
                    file.max_future_skew_ms,
                    5000,
                )),
            ),
            cells_max: layers.number("cells_max", args.cells_max, file.cells_max, 20_000) as usize,
        };
        let start = layers.choose("start", args.start, file.start, Start::Earliest, |start| start.as_str().to_owned());
        let pace = WorkerSettings {
            commit_interval_us: 1000
                * i64::from(layers.number(
                    "commit_interval_ms",
                    args.commit_interval_ms,
                    file.commit_interval_ms,
                    2000,
                )),
            idle_after_us: 1000
                * i64::from(layers.number("idle_after_ms", args.idle_after_ms, file.idle_after_ms, 5000)),
            outage_max_us: 1_000_000
                * i64::from(layers.number("outage_max_secs", args.outage_max_secs, file.outage_max_secs, 900)),
            start: start.at(),
            new_generation: layers.choose(
                "new_generation",
                args.new_generation.then_some(true),
                None,
                false,
                bool::to_string,
            ),
            ..WorkerSettings::default()
        };
        let bundle = BundleSettings {
            series_max: layers.number("series_max", args.series_max, file.series_max, 1000),
            series_key: series_key(&mut layers, args.series_key)?,
        };
        let listen = layers.text("listen", args.listen, file.listen, "127.0.0.1:9464");
        let settings = SliSettings {
            brokers: layers.text("brokers", args.brokers, file.brokers, "127.0.0.1:9092"),
            group: layers.text("group", args.group, file.group, "sli"),
            ordinal: ordinal(&layers.text("ordinal", args.ordinal, file_ordinal, ""), args.print_config)?,
            workers: layers.number("workers", args.workers, file.workers, 1),
            input: layers.text("input", args.input, file.input, streamgauge_events::topics::REQUESTS),
            output_prefix: layers.text("output_prefix", args.output_prefix, file.output_prefix, ""),
            definitions: layers
                .choose("definitions", args.definitions, file.definitions, Vec::new(), |paths| show_paths(paths)),
            bundle,
            time,
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

impl SliSettings {
    /// Reads all definitions.
    pub fn bundle(&self) -> anyhow::Result<Bundle> {
        let definitions = crate::definitions::read(&self.definitions)?;
        Ok(Bundle { settings: self.bundle.clone(), definitions })
    }

    /// What its process needs to know.
    pub fn serving(&self) -> Serving {
        Serving {
            stage: "streamgauge-sli",
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
        let at_least = |name: &str, value: i64, min: i64| {
            if value < min { bail!("{name} is {value}; it must be at least {min}") } else { Ok(()) }
        };
        at_least("workers", self.workers.into(), 1)?;
        at_least("pane_secs", self.time.pane_us / 1_000_000, 1)?;
        at_least("series_max", self.bundle.series_max.into(), 1)?;
        at_least("cells_max", self.time.cells_max as i64, 1)?;
        at_least("commit_interval_ms", self.pace.commit_interval_us / 1000, 10)?;
        if self.workers > 256 {
            bail!("workers is {}; it must be at most 256", self.workers);
        }
        self.serving().kafka(0).check().map_err(Into::into)
    }
}

fn series_key(layers: &mut Layers<'_>, text: Option<String>) -> anyhow::Result<SeriesKey> {
    let key = match text {
        Some(text) => Some(SeriesKey::try_from(text).map_err(|expected| anyhow::anyhow!("series_key: {expected}"))?),
        None => None,
    };
    let default = SeriesKey::default();
    Ok(layers.choose("series_key", key, None, default.clone(), |key| {
        if *key == default { "built in".to_owned() } else { "set (not shown)".to_owned() }
    }))
}
