//! Standard (a): folded, the committed output is the oracle's truth.

use std::collections::BTreeMap;

use streamgauge_events::Delta;
use streamgauge_events::facts;

use super::checks::Output;
use super::subject::Subject;
use super::world::{Activations, Place, World};
use crate::oracle::{self, Applied, CellName, Cells, Input, InputRecord, Limits, Totals};

pub fn check_truth<S: Subject>(world: &World<'_, S>, output: &Output) -> Result<(), String> {
    let numbers = world.bundle_numbers();
    let time = world.schedule.time;
    let limits = Limits {
        pane_us: time.pane_us,
        disorder_us: time.max_out_of_orderness_us,
        horizon_us: time.late_horizon_us,
        skew_us: time.max_future_skew_us.unwrap_or(i64::MAX),
        series_max: world.schedule.series_max as usize,
        writers: world.writers.all(),
    };
    // What is open for ever where nobody reads any more is in no fact; the undisturbed run tells what else is.
    let is_read = |topic: &str| world.reads(topic);
    let places = world.places().into_iter().filter(|(topic, _)| is_read(topic));
    let inputs: Vec<Input> = places.map(|place| input_of(world, place, &numbers)).collect();
    let truth = oracle::truth(&inputs, &limits);

    let letters = output.dead_letters.iter().filter(|letter| is_read(&letter.source)).map(|letter| {
        let place = (letter.source.clone(), letter.partition, letter.offset);
        (place, letter.reason.as_str().to_owned())
    });
    let letters: BTreeMap<(String, i32, i64), String> = letters.collect();
    first_difference("dead letters", &letters, &truth.dead_letters)?;
    let deltas = output.deltas.iter().filter(|delta| is_read(&delta.source));
    let folded = fold(deltas, &numbers, limits.series_max)?;
    first_difference("folded output", &folded, &truth.cells)?;
    // Equal as values; equal as bytes too, so that nothing hides in an equality.
    if format!("{folded:?}") != format!("{:?}", truth.cells) {
        return Err("the folded output equals the truth, but not its bytes".to_owned());
    }
    Ok(())
}

fn input_of<S: Subject>(world: &World<'_, S>, place: Place, numbers: &BTreeMap<String, usize>) -> Input {
    let (topic, partition) = place;
    let records = world.broker.records(topic, partition).into_iter().map(|record| InputRecord {
        offset: record.offset,
        timestamp_us: record.timestamp.0,
        value: record.value,
    });
    let none = Activations::new();
    let activations = world.activations.get(&place).unwrap_or(&none);
    let definitions = activations.iter().map(|known| Applied {
        from_pane: known.start.0,
        from_offset: known.from,
        bundle: numbers.get(&known.hash).copied().unwrap_or(0),
    });
    Input { topic, partition, records: records.collect(), definitions: definitions.collect() }
}

/// Adds up all deltas, and applies the bound of series to the sums.
fn fold<'d>(
    deltas: impl Iterator<Item = &'d Delta>,
    numbers: &BTreeMap<String, usize>,
    series_max: usize,
) -> Result<Cells, String> {
    let mut cells = Cells::new();
    for delta in deltas {
        let bundle = numbers.get(&delta.bundle).ok_or_else(|| format!("unknown definitions {}", delta.bundle))?;
        let present = delta.labels.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        let name = CellName {
            pane: delta.pane.0,
            bundle: *bundle,
            tenant: delta.tenant.clone(),
            group: delta.group.clone(),
            sli: delta.sli.clone(),
            service: delta.service.clone(),
            labels: present.chain(delta.absent.iter().map(|name| (name.clone(), None))).collect(),
        };
        let bound = (delta.series_hash.clone(), delta.series_max);
        let expected = name.hash().map(|hash| format!("{hash:016x}"));
        let series_max = expected.is_some().then_some(series_max as u32);
        if bound != (expected.clone(), series_max) {
            return Err(format!("{name:?} is bounded by {bound:?}, but truly by {expected:?} and {series_max:?}"));
        }
        cells.entry(name).or_default().merge(&totals_of(delta)?);
    }
    oracle::keep_smallest(&mut cells, series_max);
    Ok(cells)
}

fn totals_of(delta: &Delta) -> Result<Totals, String> {
    let exemplars = delta.exemplars.iter().map(|id| (oracle::keyed_hash(&[Some(id)]), id.clone()));
    Ok(Totals {
        n: delta.n,
        good: delta.good,
        failed: delta.failed,
        unjudged: delta.unjudged,
        le: delta.le.iter().map(|le| (le.threshold_us, le.count)).collect(),
        latency: delta.latency.as_ref().map(latency_of).transpose()?,
        values: delta.values.as_ref().map(values_of).transpose()?,
        newest: delta.newest.0,
        exemplars: exemplars.collect(),
    })
}

fn latency_of(latency: &facts::Latency) -> Result<oracle::Latency, String> {
    Ok(oracle::Latency {
        sum_us: latency.sum_us,
        min_us: latency.min_us,
        max_us: latency.max_us,
        overflow: latency.overflow,
        counters: counters_of(&latency.histogram)?,
    })
}

fn values_of(values: &facts::Values) -> Result<oracle::Values, String> {
    let facts::Last { ts, offset, value } = values.last;
    Ok(oracle::Values {
        count: values.count,
        sum: values.sum,
        sum_of_squares: values.sum_of_squares,
        min: values.min,
        max: values.max,
        under: values.under,
        counters: counters_of(&values.histogram)?,
        last: oracle::Last { ts: ts.0, offset, value },
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
