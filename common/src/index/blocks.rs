//! Blocks of published files: formatted and compressed on all threads, and handed on in order.

use tokio_util::sync::CancellationToken;

use super::error::IndexError;
use super::gzip::Block;
use super::headroom::{BLOCK_BYTES, Plan, block_cost};
use super::parallel;

/// What blocks are made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workers<'a> {
    pub(super) threads: usize,
    /// `None` without a limit.
    pub(super) plan: Option<Plan>,
    pub(super) stop: &'a CancellationToken,
}

/// Blocks to be made.
pub(super) struct Work<Size, Text> {
    pub(super) blocks: usize,
    /// Bytes that all else holds meanwhile.
    pub(super) held: usize,
    /// Whether texts are handed on too.
    pub(super) keep_text: bool,
    /// No fewer bytes than the text of a block takes. Asked only under a limit.
    pub(super) max_bytes: Size,
    /// Appends the text of a block.
    pub(super) text: Text,
}

impl Workers<'_> {
    /// Makes all blocks, as many at a time as there are threads and memory, and hands them to `put` in order.
    pub(super) fn make(
        &self,
        work: &Work<impl Fn(usize) -> usize, impl Fn(usize, &mut Vec<u8>) + Sync>,
        mut put: impl FnMut(usize, &Block, &[u8]) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let Work { text, keep_text, .. } = work;
        let mut first = 0;
        while first < work.blocks {
            let sizes = self.batch(work, first)?;
            let made = parallel::fold(self.threads, sizes.len(), 1, Vec::new, |made, number| {
                if self.stop.is_cancelled() {
                    return Err(IndexError::Stopped);
                }
                let mut written = Vec::with_capacity(sizes[number]);
                text(first + number, &mut written);
                let block = Block::new(&written)?;
                made.push((number, block, if *keep_text { written } else { Vec::new() }));
                Ok(())
            })?;
            let mut made: Vec<_> = made.into_iter().flatten().collect();
            made.sort_unstable_by_key(|(number, ..)| *number);
            for (number, block, text) in &made {
                put(first + number, block, text)?;
            }
            first += made.len();
        }
        Ok(())
    }

    /// How many bytes to set apart for each of the blocks that are made at the same time.
    fn batch<Text>(&self, work: &Work<impl Fn(usize) -> usize, Text>, first: usize) -> Result<Vec<usize>, IndexError> {
        let Some(plan) = self.plan else {
            return Ok(vec![BLOCK_BYTES; (self.threads * 2).min(work.blocks - first)]);
        };
        let mut left = plan.blocks(work.held);
        let mut sizes = Vec::new();
        for block in first..work.blocks.min(first + self.threads.max(1)) {
            let size = (work.max_bytes)(block);
            let cost = block_cost(size);
            if cost > left {
                if sizes.is_empty() {
                    return Err(plan.too_small_for_block(cost));
                }
                break;
            }
            left -= cost;
            sizes.push(size);
        }
        Ok(sizes)
    }
}
