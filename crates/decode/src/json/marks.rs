//! One pass over the bytes of a record: where strings begin and end, and whether anything in it needs more care.
//!
//! The quotes are exact for what is JSON; for what is not, whoever walks over it finds the fault before it could matter.

/// What one pass found. Kept between records, so that no record pays for memory.
#[derive(Debug, Default)]
pub struct Marks {
    /// A bit for each byte, the lowest first: an unescaped quote.
    quotes: Vec<u64>,
    /// There is a backslash somewhere.
    pub escapes: bool,
    /// There is a byte below 0x20 somewhere: white space between values, or a fault.
    pub controls: bool,
}

/// A word of [`Marks`] covers so many bytes.
const BLOCK: usize = 64;

/// What is found in one block: its quotes; whether it has backslashes and control characters is added to the marks.
trait Lanes {
    fn quotes(&mut self, block: &[u8; BLOCK]) -> u64;
    fn escapes(&self) -> bool;
    fn controls(&self) -> bool;
}

impl Marks {
    #[inline]
    pub fn set(&mut self, bytes: &[u8]) {
        #[cfg(target_arch = "x86_64")]
        self.set_by(bytes, sse2::Sse2::new());
        #[cfg(not(target_arch = "x86_64"))]
        self.set_by(bytes, Words::default());
    }

    #[inline]
    fn set_by(&mut self, bytes: &[u8], mut lanes: impl Lanes) {
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        self.quotes.resize(blocks.len() + 1, 0);
        for (word, block) in self.quotes.iter_mut().zip(blocks) {
            *word = lanes.quotes(block);
        }
        self.quotes[blocks.len()] = match bytes.last_chunk::<BLOCK>() {
            // It overlaps the one before.
            Some(last) => lanes.quotes(last).checked_shr((BLOCK - rest.len()) as u32).unwrap_or(0),
            None => {
                let mut last = [b' '; BLOCK];
                last[..rest.len()].copy_from_slice(rest);
                lanes.quotes(&last)
            }
        };
        self.escapes = lanes.escapes();
        self.controls = lanes.controls();
        if self.escapes {
            self.set_by_bytes(bytes);
        }
    }

    /// With escapes the plain way: a backslash inside a string takes its meaning from what follows.
    #[cold]
    fn set_by_bytes(&mut self, bytes: &[u8]) {
        self.quotes.fill(0);
        let (mut inside, mut escaped) = (false, false);
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if inside => escaped = true,
                b'"' => {
                    inside = !inside;
                    self.quotes[at / BLOCK] |= 1 << (at % BLOCK);
                }
                _ => {}
            }
        }
    }

    /// The place of the first quote at or behind `at`.
    #[inline(always)]
    pub fn quote_from(&self, at: usize) -> Option<usize> {
        let mut index = at / BLOCK;
        let mut word = self.quotes.get(index)? & (u64::MAX << (at % BLOCK));
        while word == 0 {
            index = index.wrapping_add(1);
            word = *self.quotes.get(index)?;
        }
        Some(index.wrapping_mul(BLOCK).wrapping_add(word.trailing_zeros() as usize))
    }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    //! Sixteen bytes at once; every x86-64 can.

    use safe_arch::{
        bitor_m128i, cmp_eq_mask_i8_m128i, load_unaligned_m128i, m128i, min_u8_m128i, move_mask_i8_m128i,
        set_splat_i8_m128i, zeroed_m128i,
    };

    use super::{BLOCK, Lanes};

    pub struct Sse2 {
        quote: m128i,
        backslash: m128i,
        escapes: m128i,
        /// The least byte of each lane.
        least: m128i,
    }

    impl Sse2 {
        #[inline]
        pub fn new() -> Self {
            Self {
                quote: set_splat_i8_m128i(b'"' as i8),
                backslash: set_splat_i8_m128i(b'\\' as i8),
                escapes: zeroed_m128i(),
                least: set_splat_i8_m128i(b' ' as i8),
            }
        }
    }

    impl Lanes for Sse2 {
        #[inline]
        fn quotes(&mut self, block: &[u8; BLOCK]) -> u64 {
            let (lanes, _) = block.as_chunks::<16>();
            let mut quotes = 0;
            for (place, lane) in lanes.iter().enumerate() {
                let lane = load_unaligned_m128i(lane);
                let found = move_mask_i8_m128i(cmp_eq_mask_i8_m128i(lane, self.quote));
                quotes |= u64::from(found as u16) << (16 * place);
                self.escapes = bitor_m128i(self.escapes, cmp_eq_mask_i8_m128i(lane, self.backslash));
                self.least = min_u8_m128i(self.least, lane);
            }
            quotes
        }

        #[inline]
        fn escapes(&self) -> bool {
            move_mask_i8_m128i(self.escapes) != 0
        }

        #[inline]
        fn controls(&self) -> bool {
            let none = cmp_eq_mask_i8_m128i(self.least, set_splat_i8_m128i(b' ' as i8));
            move_mask_i8_m128i(none) != 0xffff
        }
    }
}

