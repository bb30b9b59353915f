//! Short numbers for the names that events come with, so that panes find their cells by index.
//!
//! Each pane has a table of its own series, and each partition has several live panes. Looking every event up in those
//! touches memory that other events have pushed out of the cache since; the names of a partition, which are the same in
//! all of its panes, stay in it. Numbers mean nothing beyond that: they are given in the order of reading, forgotten when
//! there are too many, and never written.

use hashbrown::HashTable;

/// Tenant, service, and the labels of the golden signals.
pub(crate) type NameRef<'a> = [Option<&'a str>; 4];

/// Forgotten at so many: beyond the bounds of series such names seldom come back.
const NAMES_MAX: usize = 16_384;

/// A name as a number, for as long as the generation is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub generation: u64,
    pub index: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Names {
    /// From the key of series: whoever can choose routes must not be able to choose those that collide.
    seed: u64,
    known: HashTable<Name>,
    generation: u64,
}

#[derive(Debug)]
struct Name {
    hash: u64,
    index: usize,
    lengths: [u16; 4],
    /// All of them, one behind the other.
    text: Box<str>,
}

/// No text is as long as this: the decoders bound them.
const ABSENT: u16 = u16::MAX;

impl Name {
    #[inline]
    fn is(&self, name: &NameRef<'_>, lengths: [u16; 4]) -> bool {
        if self.lengths != lengths {
            return false;
        }
        let mut rest = self.text.as_bytes();
        name.iter().flatten().all(|text| {
            let Some((mine, behind)) = rest.split_at_checked(text.len()) else { return false };
            rest = behind;
            mine == text.as_bytes()
        })
    }
}

impl Names {
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    #[inline]
    pub fn number(&mut self, name: &NameRef<'_>) -> Number {
        let lengths = name.map(|text| text.map_or(ABSENT, |text| text.len() as u16));
        let hash = hash(self.seed, name);
        let found = self.known.find(hash, |known| known.hash == hash && known.is(name, lengths));
        let index = match found {
            Some(known) => known.index,
            None => self.add(name, lengths, hash),
        };
        Number { generation: self.generation, index }
    }

    #[cold]
    fn add(&mut self, name: &NameRef<'_>, lengths: [u16; 4], hash: u64) -> usize {
        if self.known.len() == NAMES_MAX {
            self.known.clear();
            self.generation += 1;
        }
        let index = self.known.len();
        let text = name.iter().flatten().copied().collect();
        self.known.insert_unique(hash, Name { hash, index, lengths, text }, |known| known.hash);
        index
    }
}

/// The fractional part of the golden ratio, as a number of 64 bits without a pattern.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// Of every byte and every length. Names are compared in full, so a collision costs time only.
#[inline]
fn hash(seed: u64, name: &NameRef<'_>) -> u64 {
    let mut hash = seed;
    for text in name.iter().flatten() {
        let bytes = text.as_bytes();
        hash = fold(hash ^ bytes.len() as u64, GOLDEN_RATIO ^ seed);
        // The last chunk overlaps the one before it. Text of fewer than eight bytes is one chunk.
        let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) else {
            hash = fold(hash ^ short(bytes), GOLDEN_RATIO ^ seed);
            continue;
        };
        if bytes.len() > 16 {
            for chunk in bytes[8..bytes.len() - 8].chunks(8) {
                hash = fold(
                    hash ^ chunk.first_chunk().map_or_else(|| short(chunk), |chunk| u64::from_le_bytes(*chunk)),
                    GOLDEN_RATIO ^ seed,
                );
            }
        }
        hash = fold(hash ^ u64::from_le_bytes(*first), GOLDEN_RATIO ^ seed ^ u64::from_le_bytes(*last));
    }
    hash
}

/// Fewer than eight bytes as a number.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)),
        _ => bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
    }
}

/// Both halves of the product of 128 bits.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_anywhere_have_numbers_of_their_own() {
        let long = "x".repeat(512);
        let other = format!("{}y{}", "x".repeat(300), "x".repeat(211));
        let texts = [None, Some(""), Some("a"), Some("ab"), Some("b"), Some("abcdefgh"), Some(&*long), Some(&*other)];
        let mut names = Names::default();
        let mut numbers = Vec::new();
        for first in texts {
            for second in texts {
                for third in texts {
                    numbers.push(([first, second, third, Some("1.0")], Number { generation: 0, index: numbers.len() }));
                }
            }
        }
        for (name, number) in numbers.iter().chain(&numbers) {
            assert_eq!(names.number(name), *number, "{name:?}");
        }
    }

    #[test]
    fn forgotten_names_have_numbers_of_another_generation() {
        let mut names = Names::default();
        let routes: Vec<String> = (0..=NAMES_MAX).map(|route| route.to_string()).collect();
        let numbers: Vec<Number> =
            routes.iter().map(|route| names.number(&[None, Some("checkout"), Some(route), None])).collect();
        assert_eq!(numbers[NAMES_MAX - 1], Number { generation: 0, index: NAMES_MAX - 1 });
        assert_eq!(numbers[NAMES_MAX], Number { generation: 1, index: 0 });
        assert_eq!(names.number(&[None, Some("checkout"), Some("0"), None]), Number { generation: 1, index: 1 });
    }
}
