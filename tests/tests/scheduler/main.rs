//! The program `r3e-scheduler`, run as people and scripts run it.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and change it, without the programs' own code")]

mod commands;
