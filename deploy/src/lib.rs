#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code"))]
#![cfg_attr(test, allow(clippy::print_stderr, reason = "a test that cannot be run says so"))]

mod completions;
mod manual;
mod pages;
mod settings;

pub use settings::write_sources;

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()) {
            if entry.is_dir() {
                sources(&entry, text);
            } else if entry.extension().is_some_and(|it| it == "rs") {
                *text += &std::fs::read_to_string(entry).unwrap();
            }
        }
    }

    /// Each log line that the guide explains is one that a program can write, word for word.
    #[test]
    fn every_line_that_the_guide_explains_exists() {
        let mut code = String::new();
        for part in ["common", "loader", "refresher", "scheduler", "monitor"] {
            sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(part).join("src"), &mut code);
        }
        let guide = include_str!("../README.md");
        let table = guide.split("## What the log says").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let mut lines = 0;
        for line in rows.flat_map(|cell| cell.trim_end_matches('`').split("`, `")) {
            lines += 1;
            for piece in line.split('…').map(str::trim).filter(|it| !it.is_empty()) {
                assert!(code.contains(piece), "{line}: no program says {piece:?}");
            }
        }
        assert!(lines > 30, "{lines}");
    }
}
