//! What an event changes, and what it asks for. Nothing here asks, waits or draws.

use std::mem;
use std::time::Duration;

use r3e_common::runtime::control::{PurgeStats, Stats};

use super::app::{App, ENDED_SHOWN, Id, Inside, MOST_ENDED, Over, Page, Process, Purging, Question, State, Tab};
use super::keys::Key;
use super::pace::Pace;
use super::series::Series;
use super::sort::Sort;
use super::view;
use crate::ask::NoAnswer;
use crate::report::units::{bytes, signed_bytes};

/// The most characters of a filter.
const LONGEST_FILTER: usize = 64;

/// What has happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The folder of the sockets was looked at: whose there are.
    Looked(Result<Vec<Id>, String>),
    /// A process was asked what it holds.
    Asked(Id, Result<Box<Stats>, NoAnswer>),
    /// A process was told to purge.
    Purged(Id, Result<Box<PurgeStats>, NoAnswer>),
    /// A process was looked into.
    Found(Id, Tab, Page),
    /// A key.
    Key(Key),
    /// The terminal has so many columns and rows.
    Size(u16, u16),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// To end.
    Quit,
    /// To stop until the shell says otherwise.
    Suspend,
    /// To draw everything anew.
    Redraw,
    /// To have these purge.
    Purge(Vec<Id>),
    /// To look into a process now; otherwise that happens with the next round.
    Look(Id, Tab),
}

impl App {
    /// Takes in what has happened by that time.
    pub(super) fn update(&mut self, now: Duration, event: Event) -> Option<Action> {
        self.now = now;
        let action = match event {
            Event::Looked(found) => {
                self.looked(found);
                None
            }
            Event::Asked(id, answer) => {
                self.asked(id, answer);
                None
            }
            Event::Purged(id, answer) => {
                self.purged(&id, answer);
                None
            }
            Event::Found(id, tab, page) => {
                if let Some(inside) = &mut self.inside
                    && inside.id == id
                    && inside.tab == tab
                {
                    inside.page = Some(page);
                }
                None
            }
            Event::Key(key) => self.key(key),
            Event::Size(columns, rows) => {
                self.size = (columns, rows);
                None
            }
        };
        self.settle();
        action
    }

    fn looked(&mut self, found: Result<Vec<Id>, String>) {
        self.has_looked = true;
        let there = match found {
            Ok(there) => there,
            Err(why) => {
                // Nothing is known of who is there: nobody is said to have ended.
                self.trouble = Some(why);
                return;
            }
        };
        self.trouble = None;
        let now = self.now;
        for process in &mut self.processes {
            if !matches!(process.state, State::Ended(_)) && !there.contains(&process.id) {
                process.state = State::Ended(now);
            }
        }
        self.forget();
    }

    /// Lets go of processes that ended a while ago, and of the first of too many.
    fn forget(&mut self) {
        let ended = |it: &Process| if let State::Ended(at) = it.state { Some(at) } else { None };
        let mut times: Vec<Duration> = self.processes.iter().filter_map(ended).collect();
        times.sort_unstable();
        let oldest_shown = times.len().checked_sub(MOST_ENDED).map_or(Duration::ZERO, |first| times[first]);
        let now = self.now;
        self.processes
            .retain(|it| ended(it).is_none_or(|at| at >= oldest_shown && now.saturating_sub(at) < ENDED_SHOWN));
        // Those of one moment are not told apart above.
        while self.processes.iter().filter(|it| ended(it).is_some()).count() > MOST_ENDED {
            let first = self.processes.iter().position(|it| ended(it).is_some());
            first.map(|first| self.processes.remove(first));
        }
    }

    fn asked(&mut self, id: Id, answer: Result<Box<Stats>, NoAnswer>) {
        let now = self.now;
        let known = self.processes.iter().position(|it| it.id == id);
        if matches!(answer, Err(NoAnswer::Dead)) {
            // A socket that was left behind is none of a process: only one that was seen alive has ended.
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
                // Another process of the same number.
                if process.stats.as_ref().is_some_and(|before| before.started_at != stats.started_at) {
                    *process = new(process.id.clone());
                }
                process.series.push(&stats.figures);
                process.pace.note(now, stats.progress.as_ref());
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
        self.note = Some((told(purging, id, resident), self.now));
    }

    fn key(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Interrupt => return Some(Action::Quit),
            Key::Suspend => return Some(Action::Suspend),
            Key::Redraw => return Some(Action::Redraw),
            _ => {}
        }
        match mem::take(&mut self.over) {
            Over::Help(scrolled) => {
                self.key_in_help(key, scrolled);
                None
            }
            Over::Purge(question) => self.key_in_question(key, question),
            Over::Filter => {
                self.key_in_filter(key);
                None
            }
            Over::Nothing if self.inside.is_some() => self.key_inside(key),
            Over::Nothing => self.key_in_list(key),
        }
    }

    fn key_in_help(&mut self, key: Key, scrolled: usize) {
        match key {
            Key::Char('q' | '?') | Key::Esc | Key::Enter => {}
            _ => {
                let most = view::help_lines().saturating_sub(view::help_rows(self));
                self.over = Over::Help(moved(scrolled, key, view::help_rows(self)).min(most));
            }
        }
    }

