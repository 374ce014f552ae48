//! Drawing: everything that is shown, from the model alone.

mod help;
mod inside;
mod line;
mod list;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Block, BorderType, Clear, Widget as _};

use super::app::{App, Over, State};
use super::theme::Theme;
use crate::report::units::bytes;
use line::{left, right, width_of};

pub(super) use help::{lines as help_lines, rows as help_rows};
pub(super) use inside::rows as inside_rows;
pub(super) use list::places as list_places;

/// What a terminal has to have at least.
const LEAST: (u16, u16) = (32, 5);

/// Draws it all.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, theme: Theme) {
    let area = frame.area();
    let out = frame.buffer_mut();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        left(out, (0, 0), area.width, "too small", Style::new());
        return;
    }
    match &app.inside {
        Some(inside) => inside::draw(out, app, inside, theme),
        None => list::draw(out, app, theme),
    }
    last_line(out, app, theme);
    match &app.over {
        Over::Help(scrolled) => help::draw(out, *scrolled, theme),
        Over::Purge(_) => question(out, app, theme),
        Over::Filter | Over::Nothing => {}
    }
}

/// The first line: how much there is in all.
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
    let mut order = format!("by {}{}", app.sort.name(), if app.reversed { ", turned round" } else { "" });
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

/// The last line: what is wrong, what was done last, or which keys there are.
fn last_line(out: &mut Buffer, app: &App, theme: Theme) {
    let area = out.area;
    let at = (0, area.height - 1);
    if app.over == Over::Filter {
        let text = format!("filter: {}_   Enter keeps it, Esc drops it", app.filter);
        left(out, at, area.width, &text, theme.head());
    } else if let Some(trouble) = &app.trouble {
        left(out, at, area.width, trouble, theme.wrong());
    } else if let Some(news) = app.news() {
        left(out, at, area.width, news, Style::new().add_modifier(Modifier::BOLD));
    } else {
        let keys = if app.inside.is_some() {
            "Esc back  Tab next  1-4 tabs  ↑↓ scroll  p purge  ? help"
        } else {
            "? help  Enter look inside  p purge  s sort  / filter  space pause  q quit"
        };
        let keys = if theme.letters { keys.replace("↑↓", "jk") } else { keys.to_owned() };
        left(out, at, area.width, &keys, theme.faint());
    }
}

/// The question before a purge.
fn question(out: &mut Buffer, app: &App, theme: Theme) {
    let Over::Purge(question) = &app.over else { return };
    let whom = match question.of.as_slice() {
        [only] if !question.all => only.to_string(),
        all => format!("all programs ({})", all.len()),
    };
    let lines =
        [format!("Have {whom} give back"), "what it holds and does not use?".to_owned(), "y yes   n no".to_owned()];
    let inner = window(out, (42, 3), " purge ", theme);
    for (y, line) in (inner.y..inner.bottom()).zip(&lines) {
        left(out, (inner.x, y), inner.width, line, Style::new());
    }
}

/// Clears a window in the middle, of that size within what there is, and gives what is inside its border.
fn window(out: &mut Buffer, (columns, rows): (u16, u16), title: &str, theme: Theme) -> Rect {
    let whole = out.area;
    // A blank on each side keeps the text off the border.
    let (width, height) = ((columns + 4).min(whole.width), (rows + 2).min(whole.height));
    let area = Rect::new((whole.width - width) / 2, (whole.height - height) / 2, width, height);
    Clear.render(area, out);
    let block = Block::bordered().title(title).title_style(theme.head());
    let block = if theme.letters { block.border_set(LETTERS) } else { block.border_type(BorderType::Plain) };
    let inner = block.inner(area);
    block.render(area, out);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// A border of letters.
const LETTERS: ratatui::symbols::border::Set<'static> = ratatui::symbols::border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
