//! What all results have in common.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// The report of an empty history.
pub(super) fn no_samples(f: &mut fmt::Formatter<'_>, since: Duration, file: &Path) -> fmt::Result {
    let (since, file) = (humantime::format_duration(since), file.display());
    writeln!(f, "no samples of the last {since} in {file}; r3e-monitor watch records them")
}

/// A result.
pub(crate) trait Report: fmt::Display {
    /// As JSON.
    fn to_json(&self) -> Value;

    /// As text, or as one line of JSON.
    fn show(&self, json: bool) -> String {
        if json { format!("{}\n", self.to_json()) } else { self.to_string() }
    }
}
