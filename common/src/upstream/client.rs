//! Fetching whole boards: places, turns, tries and sessions.

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
use super::request::Ask;
use super::retry::{Backoff, MAX_REFUSALS, Verdict, classify};
use super::session::Session;
use super::transport::{Reply, SetupError, Transport};
use crate::domain::{BoardSink, Combination, Rating, Validators, read_ratings};
use crate::runtime::blocking::Blocking;
use crate::runtime::config::Upstream;

/// What a request may take at most until the service has answered the first: one that hangs is found out soon.
const FIRST_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a board was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// This board could not be had.
    #[error("{failure} (after {attempts} attempts)")]
    Failed {
        /// What went wrong at the last try.
        failure: Failure,
        /// How many tries there were.
        attempts: u32,
    },
    /// No board can be had: the run is to end.
    #[error("the service is unavailable: {0}")]
    Unavailable(String),
}

/// What was asked of the service so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Requests sent, sessions and further tries included.
    pub sent: u64,
    /// Those among them that repeated one that had failed.
    pub retries: u64,
    /// Bytes of bodies, decompressed.
    pub body_bytes: u64,
    /// Results that were no entries, or nested too deep, and are in no board.
    pub left_out: u64,
}

/// The one client of a process. Dropping it closes its idle connections; dropping a fetch closes that fetch's.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    config: Upstream,
    places: Semaphore,
    blocking: Blocking,
    limiter: RateLimiter,
    circuit_breaker: CircuitBreaker,
    /// The one that further requests are sent in.
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    random: Mutex<fastrand::Rng>,
    longest_page: LongestPage,
    sent: AtomicU64,
    retries: AtomicU64,
    body_bytes: AtomicU64,
    left_out: AtomicU64,
}

/// A board as the service gave it.
#[derive(Debug)]
pub enum Answer<S> {
    /// With all its entries.
    Board(Box<S>),
    /// It is the one whose version was asked after.
    NotModified,
}

