//! Asking all programs at once, within one bound in time, and keeping apart who answered, who did not, and who is gone.

use std::path::Path;

use r3e_common::runtime::fs::FsError;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::ask::{NoAnswer, Question, ask};
use crate::sockets::{self, Pid, Socket};

/// What came of asking one program.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    /// Whom.
    pub(crate) socket: Socket,
    /// Its answer.
    pub(crate) answer: Result<T, NoAnswer>,
}

impl<T> Reply<T> {
    /// Whose it is.
    pub(crate) fn whose(&self) -> (&str, Pid) {
        self.socket.whose()
    }

    /// Whether nobody is behind the socket any more.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.answer, Err(NoAnswer::Dead))
    }
}

/// Asks all of them at the same time; answers come in the order of the sockets.
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

/// Asks every program that has a socket in that folder.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) async fn ask_everyone<T>(folder: &Path, question: Question) -> Result<Vec<Reply<T>>, FsError>
where
    T: DeserializeOwned + Send + 'static,
{
    Ok(ask_all(sockets::list(folder)?, question).await)
}
