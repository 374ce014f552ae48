//! When the service is plainly down, and 16,110 boards need not each find that out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;

/// Where nothing has succeeded yet, so many failures in a row say it, or two that lie so far apart …
const AT_FIRST: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(20);
/// … and where something has, so many with no success for so long: a service that restarts is waited for …
const IN_A_ROW: u32 = 20;
const SILENCE: Duration = Duration::from_secs(10);
/// … or a few, where each takes long to fail.
const A_FEW: u32 = 4;
const LONG_SILENCE: Duration = Duration::from_mins(3);

/// Counts failures of requests, each try for itself.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// The first of them that was no request to wait.
    first_failure: Option<Instant>,
    last_success: Option<Instant>,
    open: Option<String>,
}

impl CircuitBreaker {
    /// A request succeeded.
    pub(super) fn success(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = 0;
        state.first_failure = None;
        state.last_success = Some(now);
    }

    /// A request failed.
    pub(super) fn failure(&self, now: Instant, failure: &Failure) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        if !matches!(failure, Failure::Status { retry_after: Some(_), .. }) {
            state.first_failure.get_or_insert(now);
        }
        let lasting = |since: Option<Instant>| since.map_or(Duration::ZERO, |it| now.duration_since(it));
        let silence = lasting(state.last_success);
        let down = if state.last_success.is_none() {
            state.failures >= AT_FIRST || (state.failures >= 2 && lasting(state.first_failure) >= PATIENCE)
        } else {
            (state.failures >= IN_A_ROW && silence >= SILENCE) || (state.failures >= A_FEW && silence >= LONG_SILENCE)
        };
        if down && state.open.is_none() {
            state.open = Some(format!("{} requests in a row failed, the last with: {failure}", state.failures));
        }
    }

    /// Whether any request has succeeded.
    pub(super) fn has_succeeded(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last_success.is_some()
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
        let (circuit, now) = (CircuitBreaker::default(), Instant::now());
        for _ in 1..AT_FIRST {
            circuit.failure(now, &Failure::Html);
            assert_eq!(circuit.down(), None);
        }
        circuit.failure(now, &Failure::Html);
        let why = circuit.down().unwrap();
        assert_eq!(why, "8 requests in a row failed, the last with: an HTML page instead of JSON");
    }

    #[test]
    fn one_that_takes_long_to_fail_is_down_after_a_few() {
        let (circuit, now) = (CircuitBreaker::default(), Instant::now());
        circuit.failure(now, &Failure::TimedOut(PATIENCE));
        assert_eq!(circuit.down(), None);
        circuit.failure(now + PATIENCE, &Failure::TimedOut(PATIENCE));
        assert!(circuit.down().is_some());
        let circuit = CircuitBreaker::default();
        circuit.success(now);
        for _ in 1..A_FEW {
            circuit.failure(now + LONG_SILENCE, &Failure::TimedOut(PATIENCE));
            assert_eq!(circuit.down(), None);
        }
        circuit.failure(now + LONG_SILENCE, &Failure::TimedOut(PATIENCE));
        assert!(circuit.down().is_some());
    }

    #[test]
    fn one_that_asks_to_wait_is_waited_for() {
        let (circuit, now) = (CircuitBreaker::default(), Instant::now());
        let wait = Failure::Status { code: 429, retry_after: Some(PATIENCE), proxy: None };
        for number in 1..AT_FIRST {
            circuit.failure(now + PATIENCE * number, &wait);
            assert_eq!(circuit.down(), None);
        }
        circuit.failure(now + PATIENCE * AT_FIRST, &wait);
        assert!(circuit.down().is_some());
    }

    #[test]
    fn one_that_did_is_given_time_to_come_back() {
        let (circuit, now) = (CircuitBreaker::default(), Instant::now());
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
