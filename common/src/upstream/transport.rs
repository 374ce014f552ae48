//! Sends one request and reads its response, bounded in time and size, over one connection pool.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{COOKIE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Version};

use super::body;
use super::failure::{Failure, chain};
use super::proxy::{self, Proxy, ProxyError};
use super::request::RequestTarget;
use super::retry_after::retry_after;
use super::session::Session;
use crate::runtime::config::Upstream;

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Usually because there are no root certificates.
    #[error(
        "cannot set up the client: {0} (hint: https needs the system's root certificates, package ca-certificates)"
    )]
    Client(String),
    /// The environment names an invalid proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

/// Part of the request's timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A silent HTTP/2 connection is pinged after this long …
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// … and closed if there is no answer in this time. Both are shorter if the request's timeout is short.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Error bodies are read up to this size and time, so that the connection can be reused.
const ERROR_BODY_BYTES: usize = 64 << 10;
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// A successful response.
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
    /// Whether the service speaks HTTP/2, where requests share a connection.
    http2: AtomicBool,
    clock: fn() -> SystemTime,
}

/// A connection pool. Clones of the client share its connections.
#[derive(Debug, Clone)]
struct Pool {
    generation: u64,
    client: reqwest::Client,
}

impl Transport {
    /// # Errors
    /// If TLS cannot be set up, or the environment names an invalid proxy.
    pub(super) fn new(config: &Upstream, clock: fn() -> SystemTime) -> Result<Self, SetupError> {
        // Fails if a provider is installed already, which is fine.
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

    /// Sends a request and reads the whole response within `timeout`. Cookies go to the session.
    pub(super) async fn send(
        &self,
        config: &Upstream,
        target: RequestTarget<'_>,
        session: &Session,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        let pool = self.pool().clone();
        let result = self.send_on(&pool.client, config, target, session, timeout).await;
        // An HTTP/2 connection may answer pings but no requests, and all other requests would use it too.
        if matches!(result, Err(Failure::TimedOut(_))) && self.http2.load(Ordering::Relaxed) {
            self.replace(config, pool.generation);
        }
        result
    }

    async fn send_on(
        &self,
        client: &reqwest::Client,
        config: &Upstream,
        target: RequestTarget<'_>,
        session: &Session,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        let proxy = self.proxy.as_ref().map(|it| &it.0);
        let failure = |error: &reqwest::Error| Failure::of(error, timeout, proxy);
        let address = target.address(&config.base_url, config.page_size);
        let mut request = target.request(client, address.clone(), &config.base_url).timeout(timeout);
        if let Some(cookies) = session.cookie_header(&address) {
            request = request.header(COOKIE, cookies);
        }
        // Lets just-used connections return to the pool.
        tokio::task::yield_now().await;
        let answer = request.send().await.map_err(|error| failure(&error))?;
        self.http2.store(answer.version() == Version::HTTP_2, Ordering::Relaxed);
        let (status, headers) = (answer.status(), answer.headers().clone());
        session.take_cookies(&headers, &address);
        if status == StatusCode::NOT_MODIFIED && target.is_conditional() {
            return Ok(Reply::NotModified);
        }
        if status == StatusCode::OK {
            let body = body::read(answer, config.max_body_bytes(), failure).await?;
            // Lets the pool's task take the connection back.
            tokio::task::yield_now().await;
            return Ok(Reply::Whole(headers, body));
        }
        let _ignored = tokio::time::timeout(ERROR_BODY_TIMEOUT, body::read(answer, ERROR_BODY_BYTES, failure)).await;
        let code = status.as_u16();
        match headers.get(LOCATION) {
            Some(location) if status.is_redirection() => Err(Failure::redirect(code, location.as_bytes(), &address)),
            _ => {
                let asked = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok());
                let retry_after = asked.and_then(|it| retry_after(it, (self.clock)()));
                // Behind a TLS tunnel, the status is the service's own.
                let proxy = proxy.filter(|_| address.scheme() == "http").cloned();
                Err(Failure::Status { code, retry_after, proxy })
            }
        }
    }

    /// Replaces the pool of this generation, so that further requests use new connections. Requests in flight keep theirs, which
    /// are closed after the last one.
    fn replace(&self, config: &Upstream, generation: u64) {
        let mut pool = self.pool();
        if pool.generation != generation {
            return;
        }
        match client(config, self.proxy.as_ref().map(|it| &it.1)) {
            Ok(client) => {
                *pool = Pool { generation: generation + 1, client };
                tracing::debug!("a request over HTTP/2 timed out; the next ones use a new connection");
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot set up a new connection; keeping the old one");
            }
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(config: &Upstream, proxy: Option<&reqwest::Proxy>) -> Result<reqwest::Client, reqwest::Error> {
    let timeout = config.timeout;
    // While one connection is returning to the pool, a new request opens another. With a low limit, the pool would close the
    // surplus and reopen it again and again.
    let max_idle = if config.max_idle_per_host < config.concurrency { config.max_idle_per_host } else { usize::MAX };
    let mut client = reqwest::Client::builder()
        .user_agent(&config.user_agent)
        .connect_timeout(timeout.min(CONNECT_TIMEOUT))
        .pool_max_idle_per_host(max_idle)
        .pool_idle_timeout(config.idle_timeout)
        .http2_keep_alive_interval(PING_INTERVAL.min(timeout / 4))
        .http2_keep_alive_timeout(PING_TIMEOUT.min(timeout / 4))
        .http2_keep_alive_while_idle(true)
        // A response must not send us to other hosts or in circles.
        .redirect(reqwest::redirect::Policy::none())
        // The environment is read by `proxy`, which reports invalid variables.
        .no_proxy();
    // Without TLS, the machine needs no root certificates.
    if config.base_url.scheme() != "https" && proxy.is_none() {
        client = client.tls_certs_only([]);
    }
    if let Some(proxy) = proxy {
        client = client.proxy(proxy.clone());
    }
    client.build()
}
