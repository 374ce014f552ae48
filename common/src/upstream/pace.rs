//! The pace of requests: evenly spread, whoever sends them, and stopped for everyone when the service asks for it.
//!
//! Our own few lines instead of a crate: they also hold everyone back for a `Retry-After`, and run on the runtime's
//! clock, so that tests need not wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Timers are no finer than this, so turns may come together that lie closer.
const GRAIN: Duration = Duration::from_millis(20);

/// Gives turns, at most so many a second.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the next turn would be, if turns were exactly even.
    next: Instant,
    /// Nobody has a turn before that.
    held_until: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        let now = Instant::now();
        Self {
            interval: Duration::from_secs(1) / per_second.max(1),
            state: Mutex::new(State { next: now, held_until: now }),
        }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        loop {
            let at = self.reserve(Instant::now());
            sleep_until(at).await;
            // Whoever was waiting when the hold came takes a new turn, behind its end.
            if self.state().held_until <= at {
                return;
            }
        }
    }

    /// Lets nobody have a turn for so long from now. Says whether nobody was held before.
    pub(super) fn hold(&self, pause: Duration) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let first = state.held_until <= now;
        state.held_until = state.held_until.max(now + pause);
        state.next = state.next.max(state.held_until);
        first
    }

    fn reserve(&self, now: Instant) -> Instant {
        let mut state = self.state();
        let even = state.next.max(now);
        state.next = even + self.interval;
        let early = even.checked_sub(GRAIN.saturating_sub(self.interval)).unwrap_or(even);
        early.max(now).max(state.held_until)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// When each of `turns` turns came, with `tasks` tasks asking for them.
    async fn turns(pace: &Arc<Pace>, tasks: usize, turns: usize) -> Vec<Duration> {
        let begun = Instant::now();
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            let pace = Arc::clone(pace);
            set.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..turns / tasks {
                    pace.turn().await;
                    times.push(begun.elapsed());
                }
                times
            });
        }
        let mut times: Vec<_> = set.join_all().await.into_iter().flatten().collect();
        times.sort();
        times
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_turns_than_it_may() {
        for per_second in [1, 8, 100, 5000] {
            let count = (per_second as usize * 3).next_multiple_of(4);
            let times = turns(&Arc::new(Pace::new(per_second)), 4, count).await;
            let window = Duration::from_secs(1);
            // The grain lets as many come early as fit into it.
            let most = per_second as usize + (per_second as usize).div_ceil(50) + 1;
            for (first, &start) in times.iter().enumerate() {
                let within = times[first..].iter().take_while(|&&it| it < start + window).count();
                assert!(within <= most, "{within} turns in a second at {per_second}/s");
            }
            assert_eq!(times.len(), count);
            let last = times[count - 1];
            assert!(last <= Duration::from_secs(3), "{last:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_stops_everyone_even_who_was_waiting() {
        let pace = Arc::new(Pace::new(10));
        pace.turn().await;
        let waiting = {
            let pace = Arc::clone(&pace);
            let begun = Instant::now();
            tokio::spawn(async move {
                pace.turn().await;
                begun.elapsed()
            })
        };
        tokio::task::yield_now().await;
        assert!(pace.hold(Duration::from_secs(5)));
        assert!(!pace.hold(Duration::from_secs(1)));
        let times = turns(&pace, 4, 8).await;
        assert!(times[0] >= Duration::from_secs(5), "{times:?}");
        assert!(times[7] >= Duration::from_millis(5700), "{times:?}");
        assert!(waiting.await.unwrap() >= Duration::from_secs(5));
    }
}
