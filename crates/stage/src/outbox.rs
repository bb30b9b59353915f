//! Effects as data: what a stage wants written, until the shell writes it.

use std::collections::BTreeMap;

use streamgauge_events::{DeadLetter, Reason, topics};

/// A record to be written. `topic` is the name in the topic table; the shell may add a prefix (replay).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub topic: &'static str,
    pub key: Vec<u8>,
    pub placement: Placement,
    /// Empty: nothing, by which a compacted topic forgets the key.
    pub value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The partition that the key hashes to.
    ByKey,
    /// One copy in every partition of the topic.
    Every,
    /// This partition.
    At(i32),
}

/// Records and batches wait here between bursts. Bounded by the worker, which sends before it reads more.
#[derive(Debug, Default)]
pub struct Outbox {
    outputs: Vec<Output>,
    bytes: usize,
    batches: u64,
    dead_letters: BTreeMap<Reason, u64>,
}

/// A record larger than this would be refused by the broker (`max.message.bytes` is 1,048,588 with its own overhead).
pub const OUTPUT_BYTES_MAX: usize = 1_000_000;

impl Outbox {
    pub fn push(&mut self, output: Output) {
        let size = output.key.len() + output.value.len();
        self.bytes += size;
        self.outputs.push(output);
    }

    /// A fact; if it would not fit into a record, a dead letter in its place rather than a crash loop.
    pub fn push_fact(&mut self, output: Output, too_large: impl FnOnce() -> DeadLetter) {
        if output.key.len() + output.value.len() > OUTPUT_BYTES_MAX {
            self.push_dead_letter(&too_large());
        } else {
            self.push(output);
        }
    }

    pub fn push_dead_letter(&mut self, letter: &DeadLetter) {
        *self.dead_letters.entry(letter.reason).or_default() += 1;
        self.push(Output {
            topic: topics::DEAD_LETTERS,
            key: DeadLetter::key(&letter.source, letter.partition),
            placement: Placement::ByKey,
            value: letter.to_json(),
        });
    }

    /// A batch is complete: its frontier is in.
    pub fn batch_cut(&mut self) {
        self.batches += 1;
    }

    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Size of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Batches that wait.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// Dead letters that wait, by reason.
    pub fn dead_letters(&self) -> &BTreeMap<Reason, u64> {
        &self.dead_letters
    }

    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    pub fn clear(&mut self) {
        self.outputs.clear();
        self.bytes = 0;
        self.batches = 0;
        self.dead_letters.clear();
    }
}
