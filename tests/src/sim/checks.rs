//! What must hold of the committed output, whatever went wrong on the way.
//!
//! (a) Folded, it is the oracle's truth. (b) Per source and output partition it is, byte for byte, what the undisturbed
//! run writes. (c) Every ledger is an unbroken chain: each batch begins where the last ended, its deltas stand before its
//! frontier, every event is in a delta or in an open pane, every rejected record is a dead letter once. And what facts
//! cite as their definitions is in the state topic.

use std::collections::{BTreeMap, BTreeSet};

use streamgauge_events::{DeadLetter, Delta, Fact, Frontier, topics};

use super::calm::{self, Recorded, Written};
use super::subject::Subject;
use super::world::{Activations, World};
use crate::oracle::{self, CellName, Cells, Input, InputRecord, Limits, Totals};

const GOLDEN: &str = "requests";

/// Everything committed, read back from the topics.
struct Output {
    /// By source partition.
    written: BTreeMap<i32, Written>,
    deltas: Vec<Delta>,
    /// By source partition, in order, as output partition 0 has them.
    frontiers: BTreeMap<i32, Vec<Frontier>>,
    dead_letters: Vec<DeadLetter>,
}

pub fn check<S: Subject>(world: &mut World<'_, S>) -> Result<(), String> {
    let output = read(world)?;
    world.counts.batches += output.frontiers.values().map(|frontiers| frontiers.len() as u64).sum::<u64>();
    world.counts.dead_letters += output.dead_letters.len() as u64;
    let partitions = world.broker.partitions(topics::REQUESTS).unwrap_or_default();
    for partition in 0..partitions {
        check_chain(world, &output, partition).map_err(|error| format!("ledger of partition {partition}: {error}"))?;
    }
    check_citations(world, &output)?;
    if world.schedule.features.lost_ranges {
        // What has left the log can't be counted: the chains have accounted for it above.
        return Ok(());
    }
    check_truth(world, &output)?;
    for partition in 0..partitions {
        check_bytes(world, &output, partition)?;
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

impl Output {
    /// Sorts one record in, and says which source partition it comes from.
    fn take(&mut self, topic: &str, partition: i32, value: &[u8]) -> Result<i32, String> {
        let unreadable = |error| format!("an unreadable record in {topic}: {error}");
        if topic == topics::DEAD_LETTERS {
            let letter: DeadLetter = serde_json::from_slice(value).map_err(unreadable)?;
            let source = letter.partition;
            self.dead_letters.push(letter);
            return Ok(source);
        }
        match Fact::from_json(value).map_err(unreadable)? {
            Fact::Delta(delta) => {
                let source = delta.partition;
                self.deltas.push(delta);
                Ok(source)
            }
            Fact::Frontier(frontier) => {
                let source = frontier.partition;
                if partition == 0 {
                    self.frontiers.entry(source).or_default().push(frontier);
                }
                Ok(source)
            }
        }
    }
}

// ---- (c)

fn check_chain<S: Subject>(world: &World<'_, S>, output: &Output, partition: i32) -> Result<(), String> {
    let none = Vec::new();
    let frontiers = output.frontiers.get(&partition).unwrap_or(&none);
    let mut counted = BTreeMap::new();
    for delta in output.deltas.iter().filter(|delta| delta.partition == partition && delta.sli == GOLDEN) {
        *counted.entry(delta.batch).or_insert(0) += delta.n;
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
    let (_, end) = world.broker.offsets(topics::REQUESTS, partition);
    if to != end || open != 0 {
        return Err(format!("the chain ends at {to} with {open} open events, the log at {end}"));
    }
    check_order(output, partition)?;
    check_dead_letters(output, partition, dead)
}

/// In every output partition: the deltas of a batch, then its frontier, batch by batch.
fn check_order(output: &Output, partition: i32) -> Result<(), String> {
    let Some(written) = output.written.get(&partition) else { return Ok(()) };
    let expected = output.frontiers.get(&partition).map_or(0, Vec::len) as u64;
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

fn check_dead_letters(output: &Output, partition: i32, expected: u64) -> Result<(), String> {
    let letters = output.dead_letters.iter().filter(|letter| letter.partition == partition);
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

// ---- (a)

fn check_truth<S: Subject>(world: &World<'_, S>, output: &Output) -> Result<(), String> {
    let numbers = world.bundle_numbers();
    let time = world.schedule.time;
    let limits = Limits {
        pane_us: time.pane_us,
        disorder_us: time.max_out_of_orderness_us,
        horizon_us: time.late_horizon_us,
        skew_us: time.max_future_skew_us.unwrap_or(i64::MAX),
        series_max: world.schedule.series_max as usize,
    };
    let partitions = 0..world.broker.partitions(topics::REQUESTS).unwrap_or_default();
    let inputs: Vec<Input> = partitions.map(|partition| input_of(world, partition, &numbers)).collect();
    let truth = oracle::truth(&inputs, &limits);

    let letters = output.dead_letters.iter();
    let letters: BTreeMap<(i32, i64), String> =
        letters.map(|letter| ((letter.partition, letter.offset), letter.reason.as_str().to_owned())).collect();
    first_difference("dead letters", &letters, &truth.dead_letters)?;
    let folded = fold(&output.deltas, &numbers, limits.series_max)?;
    first_difference("folded output", &folded, &truth.cells)?;
    // Equal as values; equal as bytes too, so that nothing hides in an equality.
    if format!("{folded:?}") != format!("{:?}", truth.cells) {
        return Err("the folded output equals the truth, but not its bytes".to_owned());
    }
    Ok(())
}

fn input_of<S: Subject>(world: &World<'_, S>, partition: i32, numbers: &BTreeMap<String, usize>) -> Input {
    let records = world.broker.records(topics::REQUESTS, partition).into_iter().map(|record| InputRecord {
        offset: record.offset,
        timestamp_us: record.timestamp.0,
        value: record.value,
    });
    let none = Activations::new();
    let activations = world.activations.get(&partition).unwrap_or(&none);
    let definitions = activations.iter().map(|(start, hash)| (start.0, numbers.get(hash).copied().unwrap_or(0)));
    Input { partition, records: records.collect(), definitions: definitions.collect() }
}

/// Adds up all deltas, and applies the bound of series to the sums.
fn fold(deltas: &[Delta], numbers: &BTreeMap<String, usize>, series_max: usize) -> Result<Cells, String> {
    let mut cells = Cells::new();
    for delta in deltas {
        let bundle = numbers.get(&delta.bundle).ok_or_else(|| format!("unknown definitions {}", delta.bundle))?;
        let name = CellName {
            pane: delta.pane.0,
            bundle: *bundle,
            tenant: delta.tenant.clone(),
            group: delta.group.clone(),
            sli: delta.sli.clone(),
            service: delta.service.clone(),
            route: delta.labels.get("route").cloned(),
            version: delta.labels.get("version").cloned(),
        };
        cells.entry(name).or_default().merge(&totals_of(delta)?);
    }
    oracle::keep_smallest(&mut cells, series_max);
    Ok(cells)
}

fn totals_of(delta: &Delta) -> Result<Totals, String> {
    let latency = match &delta.latency {
        None => None,
        Some(latency) => Some(oracle::Latency {
            sum_us: latency.sum_us,
            min_us: latency.min_us,
            max_us: latency.max_us,
            overflow: latency.overflow,
            counters: counters_of(&latency.histogram)?,
        }),
    };
    let exemplars = delta.exemplars.iter().map(|id| (oracle::keyed_hash(&[Some(id)]), id.clone()));
    Ok(Totals {
        n: delta.n,
        good: delta.good,
        failed: delta.failed,
        unjudged: delta.unjudged,
        le: delta.le.first().map(|le| (le.threshold_us, le.count)),
        latency,
        newest: delta.newest.0,
        exemplars: exemplars.collect(),
    })
}

/// Pairs of varints: distance from the counter before, and count.
fn counters_of(bytes: &[u8]) -> Result<BTreeMap<u64, u64>, String> {
    let mut numbers = Vec::new();
    let (mut number, mut shift) = (0_u64, 0);
    for byte in bytes {
        number |= u64::from(byte % 128) << shift;
        shift += 7;
        if *byte < 128 {
            numbers.push(number);
            (number, shift) = (0, 0);
        }
    }
    if shift != 0 || numbers.len() % 2 != 0 {
        return Err("a histogram ends in the middle".to_owned());
    }
    let mut counter = 0;
    Ok(numbers
        .chunks(2)
        .map(|pair| {
            counter += pair[0];
            (counter, pair[1])
        })
        .collect())
}

fn first_difference<K, V>(what: &str, found: &BTreeMap<K, V>, expected: &BTreeMap<K, V>) -> Result<(), String>
where
    K: Ord + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    for key in found.keys().chain(expected.keys()) {
        let (found, expected) = (found.get(key), expected.get(key));
        if found != expected {
            return Err(format!("{what}: {key:?} is {found:?}, but truly {expected:?}"));
        }
    }
    Ok(())
}

// ---- (b)

fn check_bytes<S: Subject>(world: &World<'_, S>, output: &Output, partition: i32) -> Result<(), String> {
    let (no_frontiers, no_activations, nothing) = (Vec::new(), Activations::new(), Written::new());
    let recorded = Recorded {
        partition,
        frontiers: output.frontiers.get(&partition).unwrap_or(&no_frontiers),
        activations: world.activations.get(&partition).unwrap_or(&no_activations),
    };
    let calm = calm::run(world.schedule, &world.broker, &recorded)?;
    let found = output.written.get(&partition).unwrap_or(&nothing);
    for place in found.keys().chain(calm.keys()) {
        let (found, expected) = (found.get(place), calm.get(place));
        if found != expected {
            let count = |records: Option<&Vec<_>>| records.map_or(0, Vec::len);
            let both = found.into_iter().flatten().zip(expected.into_iter().flatten());
            let at = both.take_while(|(found, expected)| found == expected).count();
            let text = |records: Option<&Vec<(Vec<u8>, Vec<u8>)>>| match records.and_then(|records| records.get(at)) {
                Some((_, value)) => String::from_utf8_lossy(value).into_owned(),
                None => "nothing".to_owned(),
            };
            return Err(format!(
                "{place:?} from partition {partition}: record {at} of {} is\n  {}\nand undisturbed, of {}\n  {}",
                count(found),
                text(found),
                count(expected),
                text(expected)
            ));
        }
    }
    Ok(())
}
