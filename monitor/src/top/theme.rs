//! How things stand out: by colour where there is some, and never by colour alone.

use r3e_common::runtime::config::Environment;
use ratatui::style::{Color, Modifier, Style};

/// What a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Theme {
    /// Whether colours are used.
    pub(super) colours: bool,
    /// Whether bars and lines are drawn with letters only.
    pub(super) letters: bool,
}

/// From what share of its limit a process is shown as one to look at, in percent; it gives way there too.
const NEAR_PERCENT: u64 = 75;

/// From what share of it, as one that will stop soon.
pub(super) const AT_PERCENT: u64 = 90;

impl Theme {
    /// What suits this terminal: no colours where someone asked for none (`NO_COLOR`), nor on a dumb one.
    pub(super) fn of(no_colour: bool, environment: &Environment) -> Self {
        Self { colours: !(no_colour || environment.is_plain()), letters: environment.is_dumb() }
    }

    fn coloured(self, colour: Color, otherwise: Modifier) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new().add_modifier(otherwise) }
    }

    /// The heads of columns, and names.
    pub(super) fn head(self) -> Style {
        self.coloured(Color::Cyan, Modifier::empty()).add_modifier(Modifier::BOLD)
    }

    /// What is there and does not matter now.
    pub(super) fn faint(self) -> Style {
        self.coloured(Color::DarkGray, Modifier::empty())
    }

    /// What is wrong.
    pub(super) fn wrong(self) -> Style {
        self.coloured(Color::Red, Modifier::empty()).add_modifier(Modifier::BOLD)
    }

    /// The bar of how far something is.
    pub(super) fn bar(self) -> Style {
        self.coloured(Color::Green, Modifier::empty())
    }

    /// The line of what the allocator has given out.
    pub(super) fn allocated(self) -> Style {
        self.coloured(Color::Blue, Modifier::empty())
    }

    /// What is resident, by what that is of the limit.
    pub(super) fn resident(self, percent_of_limit: Option<u64>) -> Style {
        match percent_of_limit {
            Some(AT_PERCENT..) => self.coloured(Color::Red, Modifier::REVERSED).add_modifier(Modifier::BOLD),
            Some(NEAR_PERCENT..) => self.coloured(Color::Yellow, Modifier::empty()).add_modifier(Modifier::BOLD),
            _ => self.coloured(Color::Green, Modifier::empty()),
        }
    }

    /// What is selected.
    pub(super) fn selected() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The levels of a sparkline, the lowest first.
    pub(super) fn levels(self) -> &'static [&'static str; 8] {
        if self.letters {
            &[".", ":", "-", "=", "+", "*", "%", "#"]
        } else {
            &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        }
    }

    /// A full place of a bar, and an empty one.
    pub(super) fn places(self) -> (&'static str, &'static str) {
        if self.letters { ("#", "-") } else { ("█", "░") }
    }
}
