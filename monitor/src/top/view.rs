//! Draws the model. Pure.

mod details;
mod help;
mod line;
mod list;
mod window;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::style::{Modifier, Style};

use super::app::{App, Overlay};
use super::theme::Theme;
use crate::sockets::Socket;
use line::left;
use window::window;

pub(super) use details::rows as details_rows;
pub(super) use help::{lines as help_lines, rows as help_rows};
pub(super) use list::places as list_places;

/// Smallest usable terminal.
const MIN_SIZE: (u16, u16) = (32, 5);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, theme: Theme) {
    let area = frame.area();
    let out = frame.buffer_mut();
    if area.width < MIN_SIZE.0 || area.height < MIN_SIZE.1 {
        left(out, (0, 0), area.width, "too small", Style::new());
        return;
    }
    match &app.details {
        Some(details) => details::draw(out, app, details, theme),
        None => list::draw(out, app, theme),
    }
    last_line(out, app, theme);
    match &app.overlay {
        Overlay::Help(scrolled) => help::draw(out, *scrolled, theme),
        Overlay::Purge { of, all } => question(out, of, *all, theme),
        Overlay::Filter | Overlay::None => {}
    }
}

/// The last line: an error, the last notice, or keys.
fn last_line(out: &mut Buffer, app: &App, theme: Theme) {
    let area = out.area;
    let at = (0, area.height - 1);
    if app.overlay == Overlay::Filter {
        let text = format!("filter: {}_   Enter to apply, Esc to clear", app.filter);
        left(out, at, area.width, &text, theme.head());
    } else if let Some(error) = &app.error {
        left(out, at, area.width, error, theme.wrong());
    } else if let Some(notice) = app.current_notice() {
        left(out, at, area.width, notice, Style::new().add_modifier(Modifier::BOLD));
    } else {
        let keys = if app.details.is_some() {
            "Esc back  Tab next  1-4 tabs  ↑↓ scroll  p purge  ? help"
        } else {
            "? help  Enter details  p purge  s sort  / filter  space pause  q quit"
        };
        let keys = if theme.ascii { keys.replace("↑↓", "jk") } else { keys.to_owned() };
        left(out, at, area.width, &keys, theme.faint());
    }
}

/// Asks to confirm a purge.
fn question(out: &mut Buffer, of: &[Socket], all: bool, theme: Theme) {
    let whom = match of {
        [only] if !all => only.to_string(),
        all => format!("all programs ({})", all.len()),
    };
    let lines = [format!("Purge {whom}?"), "Unused memory is returned.".to_owned(), "y yes   n no".to_owned()];
    let inner = window(out, (42, 3), " purge ", theme);
    for (y, line) in (inner.y..inner.bottom()).zip(&lines) {
        left(out, (inner.x, y), inner.width, line, Style::new());
    }
}
