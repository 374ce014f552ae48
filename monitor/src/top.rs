//! `top`: a live view in a terminal. A model ([`app`]) is changed by events ([`update`]) and drawn ([`view`]); asking the
//! programs ([`poller`]), keys, signals and the terminal ([`screen`]) are a loop around it, here.
//!
//! For each of at most 256 processes and 32 that have ended it keeps 600 samples of 8 bytes. It writes no files.

mod app;
mod eta;
mod poller;
mod process;
mod screen;
mod series;
mod sort;
#[cfg(test)]
mod tests;
mod theme;
mod update;
mod view;

use std::io::{self, BufWriter, IsTerminal as _, Stdout};
use std::time::{Duration, Instant};

use crossterm::event::{Event as Input, KeyEventKind};
use nix::libc::EIO;
use nix::sys::signal::{Signal, raise};
use r3e_common::runtime::config::{Config, Environment, Loaded};
use r3e_common::runtime::exit::{Exit, Failure, Fatal};
use r3e_common::runtime::memory;
use r3e_common::runtime::memory::limit::Limits;
use r3e_common::runtime::memory::limiter::MemoryLimiter;
use r3e_common::runtime::memory::pressure::Role;
use r3e_common::runtime::periodic::ticks;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::tasks::Tasks;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};
use tokio_util::sync::CancellationToken;

use crate::cli::TopArguments;
use app::App;
use poller::Poller;
use screen::Screen;
use theme::Theme;
use update::{Action, Event};

/// The live view cannot be shown. A usage error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopError {
    /// Standard input or output is a file or a pipe.
    #[error("{0} is not a terminal\nhint: r3e-monitor stats --watch 2s needs none")]
    NoTerminal(&'static str),
    /// `--json` was given.
    #[error("top has no --json\nhint: use r3e-monitor stats --watch 2s --json")]
    Json,
}

impl Fatal for TopError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Shows the live view until the user quits or a signal arrives.
pub(crate) fn run(
    loaded: &Loaded,
    runtime: &tokio::runtime::Runtime,
    arguments: &TopArguments,
    json: bool,
) -> Result<Exit, Failure> {
    let config = &loaded.config;
    if json {
        return Err(TopError::Json.into());
    }
    if !io::stdout().is_terminal() {
        return Err(TopError::NoTerminal("standard output").into());
    }
    if !io::stdin().is_terminal() {
        return Err(TopError::NoTerminal("standard input").into());
    }
    let theme = Theme::of(arguments.no_colour, &Environment::of_process());
    let shutdown = Shutdown::listen(config.runtime.stop_grace)?;
    let stop = shutdown.token().clone();
    let screen = Screen::take().map_err(|error| Failure::context("cannot set up the terminal", &error))?;
    let view = View::new(config, arguments.every, theme, &screen)?;
    let limiter = MemoryLimiter::start(Limits::of(loaded), Role::Daemon, runtime.handle().clone(), stop.clone())?;
    let ended = runtime.block_on(async {
        let tasks = Tasks::default();
        let purging = memory::purge_periodically_unlogged(&tasks, &stop, config.memory.purge_every);
        let ended = view.show(&stop).await;
        purging.stop().await;
        ended
    });
    drop(screen);
    if let Some(reached) = limiter.reached() {
        return Err(Failure::new(Exit::TryAgain, reached.to_string()));
    }
    match ended {
        Err(error) if !is_hangup(&error) => Err(error.into()),
        _ => Ok(Exit::Done),
    }
}

/// Whether the terminal was closed, which is not a failure.
fn is_hangup(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(EIO)
}

/// Reads keys and changes of the terminal's size on a thread, which lives until the process exits. When the terminal is
/// closed, crossterm's reader never returns: so it must not run on the thread of the loop.
fn read_input() -> io::Result<Receiver<io::Result<Input>>> {
    let (sender, receiver) = channel(16);
    let read = move || while sender.blocking_send(crossterm::event::read()).is_ok() {};
    std::thread::Builder::new().name("terminal".into()).spawn(read)?;
    Ok(receiver)
}

/// The loop around the model.
struct View<'a> {
    app: App,
    poller: Poller,
    theme: Theme,
    screen: &'a Screen,
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    started: Instant,
}

impl<'a> View<'a> {
    fn new(config: &Config, every: Duration, theme: Theme, screen: &'a Screen) -> io::Result<Self> {
        let folder = &config.runtime.dir;
        Ok(Self {
            app: App::new(every, folder.display().to_string()),
            poller: Poller::new(folder.clone()),
            theme,
            screen,
            terminal: Terminal::new(CrosstermBackend::new(BufWriter::new(io::stdout())))?,
            started: Instant::now(),
        })
    }

    async fn show(mut self, stop: &CancellationToken) -> io::Result<()> {
        let mut input = read_input()?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut suspend = signal(SignalKind::from_raw(Signal::SIGTSTP as i32))?;
        let mut resumed = signal(SignalKind::from_raw(Signal::SIGCONT as i32))?;
        let mut every = ticks(self.app.every);
        loop {
            let goes_on = tokio::select! {
                () = stop.cancelled() => false,
                _ = hangup.recv() => false,
                _ = suspend.recv() => self.suspend().map(|()| true)?,
                // The shell may have changed the terminal's settings.
                _ = resumed.recv() => self.screen.without(|| ()).map(|()| true)?,
                Some(input) = input.recv() => self.input(&input?)?,
                Some(event) = self.poller.next() => self.handle(event?)?,
                _ = every.tick() => self.poll()?,
            };
            if !goes_on {
                return Ok(());
            }
            // Draw once for all answers that have arrived.
            while let Some(event) = self.poller.try_next() {
                self.handle(event?)?;
            }
            self.draw()?;
        }
    }

    /// Asks all programs, unless the view is paused.
    fn poll(&mut self) -> io::Result<bool> {
        if self.app.paused {
            return Ok(true);
        }
        if let Some(details) = &self.app.details {
            self.poller.details(details.id.clone(), details.tab);
        }
        let found = self.poller.poll();
        self.handle(found)
    }

    fn input(&mut self, input: &Input) -> io::Result<bool> {
        match input {
            Input::Key(key) if key.kind == KeyEventKind::Press => self.handle(Event::Key(*key)),
            // Drawing asks for the size.
            _ => Ok(true),
        }
    }

    /// Updates the model and does what it asks for. `false` to quit.
    fn handle(&mut self, event: Event) -> io::Result<bool> {
        match self.app.update(self.started.elapsed(), event) {
            None => {}
            Some(Action::Quit) => return Ok(false),
            Some(Action::Suspend) => self.suspend()?,
            Some(Action::Redraw) => self.clear()?,
            Some(Action::Purge(ids)) => self.poller.purge(ids),
            Some(Action::Details(id, tab)) => self.poller.details(id, tab),
        }
        Ok(true)
    }

    /// Stops the process, as SIGTSTP does by default, until the shell resumes it.
    fn suspend(&mut self) -> io::Result<()> {
        self.screen.without(|| raise(Signal::SIGSTOP))??;
        Ok(())
    }

    /// Has everything drawn again. `Terminal::clear` would ask the terminal for its cursor, and wait for the answer.
    fn clear(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    fn draw(&mut self) -> io::Result<()> {
        if self.screen.take_dirty() {
            self.clear()?;
        }
        let size = self.terminal.size()?;
        self.app.update(self.started.elapsed(), Event::Resized(size.width, size.height));
        self.terminal.draw(|frame| view::draw(frame, &self.app, self.theme))?;
        Ok(())
    }
}
