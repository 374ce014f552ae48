//! Updates the model on events, and decides what to do. Pure: it neither asks, waits nor draws.

use std::mem;
use std::time::Duration;

use crossterm::event::{KeyCode as Key, KeyEvent, KeyModifiers};
use r3e_common::runtime::control::{PurgeStats, Stats};

use super::app::{App, Details, ENDED_SHOWN, MAX_ENDED, Overlay, Page, Purging, Tab};
use super::process::{Process, State};
use super::sort::Sort;
use super::view;
use crate::ask::NoAnswer;
use crate::report::units::{bytes, signed_bytes};
use crate::sockets::Socket;

/// Upper bound for a filter, in characters.
const MAX_FILTER: usize = 64;

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The control sockets were listed.
    Listed(Result<Vec<Socket>, String>),
    /// A process was asked for its figures.
    Stats(Socket, Result<Box<Stats>, NoAnswer>),
    /// A process was told to purge.
    Purged(Socket, Result<Box<PurgeStats>, NoAnswer>),
    /// A process was asked for details.
    Details(Socket, Tab, Page),
    Key(KeyEvent),
    /// The terminal has that many columns and rows.
    Resized(u16, u16),
}

/// What the loop has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    /// Suspend the process.
    Suspend,
    /// Draw from scratch.
    Redraw,
    /// Tell these processes to purge.
    Purge(Vec<Socket>),
    /// Ask for details now instead of at the next poll.
    Details(Socket, Tab),
}

impl App {
    /// Handles an event.
    pub(super) fn update(&mut self, now: Duration, event: Event) -> Option<Action> {
        self.now = now;
        let mut action = None;
        match event {
            Event::Listed(found) => self.listed(found),
            Event::Stats(id, answer) => self.answered(id, answer),
            Event::Purged(id, answer) => self.purged(&id, answer),
            Event::Details(id, tab, page) => {
                if let Some(details) = &mut self.details
                    && details.id == id
                    && details.tab == tab
                {
                    details.page = Some(page);
                }
            }
            Event::Key(key) => action = self.key(key),
            Event::Resized(columns, rows) => self.size = (columns, rows),
        }
        self.settle();
        action
    }

    fn listed(&mut self, found: Result<Vec<Socket>, String>) {
        self.listed = true;
        let current = match found {
            Ok(current) => current,
            Err(why) => {
                // Without a list no process counts as ended.
                self.error = Some(why);
                return;
            }
        };
        self.error = None;
        for process in &mut self.processes {
            if process.ended_at().is_none() && !current.contains(&process.id) {
                process.state = State::Ended(self.now);
            }
        }
        self.forget();
    }

    /// Drops processes that ended a while ago, and the oldest of too many.
    fn forget(&mut self) {
        let now = self.now;
        self.processes.retain(|it| it.ended_at().is_none_or(|at| now.saturating_sub(at) < ENDED_SHOWN));
        while self.processes.len() - self.alive().count() > MAX_ENDED {
            let ended = self.processes.iter().enumerate().filter_map(|(at, it)| Some((it.ended_at()?, at)));
            if let Some((_, oldest)) = ended.min() {
                self.processes.remove(oldest);
            }
        }
    }

    fn answered(&mut self, id: Socket, answer: Result<Box<Stats>, NoAnswer>) {
        let now = self.now;
        let known = self.processes.iter().position(|it| it.id == id);
        if matches!(answer, Err(NoAnswer::Dead)) {
            // A stale socket is not a process: only one that was seen alive has ended.
            if let Some(process) = known.map(|at| &mut self.processes[at])
                && process.ended_at().is_none()
            {
                process.state = State::Ended(now);
            }
            return;
        }
        let at = known.unwrap_or_else(|| {
            self.processes.push(Process::new(id));
            self.processes.len() - 1
        });
        let process = &mut self.processes[at];
        match answer {
            Ok(stats) => {
                // Another process with the same id.
                if process.stats.as_ref().is_some_and(|before| before.started_at != stats.started_at) {
                    *process = Process::new(process.id.clone());
                }
                process.series.push(&stats.figures);
                process.eta.add(now, stats.progress.as_ref());
                process.state = State::Answers;
                process.stats = Some(*stats);
            }
            Err(why) => {
                let since = if let State::Silent { since, .. } = process.state { since } else { now };
                process.state = State::Silent { since, why: why.to_string() };
            }
        }
    }

