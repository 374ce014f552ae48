//! Why a request gave no usable answer, in words that help whoever reads the log.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use rustls::{CertificateError, InvalidMessage};
use url::Url;

use super::proxy::Proxy;
use super::retry_after::MAX_RETRY_AFTER;

/// Why a request gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection: refused, unreachable, no such host, no TLS, or a proxy that does not connect.
    #[error("cannot connect to {to}{}: {cause}", through(.proxy.as_ref()))]
    Connect {
        /// Scheme, host and port of the service.
        to: String,
        /// What went wrong.
        cause: String,
        /// The proxy that was to connect.
        proxy: Option<Proxy>,
    },
    /// No whole answer in time.
    #[error("no whole answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The connection ended, or what came was no valid HTTP or gzip.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// An answer with another status than 200.
    #[error("status {code}{}{}", through(.proxy.as_ref()), wait(*.retry_after))]
    Status {
        /// The status code.
        code: u16,
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
        /// The proxy that may have answered instead of the service.
        proxy: Option<Proxy>,
    },
    /// An answer that redirects; redirects are not followed.
    #[error("status {code}, redirects to {location}{}", if *.elsewhere { ELSEWHERE } else { "" })]
    Redirect {
        /// The status code.
        code: u16,
        /// Where to: `Location`, shortened, in printable characters.
        location: String,
        /// Whether that is another scheme, host or port.
        elsewhere: bool,
    },
    /// An HTML page where JSON should be: maintenance, mostly.
    #[error("an HTML page instead of JSON")]
    Html,
    /// Bytes that are no text in the charset and compression that the headers declare.
    #[error("not a text: {0}")]
    NotText(String),
    /// JSON without a list of entries: an error message, mostly.
    #[error("not a leaderboard page: no list at context.c.results")]
    NoList,
    /// Not the JSON of a page.
    #[error("not a leaderboard page: {0}")]
    NotAPage(String),
    /// Not the JSON of the ratings.
    #[error("not a list of ratings: {0}")]
    NotRatings(String),
    /// A body larger than a page may be.
    #[error("a body of more than {limit} bytes")]
    BodyTooLarge {
        /// How many bytes a body may have, decompressed.
        limit: usize,
    },
    /// More entries than were asked for.
    #[error("more than the {asked} entries asked for")]
    Overfull {
        /// How many were asked for.
        asked: usize,
    },
    /// The first page came again where a further one was asked for.
    #[error("the page from entry {start} on is the first page again")]
    Repeated {
        /// The number of the first entry asked for.
        start: usize,
    },
    /// Entries moved from one page to another while the board was fetched.
    #[error("the board changed between two pages: entry {entry} is another one by now")]
    Changed {
        /// The number of the entry that ended a page, and should have begun the next.
        entry: usize,
    },
    /// A board larger than any board is.
    #[error("a board of more than {entries} entries")]
    BoardTooLarge {
        /// How many it had when it was given up.
        entries: usize,
    },
    /// A board of more pages than any board has.
    #[error("a board of more than {pages} pages")]
    TooManyPages {
        /// How many it had when it was given up.
        pages: usize,
    },
}

const ELSEWHERE: &str = " (hint: that is another scheme or host: check upstream.base_url)";

fn through(proxy: Option<&Proxy>) -> String {
    proxy.map(|it| format!(" through {it}")).unwrap_or_default()
}

fn wait(retry_after: Option<Duration>) -> String {
    match retry_after {
        None => String::new(),
        Some(MAX_RETRY_AFTER) => format!(", try again after {} or more", humantime::format_duration(MAX_RETRY_AFTER)),
        Some(wait) => format!(", try again after {}", humantime::format_duration(wait)),
    }
}

impl Failure {
    /// What a transport error means; a request had `timeout`, and was sent through `proxy`.
    pub(super) fn of(error: &reqwest::Error, timeout: Duration, proxy: Option<&Proxy>) -> Self {
        if error.is_connect() {
            let to = error.url().map_or_else(|| "the service".to_owned(), |it| it.origin().ascii_serialization());
            Self::Connect { to, cause: connect_cause(error), proxy: proxy.cloned() }
        } else if causes(error).any(<dyn Error>::is::<hyper::Error>) || !error.is_timeout() {
            Self::Broken(chain(error))
        } else {
            Self::TimedOut(timeout)
        }
    }

    /// A redirect of a request to `address`.
    pub(super) fn redirect(code: u16, location: &[u8], address: &Url) -> Self {
        let location = String::from_utf8_lossy(location);
        let elsewhere = address.join(&location).is_ok_and(|it| it.origin() != address.origin());
        Self::Redirect { code, location: short(&printable(&location)), elsewhere }
    }

