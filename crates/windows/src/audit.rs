//! Proves from the topics that every input record was counted once.
//!
//! Fed with facts in the order of each output partition, with dead letters, and, where asked for, with the offsets of
//! the input itself; in any interleaving. It holds: batches follow each other without hole or repeat and cover each
//! offset once; the frontier of a batch is the same in every output partition and stands behind its deltas; records =
//! counted + dead letters + lost + open, at every batch; each dead letter stands once, in the batch that counts it.

use std::collections::BTreeMap;

use streamgauge_events::{DeadLetter, Fact, Offset, Reason, topics};

use crate::chain::{Chain, Lane};
use crate::coverage::{BatchId, Source};
use crate::offsets::{Proof, Seen};
use crate::report::{Kind, PROBLEMS_MAX, Problem, Report};

#[derive(Default)]
pub struct Audit {
    lanes: BTreeMap<i32, Lane>,
    chains: BTreeMap<Source, Chain>,
    /// The dead letter read last, by output partition and source: they stand in order of offsets.
    letters_read: BTreeMap<(i32, Source), Offset>,
    /// Dead letters were deleted at the beginning of their topic.
    letters_cut: bool,
    /// Input partitions that are read too: first offset and position.
    inputs: BTreeMap<Source, (Offset, Offset)>,
    problems: Vec<Problem>,
    problems_total: u64,
}

/// How far everything was when it was taken.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    batches: BTreeMap<Source, BatchId>,
    decided: BTreeMap<Source, Offset>,
}

impl Audit {
    pub fn new() -> Self {
        Self::default()
    }

    /// An output partition of `sli.windows` that holds [log start, log end) now. One that is empty, or that is named
    /// only after the audit began, need not hold what was written before.
    pub fn output_partition(&mut self, number: i32, log_start: Offset, log_end: Offset) {
        if self.lanes.contains_key(&number) {
            return;
        }
        let lane = Lane { cut: log_start > 0, joins_later: log_end <= log_start || !self.chains.is_empty() };
        self.lanes.insert(number, lane);
        self.chains.values_mut().for_each(|chain| chain.add_lane(number, lane));
    }

    /// The dead letters begin here; those before it were deleted.
    pub fn dead_letters_begin(&mut self, log_start: Offset) {
        self.letters_cut |= log_start > 0;
    }

    /// This input partition will be read too, from here on.
    pub fn input_begins(&mut self, topic: &str, partition: i32, log_start: Offset) {
        let source = Source { topic: topic.to_owned(), partition };
        self.inputs.entry(source.clone()).or_insert((log_start, log_start));
        self.chain(&source);
    }

    pub fn input_record(&mut self, topic: &str, partition: i32, offset: Offset) {
        let source = Source { topic: topic.to_owned(), partition };
        self.input_position(topic, partition, offset + 1);
        let chain = self.chain(&source);
        if let Some(records) = &mut chain.records
            && records.see(offset) == Seen::Undeclared
        {
            chain.problems.push(Kind::RecordUndeclared { offset });
            self.collect(&source);
        }
    }

    /// The input partition has been read up to here, markers included.
    pub fn input_position(&mut self, topic: &str, partition: i32, position: Offset) {
        let source = Source { topic: topic.to_owned(), partition };
        if let Some((_, known)) = self.inputs.get_mut(&source) {
            *known = position.max(*known);
        }
    }

    /// One record of `sli.windows`.
    pub fn fact(&mut self, output_partition: i32, value: &[u8]) {
        let fact = match Fact::from_json(value) {
            Ok(fact) => fact,
            Err(error) => {
                self.undecodable(topics::SLI_WINDOWS, output_partition, error.to_string());
                return;
            }
        };
        let (topic, partition) = match &fact {
            Fact::Delta(delta) => (&delta.source, delta.partition),
            Fact::Frontier(frontier) => (&frontier.source, frontier.partition),
        };
        let source = Source { topic: topic.clone(), partition };
        let chain = self.chain(&source);
        match fact {
            Fact::Delta(delta) => chain.delta(output_partition, &delta),
            Fact::Frontier(frontier) => chain.frontier(output_partition, frontier, value),
        }
        self.collect(&source);
    }

