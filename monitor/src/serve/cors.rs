//! Cross-origin requests, by the Fetch standard: pages of every origin may read what is published below `/cache/`. The
//! dashboard and its API are for its own origin only.

use axum::http::StatusCode;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CACHE_CONTROL,
    HeaderMap, HeaderName, HeaderValue, VARY,
};

use axum::response::{IntoResponse as _, Response};

/// The methods for published files.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// How long a browser may remember the answer to a preflight, in seconds.
const MAX_AGE: &str = "86400";

/// The headers that scripts of other origins may read.
const EXPOSED: &str =
    "accept-ranges, content-encoding, content-length, content-range, etag, last-modified, retry-after";

/// The limits on the headers that a preflight may ask for, and on the bytes of their names.
const MAX_HEADERS: usize = 64;
const MAX_BYTES: usize = 2048;

/// Lets pages of all origins read a response.
pub(super) async fn for_all_origins(mut response: Response) -> Response {
    for (name, value) in [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED)] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Answers `OPTIONS`, allowing the headers that a preflight asks for.
pub(super) async fn preflight(headers: HeaderMap) -> Response {
    let fixed = [
        (ALLOW, METHODS),
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        (CACHE_CONTROL, "no-store"),
        (VARY, "access-control-request-headers"),
    ];
    let mut response = (StatusCode::NO_CONTENT, fixed).into_response();
    if let Some(allowed) = requested_headers(&headers) {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    response
}

/// The headers that a preflight asks for; none if there are none, too many, or one of them is not a header's name.
fn requested_headers(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut names = Vec::new();
    for line in headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        names.extend(line.to_str().ok()?.split(',').map(str::trim).filter(|it| !it.is_empty()));
    }
    let bytes: usize = names.iter().map(|it| it.len()).sum();
    let is_valid = (1..=MAX_HEADERS).contains(&names.len())
        && bytes <= MAX_BYTES
        && names.iter().all(|it| it.parse::<HeaderName>().is_ok());
    HeaderValue::from_str(&names.join(", ")).ok().filter(|_| is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requested_headers_are_allowed_if_they_are_valid_names() {
        let allowed = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static(line));
            }
            requested_headers(&headers).map(|it| it.to_str().unwrap().to_owned())
        };
        assert_eq!(allowed(&["cache-control,expires,pragma"]).as_deref(), Some("cache-control, expires, pragma"));
        assert_eq!(allowed(&["range, ,x-a", "If-None-Match"]).as_deref(), Some("range, x-a, If-None-Match"));
        for none in [&[][..], &[""], &["a b"], &["a\tb"], &["range, <script>"], &["x:y"]] {
            assert_eq!(allowed(none), None, "{none:?}");
        }
        let many: &'static str = Box::leak("x-a,".repeat(MAX_HEADERS + 1).into_boxed_str());
        let long: &'static str = Box::leak("x".repeat(MAX_BYTES + 1).into_boxed_str());
        assert_eq!((allowed(&[many]), allowed(&[long])), (None, None));
    }
}
