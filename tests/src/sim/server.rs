//! The addresses the service answers, and what it answers there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Query, State};
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use r3e_common::domain::Combination;
use serde::Deserialize;
use tokio::sync::watch;

use super::answers::{JSON, LOGIN_PATH, accepts_gzip, html_response, json_response, session_ended, values};
use super::board::Edit;
use super::connection::Connection;
use super::counters::Counters;
use super::faulty::faulty;
use super::limits::{self, Limits};
use super::page::{Asked, PAGE_CAP, Page};
use super::ratings::{RATINGS, ratings_list};
use super::sessions::{Admission, Sessions};
use super::{FaultKind, Faults, SessionEnd, SimOptions, World};

/// Where the counters are.
pub(super) const STATS_PATH: &str = "/__stats";

const SCRIPT_HEADER: HeaderName = HeaderName::from_static("x-requested-with");
/// The default page size.
const DEFAULT_COUNT: u64 = 30;

/// What the handlers share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) world: World,
    pub(super) counters: Arc<Counters>,
    limits: Arc<Limits>,
    gzip: bool,
    etag: bool,
    page_cap: u64,
    session_end: SessionEnd,
    sessions: Mutex<Sessions>,
    behaviour: RwLock<Behaviour>,
    /// The number of listing requests so far. `answering` is the number of the last one that gets a response; later ones
    /// wait.
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
        let counters: Arc<Counters> = Arc::default();
        Self {
            sessions: Mutex::new(Sessions::new(&options)),
            limits: Arc::new(Limits::new(&options, Arc::clone(&counters))),
            behaviour: RwLock::new(Behaviour { faults: Arc::new(options.faults), latency: options.latency }),
            world,
            counters,
            gzip: options.gzip,
            etag: options.etag,
            page_cap: options.page_cap.map_or(PAGE_CAP, |cap| cap as u64),
            session_end: options.session_end,
            arrived: AtomicU64::new(0),
            answering: watch::Sender::new(u64::MAX),
            attempts: Mutex::default(),
        }
    }

    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/leaderboard/", get(session_page))
            .route("/leaderboard/listing/0", get(listing))
            .route("/multiplayer-rating/ratings.json", get(ratings))
            .route(LOGIN_PATH, get(login_page))
            .route(STATS_PATH, get(stats))
            .fallback(other)
            .layer(middleware::from_fn_with_state(Arc::clone(&self.limits), limits::apply))
            .with_state(Arc::clone(self))
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.behaviour.write().unwrap_or_else(PoisonError::into_inner).faults = Arc::new(faults);
        lock(&self.attempts).clear();
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        self.behaviour.write().unwrap_or_else(PoisonError::into_inner).latency = latency;
    }

    /// Responds to this many more listing requests, or to all.
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

    /// The fault of this attempt at a page.
    fn fault(&self, faults: &Faults, asked: Asked) -> Option<FaultKind> {
        if !faults.any() {
            return None;
        }
        let mut attempts = lock(&self.attempts);
        let attempt = attempts.entry((asked.board, asked.start)).or_default();
        *attempt += 1;
        let kind = faults.draw(self.world.seed, asked.board, asked.start, *attempt)?;
        let edited = match kind {
            FaultKind::Inserted => self.world.edit(asked.board, Edit::Inserted, asked.start),
            FaultKind::Removed => self.world.edit(asked.board, Edit::Removed, asked.start),
            _ => true,
        };
        edited.then_some(kind)
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
    /// The requested board, if the ids are valid.
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

async fn ratings(
    State(service): State<Arc<Service>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
) -> Response {
    service.counters.count(|stats| stats.ratings_requests += 1);
    let Behaviour { faults, latency } = service.behaviour();
    tokio::time::sleep(latency).await;
    let gzip = service.gzip && accepts_gzip(&headers);
    let asked = Asked { board: RATINGS, start: 0, count: 0 };
    // Other encodings, and changes, are of boards only.
    if let Some(kind) = service.fault(&faults, asked).filter(|kind| kind.is_common()) {
        service.counters.fault(kind);
        return faulty(&service, kind, &faults, asked, gzip, &connection).await;
    }
    json_response(ratings_list(&service.world).to_string(), gzip)
}

async fn login_page(State(service): State<Arc<Service>>) -> Response {
    service.counters.count(|stats| stats.other_requests += 1);
    html_response("Log in", None)
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
    let cookie = match admit(&service, &headers) {
        Admission::Granted(cookie) => cookie,
        refused => return refusal(&service, &refused, parameters.board()),
    };
    let mut response = answer(&service, &faults, &parameters, &headers, &connection).await;
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn admit(service: &Service, headers: &HeaderMap) -> Admission {
    if headers.get(SCRIPT_HEADER).is_none_or(|value| value != "XMLHttpRequest") {
        return Admission::NoScript;
    }
    lock(&service.sessions).admit(headers)
}

fn refusal(service: &Service, refused: &Admission, board: Option<Combination>) -> Response {
    service.counters.count(|stats| match refused {
        Admission::Granted(_) => {}
        Admission::NoScript => stats.without_script_header += 1,
        Admission::NoSession => stats.without_session += 1,
        Admission::Replaced => stats.with_replaced_cookie += 1,
        Admission::Ended => stats.with_ended_session += 1,
    });
    match refused {
        Admission::NoScript => html_response("Leaderboard", board),
        Admission::Ended => session_ended(service.session_end),
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

async fn answer(
    service: &Service,
    faults: &Faults,
    parameters: &Parameters,
    headers: &HeaderMap,
    connection: &Connection,
) -> Response {
    let gzip = service.gzip && accepts_gzip(headers);
    let Some(board) = parameters.board() else {
        return json_response(r#"{"context":{"c":{"results":[]}}}"#.into(), gzip);
    };
    if service.world.catalog().ordinal(board).is_some() {
        service.counters.board(board);
    }
    let count = parameters.count.unwrap_or(DEFAULT_COUNT).min(service.page_cap);
    let asked = Asked { board, start: parameters.start.unwrap_or(0), count };
    if let Some(kind) = service.fault(faults, asked) {
        service.counters.fault(kind);
        return faulty(service, kind, faults, asked, gzip, connection).await;
    }
    let page = Page::new(&service.world, asked);
    if !service.etag {
        return json_response(page.right(), gzip);
    }
    let tag = page.tag();
    if values(headers, &IF_NONE_MATCH).any(|known| known.trim() == tag) {
        service.counters.count(|stats| stats.not_modified += 1);
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    ([(ETAG, tag)], json_response(page.right(), gzip)).into_response()
}
