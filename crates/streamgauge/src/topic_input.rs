//! Where `windows` and `audit` read topics from: a directory that `backfill` wrote, or Kafka.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use streamgauge_events::Offset;
use streamgauge_kafka::{ClientSettings, TopicReader, Watermarks};
use streamgauge_stage::{Delivery, Source};

use crate::shell::{Stop, Stopwatch};

/// How long one pass waits while nothing can be read: an open transaction ends within its time-out of 10 s, or up to
/// 900 s where somebody set that.
const PATIENCE: Duration = Duration::from_secs(60);

/// The file that holds a topic: one record's value a line, in the order of the output.
pub fn file_of(directory: &Path, topic: &str) -> PathBuf {
    directory.join(format!("{topic}.jsonl"))
}

/// Each line of a file with its number, counted from 1.
pub fn read_lines(path: &Path, deliver: &mut dyn FnMut(u64, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| {
        format!(
            "couldn't open {}; --input takes a directory that `streamgauge backfill --out` wrote, --brokers reads Kafka",
            path.display()
        )
    })?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut line, mut number) = (Vec::new(), 0);
    while reader.read_until(b'\n', &mut line).with_context(|| format!("couldn't read {}", path.display()))? > 0 {
        number += 1;
        let value = line.strip_suffix(b"\n").unwrap_or(&line);
        if !value.is_empty() {
            deliver(number, value).with_context(|| format!("{}:{number}", path.display()))?;
        }
        line.clear();
    }
    Ok(())
}

/// Something that reading found: the index of its topic, the partition, and what.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    Record {
        offset: Offset,
        value: Option<&'a [u8]>,
    },
    /// Read up to here, markers included.
    Position(Offset),
}

/// Reads topics from their beginnings, pass by pass: each pass asks where they end and reads up to there.
pub struct KafkaTopics {
    reader: TopicReader,
    topics: Vec<String>,
    positions: BTreeMap<Source, Offset>,
    ends: BTreeMap<Source, Offset>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Complete,
    /// Told to stop, or out of time, before the ends were reached.
    Interrupted,
}

impl KafkaTopics {
    pub fn open(client: &ClientSettings, topics: &[&str]) -> anyhow::Result<Self> {
        Ok(Self {
            reader: TopicReader::open(client, topics)?,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            positions: BTreeMap::new(),
            ends: BTreeMap::new(),
        })
    }

    /// Asks for the ends, and takes up partitions that are new, from where they begin. Those come back.
    pub fn ask(&mut self) -> anyhow::Result<Vec<(Source, Watermarks)>> {
        let watermarks = self.reader.watermarks()?;
        let new: Vec<(Source, Watermarks)> = watermarks
            .iter()
            .filter(|(source, _)| !self.positions.contains_key(source))
            .map(|(source, watermarks)| (*source, *watermarks))
            .collect();
        self.ends = watermarks.iter().map(|(source, watermarks)| (*source, watermarks.log_end)).collect();
        if !new.is_empty() {
            self.positions.extend(new.iter().map(|(source, watermarks)| (*source, watermarks.log_start)));
            let starts: Vec<(Source, Offset)> = self.positions.iter().map(|(source, at)| (*source, *at)).collect();
            self.reader.assign(&starts)?;
        }
        Ok(new)
    }

    /// Reads up to the ends that were asked for last. Beyond them it may go on: whatever comes is delivered.
    pub fn read(
        &mut self,
        stop: &Stop,
        until: &dyn Fn() -> bool,
        deliver: &mut dyn FnMut(Source, Found<'_>),
    ) -> anyhow::Result<Pass> {
        let mut silent = Stopwatch::start();
        while !self.is_complete() {
            if stop.is_set() || until() {
                return Ok(Pass::Interrupted);
            }
            if self.poll(Duration::from_millis(100), deliver)? {
                silent = Stopwatch::start();
            } else if silent.elapsed() > PATIENCE {
                let behind = self.ends.iter().find(|(source, end)| self.positions[*source] < **end);
                let (source, end) = behind.expect("not complete in this loop");
                bail!(
                    "{}/{}: nothing to read for {} s at offset {}, though the log ends at {end}; is a transaction left open there?",
                    self.topics[usize::from(source.topic)],
                    source.partition,
                    PATIENCE.as_secs(),
                    self.positions[source],
                );
            }
        }
        Ok(Pass::Complete)
    }

    fn is_complete(&self) -> bool {
        self.ends.iter().all(|(source, end)| self.positions[source] >= *end)
    }

    /// Waits at most `wait`. Whether anything came.
    pub fn poll(&mut self, wait: Duration, deliver: &mut dyn FnMut(Source, Found<'_>)) -> anyhow::Result<bool> {
        let Self { reader, positions, .. } = self;
        let mut moved = false;
        reader.poll(wait, &mut |delivery| {
            moved = true;
            let (source, position) = match delivery {
                Delivery::Record(record) => {
                    deliver(record.source, Found::Record { offset: record.offset, value: record.value });
                    (record.source, record.offset + 1)
                }
                Delivery::End { source, position } => {
                    deliver(source, Found::Position(position));
                    (source, position)
                }
            };
            let known = positions.entry(source).or_insert(position);
            *known = position.max(*known);
        })?;
        Ok(moved)
    }
}
