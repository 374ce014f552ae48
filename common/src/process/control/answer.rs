//! What is asked, and what is answered.

use std::fmt::Display;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use super::facts::Facts;
use super::metrics;
use super::stats::{PurgeStats, Stats};
use crate::process::memory::{Figures, MemoryError, pss_bytes, purge_all};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers one request.
pub(super) async fn answer(request: Request<Incoming>, facts: Arc<Facts>) -> Response<Full<Bytes>> {
    let (method, path) = (request.method(), request.uri().path());
    let allowed = match path {
        "/stats" | "/metrics" | "/tasks" => Method::GET,
        "/purge" => Method::POST,
        _ => return refusal(StatusCode::NOT_FOUND, "there are /stats, /metrics, /tasks and /purge"),
    };
    if *method != allowed {
        let mut refusal = refusal(StatusCode::METHOD_NOT_ALLOWED, format_args!("{path} takes {allowed} only"));
        if let Ok(allowed) = HeaderValue::from_str(allowed.as_str()) {
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
        _ => {
            // A purge takes long: others are answered meanwhile. One that has not begun when its asker is gone never does.
            match AbortOnDropHandle::new(tokio::task::spawn_blocking(move || purge(&facts))).await {
                Ok(purged) => purged.map_or_else(failure, |purged| json(&purged)),
                Err(error) => failure(error),
            }
        }
    }
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

fn metrics(stats: &Stats) -> Response<Full<Bytes>> {
    let format = metrics::Format::OpenMetrics;
    response(StatusCode::OK, format.content_type(), metrics::render(std::slice::from_ref(stats), format))
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(mut text) => {
            text.push(b'\n');
            response(StatusCode::OK, JSON, text)
        }
        Err(error) => failure(error),
    }
}

fn failure(error: impl Display) -> Response<Full<Bytes>> {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, error)
}

fn refusal(status: StatusCode, why: impl Display) -> Response<Full<Bytes>> {
    response(status, TEXT, format!("{why}\n"))
}

fn response(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
