//! A layer in front of the service: the rate limit (429), and the redirect of everything (301).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::SimOptions;
use super::counters::Counters;
use super::server::STATS_PATH;

/// The limit and the redirect that are in force, if any.
#[derive(Debug)]
pub(super) struct Limits {
    bucket: Option<Mutex<TokenBucket>>,
    redirect: Option<String>,
    counters: Arc<Counters>,
}

impl Limits {
    pub(super) fn new(options: &SimOptions, counters: Arc<Counters>) -> Self {
        Self {
            bucket: options.rate_limit.map(|rate| Mutex::new(TokenBucket::new(rate, Instant::now()))),
            redirect: options.redirect.clone(),
            counters,
        }
    }

    fn refuses(&self) -> bool {
        self.bucket
            .as_ref()
            .is_some_and(|bucket| !bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now()))
    }
}

/// Refuses or redirects a request, or passes it on; the counters can always be asked for.
pub(super) async fn apply(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    if request.uri().path() == STATS_PATH {
        return next.run(request).await;
    }
    if limits.refuses() {
        limits.counters.count(|stats| stats.rate_limited += 1);
        return (StatusCode::TOO_MANY_REQUESTS, "Please slow down").into_response();
    }
    if let Some(base) = &limits.redirect {
        limits.counters.count(|stats| stats.redirected += 1);
        let location =
            format!("{}{}", base.trim_end_matches('/'), request.uri().path_and_query().map_or("/", |it| it.as_str()));
        return (StatusCode::MOVED_PERMANENTLY, [(LOCATION, location)]).into_response();
    }
    next.run(request).await
}

/// A token bucket that holds one second's worth of requests.
#[derive(Debug)]
struct TokenBucket {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    fn new(per_second: f64, now: Instant) -> Self {
        Self { per_second, tokens: per_second.max(1.0), filled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let more = now.saturating_duration_since(self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + more).min(self.per_second.max(1.0));
        self.filled = now;
        let granted = self.tokens >= 1.0;
        self.tokens -= if granted { 1.0 } else { 0.0 };
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// How many of the requests at those milliseconds are granted.
    fn granted(per_second: f64, millis: impl Iterator<Item = u64>) -> usize {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(per_second, start);
        millis.filter(|&it| bucket.take(start + Duration::from_millis(it))).count()
    }

    #[test]
    fn a_bucket_grants_a_seconds_worth_at_once_and_then_its_rate() {
        assert_eq!(granted(3.0, [0; 10].into_iter()), 3);
        assert_eq!(granted(3.0, (0..4000).step_by(10)), 3 + 11);
        assert_eq!(granted(0.5, [0, 1000, 1999, 2000, 2001].into_iter()), 2);
        assert_eq!(granted(2.0, (0..10).map(|it| it * 500)), 10);
    }
}
