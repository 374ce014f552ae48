//! Statistics of requests, for tests and `/__stats`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FaultKind;

/// The response of `/__stats`. Requests for it do not count, nor do connections whose first request is for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// All requests.
    pub requests: u64,
    /// Requests for the HTML page that makes a session.
    pub page_requests: u64,
    /// Requests for a listing, whatever was answered.
    pub listing_requests: u64,
    /// Of those, how many had a `start` above 0.
    pub further_page_requests: u64,
    /// Requests for the multiplayer ratings.
    pub ratings_requests: u64,
    /// Requests for anything else.
    pub other_requests: u64,
    /// How many different boards of the catalogue were asked for.
    pub distinct_boards: u64,
    /// Listings asked for without the header that tells a script: answered with HTML.
    pub without_script_header: u64,
    /// Listings asked for without a session: 403.
    pub without_session: u64,
    /// Listings asked for with a session that is no longer good: 401, or what `session_end` says.
    pub with_ended_session: u64,
    /// Listings asked for with a cookie that another has replaced: 403.
    pub with_replaced_cookie: u64,
    /// Requests refused for coming too fast: 429.
    pub rate_limited: u64,
    /// Requests answered with a redirect: 301.
    pub redirected: u64,
    /// Pages that the client had already: 304.
    pub not_modified: u64,
    /// What went wrong on purpose, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// The most connections open at once.
    pub connections_open_peak: u64,
    /// TLS handshakes done.
    pub tls_handshakes: u64,
    /// TLS handshakes that failed, such as with a client that does not trust the certificate.
    pub tls_handshakes_failed: u64,
    /// Connections that speak HTTP/2.
    pub http2_connections: u64,
    /// Requests that came over HTTP/2, each on a stream of its own.
    pub http2_streams: u64,
    /// Requests whose answer is not handed to the connection completely, now.
    pub in_flight: u64,
    /// The most requests in flight at once.
    pub in_flight_peak: u64,
    /// Connections whose last answer went out whole and that have asked nothing since, with HTTP/2 also those whose last
    /// stream was reset, now; also those that the client has closed already, until the server sees it.
    pub idle: u64,
    /// The most connections idle at once.
    pub idle_peak: u64,
    /// The most requests within any one second.
    pub requests_per_second_peak: u64,
    /// Bytes sent, heads included.
    pub bytes_sent: u64,
    /// How many requests each `User-Agent` made; the first sixteen different ones.
    pub user_agents: BTreeMap<String, u64>,
}
