//! Responses, and the headers that all of them have.

use std::fmt::Display;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// The page may load only what this server serves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A response with a body of that media type, which caches do not store.
pub(super) fn reply(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], body.into()).into_response()
}

/// An error response with its reason.
pub(super) fn refusal(status: StatusCode, reason: impl Display) -> Response {
    reply(status, TEXT, format!("{reason}\n"))
}

/// The client already has this state.
pub(super) fn not_modified() -> Response {
    (StatusCode::NOT_MODIFIED, [(CACHE_CONTROL, "no-store")]).into_response()
}

/// A precondition of the request is false.
pub(super) fn precondition_failed() -> Response {
    refusal(StatusCode::PRECONDITION_FAILED, "a precondition of the request is false")
}

/// Sets a header.
pub(super) fn set(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// Sets the headers that tell browsers what a page may do.
pub(super) fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
