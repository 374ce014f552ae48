//! Reports of heap profiles.

use std::fmt;

use r3e_common::runtime::memory::profile::ProfileState;
use serde_json::{Value, json};

use super::output::Report;
use super::table::Table;
use super::units::signed_bytes;
use crate::heap::{Function, Profile, Summary, functions};

/// Bytes; negative in a difference.
pub(crate) fn amount(bytes: i64) -> String {
    signed_bytes(bytes)
}

/// `heap`: which functions hold memory.
#[derive(Debug)]
pub(crate) struct Heap<'a> {
    /// Selector program.
    pub(crate) program: &'a str,
    /// Selector process.
    pub(crate) pid: u32,
    /// Its profile.
    pub(crate) profile: &'a Profile,
    /// The totals.
    pub(crate) summary: Summary,
    /// Upper bound of the functions that are shown.
    pub(crate) limit: u32,
    /// The files that were written.
    pub(crate) written: Vec<String>,
}

impl fmt::Display for Heap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { inuse_bytes, standard_error_bytes, sampled_objects, live_bytes, .. } = self.summary;
        let (held, error) = (amount(inuse_bytes), amount(i64::try_from(standard_error_bytes).unwrap_or(i64::MAX)));
        writeln!(
            f,
            "{} ({}): {held} ± {error} in use, estimated from {sampled_objects} samples; {} by the allocator's count",
            self.program,
            self.pid,
            amount(i64::try_from(live_bytes).unwrap_or(i64::MAX))
        )?;
        written(f, &self.written)?;
        if self.written.is_empty() { table(f, &functions(self.profile), inuse_bytes, self.limit) } else { Ok(()) }
    }
}

impl Report for Heap<'_> {
    fn to_json(&self) -> Value {
        let mut value = json!({ "program": self.program, "pid": self.pid, "written": self.written,
            "functions": functions(self.profile) });
        if let (Value::Object(object), Ok(Value::Object(summary))) = (&mut value, serde_json::to_value(self.summary)) {
            object.extend(summary);
        }
        value
    }
}

/// `heap --diff`: what grew.
#[derive(Debug)]
pub(crate) struct Growth<'a> {
    /// The later profile minus the earlier one.
    pub(crate) difference: &'a Profile,
    /// Upper bound of the functions that are shown.
    pub(crate) limit: u32,
    /// The files that were written.
    pub(crate) written: Vec<String>,
}

impl fmt::Display for Growth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (objects, bytes) = self.difference.total();
        writeln!(f, "growth: {} in {objects} objects", amount(bytes))?;
        written(f, &self.written)?;
        if self.written.is_empty() { table(f, &functions(self.difference), bytes, self.limit) } else { Ok(()) }
    }
}

impl Report for Growth<'_> {
    fn to_json(&self) -> Value {
        let (objects, bytes) = self.difference.total();
        json!({ "grown_objects": objects, "grown_bytes": bytes, "written": self.written,
            "functions": functions(self.difference) })
    }
}

/// `profile`: whether a process samples allocations.
#[derive(Debug)]
pub(crate) struct ProfileSwitched<'a> {
    /// Selector program.
    pub(crate) program: &'a str,
    /// Selector process.
    pub(crate) pid: u32,
    /// The new state.
    pub(crate) state: ProfileState,
}

impl fmt::Display for ProfileSwitched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, pid, state } = self;
        if state.active {
            let every = amount(i64::try_from(state.sample_bytes).unwrap_or(i64::MAX));
            writeln!(f, "{program} ({pid}): sampling is on, one allocation in {every}")
        } else {
            writeln!(f, "{program} ({pid}): sampling is off; earlier samples stay in the profile")
        }
    }
}

impl Report for ProfileSwitched<'_> {
    fn to_json(&self) -> Value {
        json!({ "program": self.program, "pid": self.pid, "active": self.state.active,
            "sample_bytes": self.state.sample_bytes })
    }
}

fn written(f: &mut fmt::Formatter<'_>, paths: &[String]) -> fmt::Result {
    paths.iter().try_for_each(|path| writeln!(f, "wrote {path}"))
}

fn table(f: &mut fmt::Formatter<'_>, functions: &[Function], total: i64, limit: u32) -> fmt::Result {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut table = Table::new(&[">SELF", ">OBJECTS", ">SHARE", ">CUMULATIVE", "FUNCTION"]);
    for it in functions.iter().take(limit) {
        table.row(vec![
            amount(it.self_bytes),
            it.self_objects.to_string(),
            share(it.self_bytes, total),
            amount(it.cumulative_bytes),
            it.function.to_owned(),
        ]);
    }
    if functions.len() > limit {
        table.note(format!("{} more: use --top or --json", functions.len() - limit));
    }
    write!(f, "{table}")
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn share(part: i64, whole: i64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}
