//! Files → events → files: the bus of a backfill. Each input file is a partition, in the order given; outputs go to
//! one JSON-lines file per topic.
//!
//! Outputs stand under temporary names until all is done, so a backfill that was interrupted leaves nothing that looks
//! finished, and is simply run again.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use streamgauge_events::{Offset, Reason, Rejection, topics};
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
    file: Rows<'m>,
    next: Offset,
    ended: bool,
}

/// How the lines of a file become events.
enum Rows<'m> {
    Mapped(Box<MappedFile<'m>>),
    /// They are events already.
    Events(EventLines),
}

/// JSON lines as they would stand in the topic.
struct EventLines {
    lines: BufReader<File>,
    line: Vec<u8>,
    number: u64,
    counts: Counts,
    bytes_read: u64,
    bytes_total: u64,
}

/// As in Kafka, where a larger record is refused.
const LINE_BYTES_MAX: u64 = 1 << 20;

impl EventLines {
    fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let bytes_total = file.metadata()?.len();
        let lines = BufReader::with_capacity(1 << 20, file);
        Ok(Self { lines, line: Vec::new(), number: 0, counts: Counts::default(), bytes_read: 0, bytes_total })
    }

    /// Reads the next line that is not blank: whether there was one, and whether it was of a length that can be.
    fn advance(&mut self) -> std::io::Result<Option<bool>> {
        loop {
            self.line.clear();
            let read = self.lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line)? as u64;
            if read == 0 {
                return Ok(None);
            }
            self.bytes_read += read;
            self.number += 1;
            let is_whole = self.line.ends_with(b"\n") || read < LINE_BYTES_MAX;
            if !is_whole {
                self.bytes_read += self.lines.skip_until(b'\n')? as u64;
            }
            self.line.truncate(self.line.trim_ascii_end().len());
            if !self.line.is_empty() {
                self.counts.rows += 1;
                self.counts.events += u64::from(is_whole);
                self.counts.rejected += u64::from(!is_whole);
                return Ok(Some(is_whole));
            }
        }
    }
}

/// The files of a directory, one a topic.
struct Outputs {
    directory: PathBuf,
    files: BTreeMap<&'static str, BufWriter<File>>,
    /// Held until the files have their names: two backfills would write into the same temporary ones.
    _lock: File,
}

const TOPICS: [&str; 3] = [topics::SLI_WINDOWS, topics::DEAD_LETTERS, topics::SLI_STATE];

impl<'m> FileLog<'m> {
    /// `mapping`: how rows become events; without one, lines are events. `topic`: index of the topic that they stand for.
    pub fn open(
        inputs: &[PathBuf],
        mapping: Option<&'m Mapping>,
        topic: u16,
        directory: &Path,
        overwrite: bool,
    ) -> anyhow::Result<Self> {
        let mut opened = Vec::new();
        for path in inputs {
            let name =
                path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
            let file = match mapping {
                Some(mapping) => Rows::Mapped(Box::new(MappedFile::open(path, mapping)?)),
                None => {
                    let lines = EventLines::open(path);
                    Rows::Events(lines.with_context(|| format!("couldn't open {}", path.display()))?)
                }
            };
            opened.push(Input { name, file, next: 0, ended: false });
        }
        Ok(Self { topic, inputs: opened, reading: 0, announced: false, outputs: Outputs::open(directory, overwrite)? })
    }

    /// Bytes read of bytes there are.
    pub fn progress(&self) -> (u64, u64) {
        let of = |input: &Input<'_>| match &input.file {
            Rows::Mapped(file) => (file.bytes_read(), file.bytes_total().unwrap_or_default()),
            Rows::Events(lines) => (lines.bytes_read, lines.bytes_total),
        };
        self.inputs.iter().map(of).fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }

    /// Rows and events of each input.
    pub fn counts(&self) -> Vec<(String, Counts)> {
        let of = |input: &Input<'_>| match &input.file {
            Rows::Mapped(file) => file.counts(),
            Rows::Events(lines) => lines.counts,
        };
        self.inputs.iter().map(|input| (input.name.clone(), of(input))).collect()
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
        let lock = File::open(directory).with_context(|| format!("couldn't open the directory {shown}"))?;
        // A file system without locks for directories refuses nobody.
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            bail!("another backfill is writing to {shown}: choose another --out, or wait for its end");
        }
        // Before anything is written: results belong together, and are replaced together or not at all.
        if let Some(path) =
            TOPICS.map(|topic| final_path(directory, topic)).iter().find(|path| path.exists() && !overwrite)
        {
            bail!(
                "{} exists: choose another --out, since each backfill has a directory of its own, or say --overwrite to \
                 replace the results in {shown}",
                path.display()
            );
        }
        let mut files = BTreeMap::new();
        for topic in TOPICS {
            let partial = partial_path(directory, topic);
            let file = File::create(&partial).with_context(|| format!("couldn't write {}", partial.display()))?;
            files.insert(topic, BufWriter::new(file));
        }
        Ok(Self { directory: directory.to_owned(), files, _lock: lock })
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

impl Input<'_> {
    /// Hands over the next record; `false` at the end of the file.
    fn deliver_next(&mut self, source: Source, deliver: &mut dyn FnMut(Delivery<'_>)) -> Result<bool, String> {
        let json;
        let rejected;
        let (value, rejected): (&[u8], Option<&Rejection>) = match &mut self.file {
            Rows::Events(lines) => match lines.advance() {
                Ok(Some(true)) => (&lines.line, None),
                Ok(Some(false)) => {
                    let message = format!("{} line {}: longer than {LINE_BYTES_MAX} bytes", self.name, lines.number);
                    rejected = Rejection::new(Reason::Undecodable, message);
                    (&lines.line, Some(&rejected))
                }
                Ok(None) => return Ok(false),
                Err(error) => return Err(format!("{} after line {}: {error}", self.name, lines.number)),
            },
            Rows::Mapped(file) => {
                let mapped = match file.next() {
                    Some(Ok(mapped)) => mapped,
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Ok(false),
                };
                let offset = self.next;
                self.next += 1;
                let (value, rejected): (&[u8], Option<&Rejection>) = match &mapped.event {
                    Ok(event) => {
                        json = event.to_json();
                        (&json, None)
                    }
                    Err(rejection) => {
                        let message = format!("{} line {}: {}", self.name, mapped.line, rejection.message);
                        rejected = Rejection::new(rejection.reason, message);
                        (&mapped.raw, Some(&rejected))
                    }
                };
                let record = Record { source, offset, timestamp: None, key: None, value: Some(value), rejected };
                deliver(Delivery::Record(record));
                return Ok(true);
            }
        };
        let offset = self.next;
        self.next += 1;
        deliver(Delivery::Record(Record { source, offset, timestamp: None, key: None, value: Some(value), rejected }));
        Ok(true)
    }
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
            match input.deliver_next(source, deliver) {
                Ok(true) => {}
                Ok(false) => {
                    input.ended = true;
                    self.reading += 1;
                    deliver(Delivery::End { source, position: input.next });
                    break;
                }
                Err(error) => return Err(LogError::Fatal(error)),
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

    fn read_again(
        &mut self,
        _source: Source,
        _until: Offset,
        _deliver: &mut dyn FnMut(Offset, Option<&[u8]>),
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
