//! Help: every key there is.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use super::line::left;
use super::window;
use crate::top::app::App;
use crate::top::theme::Theme;

const LINES: [&str; 20] = [
    "up, down, j, k     select; PageUp, PageDown, g, G",
    "Enter              look inside the selected one",
    "p                  have it give back memory",
    "P                  have all give back memory",
    "                   both are asked again: y does it",
    "s                  next order",
    "r                  turn the order round",
    "m a l              by resident, allocated, limit",
    "b u                by boards done, by uptime",
    "t d c              by tasks, descriptors, conns",
    "n i                by name, by pid",
    "/                  only those with this in them",
    "space              pause, and go on",
    "q, Ctrl-C          quit; Ctrl-Z stops, fg goes on",
    "Inside: 1 to 4, Tab, arrows change what is shown,",
    "                   Esc or q leads back",
    "A line shows up to the last 600 samples; its full",
    "height is the limit, or the most there was.",
    "75% of the limit is bold, 90% has a mark: 90%!",
    "Those that do not answer stand first, ended last.",
];

/// How many lines of help there are.
pub(in crate::top) fn lines() -> usize {
    LINES.len()
}

/// How many of them are shown.
pub(in crate::top) fn rows(app: &App) -> usize {
    usize::from(app.size.1.saturating_sub(2)).min(LINES.len())
}

pub(super) fn draw(out: &mut Buffer, scrolled: usize, theme: Theme) {
    let inner = window(out, (52, 20), " help ", theme);
    for (y, line) in (inner.y..inner.bottom()).zip(LINES.iter().skip(scrolled)) {
        left(out, (inner.x, y), inner.width, line, Style::new());
    }
}
