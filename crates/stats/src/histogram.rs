//! Histograms of integers with two significant digits, always in the same layout: latencies from 1 us to 1 h, values in
//! millionths.
//!
//! The layout is HdrHistogram's: 256 sub-buckets; values under 256 are exact; from there a bucket spans at most 1/128 of
//! its value. Because the layout never changes (no auto-resize), equal counts mean equal bytes, and adding is adding
//! integers. The `hdrhistogram` crate is the oracle of the tests and the format of exports.

use std::collections::BTreeMap;

/// Counters up to [`VALUE_MAX`]: 25 doublings of 128 sub-buckets, and the first 128.
pub const COUNTERS: usize = 3328;
/// One hour. Longer latencies are counted as overflow, outside of the counters.
pub const VALUE_MAX: u64 = 3_600_000_000;
/// 2^45: no value that is recorded is larger.
pub const RECORDED_MAX: u64 = 1 << 45;
/// Counters up to [`RECORDED_MAX`].
const COUNTERS_MAX: usize = 4993;

/// The counter that `value` belongs to. `value` must not exceed [`RECORDED_MAX`].
#[inline]
pub fn index_of(value: u64) -> usize {
    debug_assert!(value <= RECORDED_MAX);
    let shift = (64 - (value | 0xff).leading_zeros()) - 8;
    ((shift as usize) << 7) + (value >> shift) as usize
}

/// The smallest value of a counter.
pub fn lower_edge(index: usize) -> u64 {
    let (shift, sub) = shift_and_sub(index);
    sub << shift
}

/// The largest value of a counter.
pub fn upper_edge(index: usize) -> u64 {
    let (shift, sub) = shift_and_sub(index);
    ((sub + 1) << shift) - 1
}

fn shift_and_sub(index: usize) -> (u32, u64) {
    if index < 256 {
        return (0, index as u64);
    }
    let shift = (index >> 7) as u32 - 1;
    (shift, (index - ((shift as usize) << 7)) as u64)
}

/// The histogram of an open pane: small while few counters are in use, one array from then on.
#[derive(Clone, Debug, Default)]
pub struct OpenHistogram {
    counts: Counts,
}

#[derive(Clone, Debug)]
enum Counts {
    /// Ascending by index.
    Sparse(Vec<(u16, u32)>),
    /// One byte for each counter, so that those of many open panes stay in the cache together.
    Dense { low: Vec<u8>, carries: Carries },
}

/// How often counters have gone round 256, ascending by index.
type Carries = Vec<(u16, u64)>;

impl Default for Counts {
    fn default() -> Self {
        Self::Sparse(Vec::new())
    }
}

/// 64 entries take 512 bytes and six comparisons; the array takes 3 kB.
const SPARSE_MAX: usize = 64;

impl OpenHistogram {
    /// Counts a value of at most [`RECORDED_MAX`].
    #[inline]
    pub fn record(&mut self, value: u64) {
        let index = index_of(value);
        if let Counts::Dense { low, carries } = &mut self.counts
            && let Some(counter) = low.get_mut(index)
        {
            *counter = counter.wrapping_add(1);
            if *counter == 0 {
                carry(carries, index as u16, 1);
            }
            return;
        }
        self.add(index as u16, 1);
    }

    fn add(&mut self, index: u16, count: u64) {
        match &mut self.counts {
            Counts::Dense { low, carries } => {
                if low.len() <= usize::from(index) {
                    low.resize(COUNTERS_MAX, 0);
                }
                let counter = &mut low[usize::from(index)];
                let sum = u64::from(*counter) + (count & 0xff);
                *counter = sum as u8;
                let carried = (count >> 8) + (sum >> 8);
                if carried > 0 {
                    carry(carries, index, carried);
                }
            }
            Counts::Sparse(entries) => {
                match (entries.binary_search_by_key(&index, |entry| entry.0), u32::try_from(count)) {
                    (Ok(at), Ok(count)) if entries[at].1.checked_add(count).is_some() => {
                        entries[at].1 += count;
                        return;
                    }
                    (Err(at), Ok(count)) if entries.len() < SPARSE_MAX => {
                        entries.insert(at, (index, count));
                        return;
                    }
                    _ => {}
                }
                let largest = entries.last().map_or(index, |last| last.0.max(index));
                let counters = if usize::from(largest) < COUNTERS { COUNTERS } else { COUNTERS_MAX };
                let entries = std::mem::take(entries);
                self.counts = Counts::Dense { low: vec![0; counters], carries: Vec::new() };
                entries.into_iter().for_each(|(index, count)| self.add(index, u64::from(count)));
                self.add(index, count);
            }
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.for_each(|index, count| self.add(index, count));
    }

    /// The canonical bytes: see [`Histogram::encode`].
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut previous = 0;
        self.for_each(|index, count| put_counter(&mut bytes, &mut previous, index, count));
        bytes
    }

