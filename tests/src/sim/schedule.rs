//! What a seed stands for: how many workers and partitions, which faults, which limits.

use std::ops::RangeInclusive;

use streamgauge_decode::Framing;
use streamgauge_memory_log::{FaultRates, SplitMix64};
use streamgauge_stage::{TimeSettings, WorkerSettings};

use super::bundles::{BUNDLES, READS_ALL};

pub const SECOND_US: i64 = 1_000_000;

/// One run of the simulator, drawn from its seed.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub workers: usize,
    /// Partitions of each input topic.
    pub partitions: [i32; 3],
    /// How records of `machines` name their schema.
    pub framing: Framing,
    /// Definitions that processes are started with at first.
    pub first_bundle: usize,
    /// Partitions of `sli.windows`.
    pub outputs: i32,
    pub steps: u32,
    pub rates: FaultRates,
    pub marker_delay_us_max: i64,
    pub poll_records_max: usize,
    /// Series per group and pane: small, so that the bound is met.
    pub series_max: u32,
    pub time: TimeSettings,
    pub worker: WorkerSettings,
    pub features: Features,
}

/// What else happens in a schedule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// Processes are killed, stopped and started; members join and leave.
    pub churn: bool,
    /// Processes lose touch with their group, stall, or are superseded while they go on.
    pub zombies: bool,
    /// Few records and long silences.
    pub quiet: bool,
    pub growth: bool,
    pub bundle_changes: bool,
    /// In the end, topics that nobody reads any more are left as they are.
    pub topics_left: bool,
    /// Upstream writes transactions, and records go missing from the offsets.
    pub gaps: bool,
    /// The start of the log moves past what was counted.
    pub lost_ranges: bool,
}

impl Schedule {
    pub fn new(seed: u64, workers: &RangeInclusive<usize>) -> Self {
        let mut random = SplitMix64::new(seed);
        let spread = (workers.end() - workers.start() + 1) as u64;
        let features = Features {
            churn: random.chance(0.8),
            zombies: random.chance(0.5),
            quiet: random.chance(0.3),
            growth: random.chance(0.3),
            bundle_changes: random.chance(0.4),
            topics_left: random.chance(0.3),
            gaps: random.chance(0.5),
            lost_ranges: seed % 16 == 15,
        };
        Self {
            seed,
            workers: workers.start() + random.below(spread) as usize,
            partitions: [4, 3, 3].map(|most| 1 + random.below(most) as i32),
            framing: *random.pick(&[Framing::SingleObject, Framing::Confluent]),
            first_bundle: random.below(BUNDLES as u64) as usize,
            outputs: 1 + random.below(3) as i32,
            steps: 150 + random.below(250) as u32,
            rates: rates(&mut random),
            marker_delay_us_max: *random.pick(&[0, 0, 20_000, 500_000, 3 * SECOND_US]),
            poll_records_max: *random.pick(&[3, 20, 1000]),
            series_max: *random.pick(&[2, 3, 1000]),
            time: TimeSettings {
                late_horizon_us: 100 * SECOND_US,
                cells_max: *random.pick(&[4, 7, 12, 20_000]),
                ..TimeSettings::default()
            },
            worker: WorkerSettings {
                commit_interval_us: *random.pick(&[50_000, 300_000, 2 * SECOND_US]),
                outbox_bytes_max: *random.pick(&[3_000, 8 << 20]),
                ..WorkerSettings::default()
            },
            features,
        }
    }

    /// One worker, one partition, nothing goes wrong: the ground on which single faults are placed.
    pub fn calm(seed: u64) -> Self {
        Self {
            workers: 1,
            partitions: [2, 1, 1],
            first_bundle: READS_ALL,
            outputs: 2,
            steps: 60,
            rates: FaultRates::default(),
            marker_delay_us_max: 0,
            features: Features::default(),
            ..Self::new(seed, &(1..=1))
        }
    }
}

/// Each fault at some rate up to its own, or never.
pub fn rates(random: &mut SplitMix64) -> FaultRates {
    let mut rate = |most: f64| {
        let share = *random.pick(&[0.0, 0.1, 0.4, 1.0]);
        share * most
    };
    FaultRates {
        retriable: rate(0.05),
        abortable: rate(0.02),
        ambiguous: rate(0.3),
        repeated: rate(0.2),
        heartbeat_lost: rate(0.2),
        leave_lost: rate(0.5),
        crash: rate(0.02),
        stall: rate(0.01),
        short_poll: rate(0.5),
    }
}