/// Eight bytes at once, in words of any processor.
#[cfg(any(not(target_arch = "x86_64"), test))]
#[derive(Default)]
struct Words {
    escapes: u64,
    controls: u64,
}

#[cfg(any(not(target_arch = "x86_64"), test))]
const fn splat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of each byte that is zero. Exact: no carry leaves its byte.
#[cfg(any(not(target_arch = "x86_64"), test))]
const fn zeros(word: u64) -> u64 {
    const LOW: u64 = splat(0x7f);
    !(((word & LOW) + LOW) | word | LOW)
}

#[cfg(any(not(target_arch = "x86_64"), test))]
impl Lanes for Words {
    fn quotes(&mut self, block: &[u8; BLOCK]) -> u64 {
        let mut quotes = 0;
        for (place, word) in block.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // Gathers the highest bits of the eight bytes in one byte.
            let found = (zeros(word ^ splat(b'"')) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            quotes |= found << (8 * place);
            self.escapes |= zeros(word ^ splat(b'\\'));
            self.controls |= zeros(word & splat(0xe0));
        }
        quotes
    }

    fn escapes(&self) -> bool {
        self.escapes != 0
    }

    fn controls(&self) -> bool {
        self.controls != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plainly(bytes: &[u8]) -> (Vec<usize>, bool, bool) {
        let quotes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'"').map(|(at, _)| at).collect();
        (quotes, bytes.contains(&b'\\'), bytes.iter().any(|byte| *byte < 0x20))
    }

    fn found(marks: &Marks) -> (Vec<usize>, bool, bool) {
        let mut quotes = Vec::new();
        let mut at = 0;
        while let Some(quote) = marks.quote_from(at) {
            quotes.push(quote);
            at = quote + 1;
        }
        (quotes, marks.escapes, marks.controls)
    }

    #[test]
    fn every_way_marks_every_byte_alike_at_every_place() {
        let (mut marks, mut by_words) = (Marks::default(), Marks::default());
        for length in [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200] {
            for byte in 0..=255_u8 {
                let mut bytes = vec![b'a'; length];
                for place in [0, length / 2, length - 1] {
                    bytes[place] = byte;
                    marks.set(&bytes);
                    by_words.set_by(&bytes, Words::default());
                    if byte != b'\\' {
                        assert_eq!(found(&marks), plainly(&bytes), "{byte:#x} at {place} of {length}");
                    }
                    assert_eq!(found(&by_words), found(&marks), "{byte:#x} at {place} of {length}, by words");
                }
            }
        }
    }

    #[test]
    fn escaped_quotes_are_none() {
        let mut marks = Marks::default();
        marks.set(br#"{"a\"":"\\","b":"\\\""}"#);
        assert_eq!(found(&marks).0, [1, 5, 7, 10, 12, 14, 16, 21]);
        marks.set(b"");
        assert_eq!(found(&marks), (vec![], false, false));
    }
}
