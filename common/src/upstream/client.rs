//! Fetches whole boards: permits, rate limit, retries and sessions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::circuit_breaker::CircuitBreaker;
use super::failure::Failure;
use super::page;
use super::pages::{LastPage, LongestPage, Pages, Taken};
use super::rate_limiter::RateLimiter;
use super::request::RequestTarget;
use super::retry::{Backoff, MAX_REFUSALS, RetryDecision, classify};
use super::session::Session;
use super::transport::{Reply, SetupError, Transport};
use crate::domain::Combination;
use crate::domain::{BoardSink, Validators};
use crate::runtime::blocking::BlockingLimit;
use crate::runtime::config::Upstream;

/// The maximum timeout until the first success, so that a hanging service is noticed early.
const FIRST_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a board was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// This board could not be fetched.
    #[error("{failure} (after {attempts} attempts)")]
    Failed {
        /// The failure of the last attempt.
        failure: Failure,
        /// How many attempts there were.
        attempts: u32,
    },
    /// No board can be fetched: the run must end.
    #[error("the service is unavailable: {0}")]
    Unavailable(String),
}

/// Statistics of the requests so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Requests sent, including those for sessions and retries.
    pub sent: u64,
    /// Retries among them.
    pub retries: u64,
    /// Bytes of bodies, decompressed.
    pub body_bytes: u64,
    /// Results left out of boards: not entries, nested too deep or too large.
    pub left_out: u64,
}

/// The client. Dropping it closes its idle connections; dropping a fetch closes that fetch's connections.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    config: Upstream,
    permits: Semaphore,
    blocking: BlockingLimit,
    limiter: RateLimiter,
    circuit_breaker: CircuitBreaker,
    /// The session of further requests.
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    random: Mutex<fastrand::Rng>,
    longest_page: LongestPage,
    sent: AtomicU64,
    retries: AtomicU64,
    body_bytes: AtomicU64,
    left_out: AtomicU64,
}

/// The response for a board.
#[derive(Debug)]
pub enum Answer<S> {
    /// The board with all its entries.
    Board(Box<S>),
    /// It is still the version that was given.
    NotModified,
}

impl Client {
    /// Builds the client without connecting. `seed` is for the jitter of pauses, `clock` for dates in `Retry-After`.
    ///
    /// # Errors
    /// If TLS cannot be set up, or the environment names an invalid proxy.
    pub fn new(config: &Upstream, seed: u64, clock: fn() -> SystemTime) -> Result<Self, SetupError> {
        Ok(Self {
            transport: Transport::new(config, clock)?,
            permits: Semaphore::new(config.concurrency),
            blocking: BlockingLimit::default(),
            limiter: RateLimiter::new(config.requests_per_second),
            config: config.clone(),
            circuit_breaker: CircuitBreaker::default(),
            session: tokio::sync::Mutex::default(),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            longest_page: LongestPage::default(),
            sent: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        })
    }

    /// Where blocking work on boards is done, such as writing them.
    #[must_use]
    pub fn blocking(&self) -> &BlockingLimit {
        &self.blocking
    }

