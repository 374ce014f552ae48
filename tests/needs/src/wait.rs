//! Waits for events, and never sleeps for a fixed time.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: a safety net far above the usual time, not an expectation.
pub const BOUND: Duration = Duration::from_mins(3);

/// Waits until `event` has happened.
///
/// # Panics
/// If it has not happened within [`BOUND`].
pub fn until(what: &str, mut event: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !event() {
        assert!(begun.elapsed() < BOUND, "timed out waiting until {what}");
        std::thread::park_timeout(Duration::from_micros(200));
    }
}
