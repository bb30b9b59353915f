//! Time parameters of the ledger, and the pace of the worker.

/// How event time is cut and how long it waits. Part of what a partition's state means: it stands in each commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSettings {
    /// G, the length of a pane and the step of the grid.
    pub pane_us: i64,
    /// How far records may be out of order before their pane is cut without them.
    pub max_out_of_orderness_us: i64,
    /// How much later than that a record still counts, in a delta of its own.
    pub late_horizon_us: i64,
    /// How far a record's time may be ahead of its Kafka timestamp. `None`: not checked (files).
    pub max_future_skew_us: Option<i64>,
    /// At this number of live cells a batch with all of them is cut.
    pub cells_max: usize,
}

impl Default for TimeSettings {
    fn default() -> Self {
        Self {
            pane_us: 10_000_000,
            max_out_of_orderness_us: 5_000_000,
            late_horizon_us: 24 * 3600 * 1_000_000,
            max_future_skew_us: Some(5_000_000),
            // About 13 kB a dense cell: 20,000 cells stay under 300 MB a partition, and mostly far under.
            cells_max: 20_000,
        }
    }
}

impl TimeSettings {
    /// What must not change under a committed offset. (`cells_max` may: it cuts nothing while folding again.)
    pub fn fingerprint(&self) -> String {
        let skew = self.max_future_skew_us.map_or("none".to_owned(), |us| us.to_string());
        format!("{},{},{},{skew}", self.pane_us, self.max_out_of_orderness_us, self.late_horizon_us)
    }
}

/// The pace and the bounds of a worker. Wall time, not event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Positions are committed at least this often, with or without a batch.
    pub commit_interval_us: i64,
    /// Bursts stand at least this far apart while there is more to read: in a catch-up one transaction then holds many
    /// batches.
    pub burst_interval_min_us: i64,
    /// A partition read to its end and silent for so long gets idle advances.
    pub idle_after_us: i64,
    /// At this size the outbox is sent before more is read.
    pub outbox_bytes_max: usize,
    /// The worker gives up when nothing has worked for so long.
    pub outage_max_us: i64,
    /// Where a group starts that has committed nothing.
    pub start: StartAt,
    /// Begin a new chain where metadata and output don't agree.
    pub new_generation: bool,
    /// Inputs end (files): at its end a partition is closed, and the worker finishes when all are.
    pub bounded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    Earliest,
    Latest,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            commit_interval_us: 2_000_000,
            burst_interval_min_us: 25_000,
            idle_after_us: 5_000_000,
            outbox_bytes_max: 8 << 20,
            outage_max_us: 900 * 1_000_000,
            start: StartAt::Earliest,
            new_generation: false,
            bounded: false,
        }
    }
}
