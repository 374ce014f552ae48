//! The files of `deploy/` under the real supervisors, with nothing adjusted but paths and the user, and what daemons tell their
//! supervisor at a real socket.
//!
//! A supervisor that is not on this machine is named on standard error, and its test does nothing.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![expect(clippy::print_stderr, reason = "a test that cannot be run says so")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and change it, without the programs' own code")]

mod life;
mod notify;
mod place;
mod runit;
mod s6;
mod supervisord;
mod systemd;
