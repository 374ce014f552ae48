//! The files: cached boards, the staging folder, the writer's lock, `status.json`.
//!
//! Every file-system call of the project is in [`fs`], which names the path in its errors; the other modules here
//! say what the files mean. `FORMATS` of the README is the contract with the readers of these files.

mod board_file;
mod cache;
pub mod fs;
#[cfg(fuzzing)]
pub mod fuzzing;
mod lock;
mod staging;
mod status;

pub use board_file::{BoardEncoder, BoardHead, Damage, EncodedBoard, Entries, MAX_BOARD_BYTES, MAX_BOARD_ENTRIES};
pub use cache::{Buffers, Cache, ReadError};
pub use fs::{NewFile, StoreError};
pub use lock::{Holder, LockError, WriterLock};
pub use staging::{Leftovers, Promoted, Staging};
pub use status::{FailedFetch, NEVER, Status, StatusFile, timestamp};
