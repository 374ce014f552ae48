//! The leaderboard service, as a client that trusts none of its answers.
//!
//! [`Client`] fetches whole boards. Each request takes a place among the concurrent ones and a turn in the pace
//! (`pace`); each answer is bounded in time and bytes and checked to be the JSON it should be (`page`); one
//! classifier (`retry`) decides what is tried again; and a circuit (`circuit`) ends the run when the service is
//! plainly down.

mod blocking;
mod body;
mod circuit;
mod client;
mod connections;
#[cfg(fuzzing)]
pub mod fuzzing;
mod pace;
mod page;
mod pages;
mod request;
mod retry;
mod session;
#[cfg(test)]
pub(crate) mod test_service;

pub use blocking::Blocking;
pub use client::{Answer, Client, FetchError, Requests, Settings, SetupError};
pub use pages::LastPage;
pub use retry::Failure;
