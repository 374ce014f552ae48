//! What the commands share: selecting programs, asking them, printing a result.

use std::io::{self, Write as _};
use std::time::SystemTime;

use r3e_common::runtime::config::Config;
use r3e_common::runtime::control::Endpoint;
use r3e_common::runtime::exit::{Exit, Failure};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ask::{NoAnswer, Question, ask};
use crate::cli::{One, Selected};
use crate::kernel;
use crate::peer::{NoPeer, peer};
use crate::sockets::{self, Selector, Socket, select};
use crate::survey::{Reply, ask_all};

/// The context of all commands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    /// Whether to print JSON.
    pub(crate) json: bool,
    pub(crate) clock: fn() -> SystemTime,
}

impl Context<'_> {
    /// No running process has these names: a usage error.
    fn unknown(&self, names: &[impl ToString]) -> Failure {
        let folder = self.config.runtime.dir.display();
        let hint = "r3e-monitor list shows the running programs";
        Failure::new(
            Exit::Usage,
            format!("no running program matches {} (sockets in {folder})\nhint: {hint}", comma_separated(names)),
        )
    }

    /// Asks the selected programs. Stale sockets match no selector.
    pub(super) async fn ask_selected<T>(&self, named: &[Selector], endpoint: Endpoint) -> Result<Vec<Reply<T>>, Failure>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let unknown = |names: Vec<Selector>| self.unknown(&names);
        let sockets = sockets::list(&self.config.runtime.dir)?;
        let mut replies = ask_all(select(sockets, named, Socket::identity).map_err(unknown)?, endpoint).await;
        replies.retain(|reply| !reply.is_dead());
        select(replies, named, Reply::identity).map_err(unknown)
    }

    /// Asks one program.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        socket: &Socket,
        question: impl Into<Question>,
    ) -> Result<T, Failure> {
        ask(&socket.path, question).await.map_err(|error| match error {
            NoAnswer::Dead => self.unknown(&[socket]),
            error => Failure::unexpected(format!("{socket} is not answering: {error}")),
        })
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
                let socket = self.one(asked).await?;
                let found = peer(&socket.path).await;
                found.map_err(|cause| Failure::new(Exit::Usage, format!("{socket}: {cause}")))
            }
        }
    }

    /// A result as text, or as one line of JSON.
    pub(super) fn render(&self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> String {
        if self.json { format!("{}\n", json()) } else { text() }
    }

    /// Prints a result.
    pub(super) fn show(&self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<Exit, Failure> {
        print(&self.render(json, text))
    }
}

pub(super) fn selectors(selected: &Selected) -> Vec<Selector> {
    selected.which.iter().map(|it| it.as_str().into()).collect()
}

pub(super) fn comma_separated(names: &[impl ToString]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Writes to standard output. `false` if the reader has closed the pipe, which is not a failure.
pub(super) fn try_print(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// Prints a result.
pub(super) fn print(text: &str) -> Result<Exit, Failure> {
    try_print(text).map_err(|error| Failure::context("cannot write the result to standard output", &error))?;
    Ok(Exit::Done)
}
