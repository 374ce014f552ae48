//! What must never happen, and did.

use std::sync::{Mutex, PoisonError};

/// Lines that are kept; more are counted.
const MAX_KEPT: usize = 50;

/// A list that all threads of a soak add to.
#[derive(Debug, Default)]
pub(super) struct Losses(Mutex<(Vec<String>, usize)>);

impl Losses {
    /// Adds one, and prints it.
    #[expect(clippy::print_stderr, reason = "seen at once, not only in the report")]
    pub(super) fn add(&self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("LOSS: {what}");
        let mut losses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        losses.1 += 1;
        if losses.0.len() < MAX_KEPT {
            losses.0.push(what);
        }
    }

    /// The first of them, and how many there are.
    #[must_use]
    pub(super) fn all(&self) -> (Vec<String>, usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
