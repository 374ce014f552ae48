//! Runs all cells of a test matrix, and reports all failed ones together.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs all cells. Panics with the names and messages of those that failed.
#[track_caller]
pub(crate) fn run_all<C>(cells: impl IntoIterator<Item = (String, C)>, run: impl Fn(&C)) {
    let (mut count, mut failed) = (0, Vec::new());
    for (name, cell) in cells {
        count += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&cell))) {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
            failed.push(format!("{name}:\n{said}"));
        }
    }
    assert!(count > 0, "no cell");
    assert!(failed.is_empty(), "{} of {count} cells failed\n\n{}", failed.len(), failed.join("\n\n"));
}
