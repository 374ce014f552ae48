//! Reports of a process from the kernel.

use std::fmt;

use serde_json::{Value, json};

use super::output::Report;
use super::table::Table;
use crate::kernel::{Connection, Open};

/// `connections`.
#[derive(Debug)]
pub(crate) struct Connections(pub(crate) Vec<Connection>);

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no open connections");
        }
        let mut table = Table::new(&["PROTOCOL", "LOCAL", "REMOTE", "STATE"]);
        for Connection { protocol, local, remote, state } in &self.0 {
            let named = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
            let remote = named(remote.as_deref().unwrap_or_default());
            table.row(vec![(*protocol).to_owned(), named(local), remote, (*state).to_owned()]);
        }
        table.fmt(f)
    }
}

impl Report for Connections {
    fn to_json(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}

/// `fds`.
#[derive(Debug)]
pub(crate) struct Descriptors(pub(crate) Open);

impl fmt::Display for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&[">FD", "KIND", "TARGET"]);
        for it in &self.0.descriptors {
            table.row(vec![it.fd.to_string(), it.kind.clone(), it.target.clone()]);
        }
        if self.0.more > 0 {
            table.note(format!("{} more", self.0.more));
        }
        table.fmt(f)
    }
}

impl Report for Descriptors {
    fn to_json(&self) -> Value {
        json!({ "fds": self.0.descriptors, "more": self.0.more })
    }
}
