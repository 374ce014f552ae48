//! The program `r3e-loader`, run as people and scripts run it, against the simulated service.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and damage it, without the programs' own code")]

mod catalogs;
mod certificates;
mod control_group;
mod damaged;
mod down;
mod faults;
mod golden;
mod hostile;
mod limits;
mod network;
mod periodic;
mod proxies;
mod sessions;
mod stopped;
mod texts;
mod throttled;
mod whole;
mod writers;
mod wrong_use;
