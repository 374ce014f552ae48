//! What is served at which path.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Bytes, HttpBody as _};
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CONNECTION, ETAG, HOST, HeaderMap, VARY};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use r3e_common::runtime::config::Config;
use r3e_common::runtime::control::{Endpoint, Format, Stats};
use serde_json::{Value, json};

use super::cors;
use super::files::Files;
use super::headers::{Outcome, Validators, metrics_format};
use super::hosts::Hosts;
use super::metrics;
use super::page::Page;
use super::reply::{JSON, not_modified, precondition_failed, refusal, reply, secure, set};
use super::source::Source;
use super::ttl_cache::TtlCache;
use crate::dashboard::{ASSETS, LOOKUP, PAGE, SLOTS, Work, now, past, read_archive, read_runs, read_status, verdicts};
use crate::history::milliseconds;
use crate::sockets;
use crate::survey::{self, ask_all};

/// The time spans that the page offers: each chart is computed once for all clients.
const SPANS: [(&str, Duration); 5] = [
    ("15m", Duration::from_mins(15)),
    ("1h", Duration::from_hours(1)),
    ("6h", Duration::from_hours(6)),
    ("24h", Duration::from_hours(24)),
    ("7d", Duration::from_hours(7 * 24)),
];

/// How long the figures of programs are cached.
const NOW_TTL: Duration = Duration::from_secs(1);
/// How long run records and status are cached: they change more slowly and are read from disk.
const WORK_TTL: Duration = Duration::from_secs(3);
/// How long verdicts are cached: they take the samples of two days.
const VERDICTS_TTL: Duration = Duration::from_secs(15);
/// How long charts are cached at most: a chart of a week changes every three quarters of an hour.
const MAX_PAST_TTL: Duration = Duration::from_mins(1);

/// The routes of that site.
pub(super) fn router(site: Arc<Site>) -> Router {
    let file = get(published_file).options(cors::preflight);
    let files = Router::new()
        .route("/cache/", file.clone())
        .route("/cache/{*path}", file)
        .method_not_allowed_fallback(not_allowed)
        .route_layer(map_response(cors::for_all_origins));
    let mut router = Router::new()
        .route("/metrics", get(async |State(site): SharedSite, headers: HeaderMap| site.metrics(&headers).await))
        .route("/api/now", get(async |State(site): SharedSite| reply(StatusCode::OK, JSON, site.now().await.0)))
        .route("/api/work", get(async |State(site): SharedSite| reply(StatusCode::OK, JSON, site.work().await.0)))
        .route("/api/verdicts", get(async |State(site): SharedSite| json_reply(site.verdicts().await)))
        .route("/api/past", get(async |State(site): SharedSite, RawQuery(query): RawQuery| site.past(query).await));
    for asset in [PAGE].iter().chain(&ASSETS).chain(&LOOKUP) {
        let page = async |State(site): SharedSite, uri: Uri, headers: HeaderMap| site.page(uri.path(), &headers);
        router = router.route(asset.path, get(page));
    }
    router
        .method_not_allowed_fallback(not_allowed)
        .merge(files)
        .fallback(async || {
            refusal(StatusCode::NOT_FOUND, "no such path: expected /, /monitor, /metrics, /api/… or /cache/…")
        })
        .layer(from_fn_with_state(Arc::clone(&site), check))
        .with_state(site)
}

type SharedSite = State<Arc<Site>>;

async fn not_allowed() -> Response {
    refusal(StatusCode::METHOD_NOT_ALLOWED, "method not allowed: this server is read-only")
}

async fn published_file(State(site): SharedSite, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    // `Files` decodes the path.
    let path = uri.path().strip_prefix("/cache/").unwrap_or_default();
    site.files.answer(&method, &headers, path).await
}

