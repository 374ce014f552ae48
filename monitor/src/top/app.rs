//! What is known and what is shown: a model that nothing outside it changes, but events.

use std::time::Duration;

use r3e_common::runtime::control::Stats;

use super::pace::Pace;
use super::series::Series;
use super::sort::Sort;
use crate::sockets::Pid;

/// How long a process that has ended is still shown.
pub(super) const ENDED_SHOWN: Duration = Duration::from_mins(1);

/// The most processes that have ended and are still shown.
pub(super) const MOST_ENDED: usize = 32;

/// How long a note stays in the last line.
pub(super) const NOTE_SHOWN: Duration = Duration::from_secs(15);

/// A process: its program and number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id {
    /// The program's name.
    pub(super) program: String,
    /// Its number.
    pub(super) pid: Pid,
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.program, self.pid)
    }
}

/// Whether a process answers. Times are counted from when this view began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It has answered when it was last asked.
    Answers,
    /// It is there and does not answer.
    Silent {
        /// Since when.
        since: Duration,
        /// Why not.
        why: String,
    },
    /// It is gone.
    Ended(Duration),
}

/// What is known of a process.
#[derive(Debug)]
pub(super) struct Process {
    /// Which.
    pub(super) id: Id,
    /// Whether it answers.
    pub(super) state: State,
    /// What it said last.
    pub(super) stats: Option<Stats>,
    /// What it held.
    pub(super) series: Series,
    /// How fast its boards come.
    pub(super) pace: Pace,
}

impl Process {
    /// What it has of its limit, in percent; none without a limit.
    pub(super) fn percent_of_limit(&self) -> Option<u64> {
        let stats = self.stats.as_ref()?;
        let limit = stats.limit_bytes.filter(|&limit| limit > 0)?;
        u64::try_from(u128::from(stats.figures.rss_bytes) * 100 / u128::from(limit)).ok()
    }
}

/// What is looked at inside a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    /// Its live tasks.
    Tasks,
    /// Its file descriptors, by the kernel's account.
    Descriptors,
    /// Its connections, by the kernel's account.
    Connections,
    /// The arenas of its allocator.
    Arenas,
}

impl Tab {
    /// All, in the order in which they are shown.
    pub(super) const ALL: [Self; 4] = [Self::Tasks, Self::Descriptors, Self::Connections, Self::Arenas];

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Descriptors => "descriptors",
            Self::Connections => "connections",
            Self::Arenas => "arenas",
        }
    }

    /// The one so many further on, around the corner.
    pub(super) fn further(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|it| *it == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// What was found inside: a table with its head, line by line; or why there is none.
pub(super) type Page = Result<Vec<String>, String>;

/// A look inside one process.
#[derive(Debug)]
pub(super) struct Inside {
    /// Which process.
    pub(super) id: Id,
    /// What of it.
    pub(super) tab: Tab,
    /// What was found; none before the first answer.
    pub(super) page: Option<Page>,
    /// So many lines are above what is shown.
    pub(super) scrolled: usize,
}

/// What is asked before anything is purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// Which processes are to purge.
    pub(super) of: Vec<Id>,
    /// Whether that is everyone.
    pub(super) all: bool,
}

/// What lies over the list, or over the look inside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Over {
    /// Nothing.
    #[default]
    Nothing,
    /// Help, with so many lines above what is shown.
    Help(usize),
    /// Whether to purge.
    Purge(Question),
    /// The filter is being written.
    Filter,
}

/// Purges that were asked for and what has come of them.
#[derive(Debug, Default)]
pub(super) struct Purging {
    /// Those that have not answered yet.
    pub(super) waiting: Vec<Id>,
    /// Those that did it.
    pub(super) purged: usize,
    /// What they gave back, taken together.
    pub(super) given_back_bytes: i64,
    /// The longest that one took.
    pub(super) took_ms: f64,
    /// Those that did not, and why.
    pub(super) refused: Vec<String>,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct App {
    /// How often all are asked.
    pub(super) every: Duration,
    /// What time it is, counted from when this view began.
    pub(super) now: Duration,
    /// Where the sockets are looked for.
    pub(super) folder: String,
    /// Whether the folder has been looked at yet.
    pub(super) has_looked: bool,
    /// In no order; [`App::shown`] gives one.
    pub(super) processes: Vec<Process>,
    /// The process that keys speak of.
    pub(super) selected: Option<Id>,
    /// Where in the list that is: where it is gone, its neighbour stands there.
    pub(super) selected_at: usize,
    /// So many processes of the list are above what is shown.
    pub(super) scrolled: usize,
    /// By what the list is ordered.
    pub(super) sort: Sort,
    /// Whether the order is turned around.
    pub(super) reversed: bool,
    /// Only processes that have this in their program, number or phase.
    pub(super) filter: String,
    /// Whether nothing is asked for the time being.
    pub(super) paused: bool,
    /// The look inside a process, if there is one.
    pub(super) inside: Option<Inside>,
    /// What lies over all that.
    pub(super) over: Over,
    /// Purges that go on, or the last ones.
    pub(super) purging: Option<Purging>,
    /// What was done last, and when.
    pub(super) note: Option<(String, Duration)>,
    /// Why the folder of the sockets cannot be read.
    pub(super) trouble: Option<String>,
    /// Columns and rows of the terminal.
    pub(super) size: (u16, u16),
}

impl App {
    /// Nothing is known yet.
    pub(super) fn new(every: Duration, folder: String) -> Self {
        Self {
            every,
            now: Duration::ZERO,
            folder,
            has_looked: false,
            processes: Vec::new(),
            selected: None,
            selected_at: 0,
            scrolled: 0,
            sort: Sort::Resident,
            reversed: false,
            filter: String::new(),
            paused: false,
            inside: None,
            over: Over::Nothing,
            purging: None,
            note: None,
            trouble: None,
            size: (80, 24),
        }
    }

    /// What is known of that process.
    pub(super) fn process(&self, id: &Id) -> Option<&Process> {
        self.processes.iter().find(|it| it.id == *id)
    }

    /// The processes in the order in which they are shown: those that do not answer first, as nobody knows what they hold,
    /// those that have ended last.
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
        self.filter.is_empty()
            || process.id.program.contains(&self.filter)
            || process.id.pid.to_string().contains(&self.filter)
            || phase.contains(&self.filter)
    }

    /// The processes that have not ended, whether they are shown or not.
    pub(super) fn alive(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(|it| !matches!(it.state, State::Ended(_)))
    }

    /// What was done last, as long as it is news; purges that go on are news until they are over.
    pub(super) fn news(&self) -> Option<&str> {
        let (text, at) = self.note.as_ref()?;
        let goes_on = self.purging.as_ref().is_some_and(|it| !it.waiting.is_empty());
        (goes_on || self.now.saturating_sub(*at) < NOTE_SHOWN).then_some(text)
    }
}
