//! Sums of good and bad over windows of event time that slide with the grid.
//!
//! Each window keeps one sum, so that a grid point costs what enters and what leaves, not the length of the window. Long
//! windows leave by coarse buckets: their end is exact, their beginning up to one bucket early.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use streamgauge_events::EventTime;

use crate::saved::CHUNK;

/// So many bad ones of so many. Events, slices, or shares of slices in millionths of millionths, by the way of budgeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub bad: i128,
    pub total: i128,
}

impl Tally {
    pub const fn new(bad: i128, total: i128) -> Self {
        Self { bad, total }
    }

    pub const fn good(self) -> i128 {
        self.total - self.bad
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.bad += other.bad;
        self.total += other.total;
    }
}

impl std::ops::Sub for Tally {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { bad: self.bad - other.bad, total: self.total - other.total }
    }
}

/// The width of the buckets by which a window of this length moves: the largest of 10 s, 1 m, 5 m, 15 m and 1 h that is not
/// above the pane or a 360th of the window, whichever is more.
pub fn bucket_us(length_us: i64, pane_us: i64) -> i64 {
    const WIDTHS_US: [i64; 4] = [3_600_000_000, 900_000_000, 300_000_000, 60_000_000];
    let most = (length_us / 360).max(pane_us);
    let fits = |width: &i64| *width <= most && width % pane_us == 0;
    WIDTHS_US.into_iter().find(fits).unwrap_or(pane_us)
}

/// Which of the windows of a [`Sums`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowId(usize);

#[derive(Clone, Debug)]
struct Window {
    extent: Extent,
    bucket_us: i64,
    from: EventTime,
    sum: Tally,
}

/// How a window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// So long before the grid point.
    Sliding { length_us: i64 },
    /// Where it was last told to.
    Since,
}

/// All windows over one stream of counts.
#[derive(Clone, Debug)]
pub struct Sums {
    pane_us: i64,
    windows: Vec<Window>,
    /// By width of bucket.
    rings: BTreeMap<i64, Ring>,
    now: EventTime,
}

impl Sums {
    pub const fn new(pane_us: i64) -> Self {
        Self { pane_us, windows: Vec::new(), rings: BTreeMap::new(), now: EventTime::BEFORE_ALL }
    }

    /// A window of this length that ends at the grid point. Windows are declared before anything is added.
    pub fn sliding(&mut self, length_us: i64) -> WindowId {
        self.declare(Extent::Sliding { length_us }, bucket_us(length_us, self.pane_us))
    }

    /// A window from where [`Self::begin`] says up to the grid point, moved by buckets of 15 minutes, of which the offsets
    /// of all time zones are multiples.
    pub fn since(&mut self) -> WindowId {
        const BUCKET_US: i64 = 900_000_000;
        self.declare(Extent::Since, BUCKET_US)
    }

    fn declare(&mut self, extent: Extent, bucket_us: i64) -> WindowId {
        let known = self.windows.iter().position(|window| window.extent == extent && extent != Extent::Since);
        if let Some(known) = known {
            return WindowId(known);
        }
        self.rings.entry(bucket_us).or_default();
        self.windows.push(Window { extent, bucket_us, from: EventTime::BEFORE_ALL, sum: Tally::default() });
        WindowId(self.windows.len() - 1)
    }

    /// Goes on to a later grid point: what has left its windows is taken off. Then what is new can be added.
    pub fn advance(&mut self, now: EventTime) {
        self.now = now;
        for index in 0..self.windows.len() {
            if let Extent::Sliding { length_us } = self.windows[index].extent {
                self.leave(index, now.minus_us(length_us));
            }
        }
        self.forget();
    }

    /// A window that was declared by [`Self::since`] begins here, or later than before.
    pub fn begin(&mut self, window: WindowId, from: EventTime) {
        self.leave(window.0, from);
        self.forget();
    }

    fn leave(&mut self, index: usize, from: EventTime) {
        let window = &mut self.windows[index];
        let from = from.floor(window.bucket_us);
        if from > window.from {
            let left = self.rings[&window.bucket_us].sum(window.from, from, window.bucket_us);
            window.sum = window.sum - left;
            window.from = from;
        }
    }

