//! The facts that commands look at, from a directory or from Kafka, and the definitions that these facts cite.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use streamgauge_definitions::{Bundle, Definitions};
use streamgauge_events::{Offset, topics};
use streamgauge_windows::coverage::Coverage;

use crate::cli::bad_usage;
use crate::kafka_args::KafkaArgs;
use crate::shell::Stop;
use crate::topic_input::{Found, KafkaTopics, Pass, file_of, read_lines};

/// Hears of each fact: its output partition, its offset there, its value.
pub type Observe<'o> = dyn FnMut(i32, Offset, &[u8]) -> anyhow::Result<()> + 'o;

#[derive(Debug, Args)]
pub struct FactsArgs {
    /// Directory with sli.windows.jsonl; without it, Kafka is read
    #[arg(long, value_name = "DIR")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// The topic to read from Kafka; with --input, the name of the file before .jsonl
    #[arg(long, default_value = topics::SLI_WINDOWS)]
    pub topic: String,
}

impl FactsArgs {
    /// Every fact up to the end that its topic has now, with its output partition and its offset there.
    pub fn read(&self, observe: &mut Observe<'_>) -> anyhow::Result<()> {
        self.read_topic(&self.topic, observe)
    }

    /// The same of another topic.
    pub fn read_topic(&self, topic: &str, observe: &mut Observe<'_>) -> anyhow::Result<()> {
        match &self.input {
            Some(directory) => {
                read_lines(&file_of(directory, topic), &mut |line, value| observe(0, i64::try_from(line)?, value))
            }
            None => self.read_kafka(topic, observe),
        }
    }

    fn read_kafka(&self, topic: &str, observe: &mut Observe<'_>) -> anyhow::Result<()> {
        let stop = Stop::on_signals()?;
        let mut kafka = KafkaTopics::open(&self.kafka.client().map_err(bad_usage)?, &[topic])?;
        kafka.ask()?;
        let mut refused = None;
        let pass = kafka.read(&stop, &|| false, &mut |source, found| {
            if let Found::Record { offset, value: Some(value) } = found
                && let Err(error) = observe(source.partition, offset, value)
                && refused.is_none()
            {
                refused = Some((source.partition, offset, error));
            }
        })?;
        if let Some((partition, offset, error)) = refused {
            return Err(error).with_context(|| format!("{topic}/{partition} at offset {offset}"));
        }
        if pass == Pass::Interrupted {
            bail!("interrupted before {topic} was read to its end");
        }
        Ok(())
    }

    /// The topic that holds the definitions.
    pub fn state_topic(&self) -> String {
        self.beside(topics::SLI_STATE)
    }

    /// The name of a topic that lies where the facts are.
    pub fn beside(&self, topic: &str) -> String {
        let prefix = self.topic.strip_suffix(topics::SLI_WINDOWS).unwrap_or_default();
        format!("{prefix}{topic}")
    }

    /// All definitions that facts may cite, by hash, from the state topic beside them.
    pub fn cited_definitions(&self) -> anyhow::Result<BTreeMap<String, Definitions>> {
        let mut known = BTreeMap::new();
        self.read_topic(&self.state_topic(), &mut |_, _, value| {
            if let Ok(bundle) = serde_json::from_slice::<Bundle>(value) {
                known.insert(bundle.hash(), bundle.definitions);
            }
            Ok(())
        })?;
        Ok(known)
    }

    /// Of the definitions in the state topic, those that the newest facts cite.
    pub fn newest(&self, coverage: &Coverage, known: &BTreeMap<String, Definitions>) -> anyhow::Result<Definitions> {
        let Some(cited) = coverage.bundle() else {
            bail!("nothing has been counted yet: there is no frontier in {}", self.topic);
        };
        known.get(cited).cloned().with_context(|| {
            let state = self.state_topic();
            format!(
                "{state} does not hold the definitions {cited} that the facts cite; name the files by --definitions"
            )
        })
    }
}

/// What results can't say of themselves goes to standard error.
pub fn warn_of_gaps(coverage: &Coverage) {
    for hole in coverage.holes() {
        anstream::eprintln!(
            "warning: {}/{}: {} follows {} in output partition {}; offsets {} to {} are in no batch. Ask `streamgauge audit`",
            hole.source.topic,
            hole.source.partition,
            hole.next,
            hole.after,
            hole.output_partition,
            hole.offsets.0,
            hole.offsets.1,
        );
    }
    if coverage.repeated_deltas() + coverage.repeated_batches() > 0 {
        anstream::eprintln!(
            "warning: {} deltas of {} repeated batches were left out. Ask `streamgauge audit`",
            coverage.repeated_deltas(),
            coverage.repeated_batches(),
        );
    }
}
