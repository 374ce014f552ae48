//! Files: cached boards, the staging folder, the writer's lock, `status.json`. It knows no HTTP.
//!
//! File-system calls are in [`fs`](crate::runtime::fs); this is what the files mean. The section "Files" of the README is the
//! contract with whoever reads them.

mod archive_status;
mod arrival;
mod board_encoder;
mod board_file;
mod board_version;
mod cache;
#[cfg(fuzzing)]
pub mod fuzzing;
mod lock;
mod published;
mod refusal;
mod staging;
mod staging_state;
mod status;
mod status_view;
mod track_links;
mod versioned;

pub use archive_status::{ArchiveRun, ArchiveStatus};
pub use arrival::{Arrival, Destination, Shrinking, Shrunk, has_shrunk};
pub use board_encoder::{BoardEncoder, EncodedBoard};
pub use board_file::{BoardHead, Damage, Entries, MAX_BOARD_BYTES};
pub use cache::{Buffers, Cache, ReadError, Within};
pub use lock::{Holder, LockError, WriterLock};
pub use published::{DRIVER_INDEX, EXPORT_FILES, EXPORT_FOLDERS, NotPublished, Published, TOP_COMBINATIONS};
pub use refusal::Refusal;
pub use staging::{FullRefresh, Leftovers, Promoted, Staging};
pub use staging_state::StagingError;
pub use status::{FailedFetch, Status, StatusFile};
pub use status_view::StatusView;
pub use track_links::link_tracks;
pub use versioned::{Versioned, read_versioned};
