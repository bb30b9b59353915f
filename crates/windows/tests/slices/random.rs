//! 1,000 random histories of each kind, against sorted lists of the raw events.
//!
//! The reference knows no pane, no delta and no histogram: it sorts what lies in a slice and looks at it.

use proptest::prelude::*;
use streamgauge_definitions::Definitions;
use streamgauge_events::topics;
use streamgauge_windows::SliceRow;
use streamgauge_windows::slice::Verdict;

use crate::played::{DAY_US, Played, SETTING, Setting, definitions, rows};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// When something happened, where it stands, and what it was.
#[derive(Clone, Copy, Debug)]
struct Happened<T> {
    ts: i64,
    offset: i64,
    what: T,
}

/// Up to 80 events over some minutes, in two partitions: out of order, late, with silences between them.
fn history<T>(random: &mut Random, mut what: impl FnMut(&mut Random) -> T) -> Vec<(i32, Happened<T>)> {
    let mut now = DAY_US + random.below(3600) as i64 * 1_000_000;
    let mut offsets = [0_i64; 2];
    let mut events = Vec::new();
    for _ in 0..1 + random.below(80) {
        now += if random.one_in(12) { 70_000_000 } else { random.below(5_000_000) as i64 };
        let behind = if random.one_in(10) { 120_000_000 } else { 4_000_000 };
        let partition = random.below(2) as usize;
        // Whole seconds now and then: edges of slices, and two events at once.
        let ts = now - random.below(behind) as i64;
        let ts = if random.one_in(3) { ts / 10_000_000 * 10_000_000 } else { ts };
        events.push((partition as i32, Happened { ts, offset: offsets[partition], what: what(random) }));
        offsets[partition] += 1;
    }
    events
}

