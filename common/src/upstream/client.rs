//! Fetching whole boards: places, turns, tries and sessions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::blocking::Blocking;
use super::circuit::Circuit;
use super::connections::{Connections, ON_ITS_WAY};
use super::pace::Pace;
use super::pages::{LastPage, LongestPage, Pages, Taken};
use super::request::Ask;
use super::retry::{Backoff, Failure, Verdict, chain, classify, retry_after};
use super::{body, page, session};
use crate::domain::Combination;
use crate::store::{BoardEncoder, Validators};

/// How long connecting may take; a request as a whole has `timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a request may take at most until the service has answered the first: one that hangs is found out soon.
const FIRST_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of the body of an error is read, and for how long.
const ERROR_BODY_BYTES: usize = 64 << 10;
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// How to talk to the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is; its path ends with `/`.
    pub base_url: Url,
    /// How the client names itself.
    pub user_agent: String,
    /// Requests a second at most, all together.
    pub requests_per_second: u32,
    /// Requests at a time at most, and so connections.
    pub concurrency: usize,
    /// What one request may take, its body included.
    pub timeout: Duration,
    /// Entries asked for at once, 2 to 1500: each page after the first begins with the last entry of the one before.
    pub page_size: usize,
    /// Bytes a page may have, decompressed.
    pub max_body_bytes: usize,
    /// Connections kept open while there is nothing to ask.
    pub max_idle: usize,
    /// For how long.
    pub idle_timeout: Duration,
    /// Tries of a request, the first included.
    pub attempts: u32,
    /// The first pause between tries.
    pub backoff_min: Duration,
    /// The longest.
    pub backoff_max: Duration,
}

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

/// The client could not be built: there are no root certificates, mostly.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the client: {0} (hint: https needs the system's root certificates, package ca-certificates)")]
pub struct SetupError(String);

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
    connections: Connections,
    settings: Settings,
    places: Semaphore,
    blocking: Blocking,
    pace: Pace,
    circuit: Circuit,
    session: tokio::sync::Mutex<Session>,
    random: Mutex<fastrand::Rng>,
    clock: fn() -> SystemTime,
    longest_page: LongestPage,
    sent: AtomicU64,
    retries: AtomicU64,
    body_bytes: AtomicU64,
    left_out: AtomicU64,
}

#[derive(Debug, Default)]
struct Session {
    /// How many sessions there were: a request that was refused tells which one it was sent in.
    number: u64,
    open: bool,
    cookies: Option<HeaderValue>,
}

/// A board as the service gave it.
#[derive(Debug)]
pub enum Answer {
    /// With all its entries.
    Board(Box<BoardEncoder>),
    /// It is the one whose version was asked after.
    NotModified,
}

/// What came back with a status that is no failure.
#[derive(Debug)]
enum Reply {
    Whole(HeaderMap, Vec<u8>),
    NotModified,
}

