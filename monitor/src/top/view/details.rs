//! The details of a process: its figures, and its tasks, descriptors, connections or arenas.

use ratatui::buffer::Buffer;
use ratatui::style::{Modifier, Style};

use super::line::{left, right, sparkline};
use super::list::of_limit;
use crate::report::next_run;
use crate::report::units::{bytes, or_dash, seconds};
use crate::top::app::{App, Details, Tab};
use crate::top::process::{Process, State};

use crate::top::series::Figure;
use crate::top::sort::percent_done;
use crate::top::theme::Theme;

/// Rows from which the figures are shown above the table.
const TALL: u16 = 14;

/// Lines of figures.
const FIGURES: u16 = 5;

fn above(rows: u16) -> u16 {
    // Title, figures, tabs.
    if rows < TALL { 2 } else { 2 + FIGURES }
}

/// Lines of the table that fit below its head.
pub(in crate::top) fn rows(app: &App) -> usize {
    // The head, and the last line.
    usize::from(app.size.1.saturating_sub(above(app.size.1) + 2))
}

pub(super) fn draw(out: &mut Buffer, app: &App, details: &Details, theme: Theme) {
    let area = out.area;
    let Some(process) = app.process(&details.id) else { return };
    title(out, app, process, theme);
    if area.height >= TALL {
        figures(out, process, theme);
    }
    let tabs_at = above(area.height) - 1;
    let mut x = 0;
    for (number, (tab, name)) in (1..).zip(Tab::ALL) {
        let is_chosen = tab == details.tab;
        let text = if is_chosen { format!("[{number} {name}]") } else { format!(" {number} {name} ") };
        let style = if is_chosen { theme.head().add_modifier(Modifier::REVERSED) } else { Style::new() };
        x += left(out, (x, tabs_at), area.width, &text, style) + 1;
    }
    let y = tabs_at + 1;
    match &details.page {
        None => drop(left(out, (0, y), area.width, "asking …", theme.faint())),
        Some(Err(why)) => drop(left(out, (0, y), area.width, why, theme.wrong())),
        Some(Ok(lines)) => {
            let Some((head, rest)) = lines.split_first() else { return };
            left(out, (0, y), area.width, head, theme.head());
            let rest = rest.iter().skip(details.scrolled).take(rows(app));
            for (y, line) in (y + 1..area.height - 1).zip(rest) {
                left(out, (0, y), area.width, line, Style::new());
            }
        }
    }
}

/// The first line: process and phase.
fn title(out: &mut Buffer, app: &App, process: &Process, theme: Theme) {
    let width = out.area.width;
    let name = left(out, (0, 0), width, &process.id.to_string(), theme.head());
    let doing = match (&process.state, &process.stats) {
        (State::Silent { why, .. }, _) => format!("not answering: {why}"),
        (State::Ended(_), _) => "ended".to_owned(),
        (State::Answers, None) => String::new(),
        (State::Answers, Some(stats)) => {
            let time_left = process.eta.time_left().map(|it| format!("  {} left", seconds(it.as_secs_f64())));
            let progress = percent_done(stats).map(|it| format!("  {it}%{}", time_left.unwrap_or_default()));
            let next_run = next_run(stats).map(|it| format!("  {it}"));
            format!("{}{}{}", stats.phase, progress.unwrap_or_default(), next_run.unwrap_or_default())
        }
    };
    let style = if process.state == State::Answers { Style::new() } else { theme.wrong() };
    left(out, (name + 2, 0), width.saturating_sub(name + 2), &doing, style);
    if app.paused {
        right(out, (width.saturating_sub(6), 0), 6, "PAUSED", theme.wrong());
    }
}

fn figures(out: &mut Buffer, process: &Process, theme: Theme) {
    let Some(stats) = &process.stats else { return };
    let (width, it) = (out.area.width, &stats.figures);
    let limit = of_limit(process);
    let (up, version) = (seconds(stats.uptime_s), &stats.version);
    let [resident, peak, shared_out] = [it.rss_bytes, it.peak_rss_bytes, stats.pss_bytes].map(bytes);
    let own = or_dash(it.rss_anon_bytes, bytes);
    let [allocated, cached] = [it.allocated_bytes, it.thread_cache_bytes].map(bytes);
    let [active, metadata, retained] = [it.active_bytes, it.metadata_bytes, it.retained_bytes].map(bytes);
    let [tasks, fds, connections] = [stats.tasks, it.open_fds, it.connections];
    let lines = [
        format!(
            "up {up}  {tasks} tasks  {} threads  {fds} fds  {connections} conns  {} purges  version {version}",
            it.threads, it.purges
        ),
        format!("resident {resident}  RssAnon {own}  peak {peak}  proportional {shared_out}  {limit}"),
        format!("allocated {allocated}  cached {cached}  active {active}  metadata {metadata}  retained {retained}"),
    ];
    for (y, line) in (1..).zip(&lines) {
        left(out, (0, y), width, line, Style::new());
    }
    let top = stats.limit_bytes.unwrap_or_else(|| process.series.max_bytes());
    let resident = theme.resident(process.percent_of_limit());
    for (y, name, figure, style) in
        [(4, "allocated", Figure::Allocated, theme.allocated()), (5, "resident", Figure::Resident, resident)]
    {
        left(out, (0, y), 10, name, theme.faint());
        let room = width.saturating_sub(10);
        let values = process.series.columns(room.into(), figure);
        sparkline(out, (10, y), room, (&values, top), (theme, style));
    }
}
