//! The harness of the end-to-end tests: runs programs in a temporary folder with a timeout, and reads the files that they
//! write.
//!
//! It has its own readers and uses none of the programs' reading code, so that a bug there cannot hide itself. Anything
//! unexpected is a panic with a message.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "for tests: whatever is wrong is a panic")]
#![expect(clippy::disallowed_methods, reason = "looks at the disk from outside, without the programs' own code")]

mod cache;
mod conditions;
mod control_group;
mod disk;
mod events;
mod expected;
mod faults;
mod index;
mod leaky;
mod moment;
mod place;
mod processes;
mod published;
mod running;

pub use cache::{
    BoardFile, Snapshot, age, board_at, board_file, board_files, distinct_drivers, gunzip, gzip, read_json,
    read_status, snapshot, top_combinations,
};
pub use conditions::{NOBODY, zone_at_noon};
pub use control_group::{Ballast, ControlGroup};
pub use disk::{BindMount, ReadOnlyFolder, SmallDisk, may_mount};
pub use events::{Event, events, events_at, events_with, names};
pub use expected::{Differences, assert_serves};
pub use faults::{Call, What, was_struck};
pub use index::{DriverIndex, Row, driver_index, driver_index_and_generation, parse_driver_index};
pub use leaky::Leaky;
pub use moment::Moment;
pub use place::{Place, grid, simulated};
pub use processes::{REAPER, children, command, paused, pid_of, processes_of, program, program_beside, reap, signal};
pub use published::{Observed, read_published};
pub use r3e_needs::{BOUND, until};
pub use running::{Ended, Invocation, Running};
