//! Asks all programs at once.

use std::path::Path;

use r3e_common::runtime::control::Endpoint;
use r3e_common::runtime::fs::FsError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::ask::{NoAnswer, ask};
use crate::sockets::{self, Pid, Socket};

/// The answer of one program, or why there is none.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    pub(crate) socket: Socket,
    pub(crate) answer: Result<T, NoAnswer>,
}

impl<T> Reply<T> {
    pub(crate) fn identity(&self) -> (&str, Pid) {
        self.socket.identity()
    }

    /// Whether a killed process left this socket behind.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.answer, Err(NoAnswer::Dead))
    }

    /// Whether the program answers, as users and scripts read it.
    pub(crate) fn state(&self) -> &'static str {
        match self.answer {
            Ok(_) => "answers",
            Err(NoAnswer::Dead) => "dead socket",
            Err(_) => "not answering",
        }
    }

    /// Identity and state, and then the keys of `answer`, or why there is no answer.
    pub(crate) fn to_json(&self, answer: impl Fn(&T) -> Value) -> Value {
        let Socket { program, pid, .. } = &self.socket;
        let mut reply = json!({ "program": program, "pid": pid.id, "instance": pid.instance, "state": self.state() });
        let answer = match &self.answer {
            Ok(it) => answer(it),
            Err(why) => json!({ "why": why.to_string() }),
        };
        if let (Value::Object(reply), Value::Object(answer)) = (&mut reply, answer) {
            reply.extend(answer);
        }
        reply
    }
}

/// Replies with all keys of their answers.
pub(crate) fn to_json<'r, T: Serialize + 'r>(replies: impl IntoIterator<Item = &'r Reply<T>>) -> Value {
    replies.into_iter().map(|reply| reply.to_json(|it| serde_json::to_value(it).unwrap_or_default())).collect()
}

/// Asks at the same time. Replies are in the order of the sockets.
pub(crate) async fn ask_all<T>(sockets: Vec<Socket>, endpoint: Endpoint) -> Vec<Reply<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    let mut asking = JoinSet::new();
    for (number, socket) in sockets.into_iter().enumerate() {
        asking.spawn(async move {
            let answer = ask(&socket.path, endpoint).await;
            (number, Reply { socket, answer })
        });
    }
    let mut replies = asking.join_all().await;
    replies.sort_by_key(|(number, _)| *number);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

/// Asks every program with a socket in `folder`.
pub(crate) async fn ask_every_program<T>(folder: &Path, endpoint: Endpoint) -> Result<Vec<Reply<T>>, FsError>
where
    T: DeserializeOwned + Send + 'static,
{
    Ok(ask_all(sockets::list(folder)?, endpoint).await)
}
