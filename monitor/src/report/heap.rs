//! Heap profiles.

use r3e_common::runtime::memory::profile::ProfileState;

use super::table::Table;
use super::units::{bytes, signed_bytes};
use crate::heap::{Function, Summary};
use crate::sockets::Socket;

/// `heap`: the functions that hold memory, at most `limit` of them, or the files that were written instead.
pub(crate) fn heap(
    socket: &Socket,
    summary: &Summary,
    functions: &[Function<'_>],
    limit: u32,
    written: &[String],
) -> String {
    let Summary { inuse_bytes, standard_error_bytes, sampled_objects, live_bytes, .. } = *summary;
    let (held, error, live) = (signed_bytes(inuse_bytes), bytes(standard_error_bytes), bytes(live_bytes));
    let total = format!(
        "{socket}: {held} ± {error} in use, estimated from {sampled_objects} samples; {live} by the allocator's count\n"
    );
    total + &body(functions, inuse_bytes, limit, written)
}

/// `heap --diff`: what grew, in total and by function.
pub(crate) fn difference(
    (objects, bytes): (i64, i64),
    functions: &[Function<'_>],
    limit: u32,
    written: &[String],
) -> String {
    let total = format!("growth: {} in {objects} objects\n", signed_bytes(bytes));
    total + &body(functions, bytes, limit, written)
}

fn body(functions: &[Function<'_>], total: i64, limit: u32, written: &[String]) -> String {
    if !written.is_empty() {
        return format!("wrote {}\n", written.join("\nwrote "));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut table = Table::new(">SELF, >OBJECTS, >SHARE, >CUMULATIVE, FUNCTION");
    for it in functions.iter().take(limit) {
        table.row(vec![
            signed_bytes(it.self_bytes),
            it.self_objects.to_string(),
            share(it.self_bytes, total),
            signed_bytes(it.cumulative_bytes),
            it.function.to_owned(),
        ]);
    }
    if functions.len() > limit {
        table.note(format!("{} more: use --top or --json", functions.len() - limit));
    }
    table.to_string()
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn share(part: i64, whole: i64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// `profile`: whether a process samples allocations.
pub(crate) fn profile_state(socket: &Socket, state: &ProfileState) -> String {
    if state.active {
        format!("{socket}: sampling is on, one allocation in {}\n", bytes(state.sample_bytes))
    } else {
        format!("{socket}: sampling is off; earlier samples stay in the profile\n")
    }
}
