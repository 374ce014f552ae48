//! Charts, from the history.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::history::{HistoryError, Point, Reader, Series, Thinned, whole_ms};

/// A chart of any time span has about this many points.
pub(crate) const SLOTS: u32 = 240;

/// The series of the time span up to `now_ms`, or a note why there are none. `every` is the sampling interval.
pub(crate) fn past(history: &Path, span: Duration, now_ms: i64, every: Duration) -> Result<Value, HistoryError> {
    let slot_ms = whole_ms(span / SLOTS).max(1);
    let from_ms = now_ms.saturating_sub(whole_ms(span));
    let (thinned, note) = match Reader::open(history)? {
        None => (Thinned::default(), Some("There is no history yet: r3e-monitor watch keeps one.")),
        Some(reader) => {
            let thinned = reader.series(from_ms, slot_ms)?;
            let note = "The history has nothing of this time: r3e-monitor watch was not running.";
            let note = thinned.series.is_empty().then_some(note);
            (thinned, note)
        }
    };
    Ok(json!({
        "from_ms": from_ms, "to_ms": now_ms, "slot_ms": slot_ms, "every_ms": whole_ms(every),
        "series": thinned.series.iter().map(columns).collect::<Value>(), "left_out": thinned.left_out, "note": note,
    }))
}

/// One series by columns, which takes a third of the bytes of an object for each point.
fn columns(Series { program, pid, started_ms, phase, points, .. }: &Series) -> Value {
    let column = |of: fn(&Point) -> Option<u64>| points.iter().map(of).collect::<Value>();
    json!({
        "program": program, "pid": pid, "started_ms": started_ms, "phase": phase,
        "at_ms": points.iter().map(|it| it.at_ms).collect::<Value>(),
        "allocated_bytes": column(|it| Some(it.allocated_bytes)), "rss_bytes": column(|it| Some(it.rss_bytes)),
        "limit_bytes": column(|it| it.limit_bytes), "tasks": column(|it| Some(it.tasks)),
        "open_fds": column(|it| Some(it.open_fds)), "connections": column(|it| Some(it.connections)),
    })
}
