#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code"))]

mod completions;
mod manual;
mod pages;
mod roff;
mod settings;

use std::path::Path;

use anyhow::Result;

/// The programs, each with its command line as its `--help` shows it.
fn commands() -> [clap::Command; 4] {
    use clap::CommandFactory as _;
    [
        r3e_loader::Arguments::command(),
        r3e_refresher::Arguments::command(),
        r3e_scheduler::Arguments::command(),
        r3e_monitor::Arguments::command(),
    ]
}

/// Writes all man pages and shell completions below a folder, which is laid out as `/usr/share` is.
///
/// # Errors
/// When the disk refuses.
pub fn write_all(share: &Path) -> Result<()> {
    manual::write(&share.join("man"))?;
    completions::write(share)
}
