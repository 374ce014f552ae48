//! Why a request failed.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use rustls::{CertificateError, InvalidMessage};
use url::Url;

use super::proxy::Proxy;
use super::retry_after::MAX_RETRY_AFTER;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection: refused, unreachable, unknown host, TLS failure, or a proxy that does not connect.
    #[error("cannot connect to {to}{}: {cause}", through(.proxy.as_ref()))]
    Connect {
        /// Scheme, host and port of the service.
        to: String,
        /// What went wrong.
        cause: String,
        /// The proxy in between.
        proxy: Option<Proxy>,
    },
    /// No complete response in time.
    #[error("no complete response within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The connection ended early, or the response is not valid HTTP or gzip.
    #[error("the response broke off: {0}")]
    Broken(String),
    /// A status other than 200.
    #[error("status {code}{}{}", through(.proxy.as_ref()), wait(*.retry_after))]
    Status {
        /// The status code.
        code: u16,
        /// The requested pause (`Retry-After`).
        retry_after: Option<Duration>,
        /// The proxy that may have answered instead of the service.
        proxy: Option<Proxy>,
    },
    /// A redirect; redirects are not followed.
    #[error("status {code}, redirects to {location}{}", if *.elsewhere { ELSEWHERE } else { "" })]
    Redirect {
        /// The status code.
        code: u16,
        /// `Location`, shortened, in printable characters.
        location: String,
        /// Whether that is another scheme, host or port.
        elsewhere: bool,
    },
    /// An HTML page instead of JSON: usually maintenance.
    #[error("an HTML page instead of JSON")]
    Html,
    /// A body that cannot be decoded as the headers say.
    #[error("not text: {0}")]
    NotText(String),
    /// JSON without a list of entries: usually an error message.
    #[error("not a leaderboard page: no list at context.c.results")]
    NoList,
    /// Not the JSON of a page.
    #[error("not a leaderboard page: {0}")]
    NotAPage(String),
    /// A body larger than a page may be.
    #[error("a body of more than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes, decompressed.
        limit: usize,
    },
    /// More entries than were requested.
    #[error("more than the {requested} entries requested")]
    Overfull {
        /// How many were requested.
        requested: usize,
    },
    /// The first page again instead of a later one.
    #[error("the page from entry {start} on is the first page again")]
    Repeated {
        /// The number of the first entry requested.
        start: usize,
    },
    /// Entries moved from one page to another while the board was fetched.
    #[error("the board changed between two pages: entry {entry} is now a different one")]
    Changed {
        /// The number of the entry that ended one page and should have begun the next.
        entry: usize,
    },
    /// A board with more entries than any real one.
    #[error("a board of more than {entries} entries")]
    BoardTooLarge {
        /// The limit.
        entries: usize,
    },
    /// A board with more pages than any real one.
    #[error("a board of more than {pages} pages")]
    TooManyPages {
        /// The limit.
        pages: usize,
    },
}

const ELSEWHERE: &str = " (hint: another scheme or host; check upstream.base_url)";

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
    /// Classifies a transport error of a request that had `timeout` and was sent through `proxy`.
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

    /// The redirect of a request to `address`.
    pub(super) fn redirect(code: u16, location: &[u8], address: &Url) -> Self {
        let location = String::from_utf8_lossy(location);
        let elsewhere = address.join(&location).is_ok_and(|it| it.origin() != address.origin());
        Self::Redirect { code, location: short(&printable(&location)), elsewhere }
    }

    /// Whether the service refused the request because there are too many.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { code: 429, .. })
    }
}

/// The cause of a failed connection, without the outer errors that only say that it failed.
fn connect_cause(error: &reqwest::Error) -> String {
    if let Some(cause) = causes(error).find_map(|it| it.downcast_ref::<rustls::Error>()).and_then(tls_cause) {
        return cause;
    }
    // The first two errors only say that the request was not sent because it could not connect.
    let mut chained = String::new();
    for cause in causes(error).skip(2).map(ToString::to_string) {
        if !chained.ends_with(&cause) {
            let separator = if chained.is_empty() { "" } else { ": " };
            let _infallible = write!(chained, "{separator}{cause}");
        }
    }
    if chained.is_empty() { chain(error) } else { short(&chained) }
}

/// Plain words for the usual TLS errors.
fn tls_cause(error: &rustls::Error) -> Option<String> {
    let cause = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the service's certificate has expired, or this machine's clock is wrong".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the service's certificate is not valid yet, or this machine's clock is wrong".to_owned()
            }
            CertificateError::UnknownIssuer => "this system does not trust the issuer of the service's \
                certificate (hint: SSL_CERT_FILE names a file with more root certificates)"
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
            "the service does not speak TLS (hint: should upstream.base_url begin with http instead of https?)"
                .to_owned()
        }
        _ => return None,
    };
    Some(cause)
}

/// An error and its causes, including the error inside an I/O error, which `source` skips.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        inner.map(|it| it as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// An error and its causes in one message, without repetitions.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut message = error.to_string();
    for cause in causes(error).skip(1).map(ToString::to_string) {
        if !message.ends_with(&cause) {
            let _infallible = write!(message, ": {cause}");
        }
    }
    short(&message)
}

/// The beginning of a text, which a hostile response may have made long.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

/// Escapes control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_reports_its_target_and_a_hint() {
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
    fn a_capped_wait_is_marked() {
        let status = |retry_after| Failure::Status { code: 429, retry_after, proxy: None }.to_string();
        assert_eq!(status(None), "status 429");
        assert_eq!(status(Some(Duration::from_secs(4))), "status 429, try again after 4s");
        assert_eq!(status(Some(MAX_RETRY_AFTER)), "status 429, try again after 1day or more");
    }

    #[test]
    fn usual_tls_errors_have_plain_words() {
        let presented = vec![r#"DnsName("other.example")"#.to_owned()];
        let expected = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let name = CertificateError::NotValidForNameContext { expected, presented };
        for (error, words) in [
            (CertificateError::Expired, "has expired"),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::UnknownIssuer, "SSL_CERT_FILE"),
            (name, r#"not for localhost but for DnsName(\"other.example\")"#),
        ] {
            // As reqwest reports it: inside an I/O error.
            let io = std::io::Error::other(rustls::Error::InvalidCertificate(error));
            let told = causes(&io).find_map(|it| it.downcast_ref::<rustls::Error>()).and_then(tls_cause).unwrap();
            assert!(told.contains(words), "{told}");
        }
    }
}
