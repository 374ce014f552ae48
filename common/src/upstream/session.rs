//! The session: cookies of the HTML page, sent along with every listing request.
//!
//! A dozen lines instead of a cookie jar: the service's answers may set as many cookies as they like, and a jar
//! keeps them all.

use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};

/// The most bytes of cookies that are sent back.
const MOST_BYTES: usize = 8 << 10;

/// The `Cookie` header that answers a page's `Set-Cookie` headers; none where it set none that can be sent.
pub(super) fn cookies(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut line = String::new();
    for cookie in headers.get_all(SET_COOKIE) {
        let pair = cookie.to_str().ok().and_then(|it| it.split(';').next()).unwrap_or_default().trim();
        if pair.contains('=') && line.len() + pair.len() < MOST_BYTES {
            if !line.is_empty() {
                line.push_str("; ");
            }
            line.push_str(pair);
        }
    }
    if line.is_empty() { None } else { HeaderValue::from_str(&line).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(set: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for it in set {
            headers.append(SET_COOKIE, HeaderValue::from_str(it).unwrap());
        }
        cookies(&headers).map(|it| it.to_str().unwrap().to_owned())
    }

    #[test]
    fn pairs_are_sent_back_without_their_attributes() {
        assert_eq!(header(&["a=1; Path=/; HttpOnly", " b=2;Secure"]).as_deref(), Some("a=1; b=2"));
        assert_eq!(header(&["nonsense", ""]), None);
        assert_eq!(header(&[]), None);
    }

    #[test]
    fn a_flood_of_cookies_is_cut() {
        let long = format!("a={}", "x".repeat(3000));
        assert_eq!(header(&[long.as_str(); 10]).map(|it| it.len() < MOST_BYTES), Some(true));
    }
}
