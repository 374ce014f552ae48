//! Reports of running programs.

use std::cmp::Reverse;
use std::fmt;
use std::path::{Path, PathBuf};

use r3e_common::runtime::control::{PurgeStats, Stats, TaskStats};
use r3e_common::runtime::memory::Arena;
use serde_json::{Map, Value, json};

use super::output::Report;
use super::table::Table;
use super::units::{bytes, or_dash, seconds, signed_bytes};
use crate::ask::NoAnswer;
use crate::survey::Reply;

/// Whether a program answers.
fn state<T>(reply: &Reply<T>) -> &'static str {
    match reply.answer {
        Ok(_) => "answers",
        Err(_) if reply.is_dead() => "dead socket",
        Err(_) => "not answering",
    }
}

/// Adds a row without figures, and a note with the error.
fn unanswered<T>(table: &mut Table, reply: &Reply<T>, error: &NoAnswer) {
    let (program, pid) = (&reply.socket.program, reply.socket.pid);
    table.row(vec![program.clone(), pid.to_string(), state(reply).to_owned()]);
    table.note(format!("{program} ({pid}): {error}"));
}

/// One program as JSON: its identity, whether it answers, and its answer.
fn object<T>(reply: &Reply<T>, said: impl Fn(&T) -> Value) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("program", reply.socket.program.clone().into());
    put("pid", reply.socket.pid.id.into());
    put("instance", reply.socket.pid.instance.into());
    put("state", state(reply).into());
    match &reply.answer {
        Ok(answer) => {
            if let Value::Object(said) = said(answer) {
                object.extend(said);
            }
        }
        Err(why) => drop(put("why", why.to_string().into())),
    }
    object.into()
}

fn array<T>(replies: &[Reply<T>], said: impl Fn(&T) -> Value) -> Value {
    replies.iter().map(|reply| object(reply, &said)).collect()
}

/// The most resident first; those that do not answer before all others.
fn worst_first(replies: &mut [Reply<Stats>]) {
    replies.sort_by_key(|reply| Reverse(reply.answer.as_ref().map_or(u64::MAX, |stats| stats.figures.rss_bytes)));
}

fn nobody(f: &mut fmt::Formatter<'_>, folder: &Path) -> fmt::Result {
    writeln!(f, "no program runs that has a control socket in {}", folder.display())
}

/// `list`: the running programs.
#[derive(Debug)]
pub(crate) struct List {
    replies: Vec<Reply<Stats>>,
    folder: PathBuf,
}

impl List {
    /// From the answers of all sockets in `folder`.
    pub(crate) fn new(replies: Vec<Reply<Stats>>, folder: PathBuf) -> Self {
        Self { replies, folder }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.replies.is_empty() {
            return nobody(f, &self.folder);
        }
        let mut table = Table::new(&["PROGRAM", ">PID", "STATE", "PHASE", ">UP", ">RSS", "VERSION"]);
        for reply in &self.replies {
            match &reply.answer {
                Err(error) => unanswered(&mut table, reply, error),
                Ok(it) => table.row(vec![
                    reply.socket.program.clone(),
                    reply.socket.pid.to_string(),
                    state(reply).to_owned(),
                    activity(it),
                    seconds(it.uptime_s),
                    bytes(it.figures.rss_bytes),
                    it.version.clone(),
                ]),
            }
        }
        table.fmt(f)
    }
}

impl Report for List {
    fn to_json(&self) -> Value {
        array(&self.replies, |it| {
            let Stats { phase, uptime_s, figures, version, started_at, schedule, .. } = it;
            json!({ "phase": phase, "uptime_s": uptime_s, "rss_bytes": figures.rss_bytes, "version": version,
                "started_at": started_at, "schedule": schedule })
        })
    }
}

/// Figures of the live programs as JSON, in the order of the replies.
pub(crate) fn stats_json(replies: &[Reply<Stats>]) -> Value {
    let alive = replies.iter().filter(|reply| !reply.is_dead());
    alive.map(|reply| object(reply, |it| serde_json::to_value(it).unwrap_or_default())).collect()
}

/// `stats`: their figures.
#[derive(Debug)]
pub(crate) struct StatsReport {
    replies: Vec<Reply<Stats>>,
    folder: PathBuf,
}

impl StatsReport {
    /// From the answers of the sockets in `folder`.
    pub(crate) fn new(mut replies: Vec<Reply<Stats>>, folder: PathBuf) -> Self {
        replies.retain(|reply| !reply.is_dead());
        worst_first(&mut replies);
        Self { replies, folder }
    }
}

