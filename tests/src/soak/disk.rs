//! How much is on the disk: bytes and files, by folder and by the program that is named in a file's name.
#![expect(clippy::disallowed_methods, reason = "looks at the disk from outside")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Bytes and number of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    /// Bytes, as lengths of files.
    pub(super) bytes: u64,
    /// Files, folders and links not included.
    pub(super) files: u64,
}

/// Programs whose names are in the names of the files that they leave.
const PROGRAMS: [&str; 4] = ["r3e-scheduler", "r3e-monitor", "r3e-loader", "r3e-refresher"];

/// Counts all files below a folder, or a single file, and those of each program.
#[must_use]
pub(super) fn amounts(path: &Path) -> (Amount, BTreeMap<&'static str, u64>) {
    let (mut amount, mut named) = (Amount::default(), BTreeMap::new());
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        // What has gone meanwhile does not count.
        let Ok(data) = path.symlink_metadata() else { continue };
        if data.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|it| it.path()));
            continue;
        }
        if data.is_symlink() {
            continue;
        }
        amount.bytes += data.len();
        amount.files += 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(program) = PROGRAMS.iter().find(|it| name.contains(*it)) {
            *named.entry(*program).or_default() += 1;
        }
    }
    (amount, named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_below_a_folder_and_by_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        for (name, text) in [("x", "123"), ("a/r3e-loader-7.sock", ""), ("a/b/.r3e-loader-8-1.json.tmp", "12")] {
            fs::write(path(name), text).unwrap();
        }
        std::os::unix::fs::symlink("b", path("a/link")).unwrap();
        let (amount, named) = amounts(folder.path());
        assert_eq!(amount, Amount { bytes: 5, files: 3 });
        assert_eq!(named, BTreeMap::from([("r3e-loader", 2)]));
        assert_eq!(amounts(&path("x")).0, Amount { bytes: 3, files: 1 });
        assert_eq!(amounts(&path("none")).0, Amount::default());
    }
}
