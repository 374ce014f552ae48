//! The options of a simulator, and their validation.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::http::Uri;
use r3e_common::domain::{Catalog, Combination};

use super::{BadCertificate, Cookies, Faults, SessionEnd, Tls};

/// What to simulate. The default is the real service's size without any fault, on a free port.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The same seed, catalogue and numbers give the same bytes for every board.
    pub seed: u64,
    /// The boards.
    pub catalog: Catalog,
    /// How many entries all boards have together, exactly.
    pub entries: u64,
    /// How many people drive; each has an entry somewhere unless there are fewer entries.
    pub drivers: u32,
    /// Boards whose size is given; their entries are part of `entries`.
    pub board_sizes: BTreeMap<Combination, u32>,
    /// The share of entries with a field that is absent, null, of another type, double, or half a surrogate pair; all
    /// with a driver name.
    pub odd_rate: f64,
    /// The share of entries without a driver name.
    pub nameless_rate: f64,
    /// How long every answer waits.
    pub latency: Duration,
    /// Answer compressed where the client accepts it.
    pub gzip: bool,
    /// Send an `ETag` with each page, and 304 to who has it already.
    pub etag: bool,
    /// How many listing requests a session is valid for; later ones get `session_end`.
    pub session_requests: Option<u64>,
    /// How a listing is refused whose session has ended.
    pub session_end: SessionEnd,
    /// How the session's cookie is set.
    pub cookies: Cookies,
    /// The maximum number of entries per page, whatever is requested; by default the service's 1500.
    pub page_cap: Option<usize>,
    /// More requests a second than that are answered with 429, without `Retry-After`.
    pub rate_limit: Option<f64>,
    /// Everything is answered with 301 to that address and the path asked for.
    pub redirect: Option<String>,
    /// Speak TLS, and offer these versions of HTTP.
    pub tls: Option<Tls>,
    /// What is wrong with the certificate.
    pub bad_certificate: Option<BadCertificate>,
    /// After this many responses, the first connection goes silent at the next request: nothing more is read from it or
    /// written to it, and it is not closed. Other connections work.
    pub silent_after: Option<u64>,
    /// After this many responses, streams of the first connection get no response if it uses HTTP/2; its pings do.
    pub silent_streams_after: Option<u64>,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            catalog: Catalog::builtin(),
            entries: 300_000,
            drivers: 60_000,
            board_sizes: BTreeMap::new(),
            odd_rate: 0.005,
            nameless_rate: 0.0,
            latency: Duration::ZERO,
            gzip: true,
            etag: false,
            session_requests: None,
            session_end: SessionEnd::default(),
            cookies: Cookies::default(),
            page_cap: None,
            rate_limit: None,
            redirect: None,
            tls: None,
            bad_certificate: None,
            silent_after: None,
            silent_streams_after: None,
            faults: Faults::default(),
        }
    }
}

impl SimOptions {
    /// Refuses values that are impossible; what concerns boards is refused when the world is made.
    pub(super) fn check(&self) -> Result<(), SimError> {
        self.faults.check()?;
        if self.page_cap == Some(0) {
            return Err(SimError::refused("page-cap", 0, "at least 1"));
        }
        if let Some(rate) = self.rate_limit.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
            return Err(SimError::refused("rate-limit", rate, "requests a second, above 0"));
        }
        if let Some(url) = self.redirect.as_ref().filter(|url| !is_base_url(url)) {
            return Err(SimError::refused("redirect", url, "a base address such as https://game.raceroom.com"));
        }
        if let (Some(_), None) = (self.bad_certificate, self.tls) {
            return Err(SimError::refused("bad-certificate", "without --tls", "a version of HTTP with --tls"));
        }
        Ok(())
    }
}

fn is_base_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && uri.query().is_none()
    })
}

/// Why a simulator cannot start, or cannot resume after an outage.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// An option's value that is not possible.
    #[error("{option} = {value}: expected {expected}")]
    Refused {
        /// The option's name, as in the program's flags.
        option: &'static str,
        /// What was given.
        value: String,
        /// What could have been given.
        expected: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
    /// The system gave no thread or no runtime.
    #[error("cannot start the simulator's thread: {0}")]
    Thread(std::io::Error),
    /// The simulator's thread has ended.
    #[error("the simulator's thread has ended")]
    Ended,
}

impl SimError {
    pub(super) fn refused(option: &'static str, value: impl Display, expected: impl Into<String>) -> Self {
        Self::Refused { option, value: value.to_string(), expected: expected.into() }
    }
}

/// Refuses an invalid rate.
pub(super) fn check_rate(option: &'static str, rate: f64) -> Result<(), SimError> {
    if (0.0..=1.0).contains(&rate) { Ok(()) } else { Err(SimError::refused(option, rate, "a number from 0 to 1")) }
}