    /// Statistics of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        Requests {
            sent: self.sent.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            body_bytes: self.body_bytes.load(Ordering::Relaxed),
            left_out: self.left_out.load(Ordering::Relaxed),
        }
    }

    /// Fetches all pages of a board into a sink, unless its version is still `unless`. `name` is the track layout's, from the
    /// catalogue. A board that changes between two pages is fetched again from its beginning, up to `attempts` times in all.
    ///
    /// Needs a multi-threaded runtime, since pages are parsed and compressed in place.
    ///
    /// # Errors
    /// If a page cannot be fetched, the board keeps changing, or the service is down.
    pub async fn fetch<S: BoardSink>(
        &self,
        board: Combination,
        name: &str,
        unless: &Validators,
        last_page: LastPage,
    ) -> Result<Answer<S>, FetchError> {
        let mut pages = Pages::new(board, name, unless, last_page);
        let mut attempts = 1;
        loop {
            match self.page(&mut pages).await? {
                Taken::More => {}
                Taken::NotModified => return Ok(Answer::NotModified),
                Taken::Last => {
                    self.left_out.fetch_add(pages.left_out() as u64, Ordering::Relaxed);
                    return Ok(Answer::Board(Box::new(pages.finish())));
                }
                Taken::Changed if attempts < self.config.attempts => {
                    tracing::debug!(%board, attempts, "the board changed between two pages; fetching it again");
                    attempts += 1;
                    pages.restart();
                }
                Taken::Changed => {
                    return Err(FetchError::Failed { failure: Failure::Changed { entry: pages.start() }, attempts });
                }
            }
        }
    }

    /// Fetches one page, retrying as needed.
    async fn page<S: BoardSink>(&self, pages: &mut Pages<'_, S>) -> Result<Taken, FetchError> {
        let mut request = self.new_attempts();
        loop {
            let session = self.session(pages.board()).await?;
            let result = match self.send(&mut request, pages.target(), &session).await {
                Ok(Reply::Whole(headers, body)) => {
                    let read = || {
                        let text = page::text(&body, &headers)?;
                        pages.take(&text, &headers, self.config.page_size, &self.longest_page)
                    };
                    self.blocking.run(read).await
                }
                Ok(Reply::NotModified) => Ok(Taken::NotModified),
                Err(failure) => Err(failure),
            };
            match self.judge(&mut request, session.has_worked(), result).await? {
                Ok(taken) => {
                    session.works();
                    self.limiter.accepted();
                    self.circuit_breaker.success(Instant::now());
                    return Ok(taken);
                }
                Err(RetryDecision::NewSession) => self.end_session(&session).await,
                Err(_) => {}
            }
        }
    }

    /// The open session, or a new one.
    async fn session(&self, board: Combination) -> Result<Arc<Session>, FetchError> {
        let mut open = self.session.lock().await;
        if let Some(session) = &*open {
            return Ok(Arc::clone(session));
        }
        let mut request = self.new_attempts();
        loop {
            let session = Arc::new(Session::default());
            let result = self.send(&mut request, RequestTarget::Page(board), &session).await;
            if self.judge(&mut request, false, result).await?.is_ok() {
                tracing::debug!("session opened");
                return Ok(Arc::clone(open.insert(session)));
            }
        }
    }

    /// Drops a session that was refused, unless a newer one has replaced it.
    async fn end_session(&self, refused: &Arc<Session>) {
        let mut open = self.session.lock().await;
        if open.as_ref().is_some_and(|it| Arc::ptr_eq(it, refused)) {
            *open = None;
        }
    }

    fn new_attempts(&self) -> Attempts {
        let backoff = Backoff::new(self.config.backoff_min, self.config.backoff_max);
        Attempts { failed: 0, refused: 0, new_session: false, sent: Instant::now(), backoff }
    }

    /// Decides what follows a result: returns its value, or pauses and returns a decision for another attempt, or fails.
    ///
    /// The circuit breaker counts only pages of entries as successes: a service that grants sessions and nothing else is down.
    async fn judge<T>(
        &self,
        request: &mut Attempts,
        session_worked: bool,
        result: Result<T, Failure>,
    ) -> Result<Result<T, RetryDecision>, FetchError> {
        let failure = match result {
            Ok(value) => return Ok(Ok(value)),
            Err(failure) => failure,
        };
        let expired = session_worked && !request.new_session;
        let decision = classify(&failure, expired);
        tracing::debug!(attempt = request.attempt(), %failure, ?decision, "a request failed");
        if expired && decision == RetryDecision::NewSession {
            // Sessions expire. That is only a failure if a new one does not help.
            request.new_session = true;
            self.retries.fetch_add(1, Ordering::Relaxed);
            return Ok(Err(decision));
        }
        let random = self.random.lock().unwrap_or_else(PoisonError::into_inner).f64();
        let pause = request.backoff.pause(random);
        // Of the requests that were in flight when the service asked to wait or to slow down, one counts.
        let counts = match decision {
            RetryDecision::RetryAfter(wait) => {
                if failure.is_refusal() {
                    self.limiter.refused(request.sent);
                }
                self.limiter.hold(wait.max(pause))
            }
            RetryDecision::SlowDown => self.limiter.refused(request.sent),
            _ => true,
        };
        if counts {
            self.circuit_breaker.failure(Instant::now(), &failure);
        }
        if decision == RetryDecision::EndRun {
            self.circuit_breaker.open(failure.to_string());
        }
        if let Some(reason) = self.circuit_breaker.down() {
            return Err(FetchError::Unavailable(reason));
        }
        let attempts = request.attempt();
        let refused = if failure.is_refusal() { &mut request.refused } else { &mut request.failed };
        *refused += 1;
        if decision == RetryDecision::GiveUp
            || request.failed >= self.config.attempts
            || request.refused >= MAX_REFUSALS
        {
            return Err(FetchError::Failed { failure, attempts });
        }
        self.retries.fetch_add(1, Ordering::Relaxed);
        if !matches!(decision, RetryDecision::RetryAfter(_)) {
            tokio::time::sleep(pause).await;
        }
        Ok(Err(decision))
    }

    /// Waits for a permit and the rate limiter, sends one request, and reads the whole response.
    async fn send(
        &self,
        request: &mut Attempts,
        target: RequestTarget<'_>,
        session: &Session,
    ) -> Result<Reply, Failure> {
        let timeout = self.config.timeout;
        let timeout = if self.circuit_breaker.has_succeeded() { timeout } else { timeout.min(FIRST_TIMEOUT) };
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        request.sent = self.limiter.acquire().await;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let reply = self.transport.send(&self.config, target, session, timeout).await?;
        if let Reply::Whole(_, body) = &reply {
            self.body_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        }
        Ok(reply)
    }
}

/// The attempts of one request.
#[derive(Debug)]
struct Attempts {
    /// How often it failed.
    failed: u32,
    /// How often it was refused with 429.
    refused: u32,
    /// Whether it was retried in a new session because its own seemed to have expired.
    new_session: bool,
    /// When it was last sent.
    sent: Instant,
    backoff: Backoff,
}

impl Attempts {
    /// The number of the current attempt, from 1.
    fn attempt(&self) -> u32 {
        1 + self.failed + self.refused
    }
}

#[cfg(test)]
mod tests {
    use crate::upstream::test_service::{Body, Service, entry, page as body};

    #[test]
    fn a_429_lowers_the_rate_even_with_retry_after_and_a_503_does_not() {
        for (status, lowers) in [("429 Too Many Requests", true), ("503 Service Unavailable", false)] {
            let mut requests = 0;
            let answer = move |_| {
                requests += 1;
                let refused = Body { status: Some(status), headers: vec![("Retry-After", "0")], ..Body::default() };
                if requests == 1 { refused } else { body(&[entry(1, 0)]).into() }
            };
            let service = Service::new(answer, 50, 2);
            assert_eq!(service.entries().len(), 1);
            assert_eq!(service.client.limiter.is_slowed(), lowers, "{status}");
        }
    }
}
