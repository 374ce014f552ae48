//! Sending one request and reading its answer: one pool of connections, time and bytes bounded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{COOKIE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Version};

use super::body;
use super::failure::{Failure, chain};
use super::proxy::{self, Proxy, ProxyError};
use super::request::Ask;
use super::retry_after::retry_after;
use super::session::Session;
use crate::runtime::config::Upstream;

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There are no root certificates, mostly.
    #[error(
        "cannot set up the client: {0} (hint: https needs the system's root certificates, package ca-certificates)"
    )]
    Client(String),
    /// The environment names a proxy that cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

/// How long connecting may take; a request as a whole has `timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP/2 connection that is silent for so long is asked whether it is alive …
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// … and closed if no answer comes in this time. Both are shorter where a request has less time.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of the body of an error is read, and for how long.
const ERROR_BODY_BYTES: usize = 64 << 10;
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// What came back with a status that is no failure.
#[derive(Debug)]
pub(super) enum Reply {
    Whole(HeaderMap, Vec<u8>),
    NotModified,
}

/// The connections to the service.
#[derive(Debug)]
pub(super) struct Transport {
    pool: Mutex<Pool>,
    proxy: Option<(Proxy, reqwest::Proxy)>,
    /// Whether the service speaks HTTP/2, in which requests share a connection.
    http2: AtomicBool,
    clock: fn() -> SystemTime,
}

/// One generation of connections. A clone of the client has the same ones.
#[derive(Debug, Clone)]
struct Pool {
    generation: u64,
    client: reqwest::Client,
}

impl Transport {
    /// # Errors
    /// When TLS cannot be set up, or a variable names no proxy that can be used.
    pub(super) fn new(config: &Upstream, clock: fn() -> SystemTime) -> Result<Self, SetupError> {
        // Fails where another part of the process has installed one already, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let setup = |error: reqwest::Error| SetupError::Client(chain(&error));
        let proxy = match proxy::of(&config.base_url, std::env::var_os)? {
            Some((proxy, address)) => Some((proxy, reqwest::Proxy::all(address).map_err(setup)?)),
            None => None,
        };
        let client = client(config, proxy.as_ref().map(|it| &it.1)).map_err(setup)?;
        let pool = Mutex::new(Pool { generation: 0, client });
        Ok(Self { pool, proxy, http2: AtomicBool::new(false), clock })
    }

    /// Sends a request, and reads its whole answer within `timeout`. Takes the cookies that it sets.
    pub(super) async fn send(
        &self,
        config: &Upstream,
        ask: Ask<'_>,
        session: &Session,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        let pool = self.pool().clone();
        let result = self.send_on(&pool.client, config, ask, session, timeout).await;
        // An HTTP/2 connection may answer pings and nothing else. All other requests would be sent on it too.
        if matches!(result, Err(Failure::TimedOut(_))) && self.http2.load(Ordering::Relaxed) {
            self.replace(config, pool.generation);
        }
        result
    }

    async fn send_on(
        &self,
        client: &reqwest::Client,
        config: &Upstream,
        ask: Ask<'_>,
        session: &Session,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        let proxy = self.proxy.as_ref().map(|it| &it.0);
        let failure = |error: &reqwest::Error| Failure::of(error, timeout, proxy);
        let address = ask.address(&config.base_url, config.page_size);
        let mut request = ask.request(client, address.clone(), &config.base_url).timeout(timeout);
        if let Some(cookies) = session.cookie_header(&address) {
            request = request.header(COOKIE, cookies);
        }
        // Lets connections back into the pool that were used just now.
        tokio::task::yield_now().await;
        let answer = request.send().await.map_err(|error| failure(&error))?;
        self.http2.store(answer.version() == Version::HTTP_2, Ordering::Relaxed);
        let (status, headers) = (answer.status(), answer.headers().clone());
        session.take_cookies(&headers, &address);
        if status == StatusCode::NOT_MODIFIED && ask.is_conditional() {
            return Ok(Reply::NotModified);
        }
        if status == StatusCode::OK {
            let body = body::read(answer, config.max_body_bytes(), failure).await?;
            // Puts the connection back into the pool: a task of the pool's does that.
            tokio::task::yield_now().await;
            return Ok(Reply::Whole(headers, body));
        }
        // Read to its end, the connection can be used again; what it says does not matter.
        let _ignored = tokio::time::timeout(ERROR_BODY_TIMEOUT, body::read(answer, ERROR_BODY_BYTES, failure)).await;
        let code = status.as_u16();
        match headers.get(LOCATION) {
            Some(location) if status.is_redirection() => Err(Failure::redirect(code, location.as_bytes(), &address)),
            _ => {
                let asked = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok());
                let retry_after = asked.and_then(|it| retry_after(it, (self.clock)()));
                // Through a tunnel the service itself answers.
                let proxy = proxy.filter(|_| address.scheme() == "http").cloned();
                Err(Failure::Status { code, retry_after, proxy })
            }
        }
    }

    /// Has further requests use new connections, if they would use those of that generation. Requests in flight stay on
    /// theirs, which are closed after the last.
    fn replace(&self, config: &Upstream, generation: u64) {
        let mut pool = self.pool();
        if pool.generation != generation {
            return;
        }
        match client(config, self.proxy.as_ref().map(|it| &it.1)) {
            Ok(client) => {
                *pool = Pool { generation: generation + 1, client };
                tracing::debug!("a request over HTTP/2 timed out: further ones use a new connection");
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot set up a new connection: the old one stays in use");
            }
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(config: &Upstream, proxy: Option<&reqwest::Proxy>) -> Result<reqwest::Client, reqwest::Error> {
    let timeout = config.timeout;
    // While a connection is on its way back into the pool, the pool opens another one for a request that comes just then. If
    // it closed what is more than are used at a time, it would open that again and again.
    let max_idle = if config.max_idle_per_host < config.concurrency { config.max_idle_per_host } else { usize::MAX };
    let mut client = reqwest::Client::builder()
        .user_agent(&config.user_agent)
        .connect_timeout(timeout.min(CONNECT_TIMEOUT))
        .pool_max_idle_per_host(max_idle)
        .pool_idle_timeout(config.idle_timeout)
        .http2_keep_alive_interval(PING_INTERVAL.min(timeout / 4))
        .http2_keep_alive_timeout(PING_TIMEOUT.min(timeout / 4))
        .http2_keep_alive_while_idle(true)
        // An answer may not send us to other hosts, or in circles.
        .redirect(reqwest::redirect::Policy::none())
        // The environment was read before, where a variable that names no proxy is an error.
        .no_proxy();
    // Without TLS nothing is to be checked, and a machine without root certificates will do.
    if config.base_url.scheme() != "https" && proxy.is_none() {
        client = client.tls_certs_only([]);
    }
    if let Some(proxy) = proxy {
        client = client.proxy(proxy.clone());
    }
    client.build()
}
