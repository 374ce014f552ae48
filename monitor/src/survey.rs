//! Asks all programs at once.

use std::path::Path;

use r3e_common::runtime::fs::FsError;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::ask::{NoAnswer, Question, ask};
use crate::sockets::{self, Pid, Socket};

/// The answer of one program.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    /// Its socket.
    pub(crate) socket: Socket,
    /// The answer, or why there is none.
    pub(crate) answer: Result<T, NoAnswer>,
}

impl<T> Reply<T> {
    /// Its program and process id.
    pub(crate) fn identity(&self) -> (&str, Pid) {
        self.socket.identity()
    }

    /// Whether the socket is stale.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.answer, Err(NoAnswer::Dead))
    }
}

/// Asks at the same time; answers are in the order of the sockets.
pub(crate) async fn ask_all<T>(sockets: Vec<Socket>, question: Question) -> Vec<Reply<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    let mut asking = JoinSet::new();
    for (number, socket) in sockets.into_iter().enumerate() {
        asking.spawn(async move {
            let answer = ask(&socket.path, question).await;
            (number, Reply { socket, answer })
        });
    }
    let mut replies = asking.join_all().await;
    replies.sort_by_key(|(number, _)| *number);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

/// Asks every program with a socket in `folder`.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) async fn ask_every_program<T>(folder: &Path, question: Question) -> Result<Vec<Reply<T>>, FsError>
where
    T: DeserializeOwned + Send + 'static,
{
    Ok(ask_all(sockets::list(folder)?, question).await)
}
