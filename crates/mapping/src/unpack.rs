//! A file, packed or not → its bytes. Told by the first bytes, never by a name.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// RFC 1952.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const INPUT_BUFFER_BYTES: usize = 64 * 1024;

/// The input itself, or what is packed in it.
pub fn unpacked(input: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut input = BufReader::with_capacity(INPUT_BUFFER_BYTES, input);
    // One byte from a pipe is not enough to tell: ask until there are two, or the end.
    let mut first = Vec::new();
    input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut first)?;
    let is_gzip = first == GZIP_MAGIC;
    let whole = io::Cursor::new(first).chain(input);
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(INPUT_BUFFER_BYTES, MultiGzDecoder::new(whole)))
    } else {
        Box::new(whole)
    })
}
