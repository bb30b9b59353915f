//! Folded results against the truth, series by series and pane by pane, also where the bound of series has folded some.

use std::collections::{BTreeMap, BTreeSet};

use streamgauge_events::Reason;
use streamgauge_events::facts::OTHER;
use streamgauge_stats::Histogram;
use streamgauge_stats::histogram::lower_edge;
use streamgauge_synthetic::{Comparison, Observed, Series, Truth, compare};
use streamgauge_windows::{Fold, FoldedPane, GOLDEN};

pub struct Verdict {
    /// Each series in each pane. Where series were folded at the bound: those that were kept.
    pub by_series: Comparison,
    /// All series of a tenant together: only where series were folded at the bound.
    pub by_tenant: Option<Comparison>,
}

impl Verdict {
    pub fn comparisons(&self) -> impl Iterator<Item = &Comparison> {
        [Some(&self.by_series), self.by_tenant.as_ref()].into_iter().flatten()
    }

    pub fn is_clean(&self) -> bool {
        self.comparisons().all(Comparison::is_clean)
    }

    pub fn differences_total(&self) -> u64 {
        self.comparisons().map(|comparison| comparison.differences_total).sum()
    }

    pub fn cells_compared(&self) -> u64 {
        self.comparisons().map(|comparison| comparison.cells_compared).sum()
    }
}

/// Compares the golden signals with the truth; keeps at most `differences_max` differences of each comparison.
pub fn judge(truth: &Truth, fold: &Fold, dead_letters: &BTreeMap<Reason, u64>, differences_max: usize) -> Verdict {
    let golden: Vec<Observed> = fold.panes().filter(|pane| pane.sli == GOLDEN).map(observed).collect();
    if !golden.iter().any(|cell| is_other(&cell.series)) {
        return Verdict { by_series: truth.compare(golden, dead_letters, differences_max), by_tenant: None };
    }
    let tenant = |series: &Series| Series {
        tenant: series.tenant.clone(),
        service: String::new(),
        route: String::new(),
        version: String::new(),
    };
    let totals = compare::fold(golden.iter().cloned(), tenant);
    let by_tenant = truth.folded(tenant).compare(totals, dead_letters, differences_max);
    // A series that was kept is complete; one that was not is judged only as part of its tenant.
    let kept: Vec<Observed> = golden.into_iter().filter(|cell| !is_other(&cell.series)).collect();
    let by_series = restricted(truth, &kept).compare(kept, dead_letters, differences_max);
    Verdict { by_series, by_tenant: Some(by_tenant) }
}

fn is_other(series: &Series) -> bool {
    [&series.service, &series.route, &series.version].into_iter().any(|label| label == OTHER)
}

/// The truth of these cells alone.
fn restricted(truth: &Truth, cells: &[Observed]) -> Truth {
    let index: BTreeMap<&Series, u32> = truth.series.iter().zip(0..).collect();
    let kept: BTreeSet<(i64, u32)> =
        cells.iter().filter_map(|cell| Some((cell.pane_us, *index.get(&cell.series)?))).collect();
    let mut restricted = truth.clone();
    for (pane_us, cells) in &mut restricted.panes {
        cells.retain(|series, _| kept.contains(&(*pane_us, *series)));
    }
    restricted
}

fn observed(pane: FoldedPane) -> Observed {
    let FoldedPane { tenant, service, mut labels, .. } = pane;
    let mut label = |name: &str| labels.remove(name).unwrap_or_default();
    let series = Series { tenant, service, route: label("route"), version: label("version") };
    let (n, failed) = (pane.n, pane.failed);
    let Some(latency) = pane.latency else {
        let (buckets, sum_us) = (Vec::new(), 0);
        return Observed { series, pane_us: pane.pane.0, n, failed, buckets, sum_us, min_us: 0, max_us: 0 };
    };
    let histogram = Histogram::decode(&latency.histogram).expect("a fold holds only histograms that decode");
    let buckets = histogram.counts().map(|(index, count)| (lower_edge(index.into()), count)).collect();
    let (sum_us, min_us, max_us) = (latency.sum_us, latency.min_us, latency.max_us);
    Observed { series, pane_us: pane.pane.0, n, failed, buckets, sum_us, min_us, max_us }
}
