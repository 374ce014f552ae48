//! The files of `deploy/` under real supervisors, with only paths and the user adjusted, and supervisor notification over a
//! real socket.
//!
//! Tests of supervisors that are not installed are skipped.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and change it, without the programs' own code")]

mod life;
mod notify;
mod place;
mod runit;
mod s6;
mod supervisord;
mod systemd;
