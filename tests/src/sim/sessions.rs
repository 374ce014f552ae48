//! Sessions: created by the HTML page, identified by a cookie, and valid for a number of listing requests. Simulates the
//! different ways in which services handle them.

use std::collections::{HashMap, HashSet};

use axum::http::{HeaderMap, header::COOKIE};
use clap::ValueEnum;

use super::SimOptions;
use super::random::{Purpose, derive};

/// The name of the session cookie.
const COOKIE_NAME: &str = "PHPSESSID";

/// The value of a cookie that is being removed.
const DELETED: &str = "deleted";

/// How a listing request is refused if its session has expired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum SessionEnd {
    /// 401.
    #[default]
    Unauthorized,
    /// 302 to a login page.
    Redirect,
    /// The login page as HTML, with status 200.
    LoginPage,
    /// `{"error":…}` as JSON, with status 200.
    Json,
}

/// How the session's cookie is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Cookies {
    /// Once.
    #[default]
    Plain,
    /// Twice in one answer, and the later one counts. Of two in a request the first is read.
    Twice,
    /// First an expired one of that name, then the one that counts. Of two in a request the first is read.
    Deleted,
    /// A new one with each listing response; the previous one is refused from then on.
    Rotating,
}

/// Whether a listing is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// A valid session, with the cookie that the response sets, if any.
    Granted(Option<String>),
    /// The header that marks script requests is missing.
    NoScript,
    /// No session's cookie at all.
    NoSession,
    /// A session that was never made, or is no longer good.
    Ended,
    /// A cookie that another has replaced.
    Replaced,
}

/// The valid sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    seed: u64,
    cookies: Cookies,
    limit: u64,
    /// How many ids were drawn.
    drawn: u64,
    /// How many more listing requests each session is valid for.
    left: HashMap<String, u64>,
    /// Cookies that another has replaced.
    replaced: HashSet<String>,
}

impl Sessions {
    pub(super) fn new(options: &SimOptions) -> Self {
        Self {
            seed: options.seed,
            cookies: options.cookies,
            limit: options.session_requests.unwrap_or(u64::MAX),
            drawn: 0,
            left: HashMap::new(),
            replaced: HashSet::new(),
        }
    }

    /// Makes a session: the values of the `Set-Cookie` headers.
    pub(super) fn make(&mut self) -> Vec<String> {
        let replaced = match self.cookies {
            Cookies::Plain | Cookies::Rotating => None,
            Cookies::Twice => {
                let id = self.id();
                Some((id.clone(), set_cookie(&id)))
            }
            Cookies::Deleted => Some((
                DELETED.to_owned(),
                format!("{}; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0", set_cookie(DELETED)),
            )),
        };
        let id = self.id();
        let session = set_cookie(&id);
        self.left.insert(id, self.limit);
        let locale = "raceroom_locale=en; path=/; Max-Age=31536000".to_owned();
        let first = replaced.map(|(id, cookie)| {
            self.replaced.insert(id);
            cookie
        });
        first.into_iter().chain([session, locale]).collect()
    }

    /// Uses one listing request of the session that the headers name.
    pub(super) fn admit(&mut self, headers: &HeaderMap) -> Admission {
        let Some(id) = session_id(headers) else { return Admission::NoSession };
        if self.replaced.contains(id) {
            return Admission::Replaced;
        }
        match self.left.get_mut(id) {
            None => Admission::Ended,
            Some(0) => {
                self.left.remove(id);
                Admission::Ended
            }
            Some(left) => {
                *left -= 1;
                let left = *left;
                Admission::Granted((self.cookies == Cookies::Rotating).then(|| self.rotate(id, left)))
            }
        }
    }

    /// Replaces a session's cookie by another, which is the value of a `Set-Cookie` header.
    fn rotate(&mut self, old: &str, left: u64) -> String {
        let id = self.id();
        let cookie = set_cookie(&id);
        self.left.remove(old);
        self.replaced.insert(old.to_owned());
        self.left.insert(id, left);
        cookie
    }

    fn id(&mut self) -> String {
        self.drawn += 1;
        format!("{:032x}", derive(self.seed, Purpose::Session, &[self.drawn]).u128(..))
    }

    /// Ends all sessions.
    pub(super) fn end_all(&mut self) {
        self.left.clear();
    }
}

fn set_cookie(id: &str) -> String {
    format!("{COOKIE_NAME}={id}; path=/; HttpOnly")
}

/// The first one in the request.
fn session_id(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const GRANTED: Admission = Admission::Granted(None);

    fn sessions(cookies: Cookies, session_requests: Option<u64>) -> Sessions {
        Sessions::new(&SimOptions { session_requests, cookies, ..SimOptions::default() })
    }

    fn with_cookie(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(value).unwrap())])
    }

    /// The pair that a `Set-Cookie` header begins with, as a request sends it.
    fn sent(set_cookie: &str) -> HeaderMap {
        with_cookie(set_cookie.split(';').next().unwrap())
    }

    #[test]
    fn a_session_is_good_for_its_number_of_listings() {
        let mut sessions = sessions(Cookies::Plain, Some(2));
        let cookies = sessions.make();
        let (id, _) = cookies[0].split_once(';').unwrap();
        assert!(cookies[1].starts_with("raceroom_locale="));
        let headers = with_cookie(&format!("raceroom_locale=en; {id}"));
        assert_eq!([(); 3].map(|()| sessions.admit(&headers)), [GRANTED, GRANTED, Admission::Ended]);
        assert_eq!(sessions.admit(&HeaderMap::new()), Admission::NoSession);
        assert_eq!(sessions.admit(&with_cookie("raceroom_locale=en")), Admission::NoSession);
        assert_eq!(sessions.admit(&with_cookie("PHPSESSID=made-up")), Admission::Ended);
    }

    #[test]
    fn ended_sessions_are_not_good_and_new_ones_are() {
        let mut sessions = sessions(Cookies::Plain, None);
        let old = sent(&sessions.make()[0]);
        sessions.end_all();
        let new = sent(&sessions.make()[0]);
        assert_eq!((sessions.admit(&old), sessions.admit(&new)), (Admission::Ended, GRANTED));
    }

    #[test]
    fn of_two_cookies_the_later_one_counts_and_the_first_one_is_read() {
        for cookies in [Cookies::Twice, Cookies::Deleted] {
            let mut sessions = sessions(cookies, None);
            let set = sessions.make();
            let pairs: Vec<&str> = set.iter().filter_map(|cookie| cookie.split(';').next()).collect();
            let [first, second, _locale] = pairs[..] else { panic!("{set:?}") };
            assert_eq!(sessions.admit(&with_cookie(second)), GRANTED);
            assert_eq!(sessions.admit(&with_cookie(&format!("{first}; {second}"))), Admission::Replaced);
            assert_eq!(sessions.admit(&with_cookie(&format!("{second}; {first}"))), GRANTED);
        }
    }

    #[test]
    fn a_rotating_cookie_is_good_once_and_the_session_keeps_its_number_of_listings() {
        let mut sessions = sessions(Cookies::Rotating, Some(2));
        let first = sent(&sessions.make()[0]);
        let Admission::Granted(Some(second)) = sessions.admit(&first) else { panic!() };
        assert_eq!(sessions.admit(&first), Admission::Replaced);
        let Admission::Granted(Some(third)) = sessions.admit(&sent(&second)) else { panic!() };
        assert_eq!(sessions.admit(&sent(&third)), Admission::Ended);
    }
}
