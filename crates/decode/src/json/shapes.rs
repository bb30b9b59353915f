//! The order of keys in recent records, as bytes: what stands between two values is guessed, and only compared.
//!
//! A guess that fits is as good as reading, since the same bytes were read before at such a place. One that doesn't
//! costs a comparison. So nothing here decides what is accepted.

use streamgauge_events::Field;

/// What a key stands for.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// `None`: the kind has no such field.
    pub field: Option<Field>,
    /// A bit of its own for each field, none where there is no field.
    pub bit: u32,
    /// Somebody reads it.
    pub kept: bool,
    /// The largest number that it may be, either way, if it is one.
    pub max: i64,
}

/// From the end of a value to the next one: `,"route":`. Zeros behind it, and masks that leave out as many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Literal {
    halves: [u128; 2],
    masks: [u128; 2],
    pub length: usize,
    pub member: Member,
}

/// Enough for `, "environment": ` and names half as long again. Longer ones are read every time.
const BYTES_MAX: usize = 32;
const HALF: usize = BYTES_MAX / 2;

impl Literal {
    /// `None` where it is too long.
    fn new(bytes: &[u8], member: Member) -> Option<Self> {
        let (mut text, mut mask) = ([0; BYTES_MAX], [0; BYTES_MAX]);
        text.get_mut(..bytes.len())?.copy_from_slice(bytes);
        mask[..bytes.len()].fill(0xff);
        Some(Self { halves: halves(&text), masks: halves(&mask), length: bytes.len(), member })
    }

    #[inline(always)]
    pub fn stands_at(&self, record: &[u8], at: usize) -> bool {
        let Some(rest) = record.get(at..) else { return false };
        if self.length <= HALF
            && let Some(head) = rest.first_chunk::<HALF>()
        {
            return u128::from_le_bytes(*head) & self.masks[0] == self.halves[0];
        }
        self.stands_before(rest)
    }

    /// Long ones, and those near the end of the record.
    #[inline(never)]
    fn stands_before(&self, rest: &[u8]) -> bool {
        let mut text = [0; BYTES_MAX];
        let length = rest.len().min(BYTES_MAX);
        text[..length].copy_from_slice(&rest[..length]);
        let [head, tail] = halves(&text);
        length >= self.length && head & self.masks[0] == self.halves[0] && tail & self.masks[1] == self.halves[1]
    }
}

fn halves(bytes: &[u8; BYTES_MAX]) -> [u128; 2] {
    let (halves, _) = bytes.as_chunks::<HALF>();
    [u128::from_le_bytes(halves[0]), u128::from_le_bytes(halves[1])]
}

#[derive(Debug, Default)]
struct Shape {
    literals: Vec<Literal>,
    /// Records that had it from first to last; halved when a shape is learned.
    hits: u32,
}

/// Producers that share a topic are few, or write alike.
const SHAPES_MAX: usize = 4;
/// More members than an event has fields, and some that it has not.
const LITERALS_MAX: usize = 40;
/// Learning costs as much as reading a record once more; keys in ever new orders shall not pay for it every time.
const RECORDS_BETWEEN_LESSONS: u32 = 16;

/// The shapes of recent records.
#[derive(Debug, Default)]
pub struct Shapes {
    shapes: Vec<Shape>,
    /// The one that the last record had.
    current: usize,
    records_until_lesson: u32,
}

/// Which shape the record has that is being read, as far as that is known.
pub struct Guesses<'s> {
    shapes: &'s [Shape],
    current: usize,
    /// Keys of this record that no shape has told.
    missed: u32,
}

impl<'s> Guesses<'s> {
    /// What stands before each of the values of the record, if it is like the last one.
    #[inline]
    pub fn expected(&self) -> &'s [Literal] {
        self.shapes.get(self.current).map_or(&[], |shape| &shape.literals)
    }

    /// After a wrong guess: some members left out, or another shape. What stands at `at` is the first of the answer.
    #[inline(never)]
    pub fn elsewhere(&mut self, record: &[u8], at: usize, expected: &[Literal]) -> Option<&'s [Literal]> {
        // The first literal opens the object, the others don't.
        let next = if at == 0 { 0 } else { (self.expected().len() - expected.len()).max(1) };
        let ahead = if at == 0 { 0..0 } else { 1..4 };
        let current = self.current;
        let others = (0..self.shapes.len()).filter(|other| *other != current).map(|other| (other, next));
        let mut places = ahead.map(|more| (current, next + more)).chain(others);
        places.find_map(|(shape, place)| {
            let literals = self.shapes.get(shape)?.literals.get(place..)?;
            literals.first().filter(|literal| literal.stands_at(record, at))?;
            self.current = shape;
            Some(literals)
        })
    }

    /// After a key that had to be read: what stands behind it, if the shape has it, else what was expected before.
    pub fn read<'l>(&mut self, member: Member, expected: &'l [Literal]) -> &'l [Literal]
    where
        's: 'l,
    {
        self.missed += 1;
        let literals = self.expected();
        let known = |literal: &Literal| literal.member.bit == member.bit && member.field.is_some();
        match literals.iter().position(known) {
            Some(place) => &literals[place + 1..],
            // Whatever is next, it is not the first one.
            None if expected.len() == literals.len() => literals.get(1..).unwrap_or_default(),
            None => expected,
        }
    }

    /// At the end of a record.
    #[inline]
    pub fn told(&self) -> Told {
        Told { shape: self.current, missed: self.missed }
    }
}

/// Which shape a record had at its end, and how many of its keys had to be read.
#[derive(Clone, Copy)]
pub struct Told {
    shape: usize,
    missed: u32,
}

impl Shapes {
    /// Before the first key.
    #[inline]
    pub fn guesses(&self) -> Guesses<'_> {
        Guesses { shapes: &self.shapes, current: self.current, missed: 0 }
    }

    /// After a record that was accepted: whether it should be learned.
    #[inline]
    pub fn end(&mut self, told: Told) -> bool {
        self.current = told.shape;
        self.records_until_lesson = self.records_until_lesson.saturating_sub(1);
        if told.missed > 0 {
            return self.shapes.len() < SHAPES_MAX || self.records_until_lesson == 0;
        }
        if let Some(shape) = self.shapes.get_mut(self.current) {
            shape.hits = shape.hits.saturating_add(1);
        }
        false
    }

    /// Learns a record by its literals. The shape that was of least use makes room.
    pub fn learn<'r>(&mut self, literals: impl Iterator<Item = (&'r [u8], Member)>) {
        self.records_until_lesson = RECORDS_BETWEEN_LESSONS;
        let learned = literals.take(LITERALS_MAX).map_while(|(bytes, member)| Literal::new(bytes, member)).collect();
        let shape = Shape { literals: learned, hits: 1 };
        if self.shapes.len() < SHAPES_MAX {
            self.shapes.push(shape);
            self.current = self.shapes.len() - 1;
            return;
        }
        for shape in &mut self.shapes {
            shape.hits /= 2;
        }
        let least = (0..self.shapes.len()).min_by_key(|index| self.shapes[*index].hits).unwrap_or(0);
        self.shapes[least] = shape;
        self.current = least;
    }
}
