//! Failures in every phase of every job, and recovery by the next job.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk, and damage it, without the programs' own code")]

mod cells;
mod clock;
mod disks;
mod files;
mod job;
mod kills;
mod limits;
mod matrix;
mod newer;
mod owners;
mod pairs;
mod permissions;
mod readers;
mod umask;
mod world;
