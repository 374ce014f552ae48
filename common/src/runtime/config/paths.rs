//! Defaults and rules of folders.

use std::path::{Component, Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::environment::Environment;

/// The folder of control sockets: the system's runtime folder if it is writable, else `r3e` in `XDG_RUNTIME_DIR` if that is an absolute
/// path, as its specification requires, else a folder in `/tmp` named after the user id.
pub(super) fn default_runtime_dir(environment: &Environment) -> PathBuf {
    if is_writable_dir(&environment.system_runtime_dir) {
        return environment.system_runtime_dir.clone();
    }
    match environment.variable("XDG_RUNTIME_DIR").map(Path::new) {
        Some(dir) if dir.is_absolute() => dir.join("r3e"),
        _ => PathBuf::from(format!("/tmp/r3e-{}", environment.uid)),
    }
}

/// Whether this process may create files in the folder.
fn is_writable_dir(path: &Path) -> bool {
    let may_write = || faccessat(AT_FDCWD, path, AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS);
    path.is_dir() && may_write().is_ok()
}

/// The staging folder of a cache: beside it, with `_temp` appended to its name; the cache itself if it has no name, as `/`.
pub(super) fn default_staging_dir(cache: &Path, current_dir: &Path) -> PathBuf {
    let named = if cache.file_name().is_some() { cache.to_owned() } else { absolute(cache, current_dir) };
    let Some(name) = named.file_name() else { return named };
    let mut name = name.to_owned();
    name.push("_temp");
    named.with_file_name(name)
}

/// The folder of that name beside another, which may be relative.
pub(super) fn beside(folder: &Path, name: &str, current_dir: &Path) -> PathBuf {
    let named = if folder.file_name().is_some() { folder.to_owned() } else { absolute(folder, current_dir) };
    named.with_file_name(name)
}

/// Whether two folders are the same or one is inside the other, judging by their paths alone.
pub(super) fn overlap(one: &Path, other: &Path, current_dir: &Path) -> bool {
    let (one, other) = (absolute(one, current_dir), absolute(other, current_dir));
    one.starts_with(&other) || other.starts_with(&one)
}

/// The path from the root, without `.` and `..`.
fn absolute(path: &Path, current_dir: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in current_dir.join(path).components() {
        match component {
            Component::CurDir => {}
            // There is nothing above the root.
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
        let temp = tempfile::tempdir().unwrap();
        let mut environment = Environment::bare("/".into(), 7);
        environment.system_runtime_dir = temp.path().to_owned();
        assert_eq!(default_runtime_dir(&environment), temp.path());
        // Root may write whatever the mode says.
        std::fs::set_permissions(temp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
        assert_eq!(is_writable_dir(temp.path()), nix::unistd::Uid::effective().is_root());
        let file = tempfile::NamedTempFile::new().unwrap();
        for unusable in [file.path(), Path::new("/missing")] {
            environment.system_runtime_dir = unusable.to_owned();
            for (xdg, expected) in [("/run/user/7", "/run/user/7/r3e"), ("", "/tmp/r3e-7"), ("relative", "/tmp/r3e-7")]
            {
                environment.variables = vec![("XDG_RUNTIME_DIR".into(), xdg.into())];
                assert_eq!(default_runtime_dir(&environment), Path::new(expected));
            }
        }
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