    fn purged(&mut self, id: &Socket, answer: Result<Box<PurgeStats>, NoAnswer>) {
        let Some(purging) = &mut self.purging else { return };
        let Some(at) = purging.waiting.iter().position(|it| it == id) else { return };
        purging.waiting.remove(at);
        let mut resident = None;
        match answer {
            Ok(it) => {
                purging.purged += 1;
                purging.given_back_bytes = purging.given_back_bytes.saturating_add(it.given_back_bytes);
                purging.took_ms = purging.took_ms.max(it.took_ms);
                resident = Some(it.after.figures.rss_bytes);
            }
            Err(why) => purging.refused.push(format!("{id}: {why}")),
        }
        let result = result(purging, id, resident);
        self.notify(result);
    }

    fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let key = match (key.modifiers, key.code) {
            // A raw terminal sends Ctrl-\ as Ctrl-4.
            (KeyModifiers::CONTROL, Key::Char('c' | '4')) => return Some(Action::Quit),
            (KeyModifiers::CONTROL, Key::Char('z')) => return Some(Action::Suspend),
            (KeyModifiers::CONTROL, Key::Char('l')) => return Some(Action::Redraw),
            (KeyModifiers::CONTROL, Key::Char('h')) => Key::Backspace,
            (KeyModifiers::CONTROL, Key::Char('j')) => Key::Enter,
            (modifiers, Key::Char(_)) if !KeyModifiers::SHIFT.contains(modifiers) => return None,
            (_, code) => code,
        };
        match mem::take(&mut self.overlay) {
            Overlay::Help(scrolled) => self.key_in_help(key, scrolled),
            Overlay::Purge { of, all } => return self.key_in_question(key, of, all),
            Overlay::Filter => self.key_in_filter(key),
            Overlay::None => return self.key_in_view(key),
        }
        None
    }

    fn key_in_help(&mut self, key: Key, scrolled: usize) {
        if !matches!(key, Key::Char('q' | '?') | Key::Esc | Key::Enter) {
            let rows = view::help_rows(self);
            let last = view::help_lines().saturating_sub(rows);
            self.overlay = Overlay::Help(moved(scrolled, key, rows).min(last));
        }
    }

    fn key_in_question(&mut self, key: Key, of: Vec<Socket>, all: bool) -> Option<Action> {
        match key {
            Key::Char('y' | 'Y') => {
                let whom = if let [only] = of.as_slice() { only.to_string() } else { format!("{} programs", of.len()) };
                self.notify(format!("{whom}: purging …"));
                self.purging = Some(Purging { waiting: of.clone(), ..Purging::default() });
                return Some(Action::Purge(of));
            }
            Key::Char('n' | 'N' | 'q') | Key::Esc => self.notify("not purged".to_owned()),
            // Any other key leaves the question open.
            _ => self.overlay = Overlay::Purge { of, all },
        }
        None
    }

    fn key_in_filter(&mut self, key: Key) {
        match key {
            Key::Enter => return,
            Key::Esc => {
                self.filter.clear();
                return;
            }
            Key::Backspace => drop(self.filter.pop()),
            Key::Char(it) if self.filter.chars().count() < MAX_FILTER => self.filter.push(it),
            _ => {}
        }
        self.overlay = Overlay::Filter;
    }

    fn key_in_view(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Char('?') => self.overlay = Overlay::Help(0),
            Key::Char(' ') => self.paused = !self.paused,
            Key::Char('p') => {
                let id = self.details.as_ref().map(|it| &it.id).or(self.selected.as_ref());
                self.ask_whether_to_purge(id.cloned().into_iter().collect(), false);
            }
            _ if self.details.is_some() => return self.key_in_details(key),
            _ => return self.key_in_list(key),
        }
        None
    }

    fn key_in_details(&mut self, key: Key) -> Option<Action> {
        let rows = view::details_rows(self);
        let details = self.details.as_mut()?;
        let tab = match key {
            Key::Tab | Key::Right => details.tab.further(1),
            Key::BackTab | Key::Left => details.tab.further(Tab::ALL.len() - 1),
            Key::Char(digit @ '1'..='4') => Tab::ALL[digit as usize - '1' as usize].0,
            Key::Esc | Key::Backspace | Key::Char('q') => {
                self.details = None;
                return None;
            }
            _ => {
                details.scrolled = moved(details.scrolled, key, rows);
                return None;
            }
        };
        if tab == details.tab {
            return None;
        }
        (details.tab, details.page, details.scrolled) = (tab, None, 0);
        Some(Action::Details(details.id.clone(), tab))
    }

    fn key_in_list(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Char('q') => return Some(Action::Quit),
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('r') => self.reversed = !self.reversed,
            Key::Char('/') => self.overlay = Overlay::Filter,
            Key::Esc => self.filter.clear(),
            Key::Char('P') => {
                let all = self.alive().map(|it| it.id.clone()).collect();
                self.ask_whether_to_purge(all, true);
            }
            Key::Enter => {
                let (id, tab) = (self.selected.clone()?, Tab::Tasks);
                self.details = Some(Details { id: id.clone(), tab, page: None, scrolled: 0 });
                return Some(Action::Details(id, tab));
            }
            Key::Char(it) if Sort::by_key(it).is_some() => self.sort = Sort::by_key(it)?,
            _ => self.select(key),
        }
        None
    }

    fn ask_whether_to_purge(&mut self, of: Vec<Socket>, all: bool) {
        if self.is_purging() {
            self.notify("the last purge is still running".to_owned());
        } else if self.alive().any(|it| of.contains(&it.id)) {
            self.overlay = Overlay::Purge { of, all };
        } else {
            self.notify("no running program to purge".to_owned());
        }
    }

    fn select(&mut self, key: Key) {
        let shown = self.shown();
        let at = shown.iter().position(|it| Some(&it.id) == self.selected.as_ref()).unwrap_or(0);
        let at = moved(at, key, view::list_places(self)).min(shown.len().saturating_sub(1));
        self.selected = shown.get(at).map(|it| it.id.clone());
    }

    /// Keeps selection and scrolling within bounds.
    fn settle(&mut self) {
        let shown: Vec<&Socket> = self.shown().into_iter().map(|it| &it.id).collect();
        let at = self.selected.as_ref().and_then(|id| shown.iter().position(|it| *it == id));
        let at = at.unwrap_or(self.selected_at).min(shown.len().saturating_sub(1));
        let selected = shown.get(at).map(|id| (*id).clone());
        let places = view::list_places(self).max(1);
        let last_page = shown.len().saturating_sub(places);
        self.scrolled = self.scrolled.clamp((at + 1).saturating_sub(places), at).min(last_page);
        (self.selected, self.selected_at) = (selected, at);
        let Some(details) = &self.details else { return };
        if self.process(&details.id).is_none() {
            self.notify(format!("{} has ended", details.id));
            self.details = None;
            return;
        }
        let lines = details.page.as_ref().and_then(|page| page.as_ref().ok()).map_or(0, Vec::len);
        let last = lines.saturating_sub(1 + view::details_rows(self));
        if let Some(details) = &mut self.details {
            details.scrolled = details.scrolled.min(last);
        }
    }
}

