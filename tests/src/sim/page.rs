//! One page of a board as JSON, valid or deliberately invalid.

use std::ops::Range;

use r3e_common::domain::Combination;

use super::board::{Board, Edit, Version};
use super::entry;
use super::random::{Purpose, derive};
use super::text;
use super::world::World;

/// The most entries on a page, whatever is asked for.
pub(super) const PAGE_CAP: u64 = 1500;

/// How many extra entries a page has that is too long.
const TOO_MANY: u32 = 7;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) board: Combination,
    pub(super) start: u64,
    pub(super) count: u64,
}

/// A page of a board; of one that is not in the catalogue, it is empty.
pub(super) struct Page<'w> {
    asked: Asked,
    board: Option<Board<'w>>,
    /// What stands before and behind the results; other keys come and go.
    around: [&'static str; 2],
}

impl<'w> Page<'w> {
    pub(super) fn new(world: &'w World, asked: Asked) -> Self {
        let numbers = [asked.board.track.get().into(), asked.board.class.get().into(), asked.start];
        let mut rng = derive(world.seed, Purpose::Envelope, &numbers);
        let before = [r#"{"context":{"c":{"results":"#, r#"{"status":"ok","context":{"lang":"en","c":{"results":"#];
        let behind = ["}}}", r#","has_more":null},"user":{}},"messages":[]}"#];
        let around = [before[rng.usize(..2)], behind[rng.usize(..2)]];
        Self { asked, board: world.board(asked.board), around }
    }

    /// The entity tag: differs between pages, and after a change of the board.
    pub(super) fn tag(&self) -> String {
        let Asked { board, start, count } = self.asked;
        let (version, seed) = self.board.as_ref().map_or_else(Default::default, |it| (it.version, it.world.seed));
        let Version { generation, edit } = version;
        let edit = edit.map_or("", Edit::name);
        format!("W/\"{board}-{start}-{count}-{generation}{edit}-{seed:x}\"")
    }

    /// The correct page.
    pub(super) fn right(&self) -> String {
        self.around(|out| self.results(out, self.rows(self.asked.start)))
    }

    /// The page with results that are not an array; the number selects what they are.
    pub(super) fn wrong_type(&self, which: usize) -> String {
        let wrong = [r#"{"error":"x"}"#, "null", r#""temporarily unavailable""#];
        self.around(|out| out.push_str(wrong[which % wrong.len()]))
    }

    /// The page with results twice, the first ones made up.
    pub(super) fn doubled(&self) -> String {
        self.around(|out| {
            out.push_str(r#"[{"driver":{"name":"Nobody"},"index":0}],"results":"#);
            self.results(out, self.rows(self.asked.start));
        })
    }

    /// The first page, whatever was asked for.
    pub(super) fn first(&self) -> String {
        self.around(|out| self.results(out, self.rows(0)))
    }

    /// The page with more entries than requested: those of the next page, or, if there are none, its own entries again.
    pub(super) fn too_many(&self) -> String {
        let Range { start, end } = self.rows(self.asked.start);
        let wanted = u32::try_from(self.asked.count.min(PAGE_CAP)).unwrap_or(u32::MAX) + TOO_MANY;
        let length = self.board.as_ref().map_or(0, Board::len);
        // A page without entries has nothing to give.
        let rows = (start..length).chain((start..end).cycle()).take(if start < end { wanted as usize } else { 0 });
        self.around(|out| self.results(out, rows))
    }

    fn rows(&self, start: u64) -> Range<u32> {
        let length = u64::from(self.board.as_ref().map_or(0, Board::len));
        let bound = |row: u64| u32::try_from(row.min(length)).unwrap_or(u32::MAX);
        bound(start)..bound(start.saturating_add(self.asked.count.min(PAGE_CAP)))
    }

    fn around(&self, write: impl FnOnce(&mut String)) -> String {
        let mut out = String::with_capacity(256);
        out.push_str(self.around[0]);
        write(&mut out);
        out.push_str(self.around[1]);
        out
    }

    fn results(&self, out: &mut String, rows: impl Iterator<Item = u32>) {
        out.reserve(rows.size_hint().0.min(2000) * 1000);
        out.push('[');
        for (count, row) in rows.enumerate() {
            if count > 0 {
                out.push(',');
            }
            if let Some(board) = &self.board {
                entry::write(out, board, row);
            }
        }
        out.push(']');
    }
}

/// The page with a byte that is no UTF-8, in the first name if there is one.
pub(super) fn not_utf8(page: &str) -> Vec<u8> {
    let mark = r#""name":""#;
    let place = page.find(mark).map_or(page.len(), |place| place + mark.len());
    [&page.as_bytes()[..place], b"\xff", &page.as_bytes()[place..]].concat()
}

/// Valid JSON, a million arrays deep.
pub(super) fn deep() -> String {
    let depth = 1_000_000;
    [r#"{"context":{"c":{"results":"#, &"[".repeat(depth), &"]".repeat(depth), "}}}"].concat()
}

/// The HTML page of a board.
pub(super) fn html(title: &str, board: Option<Combination>) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><title>");
    out.push_str(title);
    out.push_str("</title></head><body><div id=\"leaderboard\"");
    if let Some(board) = board {
        out.push_str(" data-track=\"");
        text::number(&mut out, board.track.get());
        out.push_str("\" data-class=\"");
        text::number(&mut out, board.class.get());
        out.push('"');
    }
    out.push_str("></div></body></html>\n");
    out
}
