//! What must hold of the committed output, whatever went wrong on the way.
//!
//! (a) Folded, it is the oracle's truth (`truth.rs`). (b) Per source and output partition it is, byte for byte, what the undisturbed
//! run writes. (c) Every ledger is an unbroken chain: each batch begins where the last ended, its deltas stand before its
//! frontier, every event is in a delta or in an open pane, every rejected record is a dead letter once. And what facts
//! cite as their definitions is in the state topic.

use std::collections::{BTreeMap, BTreeSet};

use streamgauge_events::facts::{GOLDEN, OTHER};
use streamgauge_events::{DeadLetter, Delta, Fact, Frontier, Offset, Reason, topics};
use streamgauge_stage::CommitMetadata;
use streamgauge_windows::Audit;

use super::bundles::TOPICS;
use super::calm::{self, Recorded, Written};
use super::subject::Subject;
use super::truth::check_truth;
use super::world::{Activations, GROUP, Place, World};

/// Everything committed, read back from the topics.
pub struct Output {
    written: BTreeMap<Place, Written>,
    pub deltas: Vec<Delta>,
    /// In order, as output partition 0 has them.
    frontiers: BTreeMap<Place, Vec<Frontier>>,
    pub dead_letters: Vec<DeadLetter>,
}

pub fn check<S: Subject>(world: &mut World<'_, S>) -> Result<(), String> {
    let output = read(world)?;
    output.count(world);
    for place in world.places() {
        let in_ledger = |error| format!("ledger of {}/{}: {error}", place.0, place.1);
        check_chain(world, &output, place).map_err(in_ledger)?;
    }
    check_citations(world, &output)?;
    if world.schedule.features.lost_ranges {
        // What has left the log can't be counted: the chains have accounted for it above.
        return Ok(());
    }
    check_audit(world)?;
    check_truth(world, &output)?;
    for place in world.places() {
        check_bytes(world, &output, place)?;
    }
    Ok(())
}

fn read<S: Subject>(world: &World<'_, S>) -> Result<Output, String> {
    let mut output =
        Output { written: BTreeMap::new(), deltas: Vec::new(), frontiers: BTreeMap::new(), dead_letters: Vec::new() };
    for topic in [topics::SLI_WINDOWS, topics::DEAD_LETTERS] {
        for partition in 0..world.broker.partitions(topic).unwrap_or_default() {
            for record in world.broker.records(topic, partition) {
                let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
                let source = output.take(topic, partition, &value)?;
                output.written.entry(source).or_default().entry((topic, partition)).or_default().push((key, value));
            }
        }
    }
    Ok(output)
}

fn place_of(topic: &str, partition: i32) -> Result<Place, String> {
    let known = TOPICS.into_iter().find(|known| *known == topic);
    Ok((known.ok_or_else(|| format!("a record tells of topic {topic}, which nobody has"))?, partition))
}

impl Output {
    /// Sorts one record in, and says which source partition it comes from.
    fn take(&mut self, topic: &str, partition: i32, value: &[u8]) -> Result<Place, String> {
        let unreadable = |error| format!("an unreadable record in {topic}: {error}");
        if topic == topics::DEAD_LETTERS {
            let letter: DeadLetter = serde_json::from_slice(value).map_err(unreadable)?;
            let place = place_of(&letter.source, letter.partition)?;
            self.dead_letters.push(letter);
            return Ok(place);
        }
        match Fact::from_json(value).map_err(unreadable)? {
            Fact::Delta(delta) => {
                let place = place_of(&delta.source, delta.partition)?;
                self.deltas.push(delta);
                Ok(place)
            }
            Fact::Frontier(frontier) => {
                let place = place_of(&frontier.source, frontier.partition)?;
                if partition == 0 {
                    self.frontiers.entry(place).or_default().push(frontier);
                }
                Ok(place)
            }
        }
    }

    fn count<S: Subject>(&self, world: &mut World<'_, S>) {
        let count = |found: usize| found as u64;
        let is_other = |delta: &&Delta| delta.labels.values().any(|label| label == OTHER);
        world.counts.batches += count(self.frontiers.values().map(Vec::len).sum());
        world.counts.dead_letters += count(self.dead_letters.len());
        let unknown = self.dead_letters.iter().filter(|letter| letter.reason == Reason::UnknownSchema);
        world.counts.unknown_schemas += count(unknown.count());
        world.counts.folded_away += count(self.deltas.iter().filter(is_other).count());
        world.counts.with_values += count(self.deltas.iter().filter(|delta| delta.values.is_some()).count());
    }
}

