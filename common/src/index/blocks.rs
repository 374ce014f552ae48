//! Formats and compresses the blocks of published files on all threads, and passes them on in order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use tokio_util::sync::CancellationToken;

use super::error::IndexError;
use super::gzip::Block;
use super::headroom::{BLOCK_BYTES, Plan, block_cost};
use super::parallel;

/// The threads and limits for making blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workers<'a> {
    pub(super) threads: usize,
    /// `None` without a limit.
    pub(super) plan: Option<Plan>,
    pub(super) level: Compression,
    pub(super) stop: &'a CancellationToken,
}

/// The blocks to make.
pub(super) struct Work<Size, Text> {
    pub(super) blocks: usize,
    /// Bytes held by everything else.
    pub(super) held: usize,
    /// Whether to pass on the text as well.
    pub(super) keep_text: bool,
    /// An upper bound of a block's text in bytes. Called only under a limit.
    pub(super) max_bytes: Size,
    /// Appends the text of a block.
    pub(super) text: Text,
}

/// Blocks that were started and not yet written.
struct Queue<Put> {
    /// How many blocks were started. They start in order, so the next block to write is always one of them.
    started: usize,
    /// Finished blocks that wait for an earlier one.
    finished: BTreeMap<usize, Finished>,
    /// How many blocks were written.
    written: usize,
    /// Bytes reserved for these blocks.
    reserved: usize,
    failed: bool,
    put: Put,
}

struct Finished {
    block: Block,
    text: Vec<u8>,
    cost: usize,
}

impl Workers<'_> {
    /// Makes all blocks, as many at a time as threads and memory allow, and passes them to `put` in order.
    pub(super) fn make<Put>(
        &self,
        work: &Work<impl Fn(usize) -> usize + Sync, impl Fn(usize, &mut Vec<u8>) + Sync>,
        put: Put,
    ) -> Result<(), IndexError>
    where
        Put: FnMut(usize, &Block, &[u8]) -> Result<(), IndexError> + Send,
    {
        let queue = Queue { started: 0, finished: BTreeMap::new(), written: 0, reserved: 0, failed: false, put };
        let (queue, changed) = (Mutex::new(queue), Condvar::new());
        parallel::fold(
            self.threads.min(work.blocks),
            work.blocks,
            1,
            || (),
            |(), number| {
                let mut end = End { queue: &queue, changed: &changed, succeeded: false };
                self.block(work, number, &queue, &changed)?;
                end.succeeded = true;
                Ok::<_, IndexError>(())
            },
        )?;
        Ok(())
    }

    /// Makes one block, and writes all blocks that are ready.
    fn block(
        &self,
        work: &Work<impl Fn(usize) -> usize, impl Fn(usize, &mut Vec<u8>)>,
        number: usize,
        queue: &Mutex<Queue<impl FnMut(usize, &Block, &[u8]) -> Result<(), IndexError>>>,
        changed: &Condvar,
    ) -> Result<(), IndexError> {
        let size = self.plan.map_or(BLOCK_BYTES, |_| (work.max_bytes)(number));
        let cost = block_cost(size);
        let mut waiting = lock(queue);
        while !waiting.failed && !self.starts(&waiting, number, cost, work.held)? {
            waiting = changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.failed {
            // Another block has the error.
            return Ok(());
        }
        waiting.started += 1;
        waiting.reserved += cost;
        drop(waiting);
        changed.notify_all();

        let mut text = Vec::with_capacity(size);
        (work.text)(number, &mut text);
        let block = Block::new(&text, self.level)?;
        let text = if work.keep_text { text } else { Vec::new() };
        lock(queue).finish(number, Finished { block, text, cost })
    }

    /// Whether a block can start now.
    fn starts<Put>(&self, queue: &Queue<Put>, number: usize, cost: usize, held: usize) -> Result<bool, IndexError> {
        if self.stop.is_cancelled() {
            return Err(IndexError::Stopped);
        }
        let in_flight = queue.started - queue.written;
        let fits = match self.plan {
            None => in_flight < self.threads * 2,
            Some(plan) if in_flight == 0 && cost > plan.blocks(held) => return Err(plan.too_small_for_block(cost)),
            Some(plan) => queue.reserved + cost <= plan.blocks(held),
        };
        Ok(queue.started == number && fits)
    }
}

impl<Put: FnMut(usize, &Block, &[u8]) -> Result<(), IndexError>> Queue<Put> {
    /// Adds a finished block, and writes all blocks that are next in order.
    fn finish(&mut self, number: usize, finished: Finished) -> Result<(), IndexError> {
        self.finished.insert(number, finished);
        while let Some(Finished { block, text, cost }) = self.finished.remove(&self.written) {
            (self.put)(self.written, &block, &text)?;
            self.written += 1;
            self.reserved -= cost;
        }
        Ok(())
    }
}

/// Guard that marks a block as ended, even on an error or a panic, since other threads may wait for it.
struct End<'a, Put> {
    queue: &'a Mutex<Queue<Put>>,
    changed: &'a Condvar,
    succeeded: bool,
}

impl<Put> Drop for End<'_, Put> {
    fn drop(&mut self) {
        lock(self.queue).failed |= !self.succeeded;
        self.changed.notify_all();
    }
}

fn lock<T>(queue: &Mutex<T>) -> MutexGuard<'_, T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::gzip::USUAL;
    use super::super::headroom::Headroom;
    use super::*;
    use crate::domain::Catalog;

    // Miri takes a second for a block.
    const BLOCKS: usize = if cfg!(miri) { 10 } else { 40 };

    /// Makes blocks whose text is their number, and returns those that were passed on.
    fn make(plan: Option<Plan>, text: impl Fn(usize, &mut Vec<u8>) + Sync) -> Result<Vec<usize>, IndexError> {
        let stop = CancellationToken::new();
        let workers = Workers { threads: 4, plan, level: USUAL, stop: &stop };
        let work = Work { blocks: BLOCKS, held: 0, keep_text: true, max_bytes: |_| 8, text };
        let mut seen = Vec::new();
        workers.make(&work, |number, block, text| {
            assert_eq!((block.text_bytes, text), (number.to_string().len(), number.to_string().as_bytes()));
            seen.push(number);
            Ok(())
        })?;
        Ok(seen)
    }

    fn number(number: usize, out: &mut Vec<u8>) {
        out.extend(number.to_string().bytes());
    }

    #[test]
    fn blocks_are_passed_on_in_order_with_and_without_a_limit() {
        let catalog =
            Catalog::from_toml("track = [{ id = 1, name = \"a\" }]\nclass = [{ id = 1, name = \"a\" }]").unwrap();
        let plan = Plan::new(Headroom::least(&catalog), &catalog, 4).unwrap();
        for plan in [None, Some(plan)] {
            assert_eq!(make(plan, number).unwrap(), (0..BLOCKS).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_or_a_panic_ends_all_threads() {
        let stop = CancellationToken::new();
        let workers = Workers { threads: 4, plan: None, level: USUAL, stop: &stop };
        let work = Work { blocks: BLOCKS, held: 0, keep_text: false, max_bytes: |_| 8, text: number };
        let result = workers.make(&work, |number, _, _| if number == 3 { Err(IndexError::Stopped) } else { Ok(()) });
        assert!(matches!(result, Err(IndexError::Stopped)));
        let panics = || make(None, |block, out| if block == 3 { panic!("block 3") } else { number(block, out) });
        assert!(std::panic::catch_unwind(panics).is_err());
    }
}
