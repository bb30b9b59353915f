//! Avro's binary encoding, read from the front; everything is checked, also what is skipped.

use super::plan::{Skip, SkipIndex};

/// The bytes of a datum that have not been read yet.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// What no writer with this schema makes, at `rest`.
    broken: &'static str,
}

/// Values within values; as deep as JSON may be nested.
const DEPTH_MAX: u32 = 128;

impl<'a> Cursor<'a> {
    #[inline]
    pub fn new(datum: &'a [u8]) -> Self {
        Self { rest: datum, broken: "" }
    }

    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What is wrong with the bytes at [`Cursor::rest`], once something has answered `None`.
    pub fn fault(&self) -> &'static str {
        self.broken
    }

    #[cold]
    pub fn broken<T>(&mut self, what: &'static str) -> Option<T> {
        self.broken = what;
        None
    }

    /// A variable-length zigzag integer of 64 bits.
    #[inline(always)]
    pub fn long(&mut self) -> Option<i64> {
        let value = match *self.rest {
            [first, ref behind @ ..] if first < 0x80 => {
                self.rest = behind;
                u64::from(first)
            }
            _ => self.long_of_many()?,
        };
        Some((value >> 1) as i64 ^ (value as i64 & 1).wrapping_neg())
    }

    #[inline(never)]
    fn long_of_many(&mut self) -> Option<u64> {
        if let Some(bytes) = self.rest.first_chunk::<8>()
            && let Some((value, length)) = long_within_eight(u64::from_le_bytes(*bytes))
        {
            self.rest = self.rest.get(length..)?;
            return Some(value);
        }
        let mut value = 0_u64;
        for (place, byte) in self.rest.iter().enumerate().take(10) {
            // The tenth byte has room for one bit.
            if place == 9 && *byte > 1 {
                return self.broken("an integer of more than 64 bits");
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                self.rest = &self.rest[place + 1..];
                return Some(value);
            }
        }
        self.broken("an integer cut off")
    }

    #[inline]
    pub fn int(&mut self) -> Option<i32> {
        let value = self.long()?;
        i32::try_from(value).ok().or_else(|| self.broken("an int of more than 32 bits"))
    }

    /// The index of a branch or symbol.
    #[inline]
    pub fn index(&mut self, count: usize) -> Option<usize> {
        let index = self.long()?;
        let index = usize::try_from(index).ok().filter(|index| *index < count);
        index.or_else(|| self.broken("no such branch or symbol"))
    }

    #[inline]
    pub fn boolean(&mut self) -> Option<bool> {
        match self.fixed(1)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => self.broken("a boolean that is neither 0 nor 1"),
        }
    }

    #[inline]
    pub fn fixed(&mut self, size: usize) -> Option<&'a [u8]> {
        let Some((bytes, behind)) = self.rest.split_at_checked(size) else { return self.broken("cut off") };
        self.rest = behind;
        Some(bytes)
    }

    pub fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let Some((bytes, behind)) = self.rest.split_first_chunk::<N>() else { return self.broken("cut off") };
        self.rest = behind;
        Some(*bytes)
    }

    #[inline]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(length) => self.fixed(length),
            Err(_) => self.broken("a length below zero"),
        }
    }

    #[inline]
    pub fn text(&mut self) -> Option<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).ok().or_else(|| self.broken("a text that is not UTF-8"))
    }

    /// Passes over a text; its length in bytes. Most are ASCII, which is quicker to see than what characters there are.
    #[inline]
    pub fn skip_text(&mut self) -> Option<usize> {
        let bytes = self.bytes()?;
        if is_ascii(bytes) || std::str::from_utf8(bytes).is_ok() {
            return Some(bytes.len());
        }
        self.broken("a text that is not UTF-8")
    }

    /// The blocks of an array or a map. Items of no width are counted, not visited.
    fn blocks(&mut self, no_width: bool, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Some(());
            }
            let size = if count < 0 { Some(self.long()?) } else { None };
            let before = self.rest.len();
            if !no_width {
                // Every item takes at least a byte.
                if count.unsigned_abs() > before as u64 {
                    return self.broken("a block cut off");
                }
                for _ in 0..count.unsigned_abs() {
                    item(self)?;
                }
            }
            if size.is_some_and(|size| usize::try_from(size) != Ok(before - self.rest.len())) {
                return self.broken("a block of another size than it says");
            }
        }
    }

    /// A map of texts, as its blocks, the closing empty one included.
    pub fn text_map(&mut self) -> Option<&'a [u8]> {
        let whole = self.rest;
        self.blocks(false, |cursor| {
            cursor.skip_text()?;
            cursor.skip_text().map(drop)
        })?;
        Some(&whole[..whole.len() - self.rest.len()])
    }

    #[inline]
    pub fn skip(&mut self, skips: &[Skip], index: SkipIndex) -> Option<()> {
        self.skip_within(skips, index, 0)
    }

    fn skip_within(&mut self, skips: &[Skip], index: SkipIndex, depth: u32) -> Option<()> {
        if depth > DEPTH_MAX {
            return self.broken("nested too deep");
        }
        match &skips[index] {
            Skip::Nothing => Some(()),
            Skip::Boolean => self.boolean().map(drop),
            Skip::Int => self.int().map(drop),
            Skip::Long => self.long().map(drop),
            Skip::Bytes => self.bytes().map(drop),
            Skip::Text => self.skip_text().map(drop),
            Skip::Fixed(size) => self.fixed(*size).map(drop),
            Skip::Enum(symbols) => self.index(*symbols).map(drop),
            Skip::Union(branches) => {
                let branch = self.index(branches.len())?;
                self.skip_within(skips, branches[branch], depth + 1)
            }
            Skip::Record { fields, no_width: false } => {
                fields.iter().try_for_each(|field| self.skip_within(skips, *field, depth + 1))
            }
            Skip::Record { .. } => Some(()),
            Skip::Array { items, no_width } => {
                self.blocks(*no_width, |cursor| cursor.skip_within(skips, *items, depth + 1))
            }
            Skip::Map(values) => self.blocks(false, |cursor| {
                cursor.skip_text()?;
                cursor.skip_within(skips, *values, depth + 1)
            }),
        }
    }
}

/// The bits of an integer that ends within eight bytes, the first byte lowest, and in how many bytes it does.
#[inline]
const fn long_within_eight(bytes: u64) -> Option<(u64, usize)> {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let ends = !bytes & HIGH;
    if ends == 0 {
        return None;
    }
    // All bits up to the first byte that says that none follows.
    let sevens = bytes & (ends ^ ends.wrapping_sub(1)) & !HIGH;
    let pairs = (sevens & 0x007f_007f_007f_007f) | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    let value = (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4;
    Some((value, ends.trailing_zeros() as usize / 8 + 1))
}

/// By words of eight bytes; the last one may overlap the one before.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks::<8>();
    let high = words.iter().fold(0, |high, word| high | u64::from_ne_bytes(*word));
    let tail = match bytes.last_chunk::<8>() {
        Some(last) => u64::from_ne_bytes(*last),
        None => rest.iter().fold(0, |high, byte| high | u64::from(*byte)),
    };
    (high | tail) & HIGH == 0
}
