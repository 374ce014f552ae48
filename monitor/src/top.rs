//! `top`: a live view in a terminal. What is known and shown is a model ([`app`]) that events change ([`update`]) and that
//! is drawn ([`view`]); asking ([`gather`]), keys and the terminal ([`screen`]) are a thin loop around them, here.
//!
//! It holds, for each of at most 256 processes and 32 that have ended, 600 samples of 8 bytes, and writes nothing.

mod app;
mod backend;
mod gather;
mod keys;
mod pace;
mod screen;
mod series;
mod signals;
mod sort;
#[cfg(test)]
mod tests;
mod theme;
mod update;
mod view;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use r3e_common::runtime::config::{Config, Environment, Loaded};
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::memory;
use r3e_common::runtime::memory::limit::Limits;
use r3e_common::runtime::memory::limiter::MemoryLimiter;
use r3e_common::runtime::memory::pressure::Role;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::tasks::Tasks;
use ratatui::Terminal;
use signal_hook::consts::SIGTSTP;
use tokio::io::unix::AsyncFd;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::cli::TopArguments;
use app::App;
use backend::Drawn;
use gather::Gather;
use keys::Keys;
use screen::Screen;
use signals::{Signal, Signals};
use theme::Theme;
use update::{Action, Event};

/// Why there is no live view: as wrong a use as an unknown flag.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotHere {
    /// One of the two is a file or a pipe.
    #[error("{0} is no terminal; r3e-monitor stats --watch 2s writes to anything")]
    NoTerminal(&'static str),
    /// Scripts do not look at terminals.
    #[error("top has no --json; r3e-monitor stats --watch 2s --json has")]
    Json,
}

/// How long the rest of a key's sequence may take: over a slow line it comes in pieces.
const REST_OF_A_KEY: Duration = Duration::from_millis(50);

/// Shows it until someone quits, or a signal comes.
///
/// # Errors
/// When this is no terminal, it cannot be drawn on, or the memory limit was reached.
pub(crate) fn run(
    loaded: &Loaded,
    runtime: &tokio::runtime::Runtime,
    arguments: &TopArguments,
    json: bool,
) -> anyhow::Result<Exit> {
    let config = &loaded.config;
    if json {
        return Err(NotHere::Json.into());
    }
    for (is_one, name) in
        [(io::stdout().is_terminal(), "standard output"), (io::stdin().is_terminal(), "standard input")]
    {
        if !is_one {
            return Err(NotHere::NoTerminal(name).into());
        }
    }
    let theme = Theme::of(arguments.no_colour, &Environment::of_process());
    let shutdown = Shutdown::listen(config.runtime.stop_grace)?;
    let stop = shutdown.token().clone();
    let screen = Screen::take().context("cannot draw on this terminal")?;
    let view = View::new(config, arguments.every, theme, &screen)?;
    let guard = MemoryLimiter::start(Limits::of(loaded), Role::Daemon, runtime.handle().clone(), stop.clone())?;
    let ended = runtime.block_on(async {
        let tasks = Tasks::default();
        let purging = memory::purge_periodically_unlogged(&tasks, &stop, config.memory.purge_every);
        let ended = view.show(&stop).await;
        purging.stop().await;
        ended
    });
    drop(screen);
    if let Some(reached) = guard.reached() {
        return Err(Failure::new(Exit::TryAgain, reached.to_string()).into());
    }
    match ended {
        // A terminal that is gone is no failure: whoever looked has left.
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(Exit::Done),
    }
}

fn is_gone(error: &anyhow::Error) -> bool {
    const EIO: i32 = 5;
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(EIO);
    error.downcast_ref::<io::Error>().is_some_and(is_gone)
}

/// The loop around the model.
struct View<'a> {
    app: App,
    gather: Gather,
    keys: Keys,
    theme: Theme,
    screen: &'a Screen,
    terminal: Terminal<Drawn<io::Stdout>>,
    begun: Instant,
}