// ---- (c)

fn check_chain<S: Subject>(world: &World<'_, S>, output: &Output, place: Place) -> Result<(), String> {
    let none = Vec::new();
    let frontiers = output.frontiers.get(&place).unwrap_or(&none);
    let (mut counted, mut deltas) = (BTreeMap::new(), BTreeMap::new());
    for delta in output.deltas.iter().filter(|delta| (delta.source.as_str(), delta.partition) == place) {
        *deltas.entry(delta.batch).or_insert(0) += 1;
        *counted.entry(delta.batch).or_insert(0) += if GOLDEN.contains(&delta.sli.as_str()) { delta.n } else { 0 };
    }
    let first = frontiers.first().filter(|_| world.schedule.features.lost_ranges);
    // A chain that begins after the log's start has moved begins there.
    let (mut to, mut open, mut dead) = (first.map_or(0, |frontier| frontier.from), 0, 0);
    for (expected, frontier) in frontiers.iter().enumerate() {
        let Frontier { batch, from, records, dead_letters, lost_events, .. } = *frontier;
        if batch != expected as u64 || from != to || frontier.to < from {
            return Err(format!(
                "batch {batch} from {from} to {} stands where batch {expected} from {to} is due",
                frontier.to
            ));
        }
        let n = counted.remove(&batch).unwrap_or(0);
        if open + records != dead_letters + lost_events + n + frontier.open {
            return Err(format!(
                "batch {batch}: {open} open + {records} read != {dead_letters} dead + {lost_events} lost + {n} counted + {} open",
                frontier.open
            ));
        }
        (to, open, dead) = (frontier.to, frontier.open, dead + dead_letters);
    }
    if let Some(batch) = counted.keys().next() {
        return Err(format!("deltas of batch {batch} have no frontier"));
    }
    for Frontier { batch, deltas: told, .. } in frontiers {
        let found = deltas.get(batch).copied().unwrap_or(0);
        if found != *told {
            return Err(format!("batch {batch} has {found} deltas, {told} by its frontier"));
        }
    }
    let (_, end) = world.broker.offsets(place.0, place.1);
    if !world.reads(place.0) {
        // Left where it was: what was read since the last batch stands in the commit.
        dead += open_commit(world, place, (to, frontiers.len() as u64))?;
    } else if to != end || open != 0 {
        return Err(format!("the chain ends at {to} with {open} open events, the log at {end}"));
    }
    check_order(output, place)?;
    check_dead_letters(output, place, dead)
}

/// Dead letters since the last batch, by a commit that must follow that batch.
fn open_commit<S: Subject>(world: &World<'_, S>, place: Place, last: (Offset, u64)) -> Result<u64, String> {
    let Some(committed) = world.broker.group_offset(GROUP, place.0, place.1) else { return Ok(0) };
    let metadata = CommitMetadata::decode(&committed.metadata).map_err(|error| error.to_string())?;
    if (metadata.t, metadata.k) != last && !world.schedule.features.lost_ranges {
        let (to, batches) = last;
        let CommitMetadata { t, k, .. } = metadata;
        return Err(format!("batch {k} from {t} is due by the commit, but {batches} batches to {to} are there"));
    }
    Ok(metadata.dl)
}

/// In every output partition: the deltas of a batch, then its frontier, batch by batch.
fn check_order(output: &Output, place: Place) -> Result<(), String> {
    let Some(written) = output.written.get(&place) else { return Ok(()) };
    let expected = output.frontiers.get(&place).map_or(0, Vec::len) as u64;
    for ((topic, into), records) in written.iter().filter(|((topic, _), _)| *topic == topics::SLI_WINDOWS) {
        let mut next = 0;
        for (_, value) in records {
            let (batch, is_frontier) = match Fact::from_json(value) {
                Ok(Fact::Delta(delta)) => (delta.batch, false),
                Ok(Fact::Frontier(frontier)) => (frontier.batch, true),
                Err(error) => return Err(error.to_string()),
            };
            if batch != next {
                return Err(format!("{topic}/{into} holds a record of batch {batch} where batch {next} is due"));
            }
            next += u64::from(is_frontier);
        }
        if next != expected {
            return Err(format!("{topic}/{into} ends with batch {next} of {expected}"));
        }
    }
    Ok(())
}

