//! What the jobs do, in parts that each job puts together by its own policy: fetching boards into staging, promoting
//! and publishing them, and publishing again from time to time while fetching goes on.
//!
//! Nothing here knows which program runs it, reads configuration, or catches signals.

mod allowance;
mod fetch;
mod periodic;
mod progress;
mod publish;
mod tasks;

pub use allowance::ConcurrencyLimit;
pub use fetch::{Arrivals, End, FailedBoard, FetchFault, Fetched, Fetcher};
pub use periodic::{Periodic, Rhythm};
pub use progress::{Progress, Snapshot};
pub use publish::{PublishError, Published, Publisher, Room, Totals};
pub use tasks::{Blocking, BlockingError, TaskInfo, Tasks};
