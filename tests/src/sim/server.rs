//! The addresses the service answers, and what it answers there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, State};
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, SET_COOKIE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use r3e_common::domain::Combination;
use serde::Deserialize;
use tokio::sync::watch;

use super::accept::Connection;
use super::counters::Counters;
use super::fault_bodies::gzip;
use super::faulty::faulty;
use super::page::{Asked, Page, html};
use super::sessions::{Admission, Sessions};
use super::{FaultKind, Faults, SimOptions, World};

/// Where the counters are.
pub(super) const STATS_PATH: &str = "/__stats";

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const SCRIPT_HEADER: HeaderName = HeaderName::from_static("x-requested-with");
/// How many entries a page has when the request does not tell.
const DEFAULT_COUNT: u64 = 30;

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) world: World,
    pub(super) counters: Arc<Counters>,
    gzip: bool,
    etag: bool,
    sessions: Mutex<Sessions>,
    behaviour: RwLock<Behaviour>,
    /// Listings that have arrived; and the number of the last one that is answered, while those after it wait.
    arrived: AtomicU64,
    answering: watch::Sender<u64>,
    /// How often each page was asked for since the faults were set.
    attempts: Mutex<HashMap<(Combination, u64), u64>>,
}

/// What can change while the server runs.
#[derive(Debug, Clone)]
struct Behaviour {
    faults: Arc<Faults>,
    latency: Duration,
}

