//! What deltas add up to: one series in one pane, or a group of series in one window.

use streamgauge_events::facts::{AtOrUnder, Last, Latency, Values};
use streamgauge_events::{Delta, EventTime};
use streamgauge_stats::histogram::VALUE_MAX;
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
    le: Vec<AtThreshold>,
    /// How many deltas are added up here.
    deltas: u64,
    pub latency: Option<Spread>,
    pub values: Option<Values>,
    pub newest: Option<EventTime>,
    /// (hash, trace id), ascending.
    exemplars: Vec<(u64, String)>,
}

/// What was counted at or under one threshold. Where definitions have changed, only some of the deltas have counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AtThreshold {
    at: AtOrUnder,
    deltas: u64,
    /// Latencies of those deltas.
    timed: u64,
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
        let histograms = delta.latency.iter().map(|latency| &latency.histogram);
        let mut timed = delta.latency.as_ref().map_or(0, |latency| latency.overflow);
        for histogram in histograms {
            timed += Histogram::decode(histogram)?.total();
        }
        if let Some(values) = &delta.values {
            Histogram::decode(&values.histogram)?;
        }
        let mut exemplars: Vec<(u64, String)> =
            delta.exemplars.iter().map(|id| (exemplar_hash(id), id.clone())).collect();
        exemplars.sort_unstable();
        Ok(Self {
            n: delta.n,
            good: delta.good,
            failed: delta.failed,
            unjudged: delta.unjudged,
            le: delta.le.iter().map(|at| AtThreshold { at: *at, deltas: 1, timed }).collect(),
            deltas: 1,
            latency: delta.latency.as_ref().map(|latency| Spread {
                sum_us: latency.sum_us,
                min_us: latency.min_us,
                max_us: latency.max_us,
                overflow: latency.overflow,
                histogram: latency.histogram.clone(),
            }),
            values: delta.values.clone(),
            newest: Some(delta.newest),
            exemplars,
        })
    }

    /// Values alone. Their histogram has been decoded before.
    pub(crate) fn of_values(values: Values) -> Self {
        Self { values: Some(values), ..Self::default() }
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
        match (&mut self.values, &other.values) {
            (Some(mine), Some(theirs)) => {
                add_values(mine, theirs);
                let mut histogram = decoded(&mine.histogram);
                histogram.merge(&decoded(&theirs.histogram));
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
        self.deltas += other.deltas;
        for theirs in &other.le {
            match self.le.binary_search_by_key(&theirs.at.threshold_us, |mine| mine.at.threshold_us) {
                Ok(found) => {
                    let mine = &mut self.le[found];
                    mine.at.count += theirs.at.count;
                    mine.deltas += theirs.deltas;
                    mine.timed += theirs.timed;
                }
                Err(place) => self.le.insert(place, *theirs),
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

    /// Exact counts, ascending by threshold: of those thresholds by which everything here was counted.
    pub fn le(&self) -> Vec<AtOrUnder> {
        self.le.iter().filter(|known| known.deltas == self.deltas).map(|known| known.at).collect()
    }

    /// Successes at or under a threshold, at least and at most. Exact where everything was counted by it; else what was, and
    /// of the rest what the histogram says.
    pub fn within(&self, threshold_us: u64) -> (u64, u64) {
        let known = self.le.iter().find(|known| known.at.threshold_us == threshold_us);
        if let Some(known) = known.filter(|known| known.deltas == self.deltas) {
            return (known.at.count, known.at.count);
        }
        let Some(latency) = &self.latency else { return (0, 0) };
        let (total, (least, most)) = latency.within(threshold_us);
        known.map_or((least, most), |known| {
            (least.max(known.at.count), most.min(known.at.count + (total - known.timed.min(total))))
        })
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

/// All but the histogram.
fn add_values(mine: &mut Values, theirs: &Values) {
    mine.count += theirs.count;
    mine.sum += theirs.sum;
    mine.sum_of_squares += theirs.sum_of_squares;
    mine.min = mine.min.min(theirs.min);
    mine.max = mine.max.max(theirs.max);
    mine.under += theirs.under;
    mine.last = mine.last.max(theirs.last);
}

fn decoded(histogram: &[u8]) -> Histogram {
    Histogram::decode(histogram).expect("only bytes that decode get into a cell")
}

impl Spread {
    fn add_range(&mut self, other: &Self) {
        self.sum_us += other.sum_us;
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
        self.overflow += other.overflow;
    }

    pub fn decoded(&self) -> Histogram {
        decoded(&self.histogram)
    }

    /// How many there are; of them at or under a threshold, at least and at most.
    fn within(&self, threshold_us: u64) -> (u64, (u64, u64)) {
        let histogram = self.decoded();
        let total = histogram.total() + self.overflow;
        if self.max_us <= threshold_us {
            return (total, (total, total));
        }
        if self.min_us > threshold_us {
            return (total, (0, 0));
        }
        let (mut above_least, above_most) = histogram.above(threshold_us, self.overflow);
        if threshold_us > VALUE_MAX {
            // What lies above the range of the histogram may still lie within the threshold.
            above_least -= self.overflow;
        }
        (total, (total - above_most, total - above_least))
    }
}

/// Many cells added up: histograms are encoded once at the end.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    pub cell: Cell,
    latencies: Histogram,
    values: Histogram,
}

impl Sum {
    pub fn add(&mut self, cell: &Cell) {
        self.cell.add_counts(cell);
        if let Some(theirs) = &cell.latency {
            self.latencies.merge(&theirs.decoded());
            match &mut self.cell.latency {
                Some(mine) => mine.add_range(theirs),
                mine => *mine = Some(Spread { histogram: Vec::new(), ..theirs.clone() }),
            }
        }
        if let Some(theirs) = &cell.values {
            self.values.merge(&decoded(&theirs.histogram));
            match &mut self.cell.values {
                Some(mine) => add_values(mine, theirs),
                mine => *mine = Some(Values { histogram: Vec::new(), ..theirs.clone() }),
            }
        }
    }

    /// Of latencies, microseconds.
    pub fn quantile(&self, quantile: Quantile) -> Option<Bounds> {
        let Spread { overflow, min_us, max_us, .. } = self.cell.latency.as_ref()?;
        self.latencies.quantile(quantile, *overflow, *min_us, *max_us)
    }

    /// Of values, millionths. A value below zero is only known to lie between the smallest one and -1.
    pub fn value_quantile(&self, quantile: Quantile) -> Option<ValueBounds> {
        let Values { count, min, max, under, .. } = self.cell.values.as_ref()?;
        let rank = quantile.rank(*count);
        if rank <= *under {
            return Some(ValueBounds { lower: *min, upper: (*max).min(-1) });
        }
        let Bounds { lower, upper } = self.values.at_rank(rank - under)?;
        let (lower, upper) = (lower as i64, upper.map_or(*max, |upper| upper as i64));
        Some(ValueBounds { lower: lower.max(*min), upper: upper.min(*max) })
    }

    /// Values with their histogram, as records write them.
    pub fn values(&self) -> Option<Values> {
        let values = self.cell.values.as_ref()?;
        Some(Values { histogram: self.values.encode(), ..values.clone() })
    }

    pub fn last(&self) -> Option<Last> {
        self.cell.values.as_ref().map(|values| values.last)
    }

    /// Latencies counted.
    pub fn count(&self) -> u64 {
        self.latencies.total() + self.cell.latency.as_ref().map_or(0, |spread| spread.overflow)
    }
}

/// Where a value lies, millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ValueBounds {
    pub lower: i64,
    pub upper: i64,
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
