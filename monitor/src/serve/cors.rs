//! Cross-origin requests, by the Fetch standard: pages of every origin may read what is published below `/cache/`. The
//! dashboard and what it asks for are for its own origin.

use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CONTENT_TYPE,
    HeaderMap, VARY,
};

use super::reply::{Reply, TEXT, reply, set, set_text};

/// The methods for published files.
pub(super) const METHODS: &str = "GET, HEAD, OPTIONS";

/// How long a browser may remember the answer to a preflight, in seconds.
const MAX_AGE: &str = "86400";

/// What scripts of other origins may read beside the body.
const EXPOSED: &str =
    "accept-ranges, content-encoding, content-length, content-range, etag, last-modified, retry-after";

/// So many headers may be asked for, and so many bytes of their names.
const MOST_HEADERS: usize = 64;
const MOST_BYTES: usize = 2048;

/// Lets pages of all origins read an answer.
pub(super) fn for_all_origins(answer: &mut Reply) {
    set(answer, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(answer, ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// Answers `OPTIONS`: what may be asked, with the headers that a preflight asks for.
pub(super) fn preflight(headers: &HeaderMap) -> Reply {
    let mut answer = reply(StatusCode::NO_CONTENT, TEXT, "");
    answer.headers_mut().remove(CONTENT_TYPE);
    set(&mut answer, ALLOW, METHODS);
    set(&mut answer, ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    set(&mut answer, ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    set(&mut answer, VARY, "access-control-request-headers");
    if let Some(allowed) = asked_for(headers) {
        set_text(&mut answer, ACCESS_CONTROL_ALLOW_HEADERS, &allowed);
    }
    answer
}

/// The names of headers that a preflight asks for; none where there are none, too many, or something else among them.
fn asked_for(headers: &HeaderMap) -> Option<String> {
    let mut names = Vec::new();
    for line in headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        names.extend(line.to_str().ok()?.split(',').map(str::trim).filter(|it| !it.is_empty()));
    }
    let are_names = names.iter().all(|it| it.bytes().all(is_token));
    let bytes: usize = names.iter().map(|it| it.len()).sum();
    (are_names && (1..=MOST_HEADERS).contains(&names.len()) && bytes <= MOST_BYTES).then(|| names.join(", "))
}

/// What a header's name consists of: `tchar` of RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn what_is_allowed_is_what_was_asked_for_if_it_is_names_of_headers() {
        let allowed = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static(line));
            }
            let answer = preflight(&headers);
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
            answer.headers().get(ACCESS_CONTROL_ALLOW_HEADERS).map(|it| it.to_str().unwrap().to_owned())
        };
        assert_eq!(allowed(&["cache-control,expires,pragma"]).as_deref(), Some("cache-control, expires, pragma"));
        assert_eq!(allowed(&["range, ,x-a", "If-None-Match"]).as_deref(), Some("range, x-a, If-None-Match"));
        for none in [&[][..], &[""], &["a b"], &["a\tb"], &["range, <script>"], &["x:y"]] {
            assert_eq!(allowed(none), None, "{none:?}");
        }
        let many: &'static str = Box::leak("x-a,".repeat(MOST_HEADERS + 1).into_boxed_str());
        let long: &'static str = Box::leak("x".repeat(MOST_BYTES + 1).into_boxed_str());
        assert_eq!((allowed(&[many]), allowed(&[long])), (None, None));
    }
}
