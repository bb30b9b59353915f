//! Names of series within a service: which SLI, and the values of its labels.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use hashbrown::Equivalent;

/// The values of an SLI's labels, in the order of the labels' names; an event may lack some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Labels(pub Box<[Option<Box<str>>]>);

/// The same, borrowed from an event.
pub(crate) type LabelsRef<'a> = &'a [Option<&'a str>];

/// One cell of a service in a pane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Series {
    /// 0: the golden signals; from 1 on: the SLIs of the plan.
    pub sli: u16,
    pub labels: Labels,
}

#[derive(Clone, Copy)]
pub(crate) struct SeriesRef<'a> {
    pub sli: u16,
    pub labels: LabelsRef<'a>,
}

impl Labels {
    pub fn of(labels: LabelsRef<'_>) -> Self {
        Self(labels.iter().map(|label| label.map(Into::into)).collect())
    }

    pub fn refs(&self) -> Vec<Option<&str>> {
        self.0.iter().map(Option::as_deref).collect()
    }
}

/// As maps of those labels that are there, from name to value: readers of facts, who know no others, order them so.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        for (index, (mine, theirs)) in self.0.iter().zip(&other.0).enumerate() {
            let more = |labels: &Self| labels.0[index + 1..].iter().any(Option::is_some);
            let ordering = match (mine, theirs) {
                (None, None) => Ordering::Equal,
                (Some(mine), Some(theirs)) => mine.cmp(theirs),
                // The other one has nothing here: its next name is greater, or it has ended.
                (Some(_), None) if more(other) => Ordering::Less,
                (Some(_), None) => Ordering::Greater,
                (None, Some(_)) if more(self) => Ordering::Greater,
                (None, Some(_)) => Ordering::Less,
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|label| label.as_deref().hash(state));
    }
}

impl Hash for SeriesRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sli.hash(state);
        self.labels.iter().for_each(|label| label.hash(state));
    }
}

impl Equivalent<Series> for SeriesRef<'_> {
    fn equivalent(&self, key: &Series) -> bool {
        self.sli == key.sli
            && self.labels.len() == key.labels.0.len()
            && self.labels.iter().zip(&key.labels.0).all(|(mine, theirs)| *mine == theirs.as_deref())
    }
}

impl SeriesRef<'_> {
    pub fn to_series(self) -> Series {
        Series { sli: self.sli, labels: Labels::of(self.labels) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn labels_are_ordered_as_maps_are() {
        let values = [None, Some("a"), Some("b")];
        let mut all = Vec::new();
        for first in values {
            for second in values {
                for third in values {
                    all.push(Labels::of(&[first, second, third]));
                }
            }
        }
        let as_map = |labels: &Labels| -> BTreeMap<usize, String> {
            labels.0.iter().enumerate().filter_map(|(name, value)| Some((name, value.as_ref()?.to_string()))).collect()
        };
        for mine in &all {
            for theirs in &all {
                assert_eq!(mine.cmp(theirs), as_map(mine).cmp(&as_map(theirs)), "{mine:?} and {theirs:?}");
            }
        }
    }
}
