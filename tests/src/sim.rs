//! A simulated leaderboard service: a real HTTP server on its own thread.
//!
//! [`World`] knows what is served: boards and entries, generated from a seed when they are asked for, so that ten
//! million entries cost no memory. [`Faults`] say what goes wrong and how often, [`Stats`] what was asked.
//! [`Simulator`] ties them to a socket, with TLS and HTTP/2 if [`SimOptions::tls`] says so. Nothing here knows the programs that are tested.
//!
//! ```
//! use r3e_tests::sim::{SimOptions, Simulator};
//!
//! let sim = Simulator::start(SimOptions { entries: 900, drivers: 50, ..SimOptions::default() })?;
//! assert!(sim.base_url().starts_with("http://127.0.0.1:"));
//! assert_eq!((sim.world().total_entries(), sim.stats().requests), (900, 0));
//! # Ok::<(), r3e_tests::sim::SimError>(())
//! ```

mod accept;
mod answers;
mod board;
pub mod cli;
mod connection;
mod counters;
mod entry;
mod fault_bodies;
mod faults;
mod faulty;
mod limits;
mod names;
mod options;
mod page;
mod people;
mod random;
mod ratings;
mod scripts;
mod server;
mod sessions;
mod simulator;
mod sizes;
mod socket;
mod stats;
mod text;
mod tls;
mod world;

pub use board::Board;
pub use entry::{Oddity, ServedEntry};
pub use faults::{FaultKind, Faults};
pub use options::{SimError, SimOptions};
pub use ratings::{RATINGS, ratings_list};
pub use sessions::{Cookies, SessionEnd};
pub use simulator::Simulator;
pub use stats::Stats;
pub use tls::{BadCertificate, Tls};
pub use world::World;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod manner_tests;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod socket_tests;
#[cfg(test)]
mod wire_tests;
#[cfg(test)]
mod world_tests;
