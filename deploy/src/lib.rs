#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code"))]
#![cfg_attr(test, allow(clippy::print_stderr, reason = "a skipped test is reported"))]

mod completions;
mod manual;
mod pages;
mod settings;

pub use settings::write_sources;

use std::path::Path;

use anyhow::Result;

/// The command lines of all programs.
fn commands() -> [clap::Command; 5] {
    use clap::CommandFactory as _;
    [
        r3e_loader::Arguments::command(),
        r3e_refresher::Arguments::command(),
        r3e_scheduler::Arguments::command(),
        r3e_monitor::Arguments::command(),
        r3e_archive_cli::Arguments::command(),
    ]
}

/// Writes man pages and shell completions to a folder laid out like `/usr/share`.
///
/// # Errors
/// If the disk fails.
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

    /// The log messages in the guide exist in the programs, word for word.
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
