//! The program `r3e-loader`, run as people and scripts run it, against the simulated service.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and damage it, without the programs' own code")]

mod damaged;
mod down;
mod faults;
mod golden;
mod hostile;
mod killed;
mod limits;
mod periodic;
mod stopped;
mod texts;
mod whole;
mod writers;
mod wrong_use;