    /// The same counts, in 64 bits.
    pub fn close(&self) -> Histogram {
        let mut histogram = Histogram::default();
        self.for_each(|index, count| histogram.add(index, count));
        histogram
    }

    /// (counter index, count), ascending; no zeros.
    fn for_each(&self, mut each: impl FnMut(u16, u64)) {
        match &self.counts {
            Counts::Sparse(entries) => entries.iter().for_each(|(index, count)| each(*index, u64::from(*count))),
            Counts::Dense { low, carries } => {
                let mut carries = carries.iter().peekable();
                for (block, counters) in low.chunks(BLOCK).enumerate() {
                    let first = block * BLOCK;
                    let carried = carries.peek().is_some_and(|(index, _)| usize::from(*index) < first + BLOCK);
                    // Most blocks count nothing.
                    if !carried && *counters == [0; BLOCK][..counters.len()] {
                        continue;
                    }
                    for (place, low) in counters.iter().enumerate() {
                        let index = (first + place) as u16;
                        let carried = carries.next_if(|carry| carry.0 == index).map_or(0, |carry| carry.1);
                        if *low != 0 || carried != 0 {
                            each(index, (carried << 8) + u64::from(*low));
                        }
                    }
                }
            }
        }
    }

    /// Heap bytes in use.
    pub fn heap_bytes(&self) -> usize {
        match &self.counts {
            Counts::Sparse(entries) => entries.capacity() * 8,
            Counts::Dense { low, carries } => low.len() + carries.capacity() * 16,
        }
    }
}

/// Counters that are looked at together for whether any of them counts.
const BLOCK: usize = 32;

#[cold]
fn carry(carries: &mut Carries, index: u16, times: u64) {
    match carries.binary_search_by_key(&index, |carry| carry.0) {
        Ok(at) => carries[at].1 += times,
        Err(at) => carries.insert(at, (index, times)),
    }
}

/// Counts by counter index, 64 bits: what panes are merged into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: BTreeMap<u16, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    #[error("the histogram ends in the middle of a number")]
    Truncated,
    #[error("the histogram names a counter beyond the layout, or the same one twice")]
    BadIndex,
    #[error("the histogram counts nothing in one of its counters, or more than 64 bits hold")]
    BadCount,
}

impl Histogram {
    /// Adds `count` to a counter. Counts of 2^64 are out of reach: a million events a second for 580,000 years.
    pub fn add(&mut self, index: u16, count: u64) {
        *self.counts.entry(index).or_default() += count;
    }

    pub fn merge(&mut self, other: &Self) {
        other.counts.iter().for_each(|(index, count)| self.add(*index, *count));
    }

    /// Values counted; overflow is not among them.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// (counter index, count), ascending; no zeros.
    pub fn counts(&self) -> impl Iterator<Item = (u16, u64)> {
        self.counts.iter().map(|(index, count)| (*index, *count))
    }

    /// Ascending pairs of LEB128 varints (distance from the previous index, count); zeros are left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut previous = 0;
        self.counts().for_each(|(index, count)| put_counter(&mut bytes, &mut previous, index, count));
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, HistogramError> {
        let mut histogram = Self::default();
        let mut rest = bytes;
        let mut index = 0_u64;
        while !rest.is_empty() {
            let distance = take_varint(&mut rest)?;
            let count = take_varint(&mut rest)?;
            index = index.checked_add(distance).ok_or(HistogramError::BadIndex)?;
            if index >= COUNTERS_MAX as u64 || (distance == 0 && !histogram.counts.is_empty()) {
                return Err(HistogramError::BadIndex);
            }
            if count == 0 {
                return Err(HistogramError::BadCount);
            }
            histogram.counts.insert(index as u16, count);
        }
        Ok(histogram)
    }
}

