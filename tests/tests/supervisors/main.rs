//! The files of `deploy/` under the real supervisors, with nothing adjusted but paths and the user, and what daemons tell their
//! supervisor at a real socket.
//!
//! The test of a supervisor that is not on this machine is skipped.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and change it, without the programs' own code")]

mod life;
mod notify;
mod place;
mod runit;
mod s6;
mod supervisord;
mod systemd;