    /// One record of `dead-letters`.
    pub fn dead_letter(&mut self, output_partition: i32, value: &[u8]) {
        let letter: DeadLetter = match serde_json::from_slice(value) {
            Ok(letter) => letter,
            Err(error) => {
                self.undecodable(topics::DEAD_LETTERS, output_partition, error.to_string());
                return;
            }
        };
        let (offset, source) = (letter.offset, Source { topic: letter.source, partition: letter.partition });
        let cut = self.letters_cut;
        let read = self.letters_read.get(&(output_partition, source.clone())).copied();
        let chain = self.chain(&source);
        if letter.reason == Reason::OutputTooLarge {
            chain.problems.push(Kind::OutputTooLarge { message: letter.message });
        } else if read.is_some_and(|read| offset <= read) {
            chain.problems.push(Kind::DeadLetterTwice { offset });
        } else {
            if cut && read.is_none() {
                chain.letters.begin_at(offset + 1);
            } else {
                match chain.letters.see(offset) {
                    Seen::New => {}
                    Seen::Again => chain.problems.push(Kind::DeadLetterTwice { offset }),
                    Seen::Undeclared => chain.problems.push(Kind::DeadLetterUndeclared { offset }),
                }
                chain.settle_letters(Offset::MIN);
            }
            self.letters_read.insert((output_partition, source.clone()), offset);
        }
        self.collect(&source);
    }

    fn chain(&mut self, source: &Source) -> &mut Chain {
        let Self { chains, lanes, letters_cut, inputs, .. } = self;
        if !chains.contains_key(source) {
            let mut chain = Chain::new(source, lanes);
            if *letters_cut {
                chain.letters.begin_at(Offset::MAX);
            }
            chain.records = inputs.get(source).map(|(begins, _)| {
                let mut records = Proof::default();
                records.begin_at(*begins);
                records
            });
            chains.insert(source.clone(), chain);
        }
        chains.get_mut(source).expect("inserted above")
    }

    /// Settles what the input's position allows, and takes the chain's problems over.
    fn collect(&mut self, source: &Source) {
        let position = self.inputs.get(source).map(|(_, position)| *position);
        let Some(chain) = self.chains.get_mut(source) else { return };
        if let Some(position) = position {
            chain.settle_records(position);
        }
        for kind in std::mem::take(&mut chain.problems) {
            self.problems_total += 1;
            if self.problems.len() < PROBLEMS_MAX {
                self.problems.push(Problem { source: source.topic.clone(), partition: source.partition, kind });
            }
        }
    }

    fn undecodable(&mut self, topic: &'static str, output_partition: i32, message: String) {
        self.problems_total += 1;
        if self.problems.len() < PROBLEMS_MAX {
            let kind = Kind::Undecodable { topic, output_partition, message };
            self.problems.push(Problem { source: String::new(), partition: -1, kind });
        }
    }

    /// Take it when everything has been read to some ends; then read to ends asked for afterwards; then
    /// [`Audit::require`] it. A batch lands in all partitions with one transaction, so by then all of it has come.
    pub fn mark(&self) -> Mark {
        let newest = |(source, chain): (&Source, &Chain)| Some((source.clone(), chain.newest()?));
        let decided = |(source, chain): (&Source, &Chain)| Some((source.clone(), chain.decided_to()?));
        Mark {
            batches: self.chains.iter().filter_map(newest).collect(),
            decided: self.chains.iter().filter_map(decided).collect(),
        }
    }

    /// What is missing of the marked batches will not come any more: it becomes a problem.
    pub fn require(&mut self, mark: &Mark) {
        for (source, id) in &mark.batches {
            if let Some(chain) = self.chains.get_mut(source) {
                chain.require(*id);
            }
            self.collect(source);
        }
        for (source, offset) in &mark.decided {
            if let Some(chain) = self.chains.get_mut(source) {
                chain.settle_letters(*offset);
            }
            self.collect(source);
        }
    }

    /// The input is bounded and has been read to its end.
    pub fn require_all(&mut self) {
        self.require(&Mark { decided: BTreeMap::new(), ..self.mark() });
        self.require(&self.mark());
        // Letters behind the last batch are no batch's yet: in a bounded input they belong to none.
        let sources: Vec<Source> = self.chains.keys().cloned().collect();
        for source in &sources {
            let chain = self.chain(source);
            let unclaimed = chain.letters.unclaimed().map(|offset| Kind::DeadLetterUndeclared { offset });
            chain.problems.extend(unclaimed);
            self.collect(source);
        }
    }

    pub fn report(&self) -> Report {
        let mut report = Report::default();
        for chain in self.chains.values() {
            report.dead_letters_matched += chain.letters.proven;
            report.add(chain.report());
        }
        report.problems = self.problems.clone();
        report.problems_total = self.problems_total;
        report.clean = self.problems_total == 0;
        report
    }

    pub fn problems_total(&self) -> u64 {
        self.problems_total
    }

    /// Parts of batches that are kept until they are proven.
    pub fn held(&self) -> usize {
        self.chains.values().map(Chain::held).sum()
    }
}
