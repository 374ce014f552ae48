//! Updates the model on events, and decides what to do. Pure: it neither asks, waits nor draws.

use std::mem;
use std::time::Duration;

use crossterm::event::{KeyCode as Key, KeyEvent, KeyModifiers};
use r3e_common::runtime::control::{PurgeStats, Stats};

use super::app::{App, Details, ENDED_SHOWN, MAX_ENDED, Overlay, Page, PurgeRequest, Purging, Tab};
use super::eta::Eta;
use super::process::{Id, Process, State};
use super::series::Series;
use super::sort::Sort;
use super::view;
use crate::ask::NoAnswer;
use crate::report::units::{bytes, signed_bytes};

/// Upper bound for a filter, in characters.
const MAX_FILTER: usize = 64;

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The control sockets were listed.
    Listed(Result<Vec<Id>, String>),
    /// A process was asked for its figures.
    Stats(Id, Result<Box<Stats>, NoAnswer>),
    /// A process was told to purge.
    Purged(Id, Result<Box<PurgeStats>, NoAnswer>),
    /// A process was asked for details.
    Details(Id, Tab, Page),
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has that many columns and rows.
    Resized(u16, u16),
}

/// What the loop has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Quit.
    Quit,
    /// Suspend the process.
    Suspend,
    /// Draw from scratch.
    Redraw,
    /// Tell these processes to purge.
    Purge(Vec<Id>),
    /// Ask for details now instead of at the next poll.
    Details(Id, Tab),
}

impl App {
    /// Handles an event.
    pub(super) fn update(&mut self, now: Duration, event: Event) -> Option<Action> {
        self.now = now;
        let action = match event {
            Event::Listed(found) => {
                self.listed(found);
                None
            }
            Event::Stats(id, answer) => {
                self.answered(id, answer);
                None
            }
            Event::Purged(id, answer) => {
                self.purged(&id, answer);
                None
            }
            Event::Details(id, tab, page) => {
                if let Some(details) = &mut self.details
                    && details.id == id
                    && details.tab == tab
                {
                    details.page = Some(page);
                }
                None
            }
            Event::Key(key) => self.key(key),
            Event::Resized(columns, rows) => {
                self.size = (columns, rows);
                None
            }
        };
        self.settle();
        action
    }

    fn listed(&mut self, found: Result<Vec<Id>, String>) {
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
        let now = self.now;
        for process in &mut self.processes {
            if !matches!(process.state, State::Ended(_)) && !current.contains(&process.id) {
                process.state = State::Ended(now);
            }
        }
        self.forget();
    }

    /// Drops processes that ended a while ago, and the oldest of too many.
    fn forget(&mut self) {
        let ended = |it: &Process| if let State::Ended(at) = it.state { Some(at) } else { None };
        let mut times: Vec<Duration> = self.processes.iter().filter_map(ended).collect();
        times.sort_unstable();
        let oldest_shown = times.len().checked_sub(MAX_ENDED).map_or(Duration::ZERO, |first| times[first]);
        let now = self.now;
        self.processes
            .retain(|it| ended(it).is_none_or(|at| at >= oldest_shown && now.saturating_sub(at) < ENDED_SHOWN));
        // Several may have ended at the same time.
        while self.processes.iter().filter(|it| ended(it).is_some()).count() > MAX_ENDED {
            let first = self.processes.iter().position(|it| ended(it).is_some());
            first.map(|first| self.processes.remove(first));
        }
    }

    fn answered(&mut self, id: Id, answer: Result<Box<Stats>, NoAnswer>) {
        let now = self.now;
        let known = self.processes.iter().position(|it| it.id == id);
        if matches!(answer, Err(NoAnswer::Dead)) {
            // A stale socket is not a process: only one that was seen alive has ended.
            if let Some(process) = known.map(|at| &mut self.processes[at])
                && !matches!(process.state, State::Ended(_))
            {
                process.state = State::Ended(now);
            }
            return;
        }
        let at = known.unwrap_or_else(|| {
            self.processes.push(new(id));
            self.processes.len() - 1
        });
        let process = &mut self.processes[at];
        match answer {
            Ok(stats) => {
                // Another process with the same id.
                if process.stats.as_ref().is_some_and(|before| before.started_at != stats.started_at) {
                    *process = new(process.id.clone());
                }
                process.series.push(&stats.figures);
                process.eta.add(now, stats.progress.as_ref());
                process.state = State::Answers;
                process.stats = Some(*stats);
            }
            Err(why) => {
                let why = why.to_string();
                process.state = match process.state {
                    State::Silent { since, .. } => State::Silent { since, why },
                    _ => State::Silent { since: now, why },
                };
            }
        }
    }

