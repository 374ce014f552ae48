//! The list of processes: two lines each, or one in a narrow terminal.

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
        let is_selected = Some(&process.id) == app.selected.as_ref();
        if area.width < WIDE {
            narrow(out, y, process, theme);
        } else {
            columns.first(out, y, process, app, theme);
            second(out, y + 1, process, theme);
        }
        if is_selected {
            left(out, (0, y), 1, ">", Style::new().add_modifier(Modifier::BOLD));
            out.set_style(Rect::new(0, y, area.width, each), Theme::selected());
        }
        y += each;
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

/// Columns of the first line of a process: offset and width of each.
struct Columns {
    program: (u16, u16),
    pid: (u16, u16),
    phase: (u16, u16),
    bar: (u16, u16),
    percent: (u16, u16),
    time_left: (u16, u16),
    tasks: (u16, u16),
    fds: (u16, u16),
    connections: (u16, u16),
}

impl Columns {
    fn of(width: u16) -> Self {
        let mut x = 2;
        let mut next = |width: u16, gap: u16| {
            let at = (x, width);
            x += width + gap;
            at
        };
        // Program, phase and bar share what the numbers leave.
        let rest = width.saturating_sub(43);
        let words = (rest * 13 / 37).clamp(8, 32);
        Self {
            program: next(words.min(24), 1),
            pid: next(7, 2),
            phase: next(words, 1),
            bar: next(rest.saturating_sub(words.min(24) + words), 0),
            percent: next(5, 0),
            time_left: next(8, 0),
            tasks: next(6, 0),
            fds: next(5, 0),
            connections: next(6, 0),
        }
    }

    fn heads(&self, out: &mut Buffer, theme: Theme) {
        if out.area.width < WIDE {
            let (pid, resident, share) = narrow_columns(out.area.width);
            left(out, (1, 1), pid.0 - 1, "PROGRAM", theme.head());
            for ((x, width), name) in [(pid, "PID"), (resident, "RESIDENT"), (share, "LIMIT")] {
                right(out, (x, 1), width, name, theme.head());
            }
            return;
        }
        for ((x, width), name) in [(self.program, "PROGRAM"), (self.phase, "PHASE"), (self.bar, "PROGRESS")] {
            left(out, (x, 1), width, name, theme.head());
        }
        for ((x, width), name) in [
            (self.pid, "PID"),
            (self.time_left, "LEFT"),
            (self.tasks, "TASKS"),
            (self.fds, "FDS"),
            (self.connections, "CONNS"),
        ] {
            right(out, (x, 1), width, name, theme.head());
        }
    }

    fn first(&self, out: &mut Buffer, y: u16, process: &Process, app: &App, theme: Theme) {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        left(out, (self.program.0, y), self.program.1, &process.id.program, bold);
        right(out, (self.pid.0, y), self.pid.1, &process.id.pid.to_string(), plain);
        let phase_at = (self.phase.0, y);
        // Text in place of progress may take the columns up to the numbers.
        let remark = |out: &mut Buffer, text: &str, style| {
            left(out, (self.bar.0, y), self.tasks.0 - self.bar.0, text, style);
        };
        let mut numbers = [MISSING; 3].map(str::to_owned);
        match (&process.state, &process.stats) {
            (State::Silent { since, why }, _) => {
                left(out, phase_at, self.phase.1, "not answering", theme.wrong());
                remark(out, &format!("for {}: {why}", ago(app, *since)), theme.wrong());
            }
            (State::Ended(at), _) => {
                left(out, phase_at, self.phase.1, "ended", theme.faint());
                remark(out, &format!("{} ago", ago(app, *at)), theme.faint());
            }
            (State::Answers, None) => {}
            (State::Answers, Some(stats)) => {
                left(out, phase_at, self.phase.1, &stats.phase, plain);
                if let Some(next_run) = next_run(stats) {
                    remark(out, &next_run, theme.faint());
                }
                if let Some(percent) = percent_done(stats) {
                    bar(out, (self.bar.0, y), self.bar.1, percent, theme);
                    right(out, (self.percent.0, y), self.percent.1, &format!("{percent}%"), plain);
                    let time_left = process.eta.time_left().map(|it| seconds(it.as_secs_f64()));
                    right(out, (self.time_left.0, y), self.time_left.1, time_left.as_deref().unwrap_or(MISSING), plain);
                }
                numbers = [stats.tasks, stats.figures.open_fds, stats.figures.connections].map(count);
            }
        }
        for ((x, width), number) in [self.tasks, self.fds, self.connections].into_iter().zip(&numbers) {
            right(out, (x, y), width, number, plain);
        }
    }
}