    /// Drops what no window reaches back to.
    fn forget(&mut self) {
        for (bucket_us, ring) in &mut self.rings {
            let windows = self.windows.iter().filter(|window| window.bucket_us == *bucket_us);
            if let Some(oldest) = windows.map(|window| window.from).min() {
                ring.forget_before(oldest.0.div_euclid(*bucket_us));
            }
        }
    }

    /// Adds to a pane that ends at the grid point or before; a `change` may also take back what was added.
    pub fn add(&mut self, pane: EventTime, change: Tally) {
        for window in &mut self.windows {
            if pane >= window.from {
                window.sum += change;
            }
        }
        for (bucket_us, ring) in &mut self.rings {
            let windows = self.windows.iter().filter(|window| window.bucket_us == *bucket_us);
            if windows.map(|window| window.from).min().is_some_and(|oldest| pane >= oldest) {
                ring.add(pane.0.div_euclid(*bucket_us), change);
            }
        }
    }

    pub fn sum(&self, window: WindowId) -> Tally {
        self.windows[window.0].sum
    }

    /// Where a window begins now.
    pub fn from(&self, window: WindowId) -> EventTime {
        self.windows[window.0].from
    }

    /// Where each window begins, and its sum: with the chunks all that there is.
    pub fn windows(&self) -> Vec<(EventTime, Tally)> {
        self.windows.iter().map(|window| (window.from, window.sum)).collect()
    }

    /// Puts back what [`Self::windows`] gave; `false` where the windows are others.
    pub fn restore_windows(&mut self, now: EventTime, windows: &[(EventTime, Tally)]) -> bool {
        if windows.len() != self.windows.len() {
            return false;
        }
        self.now = now;
        for (window, (from, sum)) in self.windows.iter_mut().zip(windows) {
            (window.from, window.sum) = (*from, *sum);
        }
        true
    }

    /// Puts back a chunk of buckets; `false` where no window has such buckets.
    pub fn restore_chunk(&mut self, bucket_us: i64, chunk: i64, buckets: &[Tally]) -> bool {
        let Some(ring) = self.rings.get_mut(&bucket_us) else { return false };
        for (index, bucket) in (chunk * CHUNK..).zip(buckets) {
            ring.add(index, *bucket);
        }
        ring.changed.clear();
        true
    }

    /// Calls `changed` with the width, number and buckets of every chunk that has changed since the last call; where there
    /// are no buckets, nothing is left of it.
    pub fn take_changed(&mut self, changed: &mut dyn FnMut(i64, i64, &[Tally])) {
        for (bucket_us, ring) in &mut self.rings {
            for chunk in std::mem::take(&mut ring.changed) {
                let first = chunk * CHUNK;
                let buckets: Vec<Tally> = (first..first + CHUNK).map(|index| ring.get(index)).collect();
                let is_gone = buckets.iter().all(|bucket| *bucket == Tally::default());
                changed(*bucket_us, chunk, if is_gone { &[] } else { &buckets });
            }
        }
    }

    /// The buckets of a window, oldest first, up to the one that holds the end of what was counted; and their width.
    pub fn buckets(&self, window: WindowId) -> (i64, Vec<Tally>) {
        let Window { bucket_us, from, .. } = self.windows[window.0];
        let ring = &self.rings[&bucket_us];
        let first = from.0.div_euclid(bucket_us);
        let end = self.now.plus_us(bucket_us - 1).0.div_euclid(bucket_us);
        // A window that nothing has left yet begins with the first bucket there is.
        let first = if from == EventTime::BEFORE_ALL { ring.first.min(end) } else { first };
        (bucket_us, (first..end).map(|index| ring.get(index)).collect())
    }
}

/// Buckets of one width, without a gap.
#[derive(Clone, Debug, Default)]
struct Ring {
    /// Number of the first bucket since 1970.
    first: i64,
    buckets: VecDeque<Tally>,
    /// Chunks that differ from what was kept of them.
    changed: BTreeSet<i64>,
}

impl Ring {
    fn get(&self, index: i64) -> Tally {
        let place = usize::try_from(index - self.first).ok();
        place.and_then(|place| self.buckets.get(place)).copied().unwrap_or_default()
    }

    fn end(&self) -> i64 {
        self.first + self.buckets.len() as i64
    }

    fn add(&mut self, index: i64, change: Tally) {
        if self.buckets.is_empty() {
            self.first = index;
        }
        while index < self.first {
            self.buckets.push_front(Tally::default());
            self.first -= 1;
        }
        while index >= self.end() {
            self.buckets.push_back(Tally::default());
        }
        self.buckets[(index - self.first) as usize] += change;
        self.changed.insert(index.div_euclid(CHUNK));
    }

