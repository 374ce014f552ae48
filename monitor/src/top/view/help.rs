//! Help: all keys.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use super::line::left;
use super::window::window;
use crate::top::app::App;
use crate::top::theme::Theme;

const LINES: [&str; 20] = [
    "up, down, j, k     select; PageUp, PageDown, g, G",
    "Enter              details of the selected one",
    "p                  purge: return unused memory",
    "P                  purge all",
    "                   both ask first: y confirms",
    "s                  next order",
    "r                  reverse the order",
    "m a l              by resident, allocated, limit",
    "b u                by boards done, by uptime",
    "t d c              by tasks, descriptors, conns",
    "n i                by name, by pid",
    "/                  filter by program, pid or phase",
    "space              pause, resume",
    "q, Ctrl-C          quit; Ctrl-Z suspends, fg resumes",
    "Details: 1 to 4, Tab, arrows choose the tab,",
    "                   Esc or q goes back",
    "A sparkline shows up to 600 samples; its full",
    "height is the limit, or else the maximum.",
    "75% of the limit is bold, 90% is marked: 90%!",
    "Not answering come first, ended ones last.",
];

/// Number of lines.
pub(in crate::top) fn lines() -> usize {
    LINES.len()
}

/// Number of lines that fit.
pub(in crate::top) fn rows(app: &App) -> usize {
    usize::from(app.size.1.saturating_sub(2)).min(LINES.len())
}

pub(super) fn draw(out: &mut Buffer, scrolled: usize, theme: Theme) {
    let inner = window(out, (52, 20), " help ", theme);
    for (y, line) in (inner.y..inner.bottom()).zip(LINES.iter().skip(scrolled)) {
        left(out, (inner.x, y), inner.width, line, Style::new());
    }
}
