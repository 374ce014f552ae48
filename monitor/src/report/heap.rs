//! What functions hold.

use std::fmt;

use r3e_common::runtime::memory::profile::ProfileState;
use serde_json::{Value, json};

use super::Report;
use super::table::Table;
use super::units::signed_bytes;
use crate::heap::{Account, Function, Profile, functions};

/// Bytes, below zero in a difference.
pub(crate) fn amount(bytes: i64) -> String {
    signed_bytes(bytes)
}

/// `heap`: what the functions of a program hold.
#[derive(Debug)]
pub(crate) struct Heap<'a> {
    /// Which program.
    pub(crate) program: &'a str,
    /// Which process.
    pub(crate) pid: u32,
    /// What it holds.
    pub(crate) profile: &'a Profile,
    /// What that amounts to.
    pub(crate) account: Account,
    /// How many functions are shown.
    pub(crate) most: u32,
    /// The files that were written.
    pub(crate) written: Vec<String>,
}

impl fmt::Display for Heap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { inuse_bytes, standard_error_bytes, sampled_objects, live_bytes, .. } = self.account;
        let (held, error) = (amount(inuse_bytes), amount(i64::try_from(standard_error_bytes).unwrap_or(i64::MAX)));
        writeln!(
            f,
            "{} ({}) holds {held} ± {error} by {sampled_objects} samples; the allocator counts {}",
            self.program,
            self.pid,
            amount(i64::try_from(live_bytes).unwrap_or(i64::MAX))
        )?;
        told(f, &self.written)?;
        if self.written.is_empty() { table(f, &functions(self.profile), inuse_bytes, self.most) } else { Ok(()) }
    }
}

impl Report for Heap<'_> {
    fn to_json(&self) -> Value {
        let mut value = json!({ "program": self.program, "pid": self.pid, "written": self.written,
            "functions": functions(self.profile) });
        if let (Value::Object(object), Ok(Value::Object(account))) = (&mut value, serde_json::to_value(self.account)) {
            object.extend(account);
        }
        value
    }
}

/// `heap --diff`: what grew.
#[derive(Debug)]
pub(crate) struct Growth<'a> {
    /// The later profile without the earlier.
    pub(crate) difference: &'a Profile,
    /// How many functions are shown.
    pub(crate) most: u32,
    /// The files that were written.
    pub(crate) written: Vec<String>,
}

impl fmt::Display for Growth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (objects, bytes) = self.difference.total();
        writeln!(f, "grown by {} in {objects} objects", amount(bytes))?;
        told(f, &self.written)?;
        if self.written.is_empty() { table(f, &functions(self.difference), bytes, self.most) } else { Ok(()) }
    }
}

impl Report for Growth<'_> {
    fn to_json(&self) -> Value {
        let (objects, bytes) = self.difference.total();
        json!({ "grown_objects": objects, "grown_bytes": bytes, "written": self.written,
            "functions": functions(self.difference) })
    }
}

/// `profile`: what it is now.
#[derive(Debug)]
pub(crate) struct ProfileSwitched<'a> {
    /// Which program.
    pub(crate) program: &'a str,
    /// Which process.
    pub(crate) pid: u32,
    /// What it is now.
    pub(crate) state: ProfileState,
}

impl fmt::Display for ProfileSwitched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, pid, state } = self;
        if state.active {
            let every = amount(i64::try_from(state.sample_bytes).unwrap_or(i64::MAX));
            writeln!(f, "{program} ({pid}): allocations are sampled from now on, one in {every}")
        } else {
            writeln!(f, "{program} ({pid}): allocations are not sampled any more; those that were stay in its profile")
        }
    }
}

impl Report for ProfileSwitched<'_> {
    fn to_json(&self) -> Value {
        json!({ "program": self.program, "pid": self.pid, "active": self.state.active,
            "sample_bytes": self.state.sample_bytes })
    }
}

fn told(f: &mut fmt::Formatter<'_>, written: &[String]) -> fmt::Result {
    written.iter().try_for_each(|path| writeln!(f, "written: {path}"))
}

fn table(f: &mut fmt::Formatter<'_>, functions: &[Function], total: i64, most: u32) -> fmt::Result {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut table = Table::new(&[">SELF", ">OBJECTS", ">SHARE", ">WITH CALLED", "FUNCTION"]);
    for it in functions.iter().take(most) {
        table.row(vec![
            amount(it.self_bytes),
            it.self_objects.to_string(),
            share(it.self_bytes, total),
            amount(it.cumulative_bytes),
            it.function.to_owned(),
        ]);
    }
    if functions.len() > most {
        table.row(vec![String::new(), format!("… {} more (--top, --json)", functions.len() - most)]);
    }
    write!(f, "{table}")
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn share(part: i64, whole: i64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}
