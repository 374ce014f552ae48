//! Current figures of the programs.

use r3e_common::runtime::control::Stats;
use serde_json::{Value, json};

use crate::survey::{self, Reply};

/// The replies of that time, or why there are none.
pub(crate) fn now(replies: &[Reply<Stats>], at_ms: i64, error: Option<&str>) -> Value {
    let mut processes = survey::to_json(replies.iter().filter(|it| !it.is_dead()));
    for process in processes.as_array_mut().into_iter().flatten() {
        let started = process["started_at"].as_str().and_then(|it| it.parse::<jiff::Timestamp>().ok());
        process["started_ms"] = started.map(jiff::Timestamp::as_millisecond).into();
    }
    json!({ "at_ms": at_ms, "processes": processes, "trouble": error })
}
