//! When the service is plainly down, and 14,703 boards need not each find that out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::retry::Failure;

/// So many failures in a row say it, where nothing has succeeded yet …
const AT_FIRST: u32 = 8;
/// … and so many where something has, with nothing for so long: a service that restarts is waited for.
const IN_A_ROW: u32 = 20;
const SILENCE: Duration = Duration::from_secs(10);

/// Counts failures of requests, each try for itself.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    last_success: Option<Instant>,
    open: Option<String>,
}

impl Circuit {
    /// A request succeeded.
    pub(super) fn success(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = 0;
        state.last_success = Some(now);
    }

    /// A request failed.
    pub(super) fn failure(&self, now: Instant, failure: &Failure) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        let down = match state.last_success {
            None => state.failures >= AT_FIRST,
            Some(last) => state.failures >= IN_A_ROW && now.duration_since(last) >= SILENCE,
        };
        if down && state.open.is_none() {
            state.open = Some(format!("{} requests in a row failed, the last with: {failure}", state.failures));
        }
    }

    /// Ends the run for a reason of its own.
    pub(super) fn open(&self, why: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open.get_or_insert(why);
    }

    /// Why the run is to end, if it is.
    pub(super) fn down(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_never_answered_is_down_soon() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 1..AT_FIRST {
            circuit.failure(now, &Failure::Html);
            assert_eq!(circuit.down(), None);
        }
        circuit.failure(now, &Failure::Html);
        let why = circuit.down().unwrap();
        assert_eq!(why, "8 requests in a row failed, the last with: an HTML page instead of JSON");
    }

    #[test]
    fn one_that_did_is_given_time_to_come_back() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        circuit.success(now);
        for _ in 0..IN_A_ROW * 2 {
            circuit.failure(now + SILENCE / 2, &Failure::Html);
        }
        assert_eq!(circuit.down(), None);
        circuit.success(now + SILENCE);
        for _ in 0..IN_A_ROW - 1 {
            circuit.failure(now + SILENCE * 2, &Failure::Html);
        }
        assert_eq!(circuit.down(), None);
        circuit.failure(now + SILENCE * 2, &Failure::Html);
        assert!(circuit.down().is_some());
    }
}
