//! The rate limit of all requests: evenly spaced, slower after a 429, paused by `Retry-After`.
//!
//! The rate follows AIMD, as TCP does: each 429 multiplies it by less than 1, and each accepted request raises it a little. It
//! is written here because crates with a fixed rate can be neither paused nor slowed down. It uses tokio's clock, so that
//! tests do not wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Timers are no finer than this, so requests that are due closer together may be sent at once.
const GRAIN: Duration = Duration::from_millis(20);

/// A 429 multiplies the rate by this …
const DECREASE: f64 = 0.8;
/// … or by this if no request was accepted since the last one, because the rate is far too high then.
const FAST_DECREASE: f64 = 0.5;

/// Each accepted request raises the rate by this share of (rate + 1). So about one request in 40 is refused while the service
/// accepts less than the configured rate, and the rate doubles within 200 requests once it accepts more.
const INCREASE: f64 = 0.004;

/// The rate never falls below this, in requests per second.
const MIN_RATE: f64 = 0.125;

/// Limits the rate of requests.
#[derive(Debug)]
pub(super) struct RateLimiter {
    /// The configured rate, in requests per second.
    max: f64,
    /// Held by the task that waits for the next slot, so that tasks are served in order.
    queue: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The current rate, in requests per second.
    rate: f64,
    /// The next slot, if slots were spaced exactly.
    next: Instant,
    /// No slot comes before this.
    held_until: Instant,
    /// When the rate was last lowered.
    slowed: Option<Instant>,
    /// Whether a request has been accepted since.
    accepted: bool,
    /// The rate that was last logged.
    logged: f64,
}

impl RateLimiter {
    pub(super) fn new(per_second: u32) -> Self {
        let (now, max) = (Instant::now(), f64::from(per_second.max(1)));
        let state =
            State { rate: max, next: now, held_until: now, slowed: None, accepted: true, logged: f64::INFINITY };
        Self { max, queue: tokio::sync::Mutex::default(), state: Mutex::new(state) }
    }

    /// Waits for a slot, in the order of the calls. Returns the time of the slot.
    pub(super) async fn acquire(&self) -> Instant {
        let _first = self.queue.lock().await;
        loop {
            let now = Instant::now();
            let at = self.state().slot(now);
            if at <= now {
                return now;
            }
            // Loops because the rate may change in the meantime.
            sleep_until(at).await;
        }
    }

