//! What the commands share: selecting programs, asking them, printing a result.

use std::io::Write as _;
use std::time::SystemTime;

use r3e_common::runtime::config::Config;
use r3e_common::runtime::exit::{Exit, Failure};
use serde::de::DeserializeOwned;

use crate::ask::Question;
use crate::cli::{One, Selected};
use crate::kernel;
use crate::peer::{NoPeer, peer};
use crate::sockets::{self, Selector, Socket, select};
use crate::survey::{Reply, ask_all};

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
    /// No running process has these names: a usage error.
    pub(super) fn unknown(&self, names: &[impl ToString]) -> Failure {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let (names, folder) = (names.join(", "), self.config.runtime.dir.display());
        let hint = "r3e-monitor list shows the running programs";
        Failure::new(Exit::Usage, format!("no running program matches {names} (sockets in {folder})\nhint: {hint}"))
    }

    /// Asks the selected programs. Stale sockets match no selector.
    pub(super) async fn ask_selected<T>(&self, named: &[Selector], question: Question) -> Result<Vec<Reply<T>>, Failure>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let unknown = |names: Vec<Selector>| self.unknown(&names);
        let sockets = sockets::list(&self.config.runtime.dir)?;
        let mut replies = ask_all(select(sockets, named, Socket::identity).map_err(unknown)?, question).await;
        replies.retain(|reply| !reply.is_dead());
        select(replies, named, Reply::identity).map_err(unknown)
    }

    /// The socket of the one selected process.
    pub(super) async fn one(&self, asked: &One) -> Result<Socket, Failure> {
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
            0 => Err(self.unknown(&[which])),
            1 => Ok(selected.remove(0)),
            _ => {
                let pids: Vec<String> = selected.iter().map(|it| it.pid.to_string()).collect();
                Err(self.unknown(&[format!("{which} alone (it matches {})", pids.join(", "))]))
            }
        }
    }

    /// The process id, in our namespace, of the selected process. It may be any process on the machine.
    pub(super) async fn pid(&self, asked: &One) -> Result<u32, Failure> {
        let which = Selector::from(asked.which.as_str());
        let has_socket = sockets::list(&self.config.runtime.dir)?.iter().any(|it| which.matches(&it.program, it.pid));
        match which {
            Selector::Pid(pid) if !has_socket && pid.instance == 1 && kernel::is_alive(pid.id)? => Ok(pid.id),
            _ => {
                let Socket { program, pid, path } = self.one(asked).await?;
                Ok(peer(&path)
                    .await
                    .map_err(|cause| Failure::new(Exit::Usage, format!("{program} ({pid}): {cause}")))?)
            }
        }
    }
}

pub(super) fn which(selected: &Selected) -> Vec<Selector> {
    selected.which.iter().map(|it| it.as_str().into()).collect()
}

/// The outcome of printing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Everything was written.
    Whole,
    /// The reader has closed the pipe, which is not a failure.
    Closed,
}

/// Writes to standard output.
pub(super) fn try_print(text: &str) -> std::io::Result<Written> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Written::Whole),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Written::Closed),
        Err(error) => Err(error),
    }
}

/// Prints a result.
pub(super) fn print(text: &str) -> Result<Exit, Failure> {
    try_print(text).map_err(|error| Failure::context("cannot write the result to standard output", &error))?;
    Ok(Exit::Done)
}
