//! Asks programs. Each question is a task of its own, so a program that does not answer delays neither the others nor the
//! keys. A process has at most one open question of a kind.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use r3e_common::runtime::control::{Endpoint, PurgeStats, Stats, TaskStats};
use r3e_common::runtime::fs::FsError;
use r3e_common::runtime::memory::Arena;
use r3e_common::runtime::tasks::Blocking;
use serde::de::DeserializeOwned;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::app::{Page, Tab};
use super::update::Event;
use crate::ask::ask;
use crate::peer::peer;
use crate::sockets::Socket;
use crate::{kernel, report, sockets};

/// The open questions.
#[derive(Debug)]
pub(super) struct Poller {
    folder: PathBuf,
    open: JoinSet<Event>,
    /// The processes that are being asked for their figures.
    asked: HashSet<Socket>,
    details: Option<(Socket, Tab, AbortHandle)>,
}

impl Poller {
    /// Finds sockets in `folder`.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, open: JoinSet::new(), asked: HashSet::new(), details: None }
    }

    /// Lists the sockets and asks each process for its figures, unless it is still being asked.
    pub(super) fn poll(&mut self) -> Event {
        let found = match sockets::list(&self.folder) {
            Ok(found) => found,
            Err(error) => return Event::Listed(Err(error.to_string())),
        };
        for socket in &found {
            if self.asked.insert(socket.clone()) {
                let socket = socket.clone();
                self.open.spawn(async move {
                    let answer = ask::<Stats>(&socket.path, Endpoint::Stats).await;
                    Event::Stats(socket, answer.map(Box::new))
                });
            }
        }
        Event::Listed(Ok(found))
    }

    /// Tells these processes to purge.
    pub(super) fn purge(&mut self, sockets: Vec<Socket>) {
        for socket in sockets {
            self.open.spawn(async move {
                let answer = ask::<PurgeStats>(&socket.path, Endpoint::Purge).await;
                Event::Purged(socket, answer.map(Box::new))
            });
        }
    }

    /// Asks for the details of a process, unless it is still being asked for the same. Cancels a question for others.
    pub(super) fn details(&mut self, socket: Socket, tab: Tab) {
        if let Some((open_socket, open_tab, handle)) = &self.details
            && !handle.is_finished()
        {
            if (open_socket, *open_tab) == (&socket, tab) {
                return;
            }
            handle.abort();
        }
        let of = socket.clone();
        let handle = self.open.spawn(async move {
            let page = page(&of.path, tab).await;
            Event::Details(of, tab, page)
        });
        self.details = Some((socket, tab, handle));
    }

    /// Waits for the next answer. `None` if no question is open.
    pub(super) async fn next(&mut self) -> Option<Result<Event, JoinError>> {
        loop {
            let joined = self.open.join_next().await?;
            if let Some(event) = self.finish(joined) {
                return Some(event);
            }
        }
    }

    /// The next answer that has arrived.
    pub(super) fn try_next(&mut self) -> Option<Result<Event, JoinError>> {
        loop {
            let joined = self.open.try_join_next()?;
            if let Some(event) = self.finish(joined) {
                return Some(event);
            }
        }
    }

    /// Marks a question as answered. `None` if it was cancelled.
    fn finish(&mut self, joined: Result<Event, JoinError>) -> Option<Result<Event, JoinError>> {
        if let Ok(Event::Stats(socket, _)) = &joined {
            self.asked.remove(socket);
        }
        Some(joined).filter(|it| !it.as_ref().is_err_and(JoinError::is_cancelled))
    }
}

async fn page(socket: &Path, tab: Tab) -> Page {
    let text = match tab {
        Tab::Tasks => report::tasks(&answer::<Vec<TaskStats>>(socket, Endpoint::Tasks).await?),
        Tab::Arenas => report::arenas(&answer::<Vec<Arena>>(socket, Endpoint::Arenas).await?),
        Tab::Descriptors => kernel(socket, |pid| Ok(report::descriptors(&kernel::descriptors(pid)?))).await?,
        Tab::Connections => kernel(socket, |pid| Ok(report::connections(&kernel::connections(pid)?))).await?,
    };
    Ok(text.lines().map(str::to_owned).collect())
}

async fn answer<T: DeserializeOwned>(socket: &Path, endpoint: Endpoint) -> Result<T, String> {
    ask(socket, endpoint).await.map_err(|error| error.to_string())
}

/// Reads `/proc` on a blocking thread: it takes milliseconds, and longer on a machine with many connections.
async fn kernel(
    socket: &Path,
    read: impl FnOnce(u32) -> Result<String, FsError> + Send + 'static,
) -> Result<String, String> {
    let pid = peer(socket).await.map_err(|error| error.to_string())?;
    match Blocking::start("kernel", move || read(pid)).await {
        Ok(text) => text.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