    fn purged(&mut self, id: &Id, answer: Result<Box<PurgeStats>, NoAnswer>) {
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
        self.notice = Some((result(purging, id, resident), self.now));
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
            Overlay::Help(scrolled) => {
                self.key_in_help(key, scrolled);
                None
            }
            Overlay::Purge(question) => self.key_in_question(key, question),
            Overlay::Filter => {
                self.key_in_filter(key);
                None
            }
            Overlay::None if self.details.is_some() => self.key_in_details(key),
            Overlay::None => self.key_in_list(key),
        }
    }

    fn key_in_help(&mut self, key: Key, scrolled: usize) {
        match key {
            Key::Char('q' | '?') | Key::Esc | Key::Enter => {}
            _ => {
                let most = view::help_lines().saturating_sub(view::help_rows(self));
                self.overlay = Overlay::Help(moved(scrolled, key, view::help_rows(self)).min(most));
            }
        }
    }

    fn key_in_question(&mut self, key: Key, question: PurgeRequest) -> Option<Action> {
        match key {
            Key::Char('y' | 'Y') => {
                let of = question.of;
                let whom = if let [only] = of.as_slice() { only.to_string() } else { format!("{} programs", of.len()) };
                self.notice = Some((format!("{whom}: purging …"), self.now));
                self.purging = Some(Purging { waiting: of.clone(), ..Purging::default() });
                Some(Action::Purge(of))
            }
            Key::Char('n' | 'N' | 'q') | Key::Esc => {
                self.notice = Some(("not purged".to_owned(), self.now));
                None
            }
            _ => {
                // Any other key leaves the question open.
                self.overlay = Overlay::Purge(question);
                None
            }
        }
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

    fn key_in_details(&mut self, key: Key) -> Option<Action> {
        let rows = view::details_rows(self);
        let details = self.details.as_mut()?;
        let tab = match key {
            Key::Tab | Key::Right => details.tab.further(1),
            Key::BackTab | Key::Left => details.tab.further(Tab::ALL.len() - 1),
            Key::Char(digit @ '1'..='4') => Tab::ALL[digit as usize - '1' as usize],
            Key::Esc | Key::Backspace | Key::Char('q') => {
                self.details = None;
                return None;
            }
            Key::Char('p') => {
                let id = details.id.clone();
                self.ask_whether_to_purge(vec![id], false);
                return None;
            }
            Key::Char('?') => {
                self.overlay = Overlay::Help(0);
                return None;
            }
            Key::Char(' ') => {
                self.paused = !self.paused;
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
            Key::Char('?') => self.overlay = Overlay::Help(0),
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('r') => self.reversed = !self.reversed,
            Key::Char('/') => self.overlay = Overlay::Filter,
            Key::Char(' ') => self.paused = !self.paused,
            Key::Esc => self.filter.clear(),
            Key::Char('p') => {
                if let Some(id) = self.selected.clone() {
                    self.ask_whether_to_purge(vec![id], false);
                }
            }
            Key::Char('P') => {
                let all = self.alive().map(|it| it.id.clone()).collect();
                self.ask_whether_to_purge(all, true);
            }
            Key::Enter => {
                let id = self.selected.clone()?;
                let tab = Tab::Tasks;
                self.details = Some(Details { id: id.clone(), tab, page: None, scrolled: 0 });
                return Some(Action::Details(id, tab));
            }
            Key::Char(it) if Sort::by_key(it).is_some() => self.sort = Sort::by_key(it)?,
            _ => self.select(key),
        }
        None
    }

    fn ask_whether_to_purge(&mut self, of: Vec<Id>, all: bool) {
        let ended = |id: &Id| self.process(id).is_none_or(|it| matches!(it.state, State::Ended(_)));
        if self.purging.as_ref().is_some_and(|it| !it.waiting.is_empty()) {
            self.notice = Some(("the last purge is still running".to_owned(), self.now));
        } else if of.iter().all(ended) {
            self.notice = Some(("no running program to purge".to_owned(), self.now));
        } else {
            self.overlay = Overlay::Purge(PurgeRequest { of, all });
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
        let shown: Vec<&Id> = self.shown().into_iter().map(|it| &it.id).collect();
        let at = self.selected.as_ref().and_then(|id| shown.iter().position(|it| *it == id));
        let at = at.unwrap_or(self.selected_at).min(shown.len().saturating_sub(1));
        let selected = shown.get(at).map(|id| (*id).clone());
        let places = view::list_places(self).max(1);
        let last_page = shown.len().saturating_sub(places);
        self.scrolled = self.scrolled.clamp((at + 1).saturating_sub(places), at).min(last_page);
        (self.selected, self.selected_at) = (selected, at);
        if let Some(details) = &self.details {
            if self.process(&details.id).is_none() {
                self.notice = Some((format!("{} has ended", details.id), self.now));
                self.details = None;
                return;
            }
            let lines = details.page.as_ref().map_or(0, |page| page.as_ref().map_or(0, Vec::len)).saturating_sub(1);
            let most = lines.saturating_sub(view::details_rows(self));
            if let Some(details) = &mut self.details {
                details.scrolled = details.scrolled.min(most);
            }
        }
    }
}

/// A process without figures.
fn new(id: Id) -> Process {
    Process { id, state: State::Answers, stats: None, series: Series::default(), eta: Eta::default() }
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
fn result(purging: &Purging, last: &Id, resident: Option<u64>) -> String {
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
