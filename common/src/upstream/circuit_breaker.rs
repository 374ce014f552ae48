//! Ends the run when the service is down, so that not every one of 16,110 boards has to fail.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;

/// Before the first success: this many consecutive failures open the breaker, or two that are this far apart.
const AT_FIRST: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(20);
/// After it: this many consecutive failures, with no success for this long, so that the service can restart …
const IN_A_ROW: u32 = 20;
const SILENCE: Duration = Duration::from_secs(10);
/// … or fewer failures over a longer time, if each takes long.
const A_FEW: u32 = 4;
const LONG_SILENCE: Duration = Duration::from_mins(3);

/// Counts consecutive failures of requests; every attempt counts.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// The first of them without a `Retry-After`.
    first_failure: Option<Instant>,
    last_success: Option<Instant>,
    open: Option<String>,
}

impl CircuitBreaker {
    /// Records a success.
    pub(super) fn success(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = 0;
        state.first_failure = None;
        state.last_success = Some(now);
    }

    /// Records a failure.
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

    /// Opens the breaker for another reason.
    pub(super) fn open(&self, why: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open.get_or_insert(why);
    }

    /// Why the run must end, if the breaker is open.
    pub(super) fn down(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_success_a_few_failures_open_it() {
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
    fn slow_failures_open_it_sooner() {
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
    fn a_retry_after_does_not_count_as_slow() {
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
    fn after_a_success_the_service_has_time_to_restart() {
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