fn check_dead_letters(output: &Output, place: Place, expected: u64) -> Result<(), String> {
    let letters = output.dead_letters.iter().filter(|letter| (letter.source.as_str(), letter.partition) == place);
    let offsets: Vec<i64> = letters.map(|letter| letter.offset).collect();
    if let Some(pair) = offsets.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!("the dead letter of offset {} stands before that of {}", pair[0], pair[1]));
    }
    if offsets.len() as u64 != expected {
        return Err(format!("{} dead letters, {expected} by the frontiers", offsets.len()));
    }
    Ok(())
}

fn check_citations<S: Subject>(world: &World<'_, S>, output: &Output) -> Result<(), String> {
    let saved: BTreeSet<Vec<u8>> =
        world.broker.records(topics::SLI_STATE, 0).into_iter().filter_map(|record| record.key).collect();
    let cited = output.frontiers.values().flatten().map(|frontier| &frontier.bundle);
    match cited.chain(output.deltas.iter().map(|delta| &delta.bundle)).find(|hash| !saved.contains(&state_key(hash))) {
        Some(hash) => Err(format!("facts cite definitions {hash}, which the state topic does not hold")),
        None => Ok(()),
    }
}

fn state_key(hash: &str) -> Vec<u8> {
    format!("bundle/{hash}").into_bytes()
}

/// What `streamgauge audit` reads.
fn check_audit<S: Subject>(world: &World<'_, S>) -> Result<(), String> {
    let mut audit = Audit::new();
    let outputs = world.broker.partitions(topics::SLI_WINDOWS).unwrap_or_default();
    for partition in 0..outputs {
        let (start, end) = world.broker.offsets(topics::SLI_WINDOWS, partition);
        audit.output_partition(partition, start, end);
    }
    for (topic, partition) in world.places().into_iter().filter(|(topic, _)| world.reads(topic)) {
        audit.input_begins(topic, partition, 0);
        for record in world.broker.records(topic, partition) {
            audit.input_record(topic, partition, record.offset);
        }
        audit.input_position(topic, partition, world.broker.offsets(topic, partition).1);
    }
    for partition in 0..outputs {
        for record in world.broker.records(topics::SLI_WINDOWS, partition) {
            audit.fact(partition, record.value.as_deref().unwrap_or_default());
        }
    }
    for record in world.broker.records(topics::DEAD_LETTERS, 0) {
        audit.dead_letter(0, record.value.as_deref().unwrap_or_default());
    }
    audit.require(&audit.mark());
    let report = audit.report();
    if report.clean { Ok(()) } else { Err(format!("the audit finds {:?}", report.problems.first())) }
}

// ---- (b)

fn check_bytes<S: Subject>(world: &World<'_, S>, output: &Output, place: Place) -> Result<(), String> {
    let (no_frontiers, no_activations, nothing) = (Vec::new(), Activations::new(), Written::new());
    let recorded = Recorded {
        place,
        until: world.broker.group_offset(GROUP, place.0, place.1).map_or(0, |committed| committed.offset),
        frontiers: output.frontiers.get(&place).unwrap_or(&no_frontiers),
        activations: world.activations.get(&place).unwrap_or(&no_activations),
    };
    let calm = calm::run(world.schedule, &world.broker, &recorded)?;
    let found = output.written.get(&place).unwrap_or(&nothing);
    for into in found.keys().chain(calm.keys()) {
        let (found, expected) = (found.get(into), calm.get(into));
        if found != expected {
            let count = |records: Option<&Vec<_>>| records.map_or(0, Vec::len);
            let both = found.into_iter().flatten().zip(expected.into_iter().flatten());
            let at = both.take_while(|(found, expected)| found == expected).count();
            let text = |records: Option<&Vec<(Vec<u8>, Vec<u8>)>>| match records.and_then(|records| records.get(at)) {
                Some((_, value)) => String::from_utf8_lossy(value).into_owned(),
                None => "nothing".to_owned(),
            };
            return Err(format!(
                "{into:?} from {place:?}: record {at} of {} is\n  {}\nand undisturbed, of {}\n  {}",
                count(found),
                text(found),
                count(expected),
                text(expected)
            ));
        }
    }
    Ok(())
}