    fn key_in_question(&mut self, key: Key, question: Question) -> Option<Action> {
        match key {
            Key::Char('y' | 'Y') => {
                let of = question.of;
                let whom = if let [only] = of.as_slice() { only.to_string() } else { format!("{} programs", of.len()) };
                self.note = Some((format!("{whom}: giving back …"), self.now));
                self.purging = Some(Purging { waiting: of.clone(), ..Purging::default() });
                Some(Action::Purge(of))
            }
            Key::Char('n' | 'N' | 'q') | Key::Esc => {
                self.note = Some(("not purged".to_owned(), self.now));
                None
            }
            _ => {
                // Anything else is no answer.
                self.over = Over::Purge(question);
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
            Key::Char(it) if self.filter.chars().count() < LONGEST_FILTER => self.filter.push(it),
            _ => {}
        }
        self.over = Over::Filter;
    }

    fn key_inside(&mut self, key: Key) -> Option<Action> {
        let rows = view::inside_rows(self);
        let inside = self.inside.as_mut()?;
        let tab = match key {
            Key::Tab | Key::Right => inside.tab.further(1),
            Key::BackTab | Key::Left => inside.tab.further(Tab::ALL.len() - 1),
            Key::Char(digit @ '1'..='4') => Tab::ALL[digit as usize - '1' as usize],
            Key::Esc | Key::Backspace | Key::Char('q') => {
                self.inside = None;
                return None;
            }
            Key::Char('p') => {
                let id = inside.id.clone();
                self.ask_whether_to_purge(vec![id], false);
                return None;
            }
            Key::Char('?') => {
                self.over = Over::Help(0);
                return None;
            }
            Key::Char(' ') => {
                self.paused = !self.paused;
                return None;
            }
            _ => {
                inside.scrolled = moved(inside.scrolled, key, rows);
                return None;
            }
        };
        if tab == inside.tab {
            return None;
        }
        (inside.tab, inside.page, inside.scrolled) = (tab, None, 0);
        Some(Action::Look(inside.id.clone(), tab))
    }

    fn key_in_list(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Char('q') => return Some(Action::Quit),
            Key::Char('?') => self.over = Over::Help(0),
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('r') => self.reversed = !self.reversed,
            Key::Char('/') => self.over = Over::Filter,
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
                self.inside = Some(Inside { id: id.clone(), tab, page: None, scrolled: 0 });
                return Some(Action::Look(id, tab));
            }
            Key::Char(it) if Sort::by_key(it).is_some() => self.sort = Sort::by_key(it)?,
            _ => self.select(key),
        }
        None
    }

    fn ask_whether_to_purge(&mut self, of: Vec<Id>, all: bool) {
        let ended = |id: &Id| self.process(id).is_none_or(|it| matches!(it.state, State::Ended(_)));
        if self.purging.as_ref().is_some_and(|it| !it.waiting.is_empty()) {
            self.note = Some(("the last purge is not over yet".to_owned(), self.now));
        } else if of.iter().all(ended) {
            self.note = Some(("no program is there to be purged".to_owned(), self.now));
        } else {
            self.over = Over::Purge(Question { of, all });
        }
    }

    fn select(&mut self, key: Key) {
        let shown = self.shown();
        let at = shown.iter().position(|it| Some(&it.id) == self.selected.as_ref()).unwrap_or(0);
        let at = moved(at, key, view::list_places(self)).min(shown.len().saturating_sub(1));
        self.selected = shown.get(at).map(|it| it.id.clone());
    }

    /// Keeps what is selected and what is scrolled within what there is.
    fn settle(&mut self) {
        let shown: Vec<&Id> = self.shown().into_iter().map(|it| &it.id).collect();
        let at = self.selected.as_ref().and_then(|id| shown.iter().position(|it| *it == id));
        let at = at.unwrap_or(self.selected_at).min(shown.len().saturating_sub(1));
        let selected = shown.get(at).map(|id| (*id).clone());
        let places = view::list_places(self).max(1);
        let last_page = shown.len().saturating_sub(places);
        self.scrolled = self.scrolled.clamp((at + 1).saturating_sub(places), at).min(last_page);
        (self.selected, self.selected_at) = (selected, at);
        if let Some(inside) = &self.inside {
            if self.process(&inside.id).is_none() {
                self.note = Some((format!("{} has ended", inside.id), self.now));
                self.inside = None;
                return;
            }
            let lines = inside.page.as_ref().map_or(0, |page| page.as_ref().map_or(0, Vec::len)).saturating_sub(1);
            let most = lines.saturating_sub(view::inside_rows(self));
            if let Some(inside) = &mut self.inside {
                inside.scrolled = inside.scrolled.min(most);
            }
        }
    }
}

/// Of whom nothing is known yet.
fn new(id: Id) -> Process {
    Process { id, state: State::Answers, stats: None, series: Series::default(), pace: Pace::default() }
}

/// Where a key leads from there.
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

/// What has come of purges: of a single one with what is left. The last that answered is named.
fn told(purging: &Purging, last: &Id, resident: Option<u64>) -> String {
    let mut parts = Vec::new();
    let all = purging.purged + purging.refused.len() + purging.waiting.len();
    if purging.purged > 0 {
        let whom = if all == 1 { last.to_string() } else { format!("{} of {all} programs", purging.purged) };
        let left = resident.filter(|_| all == 1).map(|it| format!(", {} resident", bytes(it))).unwrap_or_default();
        let given_back = signed_bytes(purging.given_back_bytes);
        parts.push(format!("{whom}: {given_back} given back in {:.1} ms{left}", purging.took_ms));
    }
    if !purging.refused.is_empty() {
        parts.push(format!("not purged: {}", purging.refused.join(", ")));
    }
    parts.join("; ")
}
