//! Truth against results: every difference, told so that one can go and look.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use streamgauge_events::Reason;

use crate::instant::Instant;
use crate::truth::{Cell, Series, Truth};

/// What the results say of one series in one pane, all deltas added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub series: Series,
    pub pane_us: i64,
    pub n: u64,
    pub failed: u64,
    /// (lower edge of the bucket, count), ascending, without zeros.
    pub buckets: Vec<(u64, u64)>,
    pub sum_us: i128,
    /// Of no meaning where there are no buckets; so is `max_us`.
    pub min_us: u64,
    pub max_us: u64,
}

/// Renames the series of results and adds up what then is one cell, as [`Truth::folded`] does with the truth.
pub fn fold(observed: impl IntoIterator<Item = Observed>, rename: impl Fn(&Series) -> Series) -> Vec<Observed> {
    let mut cells: BTreeMap<(i64, Series), (Observed, BTreeMap<u64, u64>)> = BTreeMap::new();
    for mut cell in observed {
        cell.series = rename(&cell.series);
        let incoming = std::mem::take(&mut cell.buckets);
        let buckets = match cells.entry((cell.pane_us, cell.series.clone())) {
            Entry::Vacant(place) => &mut place.insert((cell, BTreeMap::new())).1,
            Entry::Occupied(place) => {
                let (sum, buckets) = place.into_mut();
                if !incoming.is_empty() {
                    sum.min_us = if buckets.is_empty() { cell.min_us } else { sum.min_us.min(cell.min_us) };
                    sum.max_us = if buckets.is_empty() { cell.max_us } else { sum.max_us.max(cell.max_us) };
                }
                sum.n += cell.n;
                sum.failed += cell.failed;
                sum.sum_us += cell.sum_us;
                buckets
            }
        };
        for (lower_us, count) in incoming {
            *buckets.entry(lower_us).or_default() += count;
        }
    }
    cells.into_values().map(|(cell, buckets)| Observed { buckets: buckets.into_iter().collect(), ..cell }).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The results lack a cell.
    Missing {
        at: Place,
        n: u64,
    },
    /// The results have a cell that nothing was delivered for.
    Unexpected {
        at: Place,
        n: u64,
    },
    /// The results name one cell twice, so they were not added up.
    Twice {
        at: Place,
    },
    Value {
        at: Place,
        what: &'static str,
        expected: i128,
        observed: i128,
    },
    Bucket {
        at: Place,
        lower_us: u64,
        expected: u64,
        observed: u64,
    },
    DeadLetters {
        reason: Reason,
        expected: u64,
        observed: u64,
    },
}

/// A series in a pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub series: Series,
    pub pane_us: i64,
}

/// The verdict. `differences` is bounded, `differences_total` is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Cells that stand in both.
    pub cells_compared: u64,
    pub events_expected: u64,
    pub events_observed: u64,
    pub differences: Vec<Difference>,
    pub differences_total: u64,
}

impl Comparison {
    pub fn is_clean(&self) -> bool {
        self.differences_total == 0
    }
}

impl Truth {
    /// Compares results, each cell once and in any order, with the truth; keeps the first `differences_max` differences.
    pub fn compare(
        &self,
        observed: impl IntoIterator<Item = Observed>,
        dead_letters: &BTreeMap<Reason, u64>,
        differences_max: usize,
    ) -> Comparison {
        let mut notes = Notes { comparison: Comparison::default(), differences_max };
        let index: BTreeMap<&Series, u32> = self.series.iter().zip(0..).collect();
        let mut seen = BTreeSet::new();
        for cell in observed {
            notes.comparison.events_observed += cell.n;
            let expected = index.get(&cell.series).and_then(|series| {
                let expected = self.panes.get(&cell.pane_us)?.get(series)?;
                Some((*series, expected))
            });
            let at = Place { pane_us: cell.pane_us, series: cell.series.clone() };
            match expected {
                None => notes.add(Difference::Unexpected { at, n: cell.n }),
                Some((series, _)) if !seen.insert((cell.pane_us, series)) => notes.add(Difference::Twice { at }),
                Some((_, expected)) => notes.compare_cell(&at, expected, &cell),
            }
        }
        for (pane_us, cells) in &self.panes {
            for (series, cell) in cells {
                notes.comparison.events_expected += cell.n;
                if !seen.contains(&(*pane_us, *series)) {
                    let at = Place { pane_us: *pane_us, series: self.series[*series as usize].clone() };
                    notes.add(Difference::Missing { at, n: cell.n });
                }
            }
        }
        for reason in Reason::ALL {
            let count = |letters: &BTreeMap<Reason, u64>| letters.get(&reason).copied().unwrap_or(0);
            let (expected, observed) = (count(&self.dead_letters), count(dead_letters));
            if expected != observed {
                notes.add(Difference::DeadLetters { reason, expected, observed });
            }
        }
        notes.comparison
    }
}

