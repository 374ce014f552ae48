//! Modes of published files: a web server of another user can read them, whatever the umask. Existing files keep their mode.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use super::{At as _, FsError, parent};

/// The mode of a published file.
pub(super) const FILE: u32 = 0o644;

/// The mode of its folders.
const FOLDER: u32 = 0o755;

/// Restores the bits of a new file that the umask has removed.
pub(super) fn publish_file(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.permissions().mode();
    if mode & FILE == FILE { Ok(()) } else { file.set_permissions(Permissions::from_mode(mode | FILE)) }
}

/// Creates a folder that everybody may read and enter, and its parents, if they are missing.
///
/// # Errors
/// If the system refuses.
pub fn publish_folders(path: &Path) -> Result<(), FsError> {
    if path.is_dir() {
        return Ok(());
    }
    if parent(path) != path {
        publish_folders(parent(path))?;
    }
    match DirBuilder::new().mode(FOLDER).create(path) {
        Ok(()) => {}
        // Another process has created it meanwhile.
        Err(_) if path.is_dir() => return Ok(()),
        Err(error) => return Err(error).at("create the folder", path),
    }
    let mode = fs::metadata(path).at("look at", path)?.permissions().mode();
    if mode & FOLDER == FOLDER {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode | FOLDER)).at("set the mode of", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn folders_are_made_for_all_and_those_that_exist_stay_as_they_are() {
        let temp = tempfile::tempdir().unwrap();
        let (outer, inner) = (temp.path().join("a"), temp.path().join("a/b/c"));
        publish_folders(&inner).unwrap();
        assert_eq!((mode(&outer), mode(&inner)), (0o755, 0o755));
        fs::set_permissions(&outer, Permissions::from_mode(0o700)).unwrap();
        publish_folders(&inner).unwrap();
        assert_eq!(mode(&outer), 0o700);
        fs::write(temp.path().join("file"), "").unwrap();
        // Nothing can be made in a file, nor where the kernel says that there is nothing.
        for refused in [temp.path().join("file/x"), "/proc/nowhere/x".into()] {
            let error = publish_folders(&refused).unwrap_err().to_string();
            assert!(error.starts_with("cannot create the folder "), "{error}");
        }
    }

    #[test]
    fn a_file_gets_the_bits_that_are_missing_and_keeps_others() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        for (before, after) in [(0o600, 0o644), (0o644, 0o644), (0o664, 0o664), (0o755, 0o755)] {
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            publish_file(&File::open(&path).unwrap()).unwrap();
            assert_eq!(mode(&path), after);
        }
    }
}
