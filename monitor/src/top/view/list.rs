//! The list of processes: two lines each, or one in a narrow terminal.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::line::{bar, left, right, sparkline, width_of};
use crate::report::next_run;
use crate::report::units::{bytes, seconds};
use crate::top::app::App;
use crate::top::process::{Process, State};
use crate::top::series::Figure;
use crate::top::sort::percent_done;
use crate::top::theme::{AT_PERCENT, Theme};

/// Columns from which a process has two lines.
const WIDE: u16 = 70;

/// Columns from which names of figures are not abbreviated.
const ROOMY: u16 = 100;

/// Lines for totals, heads and keys.
const OTHERS: u16 = 3;

/// Columns for the limit.
const LIMIT: u16 = 16;

/// Columns for an amount.
const NUMBER: u16 = 8;

/// Placeholder for a missing figure.
const MISSING: &str = "-";

fn lines_each(columns: u16) -> u16 {
    if columns < WIDE { 1 } else { 2 }
}

/// Processes that fit.
pub(in crate::top) fn places(app: &App) -> usize {
    let (columns, rows) = app.size;
    usize::from(rows.saturating_sub(OTHERS) / lines_each(columns))
}

pub(super) fn draw(out: &mut Buffer, app: &App, theme: Theme) {
    first_line(out, app, theme);
    let area = out.area;
    let shown = app.shown();
    if shown.is_empty() {
        let why = if !app.listed {
            "asking …".to_owned()
        } else if app.processes.is_empty() {
            format!("no program runs that has a control socket in {}", app.folder)
        } else {
            format!("no program, pid or phase contains {}", app.filter)
        };
        left(out, (0, 2), area.width, &why, Style::new());
        return;
    }
    let columns = Columns::of(area.width);
    columns.heads(out, theme);
    let each = lines_each(area.width);
    let mut y = 2;
    for process in shown.into_iter().skip(app.scrolled).take(places(app)) {
        if area.width < WIDE {
            columns.only_line(out, y, process, theme);
        } else {
            columns.first_line(out, y, process, app, theme);
            second_line(out, y + 1, process, theme);
        }
        if Some(&process.id) == app.selected.as_ref() {
            left(out, (0, y), 1, ">", Style::new().add_modifier(Modifier::BOLD));
            out.set_style(Rect::new(0, y, area.width, each), Theme::selected());
        }
        y += each;
    }
}