impl Service {
    pub(super) fn new(world: World, options: SimOptions) -> Self {
        Self {
            sessions: Mutex::new(Sessions::new(options.seed, options.session_requests)),
            behaviour: RwLock::new(Behaviour { faults: Arc::new(options.faults), latency: options.latency }),
            world,
            counters: Arc::default(),
            gzip: options.gzip,
            etag: options.etag,
            arrived: AtomicU64::new(0),
            answering: watch::Sender::new(u64::MAX),
            attempts: Mutex::default(),
        }
    }

    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/leaderboard/", get(session_page))
            .route("/leaderboard/listing/0", get(listing))
            .route(STATS_PATH, get(stats))
            .fallback(other)
            .with_state(Arc::clone(self))
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.behaviour.write().unwrap_or_else(PoisonError::into_inner).faults = Arc::new(faults);
        lock(&self.attempts).clear();
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        self.behaviour.write().unwrap_or_else(PoisonError::into_inner).latency = latency;
    }

    /// Answers so many more listings, or all.
    pub(super) fn answer(&self, more: Option<u64>) {
        let last = more.map_or(u64::MAX, |more| self.arrived.load(Ordering::SeqCst).saturating_add(more));
        self.answering.send_replace(last);
    }

    pub(super) fn end_sessions(&self) {
        lock(&self.sessions).end_all();
    }

    fn behaviour(&self) -> Behaviour {
        self.behaviour.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What goes wrong with this try of a page.
    fn fault(&self, faults: &Faults, asked: Asked) -> Option<FaultKind> {
        if !faults.any() {
            return None;
        }
        let mut attempts = lock(&self.attempts);
        let attempt = attempts.entry((asked.board, asked.start)).or_default();
        *attempt += 1;
        faults.draw(self.world.seed, asked.board, asked.start, *attempt)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    track: Option<String>,
    car_class: Option<String>,
    start: Option<u64>,
    count: Option<u64>,
}

impl Parameters {
    /// The board asked for, if the ids are ids.
    fn board(&self) -> Option<Combination> {
        let track = self.track.as_ref()?.parse().ok()?;
        let class = self.car_class.as_ref()?.strip_prefix("class-")?.parse().ok()?;
        Some(Combination { track, class })
    }
}

async fn session_page(State(service): State<Arc<Service>>, Query(parameters): Query<Parameters>) -> Response {
    service.counters.count(|stats| stats.page_requests += 1);
    tokio::time::sleep(service.behaviour().latency).await;
    let mut response = html_response("Leaderboard", parameters.board());
    for cookie in lock(&service.sessions).make() {
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    response
}

async fn stats(State(service): State<Arc<Service>>) -> Response {
    match serde_json::to_string_pretty(&service.counters.stats()) {
        Ok(json) => ([(CONTENT_TYPE, JSON)], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn other(State(service): State<Arc<Service>>) -> StatusCode {
    service.counters.count(|stats| stats.other_requests += 1);
    StatusCode::NOT_FOUND
}

async fn listing(
    State(service): State<Arc<Service>>,
    Extension(connection): Extension<Arc<Connection>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let start = parameters.start.unwrap_or(0);
    service.counters.count(|stats| {
        stats.listing_requests += 1;
        stats.further_page_requests += u64::from(start > 0);
    });
    let number = service.arrived.fetch_add(1, Ordering::SeqCst) + 1;
    let Behaviour { faults, latency } = service.behaviour();
    tokio::time::sleep(latency).await;
    let mut answering = service.answering.subscribe();
    // It cannot close: the service has its sender.
    drop(answering.wait_for(|last| number <= *last).await);
    if let Some(refusal) = refusal(&service, &headers, &parameters) {
        return refusal;
    }
    let gzip = service.gzip && accepts_gzip(&headers);
    let Some(board) = parameters.board() else {
        return json_response(r#"{"context":{"c":{"results":[]}}}"#.into(), gzip);
    };
    if service.world.catalog().ordinal(board).is_some() {
        service.counters.board(board);
    }
    let asked = Asked { board, start, count: parameters.count.unwrap_or(DEFAULT_COUNT) };
    if let Some(kind) = service.fault(&faults, asked) {
        service.counters.fault(kind);
        return faulty(&service, kind, &faults, asked, gzip, &connection).await;
    }
    let page = Page::new(&service.world, asked);
    if !service.etag {
        return json_response(page.right(), gzip);
    }
    let tag = page.tag();
    if values(&headers, &IF_NONE_MATCH).any(|known| known.trim() == tag) {
        service.counters.count(|stats| stats.not_modified += 1);
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    ([(ETAG, tag)], json_response(page.right(), gzip)).into_response()
}

/// What a listing gets that does not come from a script, or has no good session.
fn refusal(service: &Service, headers: &HeaderMap, parameters: &Parameters) -> Option<Response> {
    if headers.get(SCRIPT_HEADER).is_none_or(|value| value != "XMLHttpRequest") {
        service.counters.count(|stats| stats.without_script_header += 1);
        return Some(html_response("Leaderboard", parameters.board()));
    }
    match lock(&service.sessions).admit(headers) {
        Admission::Granted => None,
        Admission::NoSession => {
            service.counters.count(|stats| stats.without_session += 1);
            Some(StatusCode::FORBIDDEN.into_response())
        }
        Admission::Ended => {
            service.counters.count(|stats| stats.with_ended_session += 1);
            Some(StatusCode::UNAUTHORIZED.into_response())
        }
    }
}

pub(super) fn html_response(title: &str, board: Option<Combination>) -> Response {
    ([(CONTENT_TYPE, HTML)], html(title, board)).into_response()
}

pub(super) fn json_response(text: String, gzip_accepted: bool) -> Response {
    body_response(text.into_bytes(), gzip_accepted)
}

pub(super) fn body_response(bytes: Vec<u8>, gzip_accepted: bool) -> Response {
    let (bytes, encoding) = encoded(bytes.into(), gzip_accepted);
    ([(CONTENT_TYPE, JSON)], encoding, Body::from(bytes)).into_response()
}

/// The bytes as they are sent, and the header that tells how.
pub(super) fn encoded(bytes: Bytes, gzip_accepted: bool) -> (Bytes, HeaderMap) {
    if gzip_accepted {
        let header = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        (gzip(&bytes), header)
    } else {
        (bytes, HeaderMap::new())
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    values(headers, &ACCEPT_ENCODING).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// The parts of a header that is a list.
fn values<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
}
