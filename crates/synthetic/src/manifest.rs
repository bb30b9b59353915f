//! What a run of a scenario produced, as one JSON object: how to repeat it, what was planted, and the exact truth.
//!
//! Cells are short arrays, since a day has hundreds of thousands of them: `[series, n, failed, sum_us, min_us, max_us,
//! "buckets"]`, where `series` is an index into the list of series and the buckets are written as their lower edges in
//! microseconds, `x` before a count above one: `"1200 1208 1216x3"`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use streamgauge_events::Reason;

use crate::generator::Generator;
use crate::scenario::Planted;
use crate::truth::{Cell, PartitionTruth, Series, Truth, TruthParameters};

/// Raised when an older reader would misread a newer file.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub scenario: String,
    pub seed: u64,
    /// Scenario time zero, microseconds since the Unix epoch.
    pub start_us: i64,
    pub rate_factor: f64,
    pub planted: Vec<Planted>,
    pub truth: Truth,
}

/// Why a file is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("not a manifest: {0}")]
    Json(serde_json::Error),
    #[error("the manifest has format {found}, this program reads format {FORMAT}")]
    Format { found: u32 },
    #[error("the manifest contradicts itself: {0}")]
    Inconsistent(String),
}

/// The file, field by field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    format: u32,
    scenario: String,
    seed: u64,
    start_us: i64,
    rate_factor: f64,
    parameters: TruthParameters,
    totals: Totals,
    partitions: Vec<PartitionTruth>,
    dead_letters: BTreeMap<Reason, u64>,
    planted: Vec<Planted>,
    series: Vec<Series>,
    panes: Vec<PaneForm>,
}

/// Sums over the partitions, for people; checked when read.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Totals {
    records: u64,
    counted: u64,
    dead_letters: u64,
    failed: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaneForm {
    pane_us: i64,
    cells: Vec<CellForm>,
}

/// series, n, failed, sum_us, min_us, max_us, buckets
#[derive(Serialize, Deserialize)]
struct CellForm(u32, u64, u64, u64, u64, u64, String);

impl Manifest {
    pub fn new(generator: &Generator, truth: Truth) -> Self {
        Self {
            scenario: generator.scenario().name().to_owned(),
            seed: generator.seed(),
            start_us: generator.start_us(),
            rate_factor: generator.rate_factor(),
            planted: generator.scenario().planted(generator.start_us()),
            truth,
        }
    }

    pub fn to_json(&self) -> Vec<u8> {
        let truth = &self.truth;
        let form = Form {
            format: FORMAT,
            scenario: self.scenario.clone(),
            seed: self.seed,
            start_us: self.start_us,
            rate_factor: self.rate_factor,
            parameters: truth.parameters,
            totals: Totals::of(truth),
            partitions: truth.partitions.clone(),
            dead_letters: truth.dead_letters.clone(),
            planted: self.planted.clone(),
            series: truth.series.clone(),
            panes: truth.panes.iter().map(|(pane_us, cells)| PaneForm::new(*pane_us, cells)).collect(),
        };
        serde_json::to_vec(&form).expect("a struct of strings and finite numbers always has a JSON form")
    }

    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        let form: Form = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        if form.format != FORMAT {
            return Err(ManifestError::Format { found: form.format });
        }
        let mut truth = Truth {
            parameters: form.parameters,
            series: form.series,
            panes: BTreeMap::new(),
            partitions: form.partitions,
            dead_letters: form.dead_letters,
        };
        for pane in form.panes {
            let cells = pane.cells.into_iter().map(|cell| cell.read(truth.series.len())).collect::<Result<_, _>>()?;
            truth.panes.insert(pane.pane_us, cells);
        }
        let totals = Totals::of(&truth);
        let cells_n: u64 = truth.panes.values().flat_map(BTreeMap::values).map(|cell| cell.n).sum();
        if totals != form.totals || cells_n != totals.counted {
            let message =
                format!("its totals are {:?}, but its parts add up to {totals:?} and {cells_n} in cells", form.totals);
            return Err(ManifestError::Inconsistent(message));
        }
        Ok(Self {
            scenario: form.scenario,
            seed: form.seed,
            start_us: form.start_us,
            rate_factor: form.rate_factor,
            planted: form.planted,
            truth,
        })
    }
}

impl Totals {
    fn of(truth: &Truth) -> Self {
        let failed = truth.panes.values().flat_map(BTreeMap::values).map(|cell| cell.failed).sum();
        Self { records: truth.records(), counted: truth.counted(), dead_letters: truth.dead_lettered(), failed }
    }
}

impl PaneForm {
    fn new(pane_us: i64, cells: &BTreeMap<u32, Cell>) -> Self {
        let form = |(series, cell): (&u32, &Cell)| {
            CellForm(*series, cell.n, cell.failed, cell.sum_us, cell.min_us, cell.max_us, buckets_text(&cell.buckets))
        };
        Self { pane_us, cells: cells.iter().map(form).collect() }
    }
}

impl CellForm {
    fn read(self, series_count: usize) -> Result<(u32, Cell), ManifestError> {
        let Self(series, n, failed, sum_us, min_us, max_us, text) = self;
        if series as usize >= series_count {
            return Err(ManifestError::Inconsistent(format!(
                "there are {series_count} series, none is number {series}"
            )));
        }
        let buckets = buckets_of(&text)
            .ok_or_else(|| ManifestError::Inconsistent(format!("{text:?} is no ascending list of buckets")))?;
        Ok((series, Cell { n, failed, sum_us, min_us, max_us, buckets }))
    }
}

fn buckets_text(buckets: &[(u64, u64)]) -> String {
    let mut text = String::with_capacity(buckets.len() * 8);
    for (index, (lower_us, count)) in buckets.iter().enumerate() {
        let separator = if index == 0 { "" } else { " " };
        let written = match count {
            1 => write!(text, "{separator}{lower_us}"),
            _ => write!(text, "{separator}{lower_us}x{count}"),
        };
        written.expect("a string takes whatever is written to it");
    }
    text
}

fn buckets_of(text: &str) -> Option<Vec<(u64, u64)>> {
    let bucket = |word: &str| match word.split_once('x') {
        Some((lower_us, count)) => Some((lower_us.parse().ok()?, count.parse().ok()?)),
        None => Some((word.parse().ok()?, 1)),
    };
    let buckets: Vec<(u64, u64)> = text.split_ascii_whitespace().map(bucket).collect::<Option<_>>()?;
    buckets.is_sorted_by(|a, b| a.0 < b.0).then_some(buckets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_read_as_written() {
        for (buckets, text) in
            [(vec![], ""), (vec![(1200, 1)], "1200"), (vec![(0, 2), (1200, 1), (1216, 31)], "0x2 1200 1216x31")]
        {
            assert_eq!(buckets_text(&buckets), text);
            assert_eq!(buckets_of(text), Some(buckets));
        }
        for text in ["12 11", "12 12", "x3", "12x", "-4", "1.5"] {
            assert_eq!(buckets_of(text), None, "{text}");
        }
    }
}