/// Refuses requests that have a body or are for another host, evaluates preconditions for responses without validators, and
/// adds the headers that all responses have.
async fn check(State(site): SharedSite, request: Request, next: Next) -> Response {
    let mut response = if !request.body().is_end_stream() {
        let mut refusal = refusal(StatusCode::PAYLOAD_TOO_LARGE, "a request must not have a body");
        set(&mut refusal, CONNECTION, "close");
        refusal
    } else if let Some(name) = site.foreign_host(&request) {
        let reason = format_args!("this is not {name:?}; hint: a reverse proxy has to send Host: localhost");
        refusal(StatusCode::MISDIRECTED_REQUEST, reason)
    } else {
        let headers = request.headers().clone();
        let response = next.run(request).await;
        let has_validators = response.status() != StatusCode::OK || response.headers().contains_key(ETAG);
        match Validators::default().evaluate(&headers) {
            Outcome::NotModified if !has_validators => not_modified(),
            Outcome::Failed if !has_validators => precondition_failed(),
            _ => response,
        }
    };
    secure(response.headers_mut());
    response
}

/// The answers of all programs at one moment.
#[derive(Debug)]
struct Snapshot {
    replies: Vec<survey::Reply<Stats>>,
    at_ms: i64,
    error: Option<String>,
}

/// The cached chart of one time span.
#[derive(Debug)]
struct Past {
    name: &'static str,
    span: Duration,
    cache: TtlCache<Result<Bytes, String>>,
}

/// What the server serves.
#[derive(Debug)]
pub(super) struct Site {
    config: Arc<Config>,
    clock: fn() -> SystemTime,
    hosts: Hosts,
    page: OnceLock<Page>,
    files: Files,
    now: TtlCache<(Bytes, Arc<Snapshot>)>,
    work: TtlCache<(Bytes, Arc<Work>)>,
    metrics: [(Format, TtlCache<Result<Bytes, String>>); 2],
    verdicts: TtlCache<Result<Bytes, String>>,
    pasts: Vec<Past>,
    sockets: Source,
    runs: Source,
    status: Source,
    archive: Source,
    history: Source,
}

impl Site {
    /// The site of a server with that configuration at that address.
    pub(super) fn new(config: Config, address: SocketAddr, clock: fn() -> SystemTime) -> Self {
        let past = |(name, span): (&'static str, Duration)| Past {
            name,
            span,
            cache: TtlCache::fallible((span / SLOTS).clamp(NOW_TTL, MAX_PAST_TTL)),
        };
        Self {
            clock,
            hosts: Hosts::of(address),
            page: OnceLock::new(),
            files: Files::new(config.cache.dir.clone(), clock),
            now: TtlCache::new(NOW_TTL),
            work: TtlCache::new(WORK_TTL),
            metrics: [Format::OpenMetrics, Format::Text].map(|it| (it, TtlCache::fallible(NOW_TTL))),
            verdicts: TtlCache::fallible(VERDICTS_TTL),
            pasts: SPANS.into_iter().map(past).collect(),
            sockets: Source::new("sockets"),
            runs: Source::new("runs"),
            status: Source::new("status"),
            archive: Source::new("archive"),
            history: Source::new("history"),
            config: Arc::new(config),
        }
    }

    /// The host that the request is for, if it is not this one. An HTTP/1.0 client may send none; browsers always do.
    fn foreign_host(&self, request: &Request) -> Option<String> {
        let headers = request.headers().get_all(HOST).iter();
        let headers = headers.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        let asked = request.uri().authority().map(ToString::to_string);
        let foreign = headers.chain(asked).find(|it| !self.hosts.allow(it))?;
        Some(foreign.chars().take(100).collect())
    }

    fn page(&self, path: &str, headers: &HeaderMap) -> Response {
        let page = match self.page.get() {
            Some(page) => page,
            None => match Page::new() {
                Ok(page) => self.page.get_or_init(|| page),
                Err(error) => return refusal(StatusCode::INTERNAL_SERVER_ERROR, error),
            },
        };
        page.get(path, headers).unwrap_or_else(|| refusal(StatusCode::NOT_FOUND, "no such file"))
    }

