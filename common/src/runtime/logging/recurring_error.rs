//! Logs an error that keeps recurring only once.

use std::fmt::Display;

/// How many different errors are logged before the operation succeeds again.
const MAX_LOGGED: usize = 8;

/// An operation that is repeated and may fail each time.
#[derive(Debug)]
pub struct RecurringError {
    failed: &'static str,
    recovered: &'static str,
    /// What was logged since the operation last succeeded.
    logged: Vec<String>,
}

impl RecurringError {
    /// Takes the messages that are logged when the operation fails and when it succeeds again.
    #[must_use]
    pub const fn new(failed: &'static str, recovered: &'static str) -> Self {
        Self { failed, recovered, logged: Vec::new() }
    }

    /// Logs the error, unless the same one was logged since the last success.
    pub fn failed(&mut self, error: &impl Display) {
        let error = error.to_string();
        if self.logged.contains(&error) || self.logged.len() >= MAX_LOGGED {
            tracing::debug!(%error, "{} (again)", self.failed);
            return;
        }
        tracing::error!(%error, "{}", self.failed);
        self.logged.push(error);
    }

    /// Logs the recovery, if the operation failed before. Returns whether it had.
    pub fn succeeded(&mut self) -> bool {
        let had_failed = !self.logged.is_empty();
        if had_failed {
            tracing::info!("{}", self.recovered);
            self.logged.clear();
        }
        had_failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_logged_once_until_the_operation_succeeds() {
        let mut writing = RecurringError::new("cannot write", "writing again");
        assert!(!writing.succeeded());
        for number in 0..100 {
            writing.failed(&"full");
            writing.failed(&number);
        }
        assert_eq!(writing.logged.len(), MAX_LOGGED);
        assert!(writing.succeeded() && !writing.succeeded());
        writing.failed(&"full");
        assert_eq!(writing.logged, ["full"]);
    }
}
