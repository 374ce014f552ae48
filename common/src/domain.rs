//! What a leaderboard is made of: ids, combinations, the catalogue, and an entry as the service sends it.
//!
//! Nothing here reads a file, opens a connection or knows a program.

mod board_sink;
mod catalog;
mod date;
mod entry;
mod ids;
mod import;
pub mod json;
mod rating;
mod selection;
mod validators;

pub use board_sink::{BoardSink, MAX_BOARD_ENTRIES};
pub use catalog::{Catalog, CatalogError, Class, Ordinal, Track};
pub use date::utc_microseconds;
pub use entry::{Driver, Element, Entry, Lap, gap_ms, lap_ms, path_id, seconds_behind};
pub use ids::{ClassId, Combination, IdError, TrackId};
pub use import::{Imported, import_publisher_data};
pub use rating::{Rating, Ratings, read_ratings};
pub use selection::{Refused, Selection, TokenError};
pub use validators::Validators;
