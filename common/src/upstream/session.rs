//! A session with the service: the cookies set by its HTML page and later responses.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cookie_store::{Cookie, CookieStore};
use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use url::Url;

/// More cookies are ignored. RFC 6265 requires 50 per domain.
const MAX_COOKIES: usize = 50;
/// Longer cookies (with attributes) are ignored, as in browsers.
const MAX_COOKIE_BYTES: usize = 4 << 10;
/// The limit of the `Cookie` header; servers refuse longer ones.
const MAX_HEADER_BYTES: usize = 8 << 10;

/// A session, initially without cookies.
#[derive(Default)]
pub(super) struct Session {
    cookies: Mutex<CookieStore>,
    worked: AtomicBool,
}

impl Session {
    /// Whether a listing was fetched in it.
    pub(super) fn has_worked(&self) -> bool {
        self.worked.load(Ordering::Relaxed)
    }

    /// Records that a listing was fetched in it.
    pub(super) fn works(&self) {
        self.worked.store(true, Ordering::Relaxed);
    }

    /// The `Cookie` header for this URL, if there are cookies for it.
    pub(super) fn cookie_header(&self, address: &Url) -> Option<HeaderValue> {
        let (mut line, cookies) = (String::new(), self.cookies());
        let mut matching = cookies.matches(address);
        // Longer paths first, as the RFC requires.
        matching.sort_by_key(|it| (std::cmp::Reverse(it.path.len()), it.name()));
        for (name, value) in matching.into_iter().map(|it| it.name_value()) {
            if line.len() + name.len() + value.len() + 3 <= MAX_HEADER_BYTES {
                let separator = if line.is_empty() { "" } else { "; " };
                line.extend([separator, name, "=", value]);
            }
        }
        if line.is_empty() { None } else { HeaderValue::from_str(&line).ok() }
    }

    /// Applies the cookies of a response from this URL. Invalid ones are ignored, as in browsers.
    pub(super) fn take_cookies(&self, headers: &HeaderMap, address: &Url) {
        let mut cookies = self.cookies();
        for header in headers.get_all(SET_COOKIE).iter().filter(|it| it.len() <= MAX_COOKIE_BYTES) {
            let text = std::str::from_utf8(header.as_bytes()).unwrap_or_default();
            let Ok(cookie) = Cookie::parse(text.to_owned(), address) else { continue };
            let full = cookies.iter_any().count() >= MAX_COOKIES;
            if full && !cookies.iter_any().any(|it| it.name() == cookie.name()) {
                continue;
            }
            // Errors: a cookie for another host, or the removal of an unknown one.
            let _ignored = cookies.insert(cookie, address);
        }
    }

    fn cookies(&self) -> MutexGuard<'_, CookieStore> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    /// Omits the cookies, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("worked", &self.worked).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "http://service.example:8080/leaderboard/?track=1";

    fn take(session: &Session, set: &[&str]) {
        let mut headers = HeaderMap::new();
        for it in set {
            headers.append(SET_COOKIE, HeaderValue::from_str(it).unwrap());
        }
        session.take_cookies(&headers, &PAGE.parse().unwrap());
    }

    fn sent(session: &Session, address: &str) -> String {
        let header = session.cookie_header(&address.parse().unwrap());
        let mut cookies: Vec<_> =
            header.iter().flat_map(|it| it.to_str().unwrap().split("; ")).map(str::to_owned).collect();
        cookies.sort();
        cookies.join(" ")
    }

    fn after(set: &[&str]) -> String {
        let session = Session::default();
        take(&session, set);
        sent(&session, "http://service.example:8080/leaderboard/listing/0?track=1")
    }

    #[test]
    fn cookies_are_sent_back_without_their_attributes() {
        assert_eq!(after(&["a=1; Path=/; HttpOnly", " b=2", "c=x=y"]), "a=1 b=2 c=x=y");
        assert_eq!(after(&["nonsense", "", "=; path=/", "d=1; Domain=example.com"]), "");
    }

    #[test]
    fn of_two_with_one_name_the_later_counts_and_an_expired_one_removes() {
        assert_eq!(after(&["id=old; path=/; HttpOnly", "id=good; path=/; HttpOnly"]), "id=good");
        let deleted = "id=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/";
        assert_eq!(after(&[deleted, "id=good; path=/"]), "id=good");
        assert_eq!(after(&["id=good; path=/", deleted]), "");
        let session = Session::default();
        take(&session, &["id=1; path=/", "b=1; path=/"]);
        take(&session, &["id=2; path=/"]);
        assert_eq!(sent(&session, PAGE), "b=1 id=2");
    }

    #[test]
    fn cookies_go_where_they_belong_only() {
        let session = Session::default();
        take(&session, &["everywhere=1; path=/", "here=1", "elsewhere=1; path=/account", "tls=1; path=/; secure"]);
        assert_eq!(sent(&session, "http://service.example:8080/leaderboard/listing/0"), "everywhere=1 here=1");
        assert_eq!(sent(&session, "http://service.example:8080/"), "everywhere=1");
        assert_eq!(sent(&session, "http://other.example:8080/leaderboard/"), "");
    }

    #[test]
    fn a_flood_of_cookies_is_bounded() {
        let session = Session::default();
        for round in 0..100 {
            let set: Vec<_> = (0..30).map(|it| format!("c{round}_{it}={}; path=/", "x".repeat(3000))).collect();
            take(&session, &set.iter().map(String::as_str).collect::<Vec<_>>());
        }
        assert_eq!(session.cookies().iter_any().count(), MAX_COOKIES);
        take(&session, &["c0_0=last; path=/", &format!("c0_1={}", "x".repeat(MAX_COOKIE_BYTES))]);
        let header = session.cookie_header(&PAGE.parse().unwrap()).unwrap();
        assert!(header.len() <= MAX_HEADER_BYTES, "{} bytes", header.len());
        assert_eq!(session.cookies().iter_any().filter(|it| it.value() == "last").count(), 1);
    }
}
