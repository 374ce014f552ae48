//! A client of the leaderboard service that trusts no response.
//!
//! [`Client`] fetches whole boards. Each request waits for a permit and for the rate limiter (`rate_limiter`), and is sent over
//! one connection pool (`transport`). Each response is bounded in time and size, and validated (`page`). One classifier
//! (`retry`) decides which failures are retried, and a circuit breaker (`circuit_breaker`) ends the run when the service is
//! down.

mod body;
mod circuit_breaker;
mod client;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod page;
mod pages;
mod proxy;
mod rate_limiter;
mod request;
mod retry;
mod retry_after;
mod session;
#[cfg(test)]
pub(crate) mod test_service;
mod transport;

pub use client::{Answer, Client, FetchError, Requests};
pub use failure::Failure;
pub use pages::LastPage;
pub use proxy::{Proxy, ProxyError};
pub use transport::SetupError;
