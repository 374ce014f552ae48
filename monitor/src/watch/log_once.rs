//! Logs a failure that may repeat each second once, and the recovery.

use std::fmt::Display;

/// Upper bound of the different errors that are logged before a recovery.
const MAX_LOGGED: usize = 8;

#[derive(Debug)]
pub(super) struct LogOnce {
    recovery: &'static str,
    /// The errors logged since the last success.
    logged: Vec<String>,
}

impl LogOnce {
    /// `recovery` is logged at the first success after a failure.
    pub(super) fn new(recovery: &'static str) -> Self {
        Self { recovery, logged: Vec::new() }
    }

    pub(super) fn failed(&mut self, error: &impl Display) {
        let error = error.to_string();
        if self.logged.contains(&error) || self.logged.len() >= MAX_LOGGED {
            tracing::debug!("again: {error}");
            return;
        }
        tracing::error!("{error}");
        self.logged.push(error);
    }

    pub(super) fn succeeded(&mut self) {
        if !self.logged.is_empty() {
            tracing::info!("{}", self.recovery);
            self.logged.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_logged_once_until_it_succeeds() {
        let mut log = LogOnce::new("it works again");
        for number in 0..100 {
            log.failed(&"full");
            log.failed(&number);
        }
        assert_eq!(log.logged.len(), MAX_LOGGED);
        log.succeeded();
        assert!(log.logged.is_empty());
        log.failed(&"full");
        assert_eq!(log.logged, ["full"]);
    }
}
