//! Sessions: made by the page, told by a cookie, good for a number of listings.

use std::collections::HashMap;

use axum::http::{HeaderMap, header::COOKIE};

use super::random::{Purpose, derive};

/// The cookie that tells the session.
const COOKIE_NAME: &str = "PHPSESSID";

/// Whether a listing is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// A good session.
    Granted,
    /// No session's cookie at all.
    NoSession,
    /// A session that was never made, or is no longer good.
    Ended,
}

/// The sessions that are good.
#[derive(Debug)]
pub(super) struct Sessions {
    seed: u64,
    made: u64,
    limit: u64,
    /// How many listings each session is still good for.
    left: HashMap<String, u64>,
}

impl Sessions {
    pub(super) fn new(seed: u64, limit: Option<u64>) -> Self {
        Self { seed, made: 0, limit: limit.unwrap_or(u64::MAX), left: HashMap::new() }
    }

    /// Makes a session: the values of two `Set-Cookie` headers.
    pub(super) fn make(&mut self) -> [String; 2] {
        self.made += 1;
        let id = format!("{:032x}", derive(self.seed, Purpose::Session, &[self.made]).u128(..));
        self.left.insert(id.clone(), self.limit);
        [format!("{COOKIE_NAME}={id}; path=/; HttpOnly"), "raceroom_locale=en; path=/; Max-Age=31536000".to_owned()]
    }

    /// Uses up one listing of the session that the headers tell.
    pub(super) fn admit(&mut self, headers: &HeaderMap) -> Admission {
        let Some(id) = session_id(headers) else { return Admission::NoSession };
        match self.left.get_mut(id) {
            None => Admission::Ended,
            Some(0) => {
                self.left.remove(id);
                Admission::Ended
            }
            Some(left) => {
                *left -= 1;
                Admission::Granted
            }
        }
    }

    /// Ends all sessions.
    pub(super) fn end_all(&mut self) {
        self.left.clear();
    }
}

fn session_id(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with_cookie(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_session_is_good_for_its_number_of_listings() {
        let mut sessions = Sessions::new(1, Some(2));
        let [first, second] = sessions.make();
        let (id, _) = first.split_once(';').unwrap();
        assert!(second.starts_with("raceroom_locale="));
        let headers = with_cookie(&format!("raceroom_locale=en; {id}"));
        assert_eq!(
            [(); 3].map(|()| sessions.admit(&headers)),
            [Admission::Granted, Admission::Granted, Admission::Ended]
        );
        assert_eq!(sessions.admit(&HeaderMap::new()), Admission::NoSession);
        assert_eq!(sessions.admit(&with_cookie("raceroom_locale=en")), Admission::NoSession);
        assert_eq!(sessions.admit(&with_cookie("PHPSESSID=made-up")), Admission::Ended);
    }

    #[test]
    fn ended_sessions_are_not_good_and_new_ones_are() {
        let mut sessions = Sessions::new(1, None);
        let cookie = |[first, _]: [String; 2]| with_cookie(first.split(';').next().unwrap());
        let old = cookie(sessions.make());
        sessions.end_all();
        let new = cookie(sessions.make());
        assert_eq!((sessions.admit(&old), sessions.admit(&new)), (Admission::Ended, Admission::Granted));
    }
}
