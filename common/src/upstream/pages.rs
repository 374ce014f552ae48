//! The pages of one board: whether a page continues the previous one, and whether it is the last.
//!
//! Each page after the first is requested from the last entry of the previous one, and must begin with that entry. This
//! detects an insertion or removal between two requests, which shifts all entries behind it, so that one would be duplicated
//! or missing. It also means that no request begins beyond the end of the board.

use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::quality::FixedState;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::page;
use super::request::{RequestTarget, validators};
use crate::domain::{BoardSink, Combination, Lap, MAX_BOARD_ENTRIES, Validators};

/// Enough for the largest board even with pages of 50 entries.
const MAX_PAGES: usize = 10_000;

/// How the last page of a board is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastPage {
    /// It is less than half as long as the longest page of this run.
    Short,
    /// It adds nothing to the previous page. This takes another request, and works even if pages become much shorter during
    /// the run.
    Empty,
}

/// The length of the longest page so far: the service may send fewer entries than requested.
#[derive(Debug, Default)]
pub(super) struct LongestPage(AtomicUsize);

impl LongestPage {
    /// Whether another page may follow one with this many elements.
    fn may_continue(&self, listed: usize, last_page: LastPage) -> bool {
        let longest = self.0.fetch_max(listed, Ordering::Relaxed).max(listed);
        // After a page of one element, the next would begin at the same one.
        listed > 1 && (last_page == LastPage::Empty || listed >= longest / 2)
    }
}

/// What follows from a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Another page may follow.
    More,
    /// It was the last page.
    Last,
    /// It does not continue the previous page.
    Changed,
    /// The board is still the version that was given.
    NotModified,
}

/// The pages of one board.
pub(super) struct Pages<'a, S> {
    board: Combination,
    name: &'a str,
    /// The version of the cached board.
    unless: &'a Validators,
    last_page: LastPage,
    sink: Option<S>,
    /// The number of pages so far.
    taken: usize,
    /// The number of their elements, each counted once.
    listed: usize,
    /// How many of those are not usable.
    left_out: usize,
    /// The identities of the first and last element.
    ends: Option<(u64, u64)>,
    /// The `ends` of a board that came twice before the restart.
    repeated: Option<(u64, u64)>,
}

impl<'a, S: BoardSink> Pages<'a, S> {
    pub(super) fn new(board: Combination, name: &'a str, unless: &'a Validators, last_page: LastPage) -> Self {
        Self {
            board,
            name,
            unless,
            last_page,
            sink: None,
            taken: 0,
            listed: 0,
            left_out: 0,
            ends: None,
            repeated: None,
        }
    }

    /// Begins again from the first page.
    pub(super) fn restart(&mut self) {
        *self = Self { repeated: self.repeated, ..Self::new(self.board, self.name, self.unless, self.last_page) };
    }

    pub(super) fn board(&self) -> Combination {
        self.board
    }

    /// The number of the first element of the next page.
    pub(super) fn start(&self) -> usize {
        self.listed.saturating_sub(1)
    }

    /// The request for the next page.
    pub(super) fn target(&self) -> RequestTarget<'a> {
        const ANY: &Validators = &Validators { etag: None, last_modified: None };
        // The version is that of the first page.
        let unless = if self.taken == 0 { self.unless } else { ANY };
        RequestTarget::Listing { board: self.board, start: self.start(), unless }
    }

    /// The number of elements that were not usable.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Validates the next page of up to `requested` elements, then takes its entries.
    pub(super) fn take(
        &mut self,
        text: &str,
        headers: &HeaderMap,
        requested: usize,
        longest: &LongestPage,
    ) -> Result<Taken, Failure> {
        let page = if self.taken == 0 { page::read_first(text, requested) } else { page::read(text, requested) }?;
        let ends = page.ends.map(|(first, last)| (identity(first), identity(last)));
        match (self.ends, ends) {
            (Some((_, last)), Some((first, _))) if first == last => {}
            // The service ignored `start`. That is harmless if the first page was the whole board, unless the board is being
            // verified. But a page that was filled up from the front looks the same, such as a page of two after one insertion. So the
            // board must come twice like that.
            (Some((first, _)), Some((again, _))) if first == again => {
                let is_whole = self.ends == ends && self.listed == page.listed && page.listed < requested;
                if !is_whole || self.taken > 1 || self.last_page != LastPage::Short {
                    return Err(Failure::Repeated { start: self.start() });
                }
                let is_known = std::mem::replace(&mut self.repeated, ends) == ends;
                return Ok(if is_known { Taken::Last } else { Taken::Changed });
            }
            (Some(_), _) => return Ok(Taken::Changed),
            (None, _) => {}
        }
        let more = longest.may_continue(page.listed, self.last_page);
        let sink = self.sink.get_or_insert_with(|| {
            let validators = if more { Validators::default() } else { validators(headers) };
            S::begin(self.board, self.name, &validators)
        });
        let mut entries = page.entries.as_slice();
        let mut listed = page.listed;
        if self.taken > 0 {
            listed -= 1;
            let known = page.ends.map(|(first, _)| first);
            if let [first, rest @ ..] = entries
                && known.is_some_and(|known| std::ptr::eq(*first, known))
            {
                entries = rest;
            }
        }
        for entry in entries {
            if !sink.push(entry) {
                return Err(Failure::BoardTooLarge { entries: sink.entries() });
            }
        }
        self.taken += 1;
        self.listed += listed;
        self.left_out += listed - entries.len();
        self.ends = self.ends.zip(ends).map(|((first, _), (_, last))| (first, last)).or(ends);
        if !more {
            return Ok(Taken::Last);
        }
        // Elements count even if they are not usable.
        if self.listed >= MAX_BOARD_ENTRIES {
            return Err(Failure::BoardTooLarge { entries: self.listed });
        }
        if self.taken == MAX_PAGES {
            return Err(Failure::TooManyPages { pages: MAX_PAGES });
        }
        Ok(Taken::More)
    }

    /// The board, after its last page.
    pub(super) fn finish(self) -> S {
        self.sink.unwrap_or_else(|| S::begin(self.board, self.name, &Validators::default()))
    }
}

/// Identifies an entry by driver and lap time, which stay the same when other entries change its position and gaps, and any
/// other element by its text.
fn identity(element: &RawValue) -> u64 {
    fn hash(value: impl Hash) -> u64 {
        FixedState::default().hash_one(value)
    }
    Lap::read(element).map_or_else(|| hash(element.get()), hash)
}

#[cfg(test)]
mod tests;