    /// Reads a source.
    async fn read<T: Send + 'static, E: Display + Send + 'static>(
        &self,
        source: &Source,
        read: impl FnOnce(&Config) -> Result<T, E> + Send + 'static,
    ) -> Result<T, String> {
        let config = Arc::clone(&self.config);
        let value = source.read(move || read(&config)).await.map_err(|error| error.to_string())?;
        value.map_err(|error| error.to_string())
    }

    async fn now(&self) -> (Bytes, Arc<Snapshot>) {
        let ask = async {
            let sockets = self.read(&self.sockets, |config| sockets::list(&config.runtime.dir)).await;
            let (replies, error) = match sockets {
                Ok(sockets) => (ask_all::<Stats>(sockets, Endpoint::Stats).await, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            let snapshot = Snapshot { replies, at_ms: milliseconds((self.clock)()), error };
            (json(&now(&snapshot.replies, snapshot.at_ms, snapshot.error.as_deref())), Arc::new(snapshot))
        };
        self.now.get(ask).await
    }

    async fn work(&self) -> (Bytes, Arc<Work>) {
        let read = async {
            let (runs, status, archive) = tokio::join!(
                self.read(&self.runs, read_runs),
                self.read(&self.status, read_status),
                self.read(&self.archive, read_archive),
            );
            let work = Work { runs, status, archive };
            (json(&work.to_json()), Arc::new(work))
        };
        self.work.get(read).await
    }

    async fn metrics(&self, headers: &HeaderMap) -> Response {
        let format = metrics_format(headers);
        let render = async {
            let ((_, snapshot), (_, work)) = tokio::join!(self.now(), self.work());
            let text = metrics::render(&snapshot.replies, &work, snapshot.error.is_some(), format);
            text.map(Bytes::from).map_err(|error| error.to_string())
        };
        let [(first, open), (_, text)] = &self.metrics;
        let cache = if *first == format { open } else { text };
        let mut response = match cache.get(render).await {
            Ok(text) => reply(StatusCode::OK, format.content_type(), text),
            Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, error),
        };
        set(&mut response, VARY, "accept");
        response
    }

    async fn verdicts(&self) -> Result<Bytes, String> {
        let now_ms = milliseconds((self.clock)());
        let read = async {
            self.read(&self.history, move |config| verdicts(&config.monitor.history, &config.runtime.dir, now_ms))
                .await
                .map(|it| json(&it))
        };
        self.verdicts.get(read).await
    }

    async fn past(&self, query: Option<String>) -> Response {
        let query = query.unwrap_or_default();
        let since = query.split('&').find_map(|it| it.strip_prefix("since=")).unwrap_or("1h");
        let Some(Past { span, cache, .. }) = self.pasts.iter().find(|it| it.name == since) else {
            let names = SPANS.map(|(name, _)| name).join(", ");
            return refusal(StatusCode::BAD_REQUEST, format_args!("since={since:.20}: expected one of {names}"));
        };
        let (span, now_ms) = (*span, milliseconds((self.clock)()));
        let read = async {
            let read = move |config: &Config| past(&config.monitor.history, span, now_ms, config.monitor.every);
            self.read(&self.history, read).await.map(|it| json(&it))
        };
        let response = json_reply(cache.get(read).await);
        for past in &self.pasts {
            past.cache.evict_expired();
        }
        response
    }
}

fn json(value: &Value) -> Bytes {
    let mut text = value.to_string().into_bytes();
    text.push(b'\n');
    text.shrink_to_fit();
    text.into()
}

/// A response with what was read, or the error, which the page shows.
fn json_reply(read: Result<Bytes, String>) -> Response {
    match read {
        Ok(json) => reply(StatusCode::OK, JSON, json),
        Err(error) => {
            tracing::debug!(error, "a source could not be read");
            reply(StatusCode::SERVICE_UNAVAILABLE, JSON, json(&json!({ "error": error })))
        }
    }
}
