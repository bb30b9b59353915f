//! What deltas add up to: one series in one pane, or a group of series in one window.

use streamgauge_events::facts::{AtOrUnder, Latency};
use streamgauge_events::{Delta, EventTime};
use streamgauge_stats::{Bounds, Histogram, HistogramError, Quantile};

/// Trace ids kept: those with the smallest hashes.
pub const EXEMPLARS_MAX: usize = 3;

/// Sums of integers, so that any order of adding gives the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub n: u64,
    pub good: u64,
    pub failed: u64,
    pub unjudged: u64,
    /// Ascending by threshold.
    pub le: Vec<AtOrUnder>,
    pub latency: Option<Spread>,
    pub newest: Option<EventTime>,
    /// (hash, trace id), ascending.
    exemplars: Vec<(u64, String)>,
}

/// Latencies of successful events. The histogram stays encoded: most panes are read but a few times, and a day of them
/// has to fit into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    pub sum_us: i128,
    pub min_us: u64,
    pub max_us: u64,
    pub overflow: u64,
    histogram: Vec<u8>,
}

impl Cell {
    /// The cell of one delta. Fails where its histogram can't be read.
    pub fn of(delta: &Delta) -> Result<Self, HistogramError> {
        if let Some(latency) = &delta.latency {
            Histogram::decode(&latency.histogram)?;
        }
        let mut exemplars: Vec<(u64, String)> =
            delta.exemplars.iter().map(|id| (exemplar_hash(id), id.clone())).collect();
        exemplars.sort_unstable();
        Ok(Self {
            n: delta.n,
            good: delta.good,
            failed: delta.failed,
            unjudged: delta.unjudged,
            le: delta.le.clone(),
            latency: delta.latency.as_ref().map(|latency| Spread {
                sum_us: latency.sum_us,
                min_us: latency.min_us,
                max_us: latency.max_us,
                overflow: latency.overflow,
                histogram: latency.histogram.clone(),
            }),
            newest: Some(delta.newest),
            exemplars,
        })
    }

    pub fn add(&mut self, other: &Self) {
        self.add_counts(other);
        match (&mut self.latency, &other.latency) {
            (Some(mine), Some(theirs)) => {
                mine.add_range(theirs);
                let mut histogram = mine.decoded();
                histogram.merge(&theirs.decoded());
                mine.histogram = histogram.encode();
            }
            (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
            (_, None) => {}
        }
    }

    fn add_counts(&mut self, other: &Self) {
        self.n += other.n;
        self.good += other.good;
        self.failed += other.failed;
        self.unjudged += other.unjudged;
        for at in &other.le {
            match self.le.binary_search_by_key(&at.threshold_us, |mine| mine.threshold_us) {
                Ok(found) => self.le[found].count += at.count,
                Err(place) => self.le.insert(place, *at),
            }
        }
        self.newest = self.newest.max(other.newest);
        for exemplar in &other.exemplars {
            if let Err(place) = self.exemplars.binary_search(exemplar)
                && place < EXEMPLARS_MAX
            {
                self.exemplars.insert(place, exemplar.clone());
                self.exemplars.truncate(EXEMPLARS_MAX);
            }
        }
    }

    pub fn exemplars(&self) -> Vec<String> {
        self.exemplars.iter().map(|(_, id)| id.clone()).collect()
    }

    /// As records write it.
    pub fn latency(&self) -> Option<Latency> {
        self.latency.as_ref().map(|spread| Latency {
            sum_us: spread.sum_us,
            min_us: spread.min_us,
            max_us: spread.max_us,
            overflow: spread.overflow,
            histogram: spread.histogram.clone(),
        })
    }
}

impl Spread {
    fn add_range(&mut self, other: &Self) {
        self.sum_us += other.sum_us;
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
        self.overflow += other.overflow;
    }

    pub fn decoded(&self) -> Histogram {
        Histogram::decode(&self.histogram).expect("only bytes that decode get into a cell")
    }
}

/// Many cells added up: the histogram is encoded once at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    pub cell: Cell,
    histogram: Histogram,
}

impl Sum {
    pub fn add(&mut self, cell: &Cell) {
        self.cell.add_counts(cell);
        let Some(theirs) = &cell.latency else { return };
        self.histogram.merge(&theirs.decoded());
        match &mut self.cell.latency {
            Some(mine) => mine.add_range(theirs),
            mine => *mine = Some(Spread { histogram: Vec::new(), ..theirs.clone() }),
        }
    }

    pub fn quantile(&self, quantile: Quantile) -> Option<Bounds> {
        let Spread { overflow, min_us, max_us, .. } = self.cell.latency.as_ref()?;
        self.histogram.quantile(quantile, *overflow, *min_us, *max_us)
    }

    pub fn count(&self) -> u64 {
        self.histogram.total() + self.cell.latency.as_ref().map_or(0, |spread| spread.overflow)
    }
}

/// The hash by which phase one chooses exemplars under the default key: with the same order here, the choice does not
/// depend on how batches were cut. It needs no defence: who chooses trace ids can only choose what is shown.
fn exemplar_hash(trace_id: &str) -> u64 {
    use std::hash::Hasher as _;
    let mut hasher = siphasher::sip::SipHasher13::new_with_key(b"streamgauge/1000");
    hasher.write(&(trace_id.len() as u32).to_le_bytes());
    hasher.write(trace_id.as_bytes());
    hasher.finish()
}
