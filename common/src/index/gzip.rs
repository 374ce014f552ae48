//! One gzip member, written in blocks that are compressed independently.
//!
//! Each block is a raw deflate stream that ends on a byte boundary, so blocks can be made on all cores and concatenated in
//! order. Browsers reject anything after the first gzip member, so there is only one.

use crc32fast::Hasher;
use flate2::{Compress, CompressError, Compression, FlushCompress, Status};

use super::generation::Generation;

/// Magic number, deflate, no flags, no time (the same content gives the same bytes), unknown system.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The level for all other files: about as large as with `gzip -6`.
pub(super) const USUAL: Compression = Compression::new(6);

/// The level for the driver index, which is half of all text: takes 0.7 of the time and makes it 1.4 % larger. At 300,000
/// entries that is 0.7 % more than `gzip -6`; other files would be 2 % larger than with `gzip -6`.
pub(super) const FASTER: Compression = Compression::new(5);

/// The last deflate block: empty, and marked final.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// A compressed part of a member.
#[derive(Debug)]
pub(super) struct Block {
    /// The deflate stream, up to a byte boundary.
    pub(super) bytes: Vec<u8>,
    /// How long its text is.
    pub(super) text_bytes: usize,
    sum: Hasher,
}

/// The compressor returned a wrong result, which was not written to any file.
#[derive(Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("compressing the index failed: {why} after {taken} of {given} bytes")]
pub struct NotCompressed {
    why: String,
    taken: u64,
    given: usize,
}

impl Block {
    /// Compresses `text`, with a new compressor each time, since the bytes must depend only on the text.
    pub(super) fn new(text: &[u8], level: Compression) -> Result<Self, NotCompressed> {
        let mut compress = Compress::new(level, false);
        let step = |rest: &[u8], bytes: &mut Vec<u8>| {
            let status = compress.compress_vec(rest, bytes, FlushCompress::Sync);
            (compress.total_in(), status)
        };
        let bytes = compressed(text, step)?;
        let mut sum = Hasher::new();
        sum.update(text);
        Ok(Self { bytes, text_bytes: text.len(), sum })
    }
}

/// Compresses and flushes all of `text`. `step` compresses as much of its input as fits the output, and returns how much of
/// the text it has consumed in total.
fn compressed(
    text: &[u8],
    mut step: impl FnMut(&[u8], &mut Vec<u8>) -> (u64, Result<Status, CompressError>),
) -> Result<Vec<u8>, NotCompressed> {
    let mut bytes = Vec::with_capacity(text.len() / 4 + 256);
    let mut taken = 0;
    loop {
        let failed = |why: String, taken| NotCompressed { why, taken, given: text.len() };
        let rest = usize::try_from(taken).ok().and_then(|taken| text.get(taken..));
        let rest = rest.ok_or_else(|| failed("it claims more than it was given".to_owned(), taken))?;
        let status;
        (taken, status) = step(rest, &mut bytes);
        match status {
            Ok(Status::Ok | Status::BufError) => {}
            Ok(Status::StreamEnd) => return Err(failed("the stream ended".to_owned(), taken)),
            Err(error) => return Err(failed(error.to_string(), taken)),
        }
        // If there is room left in the output, all of the input was compressed and flushed.
        if bytes.len() < bytes.capacity() {
            let is_all = usize::try_from(taken) == Ok(text.len());
            return if is_all { Ok(bytes) } else { Err(failed("it stopped".to_owned(), taken)) };
        }
        bytes.reserve(bytes.capacity() / 2);
    }
}

/// The running checksum of all blocks.
#[derive(Debug, Default)]
pub(super) struct Trailer(Hasher);

impl Trailer {
    /// Adds a block. Call this in the order in which blocks are written.
    pub(super) fn add(&mut self, block: &Block) {
        self.0.combine(&block.sum);
    }

    /// The generation, once all blocks are added. `json_bytes` is the total length of their text.
    pub(super) fn generation(self, json_bytes: u64) -> Generation {
        Generation { crc: self.0.finalize(), json_bytes }
    }
}

/// The last bytes of a member.
#[expect(clippy::cast_possible_truncation, reason = "the format has the length modulo 2^32")]
pub(super) fn ending(Generation { crc, json_bytes }: Generation) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&LAST_BLOCK);
    bytes[2..6].copy_from_slice(&crc.to_le_bytes());
    bytes[6..].copy_from_slice(&(json_bytes as u32).to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::bufread::GzDecoder;
    use proptest::prelude::*;
    use std::io::Read as _;

    fn member(parts: &[Vec<u8>]) -> Vec<u8> {
        let (mut file, mut trailer, mut length) = (HEADER.to_vec(), Trailer::default(), 0);
        for part in parts {
            let block = Block::new(part, USUAL).unwrap();
            trailer.add(&block);
            length += part.len() as u64;
            file.extend(&block.bytes);
        }
        file.extend(ending(trailer.generation(length)));
        file
    }

    fn check(parts: &[Vec<u8>]) {
        let file = member(parts);
        let mut decoder = GzDecoder::new(file.as_slice());
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        assert_eq!(text, parts.concat());
        assert!(decoder.into_inner().is_empty(), "one member");
    }

    #[test]
    fn blocks_that_do_not_compress_are_whole_too() {
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(300_000).collect();
        check(&[noise.clone(), vec![b'x'; 2_000_000], noise]);
        check(&[]);
    }

    #[test]
    fn a_compressor_that_fails_is_an_error_and_no_block() {
        let text = [b'x'; 1000];
        let error = |taken, status: fn() -> Result<Status, CompressError>| {
            compressed(&text, |_, bytes| {
                bytes.push(0);
                (taken, status())
            })
            .unwrap_err()
            .to_string()
        };
        let ok = || Ok(Status::Ok);
        assert_eq!(error(10, ok), "compressing the index failed: it stopped after 10 of 1000 bytes");
        assert_eq!(error(0, || Ok(Status::BufError)), "compressing the index failed: it stopped after 0 of 1000 bytes");
        let ended = error(1000, || Ok(Status::StreamEnd));
        assert_eq!(ended, "compressing the index failed: the stream ended after 1000 of 1000 bytes");
        // A real error: data after the end of a stream.
        let misused = || {
            let mut compress = Compress::new(USUAL, false);
            compress.compress_vec(b"", &mut Vec::with_capacity(100), FlushCompress::Finish)?;
            compress.compress_vec(b"more", &mut Vec::with_capacity(100), FlushCompress::None)
        };
        assert!(error(4, misused).ends_with("after 4 of 1000 bytes"));
        // It fills its output, and claims what it did not get.
        let claims = compressed(&text, |_, bytes| {
            bytes.resize(bytes.capacity(), 0);
            (1001, ok())
        });
        assert_eq!(claims.unwrap_err().taken, 1001);
    }

    proptest! {
        /// However little a compressor takes at a time, it gets all of it.
        #[test]
        fn a_compressor_may_take_any_steps(text in proptest::collection::vec(any::<u8>(), 0..5000), steps in 1_usize..9) {
            let mut seen = Vec::new();
            let done = compressed(&text, |rest, bytes| {
                seen.extend_from_slice(&rest[..rest.len().min(text.len() / steps + 1)]);
                // A full output says that there is more to do.
                bytes.resize(bytes.capacity(), 0);
                bytes.reserve(usize::from(seen.len() == text.len()));
                (seen.len() as u64, Ok(Status::Ok))
            });
            prop_assert!(done.is_ok());
            prop_assert_eq!(seen, text);
        }

        #[test]
        fn any_parts_are_one_member(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..6)) {
            check(&parts);
        }
    }
}