    /// Whether the service says that it gets too many requests, and nothing else.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { code: 429, .. })
    }
}

/// Why there is no connection, without what only says that there is none.
fn connect_cause(error: &reqwest::Error) -> String {
    if let Some(cause) = causes(error).find_map(|it| it.downcast_ref::<rustls::Error>()).and_then(tls_cause) {
        return cause;
    }
    // The first two say that a request to that address was not sent, and that it was not for want of a connection.
    let mut chained = String::new();
    for cause in causes(error).skip(2).map(ToString::to_string) {
        if !chained.ends_with(&cause) {
            let separator = if chained.is_empty() { "" } else { ": " };
            let _infallible = write!(chained, "{separator}{cause}");
        }
    }
    if chained.is_empty() { chain(error) } else { short(&chained) }
}

/// What the usual failures of TLS mean.
fn tls_cause(error: &rustls::Error) -> Option<String> {
    let cause = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the service's certificate has expired, or the clock of this machine is wrong".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the service's certificate is not valid yet, or the clock of this machine is wrong".to_owned()
            }
            CertificateError::UnknownIssuer => "the service's certificate was issued by an authority that this system \
                does not trust (hint: SSL_CERT_FILE names a file with further ones)"
                .to_owned(),
            CertificateError::NotValidForName => "the service's certificate is for another name".to_owned(),
            CertificateError::NotValidForNameContext { expected, presented } => format!(
                "the service's certificate is not for {} but for {}",
                expected.to_str(),
                short(&printable(&presented.join(", ")))
            ),
            CertificateError::Revoked => "the service's certificate has been revoked".to_owned(),
            _ => return None,
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the service does not speak TLS there (hint: is upstream.base_url http instead of https?)".to_owned()
        }
        _ => return None,
    };
    Some(cause)
}

/// The causes of an error, itself first. What an I/O error wraps is one of them, which `source` leaves out.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        inner.map(|it| it as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// A message with the whole chain of its causes, each told once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    for cause in causes(error).skip(1).map(ToString::to_string) {
        if !told.ends_with(&cause) {
            let _infallible = write!(told, ": {cause}");
        }
    }
    short(&told)
}

/// The beginning of a text that a hostile answer may have made long.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text in which what a terminal would act on is escaped.
fn printable(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_tells_where_to_and_what_to_do_about_it() {
        let address: Url = "http://127.0.0.1:8080/leaderboard/listing/0?track=1".parse().unwrap();
        let redirect = |location: &[u8]| Failure::redirect(301, location, &address).to_string();
        let path = redirect(b"/account/login?next=/leaderboard/");
        assert_eq!(path, "status 301, redirects to /account/login?next=/leaderboard/");
        assert_eq!(redirect(b"http://127.0.0.1:8080/x"), "status 301, redirects to http://127.0.0.1:8080/x");
        for elsewhere in ["https://127.0.0.1:8080/x", "http://127.0.0.1/x", "//example.com/leaderboard/"] {
            let told = redirect(elsewhere.as_bytes());
            assert_eq!(told, format!("status 301, redirects to {elsewhere}{ELSEWHERE}"));
        }
        let hostile = redirect(format!("/\u{202e}\u{85}\t{}", "x".repeat(10_000)).as_bytes());
        assert!(hostile.starts_with(r"status 301, redirects to /\u{202e}\u{85}\tx"), "{hostile}");
        assert!(hostile.len() < 400 && redirect(b"\xff\xfe").contains('\u{fffd}'));
    }

    #[test]
    fn a_wait_that_was_bounded_says_so() {
        let status = |retry_after| Failure::Status { code: 429, retry_after, proxy: None }.to_string();
        assert_eq!(status(None), "status 429");
        assert_eq!(status(Some(Duration::from_secs(4))), "status 429, try again after 4s");
        assert_eq!(status(Some(MAX_RETRY_AFTER)), "status 429, try again after 1day or more");
    }

    #[test]
    fn usual_failures_of_tls_are_told_in_plain_words() {
        let presented = vec![r#"DnsName("other.example")"#.to_owned()];
        let expected = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let name = CertificateError::NotValidForNameContext { expected, presented };
        for (error, words) in [
            (CertificateError::Expired, "has expired"),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::UnknownIssuer, "SSL_CERT_FILE"),
            (name, r#"not for localhost but for DnsName(\"other.example\")"#),
        ] {
            // As it comes: within an I/O error.
            let io = std::io::Error::other(rustls::Error::InvalidCertificate(error));
            let told = causes(&io).find_map(|it| it.downcast_ref::<rustls::Error>()).and_then(tls_cause).unwrap();
            assert!(told.contains(words), "{told}");
        }
    }
}
