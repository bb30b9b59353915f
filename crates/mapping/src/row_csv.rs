//! The fields of one CSV row (RFC 4180), lenient in the same way as the `csv` crate, which the tests use as an oracle.

use std::borrow::Cow;

/// Calls `with(index, field)` for each field and returns their number.
pub fn fields<'r>(row: &'r [u8], delimiter: u8, mut with: impl FnMut(usize, Cow<'r, [u8]>)) -> usize {
    let (mut rest, mut index) = (row, 0);
    loop {
        let (field, behind) = match rest.first() {
            Some(b'"') => quoted(&rest[1..], delimiter),
            _ => plain(rest, delimiter),
        };
        with(index, field);
        index += 1;
        match behind {
            Some(behind) => rest = behind,
            None => return index,
        }
    }
}

/// Up to the delimiter, and what stands behind it.
fn plain(rest: &[u8], delimiter: u8) -> (Cow<'_, [u8]>, Option<&[u8]>) {
    match rest.iter().position(|byte| *byte == delimiter) {
        Some(end) => (Cow::Borrowed(&rest[..end]), Some(&rest[end + 1..])),
        None => (Cow::Borrowed(rest), None),
    }
}

/// `rest` starts behind the opening quote. Text between a closing quote and the delimiter is kept as it is.
fn quoted(rest: &[u8], delimiter: u8) -> (Cow<'_, [u8]>, Option<&[u8]>) {
    let mut field: Cow<[u8]> = Cow::Borrowed(&[]);
    let mut from = 0;
    loop {
        let Some(quote) = rest[from..].iter().position(|byte| *byte == b'"').map(|at| from + at) else {
            append(&mut field, &rest[from..]);
            return (field, None);
        };
        append(&mut field, &rest[from..quote]);
        if rest.get(quote + 1) != Some(&b'"') {
            let (tail, behind) = plain(&rest[quote + 1..], delimiter);
            append(&mut field, &rest[quote + 1..quote + 1 + tail.len()]);
            return (field, behind);
        }
        append(&mut field, b"\"");
        from = quote + 2;
    }
}

fn append<'r>(field: &mut Cow<'r, [u8]>, more: &'r [u8]) {
    if field.is_empty() {
        *field = Cow::Borrowed(more);
    } else if !more.is_empty() {
        field.to_mut().extend_from_slice(more);
    }
}

#[cfg(test)]
mod tests {
    use super::fields;

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    #[test]
    fn agrees_with_the_csv_crate_on_random_rows() {
        let alphabet = [b'a', b'"', b',', b' ', b'"', b',', b'b'];
        let mut state = 7;
        for case in 0..20_000 {
            let length = 1 + next(&mut state) % 12;
            let row: Vec<u8> = (0..length).map(|_| alphabet[(next(&mut state) % 7) as usize]).collect();
            let mut ours = Vec::new();
            let count = fields(&row, b',', |index, field| {
                assert_eq!(index, ours.len());
                ours.push(field.into_owned());
            });
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&row[..]);
            let record = reader.byte_records().next().expect("the row isn't empty").expect("memory can be read");
            let theirs: Vec<Vec<u8>> = record.iter().map(<[u8]>::to_vec).collect();
            assert_eq!(ours, theirs, "case {case}: {}", String::from_utf8_lossy(&row));
            assert_eq!(count, ours.len());
        }
    }
}
