//! The commands that print a result: ask programs, print their answers.

mod heap;
mod past;
mod verdict;

pub(crate) use verdict::NoSamples;

use std::io::Write as _;
use std::time::SystemTime;

use anyhow::bail;
use r3e_common::runtime::config::Config;
use r3e_common::runtime::control::{PurgeStats, Stats, TaskStats};
use r3e_common::runtime::exit::Exit;
use r3e_common::runtime::memory;
use r3e_common::runtime::shutdown::Shutdown;
use serde::de::DeserializeOwned;

use crate::ask::{NoAnswer, Question, ask};
use crate::cli::{One, Selected, StatsArguments};
use crate::kernel;
use crate::peer::{NoPeer, peer};
use crate::report::{Connections, Descriptors, List, Purges, Report as _, StatsReport, Tasks};
use crate::sockets::{self, Pid, Selector, Socket, select};
use crate::survey::{Reply, ask_all, ask_every_program};

/// No running process has these names. A usage error.
#[derive(Debug, thiserror::Error)]
#[error("no running program matches {names} (sockets in {folder})\nhint: r3e-monitor list shows the running programs")]
pub(crate) struct Unknown {
    pub(crate) names: String,
    pub(crate) folder: String,
}

/// The process behind a socket is unknown.
#[derive(Debug, thiserror::Error)]
#[error("{program} ({pid}): {cause}")]
pub(crate) struct NoProcess {
    program: String,
    pid: Pid,
    cause: NoPeer,
}

/// What all commands need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The configuration.
    pub(crate) config: &'a Config,
    /// Whether to print JSON.
    pub(crate) json: bool,
    /// The current time.
    pub(crate) clock: fn() -> SystemTime,
}

