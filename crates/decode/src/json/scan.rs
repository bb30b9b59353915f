//! Walking over the text of a record by the JSON grammar. `None` says "not so sure": the exact way decides then.

use std::borrow::Cow;

use streamgauge_events::json_number;

use super::marks::Marks;

/// The text of a record and what is known of its bytes.
#[derive(Clone, Copy)]
pub struct Scan<'a, 'm> {
    pub text: &'a str,
    pub marks: &'m Marks,
}

/// What stands behind a value, or at the beginning of a record.
pub enum Next {
    /// A key, as bytes between its quotes, and where its value begins.
    Key { start: usize, end: usize, value_at: usize },
    /// The end of the object, and nothing behind it.
    End,
}

/// Deeper values are left to the exact way: so many levels fit into one word.
const DEPTH_MAX: u32 = 64;

const fn is_blank(byte: u8) -> bool {
    byte <= b' ' && matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

impl<'a> Scan<'a, '_> {
    #[inline(always)]
    pub fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    #[inline(always)]
    fn blank(&self, mut at: usize) -> usize {
        while self.byte(at).is_some_and(is_blank) {
            at = at.wrapping_add(1);
        }
        at
    }

    /// What follows at `at`, which is the beginning of the record or the end of a value.
    pub fn next(&self, at: usize, first: bool) -> Option<Next> {
        let mut at = self.blank(at);
        match self.byte(at)? {
            b'{' if first => {
                at = self.blank(at + 1);
                if self.byte(at)? == b'}' {
                    return self.end(at);
                }
            }
            b',' if !first => at = self.blank(at + 1),
            b'}' if !first => return self.end(at),
            _ => return None,
        }
        let (start, end) = self.string(at)?;
        Some(Next::Key { start, end, value_at: self.colon(end + 1)? })
    }

    fn end(&self, at: usize) -> Option<Next> {
        (self.blank(at + 1) == self.text.len()).then_some(Next::End)
    }

    #[inline(always)]
    fn colon(&self, at: usize) -> Option<usize> {
        let at = self.blank(at);
        (self.byte(at)? == b':').then(|| self.blank(at + 1))
    }

    /// What stands between the quotes of the string at `at`, no control character among it.
    #[inline(always)]
    pub fn string(&self, at: usize) -> Option<(usize, usize)> {
        if self.byte(at)? != b'"' {
            return None;
        }
        let start = at.wrapping_add(1);
        let end = self.marks.quote_from(start)?;
        if self.marks.controls && self.has_controls(start, end) {
            return None;
        }
        Some((start, end))
    }

    #[cold]
    fn has_controls(&self, start: usize, end: usize) -> bool {
        self.text.as_bytes()[start..end].iter().any(|byte| *byte < 0x20)
    }

    #[inline]
    fn has_escapes(&self, start: usize, end: usize) -> bool {
        self.marks.escapes && self.text.as_bytes()[start..end].contains(&b'\\')
    }

    /// The string between two quotes, its escapes resolved.
    #[inline(always)]
    pub fn unescaped(&self, start: usize, end: usize) -> Option<Cow<'a, str>> {
        if self.marks.escapes {
            return self.unescaped_if_escaped(start, end);
        }
        self.text.get(start..end).map(Cow::Borrowed)
    }

    #[cold]
    fn unescaped_if_escaped(&self, start: usize, end: usize) -> Option<Cow<'a, str>> {
        if self.has_escapes(start, end) {
            return serde_json::from_str::<String>(self.text.get(start - 1..=end)?).ok().map(Cow::Owned);
        }
        self.text.get(start..end).map(Cow::Borrowed)
    }

    /// As serde_json skips it: escapes are looked at, but not whether surrogates come in pairs.
    #[inline(always)]
    fn skip_string(&self, at: usize) -> Option<usize> {
        let (start, end) = self.string(at)?;
        if self.marks.escapes {
            self.check_escapes(start, end)?;
        }
        Some(end.wrapping_add(1))
    }

    #[cold]
    fn check_escapes(&self, start: usize, end: usize) -> Option<()> {
        let mut rest = self.text.as_bytes()[start..end].iter();
        while let Some(byte) = rest.next() {
            if *byte != b'\\' {
                continue;
            }
            match rest.next()? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                b'u' => {
                    for _ in 0..4 {
                        rest.next().filter(|digit| digit.is_ascii_hexdigit())?;
                    }
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// Whether `word` stands there; where it ends.
    #[inline(always)]
    pub fn word(&self, at: usize, word: &str) -> Option<usize> {
        self.text.as_bytes().get(at..)?.starts_with(word.as_bytes()).then(|| at + word.len())
    }

    /// The end of the object that begins at `at`, if it is flat, without blanks and escapes, and all of its values are
    /// strings and plain integers, as most attributes are. `None` otherwise: then [`Scan::skip`] decides.
    #[inline]
    pub fn skip_flat_object(&self, mut at: usize) -> Option<usize> {
        if self.marks.escapes || self.marks.controls {
            return None;
        }
        // Behind the opening brace, then behind each comma, stands a key.
        loop {
            let key = at.wrapping_add(1);
            if self.byte(key)? != b'"' {
                return None;
            }
            let colon = self.marks.quote_from(key.wrapping_add(1))?.wrapping_add(1);
            if self.byte(colon)? != b':' {
                return None;
            }
            let value = colon.wrapping_add(1);
            at = match self.byte(value)? {
                b'"' => self.marks.quote_from(value.wrapping_add(1))?.wrapping_add(1),
                b'1'..=b'9' => self.skip_digits(value)?,
                _ => return None,
            };
            match self.byte(at)? {
                b',' => {}
                b'}' => return Some(at.wrapping_add(1)),
                _ => return None,
            }
        }
    }

    /// The end of the value that begins at `at`.
    pub fn skip(&self, mut at: usize) -> Option<usize> {
        // One bit for each open value, the innermost lowest: 1 is an object.
        let (mut open, mut depth) = (0_u64, 0);
        loop {
            let mut closed = true;
            at = match self.byte(at)? {
                b'"' => self.skip_string(at)?,
                b't' => self.word(at, "true")?,
                b'f' => self.word(at, "false")?,
                b'n' => self.word(at, "null")?,
                byte @ (b'{' | b'[') => {
                    if depth == DEPTH_MAX {
                        return None;
                    }
                    let object = byte == b'{';
                    let inside = self.blank(at + 1);
                    if self.byte(inside)? == if object { b'}' } else { b']' } {
                        inside + 1
                    } else {
                        open = open << 1 | u64::from(object);
                        depth += 1;
                        closed = false;
                        if object { self.skip_key(inside)? } else { inside }
                    }
                }
                _ => self.skip_number(at)?,
            };
            if !closed {
                continue;
            }
            loop {
                if depth == 0 {
                    return Some(at);
                }
                at = self.blank(at);
                match (self.byte(at)?, open & 1 == 1) {
                    (b',', object) => {
                        at = self.blank(at + 1);
                        if object {
                            at = self.skip_key(at)?;
                        }
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        open >>= 1;
                        depth -= 1;
                        at += 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    #[inline(always)]
    fn skip_key(&self, at: usize) -> Option<usize> {
        self.colon(self.skip_string(at)?)
    }

    #[inline]
    fn skip_digits(&self, mut at: usize) -> Option<usize> {
        let start = at;
        while self.byte(at).is_some_and(|byte| byte.is_ascii_digit()) {
            at = at.wrapping_add(1);
        }
        (at > start).then_some(at)
    }

    /// The end of a number.
    pub fn skip_number(&self, at: usize) -> Option<usize> {
        let at = if self.byte(at)? == b'-' { at + 1 } else { at };
        let mut end = if self.byte(at)? == b'0' { at + 1 } else { self.skip_digits(at)? };
        if self.byte(end) == Some(b'.') {
            end = self.skip_digits(end + 1)?;
        }
        if matches!(self.byte(end), Some(b'e' | b'E')) {
            let signed = matches!(self.byte(end + 1), Some(b'+' | b'-'));
            end = self.skip_digits(end + 1 + usize::from(signed))?;
        }
        Some(end)
    }

    /// An integer from 0 to `max`, and its end.
    #[inline(always)]
    pub fn integer(&self, at: usize, max: i64) -> Option<(i64, usize)> {
        if let Some((value, end)) = self.plain_digits(at)
            && !matches!(self.byte(end), Some(b'.' | b'e' | b'E'))
        {
            return (value as i64 <= max).then_some((value as i64, end));
        }
        self.any_integer(at, max)
    }

    #[cold]
    fn any_integer(&self, at: usize, max: i64) -> Option<(i64, usize)> {
        let end = self.skip_number(at)?;
        let value = json_number::to_integer(&self.text[at..end]).ok()?;
        (0..=i128::from(max)).contains(&value).then_some((value as i64, end))
    }

    /// A decimal in millionths, at most `max` either way, and its end.
    #[inline]
    pub fn millionths(&self, at: usize, max: i64) -> Option<(i64, usize)> {
        let (value, end) = match self.plain_millionths(at) {
            Some(found) => found,
            None => {
                let end = self.skip_number(at)?;
                (json_number::to_millionths(&self.text[at..end])?, end)
            }
        };
        (value.unsigned_abs() <= max.unsigned_abs()).then_some((value, end))
    }

    /// At most eight digits, then at most six behind the point: no product can overflow.
    #[inline]
    fn plain_millionths(&self, at: usize) -> Option<(i64, usize)> {
        const POWERS: [u64; 7] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
        let negative = self.byte(at)? == b'-';
        let whole_at = at.wrapping_add(usize::from(negative));
        let (whole, mut end) = self.plain_digits(whole_at)?;
        if end - whole_at > 8 {
            return None;
        }
        let mut magnitude = whole.wrapping_mul(1_000_000);
        if self.byte(end) == Some(b'.') {
            let fraction_at = end.wrapping_add(1);
            let (fraction, fraction_end) = self.digits(fraction_at)?;
            let places = fraction_end - fraction_at;
            magnitude = magnitude.wrapping_add(fraction.wrapping_mul(*POWERS.get(places)?));
            end = fraction_end;
        }
        if matches!(self.byte(end), Some(b'e' | b'E')) {
            return None;
        }
        let value = magnitude as i64;
        Some((if negative { -value } else { value }, end))
    }

    /// Digits as they begin a number: no zero before others.
    #[inline(always)]
    fn plain_digits(&self, at: usize) -> Option<(u64, usize)> {
        let (value, end) = self.digits(at)?;
        (self.byte(at)? != b'0' || end == at.wrapping_add(1)).then_some((value, end))
    }

    /// At least one digit and at most 16, eight at once.
    #[inline(always)]
    fn digits(&self, start: usize) -> Option<(u64, usize)> {
        const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
        let rest = self.text.as_bytes().get(start..)?;
        let Some((first, rest)) = rest.split_first_chunk::<8>() else { return self.digits_before_end(start) };
        let (value, count) = leading_digits(*first);
        if count < 8 {
            return (count > 0).then_some((value, start.wrapping_add(count)));
        }
        let Some((second, rest)) = rest.split_first_chunk::<8>() else { return self.digits_before_end(start) };
        let (more, count) = leading_digits(*second);
        if count == 8 && rest.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let value = value.wrapping_mul(POWERS[count]).wrapping_add(more);
        Some((value, start.wrapping_add(8).wrapping_add(count)))
    }

    /// The same, one by one, where not enough bytes are left.
    #[inline(never)]
    fn digits_before_end(&self, start: usize) -> Option<(u64, usize)> {
        let end = self.skip_digits(start)?;
        let digits = self.text.as_bytes()[start..end].iter();
        let value = digits.fold(0_u64, |value, digit| value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
        (end <= start + 16).then_some((value, end))
    }
}

/// The value of the digits at the beginning, and how many there are.
#[inline(always)]
fn leading_digits(chunk: [u8; 8]) -> (u64, usize) {
    let digits = u64::from_le_bytes(chunk) ^ 0x3030_3030_3030_3030;
    // The highest bit of bytes from 10 on; carries only reach bytes behind one of those.
    let other = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    if other == 0 {
        return (eight_digits(digits), 8);
    }
    let count = other.trailing_zeros() / 8;
    // Zeros move in before them; in two steps, since all eight may go.
    let moved = (digits << 8).wrapping_shl(56_u32.wrapping_sub(8_u32.wrapping_mul(count)));
    (eight_digits(moved), count as usize)
}

/// Eight values of one digit each, the first one lowest, to one number: pairs, then fours, then all.
/// (Daniel Lemire, "Quickly parsing eight digits", 2018.)
#[inline]
const fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}
