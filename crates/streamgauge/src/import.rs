//! `streamgauge import`: files → events on Kafka, by the same mappings as `backfill`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use streamgauge_events::partitioner::partition_of;
use streamgauge_events::{DeadLetter, Reason, dead_letter::Origin, topics};
use streamgauge_kafka::{RecordSender, TopicReader};
use streamgauge_mapping::{MappedFile, Mapping};

use crate::cli::bad_usage;
use crate::kafka_args::KafkaArgs;

/// Rows were refused and nobody said where to put them.
pub const EXIT_REFUSED: u8 = 3;
/// Refused rows shown when there is no file for them.
const SHOWN_MAX: usize = 5;

/// Write the events of files to a Kafka topic
///
/// A mapping says what kind of event its rows become: requests, scores or resources, each with a topic of its own.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge import --mapping examples/mappings/nezha.yaml --input minutes.csv
  streamgauge import --mapping examples/mappings/nab.yaml --input ec2_cpu_utilization_24ae8d.csv --topic test.resources

Exit codes: 0 all rows sent, 3 rows were refused and --rejects was not given (the others were sent).")]
pub struct ImportArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    /// How rows become events; docs/mappings.md explains the format
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
    /// Input files; may be repeated
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Topic to write to; by default `requests`, `scores` or `resources`, as the mapping says
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// How events are spread over partitions
    #[arg(long, value_enum, default_value = "round-robin")]
    partition_by: PartitionBy,
    /// File for refused rows, one dead letter a line
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum PartitionBy {
    /// One after the other: all partitions move through the file together
    RoundRobin,
    /// By the hash of the service, which becomes the key
    Service,
}

pub fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let mapping = Mapping::open(&args.mapping).map_err(bad_usage)?;
    let client = args.kafka.client().map_err(bad_usage)?;
    let topic = args.topic.as_deref().unwrap_or_else(|| topics::of(mapping.kind()));
    let partitions = TopicReader::open(&client, &[topic])?.watermarks()?.len() as i32;
    if partitions == 0 {
        bail!("topic {topic} has no partitions");
    }
    let mut sender = RecordSender::open(&client, 100_000)?;
    let mut refused = Refused::open(args.rejects.as_deref())?;
    let (mut sent, mut settled) = (0_u64, 0_u64);
    for path in &args.input {
        let shown = path.display().to_string();
        let mut file = MappedFile::open(path, &mapping).map_err(bad_usage)?;
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}").expect("a constant template");
        let bar = ProgressBar::new(file.bytes_total().unwrap_or(0)).with_style(style);
        while let Some(record) = file.next() {
            let record = record.with_context(|| format!("couldn't read {shown} on"))?;
            match record.event {
                Ok(event) => {
                    let key = (args.partition_by == PartitionBy::Service).then(|| event.service().as_bytes());
                    let partition = match key {
                        Some(key) => partition_of(key, partitions),
                        None => (sent % partitions as u64) as i32,
                    };
                    sender.send(topic, partition, key, Some(&event.to_json()), 0)?;
                    sent += 1;
                }
                Err(rejection) => {
                    let origin = Origin {
                        source: &shown,
                        partition: 0,
                        offset: record.line as i64,
                        timestamp: None,
                        key: None,
                        value: Some(&record.raw),
                    };
                    refused.take(&DeadLetter::new(rejection, origin))?;
                }
            }
            if sent % 1024 == 0 {
                bar.set_position(file.bytes_read());
                settled += settle(&mut sender)?;
            }
        }
        bar.finish_and_clear();
    }
    sender.flush()?;
    settled += settle(&mut sender)?;
    if settled != sent {
        bail!("{sent} events were sent, but only {settled} acknowledged");
    }
    anstream::println!("{sent} {}s written to {topic}, {} rows refused", mapping.kind(), refused.total());
    refused.finish()
}

fn settle(sender: &mut RecordSender) -> anyhow::Result<u64> {
    sender.poll();
    let settled = sender.take_settled();
    for delivered in &settled {
        if let Err(error) = &delivered.result {
            bail!("an event was not taken by Kafka: {error}");
        }
    }
    Ok(settled.len() as u64)
}

/// Rows that are no events: to a file, or shown.
struct Refused {
    file: Option<BufWriter<File>>,
    shown: usize,
    reasons: BTreeMap<Reason, u64>,
}

impl Refused {
    fn open(path: Option<&std::path::Path>) -> anyhow::Result<Self> {
        let create =
            |path: &std::path::Path| File::create(path).with_context(|| format!("couldn't write {}", path.display()));
        Ok(Self { file: path.map(create).transpose()?.map(BufWriter::new), shown: 0, reasons: BTreeMap::new() })
    }

    fn take(&mut self, letter: &DeadLetter) -> anyhow::Result<()> {
        *self.reasons.entry(letter.reason).or_default() += 1;
        match &mut self.file {
            Some(file) => {
                file.write_all(&letter.to_json())?;
                file.write_all(b"\n")?;
            }
            None if self.shown < SHOWN_MAX => {
                self.shown += 1;
                anstream::eprintln!("{} line {}: {}: {}", letter.source, letter.offset, letter.reason, letter.message);
            }
            None => {}
        }
        Ok(())
    }

    fn total(&self) -> u64 {
        self.reasons.values().sum()
    }

    fn finish(mut self) -> anyhow::Result<ExitCode> {
        for (reason, count) in &self.reasons {
            anstream::println!("  {reason}: {count}");
        }
        if let Some(file) = &mut self.file {
            file.flush()?;
        } else if self.total() > 0 {
            anstream::eprintln!("refused rows were not kept: --rejects FILE writes them down");
            return Ok(ExitCode::from(EXIT_REFUSED));
        }
        Ok(ExitCode::SUCCESS)
    }
}
