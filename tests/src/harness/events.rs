//! What a program logs as JSON: events, told apart by their level and fields. Their messages are for people.

use serde::Deserialize;
use serde_json::{Map, Value};

/// An event of a log.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// When it was logged.
    pub timestamp: String,
    /// The program that logged it, if a scheduler has passed it on.
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

    /// Whether one of its texts, the message included, names that.
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

/// The events of a log. What a supervisor puts before them is skipped. A line that is none is left out: what a program has printed
/// otherwise, or one that is not finished.
#[must_use]
pub fn events(log: &str) -> Vec<Event> {
    let event = |line: &str| serde_json::from_str(&line[line.find('{')?..]).ok();
    log.lines().filter_map(event).collect()
}

/// Those that have all of these fields, without those of jobs.
#[must_use]
pub fn events_with(log: &str, fields: &[&str]) -> Vec<Event> {
    events(log).into_iter().filter(|it| it.job.is_none() && it.has(fields)).collect()
}

/// Those of a level, without those of jobs.
#[must_use]
pub fn events_at(log: &str, level: &str) -> Vec<Event> {
    events(log).into_iter().filter(|it| it.job.is_none() && it.level == level).collect()
}

/// Whether a text names that: as it stands there, or in an event, where quotation marks are escaped.
#[must_use]
pub fn names(text: &str, part: &str) -> bool {
    text.contains(part) || events(text).iter().any(|it| it.names(part))
}