    /// Pauses all requests for this long. Returns whether they were not paused already.
    pub(super) fn hold(&self, pause: Duration) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let first = state.held_until <= now;
        state.held_until = state.held_until.max(now + pause);
        state.next = state.next.max(state.held_until);
        first
    }

    /// Records an accepted request, which raises the rate a little.
    pub(super) fn accepted(&self) {
        let mut state = self.state();
        state.accepted = true;
        if state.rate < self.max {
            state.rate = (state.rate + (state.rate + 1.0) * INCREASE).min(self.max);
        }
    }

    /// Records that a request sent at `sent` got a 429. This lowers the rate, once for all requests that were in flight
    /// together. Returns whether it did.
    pub(super) fn refused(&self, sent: Instant) -> bool {
        let mut state = self.state();
        if state.slowed.is_some_and(|slowed| sent <= slowed) {
            return false;
        }
        let now = Instant::now();
        let factor = if state.accepted { DECREASE } else { FAST_DECREASE };
        state.rate = (state.rate * factor).max(MIN_RATE);
        state.next = now + state.interval();
        (state.slowed, state.accepted) = (Some(now), false);
        if state.rate < state.logged / 2.0 {
            state.logged = state.rate;
            let [requests_per_second, configured] = [state.rate, self.max].map(|it| format!("{it:.3}"));
            tracing::warn!(requests_per_second, configured, "the service refuses requests (429): slowing down");
        }
        true
    }

    #[cfg(test)]
    pub(super) fn is_slowed(&self) -> bool {
        self.state().slowed.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The time of the next slot. If that is now, the slot is taken.
    fn slot(&mut self, now: Instant) -> Instant {
        let (even, interval) = (self.next.max(now), self.interval());
        let early = even.checked_sub(GRAIN.saturating_sub(interval)).unwrap_or(even);
        let at = early.max(now).max(self.held_until);
        if at == now {
            self.next = even + interval;
        }
        at
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use proptest::prelude::*;

    /// The times of `slots` slots acquired by `tasks` tasks.
    async fn slots(limiter: &Arc<RateLimiter>, tasks: usize, slots: usize) -> Vec<Duration> {
        let begun = Instant::now();
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            let limiter = Arc::clone(limiter);
            set.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..slots / tasks {
                    times.push(limiter.acquire().await - begun);
                }
                times
            });
        }
        let mut times: Vec<_> = set.join_all().await.into_iter().flatten().collect();
        times.sort();
        times
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_slots_than_the_rate() {
        for per_second in [1, 8, 100, 5000] {
            let count = (per_second as usize * 3).next_multiple_of(4);
            let times = slots(&Arc::new(RateLimiter::new(per_second)), 4, count).await;
            let window = Duration::from_secs(1);
            // Plus as many as fit into GRAIN, which may come early.
            let max = per_second as usize + (per_second as usize).div_ceil(50) + 1;
            for (first, &start) in times.iter().enumerate() {
                let within = times[first..].iter().take_while(|&&it| it < start + window).count();
                assert!(within <= max, "{within} slots in a second at {per_second}/s");
            }
            assert_eq!(times.len(), count);
            let last = times[count - 1];
            assert!(last <= Duration::from_secs(3), "{last:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_also_holds_tasks_that_were_waiting() {
        let limiter = Arc::new(RateLimiter::new(10));
        limiter.acquire().await;
        let begun = Instant::now();
        let waiting = {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move { limiter.acquire().await - begun })
        };
        tokio::task::yield_now().await;
        assert!(limiter.hold(Duration::from_secs(5)));
        assert!(!limiter.hold(Duration::from_secs(1)));
        let times = slots(&limiter, 4, 8).await;
        assert!(times[0] >= Duration::from_secs(5), "{times:?}");
        assert!(times[7] >= Duration::from_millis(5700), "{times:?}");
        assert!(waiting.await.unwrap() >= Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_flight_together_lower_the_rate_once_and_it_recovers() {
        let limiter = Arc::new(RateLimiter::new(100));
        let (first, second) = (limiter.acquire().await, limiter.acquire().await);
        tokio::time::advance(Duration::from_millis(50)).await;
        assert!(limiter.refused(first));
        assert!(!limiter.refused(second));
        let slower = slots(&limiter, 1, 10).await;
        assert!(slower[9] >= slower[0] + Duration::from_millis(112 - 20), "{slower:?}");
        for _ in 0..100 {
            limiter.accepted();
        }
        let recovered = slots(&limiter, 1, 10).await;
        assert!(recovered[9] <= recovered[0] + Duration::from_millis(91), "{recovered:?}");
    }

    /// How many requests of four tasks a service accepts and refuses that accepts `limit` a second and answers after `latency`.
    async fn against_a_limit(configured: u32, limit: f64, latency: Duration, time: Duration) -> (u32, u32) {
        let limiter = Arc::new(RateLimiter::new(configured));
        // A bucket that holds one token.
        let bucket = Arc::new(Mutex::new((1.0_f64, Instant::now())));
        let (end, mut tasks) = (Instant::now() + time, tokio::task::JoinSet::new());
        for _ in 0..4 {
            let (limiter, bucket) = (Arc::clone(&limiter), Arc::clone(&bucket));
            tasks.spawn(async move {
                let (mut accepted, mut refused) = (0, 0);
                loop {
                    let sent = limiter.acquire().await;
                    if sent >= end {
                        return (accepted, refused);
                    }
                    let accepts = {
                        let mut bucket = bucket.lock().unwrap();
                        bucket.0 = (bucket.0 + (sent - bucket.1).as_secs_f64() * limit).min(1.0);
                        bucket.1 = sent;
                        let accepts = bucket.0 >= 1.0;
                        bucket.0 -= f64::from(u8::from(accepts));
                        accepts
                    };
                    tokio::time::sleep(latency).await;
                    if accepts {
                        accepted += 1;
                        limiter.accepted();
                    } else {
                        refused += 1;
                        limiter.refused(sent);
                    }
                }
            });
        }
        tasks.join_all().await.into_iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn few_requests_are_refused_and_most_of_the_limit_is_used(
            configured in 2u32..200, limit in 0.25f64..20.0, latency in 1u64..400
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let (latency, time) = (Duration::from_millis(latency), Duration::from_hours(2));
            let (accepted, refused) = runtime.block_on(against_a_limit(configured, limit, latency, time));
            let share = f64::from(refused) / f64::from(accepted + refused);
            prop_assert!(share <= 0.1, "{share:.3} of {} refused", accepted + refused);
            // Four tasks cannot send more than that either.
            let possible = limit.min(f64::from(configured)).min(4.0 / latency.as_secs_f64());
            let throughput = f64::from(accepted) / time.as_secs_f64();
            prop_assert!(throughput >= possible * 0.75, "{throughput:.2} a second of {possible:.2}");
        }
    }
}
