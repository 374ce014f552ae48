//! The views that users query.
//!
//! A version's own row (position 0) repeats its first entry, so versions, leaders and records are read without reading entries. The
//! latest version is found by a join with the greatest time: a window over all rows takes ten times as long and gigabytes. The first
//! side of a join is the small one, since that is held in memory. Windows are over versions only, and partitioned by an expression, since
//! Ballista fails on a column that the query fixes to one value.

/// The statements that create the views, in order.
pub(super) const VIEWS: [&str; 5] = [
    // All entries of all versions.
    "CREATE VIEW entries AS SELECT observed_at, track_id, class_id, position, size, driver_id, name, country, country_code, car, class, \
     team, rank, difficulty, laptime, laptime_ms, gap_ms, lap_date, entry FROM archive_rows WHERE position > 0",
    // All versions of all boards, with their first entry.
    "CREATE VIEW board_versions AS SELECT track_id, class_id, observed_at AS valid_from, \
     lead(observed_at) OVER (PARTITION BY CAST(track_id AS BIGINT) * 4294967296 + class_id ORDER BY observed_at) AS valid_to, \
     size, gone, track, driver_id, name, country, car, class, laptime, laptime_ms, lap_date, file_id, entries_crc \
     FROM archive_rows WHERE position = 0",
    // The entries of the boards as they stand.
    "CREATE VIEW latest AS SELECT e.* FROM (SELECT track_id, class_id, max(observed_at) AS observed_at FROM archive_rows \
     WHERE position = 0 GROUP BY track_id, class_id) v JOIN entries e \
     ON e.track_id = v.track_id AND e.class_id = v.class_id AND e.observed_at = v.observed_at",
    // Each best lap of a board that was better than all before.
    "CREATE VIEW records AS SELECT track_id, class_id, observed_at, driver_id, name, country, car, class, laptime, laptime_ms, lap_date, \
     CAST(previous_ms AS BIGINT) - CAST(laptime_ms AS BIGINT) AS gain_ms FROM (SELECT *, min(laptime_ms) OVER (PARTITION BY CAST(track_id AS BIGINT) * 4294967296 + class_id \
     ORDER BY observed_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS previous_ms FROM archive_rows WHERE position = 0) \
     WHERE laptime_ms IS NOT NULL AND (previous_ms IS NULL OR laptime_ms < previous_ms)",
    // Each driver, by id, or by name if there is no id, as the boards stand.
    "CREATE VIEW drivers AS SELECT driver_id, first_value(name ORDER BY observed_at DESC, name) AS name, \
     first_value(country ORDER BY observed_at DESC, name) AS country, count(*) AS boards, \
     sum(CASE WHEN position = 1 THEN 1 ELSE 0 END) AS wins, min(position) AS best_position FROM latest \
     WHERE driver_id IS NOT NULL OR name IS NOT NULL GROUP BY driver_id, CASE WHEN driver_id IS NULL THEN name END",
];
