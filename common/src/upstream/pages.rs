//! A board while its pages arrive: whether a page continues the one before it, and whether it is the last.
//!
//! Each page after the first is asked for from the last entry of the one before, and has to begin with that entry. So an entry
//! that was inserted or removed meanwhile, which moves all that follow, is noticed: without it, one entry would stand twice in the
//! board, or be missing. It also means that no request begins beyond the end of the board.

use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::quality::FixedState;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::page;
use super::request::{Ask, validators};
use crate::domain::{BoardSink, Combination, Lap, MAX_BOARD_ENTRIES, Validators};

/// The most pages of a board: even pages of 50 entries are enough for the largest one.
const MAX_PAGES: usize = 10_000;

/// Which page is taken for a board's last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastPage {
    /// One that is less than half as long as the longest of this run.
    Short,
    /// One that adds nothing to the page before it. This costs a request more, and finds what the other does not: pages that
    /// have become much shorter during the run.
    Empty,
}

/// The number of elements of the longest page so far: how many the service puts on a page at least, whatever it was asked for.
#[derive(Debug, Default)]
pub(super) struct LongestPage(AtomicUsize);

impl LongestPage {
    /// Whether a page with so many elements may have another behind it.
    fn may_continue(&self, listed: usize, last_page: LastPage) -> bool {
        let longest = self.0.fetch_max(listed, Ordering::Relaxed).max(listed);
        // With one element, the next page would begin where this one did.
        listed > 1 && (last_page == LastPage::Empty || listed >= longest / 2)
    }
}

/// What became of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// There may be another behind it.
    More,
    /// It was the last.
    Last,
    /// It does not continue the page before it.
    Changed,
    /// The board has not changed since the version that was named.
    NotModified,
}

/// A board while its pages arrive.
pub(super) struct Pages<'a, S> {
    board: Combination,
    name: &'a str,
    /// The version that the cached board has.
    unless: &'a Validators,
    last_page: LastPage,
    sink: Option<S>,
    /// How many pages were taken.
    taken: usize,
    /// How many elements they list, each counted once.
    listed: usize,
    /// How many of those are no entries.
    left_out: usize,
    /// What tells the first and the last element.
    ends: Option<(u64, u64)>,
}

impl<'a, S: BoardSink> Pages<'a, S> {
    pub(super) fn new(board: Combination, name: &'a str, unless: &'a Validators, last_page: LastPage) -> Self {
        Self { board, name, unless, last_page, sink: None, taken: 0, listed: 0, left_out: 0, ends: None }
    }

    /// Forgets what was taken, to begin again.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.board, self.name, self.unless, self.last_page);
    }

    pub(super) fn board(&self) -> Combination {
        self.board
    }

    /// The number of the element that the next page begins with.
    pub(super) fn start(&self) -> usize {
        self.listed.saturating_sub(1)
    }

    /// How to ask for the next page.
    pub(super) fn ask(&self) -> Ask<'a> {
        const ANY: &Validators = &Validators { etag: None, last_modified: None };
        // The version of the first page says nothing of those that follow.
        let unless = if self.taken == 0 { self.unless } else { ANY };
        Ask::Listing { board: self.board, start: self.start(), unless }
    }

    /// How many elements were no entries, or nested too deep.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Checks the next page, for which `asked` elements were asked, and only then takes its entries.
    pub(super) fn take(
        &mut self,
        text: &str,
        headers: &HeaderMap,
        asked: usize,
        longest: &LongestPage,
    ) -> Result<Taken, Failure> {
        let page = if self.taken == 0 { page::read_first(text, asked) } else { page::read(text, asked) }?;
        let ends = page.ends.map(|(first, last)| (identity(first), identity(last)));
        match (self.ends, ends) {
            (Some((_, last)), Some((first, _))) if first == last => {}
            // The service has ignored `start`, which does no harm where it had given all it has. Of a board that is doubted
            // this is not believed.
            (Some((first, _)), Some((again, _))) if first == again => {
                let is_whole = self.ends == ends && self.listed == page.listed && page.listed < asked;
                return if is_whole && self.taken == 1 && self.last_page == LastPage::Short {
                    Ok(Taken::Last)
                } else {
                    Err(Failure::Repeated { start: self.start() })
                };
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
        // Also where what was listed are no entries.
        if self.listed >= MAX_BOARD_ENTRIES {
            return Err(Failure::BoardTooLarge { entries: self.listed });
        }
        if self.taken == MAX_PAGES {
            return Err(Failure::TooManyPages { pages: MAX_PAGES });
        }
        Ok(Taken::More)
    }

    /// The board, once its last page was taken.
    pub(super) fn finish(self) -> S {
        self.sink.unwrap_or_else(|| S::begin(self.board, self.name, &Validators::default()))
    }
}

/// Tells an element of a board from others: an entry by its driver and lap time, which stay when other entries change its
/// position and gaps; anything else by its text.
fn identity(element: &RawValue) -> u64 {
    fn hash(value: impl Hash) -> u64 {
        FixedState::default().hash_one(value)
    }
    Lap::read(element).map_or_else(|| hash(element.get()), hash)
}

#[cfg(test)]
mod tests;
