//! Draws the model. Pure.

mod details;
mod help;
mod line;
mod list;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Block, BorderType, Clear, Widget as _};

use super::app::{App, Overlay, State};
use super::theme::Theme;
use crate::report::units::bytes;
use line::{left, right, width_of};

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
        Overlay::Purge(_) => question(out, app, theme),
        Overlay::Filter | Overlay::None => {}
    }
}

/// The first line: totals and order.
fn first_line(out: &mut Buffer, app: &App, theme: Theme) {
    let area = out.area;
    let (mut allocated, mut resident, mut count) = (0_u64, 0_u64, 0);
    for process in app.alive() {
        count += 1;
        if let (State::Answers, Some(stats)) = (&process.state, &process.stats) {
            allocated = allocated.saturating_add(stats.figures.allocated_bytes);
            resident = resident.saturating_add(stats.figures.rss_bytes);
        }
    }
    let mut order = format!("by {}{}", app.sort.name(), if app.reversed { ", reversed" } else { "" });
    if !app.filter.is_empty() {
        order = format!("/{}  {order}", app.filter);
    }
    if app.paused {
        order = format!("PAUSED  {order}");
    }
    let programs = if count == 1 { "program" } else { "programs" };
    let sum = format!("{count} {programs}  {} allocated  {} resident", bytes(allocated), bytes(resident));
    let name = left(out, (0, 0), area.width, "r3e-monitor top", theme.head());
    let room = area.width.saturating_sub(name + 2);
    let order_width = width_of(&order);
    let sum_room = if room > order_width + 20 { room - order_width - 2 } else { room };
    left(out, (name + 2, 0), sum_room, &sum, Style::new());
    if sum_room < room {
        let style = if app.paused { theme.wrong() } else { theme.faint() };
        right(out, (area.width - order_width, 0), order_width, &order, style);
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
fn question(out: &mut Buffer, app: &App, theme: Theme) {
    let Overlay::Purge(question) = &app.overlay else { return };
    let whom = match question.of.as_slice() {
        [only] if !question.all => only.to_string(),
        all => format!("all programs ({})", all.len()),
    };
    let lines = [format!("Purge {whom}?"), "Unused memory is returned.".to_owned(), "y yes   n no".to_owned()];
    let inner = window(out, (42, 3), " purge ", theme);
    for (y, line) in (inner.y..inner.bottom()).zip(&lines) {
        left(out, (inner.x, y), inner.width, line, Style::new());
    }
}

/// Draws an empty window in the middle, of at most that size, and returns the area inside its border.
fn window(out: &mut Buffer, (columns, rows): (u16, u16), title: &str, theme: Theme) -> Rect {
    let whole = out.area;
    // A blank on each side keeps the text off the border.
    let (width, height) = ((columns + 4).min(whole.width), (rows + 2).min(whole.height));
    let area = Rect::new((whole.width - width) / 2, (whole.height - height) / 2, width, height);
    Clear.render(area, out);
    let block = Block::bordered().title(title).title_style(theme.head());
    let block = if theme.ascii { block.border_set(ASCII) } else { block.border_type(BorderType::Plain) };
    let inner = block.inner(area);
    block.render(area, out);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// An ASCII border.
const ASCII: ratatui::symbols::border::Set<'static> = ratatui::symbols::border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
