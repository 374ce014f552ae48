//! Asking: every question is a task of its own, so that one who does not answer keeps nobody waiting, neither the others
//! nor the keys. Of each process at most one question of a kind is open.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;

use r3e_common::runtime::control::{PurgeStats, Stats, TaskStats};
use r3e_common::runtime::fs::FsError;
use r3e_common::runtime::memory::Arena;
use r3e_common::runtime::tasks::Blocking;
use serde::de::DeserializeOwned;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::app::{Id, Page, Tab};
use super::update::Event;
use crate::ask::{Question, ask};
use crate::kernel;
use crate::peer::peer;
use crate::report::{Arenas, Connections, Descriptors, Tasks};
use crate::sockets;

/// The questions that are open.
#[derive(Debug)]
pub(super) struct Gather {
    folder: PathBuf,
    open: JoinSet<Event>,
    /// Where each socket is, by what was last seen in the folder, and whether its process is being asked what it holds.
    sockets: HashMap<Id, (PathBuf, bool)>,
    looking: Option<(Id, Tab, AbortHandle)>,
}

impl Gather {
    /// Nothing is asked yet; sockets are looked for in that folder.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, open: JoinSet::new(), sockets: HashMap::new(), looking: None }
    }

    /// Looks who is there, and asks all of them that are not being asked already.
    pub(super) fn round(&mut self) -> Event {
        let found = match sockets::list(&self.folder) {
            Ok(found) => found,
            Err(error) => return Event::Looked(Err(error.to_string())),
        };
        let mut there = HashMap::with_capacity(found.len());
        for socket in found {
            let id = Id { program: socket.program, pid: socket.pid };
            let is_open = self.sockets.get(&id).is_some_and(|it| it.1);
            if !is_open {
                let (id, path) = (id.clone(), socket.path.clone());
                self.ask(async move {
                    let answer = ask::<Stats>(&path, Question::Stats).await;
                    Event::Asked(id, answer.map(Box::new))
                });
            }
            there.insert(id, (socket.path, true));
        }
        let ids = there.keys().cloned().collect();
        // Questions to those that are gone come to an end by themselves.
        self.sockets = there;
        Event::Looked(Ok(ids))
    }

    /// Has these purge.
    pub(super) fn purge(&mut self, of: Vec<Id>) {
        for id in of {
            let path = self.path(&id);
            self.ask(async move {
                let answer = ask::<PurgeStats>(&path, Question::Purge).await;
                Event::Purged(id, answer.map(Box::new))
            });
        }
    }

    /// Looks into a process, unless that is being done. Another look that is open is called off.
    pub(super) fn look(&mut self, id: Id, tab: Tab) {
        if let Some((looked_into, at, handle)) = &self.looking
            && !handle.is_finished()
        {
            if (looked_into, *at) == (&id, tab) {
                return;
            }
            handle.abort();
        }
        let (path, of) = (self.path(&id), id.clone());
        let handle = self.ask(async move {
            let page = look(&path, tab).await;
            Event::Found(id, tab, page)
        });
        self.looking = Some((of, tab, handle));
    }

    /// Opens a question. Boxed, so that the code for a task is there once and not for each kind of them.
    fn ask(&mut self, question: impl Future<Output = Event> + Send + 'static) -> AbortHandle {
        let question: Pin<Box<dyn Future<Output = Event> + Send>> = Box::pin(question);
        self.open.spawn(question)
    }

    fn path(&self, id: &Id) -> PathBuf {
        let known = self.sockets.get(id).map(|it| it.0.clone());
        known.unwrap_or_else(|| self.folder.join(format!("{}-{}.sock", id.program, id.pid)))
    }

    /// The next answer; none while nothing is open.
    ///
    /// # Errors
    /// When asking panicked.
    pub(super) async fn next(&mut self) -> Option<Result<Event, JoinError>> {
        loop {
            let ended = self.open.join_next().await?;
            if let Some(ended) = self.note(ended) {
                return Some(ended);
            }
        }
    }

    /// An answer that is there already.
    ///
    /// # Errors
    /// When asking panicked.
    pub(super) fn try_next(&mut self) -> Option<Result<Event, JoinError>> {
        loop {
            let ended = self.open.try_join_next()?;
            if let Some(ended) = self.note(ended) {
                return Some(ended);
            }
        }
    }

    /// Notes that a question is not open any more; of one that was called off there is no more to say.
    fn note(&mut self, ended: Result<Event, JoinError>) -> Option<Result<Event, JoinError>> {
        match &ended {
            Ok(Event::Asked(id, _)) => {
                if let Some(socket) = self.sockets.get_mut(id) {
                    socket.1 = false;
                }
            }
            Err(error) if error.is_cancelled() => return None,
            _ => {}
        }
        Some(ended)
    }
}

async fn look(path: &std::path::Path, tab: Tab) -> Page {
    async fn of<T: DeserializeOwned>(path: &std::path::Path, question: Question) -> Result<T, String> {
        ask(path, question).await.map_err(|error| error.to_string())
    }
    let text = match tab {
        Tab::Tasks => Tasks(of::<Vec<TaskStats>>(path, Question::Tasks).await?).to_string(),
        Tab::Arenas => Arenas(of::<Vec<Arena>>(path, Question::Arenas).await?).to_string(),
        Tab::Descriptors => {
            let pid = peer(path).await.map_err(|error| error.to_string())?;
            read(move || Ok(Descriptors(kernel::descriptors(pid)?).to_string())).await?
        }
        Tab::Connections => {
            let pid = peer(path).await.map_err(|error| error.to_string())?;
            read(move || Ok(Connections(kernel::connections(pid)?).to_string())).await?
        }
    };
    Ok(text.lines().map(str::to_owned).collect())
}

/// Reads the kernel's account, which takes milliseconds, and more on a machine with many connections.
async fn read(read: impl FnOnce() -> Result<String, FsError> + Send + 'static) -> Result<String, String> {
    match Blocking::start("kernel", read).await {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