    fn sum(&self, from: EventTime, to: EventTime, bucket_us: i64) -> Tally {
        let first = from.0.div_euclid(bucket_us).max(self.first);
        let end = to.0.div_euclid(bucket_us).min(self.end());
        let mut sum = Tally::default();
        for index in first..end {
            sum += self.get(index);
        }
        sum
    }

    fn forget_before(&mut self, index: i64) {
        while self.first < index && self.buckets.pop_front().is_some() {
            self.first += 1;
            if self.first % CHUNK == 0 || self.buckets.is_empty() {
                self.changed.insert((self.first - 1).div_euclid(CHUNK));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;
    const PANE: i64 = 10 * SECOND;
    const HOUR: i64 = 3600 * SECOND;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn buckets_are_as_wide_as_a_360th_of_the_window() {
        for (length_us, expected_secs) in [
            (300 * SECOND, 10),
            (HOUR, 10),
            (6 * HOUR, 60),
            (DAY, 60),
            (3 * DAY, 300),
            (7 * DAY, 900),
            (30 * DAY, 3600),
            (90 * DAY, 3600),
        ] {
            assert_eq!(bucket_us(length_us, PANE) / SECOND, expected_secs, "{length_us} us");
        }
        // Buckets hold whole panes.
        assert_eq!(bucket_us(6 * HOUR, 40 * SECOND), 40 * SECOND);
    }

    proptest! {
        /// Against the sum over a list of all that was added, in any order of adding, with late and restated panes.
        #[test]
        fn windows_hold_what_a_list_holds(
            steps in prop::collection::vec((1..2000_i64, prop::collection::vec((0..9000_i64, 0..5_i64, 0..9_i64), 0..6)), 1..30),
        ) {
            let lengths = [PANE, 5 * PANE, HOUR, 6 * HOUR, DAY];
            let mut sums = Sums::new(PANE);
            let ids = lengths.map(|length| sums.sliding(length));
            let mut all: Vec<(EventTime, Tally)> = Vec::new();
            let mut now = EventTime(20_000 * DAY);
            for (panes, additions) in steps {
                now = now.plus_us(panes * PANE);
                sums.advance(now);
                for (back, bad, good) in additions {
                    let pane = now.minus_us((1 + back) * PANE);
                    let change = Tally::new(bad.into(), i128::from(bad + good));
                    sums.add(pane, change);
                    all.push((pane, change));
                }
                for (id, length) in ids.into_iter().zip(lengths) {
                    let from = now.minus_us(length).floor(bucket_us(length, PANE));
                    let mut expected = Tally::default();
                    all.iter().filter(|(pane, _)| *pane >= from).for_each(|(_, change)| expected += *change);
                    prop_assert_eq!(sums.sum(id), expected);
                    let (width, buckets) = sums.buckets(id);
                    let mut of_buckets = Tally::default();
                    buckets.iter().for_each(|bucket| of_buckets += *bucket);
                    prop_assert_eq!(of_buckets, expected);
                    prop_assert!(buckets.len() as i64 <= length / width + 2);
                }
            }
        }
    }

    #[test]
    fn a_gap_of_years_costs_nothing() {
        let mut sums = Sums::new(PANE);
        let month = sums.sliding(30 * DAY);
        sums.advance(EventTime(PANE));
        sums.add(EventTime(0), Tally::new(1, 1));
        let now = EventTime(20_000 * DAY);
        sums.advance(now);
        sums.add(now.minus_us(PANE), Tally::new(0, 2));
        assert_eq!(sums.sum(month), Tally::new(0, 2));
        assert!(sums.buckets(month).1.len() <= 721);
    }

    #[test]
    fn a_window_since_a_date_begins_anew() {
        let mut sums = Sums::new(PANE);
        let period = sums.since();
        sums.advance(EventTime(HOUR));
        sums.begin(period, EventTime(0));
        sums.add(EventTime(0), Tally::new(1, 2));
        sums.add(EventTime(HOUR - PANE), Tally::new(1, 3));
        assert_eq!(sums.sum(period), Tally::new(2, 5));
        sums.begin(period, EventTime(HOUR / 2));
        assert_eq!(sums.sum(period), Tally::new(1, 3));
    }
}