impl<'a> View<'a> {
    fn new(config: &Config, every: Duration, theme: Theme, screen: &'a Screen) -> io::Result<Self> {
        let folder = &config.runtime.dir;
        Ok(Self {
            app: App::new(every, folder.display().to_string()),
            gather: Gather::new(folder.clone()),
            keys: Keys::default(),
            theme,
            screen,
            terminal: Terminal::new(Drawn::new(io::stdout(), crossterm::terminal::size))?,
            begun: Instant::now(),
        })
    }

    async fn show(mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        // A handle of its own, so that what std keeps of its input is not mixed with what is read here.
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        #[expect(deprecated, reason = "what takes its place is unsafe for others' descriptors; this one is owned")]
        let input = AsyncFd::new(input)?;
        let mut signals = Signals::listen()?;
        let mut every = tokio::time::interval(self.app.every);
        every.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let goes_on = tokio::select! {
                () = stop.cancelled() => false,
                signal = signals.next() => self.signal(signal)?,
                readable = input.readable() => {
                    let mut readable = readable?;
                    let (goes_on, is_all) = self.read_keys(input.get_ref())?;
                    if is_all {
                        readable.clear_ready();
                    }
                    goes_on
                }
                () = tokio::time::sleep(REST_OF_A_KEY), if self.keys.is_pending() => match self.keys.flush() {
                    Some(key) => self.take_in(Event::Key(key))?,
                    None => true,
                },
                Some(event) = self.gather.next() => self.take_in(event?)?,
                _ = every.tick() => self.round()?,
            };
            if !goes_on {
                return Ok(());
            }
            // What has come meanwhile is drawn at once with it.
            while let Some(event) = self.gather.try_next() {
                self.take_in(event?)?;
            }
            self.draw()?;
        }
    }

    /// Asks all, unless that is paused.
    fn round(&mut self) -> anyhow::Result<bool> {
        if self.app.paused {
            return Ok(true);
        }
        if let Some(inside) = &self.app.inside {
            self.gather.look(inside.id.clone(), inside.tab);
        }
        let looked = self.gather.round();
        self.take_in(looked)
    }

    /// Takes in an event and does what it asks for; false to end.
    fn take_in(&mut self, event: Event) -> anyhow::Result<bool> {
        match self.app.update(self.begun.elapsed(), event) {
            None => {}
            Some(Action::Quit) => return Ok(false),
            Some(Action::Suspend) => self.suspend()?,
            Some(Action::Redraw) => self.terminal.clear()?,
            Some(Action::Purge(of)) => self.gather.purge(of),
            Some(Action::Look(id, tab)) => self.gather.look(id, tab),
        }
        Ok(true)
    }

    /// Takes in what was typed. Says whether to go on, which the end of the input ends, and whether there was no more to read.
    fn read_keys(&mut self, mut input: &File) -> anyhow::Result<(bool, bool)> {
        let mut bytes = [0; 256];
        let length = match input.read(&mut bytes) {
            Ok(0) => return Ok((false, true)),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => 0,
            Err(error) => return Err(error.into()),
        };
        for key in self.keys.feed(&bytes[..length]) {
            if !self.take_in(Event::Key(key))? {
                return Ok((false, true));
            }
        }
        Ok((true, length < bytes.len()))
    }

    fn signal(&mut self, signal: Signal) -> anyhow::Result<bool> {
        match signal {
            Signal::HangUp => return Ok(false),
            // Drawing asks for the size.
            Signal::Resized => {}
            Signal::Stop => self.suspend()?,
            // The shell may have set the terminal as it likes it.
            Signal::GoOn => self.screen.without(|| ())?,
        }
        Ok(true)
    }

    /// Stops as any program that is told to, until the shell has it go on.
    fn suspend(&mut self) -> anyhow::Result<()> {
        self.screen.without(|| signal_hook::low_level::emulate_default_handler(SIGTSTP))??;
        Ok(())
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        if self.screen.was_spoilt() {
            self.terminal.clear()?;
        }
        let size = self.terminal.size()?;
        self.app.update(self.begun.elapsed(), Event::Size(size.width, size.height));
        self.terminal.draw(|frame| view::draw(frame, &self.app, self.theme))?;
        Ok(())
    }
}
