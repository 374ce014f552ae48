//! Running programs.

use std::cmp::Reverse;
use std::path::Path;

use r3e_common::runtime::control::{PurgeStats, Stats, TaskStats};
use r3e_common::runtime::memory::Arena;

use super::table::Table;
use super::units::{bytes, or_dash, seconds, signed_bytes};
use crate::survey::Reply;

/// A row for each reply: program, process id, and the cells that `cells` makes of an answer. Errors are notes.
fn table<T>(columns: &str, replies: &[Reply<T>], folder: &Path, cells: impl Fn(&T) -> Vec<String>) -> String {
    if replies.is_empty() {
        return format!("no program runs that has a control socket in {}\n", folder.display());
    }
    let mut table = Table::new(&format!("PROGRAM, >PID, {columns}"));
    for reply in replies {
        let mut row = vec![reply.socket.program.clone(), reply.socket.pid.to_string()];
        match &reply.answer {
            Ok(answer) => row.extend(cells(answer)),
            Err(error) => {
                row.push(reply.state().to_owned());
                table.note(format!("{}: {error}", reply.socket));
            }
        }
        table.row(row);
    }
    table.to_string()
}

/// `list`
pub(crate) fn list(replies: &[Reply<Stats>], folder: &Path) -> String {
    table("STATE, PHASE, >UP, >RSS, VERSION", replies, folder, |it| {
        let state = "answers".to_owned();
        vec![state, activity(it), seconds(it.uptime_s), bytes(it.figures.rss_bytes), it.version.clone()]
    })
}

/// Sorts by resident memory, the most first; those that do not answer come before all others.
pub(crate) fn worst_first(replies: &mut [Reply<Stats>]) {
    replies.sort_by_key(|it| Reverse(it.answer.as_ref().map_or(u64::MAX, |stats| stats.figures.rss_bytes)));
}

/// `stats`
pub(crate) fn stats(replies: &[Reply<Stats>], folder: &Path) -> String {
    let columns = "PHASE, >UP, >RSS, >RSSANON, >PEAK, >LIMIT, >ALLOCATED, >THREADS, >TASKS, >FDS, >CONNS, >PURGES";
    table(columns, replies, folder, |it| {
        let held = &it.figures;
        let mut row = vec![
            activity(it),
            seconds(it.uptime_s),
            bytes(held.rss_bytes),
            or_dash(held.rss_anon_bytes, bytes),
            bytes(held.peak_rss_bytes),
            or_dash(it.limit_bytes, bytes),
            bytes(held.allocated_bytes),
        ];
        let counts = [held.threads, it.tasks, held.open_fds, held.connections, held.purges];
        row.extend(counts.map(|count| count.to_string()));
        row
    })
}

/// `purge`
pub(crate) fn purges(replies: &[Reply<PurgeStats>], folder: &Path) -> String {
    table(">RSS BEFORE, >RSS AFTER, >RETURNED, >ALLOCATED, >TOOK", replies, folder, |it| {
        vec![
            bytes(it.before.figures.rss_bytes),
            bytes(it.after.figures.rss_bytes),
            signed_bytes(it.given_back_bytes),
            bytes(it.after.figures.allocated_bytes),
            format!("{:.1} ms", it.took_ms),
        ]
    })
}

/// The phase with its progress, or with the next run.
fn activity(stats: &Stats) -> String {
    match (stats.progress, next_run(stats)) {
        (Some(at), _) if at.total > 0 => {
            format!("{} {}%", stats.phase, (at.fetched + at.failed) * 100 / at.total)
        }
        (_, Some(next_run)) => format!("{}, {next_run}", stats.phase),
        _ => stats.phase.clone(),
    }
}

/// The next run of a scheduler.
pub(crate) fn next_run(stats: &Stats) -> Option<String> {
    Some(format!("next run {}", stats.schedule.as_ref()?.next_run_at.as_ref()?))
}

/// `tasks`
pub(crate) fn tasks(tasks: &[TaskStats]) -> String {
    if tasks.is_empty() {
        return "no live tasks\n".to_owned();
    }
    let mut table = Table::new("TASK, >AGE, PLACE");
    for TaskStats { name, age_s, place } in tasks {
        table.row(vec![name.clone(), seconds(*age_s), place.clone()]);
    }
    table.to_string()
}

/// The arenas of a program's allocator, in 80 columns.
pub(crate) fn arenas(arenas: &[Arena]) -> String {
    let mut table = Table::new(">ARENA, >THREADS, >ALLOCATED, >ACTIVE, >DIRTY, >RESIDENT, >MAPPED, >METADATA");
    for it in arenas {
        let mut row = vec![it.arena.to_string(), it.threads.to_string()];
        let held = [it.allocated_bytes, it.active_bytes, it.dirty_bytes];
        row.extend(held.map(bytes));
        row.extend([it.resident_bytes, it.mapped_bytes, it.metadata_bytes].map(bytes));
        table.row(row);
    }
    table.to_string()
}
