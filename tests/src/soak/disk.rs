//! Disk usage: bytes and files of each folder, and files of each program, by file name.
#![expect(clippy::disallowed_methods, reason = "looks at the disk from outside")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::planted::PROGRAMS;

/// Bytes and number of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DiskUsage {
    /// Bytes, as lengths of files.
    pub(super) bytes: u64,
    /// Files, folders and links not included.
    pub(super) files: u64,
}

/// Counts all files below a folder, or a single file, and those of each program.
#[must_use]
pub(super) fn disk_usage(path: &Path) -> (DiskUsage, BTreeMap<&'static str, u64>) {
    let (mut amount, mut named) = (DiskUsage::default(), BTreeMap::new());
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
        let (amount, named) = disk_usage(folder.path());
        assert_eq!(amount, DiskUsage { bytes: 5, files: 3 });
        assert_eq!(named, BTreeMap::from([("r3e-loader", 2)]));
        assert_eq!(disk_usage(&path("x")).0, DiskUsage { bytes: 3, files: 1 });
        assert_eq!(disk_usage(&path("none")).0, DiskUsage::default());
    }
}