struct Notes {
    comparison: Comparison,
    differences_max: usize,
}

impl Notes {
    fn add(&mut self, difference: Difference) {
        self.comparison.differences_total += 1;
        if self.comparison.differences.len() < self.differences_max {
            self.comparison.differences.push(difference);
        }
    }

    fn compare_cell(&mut self, at: &Place, expected: &Cell, observed: &Observed) {
        self.comparison.cells_compared += 1;
        let measured = !(expected.buckets.is_empty() && observed.buckets.is_empty());
        let values = [
            ("n", i128::from(expected.n), i128::from(observed.n), true),
            ("failed", i128::from(expected.failed), i128::from(observed.failed), true),
            ("sum_us", i128::from(expected.sum_us), observed.sum_us, true),
            ("min_us", i128::from(expected.min_us), i128::from(observed.min_us), measured),
            ("max_us", i128::from(expected.max_us), i128::from(observed.max_us), measured),
        ];
        for (what, expected, observed, compared) in values {
            if compared && expected != observed {
                self.add(Difference::Value { at: at.clone(), what, expected, observed });
            }
        }
        if expected.buckets == observed.buckets {
            return;
        }
        let lookup = |buckets: &[(u64, u64)]| buckets.iter().copied().collect::<BTreeMap<u64, u64>>();
        let (expected, observed) = (lookup(&expected.buckets), lookup(&observed.buckets));
        for lower_us in expected.keys().chain(observed.keys()).copied().collect::<BTreeSet<u64>>() {
            let count = |buckets: &BTreeMap<u64, u64>| buckets.get(&lower_us).copied().unwrap_or(0);
            let (expected, observed) = (count(&expected), count(&observed));
            if expected != observed {
                self.add(Difference::Bucket { at: at.clone(), lower_us, expected, observed });
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Series { tenant, service, route, version } = &self.series;
        if !tenant.is_empty() {
            write!(f, "{tenant}: ")?;
        }
        write!(f, "{service} {route} {version} at {}", Instant(self.pane_us))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Missing { at, n } => write!(f, "{at}: missing, expected n={n}"),
            Self::Unexpected { at, n } => write!(f, "{at}: unexpected, observed n={n}"),
            Self::Twice { at } => write!(f, "{at}: observed twice"),
            Self::Value { at, what, expected, observed } => {
                write!(f, "{at}: expected {what}={expected}, observed {what}={observed}")
            }
            Self::Bucket { at, lower_us, expected, observed } => {
                write!(f, "{at}: expected {expected} in the bucket from {lower_us} us, observed {observed}")
            }
            Self::DeadLetters { reason, expected, observed } => {
                write!(f, "dead letters, {reason}: expected {expected}, observed {observed}")
            }
        }
    }
}

impl fmt::Display for Comparison {
    /// One line for the verdict, one for each difference that was kept.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { cells_compared, events_expected, events_observed, differences_total, .. } = self;
        write!(
            f,
            "{differences_total} differences: {events_observed} of {events_expected} events counted, {cells_compared} cells compared"
        )?;
        for difference in &self.differences {
            write!(f, "\n  {difference}")?;
        }
        match differences_total - self.differences.len() as u64 {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
