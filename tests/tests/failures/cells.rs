//! The cells of a matrix: each is run, and those that failed are named together.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs every cell, and tells those that failed by their names, with what they said.
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
