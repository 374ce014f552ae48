//! What the control socket answers.

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{RawQuery, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use futures_util::stream;
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::Endpoint;
use super::facts::Facts;
use super::metrics::{self, Format};
use super::stats::{PurgeStats, Stats};
use crate::runtime::memory::{Figures, MemoryError, arenas, profile, pss_bytes, purge_all};
use crate::runtime::planted;

/// How much of a heap profile is held in memory at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// An error response.
struct Refusal(StatusCode, String);

impl<E: Display> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}

/// The routes, answered with these facts.
pub(super) fn router(facts: &Arc<Facts>) -> Router {
    let mut router = Router::new();
    for endpoint in Endpoint::ALL {
        let facts = Arc::clone(facts);
        let handler = move |RawQuery(query): RawQuery| answer(endpoint, query.unwrap_or_default(), facts);
        let method = if endpoint.method() == "POST" { MethodFilter::POST } else { MethodFilter::GET };
        router = router.route(endpoint.path(), on(method, handler));
    }
    let not_allowed = async || Refusal(StatusCode::METHOD_NOT_ALLOWED, "method not allowed".to_owned());
    let not_found = async || {
        let paths = Endpoint::ALL.map(Endpoint::path).join(", ");
        Refusal(StatusCode::NOT_FOUND, format!("no such path: expected one of {paths}"))
    };
    router.method_not_allowed_fallback(not_allowed).fallback(not_found).layer(middleware::from_fn(without_body))
}

/// Refuses requests that have a body, and keeps caches from storing answers.
async fn without_body(request: Request, next: Next) -> Response {
    let mut response = if request.body().is_end_stream() {
        next.run(request).await
    } else {
        Refusal(StatusCode::PAYLOAD_TOO_LARGE, "a request must not have a body".to_owned()).into_response()
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn answer(endpoint: Endpoint, query: String, facts: Arc<Facts>) -> Result<Response, Refusal> {
    match endpoint {
        Endpoint::Stats => json(&facts.stats()?),
        Endpoint::Metrics => {
            let format = Format::OpenMetrics;
            let text = metrics::render(&[facts.stats()?], format)?;
            Ok(([(CONTENT_TYPE, format.content_type())], text).into_response())
        }
        Endpoint::Tasks => json(&facts.tasks()),
        Endpoint::Arenas => json(&arenas()?),
        Endpoint::Profile => json(&profile::state()?),
        Endpoint::SwitchProfile => switch_profile(&query),
        // These take long: they run on another thread, so that others are answered meanwhile.
        Endpoint::Heap => blocking(move || heap(&facts)).await,
        Endpoint::Purge => blocking(move || json(&purge(&facts)?)).await,
    }
}

/// Runs work on the thread for that; if the client disconnects before it has begun, it never does.
async fn blocking(work: impl FnOnce() -> Result<Response, Refusal> + Send + 'static) -> Result<Response, Refusal> {
    AbortOnDropHandle::new(tokio::task::spawn_blocking(work)).await?
}

fn require_profiling() -> Result<(), Refusal> {
    if profile::state()?.available {
        return Ok(());
    }
    let reason = "heap profiles are not available: this process was started with memory.profile = \"off\"; \
                  start it with \"ready\" or \"on\"";
    Err(Refusal(StatusCode::CONFLICT, reason.to_owned()))
}

fn heap(facts: &Facts) -> Result<Response, Refusal> {
    require_profiling()?;
    let dump = facts.heap_profile()?;
    let length = dump.bytes();
    let chunks = (0..length).step_by(CHUNK_BYTES).map(move |offset| {
        let bytes = usize::try_from(length - offset).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let mut chunk = vec![0; bytes];
        dump.read_at(&mut chunk, offset).map(|()| Bytes::from(chunk))
    });
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_LENGTH, length.to_string())];
    Ok((headers, Body::from_stream(stream::iter(chunks))).into_response())
}

fn switch_profile(query: &str) -> Result<Response, Refusal> {
    let (active, reset) = match query {
        "active=true" => (true, false),
        "active=true&reset=true" => (true, true),
        "active=false" => (false, false),
        _ => {
            let reason = format!("expected active=true, active=true&reset=true or active=false, found {query:?}");
            return Err(Refusal(StatusCode::BAD_REQUEST, reason));
        }
    };
    require_profiling()?;
    if reset {
        profile::reset()?;
    }
    profile::set_active(active)?;
    tracing::info!(active, "heap profiling was switched");
    json(&profile::state()?)
}

fn purge(facts: &Facts) -> Result<PurgeStats, MemoryError> {
    planted::leak(facts.program(), 1, facts.runtime());
    let pss_before = pss_bytes()?;
    let before = facts.stats_of(Figures::default(), pss_before);
    let purged = purge_all(facts.runtime())?;
    Ok(PurgeStats {
        before: Stats { figures: purged.before, ..before },
        after: facts.stats_of(purged.after, pss_bytes()?),
        given_back_bytes: purged.given_back_bytes(),
        took_ms: purged.took.as_secs_f64() * 1000.0,
    })
}

fn json(value: &impl Serialize) -> Result<Response, Refusal> {
    let mut json = serde_json::to_vec(value)?;
    json.push(b'\n');
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}
