//! The model and its drawing, on a test backend.

mod drawn;
mod keys;

use std::time::Duration;

use crossterm::event::{KeyCode as Key, KeyEvent, KeyModifiers};
use r3e_common::runtime::control::{BoardsProgress, PurgeStats, Stats};
use r3e_common::runtime::memory::Figures;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::app::{App, Overlay, Tab};
use super::process::State;
use super::theme::Theme;
use super::update::{Action, Event};
use super::view;
use crate::ask::{NoAnswer, TIMEOUT};
use crate::sockets::Socket;

const PLAIN: Theme = Theme { colours: false, ascii: false };

fn id(program: &str, pid: u32) -> Socket {
    Socket { program: program.into(), pid: pid.into(), path: format!("/run/r3e/{program}-{pid}.sock").into() }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn stats(program: &str, pid: u32, rss_mb: u64) -> Stats {
    let figures = Figures {
        allocated_bytes: (rss_mb << 20) / 4 * 3,
        active_bytes: rss_mb << 20,
        rss_bytes: rss_mb << 20,
        peak_rss_bytes: rss_mb << 21,
        threads: 7,
        open_fds: 31,
        connections: 4,
        purges: 2,
        ..Figures::default()
    };
    Stats {
        program: program.into(),
        pid,
        pid_namespace: None,
        version: "0.1.0".into(),
        started_at: "2026-11-01T04:00:00Z".into(),
        uptime_s: 754.2,
        phase: "fetching".into(),
        figures,
        pss_bytes: rss_mb << 20,
        limit_bytes: Some(256 << 20),
        tasks: 12,
        progress: None,
        schedule: None,
    }
}

/// A model with a terminal of that size.
fn app(columns: u16, rows: u16) -> App {
    let mut app = App::new(at(1), "/run/r3e".into());
    app.update(at(0), Event::Resized(columns, rows));
    app
}

fn answers(app: &mut App, second: u64, stats: Stats) {
    let of = id(&stats.program, stats.pid);
    app.update(at(second), Event::Stats(of, Ok(Box::new(stats))));
}

fn silent(app: &mut App, second: u64, of: Socket) {
    app.update(at(second), Event::Stats(of, Err(NoAnswer::Late(TIMEOUT))));
}

fn listed(app: &mut App, second: u64, there: &[Socket]) {
    app.update(at(second), Event::Listed(Ok(there.to_vec())));
}

fn press(app: &mut App, key: Key) -> Option<Action> {
    app.update(app.now, Event::Key(key.into()))
}

fn press_with_ctrl(app: &mut App, key: char) -> Option<Action> {
    app.update(app.now, Event::Key(KeyEvent::new(Key::Char(key), KeyModifiers::CONTROL)))
}

fn type_in(app: &mut App, text: &str) -> Option<Action> {
    text.chars().map(|it| press(app, Key::Char(it))).last().flatten()
}

/// A loader at work, a monitor, one that is stuck and one that has ended.
fn lively(columns: u16, rows: u16) -> App {
    let mut app = app(columns, rows);
    let loader = id("r3e-loader", 4711);
    let refresher = id("r3e-refresher", 4720);
    let all = [loader.clone(), id("r3e-monitor", 88), id("r3e-scheduler", 77), refresher.clone()];
    for second in 0..30 {
        listed(&mut app, second, if second < 20 { &all } else { &all[..3] });
        let progress = BoardsProgress { total: 14_703, fetched: 200 * second, failed: 3, entries: 1000 };
        let loader = stats("r3e-loader", 4711, 20 + 8 * (second % 30));
        answers(&mut app, second, Stats { progress: Some(progress), ..loader });
        let monitor = Stats { limit_bytes: None, phase: "watching".into(), ..stats("r3e-monitor", 88, 9) };
        answers(&mut app, second, monitor);
        if second < 12 {
            answers(&mut app, second, stats("r3e-scheduler", 77, 5));
        } else {
            silent(&mut app, second, id("r3e-scheduler", 77));
        }
        if second < 20 {
            answers(&mut app, second, stats("r3e-refresher", 4720, 60));
        }
    }
    app
}

/// What is drawn, without blanks at the ends of lines.
fn drawn(app: &App, theme: Theme) -> String {
    let backend = draw(app, theme);
    let buffer = backend.buffer();
    let line = |row: &[ratatui::buffer::Cell]| {
        let text: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.trim_end().to_owned() + "\n"
    };
    buffer.content.chunks(buffer.area.width.into()).map(line).collect()
}

fn draw(app: &App, theme: Theme) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(app.size.0, app.size.1)).unwrap();
    terminal.draw(|frame| view::draw(frame, app, theme)).unwrap();
    terminal.backend().clone()
}
