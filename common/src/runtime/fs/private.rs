//! Folders and files that only their owner may use.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::unistd::Uid;

use super::{At as _, FsError};

/// Creates a folder that only this user can enter, and its parents, if they are missing. An existing folder is accepted if it belongs
/// to this user and nobody else can write to it.
///
/// # Errors
/// If the system refuses; or if a link, a file, another user's folder, or one that others can write to is at the path.
pub fn private_folder(path: &Path) -> Result<(), FsError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).at("create the folder", path)?;
    // Never follow a link: another user may have made it.
    let found = fs::symlink_metadata(path).at("look at", path)?;
    let (uid, mode) = (found.uid(), found.mode() & 0o7777);
    let wrong = if !found.is_dir() {
        "a link, expected a folder".to_owned()
    } else if uid != Uid::effective().as_raw() {
        format!("it is the folder of user {uid}, expected one of user {}", Uid::effective())
    } else if mode & 0o022 != 0 {
        format!("others can write to it (mode {mode:o})")
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, wrong)).at("use the folder", path)
}

/// Lets only this user read and write a file.
///
/// # Errors
/// If the system refuses.
pub fn make_private(path: &Path) -> Result<(), FsError> {
    fs::set_permissions(path, Permissions::from_mode(0o600)).at("set the mode of", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_folder_is_private_and_reused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("run/r3e");
        private_folder(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        private_folder(&path).unwrap();
        // What others may only read stays as its owner wants it.
        set_mode(&path, 0o755);
        private_folder(&path).unwrap();
        assert_eq!(mode(&path), 0o755);
        let file = path.join("file");
        fs::write(&file, "").unwrap();
        make_private(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn what_others_could_change_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let refused = |path: &Path| private_folder(path).unwrap_err().to_string();
        let path = temp.path().join("r3e");
        private_folder(&path).unwrap();
        for open in [0o777, 0o1777, 0o770, 0o702] {
            set_mode(&path, open);
            let message = refused(&path);
            assert!(message.contains(&format!("others can write to it (mode {open:o})")), "{message}");
        }
        set_mode(&path, 0o700);
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(refused(&link).contains("a link"));
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(refused(&file).starts_with("cannot create the folder"));
        if Uid::effective().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            assert!(refused(&path).contains("it is the folder of user 12345, expected one of user 0"));
        }
    }
}