impl Client {
    /// Builds the client; nothing is asked yet. `seed` is for the jitter of pauses, `clock` for
    /// `Retry-After` dates.
    ///
    /// # Errors
    /// When TLS cannot be set up, or the environment names a proxy that cannot be used.
    pub fn new(config: &Upstream, seed: u64, clock: fn() -> SystemTime) -> Result<Self, SetupError> {
        Ok(Self {
            transport: Transport::new(config, clock)?,
            places: Semaphore::new(config.concurrency),
            blocking: Blocking::default(),
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

    /// Where work on what was fetched is done, such as writing it.
    #[must_use]
    pub fn blocking(&self) -> &Blocking {
        &self.blocking
    }

    /// What was asked so far.
    #[must_use]
    pub fn requests(&self) -> Requests {
        Requests {
            sent: self.sent.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            body_bytes: self.body_bytes.load(Ordering::Relaxed),
            left_out: self.left_out.load(Ordering::Relaxed),
        }
    }

    /// Fetches all pages of a board into a sink, unless its version still is `unless`. `name` is the
    /// track layout's, from the catalogue. A board that changes between two of its pages is fetched again from its
    /// beginning, at most `attempts` times in all.
    ///
    /// Needs a runtime of several threads: pages are parsed and compressed in place.
    ///
    /// # Errors
    /// When a page cannot be had, the board does not stop changing, or the service is plainly down.
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
                    tracing::debug!(%board, attempts, "the board changed between two pages, fetching it again");
                    attempts += 1;
                    pages.restart();
                }
                Taken::Changed => {
                    return Err(FetchError::Failed { failure: Failure::Changed { entry: pages.start() }, attempts });
                }
            }
        }
    }

    /// Fetches the multiplayer ratings. A failure says nothing about the boards: it does not count for the circuit breaker.
    ///
    /// # Errors
    /// If the list cannot be fetched within `attempts` requests.
    pub async fn ratings(&self) -> Result<Vec<Rating>, Failure> {
        let (session, mut tries) = (Session::default(), self.tries());
        loop {
            let failure = match self.send(&mut tries, Ask::Ratings, &session).await {
                Ok(Reply::Whole(headers, body)) => {
                    let read = || {
                        let text = page::text(&body, &headers)?;
                        read_ratings(&text).map_err(|error| Failure::NotRatings(error.to_string()))
                    };
                    match self.blocking.run(read).await {
                        Ok(ratings) => return Ok(ratings),
                        Err(failure) => failure,
                    }
                }
                // Only a request with conditions is answered so.
                Ok(Reply::NotModified) => Failure::NotRatings("304".to_owned()),
                Err(failure) => failure,
            };
            tries.failed += 1;
            match classify(&failure, false) {
                Verdict::GiveUp | Verdict::EndRun | Verdict::NewSession => return Err(failure),
                _ if tries.failed >= self.config.attempts => return Err(failure),
                Verdict::RetryAfter(wait) => _ = self.limiter.hold(wait),
                Verdict::Retry | Verdict::SlowDown => {
                    let random = self.random.lock().unwrap_or_else(PoisonError::into_inner).f64();
                    tokio::time::sleep(tries.backoff.pause(random)).await;
                }
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Fetches one page with as many tries as it takes.
    async fn page<S: BoardSink>(&self, pages: &mut Pages<'_, S>) -> Result<Taken, FetchError> {
        let mut tries = self.tries();
        loop {
            let session = self.session(pages.board()).await?;
            let result = match self.send(&mut tries, pages.ask(), &session).await {
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
            match self.judge(&mut tries, session.has_worked(), result).await? {
                Ok(taken) => {
                    session.works();
                    self.limiter.accepted();
                    self.circuit_breaker.success(Instant::now());
                    return Ok(taken);
                }
                Err(Verdict::NewSession) => self.end_session(&session).await,
                Err(_) => {}
            }
        }
    }

    /// The session that is open, or a new one.
    async fn session(&self, board: Combination) -> Result<Arc<Session>, FetchError> {
        let mut open = self.session.lock().await;
        if let Some(session) = &*open {
            return Ok(Arc::clone(session));
        }
        let mut tries = self.tries();
        loop {
            let session = Arc::new(Session::default());
            let result = self.send(&mut tries, Ask::Page(board), &session).await;
            if self.judge(&mut tries, false, result).await?.is_ok() {
                tracing::debug!("session opened");
                return Ok(Arc::clone(open.insert(session)));
            }
        }
    }

    /// That session was refused; a newer one stays.
    async fn end_session(&self, refused: &Arc<Session>) {
        let mut open = self.session.lock().await;
        if open.as_ref().is_some_and(|it| Arc::ptr_eq(it, refused)) {
            *open = None;
        }
    }

    fn tries(&self) -> Tries {
        let backoff = Backoff::new(self.config.backoff_min, self.config.backoff_max);
        Tries { failed: 0, refused: 0, new_session: false, sent: Instant::now(), backoff }
    }

    /// Decides what comes after a result: the value; or another try, after the pause that it asks for; or the end. Only a
    /// page of entries counts as a success of the service: one that has sessions to give and nothing else is down.
    async fn judge<T>(
        &self,
        tries: &mut Tries,
        session_worked: bool,
        result: Result<T, Failure>,
    ) -> Result<Result<T, Verdict>, FetchError> {
        let failure = match result {
            Ok(value) => return Ok(Ok(value)),
            Err(failure) => failure,
        };
        let expired = session_worked && !tries.new_session;
        let verdict = classify(&failure, expired);
        tracing::debug!(attempt = tries.number(), %failure, ?verdict, "a request failed");
        if expired && verdict == Verdict::NewSession {
            // Sessions end. That is no failure, unless a new one does not help.
            tries.new_session = true;
            self.retries.fetch_add(1, Ordering::Relaxed);
            return Ok(Err(verdict));
        }
        let random = self.random.lock().unwrap_or_else(PoisonError::into_inner).f64();
        let pause = tries.backoff.pause(random);
        // Of those that were sent before everyone was asked to wait or to slow down, one counts.
        let counts = match verdict {
            Verdict::RetryAfter(wait) => self.limiter.hold(wait.max(pause)),
            Verdict::SlowDown => self.limiter.refused(tries.sent),
            _ => true,
        };
        if counts {
            self.circuit_breaker.failure(Instant::now(), &failure);
        }
        if verdict == Verdict::EndRun {
            self.circuit_breaker.open(failure.to_string());
        }
        if let Some(why) = self.circuit_breaker.down() {
            return Err(FetchError::Unavailable(why));
        }
        let attempts = tries.number();
        let refused = if failure.is_refusal() { &mut tries.refused } else { &mut tries.failed };
        *refused += 1;
        if verdict == Verdict::GiveUp || tries.failed >= self.config.attempts || tries.refused >= MAX_REFUSALS {
            return Err(FetchError::Failed { failure, attempts });
        }
        self.retries.fetch_add(1, Ordering::Relaxed);
        if !matches!(verdict, Verdict::RetryAfter(_)) {
            tokio::time::sleep(pause).await;
        }
        Ok(Err(verdict))
    }

    /// Sends one request when there is a place and a turn for it, and reads its whole answer.
    async fn send(&self, tries: &mut Tries, ask: Ask<'_>, session: &Session) -> Result<Reply, Failure> {
        let timeout = self.config.timeout;
        let timeout = if self.circuit_breaker.has_succeeded() { timeout } else { timeout.min(FIRST_TIMEOUT) };
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        tries.sent = self.limiter.acquire().await;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let reply = self.transport.send(&self.config, ask, session, timeout).await?;
        if let Reply::Whole(_, body) = &reply {
            self.body_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        }
        Ok(reply)
    }
}

/// The tries of one request.
#[derive(Debug)]
struct Tries {
    /// How often it failed.
    failed: u32,
    /// How often it was refused for the rate.
    refused: u32,
    /// Whether it was sent again in a new session because its own had worked before.
    new_session: bool,
    /// When it was sent last.
    sent: Instant,
    backoff: Backoff,
}

impl Tries {
    /// The number of the present one, counted from 1.
    fn number(&self) -> u32 {
        1 + self.failed + self.refused
    }
}
