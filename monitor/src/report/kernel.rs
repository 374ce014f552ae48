//! What the kernel knows of a process.

use super::table::Table;
use crate::kernel::{Connection, Descriptors};

pub(crate) fn connections(connections: &[Connection]) -> String {
    if connections.is_empty() {
        return "no open connections\n".to_owned();
    }
    let mut table = Table::new("PROTOCOL, LOCAL, REMOTE, STATE");
    for Connection { protocol, local, remote, state } in connections {
        let named = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let remote = named(remote.as_deref().unwrap_or_default());
        table.row(vec![(*protocol).to_owned(), named(local), remote, (*state).to_owned()]);
    }
    table.to_string()
}

pub(crate) fn descriptors(open: &Descriptors) -> String {
    let mut table = Table::new(">FD, KIND, TARGET");
    for it in &open.fds {
        table.row(vec![it.fd.to_string(), it.kind.clone(), it.target.clone()]);
    }
    if open.more > 0 {
        table.note(format!("{} more", open.more));
    }
    table.to_string()
}
