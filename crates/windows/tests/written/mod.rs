//! What the sli stage really writes for a list of requests, laid out in output partitions.

use std::collections::BTreeMap;

use streamgauge_definitions::{Bundle, BundleSettings, Definitions};
use streamgauge_events::Offset;
use streamgauge_stage::ledger::Opening;
use streamgauge_stage::{Counting, Ledger, Outbox, Placement, Record, Source, TimeSettings};
use streamgauge_stage_sli::SliStage;

/// Microseconds of 2026-01-01T00:00:00Z.
pub const DAY: i64 = 1_767_225_600_000_000;
pub const SECOND: i64 = 1_000_000;

pub const DEFINITIONS: &str = r#"
apiVersion: openslo/v1
kind: Service
metadata: {name: checkout}
spec: {}
"#;

/// SplitMix64.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Values of an input partition, by offset; offsets may jump as they do over markers.
pub type Input = Vec<(Offset, Vec<u8>)>;

/// Requests over about `seconds` seconds: out of order, some late, some broken, more routes than the bound keeps.
pub fn input(random: &mut Random, records: usize, seconds: i64) -> Input {
    let mut offset = random.below(3) as Offset;
    let mut values = Vec::new();
    for index in 0..records {
        let due = DAY + seconds * SECOND * index as i64 / records as i64;
        let late = if random.below(20) == 0 { 60 * SECOND } else { 8 * SECOND };
        let ts = due - random.below(late as u64) as i64;
        let service = ["checkout", "cart", "search"][random.below(3) as usize];
        let route = random.below(7);
        let status = if random.below(5) == 0 { 503 } else { 200 };
        let latency_us = random.below(4) * 900_000 + random.below(3_000);
        let value = match random.below(25) {
            0 => format!("not a request {index}"),
            1 => format!(r#"{{"ts":{ts},"service":"{service}"}}"#),
            _ => format!(
                r#"{{"ts":{ts},"service":"{service}","route":"/{route}","version":"v{}","status":{status},"latency_us":{latency_us},"trace_id":"t{}"}}"#,
                random.below(2),
                random.below(1 << 20),
            ),
        };
        values.push((offset, value.into_bytes()));
        offset += 1 + i64::from(random.below(10) == 0);
    }
    values
}

/// Records of `sli.windows` and `dead-letters` by output partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub facts: BTreeMap<i32, Vec<Vec<u8>>>,
    pub letters: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub output_partitions: i32,
    pub cells_max: usize,
    pub series_max: u32,
    /// Close the last panes.
    pub end: bool,
}

pub const LAYOUT: Layout = Layout { output_partitions: 3, cells_max: 20_000, series_max: 4, end: true };

pub fn stage(layout: Layout) -> SliStage {
    let definitions = Definitions::of_text("slis.yaml", DEFINITIONS).expect("valid definitions");
    let settings = BundleSettings { series_max: layout.series_max, ..BundleSettings::default() };
    let time = TimeSettings { cells_max: layout.cells_max, max_future_skew_us: None, ..TimeSettings::default() };
    SliStage::new("requests", time, &Bundle { settings, definitions }).expect("valid definitions")
}

/// Each input partition in turn; the output partitions get them one after the other.
pub fn write(inputs: &[Input], layout: Layout) -> Written {
    let mut written = Written::default();
    for (partition, input) in inputs.iter().enumerate() {
        let part = write_partition(partition as i32, inputs.len() as i32, input, layout);
        part.facts.into_iter().for_each(|(lane, facts)| written.facts.entry(lane).or_default().extend(facts));
        written.letters.extend(part.letters);
    }
    written
}

pub fn write_partition(partition: i32, partitions: i32, input: &Input, layout: Layout) -> Written {
    let stage = stage(layout);
    let first = input.first().map_or(0, |(offset, _)| *offset);
    let opening = Opening {
        source: "requests",
        partition,
        partitions,
        offset: first,
        metadata: "",
        log_start: first,
        generation: 0,
        new_generation: false,
        bundle: stage.bundle(),
        time: stage.time(),
    };
    let mut ledger = Ledger::open(&opening, stage.cells(0)).expect("a fresh ledger opens");
    let mut out = Outbox::default();
    let mut position = first;
    for (offset, value) in input {
        let source = Source { topic: 0, partition };
        let record = Record { source, offset: *offset, timestamp: None, key: None, value: Some(value), rejected: None };
        ledger.fold(&record, &mut out).expect("a fresh ledger folds");
        position = offset + 1;
    }
    if layout.end {
        ledger.end(position, &mut out);
    }
    let mut written = Written::default();
    for output in out.outputs() {
        if output.topic == streamgauge_events::topics::DEAD_LETTERS {
            written.letters.push(output.value.clone());
            continue;
        }
        let lanes: Vec<i32> = match output.placement {
            Placement::Every => (0..layout.output_partitions).collect(),
            Placement::At(partition) => vec![partition],
            Placement::ByKey => {
                vec![output.key.iter().map(|byte| i32::from(*byte)).sum::<i32>() % layout.output_partitions]
            }
        };
        lanes.iter().for_each(|lane| written.facts.entry(*lane).or_default().push(output.value.clone()));
    }
    written
}
