//! What is asked, and what is answered.

use std::fmt::Display;
use std::sync::Arc;

use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use super::body::Answer;
use super::facts::Facts;
use super::metrics;
use super::stats::{PurgeStats, Stats};
use crate::runtime::memory::{Figures, MemoryError, arenas, profile, pss_bytes, purge_all};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers one request.
pub(super) async fn answer(request: Request<Incoming>, facts: Arc<Facts>) -> Response<Answer> {
    let (method, path) = (request.method(), request.uri().path());
    let allowed: &[Method] = match path {
        "/stats" | "/metrics" | "/tasks" | "/arenas" | "/heap" => &[Method::GET],
        "/purge" => &[Method::POST],
        "/profile" => &[Method::GET, Method::POST],
        _ => {
            let why = "there are /stats, /metrics, /tasks, /arenas, /heap, /profile and /purge";
            return refusal(StatusCode::NOT_FOUND, why);
        }
    };
    if !allowed.contains(method) {
        let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let why = format!("{path} takes {} only", names.join(" and "));
        let mut refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, why);
        if let Ok(allowed) = HeaderValue::from_str(&names.join(", ")) {
            refusal.headers_mut().insert(ALLOW, allowed);
        }
        return refusal;
    }
    if !request.body().is_end_stream() {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here");
    }
    match path {
        "/stats" => facts.stats().map_or_else(failure, |stats| json(&stats)),
        "/metrics" => facts.stats().map_or_else(failure, |stats| metrics(&stats)),
        "/tasks" => json(&facts.tasks()),
        "/arenas" => arenas().map_or_else(failure, |arenas| json(&arenas)),
        "/profile" if *method == Method::GET => profile::state().map_or_else(failure, |state| json(&state)),
        "/profile" => switch(request.uri().query().unwrap_or_default()),
        // What takes long is done elsewhere: others are answered meanwhile.
        "/heap" => elsewhere(move || heap(&facts)).await,
        _ => elsewhere(move || purge(&facts).map_or_else(failure, |purged| json(&purged))).await,
    }
}

/// Work that has not begun when its asker is gone never does.
async fn elsewhere(work: impl FnOnce() -> Response<Answer> + Send + 'static) -> Response<Answer> {
    AbortOnDropHandle::new(tokio::task::spawn_blocking(work)).await.unwrap_or_else(failure)
}

/// What is answered where this process has no profiles.
fn unavailable() -> Option<Response<Answer>> {
    match profile::state() {
        Ok(state) if state.available => None,
        Ok(_) => {
            let why = "heap profiles cannot be had of this process: it was started with memory.profile = \"off\"; \
                       start it with \"ready\" or \"on\"";
            Some(refusal(StatusCode::CONFLICT, why))
        }
        Err(error) => Some(failure(error)),
    }
}

fn heap(facts: &Facts) -> Response<Answer> {
    if let Some(refusal) = unavailable() {
        return refusal;
    }
    match facts.heap_profile() {
        Ok(dump) => response(StatusCode::OK, TEXT, Answer::Profile(dump, 0)),
        Err(error) => failure(error),
    }
}

/// Switches profiling on or off; begins anew, where that is asked.
fn switch(query: &str) -> Response<Answer> {
    let (active, reset) = match query {
        "active=true" => (true, false),
        "active=true&reset=true" => (true, true),
        "active=false" => (false, false),
        _ => {
            let why = format!("expected active=true, active=true&reset=true or active=false, not {query:?}");
            return refusal(StatusCode::BAD_REQUEST, why);
        }
    };
    if let Some(refusal) = unavailable() {
        return refusal;
    }
    let switched = if reset { profile::reset() } else { Ok(()) };
    let switched = switched.and_then(|()| profile::set_active(active)).and_then(|()| profile::state());
    if switched.is_ok() {
        tracing::info!(active, "heap profiling was switched");
    }
    switched.map_or_else(failure, |state| json(&state))
}

fn purge(facts: &Facts) -> Result<PurgeStats, MemoryError> {
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

fn metrics(stats: &Stats) -> Response<Answer> {
    let format = metrics::Format::OpenMetrics;
    response(StatusCode::OK, format.content_type(), text(metrics::render(std::slice::from_ref(stats), format)))
}

fn json(value: &impl Serialize) -> Response<Answer> {
    match serde_json::to_vec(value) {
        Ok(mut json) => {
            json.push(b'\n');
            response(StatusCode::OK, JSON, text(json))
        }
        Err(error) => failure(error),
    }
}

fn failure(error: impl Display) -> Response<Answer> {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, error)
}

fn refusal(status: StatusCode, why: impl Display) -> Response<Answer> {
    response(status, TEXT, text(format!("{why}\n")))
}

fn text(text: impl Into<Bytes>) -> Answer {
    Answer::Text(Some(text.into()))
}

fn response(status: StatusCode, kind: &'static str, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
