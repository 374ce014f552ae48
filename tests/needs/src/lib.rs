//! Shared by the tests of all crates: waiting for events, and checking for what not every machine has (other programs,
//! permissions, files outside the workspace). A test checks here, and returns early if something is missing.
//!
//! Each skipped test is reported on standard error, even if output is captured, and recorded in a file of this run of
//! `cargo test`. The test target `zz_skipped`, which runs last, prints a summary. With `CI=true` a skip is a panic, unless
//! the missing thing is reference data that is not part of this repository.
#![expect(clippy::disallowed_methods, reason = "for tests: outside the programs, and their rules for files")]

mod skipped;
mod wait;

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub use skipped::{Skips, skips_of_this_run};
pub use wait::{BOUND, until};

/// Programs and files, with the Debian packages that contain them. `.ci/run` reads it too.
const PROGRAMS: &str = include_str!("../programs.txt");

/// The path of a program or file in `programs.txt`. If it is missing, the test is recorded as skipped.
///
/// # Panics
/// If it is missing and `CI=true`, or it is not in `programs.txt`.
#[track_caller]
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let package = packages().find_map(|(it, package)| (it == name).then_some(package));
    let package = package.unwrap_or_else(|| panic!("{name} is not in tests/needs/programs.txt"));
    let found = if name.starts_with('/') { matching(name) } else { on_path(name) };
    if found.is_none() {
        missing(&format!("{name} (Debian package {package})"));
    }
    found
}

/// Whether this process runs as root. If not, the test is recorded as skipped.
///
/// # Panics
/// If not and `CI=true`.
#[track_caller]
#[must_use]
pub fn root() -> bool {
    let is_root = nix::unistd::Uid::effective().is_root();
    if !is_root {
        missing("root");
    }
    is_root
}

/// Records that a test is skipped because it needs something (e.g. `the right to mount`).
///
/// # Panics
/// With `CI=true`.
#[track_caller]
pub fn missing(what: &str) {
    assert!(env::var_os("CI").is_none_or(|it| it != "true"), "CI=true, and this test needs {what}");
    skipped::record(what);
}

/// Records that a test is skipped because reference data is missing that is not part of this repository. A fresh clone has none, so
/// this is no failure with `CI=true` either.
#[track_caller]
pub fn missing_data(what: &str) {
    skipped::record(what);
}

/// The names of `programs.txt`, each with its package.
fn packages() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = PROGRAMS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).map(|(name, package)| (name, package.trim()))
}

/// The program of that name on the `PATH`.
fn on_path(name: &str) -> Option<PathBuf> {
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(is_program)
}

/// The first path that matches a pattern, in which `*` stands for one path component.
fn matching(pattern: &str) -> Option<PathBuf> {
    let Some((before, after)) = pattern.split_once("/*/") else {
        return Some(PathBuf::from(pattern)).filter(|path| path.exists());
    };
    let mut folders: Vec<PathBuf> = Path::new(before).read_dir().ok()?.filter_map(|it| Some(it.ok()?.path())).collect();
    folders.sort();
    folders.into_iter().map(|folder| folder.join(after)).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_a_name_and_a_package() {
        let lines = PROGRAMS.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            assert_eq!(line.split_whitespace().count(), 2, "{line:?}");
        }
        assert!(packages().any(|it| it == ("runsvdir", "runit")));
    }

    #[test]
    fn a_program_is_found_on_the_path_and_a_file_by_a_pattern() {
        assert!(on_path("cargo").is_some_and(|path| path.is_absolute()));
        assert_eq!(on_path("r3e-no-such-program"), None);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("b/c")).unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        let pattern = |end: &str| format!("{}/*/{end}", folder.path().display());
        assert_eq!(matching(&pattern("c")), Some(folder.path().join("b/c")));
        assert_eq!(matching(&pattern("d")), None);
    }
}