/// The first line of the screen: totals and order.
fn first_line(out: &mut Buffer, app: &App, theme: Theme) {
    let area = out.area;
    let (mut allocated, mut resident) = (0_u64, 0_u64);
    for process in app.alive() {
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
    let count = app.alive().count();
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

/// A column of the list.
#[derive(Debug, Clone, Copy, Default)]
struct Column {
    head: &'static str,
    x: u16,
    width: u16,
    is_number: bool,
}

impl Column {
    fn draw(self, out: &mut Buffer, y: u16, text: &str, style: Style) {
        if self.is_number {
            right(out, (self.x, y), self.width, text, style);
        } else {
            left(out, (self.x, y), self.width, text, style);
        }
    }
}

/// The columns, in a terminal of a certain width. Those that it has no room for are empty.
#[derive(Debug, Default)]
struct Columns {
    program: Column,
    pid: Column,
    phase: Column,
    progress: Column,
    percent: Column,
    time_left: Column,
    tasks: Column,
    fds: Column,
    connections: Column,
    resident: Column,
    limit: Column,
}

impl Columns {
    fn of(width: u16) -> Self {
        let mut end = 0;
        let mut next = |gap: u16, head: &'static str, width: u16| {
            let x = end + gap;
            end = x + width;
            Column { head: head.trim_start_matches('>'), x, width, is_number: head.starts_with('>') }
        };
        if width < WIDE {
            return Self {
                program: next(1, "PROGRAM", width - 25),
                pid: next(1, ">PID", 7),
                resident: next(0, ">RESIDENT", 9),
                limit: next(1, ">LIMIT", 6),
                ..Self::default()
            };
        }
        // Program, phase and bar share what the numbers leave.
        let rest = width.saturating_sub(43);
        let words = (rest * 13 / 37).clamp(8, 32);
        Self {
            program: next(2, "PROGRAM", words.min(24)),
            pid: next(1, ">PID", 7),
            phase: next(2, "PHASE", words),
            progress: next(1, "PROGRESS", rest.saturating_sub(words.min(24) + words)),
            percent: next(0, ">", 5),
            time_left: next(0, ">LEFT", 8),
            tasks: next(0, ">TASKS", 6),
            fds: next(0, ">FDS", 5),
            connections: next(0, ">CONNS", 6),
            ..Self::default()
        }
    }

    fn heads(&self, out: &mut Buffer, theme: Theme) {
        let Self { program, pid, phase, progress, percent, time_left, tasks, fds, connections, resident, limit } = self;
        for column in [program, pid, phase, progress, percent, time_left, tasks, fds, connections, resident, limit] {
            column.draw(out, 1, column.head, theme.head());
        }
    }

    /// The line of a process in a narrow terminal.
    fn only_line(&self, out: &mut Buffer, y: u16, process: &Process, theme: Theme) {
        self.program.draw(out, y, &process.id.program, Style::new());
        self.pid.draw(out, y, &process.id.pid.to_string(), Style::new());
        match (&process.state, &process.stats) {
            (State::Silent { .. }, _) => right(out, (self.resident.x, y), 15, "not answering", theme.wrong()),
            (State::Ended(_), _) => self.resident.draw(out, y, "ended", theme.faint()),
            (State::Answers, Some(stats)) => {
                let style = theme.resident(process.percent_of_limit());
                self.resident.draw(out, y, &bytes(stats.figures.rss_bytes), style);
                let share = process.percent_of_limit().map(share);
                self.limit.draw(out, y, share.as_deref().unwrap_or(MISSING), style);
            }
            (State::Answers, None) => {}
        }
    }

    fn first_line(&self, out: &mut Buffer, y: u16, process: &Process, app: &App, theme: Theme) {
        let plain = Style::new();
        self.program.draw(out, y, &process.id.program, plain.add_modifier(Modifier::BOLD));
        self.pid.draw(out, y, &process.id.pid.to_string(), plain);
        // Text in place of progress may take the columns up to the numbers.
        let remark = Column { width: self.tasks.x - self.progress.x, ..self.progress };
        let mut numbers = [MISSING; 3].map(str::to_owned);
        match (&process.state, &process.stats) {
            (State::Silent { since, why }, _) => {
                self.phase.draw(out, y, "not answering", theme.wrong());
                remark.draw(out, y, &format!("for {}: {why}", ago(app, *since)), theme.wrong());
            }
            (State::Ended(at), _) => {
                self.phase.draw(out, y, "ended", theme.faint());
                remark.draw(out, y, &format!("{} ago", ago(app, *at)), theme.faint());
            }
            (State::Answers, None) => {}
            (State::Answers, Some(stats)) => {
                self.phase.draw(out, y, &stats.phase, plain);
                if let Some(next_run) = next_run(stats) {
                    remark.draw(out, y, &next_run, theme.faint());
                }
                if let Some(percent) = percent_done(stats) {
                    bar(out, (self.progress.x, y), self.progress.width, percent, theme);
                    self.percent.draw(out, y, &format!("{percent}%"), plain);
                    let time_left = process.eta.time_left().map(|it| seconds(it.as_secs_f64()));
                    self.time_left.draw(out, y, time_left.as_deref().unwrap_or(MISSING), plain);
                }
                numbers = [stats.tasks, stats.figures.open_fds, stats.figures.connections].map(count);
            }
        }
        for (column, number) in [self.tasks, self.fds, self.connections].into_iter().zip(&numbers) {
            column.draw(out, y, number, plain);
        }
    }
}

fn ago(app: &App, then: Duration) -> String {
    match app.now.saturating_sub(then).as_secs() {
        few @ 0..10 => format!("{few}s"),
        more => seconds(Duration::from_secs(more).as_secs_f64()),
    }
}

/// A number in at most five columns.
fn count(number: u64) -> String {
    let (mut rest, mut units) = (number, "kMGTPE".chars());
    let mut unit = None;
    while rest >= if unit.is_none() { 100_000 } else { 10_000 } {
        rest /= 1000;
        unit = units.next();
    }
    unit.map_or_else(|| rest.to_string(), |unit| format!("{rest}{unit}"))
}

/// A share of the limit, marked if the process will stop soon.
fn share(percent: u64) -> String {
    format!("{}%{}", percent.min(999), if percent >= AT_PERCENT { "!" } else { "" })
}

/// The share of the limit, in words.
pub(super) fn of_limit(process: &Process) -> String {
    match (process.percent_of_limit(), process.stats.as_ref().and_then(|it| it.limit_bytes)) {
        (Some(percent), Some(limit)) => format!("{} of {}", share(percent), bytes(limit)),
        _ => "no limit".to_owned(),
    }
}

/// The second line of a process: memory now and over time.
fn second_line(out: &mut Buffer, y: u16, process: &Process, theme: Theme) {
    let Some(stats) = &process.stats else { return };
    let width = out.area.width;
    let [allocated, resident] = if width >= ROOMY { ["allocated", "resident"] } else { ["alloc", "res"] };
    let is_current = process.state == State::Answers;
    let limit = if is_current { of_limit(process) } else { "last known".to_owned() };
    let labels = width_of(allocated) + width_of(resident);
    let lines = width.saturating_sub(2 + labels + 2 * (1 + NUMBER + 1) + 2 + 2 + LIMIT) / 2;
    let or_faint = |style| if is_current { style } else { theme.faint() };
    let top = stats.limit_bytes.unwrap_or_else(|| process.series.max_bytes());
    let resident_style = theme.resident(process.percent_of_limit());
    let mut x = 2;
    for (name, figure, amount, style) in [
        (allocated, Figure::Allocated, stats.figures.allocated_bytes, theme.allocated()),
        (resident, Figure::Resident, stats.figures.rss_bytes, resident_style),
    ] {
        x += left(out, (x, y), width, name, theme.faint()) + 1;
        right(out, (x, y), NUMBER, &bytes(amount), or_faint(Style::new()));
        x += NUMBER + 1;
        let values = process.series.columns(lines.into(), figure);
        sparkline(out, (x, y), lines, (&values, top), (theme, or_faint(style)));
        x += lines + 2;
    }
    left(out, (x, y), LIMIT, &limit, or_faint(resident_style));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_five_columns() {
        let shown = [0, 99_999, 100_000, 9_999_999, 10_000_000, u64::MAX].map(count);
        assert_eq!(shown, ["0", "99999", "100k", "9999k", "10M", "18E"]);
    }

    #[test]
    fn columns_fit_into_every_width() {
        for width in 32..300 {
            let Columns { connections, limit, progress, .. } = Columns::of(width);
            let last = if width < WIDE { limit } else { connections };
            assert!(last.x + last.width <= width && (width < WIDE || progress.width >= 3), "{width}");
        }
    }
}