/// The position after a key that scrolls.
fn moved(at: usize, key: Key, page: usize) -> usize {
    match key {
        Key::Up | Key::Char('k') => at.saturating_sub(1),
        Key::Down | Key::Char('j') => at.saturating_add(1),
        Key::PageUp => at.saturating_sub(page.max(1)),
        Key::PageDown => at.saturating_add(page.max(1)),
        Key::Home | Key::Char('g') => 0,
        Key::End | Key::Char('G') => usize::MAX,
        _ => at,
    }
}

/// The result of purges; of a single one with its resident memory.
fn result(purging: &Purging, last: &Socket, resident: Option<u64>) -> String {
    let mut parts = Vec::new();
    let all = purging.purged + purging.refused.len() + purging.waiting.len();
    if purging.purged > 0 {
        let whom = if all == 1 { last.to_string() } else { format!("{} of {all} programs", purging.purged) };
        let left = resident.filter(|_| all == 1).map(|it| format!(", {} resident", bytes(it))).unwrap_or_default();
        let given_back = signed_bytes(purging.given_back_bytes);
        parts.push(format!("{whom}: {given_back} returned in {:.1} ms{left}", purging.took_ms));
    }
    if !purging.refused.is_empty() {
        parts.push(format!("not purged: {}", purging.refused.join(", ")));
    }
    parts.join("; ")
}
