//! Styles. Nothing is shown by colour alone.

use r3e_common::runtime::config::Environment;
use ratatui::style::{Color, Modifier, Style};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Theme {
    /// Whether colours are used.
    pub(super) colours: bool,
    /// Whether bars and sparklines use ASCII only.
    pub(super) ascii: bool,
}

/// From that percentage of its limit on, a process is highlighted; it starts to purge there.
const NEAR_PERCENT: u64 = 75;

/// From that percentage on it is marked: it will stop soon.
pub(super) const AT_PERCENT: u64 = 90;

impl Theme {
    /// No colours with `--no-colour`, `NO_COLOR` or a dumb terminal.
    pub(super) fn of(no_colour: bool, environment: &Environment) -> Self {
        Self { colours: !(no_colour || environment.is_plain()), ascii: environment.is_dumb() }
    }

    fn coloured(self, colour: Color, otherwise: Modifier) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new().add_modifier(otherwise) }
    }

    /// Heads of columns, and names.
    pub(super) fn head(self) -> Style {
        self.coloured(Color::Cyan, Modifier::empty()).add_modifier(Modifier::BOLD)
    }

    /// Secondary text.
    pub(super) fn faint(self) -> Style {
        self.coloured(Color::DarkGray, Modifier::empty())
    }

    /// Errors.
    pub(super) fn wrong(self) -> Style {
        self.coloured(Color::Red, Modifier::empty()).add_modifier(Modifier::BOLD)
    }

    /// Progress bars.
    pub(super) fn bar(self) -> Style {
        self.coloured(Color::Green, Modifier::empty())
    }

    /// The sparkline of allocated memory.
    pub(super) fn allocated(self) -> Style {
        self.coloured(Color::Blue, Modifier::empty())
    }

    /// Resident memory, by its share of the limit.
    pub(super) fn resident(self, percent_of_limit: Option<u64>) -> Style {
        match percent_of_limit {
            Some(AT_PERCENT..) => self.coloured(Color::Red, Modifier::REVERSED).add_modifier(Modifier::BOLD),
            Some(NEAR_PERCENT..) => self.coloured(Color::Yellow, Modifier::empty()).add_modifier(Modifier::BOLD),
            _ => self.coloured(Color::Green, Modifier::empty()),
        }
    }

    /// The selection.
    pub(super) fn selected() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Symbols of a sparkline, lowest first.
    pub(super) fn levels(self) -> &'static [&'static str; 8] {
        if self.ascii {
            &[".", ":", "-", "=", "+", "*", "%", "#"]
        } else {
            &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        }
    }

    /// Symbols of a full and an empty cell of a bar.
    pub(super) fn bar_symbols(self) -> (&'static str, &'static str) {
        if self.ascii { ("#", "-") } else { ("█", "░") }
    }
}
