//! Many sorted runs read as one, in the order of the index: key, place in the catalogue, position, place on the board.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use tokio_util::sync::CancellationToken;

use super::build::IndexError;
use super::runs::{Cursor, Run, RunWriter};
use super::sorted::{Boards, Sorted};
use crate::runtime::fs::FsError;

/// How many records are merged between looks at whether to stop.
const STRIDE: usize = 4096;

/// Runs read as one; records of boards that were not read to their end are left out.
#[derive(Debug)]
pub(super) struct Merge<'b> {
    boards: &'b Boards,
    cursors: BinaryHeap<Reverse<Box<Cursor>>>,
}

impl<'b> Merge<'b> {
    /// Stands on the first record.
    fn new(runs: Vec<Run>, buffer_bytes: usize, boards: &'b Boards) -> Result<Self, FsError> {
        let mut cursors = Vec::with_capacity(runs.len());
        for run in runs {
            let mut cursor = Box::new(Cursor::new(run, buffer_bytes));
            if go_on(&mut cursor, boards)? {
                cursors.push(Reverse(cursor));
            }
        }
        Ok(Self { boards, cursors: cursors.into() })
    }

    /// The run that stands on the record which comes next; `None` at the end.
    pub(super) fn peek(&self) -> Option<&Cursor> {
        self.cursors.peek().map(|Reverse(cursor)| &**cursor)
    }

    /// Goes to the next record.
    pub(super) fn advance(&mut self) -> Result<(), FsError> {
        if let Some(mut first) = self.cursors.peek_mut()
            && !go_on(&mut first.0, self.boards)?
        {
            PeekMut::pop(first);
        }
        Ok(())
    }
}

/// Goes to the next record that is not void; says whether there is one.
fn go_on(cursor: &mut Cursor, boards: &Boards) -> Result<bool, FsError> {
    while cursor.advance()? {
        if boards.of(cursor.numbers()).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Merges runs into fewer until all that are left can be read at the same time, and reads those.
pub(super) fn merge<'b>(sorted: &'b Sorted, stop: &CancellationToken) -> Result<Merge<'b>, IndexError> {
    let Sorted { plan, place, runs, boards, .. } = sorted;
    let largest = runs.iter().map(|run| run.largest).max().unwrap_or(0);
    let cost = Cursor::cost(plan.buffer, largest);
    // A run that is written takes about as much as one that is read.
    let together = (plan.cursors / cost).saturating_sub(1).max(1);
    if together < 2 && runs.len() > 1 {
        return Err(plan.too_small(|plan| plan.cursors >= 3 * cost));
    }
    let mut runs: std::collections::VecDeque<Run> = runs.iter().cloned().collect();
    while runs.len() > together {
        // As few as will do: what is not merged now needs not be written again.
        let few = together.min(runs.len() - together + 1);
        let mut merge = Merge::new(runs.drain(..few).collect(), plan.buffer, boards)?;
        let mut writer = RunWriter::new(place.file()?, 0, Vec::with_capacity(plan.buffer));
        let mut merged = 0usize;
        while let Some(cursor) = merge.peek() {
            if merged.is_multiple_of(STRIDE) && stop.is_cancelled() {
                return Err(IndexError::Stopped);
            }
            writer.push(&cursor.record())?;
            merge.advance()?;
            merged += 1;
        }
        runs.push_back(writer.end()?.0);
    }
    Ok(Merge::new(runs.into(), plan.buffer, boards)?)
}