fn put_counter(bytes: &mut Vec<u8>, previous: &mut u16, index: u16, count: u64) {
    put_varint(bytes, u64::from(index - *previous));
    put_varint(bytes, count);
    *previous = index;
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, HistogramError> {
    let mut value = 0_u64;
    for (place, byte) in rest.iter().enumerate() {
        let bits = u64::from(byte & 0x7f);
        if place > 9 || (place == 9 && bits > 1) {
            return Err(HistogramError::BadCount);
        }
        value |= bits << (7 * place);
        if byte & 0x80 == 0 {
            *rest = &rest[place + 1..];
            return Ok(value);
        }
    }
    Err(HistogramError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_that_of_hdrhistogram() {
        let oracle =
            hdrhistogram::Histogram::<u64>::new_with_bounds(1, VALUE_MAX, 2).expect("two digits up to an hour");
        assert_eq!(oracle.distinct_values(), COUNTERS);
        let edges = (0..COUNTERS).flat_map(|index| [lower_edge(index), upper_edge(index)]);
        for value in edges.filter(|value| *value <= VALUE_MAX).chain([0, 1, 255, 256, 1000, VALUE_MAX]) {
            let index = index_of(value);
            assert_eq!(oracle.lowest_equivalent(value), lower_edge(index), "lower edge of {value}");
            assert_eq!(oracle.highest_equivalent(value), upper_edge(index), "upper edge of {value}");
        }
    }

    #[test]
    fn counters_follow_each_other_without_gaps() {
        for index in 1..COUNTERS {
            assert_eq!(lower_edge(index), upper_edge(index - 1) + 1, "counter {index}");
        }
    }

    #[test]
    fn values_far_above_an_hour_have_counters_of_their_own() {
        assert_eq!(index_of(RECORDED_MAX) + 1, COUNTERS_MAX);
        let values: Vec<u64> = (0..45).flat_map(|power| [1 << power, (1 << power) + 1, 3 << power >> 1]).collect();
        for start in [0, 100] {
            // Beginning with small and with large values, since the array grows in between.
            let order: Vec<u64> =
                values[start..].iter().chain(&values[..start]).copied().chain([RECORDED_MAX]).collect();
            let closed = histogram_of(&order).close();
            assert_eq!(closed.total(), order.len() as u64);
            assert_eq!(Histogram::decode(&closed.encode()), Ok(closed.clone()));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            let expected: Vec<usize> = sorted.iter().map(|value| index_of(*value)).collect();
            let found: Vec<usize> =
                closed.counts().flat_map(|(index, count)| vec![index.into(); count as usize]).collect();
            assert_eq!(found, expected);
        }
    }

    fn histogram_of(values: &[u64]) -> OpenHistogram {
        let mut histogram = OpenHistogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    fn values() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(prop_oneof![0..300_u64, 0..100_000_u64, 0..=VALUE_MAX], 0..300)
    }

    proptest! {
        #[test]
        fn counts_agree_with_hdrhistogram(values in values()) {
            let mut oracle = hdrhistogram::Histogram::<u64>::new_with_bounds(1, VALUE_MAX, 2).expect("valid bounds");
            values.iter().for_each(|value| oracle.record(*value).expect("in range"));
            let expected: Vec<(u64, u64)> =
                oracle.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value())).collect();
            let found: Vec<(u64, u64)> =
                histogram_of(&values).close().counts().map(|(i, n)| (upper_edge(i.into()), n)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn merging_is_recording_all_in_any_order(a in values(), b in values()) {
            let mut ab = histogram_of(&a);
            ab.merge(&histogram_of(&b));
            let mut ba = histogram_of(&b);
            ba.merge(&histogram_of(&a));
            let both: Vec<u64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(ab.encode(), histogram_of(&both).encode());
            prop_assert_eq!(ba.encode(), ab.encode());
            let mut closed = histogram_of(&a).close();
            closed.merge(&histogram_of(&b).close());
            prop_assert_eq!(closed.encode(), ab.encode());
        }

        #[test]
        fn bytes_come_back(values in values()) {
            let closed = histogram_of(&values).close();
            prop_assert_eq!(Histogram::decode(&closed.encode()), Ok(closed));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(histogram) = Histogram::decode(&bytes) {
                prop_assert_eq!(Histogram::decode(&histogram.encode()), Ok(histogram));
            }
        }
    }

    #[test]
    fn counters_go_round_without_loss_wherever_they_are_counted() {
        let mut expected = Histogram::default();
        let (mut recorded, mut merged) = (OpenHistogram::default(), OpenHistogram::default());
        for (value, times) in
            [(3, 1), (40, 255), (41, 256), (42, 257), (1_000, 512), (2_000, 70_000), (RECORDED_MAX, 600)]
        {
            let values = vec![value; times];
            // Beside a hundred others, so that the array is in use.
            let others: Vec<u64> = (100..200).collect();
            for value in values.iter().chain(&others) {
                recorded.record(*value);
                expected.add(index_of(*value) as u16, 1);
            }
            merged.merge(&histogram_of(&values));
            merged.merge(&histogram_of(&others));
        }
        assert_eq!(recorded.close(), expected);
        assert_eq!(merged.close(), expected);
        assert_eq!(recorded.encode(), expected.encode());
        assert_eq!(merged.encode(), expected.encode());
    }

    #[test]
    fn a_counter_past_32_bits_is_not_lost() {
        let mut histogram = OpenHistogram::default();
        histogram.add(7, u64::from(u32::MAX));
        histogram.add(7, 2);
        histogram.add(9, 1);
        let expected = vec![(7, (1_u64 << 32) + 1), (9, 1)];
        assert_eq!(histogram.close().counts().collect::<Vec<_>>(), expected);
        assert_eq!(Histogram::decode(&histogram.encode()).map(|h| h.counts().collect()), Ok(expected));
    }
}