impl Client {
    /// Builds the client; nothing is asked yet. `seed` is for the jitter of pauses, `clock` for
    /// `Retry-After` dates.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Settings, seed: u64, clock: fn() -> SystemTime) -> Result<Self, SetupError> {
        // Fails where another part of the process has installed one already, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            let client = reqwest::Client::builder();
            // Without TLS nothing is to be checked, and a machine without root certificates will do.
            let client = if settings.base_url.scheme() == "https" { client } else { client.tls_certs_only([]) };
            client
                .user_agent(&settings.user_agent)
                .connect_timeout(settings.timeout.min(CONNECT_TIMEOUT))
                // An answer may not send us to other hosts, or in circles.
                .redirect(reqwest::redirect::Policy::none())
        };
        let connections =
            Connections::new(builder, settings.max_idle, settings.idle_timeout).map_err(|it| SetupError(chain(&it)))?;
        Ok(Self {
            connections,
            places: Semaphore::new(settings.concurrency),
            blocking: Blocking::default(),
            pace: Pace::new(settings.requests_per_second),
            settings,
            circuit: Circuit::default(),
            session: tokio::sync::Mutex::default(),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            clock,
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

    /// Fetches all pages of a board into an encoder, unless it still is of the version that `unless` tells. `name` is the
    /// track layout's, from the catalogue. A board that changes between two of its pages is fetched again from its
    /// beginning, at most `attempts` times in all.
    ///
    /// Needs a runtime of several threads: pages are parsed and compressed in place.
    ///
    /// # Errors
    /// When a page cannot be had, the board does not stop changing, or the service is plainly down.
    pub async fn fetch(
        &self,
        board: Combination,
        name: &str,
        unless: &Validators,
        last_page: LastPage,
    ) -> Result<Answer, FetchError> {
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
                Taken::Changed if attempts < self.settings.attempts => {
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

    /// Fetches one page with as many tries as it takes.
    async fn page(&self, pages: &mut Pages<'_>) -> Result<Taken, FetchError> {
        let mut tries = self.tries();
        loop {
            let session = self.session(pages.board()).await?;
            let result = match self.send(pages.ask(), session.cookies.as_ref()).await {
                Ok(Reply::Whole(headers, body)) => {
                    let read = || {
                        let text = page::text(&body, &headers)?;
                        pages.take(&text, &headers, self.settings.page_size, &self.longest_page)
                    };
                    self.blocking.run(read).await
                }
                Ok(Reply::NotModified) => Ok(Taken::NotModified),
                Err(failure) => Err(failure),
            };
            match self.judge(&mut tries, result).await? {
                Ok(taken) => {
                    self.circuit.success(Instant::now());
                    return Ok(taken);
                }
                Err(Verdict::NewSession) => self.end_session(session.number).await,
                Err(_) => {}
            }
        }
    }

    /// The session that is open, or a new one.
    async fn session(&self, board: Combination) -> Result<OpenSession, FetchError> {
        let mut session = self.session.lock().await;
        let mut tries = self.tries();
        while !session.open {
            let result = self.send(Ask::Page(board), None).await;
            if let Ok(Reply::Whole(headers, _)) = self.judge(&mut tries, result).await? {
                session.cookies = session::cookies(&headers);
                session.open = true;
                session.number += 1;
                tracing::debug!(number = session.number, "session opened");
            }
        }
        Ok(OpenSession { number: session.number, cookies: session.cookies.clone() })
    }

    /// The session of that number was refused; a newer one stays.
    async fn end_session(&self, number: u64) {
        let mut session = self.session.lock().await;
        if session.number == number {
            session.open = false;
        }
    }

    fn tries(&self) -> Tries {
        Tries { number: 1, backoff: Backoff::new(self.settings.backoff_min, self.settings.backoff_max) }
    }

    /// Decides what comes after a result: the value; or another try, after the pause that it asks for; or the end. Only a
    /// page of entries counts as a success of the service: one that has sessions to give and nothing else is down.
    async fn judge<T>(&self, tries: &mut Tries, result: Result<T, Failure>) -> Result<Result<T, Verdict>, FetchError> {
        let failure = match result {
            Ok(value) => return Ok(Ok(value)),
            Err(failure) => failure,
        };
        let verdict = classify(&failure);
        let random = self.random.lock().unwrap_or_else(PoisonError::into_inner).f64();
        let pause = tries.backoff.pause(random);
        // Of those that were sent before everyone was asked to wait, one counts.
        let counts = if let Verdict::RetryAfter(wait) = verdict { self.pace.hold(wait.max(pause)) } else { true };
        if counts {
            self.circuit.failure(Instant::now(), &failure);
        }
        if verdict == Verdict::EndRun {
            self.circuit.open(failure.to_string());
        }
        if let Some(why) = self.circuit.down() {
            return Err(FetchError::Unavailable(why));
        }
        tracing::debug!(attempt = tries.number, %failure, ?verdict, "a request failed");
        if verdict == Verdict::GiveUp || tries.number >= self.settings.attempts {
            return Err(FetchError::Failed { failure, attempts: tries.number });
        }
        tries.number += 1;
        self.retries.fetch_add(1, Ordering::Relaxed);
        if !matches!(verdict, Verdict::RetryAfter(_)) {
            tokio::time::sleep(pause).await;
        }
        Ok(Err(verdict))
    }

    /// Sends one request when there is a place and a turn for it, and reads its whole answer.
    async fn send(&self, ask: Ask<'_>, cookies: Option<&HeaderValue>) -> Result<Reply, Failure> {
        let Settings { mut timeout, max_body_bytes, .. } = self.settings;
        if !self.circuit.has_succeeded() {
            timeout = timeout.min(FIRST_TIMEOUT);
        }
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        self.pace.turn().await;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let way = self.connections.way();
        let Settings { base_url, page_size, .. } = &self.settings;
        let answer = ask
            .request(&way, base_url, *page_size, cookies)
            .timeout(timeout)
            .send()
            .await
            .map_err(|error| body::failure(&error, timeout))?;
        if answer.status() == StatusCode::NOT_MODIFIED && ask.is_conditional() {
            return Ok(Reply::NotModified);
        }
        if answer.status() != StatusCode::OK {
            let asked = answer.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok());
            let retry_after = asked.and_then(|it| retry_after(it, (self.clock)()));
            let code = answer.status().as_u16();
            // Read to its end, the connection can be used again; what it says does not matter.
            let _ignored =
                tokio::time::timeout(ERROR_BODY_TIMEOUT, body::read(answer, ERROR_BODY_BYTES, timeout)).await;
            return Err(Failure::Status { code, retry_after });
        }
        let headers = answer.headers().clone();
        let body = match body::read(answer, max_body_bytes, timeout).await {
            Ok(body) => body,
            Err(failure) => {
                // The connection of an answer that was not read to its end is closed by a task of its own, a moment later.
                tokio::time::sleep(ON_ITS_WAY).await;
                return Err(failure);
            }
        };
        self.body_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(Reply::Whole(headers, body))
    }
}

/// The session that a request is sent in.
#[derive(Debug)]
struct OpenSession {
    number: u64,
    cookies: Option<HeaderValue>,
}

/// How often something was tried, and how long the next pause is.
#[derive(Debug)]
struct Tries {
    number: u32,
    backoff: Backoff,
}
