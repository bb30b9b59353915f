//! What a seed stands for: how many workers, lanes and source partitions, which faults, which habits upstream.

use std::ops::RangeInclusive;

use streamgauge_memory_log::{FaultRates, SplitMix64};
use streamgauge_stage::WorkerSettings;

use super::promises::BUNDLES;
use super::support::upstream::Habits;
use crate::sim::schedule::{SECOND_US, rates};

/// One run of the simulator, drawn from its seed.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub seed: u64,
    pub workers: usize,
    /// Partitions of `sli.windows` and of `slo.state`.
    pub lanes: i32,
    /// Partitions of each source topic at first.
    pub partitions: [i32; 2],
    pub first_bundle: usize,
    pub steps: u32,
    pub rates: FaultRates,
    pub marker_delay_us_max: i64,
    pub poll_records_max: usize,
    pub worker: WorkerSettings,
    pub habits: Habits,
    pub features: Features,
}

/// What else happens in a schedule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// Processes are killed, stopped and started; members join and leave.
    pub churn: bool,
    /// Processes lose touch with their group, stall, or are superseded while they go on.
    pub zombies: bool,
    /// The topic of state is compacted now and then.
    pub compaction: bool,
    pub bundle_changes: bool,
    /// Facts that are none.
    pub junk: bool,
    /// Facts come in transactions, some of them aborted.
    pub gaps: bool,
}

impl Schedule {
    pub fn new(seed: u64, workers: &RangeInclusive<usize>) -> Self {
        let mut random = SplitMix64::new(seed);
        let spread = (workers.end() - workers.start() + 1) as u64;
        let features = Features {
            churn: random.chance(0.8),
            zombies: random.chance(0.5),
            compaction: random.chance(0.7),
            bundle_changes: random.chance(0.4),
            junk: random.chance(0.5),
            gaps: random.chance(0.5),
        };
        Self {
            seed,
            workers: workers.start() + random.below(spread) as usize,
            lanes: 2 + random.below(3) as i32,
            partitions: [1 + random.below(3) as i32, 1 + random.below(3) as i32],
            first_bundle: if random.chance(0.7) { 0 } else { random.below(BUNDLES as u64) as usize },
            steps: 150 + random.below(150) as u32,
            rates: rates(&mut random),
            marker_delay_us_max: *random.pick(&[0, 0, 20_000, 500_000, 3 * SECOND_US]),
            poll_records_max: *random.pick(&[3, 20, 1000]),
            worker: WorkerSettings {
                commit_interval_us: *random.pick(&[50_000, 200_000, 2 * SECOND_US]),
                burst_interval_min_us: *random.pick(&[0, 25_000, SECOND_US]),
                outbox_bytes_max: *random.pick(&[1_000, 8 << 20]),
                ..WorkerSettings::default()
            },
            habits: Habits::drawn(&mut random),
            features,
        }
    }
}
