//! One gzip member written in blocks that were compressed apart from one another.
//!
//! Each block is a raw deflate stream that ends on a byte boundary, so blocks can be made on all cores and put
//! together in order. Browsers that fetch these files refuse anything after the first member, so there is only one.

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};

use super::generation::Generation;

/// Magic number, deflate, no flags, no time (the same content gives the same bytes), unknown system.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The last deflate block: empty, and marked final.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// A compressed part of a member.
#[derive(Debug)]
pub(super) struct Block {
    /// The deflate stream, up to a byte boundary.
    pub(super) bytes: Vec<u8>,
    sum: Hasher,
}

impl Block {
    /// Compresses `text`. The compressor is a new one each time, for the bytes may depend on nothing but the text.
    pub(super) fn new(text: &[u8]) -> Self {
        let mut sum = Hasher::new();
        sum.update(text);
        let mut compress = Compress::new(Compression::new(6), false);
        let mut bytes = Vec::with_capacity(text.len() / 4 + 256);
        loop {
            let rest = &text[usize::try_from(compress.total_in()).unwrap_or(text.len())..];
            let status = compress.compress_vec(rest, &mut bytes, FlushCompress::Sync);
            debug_assert!(matches!(status, Ok(Status::Ok | Status::BufError)), "{status:?}");
            // With room left in the output, all of the input is in it and flushed.
            if bytes.len() < bytes.capacity() {
                return Self { bytes, sum };
            }
            bytes.reserve(bytes.capacity() / 2);
        }
    }
}

/// The checksum of all blocks, while they are written.
#[derive(Debug, Default)]
pub(super) struct Trailer(Hasher);

impl Trailer {
    /// Counts a block in; in the order in which they are written.
    pub(super) fn add(&mut self, block: &Block) {
        self.0.combine(&block.sum);
    }

    /// All blocks are in; `json_bytes` is the length of their text.
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
            let block = Block::new(part);
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

    proptest! {
        #[test]
        fn any_parts_are_one_member(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..6)) {
            check(&parts);
        }
    }
}