impl fmt::Display for StatsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.replies.is_empty() {
            return nobody(f, &self.folder);
        }
        let mut table = Table::new(&[
            "PROGRAM",
            ">PID",
            "PHASE",
            ">UP",
            ">RSS",
            ">RSSANON",
            ">PEAK",
            ">LIMIT",
            ">ALLOCATED",
            ">THREADS",
            ">TASKS",
            ">FDS",
            ">CONNS",
            ">PURGES",
        ]);
        for reply in &self.replies {
            match &reply.answer {
                Err(error) => unanswered(&mut table, reply, error),
                Ok(it) => table.row(vec![
                    it.program.clone(),
                    reply.socket.pid.to_string(),
                    activity(it),
                    seconds(it.uptime_s),
                    bytes(it.figures.rss_bytes),
                    or_dash(it.figures.rss_anon_bytes, bytes),
                    bytes(it.figures.peak_rss_bytes),
                    or_dash(it.limit_bytes, bytes),
                    bytes(it.figures.allocated_bytes),
                    it.figures.threads.to_string(),
                    it.tasks.to_string(),
                    it.figures.open_fds.to_string(),
                    it.figures.connections.to_string(),
                    it.figures.purges.to_string(),
                ]),
            }
        }
        table.fmt(f)
    }
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

impl Report for StatsReport {
    fn to_json(&self) -> Value {
        array(&self.replies, |it| serde_json::to_value(it).unwrap_or_default())
    }
}

/// `purge`: how much memory they returned.
#[derive(Debug)]
pub(crate) struct Purges {
    replies: Vec<Reply<PurgeStats>>,
    folder: PathBuf,
}

impl Purges {
    /// From the answers of the sockets in `folder`.
    pub(crate) fn new(mut replies: Vec<Reply<PurgeStats>>, folder: PathBuf) -> Self {
        replies.retain(|reply| !reply.is_dead());
        Self { replies, folder }
    }

    /// The programs that did not purge.
    pub(crate) fn refused(&self) -> Vec<String> {
        let refused = self.replies.iter().filter(|reply| reply.answer.is_err());
        refused.map(|reply| format!("{} ({})", reply.socket.program, reply.socket.pid)).collect()
    }
}

impl fmt::Display for Purges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.replies.is_empty() {
            return nobody(f, &self.folder);
        }
        let mut table =
            Table::new(&["PROGRAM", ">PID", ">RSS BEFORE", ">RSS AFTER", ">RETURNED", ">ALLOCATED", ">TOOK"]);
        for reply in &self.replies {
            match &reply.answer {
                Err(error) => unanswered(&mut table, reply, error),
                Ok(it) => table.row(vec![
                    reply.socket.program.clone(),
                    reply.socket.pid.to_string(),
                    bytes(it.before.figures.rss_bytes),
                    bytes(it.after.figures.rss_bytes),
                    signed_bytes(it.given_back_bytes),
                    bytes(it.after.figures.allocated_bytes),
                    format!("{:.1} ms", it.took_ms),
                ]),
            }
        }
        table.fmt(f)
    }
}

impl Report for Purges {
    fn to_json(&self) -> Value {
        array(&self.replies, |it| serde_json::to_value(it).unwrap_or_default())
    }
}

/// `tasks`: the live tasks of a program.
#[derive(Debug)]
pub(crate) struct Tasks(pub(crate) Vec<TaskStats>);

impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no live tasks");
        }
        let mut table = Table::new(&["TASK", ">AGE", "PLACE"]);
        for TaskStats { name, age_s, place } in &self.0 {
            table.row(vec![name.clone(), seconds(*age_s), place.clone()]);
        }
        table.fmt(f)
    }
}

impl Report for Tasks {
    fn to_json(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}

/// The arenas of a program's allocator. As text only what is in memory, in 80 columns.
#[derive(Debug)]
pub(crate) struct Arenas(pub(crate) Vec<Arena>);

impl fmt::Display for Arenas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            Table::new(&[">ARENA", ">THREADS", ">ALLOCATED", ">ACTIVE", ">DIRTY", ">RESIDENT", ">MAPPED", ">METADATA"]);
        for it in &self.0 {
            let held = [
                it.allocated_bytes,
                it.active_bytes,
                it.dirty_bytes,
                it.resident_bytes,
                it.mapped_bytes,
                it.metadata_bytes,
            ];
            let mut row = vec![it.arena.to_string(), it.threads.to_string()];
            row.extend(held.map(bytes));
            table.row(row);
        }
        table.fmt(f)
    }
}

impl Report for Arenas {
    fn to_json(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}
