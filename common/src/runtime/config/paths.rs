//! Rules about folders that need no file system, or only a look at it: which one sockets go to, which one stages the
//! cache, and whether one folder lies inside another.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

/// The folder for control sockets where no one names one: the system's, if it can be used, else `r3e` in the user's
/// (the value of `XDG_RUNTIME_DIR`, which its specification wants to be absolute), else one in `/tmp` that tells the
/// user id. Whether a folder can be used is for [`is_writable_dir`] to tell.
#[must_use]
pub fn default_runtime_dir(
    system: &Path,
    can_be_used: impl Fn(&Path) -> bool,
    xdg_runtime_dir: Option<&OsStr>,
    uid: u32,
) -> PathBuf {
    if can_be_used(system) {
        return system.to_owned();
    }
    match xdg_runtime_dir.map(Path::new) {
        Some(dir) if dir.is_absolute() => dir.join("r3e"),
        _ => PathBuf::from(format!("/tmp/r3e-{uid}")),
    }
}

/// Whether the path is that of a folder in which this process may make files.
#[must_use]
pub fn is_writable_dir(path: &Path) -> bool {
    let may_write = || faccessat(AT_FDCWD, path, AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS);
    path.is_dir() && may_write().is_ok()
}

/// The folder that stages a cache where no one names one: beside it, with `_temp` at the end of the name. The cache's
/// own path if that has no name, as `/` has none.
pub(super) fn default_staging_dir(cache: &Path, current_dir: &Path) -> PathBuf {
    let named = if cache.file_name().is_some() { cache.to_owned() } else { absolute(cache, current_dir) };
    let Some(name) = named.file_name() else { return named };
    let mut name = name.to_owned();
    name.push("_temp");
    named.with_file_name(name)
}

/// Whether two folders are the same or one lies inside the other, going by their paths alone.
pub(super) fn overlap(one: &Path, other: &Path, current_dir: &Path) -> bool {
    let (one, other) = (absolute(one, current_dir), absolute(other, current_dir));
    one.starts_with(&other) || other.starts_with(&one)
}

/// The path from the root on, without `.` and `..`.
fn absolute(path: &Path, current_dir: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in current_dir.join(path).components() {
        match component {
            Component::CurDir => {}
            // At the root there is nothing above.
            Component::ParentDir if out.file_name().is_some() || out.has_root() => drop(out.pop()),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_folder_is_the_first_that_can_be_used() {
        let system = Path::new("/run/r3e");
        let xdg = Some(OsStr::new("/run/user/7"));
        let dir = |can_be_used: bool, xdg| default_runtime_dir(system, |_| can_be_used, xdg, 7);
        assert_eq!(dir(true, xdg), system);
        assert_eq!(dir(false, xdg), Path::new("/run/user/7/r3e"));
        for none in [None, Some(OsStr::new("")), Some(OsStr::new("relative"))] {
            assert_eq!(dir(false, none), Path::new("/tmp/r3e-7"));
        }
    }

    #[test]
    fn only_a_folder_that_takes_files_is_writable() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(is_writable_dir(temp.path()));
        assert!(!is_writable_dir(&file));
        assert!(!is_writable_dir(&temp.path().join("missing")));
        // Root may write whatever the mode says.
        std::fs::set_permissions(temp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
        assert_eq!(is_writable_dir(temp.path()), nix::unistd::Uid::effective().is_root());
    }

    #[test]
    fn staging_stands_beside_the_cache() {
        let cases = [
            ("cache", "cache_temp"),
            ("/data/cache/", "/data/cache_temp"),
            ("../c", "../c_temp"),
            (".", "/w/x_temp"),
            ("..", "/w_temp"),
            ("/", "/"),
        ];
        for (cache, staging) in cases {
            assert_eq!(default_staging_dir(Path::new(cache), Path::new("/w/x")), Path::new(staging), "{cache}");
        }
    }

    #[test]
    fn overlap_is_seen_through_dots_and_relative_paths() {
        let overlap = |one: &str, other: &str| overlap(one.as_ref(), other.as_ref(), Path::new("/w/x"));
        for (one, other) in
            [("a", "a/"), ("a", "/w/x/a"), ("a", "a/b"), (".", "a"), ("/", "a"), ("a/../b", "b"), ("..", "a")]
        {
            assert!(overlap(one, other) && overlap(other, one), "{one} {other}");
        }
        for (one, other) in [("a", "a_temp"), ("a", "b/../c"), (".", "../y"), ("/w/x/a", "b")] {
            assert!(!overlap(one, other) && !overlap(other, one), "{one} {other}");
        }
    }
}