fn play<T>(
    random: &mut Random,
    definitions: &Definitions,
    topic: &'static str,
    events: &[(i32, Happened<T>)],
    json: impl Fn(&T) -> String,
) -> Vec<SliceRow> {
    let cells_max = if random.one_in(2) { 1 + random.below(4) as usize } else { SETTING.cells_max };
    let mut played = Played::new(Setting { cells_max, ..SETTING }, definitions);
    for partition in 0..2 {
        played.ledger((topic, partition));
    }
    for (partition, event) in events {
        let value = format!(r#"{{"ts":{},"service":"checkout"{}}}"#, event.ts, json(&event.what));
        played.record((topic, *partition), value.as_bytes());
    }
    played.end();
    rows(definitions, &played.fold())
}

/// What lies in each slice, from the first to the last.
fn sliced<T: Copy>(events: &[(i32, Happened<T>)], length_us: i64) -> Vec<(i64, Vec<Happened<T>>)> {
    let starts = || events.iter().map(|(_, event)| event.ts - event.ts.rem_euclid(length_us));
    let (first, last) = (starts().min().expect("an event"), starts().max().expect("an event"));
    let slice = |start: i64| {
        let inside =
            events.iter().map(|(_, event)| *event).filter(|event| (start..start + length_us).contains(&event.ts));
        (start, inside.collect())
    };
    (first..=last).step_by(length_us as usize).map(slice).collect()
}

fn millionths(value: i64) -> String {
    format!("{}{}.{:06}", if value < 0 { "-" } else { "" }, value.abs() / 1_000_000, value.abs() % 1_000_000)
}

fn of_text(text: &str) -> i128 {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let magnitude: i128 = format!("{}{places:0<6}", whole.trim_start_matches('-')).parse().expect("a decimal");
    if text.starts_with('-') { -magnitude } else { magnitude }
}

const LENGTHS: [(&str, i64); 3] = [("10s", 10_000_000), ("30s", 30_000_000), ("2m", 120_000_000)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn percentiles_are_those_of_sorted_latencies(seed: u64) {
        let mut random = Random(seed);
        let (length, length_us) = LENGTHS[random.below(3) as usize];
        let threshold = 1 + random.below(400_000) as i64;
        let (numerator, places) = (1 + random.below(1000) as usize, 3);
        let quantile = format!("{}.{:0places$}", numerator / 1000, numerator % 1000);
        // A latency, and whether the request failed.
        let events = history(&mut random, |random| {
            let latency = match random.below(10) {
                0 => None,
                1 => Some(threshold),
                2 => Some(threshold + 1),
                3 => Some(3_700_000_000),
                _ => Some(random.below(400_000) as i64),
            };
            (latency, random.one_in(6))
        });
        let spec = format!("topic: requests, slice: {length}, percentile: {{quantile: {quantile}, atMostUs: {threshold}}}");
        let found = play(&mut random, &definitions(&spec), topics::REQUESTS, &events, |(latency, failed)| {
            let latency = latency.map_or_else(String::new, |us| format!(r#","latency_us":{us}"#));
            format!(r#"{latency},"ok":{}"#, !failed)
        });
        let slices = sliced(&events, length_us);
        prop_assert_eq!(found.len(), slices.len());
        for (row, (start, inside)) in found.iter().zip(slices) {
            // A request that failed never came to an end in time: it sorts behind all others.
            let mut latencies: Vec<i64> = inside
                .iter()
                .filter_map(|event| if event.what.1 { Some(i64::MAX) } else { event.what.0 })
                .collect();
            latencies.sort_unstable();
            let n = latencies.len();
            prop_assert_eq!((row.start.0, row.events), (start, inside.len() as u64));
            if n == 0 {
                let expected = if inside.is_empty() { Verdict::NoTraffic } else { Verdict::Unjudged };
                prop_assert_eq!(row.verdict, expected);
                continue;
            }
            let rank = (numerator * n).div_ceil(1000).max(1);
            let expected = if latencies[rank - 1] <= threshold { Verdict::Good } else { Verdict::Bad };
            let within = latencies.iter().filter(|latency| **latency <= threshold).count();
            prop_assert_eq!(row.verdict, expected, "{} of {}", within, n);
            prop_assert_eq!(row.value.clone(), Some(format!("{within}/{n}")));
        }
    }

    #[test]
    fn means_and_extremes_are_those_of_the_values(seed: u64) {
        let mut random = Random(seed);
        let (length, length_us) = LENGTHS[random.below(3) as usize];
        let aggregate = ["mean", "min", "max", "last"][random.below(4) as usize];
        let value = |random: &mut Random| random.below(2_000) as i64 * 500 - 300_000;
        let (one, other) = (value(&mut random), value(&mut random));
        let (least, most) = (one.min(other), one.max(other));
        let events = history(&mut random, value);
        let spec = format!(
            "topic: resources, slice: {length}, saturation: {{aggregate: {aggregate}, atLeast: {}, atMost: {}}}",
            millionths(least),
            millionths(most)
        );
        let json = |value: &i64| format!(r#","metric":"m","value":{}"#, millionths(*value));
        let found = play(&mut random, &definitions(&spec), topics::RESOURCES, &events, json);
        for (row, (start, inside)) in found.iter().zip(sliced(&events, length_us)) {
            prop_assert_eq!((row.start.0, row.events), (start, inside.len() as u64));
            if inside.is_empty() {
                prop_assert_eq!(row.verdict, Verdict::NoTraffic);
                continue;
            }
            let mut values: Vec<i64> = inside.iter().map(|event| event.what).collect();
            values.sort_unstable();
            let shown = of_text(row.value.as_deref().expect("a value"));
            let (sum, n) = (values.iter().map(|value| i128::from(*value)).sum::<i128>(), values.len() as i128);
            // The aggregate as a fraction.
            let (numerator, denominator) = match aggregate {
                "mean" => (sum, n),
                "min" => (i128::from(values[0]), 1),
                "max" => (i128::from(values[values.len() - 1]), 1),
                _ => {
                    let last = inside.iter().max_by_key(|event| (event.ts, event.offset, event.what));
                    (i128::from(last.expect("an event").what), 1)
                }
            };
            prop_assert!(2 * (numerator - shown * denominator).abs() <= denominator, "{} for {}", shown, numerator);
            let holds = i128::from(least) * denominator <= numerator && numerator <= i128::from(most) * denominator;
            prop_assert_eq!(row.verdict, if holds { Verdict::Good } else { Verdict::Bad });
        }
    }

    #[test]
    fn percentiles_of_values_are_never_shown_too_low_and_at_most_a_128th_too_high(seed: u64) {
        let mut random = Random(seed);
        let (length, length_us) = LENGTHS[random.below(3) as usize];
        let percent = 1 + random.below(99) as usize;
        let most = random.below(3_000_000) as i64;
        let events = history(&mut random, |random| {
            if random.one_in(4) { random.below(300) as i64 } else { random.below(3_000_000) as i64 }
        });
        let spec = format!(
            "topic: resources, slice: {length}, saturation: {{aggregate: p{percent}, atMost: {}}}",
            millionths(most)
        );
        let json = |value: &i64| format!(r#","metric":"m","value":{}"#, millionths(*value));
        let found = play(&mut random, &definitions(&spec), topics::RESOURCES, &events, json);
        for (row, (_, inside)) in found.iter().zip(sliced(&events, length_us)) {
            let mut values: Vec<i64> = inside.iter().map(|event| event.what).collect();
            values.sort_unstable();
            let Some(shown) = row.value.as_deref().map(of_text) else {
                prop_assert_eq!((row.verdict, values.len()), (Verdict::NoTraffic, 0));
                continue;
            };
            let exact = i128::from(values[(percent * values.len()).div_ceil(100).max(1) - 1]);
            prop_assert!(shown >= exact && (shown - exact) * 128 <= exact, "{} for {}", shown, exact);
            prop_assert_eq!(row.verdict, if shown <= i128::from(most) { Verdict::Good } else { Verdict::Bad });
        }
    }

    #[test]
    fn traffic_is_a_count_over_a_time(seed: u64) {
        let mut random = Random(seed);
        let (length, length_us) = LENGTHS[random.below(3) as usize];
        let (one, other) = (random.below(2_000_000) as i64, random.below(2_000_000) as i64);
        let (least, most) = (one.min(other), one.max(other));
        let events = history(&mut random, |_| ());
        let spec = format!(
            "topic: requests, slice: {length}, traffic: {{atLeastPerSec: {}, atMostPerSec: {}}}",
            millionths(least),
            millionths(most)
        );
        let found = play(&mut random, &definitions(&spec), topics::REQUESTS, &events, |()| String::new());
        for (row, (_, inside)) in found.iter().zip(sliced(&events, length_us)) {
            // Events in millionths, over seconds.
            let (count, secs) = (inside.len() as i64 * 1_000_000, length_us / 1_000_000);
            let holds = least * secs <= count && count <= most * secs;
            prop_assert_eq!(row.verdict, if holds { Verdict::Good } else { Verdict::Bad }, "{} in {}", count, secs);
        }
    }

    #[test]
    fn freshness_is_the_distance_to_the_newest(seed: u64) {
        let mut random = Random(seed);
        let (length, length_us) = LENGTHS[random.below(3) as usize];
        let most_secs = 1 + random.below(200) as i64;
        // The first event is not about it: there may be slices before anything was heard.
        let events = history(&mut random, |random| random.one_in(3));
        let spec = format!(
            "topic: resources, filter: metric == 'm', slice: {length}, freshness: {{atMost: {most_secs}s}}"
        );
        let json = |mine: &bool| format!(r#","metric":"{}","value":1"#, if *mine { "m" } else { "other" });
        let found = play(&mut random, &definitions(&spec), topics::RESOURCES, &events, json);
        let slices = sliced(&events, length_us);
        prop_assert_eq!(found.len(), slices.len());
        for (row, (start, _)) in found.iter().zip(slices) {
            let end = start + length_us;
            let mine = events.iter().map(|(_, event)| event).filter(|event| event.what && event.ts < end);
            let age = mine.map(|event| end - event.ts).min();
            let expected = match age {
                None => Verdict::NoTraffic,
                Some(age) if age <= most_secs * 1_000_000 => Verdict::Good,
                Some(_) => Verdict::Bad,
            };
            prop_assert_eq!((row.verdict, row.value.clone()), (expected, age.map(|age| age.to_string())));
        }
    }
}
