//! Files that appear at their path complete, or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{At as _, Complete, FsError, modes, parent, remove, sync_folder};

/// The hidden name that a file has beside its target until it is complete. There is one writer, so one name is enough, and the next
/// writer overwrites what a killed one left.
#[must_use]
pub fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// Whether a file name is one of [`temporary`].
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    name.strip_prefix('.').and_then(|it| it.strip_suffix(".tmp")).is_some()
}

/// A file that is written beside its target. Dropping it before it is committed removes it.
#[derive(Debug)]
pub struct NewFile {
    writer: BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl NewFile {
    /// Creates a file for `target`, with the mode that the umask leaves.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn create(target: &Path) -> Result<Self, FsError> {
        Self::create_with(target, 0o666)
    }

    /// Creates a file for `target` that everybody may read, whatever the umask.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn publish(target: &Path) -> Result<Self, FsError> {
        let new = Self::create_with(target, modes::FILE)?;
        modes::publish_file(new.writer.get_ref()).at("set the mode of", &new.temporary)?;
        Ok(new)
    }

    fn create_with(target: &Path, mode: u32) -> Result<Self, FsError> {
        let temporary = temporary(target);
        // Never write through a link, or into a file that another process has open.
        remove(&temporary)?;
        let file = File::options().write(true).create_new(true).mode(mode).open(&temporary).at("create", &temporary)?;
        Ok(Self { writer: BufWriter::new(file), temporary, target: target.to_owned(), committed: false })
    }

    /// Writes the whole content, and commits.
    pub(super) fn whole(mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.write_all(bytes).at("write", &self.target)?;
        self.commit()
    }

    /// Sets the modification time.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn set_modified(&mut self, time: SystemTime) -> Result<(), FsError> {
        self.flushed()?.set_modified(time).at("set the time of", &self.temporary)
    }

    /// Syncs the file, moves it to its target and syncs the folder.
    ///
    /// # Errors
    /// If the system refuses. The target is unchanged then.
    pub fn commit(mut self) -> Result<(), FsError> {
        self.flushed()?.sync_all().at("sync", &self.temporary)?;
        self.put()?;
        sync_folder(parent(&self.target))
    }

    /// Ends the file without syncing it or moving it to its target.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn complete(mut self) -> Result<Complete, FsError> {
        self.flushed()?;
        // From here on it is the other type that removes the file.
        self.committed = true;
        Ok(Complete::new(self.temporary.clone(), self.target.clone()))
    }

    /// Moves the file to its target without syncing: for staged boards, which are checked before they are promoted.
    ///
    /// # Errors
    /// If the system refuses. The target is unchanged then.
    pub fn commit_unsynced(mut self) -> Result<(), FsError> {
        self.flushed()?;
        self.put()
    }

    pub(super) fn flushed(&mut self) -> Result<&File, FsError> {
        self.writer.flush().at("write", &self.temporary)?;
        Ok(self.writer.get_ref())
    }

    fn put(&mut self) -> Result<(), FsError> {
        fs::rename(&self.temporary, &self.target).at("move to", &self.target)?;
        self.committed = true;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = remove(&self.temporary)
        {
            tracing::warn!(%error, "cannot remove an unfinished file; the next writer overwrites it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::fs::{list, modified, read_text, renew};

    fn write(path: &Path, text: &str) -> NewFile {
        let mut file = NewFile::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_file_that_is_not_committed_never_appears() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        drop(write(&path, "half"));
        assert_eq!(list(folder.path()).unwrap(), Vec::<PathBuf>::new());
        write(&path, "whole").commit().unwrap();
        drop(write(&path, "half"));
        assert_eq!(read_text(&path, 100).unwrap(), "whole");
        assert_eq!(list(folder.path()).unwrap(), [path]);
    }

    #[test]
    fn what_a_killed_writer_left_is_overwritten_even_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("x"), folder.path().join("victim"));
        write(&victim, "safe").commit().unwrap();
        std::os::unix::fs::symlink(&victim, temporary(&path)).unwrap();
        write(&path, "new").commit().unwrap();
        assert_eq!(read_text(&victim, 100).unwrap(), "safe");
        assert_eq!(read_text(&path, 100).unwrap(), "new");
    }

    #[test]
    fn renewing_updates_the_time_and_reports_a_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert!(!renew(&path).unwrap());
        write(&path, "one").commit().unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        assert!(renew(&path).unwrap());
        assert!(modified(&path).unwrap().unwrap() > long_ago);
        assert_eq!(read_text(&path, 100).unwrap(), "one");
    }

    #[test]
    fn errors_name_the_action_and_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/x");
        let message = NewFile::create(&path).unwrap_err().to_string();
        assert!(message.starts_with("cannot create ") && message.contains("missing/.x.tmp"), "{message}");
        let message = read_text(&path, 1).unwrap_err().to_string();
        assert!(message.starts_with("cannot open "), "{message}");
    }
}
