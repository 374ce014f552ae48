//! Violated invariants, reported by any thread.

use std::sync::{Mutex, PoisonError};

/// Lines that are kept; more are counted.
const MAX_KEPT: usize = 50;

/// A list that all threads of a soak add to.
#[derive(Debug, Default)]
pub(super) struct Violations(Mutex<(Vec<String>, usize)>);

impl Violations {
    /// Adds one, and prints it.
    #[expect(clippy::print_stderr, reason = "seen at once, not only in the report")]
    pub(super) fn add(&self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("LOSS: {what}");
        let mut violations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        violations.1 += 1;
        if violations.0.len() < MAX_KEPT {
            violations.0.push(what);
        }
    }

    /// The first of them, and how many there are.
    #[must_use]
    pub(super) fn all(&self) -> (Vec<String>, usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
