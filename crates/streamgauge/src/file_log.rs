//! Files → events → files: the bus of a backfill. Each input file is a partition, in the order given; outputs go to
//! one JSON-lines file per topic.
//!
//! Outputs stand under temporary names until all is done, so a backfill that was interrupted leaves nothing that looks
//! finished, and is simply run again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use streamgauge_events::{Offset, Rejection, topics};
use streamgauge_mapping::{Counts, MappedFile, Mapping};
use streamgauge_stage::{Committed, Delivery, Log, LogError, Output, Polled, Position, Record, Source};

/// Events handed over in one poll.
const POLL_EVENTS_MAX: usize = 4096;

pub struct FileLog<'m> {
    /// Index of the topic that the rows stand for.
    topic: u16,
    inputs: Vec<Input<'m>>,
    reading: usize,
    announced: bool,
    outputs: Outputs,
}

struct Input<'m> {
    name: String,
    file: MappedFile<'m>,
    next: Offset,
    ended: bool,
}

/// The files of a directory, one a topic.
struct Outputs {
    directory: PathBuf,
    files: BTreeMap<&'static str, BufWriter<File>>,
}

const TOPICS: [&str; 3] = [topics::SLI_WINDOWS, topics::DEAD_LETTERS, topics::SLI_STATE];

impl<'m> FileLog<'m> {
    /// `topic`: index of the topic that the rows stand for.
    pub fn open(
        inputs: &[PathBuf],
        mapping: &'m Mapping,
        topic: u16,
        directory: &Path,
        overwrite: bool,
    ) -> anyhow::Result<Self> {
        let mut opened = Vec::new();
        for path in inputs {
            let name =
                path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
            opened.push(Input { name, file: MappedFile::open(path, mapping)?, next: 0, ended: false });
        }
        Ok(Self { topic, inputs: opened, reading: 0, announced: false, outputs: Outputs::open(directory, overwrite)? })
    }

    /// Bytes read of bytes there are.
    pub fn progress(&self) -> (u64, u64) {
        let read = self.inputs.iter().map(|input| input.file.bytes_read()).sum();
        let total = self.inputs.iter().filter_map(|input| input.file.bytes_total()).sum();
        (read, total)
    }

    /// Rows and events of each input.
    pub fn counts(&self) -> Vec<(String, Counts)> {
        self.inputs.iter().map(|input| (input.name.clone(), input.file.counts())).collect()
    }

    /// Gives the outputs their names.
    pub fn finish(self) -> anyhow::Result<()> {
        self.outputs.finish()
    }
}

impl Outputs {
    fn open(directory: &Path, overwrite: bool) -> anyhow::Result<Self> {
        let shown = directory.display();
        fs::create_dir_all(directory).with_context(|| format!("couldn't make the directory {shown}"))?;
        let mut files = BTreeMap::new();
        for topic in TOPICS {
            let path = final_path(directory, topic);
            if path.exists() && !overwrite {
                bail!("{} exists: choose another --out, or say --overwrite", path.display());
            }
            let partial = partial_path(directory, topic);
            let file = File::create(&partial).with_context(|| format!("couldn't write {}", partial.display()))?;
            files.insert(topic, BufWriter::new(file));
        }
        Ok(Self { directory: directory.to_owned(), files })
    }

    fn append(&mut self, topic: &str, value: &[u8]) -> std::io::Result<()> {
        let Some(file) = self.files.get_mut(topic) else {
            return Err(std::io::Error::other(format!("no file for topic {topic}")));
        };
        file.write_all(value)?;
        file.write_all(b"\n")
    }

    fn finish(self) -> anyhow::Result<()> {
        for (topic, file) in self.files {
            let path = final_path(&self.directory, topic);
            let file = file.into_inner().map_err(std::io::IntoInnerError::into_error);
            file.and_then(|file| file.sync_all())
                .and_then(|()| fs::rename(partial_path(&self.directory, topic), &path))
                .with_context(|| format!("couldn't finish {}", path.display()))?;
        }
        Ok(())
    }
}

fn final_path(directory: &Path, topic: &str) -> PathBuf {
    directory.join(format!("{topic}.jsonl"))
}

fn partial_path(directory: &Path, topic: &str) -> PathBuf {
    directory.join(format!(".{topic}.jsonl.partial"))
}

impl Log for FileLog<'_> {
    fn poll(&mut self, _wait: Duration, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<Polled, LogError> {
        if !self.announced {
            self.announced = true;
            let sources = (0..self.inputs.len()).map(|index| source_of(self.topic, index)).collect();
            return Ok(Polled::Assigned(sources));
        }
        let Some(input) = self.inputs.get_mut(self.reading) else { return Ok(Polled::Delivered) };
        let source = source_of(self.topic, self.reading);
        for _ in 0..POLL_EVENTS_MAX {
            match input.file.next() {
                Some(Ok(mapped)) => {
                    let value;
                    let rejected;
                    let (value, rejected): (&[u8], Option<&Rejection>) = match &mapped.event {
                        Ok(event) => {
                            value = event.to_json();
                            (&value, None)
                        }
                        Err(rejection) => {
                            let message = format!("{} line {}: {}", input.name, mapped.line, rejection.message);
                            rejected = Rejection::new(rejection.reason, message);
                            (&mapped.raw, Some(&rejected))
                        }
                    };
                    let offset = input.next;
                    input.next += 1;
                    let record = Record { source, offset, timestamp: None, key: None, value: Some(value), rejected };
                    deliver(Delivery::Record(record));
                }
                Some(Err(error)) => return Err(LogError::Fatal(error.to_string())),
                None => {
                    input.ended = true;
                    self.reading += 1;
                    deliver(Delivery::End { source, position: input.next });
                    break;
                }
            }
        }
        Ok(Polled::Delivered)
    }

    fn committed(&mut self, sources: &[Source]) -> Result<Vec<Committed>, LogError> {
        let partitions = self.inputs.len() as i32;
        let fresh = |source: &Source| Committed {
            source: *source,
            offset: None,
            metadata: String::new(),
            log_start: 0,
            log_end: 0,
            partitions,
        };
        Ok(sources.iter().map(fresh).collect())
    }

    fn assign(&mut self, _starts: &[(Source, Offset)]) -> Result<(), LogError> {
        Ok(())
    }

    fn release(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    fn leave(&mut self) {}

    fn partitions(&mut self, _topic: &str) -> Result<i32, LogError> {
        Ok(1)
    }

    fn read_back(
        &mut self,
        _topic: &str,
        _partition: i32,
        _deliver: &mut dyn FnMut(Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), LogError> {
        Ok(())
    }

    fn begin(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    fn produce(&mut self, output: &Output, _partition: i32) -> Result<(), LogError> {
        self.outputs
            .append(output.topic, &output.value)
            .map_err(|error| LogError::Fatal(format!("couldn't write {}.jsonl: {error}", output.topic)))
    }

    fn send_offsets(&mut self, _positions: &[Position]) -> Result<(), LogError> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    fn abort(&mut self) -> Result<(), LogError> {
        Err(LogError::Fatal("what was written to files can't be taken back".to_owned()))
    }

    fn renew_producer(&mut self) -> Result<(), LogError> {
        Ok(())
    }
}

fn source_of(topic: u16, index: usize) -> Source {
    Source { topic, partition: index as i32 }
}
