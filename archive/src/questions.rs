//! The questions with a name, as SQL over the views.

use jiff::Timestamp;
use r3e_common::domain::Combination;

/// What identifies a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// The id in the service.
    Id(u64),
    /// A name, in any case; several drivers may have it.
    Name(String),
}

/// The time of the version of a board that stood at a time.
#[must_use]
pub fn version_at(board: Combination, at: Timestamp) -> String {
    format!(
        "SELECT max(observed_at) FROM archive_rows WHERE position = 0 AND {} AND observed_at <= {}",
        is_board(board),
        time(at.as_millisecond())
    )
}

/// The entries of the version of a board that was recorded at that time, in milliseconds since 1970.
#[must_use]
pub fn board(board: Combination, observed_ms: i64) -> String {
    format!(
        "SELECT position, driver_id, name, country, car, class, team, rank, difficulty, laptime, laptime_ms, gap_ms, lap_date, observed_at \
         FROM entries WHERE {} AND observed_at = {} ORDER BY position",
        is_board(board),
        time(observed_ms)
    )
}

/// Each lap time of a driver: on which board, when it was first seen, at which position, and how much faster than the one before.
#[must_use]
pub fn driver(driver: &Driver) -> String {
    let (condition, key) = match driver {
        Driver::Id(id) => (format!("driver_id = {id}"), "CAST(track_id AS BIGINT) * 4294967296 + class_id"),
        Driver::Name(name) => (
            format!("lower(name) = lower({})", text(name)),
            "CAST(track_id AS BIGINT) * 4294967296 + class_id, coalesce(driver_id, 0)",
        ),
    };
    format!(
        "SELECT track_id, class_id, observed_at, driver_id, name, position, size, laptime, laptime_ms, gap_ms, \
         CAST(previous_ms AS BIGINT) - CAST(laptime_ms AS BIGINT) AS gain_ms, car, lap_date \
         FROM (SELECT *, lag(laptime_ms) OVER (PARTITION BY {key} ORDER BY observed_at, position) AS previous_ms \
         FROM entries WHERE {condition} AND laptime_ms IS NOT NULL) WHERE previous_ms IS NULL OR laptime_ms <> previous_ms \
         ORDER BY track_id, class_id, driver_id, observed_at, position"
    )
}

/// Each record of a board: the view `records`, but only the versions of this board are read.
#[must_use]
pub fn records(board: Combination) -> String {
    format!(
        "SELECT observed_at, name, driver_id, country, car, laptime, laptime_ms, \
         CAST(previous_ms AS BIGINT) - CAST(laptime_ms AS BIGINT) AS gain_ms, lap_date FROM (SELECT *, min(laptime_ms) OVER \
         (ORDER BY observed_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS previous_ms FROM archive_rows \
         WHERE position = 0 AND {}) WHERE laptime_ms IS NOT NULL AND (previous_ms IS NULL OR laptime_ms < previous_ms) \
         ORDER BY observed_at",
        is_board(board)
    )
}

/// The versions of boards that were recorded since a time, each compared with the one before. Of the older versions only the last of each
/// board is sorted.
#[must_use]
pub fn changes(since: Timestamp) -> String {
    let since = time(since.as_millisecond());
    let board = "PARTITION BY CAST(track_id AS BIGINT) * 4294967296 + class_id ORDER BY observed_at";
    format!(
        "SELECT observed_at, track_id, class_id, track, size, size_change, gone, leader, laptime, gain_ms FROM \
         (SELECT *, CAST(size AS BIGINT) - lag(size) OVER ({board}) AS size_change, \
         CAST(lag(laptime_ms) OVER ({board}) AS BIGINT) - laptime_ms AS gain_ms FROM \
         (SELECT observed_at, track_id, class_id, track, size, gone, name AS leader, laptime, laptime_ms FROM archive_rows \
         WHERE position = 0 AND observed_at >= {since} UNION ALL \
         SELECT max(observed_at), track_id, class_id, NULL, last_value(size ORDER BY observed_at), NULL, NULL, NULL, \
         last_value(laptime_ms ORDER BY observed_at) FROM archive_rows WHERE position = 0 AND observed_at < {since} \
         GROUP BY track_id, class_id)) WHERE observed_at >= {since} ORDER BY observed_at, track_id, class_id"
    )
}

fn is_board(Combination { track, class }: Combination) -> String {
    format!("track_id = {track} AND class_id = {class}")
}

/// Milliseconds since 1970 as a time in SQL.
pub(crate) fn time(ms: i64) -> String {
    format!("arrow_cast({ms}, 'Timestamp(Millisecond, None)')")
}

/// A text in SQL.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
