//! Parses a program's JSON log into events. Tests identify events by level and fields; messages are for people.

use serde::Deserialize;
use serde_json::{Map, Value};

/// An event of a log.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// When it was logged.
    pub timestamp: String,
    /// The program that logged it, if a scheduler forwarded it.
    pub job: Option<String>,
    /// Its fields, the message among them.
    pub fields: Map<String, Value>,
}

impl Event {
    /// Whether it has all of these fields.
    #[must_use]
    pub fn has(&self, fields: &[&str]) -> bool {
        fields.iter().all(|it| self.fields.contains_key(*it))
    }

    /// Whether the message or another text field contains this.
    #[must_use]
    pub fn names(&self, part: &str) -> bool {
        self.fields.values().any(|it| it.as_str().is_some_and(|it| it.contains(part)))
    }

    /// A field.
    ///
    /// # Panics
    /// When it has none of that name.
    #[track_caller]
    #[must_use]
    pub fn field(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

/// The events of a log. A supervisor's prefix is skipped. Lines that are not events are ignored: other output of a program,
/// or an incomplete line.
#[must_use]
pub fn events(log: &str) -> Vec<Event> {
    let event = |line: &str| serde_json::from_str(&line[line.find('{')?..]).ok();
    log.lines().filter_map(event).collect()
}

/// The program's own events (not those of its jobs) that have all of these fields.
#[must_use]
pub fn events_with(log: &str, fields: &[&str]) -> Vec<Event> {
    events(log).into_iter().filter(|it| it.job.is_none() && it.has(fields)).collect()
}

/// The program's own events (not those of its jobs) of this level.
#[must_use]
pub fn events_at(log: &str, level: &str) -> Vec<Event> {
    events(log).into_iter().filter(|it| it.job.is_none() && it.level == level).collect()
}

/// Whether a text contains this, either verbatim or with quotation marks escaped, as in an event.
#[must_use]
pub fn names(text: &str, part: &str) -> bool {
    text.contains(part) || events(text).iter().any(|it| it.names(part))
}
