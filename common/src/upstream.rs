//! The leaderboard service, as a client that trusts none of its answers.
//!
//! [`Client`] fetches whole boards. Each request takes a place among the concurrent ones and a turn in the common rate
//! (`rate_limiter`) and is sent over one pool of connections (`transport`); each answer is bounded in time and bytes and
//! checked to be the JSON it should be (`page`); one classifier (`retry`) decides what is tried again; and a circuit
//! breaker (`circuit_breaker`) ends the run when the service is plainly down.

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