impl Context<'_> {
    fn unknown(&self, names: &[impl ToString]) -> Unknown {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Unknown { names: names.join(", "), folder: self.config.runtime.dir.display().to_string() }
    }

    /// Asks the selected programs. Stale sockets match no selector.
    async fn ask_selected<T>(&self, named: &[Selector], question: Question) -> anyhow::Result<Vec<Reply<T>>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let unknown = |names: Vec<Selector>| self.unknown(&names);
        let sockets = sockets::list(&self.config.runtime.dir)?;
        let mut replies = ask_all(select(sockets, named, Socket::identity).map_err(unknown)?, question).await;
        replies.retain(|reply| !reply.is_dead());
        Ok(select(replies, named, Reply::identity).map_err(unknown)?)
    }

    /// `list`
    pub(crate) async fn list(self) -> anyhow::Result<Exit> {
        let folder = self.config.runtime.dir.clone();
        let replies = ask_every_program::<Stats>(&folder, Question::Stats).await?;
        print(&List::new(replies, folder).show(self.json))
    }

    /// `stats`
    pub(crate) async fn stats(self, asked: &StatsArguments) -> anyhow::Result<Exit> {
        let named = which(&asked.selected);
        let Some(every) = asked.watch else {
            return print(&self.stats_once(&named).await?.show(self.json));
        };
        let shutdown = Shutdown::listen(self.config.runtime.stop_grace)?;
        // An unknown name is an error at the start; later it means that the process has ended.
        let mut report = self.stats_once(&named).await?;
        let every_purge = self.config.memory.purge_every;
        let _purging = memory::purge_periodically_unlogged(
            &r3e_common::runtime::tasks::Tasks::default(),
            shutdown.token(),
            every_purge,
        );
        loop {
            let clear = if !self.json && std::io::IsTerminal::is_terminal(&std::io::stdout()) { CLEAR } else { "" };
            match try_print(&format!("{clear}{}", report.show(self.json))) {
                Ok(Written::Whole) => {}
                Ok(Written::Closed) => return Ok(Exit::Done),
                Err(error) => return Err(error.into()),
            }
            if shutdown.token().run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
                return Ok(Exit::Done);
            }
            report = match self.stats_once(&named).await {
                Err(error) if error.is::<Unknown>() => StatsReport::new(Vec::new(), self.config.runtime.dir.clone()),
                other => other?,
            };
        }
    }

    async fn stats_once(&self, named: &[Selector]) -> anyhow::Result<StatsReport> {
        Ok(StatsReport::new(self.ask_selected(named, Question::Stats).await?, self.config.runtime.dir.clone()))
    }

    /// `purge`
    pub(crate) async fn purge(self, asked: &Selected) -> anyhow::Result<Exit> {
        let replies = self.ask_selected::<PurgeStats>(&which(asked), Question::Purge).await?;
        let report = Purges::new(replies, self.config.runtime.dir.clone());
        let printed = print(&report.show(self.json))?;
        let refused = report.refused();
        if refused.is_empty() {
            return Ok(printed);
        }
        bail!("not purged: {}", refused.join(", "))
    }

    /// The socket of the one selected process.
    async fn one(&self, asked: &One) -> anyhow::Result<Socket> {
        let which = Selector::from(asked.which.as_str());
        let mut selected = sockets::list(&self.config.runtime.dir)?;
        selected.retain(|it| which.matches(&it.program, it.pid));
        // Ignore stale sockets, which killed processes leave behind.
        if selected.len() > 1 {
            let mut alive = Vec::with_capacity(selected.len());
            for socket in selected {
                if !matches!(peer(&socket.path).await, Err(NoPeer::Gone)) {
                    alive.push(socket);
                }
            }
            selected = alive;
        }
        match selected.len() {
            0 => Err(self.unknown(&[which]).into()),
            1 => Ok(selected.remove(0)),
            _ => {
                let pids: Vec<String> = selected.iter().map(|it| it.pid.to_string()).collect();
                Err(self.unknown(&[format!("{which} alone (it matches {})", pids.join(", "))]).into())
            }
        }
    }

    /// `tasks`
    pub(crate) async fn tasks(self, asked: &One) -> anyhow::Result<Exit> {
        let socket = self.one(asked).await?;
        match ask::<Vec<TaskStats>>(&socket.path, Question::Tasks).await {
            Ok(tasks) => print(&Tasks(tasks).show(self.json)),
            Err(NoAnswer::Dead) => Err(self.unknown(&[&asked.which]).into()),
            Err(error) => bail!("{} ({}) is not answering: {error}", socket.program, socket.pid),
        }
    }

    /// The process id, in our namespace, of the selected process. It may be any process on the machine.
    async fn pid(&self, asked: &One) -> anyhow::Result<u32> {
        let which = Selector::from(asked.which.as_str());
        let has_socket = sockets::list(&self.config.runtime.dir)?.iter().any(|it| which.matches(&it.program, it.pid));
        match which {
            Selector::Pid(pid) if !has_socket && pid.instance == 1 && kernel::is_alive(pid.id)? => Ok(pid.id),
            _ => {
                let Socket { program, pid, path } = self.one(asked).await?;
                Ok(peer(&path).await.map_err(|cause| NoProcess { program, pid, cause })?)
            }
        }
    }

    /// `connections`
    pub(crate) async fn connections(self, asked: &One) -> anyhow::Result<Exit> {
        print(&Connections(kernel::connections(self.pid(asked).await?)?).show(self.json))
    }

    /// `fds`
    pub(crate) async fn fds(self, asked: &One) -> anyhow::Result<Exit> {
        print(&Descriptors(kernel::descriptors(self.pid(asked).await?)?).show(self.json))
    }
}

/// Clears the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

fn which(selected: &Selected) -> Vec<Selector> {
    selected.which.iter().map(|it| it.as_str().into()).collect()
}

/// The outcome of printing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Everything was written.
    Whole,
    /// The reader has closed the pipe, which is not a failure.
    Closed,
}

/// Writes to standard output.
pub(crate) fn try_print(text: &str) -> std::io::Result<Written> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Written::Whole),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Written::Closed),
        Err(error) => Err(error),
    }
}

/// Prints a result.
pub(crate) fn print(text: &str) -> anyhow::Result<Exit> {
    use anyhow::Context as _;
    try_print(text).context("cannot write the result to standard output")?;
    Ok(Exit::Done)
}
