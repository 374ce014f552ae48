//! The record of skipped tests of one run of `cargo test`: a line of a file in `target/skipped` for each.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Tests that were skipped, by what they needed.
#[derive(Debug, Default)]
pub struct Skips(BTreeMap<String, Vec<String>>);

/// Records the test that runs on this thread, and reports it on standard error, even if output is captured.
#[track_caller]
pub(crate) fn record(what: &str) {
    let thread = std::thread::current();
    let caller = std::panic::Location::caller().to_string();
    // With one test at a time, they all run on the main thread.
    let test = thread.name().filter(|name| *name != "main").unwrap_or(&caller);
    let program = std::env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    // → monitor-0b1dfe9b2c4a8d1e
    let target = program.as_deref().and_then(|it| it.rsplit_once('-')).map_or("", |(name, _)| name);
    // Standard error may be closed; the record is what counts.
    let _told = std::io::stderr().write_all(format!("skipped: {target} {test}: needs {what}\n").as_bytes());
    let file = file_of_this_run();
    let written = fs::create_dir_all(file.parent().unwrap_or(&file))
        .and_then(|()| File::options().append(true).create(true).open(&file))
        .and_then(|mut it| it.write_all(format!("{target} {test}\t{what}\n").as_bytes()));
    if let Err(error) = written {
        panic!("cannot record a skipped test in {}: {error}", file.display());
    }
}

/// What was recorded in this run of `cargo test`. The record is removed.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn skips_of_this_run() -> Skips {
    let file = file_of_this_run();
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Skips::default(),
        read => read.unwrap_or_else(|error| panic!("{}: {error}", file.display())),
    };
    // A record that stays is not read again: its name is that of this run.
    let _removed = fs::remove_file(&file);
    Skips::parse(&text)
}

/// All test programs of one `cargo test` have the same parent: cargo. When that started tells it from an earlier process of
/// the same number.
fn file_of_this_run() -> PathBuf {
    let parent = std::os::unix::process::parent_id();
    let stat = fs::read_to_string(format!("/proc/{parent}/stat")).unwrap_or_default();
    // The name in parentheses may have spaces; the start is the 20th field after it.
    let started = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(19)).unwrap_or("0");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/skipped/{parent}-{started}"))
}

impl Skips {
    fn parse(text: &str) -> Self {
        let mut skips = Self::default();
        for (test, what) in text.lines().filter_map(|line| line.split_once('\t')) {
            skips.0.entry(what.to_owned()).or_default().push(test.to_owned());
        }
        for tests in skips.0.values_mut() {
            tests.sort();
            tests.dedup();
        }
        skips
    }
}

/// The summary: one sentence, and one line for each missing thing.
impl fmt::Display for Skips {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tests: std::collections::BTreeSet<&String> = self.0.values().flatten().collect();
        if tests.is_empty() {
            return write!(formatter, "no test was skipped");
        }
        let (count, were) = (tests.len(), if tests.len() == 1 { "test was" } else { "tests were" });
        write!(formatter, "{count} {were} skipped for want of:")?;
        self.0.iter().try_for_each(|(what, tests)| write!(formatter, "\n  {what}: {}", tests.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_each_test_once_and_names_what_was_missing() {
        assert_eq!(Skips::parse("").to_string(), "no test was skipped");
        let one = Skips::parse("monitor top::keys\ttmux (Debian package tmux)\n");
        assert_eq!(one.to_string(), "1 test was skipped for want of:\n  tmux (Debian package tmux): monitor top::keys");
        let both = Skips::parse("a b\troot\na b\tzsh (Debian package zsh)\na c\troot\na c\troot\n");
        assert_eq!(
            both.to_string(),
            "2 tests were skipped for want of:\n  root: a b, a c\n  zsh (Debian package zsh): a b"
        );
    }
}
