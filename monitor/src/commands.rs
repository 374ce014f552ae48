//! What is done at the prompt: ask, and show what was said.

mod heap;
mod past;
mod verdict;

pub(crate) use verdict::NotSeen;

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
use crate::sockets::{self, Pid, Socket, Which, meant};
use crate::survey::{Reply, ask_all, ask_everyone};

/// Names that no process has: a mistake at the prompt, as an unknown flag is, or the process has ended.
#[derive(Debug, thiserror::Error)]
#[error("no program that runs is called {names} (sockets in {folder}); r3e-monitor list shows those that run")]
pub(crate) struct Unknown {
    pub(crate) names: String,
    pub(crate) folder: String,
}

/// A process of which the kernel has no account here.
#[derive(Debug, thiserror::Error)]
#[error("{program} ({pid}): {cause}")]
pub(crate) struct NoAccount {
    program: String,
    pid: Pid,
    cause: NoPeer,
}

/// What all commands know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// What is in force.
    pub(crate) config: &'a Config,
    /// Whether a script is to read the result.
    pub(crate) json: bool,
    /// What time it is.
    pub(crate) clock: fn() -> SystemTime,
}

impl Asked<'_> {
    fn unknown(&self, names: &[impl ToString]) -> Unknown {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Unknown { names: names.join(", "), folder: self.config.runtime.dir.display().to_string() }
    }

    /// Asks those that are meant. A socket that nobody is behind is no process, and so means nothing.
    async fn ask_meant<T>(&self, named: &[Which], question: Question) -> anyhow::Result<Vec<Reply<T>>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let unknown = |names: Vec<Which>| self.unknown(&names);
        let sockets = sockets::list(&self.config.runtime.dir)?;
        let mut replies = ask_all(meant(sockets, named, Socket::whose).map_err(unknown)?, question).await;
        replies.retain(|reply| !reply.is_dead());
        Ok(meant(replies, named, Reply::whose).map_err(unknown)?)
    }

    /// `list`
    pub(crate) async fn list(self) -> anyhow::Result<Exit> {
        let folder = self.config.runtime.dir.clone();
        let replies = ask_everyone::<Stats>(&folder, Question::Stats).await?;
        print(&List::new(replies, folder).show(self.json))
    }

    /// `stats`
    pub(crate) async fn stats(self, asked: &StatsArguments) -> anyhow::Result<Exit> {
        let named = which(&asked.selected);
        let Some(every) = asked.watch else {
            return print(&self.stats_once(&named).await?.show(self.json));
        };
        let shutdown = Shutdown::listen(self.config.runtime.stop_grace)?;
        // A name that is wrong from the beginning is an error; later on, a process has come to its end.
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
                Ok(Written::NobodyReads) => return Ok(Exit::Done),
                Err(error) => return Err(error.into()),
            }
            if shutdown.token().run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
                // It was to go on until stopped, and so is done.
                return Ok(Exit::Done);
            }
            report = match self.stats_once(&named).await {
                Err(error) if error.is::<Unknown>() => StatsReport::new(Vec::new(), self.config.runtime.dir.clone()),
                other => other?,
            };
        }
    }

    async fn stats_once(&self, named: &[Which]) -> anyhow::Result<StatsReport> {
        Ok(StatsReport::new(self.ask_meant(named, Question::Stats).await?, self.config.runtime.dir.clone()))
    }

    /// `purge`
    pub(crate) async fn purge(self, asked: &Selected) -> anyhow::Result<Exit> {
        let replies = self.ask_meant::<PurgeStats>(&which(asked), Question::Purge).await?;
        let report = Purges::new(replies, self.config.runtime.dir.clone());
        let printed = print(&report.show(self.json))?;
        let refused = report.refused();
        if refused.is_empty() {
            return Ok(printed);
        }
        bail!("not purged: {}", refused.join(", "))
    }

    /// The one process that is meant, by its socket.
    async fn one(&self, asked: &One) -> anyhow::Result<Socket> {
        let which = Which::from(asked.which.as_str());
        let mut meant = sockets::list(&self.config.runtime.dir)?;
        meant.retain(|it| which.means(&it.program, it.pid));
        // A socket that its owner left behind when it was killed is none of a process.
        if meant.len() > 1 {
            let mut alive = Vec::with_capacity(meant.len());
            for socket in meant {
                if !matches!(peer(&socket.path).await, Err(NoPeer::Gone)) {
                    alive.push(socket);
                }
            }
            meant = alive;
        }
        match meant.len() {
            0 => Err(self.unknown(&[which]).into()),
            1 => Ok(meant.remove(0)),
            _ => {
                let pids: Vec<String> = meant.iter().map(|it| it.pid.to_string()).collect();
                Err(self.unknown(&[format!("{which} alone: there are {}", pids.join(", "))]).into())
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

    /// The process that is meant, as it is numbered here: one of ours by its socket, any other one by its number.
    async fn pid(&self, asked: &One) -> anyhow::Result<u32> {
        let which = Which::from(asked.which.as_str());
        let has_socket = sockets::list(&self.config.runtime.dir)?.iter().any(|it| which.means(&it.program, it.pid));
        match which {
            Which::Pid(pid) if !has_socket && pid.instance == 1 && kernel::is_alive(pid.id)? => Ok(pid.id),
            _ => {
                let Socket { program, pid, path } = self.one(asked).await?;
                Ok(peer(&path).await.map_err(|cause| NoAccount { program, pid, cause })?)
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

/// Begins a screen anew.
const CLEAR: &str = "\x1b[H\x1b[2J";

fn which(selected: &Selected) -> Vec<Which> {
    selected.which.iter().map(|it| it.as_str().into()).collect()
}

/// What became of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It was written.
    Whole,
    /// Who was to read it has left, which is no failure.
    NobodyReads,
}

/// Writes to standard output.
pub(crate) fn try_print(text: &str) -> std::io::Result<Written> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Written::Whole),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Written::NobodyReads),
        Err(error) => Err(error),
    }
}

/// Writes a whole result.
pub(crate) fn print(text: &str) -> anyhow::Result<Exit> {
    use anyhow::Context as _;
    try_print(text).context("cannot write the result to standard output")?;
    Ok(Exit::Done)
}
