//! The model of `top`: what is known about the processes, and what is shown. Only events change it (see `update`).

use std::time::Duration;

use super::process::{Process, State};
use super::sort::Sort;
use crate::sockets::Socket;

/// How long a process is shown after it has ended.
pub(super) const ENDED_SHOWN: Duration = Duration::from_mins(1);

/// Upper bound of the processes that have ended and are shown.
pub(super) const MAX_ENDED: usize = 32;

/// How long a notice is shown.
const NOTICE_SHOWN: Duration = Duration::from_secs(15);

/// A kind of details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Tasks,
    Descriptors,
    Connections,
    Arenas,
}

impl Tab {
    /// All tabs with their titles, in order.
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Tasks, "tasks"),
        (Self::Descriptors, "descriptors"),
        (Self::Connections, "connections"),
        (Self::Arenas, "arenas"),
    ];

    /// The tab that many places further on; the first follows the last.
    pub(super) fn further(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()].0
    }
}

/// The lines of a table, its head first; or an error.
pub(super) type Page = Result<Vec<String>, String>;

/// The details of one process.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) id: Socket,
    pub(super) tab: Tab,
    /// `None` before the first answer.
    pub(super) page: Option<Page>,
    /// Lines above the first one shown.
    pub(super) scrolled: usize,
}

/// What covers the list or the details.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Overlay {
    #[default]
    None,
    /// Help, scrolled by that many lines.
    Help(usize),
    /// Asks whether to purge these processes.
    Purge { of: Vec<Socket>, all: bool },
    /// The filter is being edited.
    Filter,
}

/// Purges that were requested, and their results.
#[derive(Debug, Default)]
pub(super) struct Purging {
    /// Processes that have not answered yet.
    pub(super) waiting: Vec<Socket>,
    /// How many purged.
    pub(super) purged: usize,
    pub(super) given_back_bytes: i64,
    /// Duration of the slowest.
    pub(super) took_ms: f64,
    /// Errors of the others.
    pub(super) refused: Vec<String>,
}

/// The model.
#[derive(Debug)]
pub(super) struct App {
    /// How often programs are asked.
    pub(super) every: Duration,
    /// Current time, counted from the start of `top`.
    pub(super) now: Duration,
    /// The folder of the control sockets.
    pub(super) folder: String,
    /// Whether the folder has been listed yet.
    pub(super) listed: bool,
    /// Unordered; see [`App::shown`].
    pub(super) processes: Vec<Process>,
    pub(super) selected: Option<Socket>,
    /// The row of the selected process. When it disappears, the process that moves to this row is selected.
    pub(super) selected_at: usize,
    /// Processes above the first one shown.
    pub(super) scrolled: usize,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    /// Shows only processes with this text in program, process id or phase.
    pub(super) filter: String,
    /// Whether polling is paused.
    pub(super) paused: bool,
    /// The details of a process, if they are open.
    pub(super) details: Option<Details>,
    pub(super) overlay: Overlay,
    /// The current or last purges.
    pub(super) purging: Option<Purging>,
    /// The last notice and its time.
    pub(super) notice: Option<(String, Duration)>,
    /// Why the folder cannot be listed.
    pub(super) error: Option<String>,
    /// Columns and rows of the terminal.
    pub(super) size: (u16, u16),
}

impl App {
    /// A model without processes.
    pub(super) fn new(every: Duration, folder: String) -> Self {
        Self {
            every,
            now: Duration::ZERO,
            folder,
            listed: false,
            processes: Vec::new(),
            selected: None,
            selected_at: 0,
            scrolled: 0,
            sort: Sort::Resident,
            reversed: false,
            filter: String::new(),
            paused: false,
            details: None,
            overlay: Overlay::None,
            purging: None,
            notice: None,
            error: None,
            size: (80, 24),
        }
    }

    pub(super) fn process(&self, id: &Socket) -> Option<&Process> {
        self.processes.iter().find(|it| it.id == *id)
    }

    /// The processes that pass the filter, in order: those that do not answer first, those that have ended last.
    pub(super) fn shown(&self) -> Vec<&Process> {
        let rank = |it: &Process| match it.state {
            State::Silent { .. } => 0,
            State::Answers => 1,
            State::Ended(_) => 2,
        };
        let mut shown: Vec<&Process> = self.processes.iter().filter(|it| self.passes(it)).collect();
        shown.sort_by(|a, b| {
            let by_key = self.sort.compare(a, b);
            let by_key = if self.reversed { by_key.reverse() } else { by_key };
            rank(a).cmp(&rank(b)).then(by_key).then_with(|| a.id.cmp(&b.id))
        });
        shown
    }

    fn passes(&self, process: &Process) -> bool {
        let phase = process.stats.as_ref().map_or("", |it| it.phase.as_str());
        [&process.id.program, &process.id.pid.to_string(), phase].iter().any(|text| text.contains(&self.filter))
    }

    /// The processes that have not ended, filtered out or not.
    pub(super) fn alive(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(|it| it.ended_at().is_none())
    }

    pub(super) fn is_purging(&self) -> bool {
        self.purging.as_ref().is_some_and(|it| !it.waiting.is_empty())
    }

    pub(super) fn notify(&mut self, text: String) {
        self.notice = Some((text, self.now));
    }

    /// The last notice, until it is too old. While purges run it stays.
    pub(super) fn current_notice(&self) -> Option<&str> {
        let (text, at) = self.notice.as_ref()?;
        (self.is_purging() || self.now.saturating_sub(*at) < NOTICE_SHOWN).then_some(text)
    }
}