fn ago(app: &App, then: std::time::Duration) -> String {
    match app.now.saturating_sub(then).as_secs() {
        few @ 0..10 => format!("{few}s"),
        more => seconds(std::time::Duration::from_secs(more).as_secs_f64()),
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
pub(super) fn share(percent: u64) -> String {
    format!("{}%{}", percent.min(999), if percent >= AT_PERCENT { "!" } else { "" })
}

/// The share of the limit, in words.
pub(super) fn of_limit(process: &Process) -> String {
    match (process.percent_of_limit(), process.stats.as_ref().and_then(|it| it.limit_bytes)) {
        (Some(percent), Some(limit)) => format!("{} of {}", share(percent), bytes(limit)),
        _ => "no limit".to_owned(),
    }
}

/// Columns for the limit.
const LIMIT: u16 = 16;

/// Columns for an amount.
const NUMBER: u16 = 8;

/// The second line: memory now and over time.
fn second(out: &mut Buffer, y: u16, process: &Process, theme: Theme) {
    let Some(stats) = &process.stats else { return };
    let width = out.area.width;
    let roomy = width >= ROOMY;
    let (allocated, resident) = if roomy { ("allocated", "resident") } else { ("alloc", "res") };
    let is_current = process.state == State::Answers;
    let limit = if is_current { of_limit(process) } else { "last known".to_owned() };
    let labels = if roomy { 9 + 8 } else { 5 + 3 };
    let lines = width.saturating_sub(2 + labels + 2 * (1 + NUMBER + 1) + 2 + 2 + LIMIT) / 2;
    let or_faint = |style| if is_current { style } else { theme.faint() };
    let top = stats.limit_bytes.unwrap_or_else(|| process.series.max_bytes());
    let mut x = 2;
    for (name, figure, amount, style) in [
        (allocated, Figure::Allocated, stats.figures.allocated_bytes, theme.allocated()),
        (resident, Figure::Resident, stats.figures.rss_bytes, theme.resident(process.percent_of_limit())),
    ] {
        x += left(out, (x, y), width, name, theme.faint()) + 1;
        right(out, (x, y), NUMBER, &bytes(amount), or_faint(Style::new()));
        x += NUMBER + 1;
        let values = process.series.columns(lines.into(), figure);
        sparkline(out, (x, y), lines, (&values, top), (theme, or_faint(style)));
        x += lines + 2;
    }
    left(out, (x, y), LIMIT, &limit, or_faint(theme.resident(process.percent_of_limit())));
}

type Place = (u16, u16);

/// Columns of the numbers in a narrow terminal.
fn narrow_columns(width: u16) -> (Place, Place, Place) {
    ((width - 23, 7), (width - 16, 9), (width - 6, 6))
}

/// The line of a process in a narrow terminal.
fn narrow(out: &mut Buffer, y: u16, process: &Process, theme: Theme) {
    let (pid, resident, share_at) = narrow_columns(out.area.width);
    left(out, (1, y), pid.0 - 2, &process.id.program, Style::new());
    right(out, (pid.0, y), pid.1, &process.id.pid.to_string(), Style::new());
    match (&process.state, &process.stats) {
        (State::Silent { .. }, _) => right(out, (resident.0, y), 15, "not answering", theme.wrong()),
        (State::Ended(_), _) => right(out, (resident.0, y), resident.1, "ended", theme.faint()),
        (State::Answers, Some(stats)) => {
            let style = theme.resident(process.percent_of_limit());
            right(out, (resident.0, y), resident.1, &bytes(stats.figures.rss_bytes), style);
            let share = process.percent_of_limit().map(share);
            right(out, (share_at.0, y), share_at.1, share.as_deref().unwrap_or(MISSING), style);
        }
        (State::Answers, None) => {}
    }
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
        for width in WIDE..300 {
            let columns = Columns::of(width);
            let (x, last) = columns.connections;
            assert!(x + last <= width && columns.bar.1 >= 3, "{width}");
        }
    }
}
