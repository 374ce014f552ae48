//! Responses of the service: bodies, compressed if the client accepts that, and the matching headers.

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use r3e_common::domain::Combination;

use super::SessionEnd;
use super::fault_bodies::gzip;
use super::page::html;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// The path of the login page.
pub(super) const LOGIN_PATH: &str = "/account/login";

pub(super) fn html_response(title: &str, board: Option<Combination>) -> Response {
    ([(CONTENT_TYPE, HTML)], html(title, board)).into_response()
}

pub(super) fn json_response(text: String, gzip_accepted: bool) -> Response {
    body_response(text.into_bytes(), JSON, gzip_accepted)
}

pub(super) fn body_response(bytes: Vec<u8>, content_type: HeaderValue, gzip_accepted: bool) -> Response {
    let (bytes, encoding) = encoded(bytes.into(), gzip_accepted);
    ([(CONTENT_TYPE, content_type)], encoding, Body::from(bytes)).into_response()
}

/// The response to a listing request whose session has expired.
pub(super) fn session_ended(how: SessionEnd) -> Response {
    match how {
        SessionEnd::Unauthorized => StatusCode::UNAUTHORIZED.into_response(),
        SessionEnd::Redirect => (StatusCode::FOUND, [(LOCATION, LOGIN_PATH)]).into_response(),
        SessionEnd::LoginPage => html_response("Log in", None),
        SessionEnd::Json => json_response(r#"{"error":"Session expired"}"#.to_owned(), false),
    }
}

/// The encoded body, and its `Content-Encoding` header.
pub(super) fn encoded(bytes: Bytes, gzip_accepted: bool) -> (Bytes, HeaderMap) {
    if gzip_accepted {
        let header = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        (gzip(&bytes), header)
    } else {
        (bytes, HeaderMap::new())
    }
}

pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    values(headers, &ACCEPT_ENCODING).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// The members of a comma-separated header.
pub(super) fn values<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
}

/// The page in ISO-8859-1. Characters outside it occur only within JSON strings, and are escaped there.
pub(super) fn latin1(page: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(page.len());
    for c in page.chars() {
        match u8::try_from(c) {
            // The controls from U+0080 on are other characters for who reads the label as windows-1252.
            Ok(byte) if !(0x80..0xa0).contains(&byte) => out.push(byte),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend(format!("\\u{unit:04x}").into_bytes());
                }
            }
        }
    }
    out
}

/// The page in UTF-16, little-endian, with a byte order mark.
pub(super) fn utf16(page: &str) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(page.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn other_encodings_say_the_same(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let from_latin1: String = latin1(&json).into_iter().map(char::from).collect();
            prop_assert_eq!(&serde_json::from_str::<String>(&from_latin1).unwrap(), &text);
            let bytes = utf16(&json);
            let units: Vec<u16> = bytes.as_chunks().0.iter().map(|&unit| u16::from_le_bytes(unit)).collect();
            prop_assert_eq!(String::from_utf16(&units).unwrap(), format!("\u{feff}{json}"));
        }
    }
}
