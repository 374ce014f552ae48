//! The one module that calls the file system. Errors name what was tried and on which path.

#![expect(clippy::disallowed_methods, reason = "this is the room the lint keeps these calls in")]

mod error;
mod lock;
mod modes;
mod opened;
mod private;
mod root;
mod scratch;
mod snapshot;
mod text;

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

pub(crate) use error::At;
pub use error::{Access, FsError, Reach};
pub use lock::{is_writable, leads_to, open_lock, open_published_lock, replace_lock};
pub use modes::publish_folders;
pub use opened::{Opened, make_room};
pub use private::{make_private, private_folder};
pub use root::{RegularFile, Root};
pub use scratch::Scratch;
pub use snapshot::{
    FileId, FileSnapshot, FolderId, Inode, Kind, folder_id, identity, inode, is_folder, snapshot, stands_at,
};
pub use text::{NotText, text, without_bom};

/// `None` where there is no such file; every other refusal is an error.
fn unless_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a whole file into `into` (emptied before), at most `limit` bytes and one, so that a longer file shows.
/// `None` where there is no such file, else when it was last written.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_into(path: &Path, into: &mut Vec<u8>, limit: u64) -> Result<Option<SystemTime>, FsError> {
    let Some(opened) = Opened::new(path)? else {
        into.clear();
        return Ok(None);
    };
    let modified = opened.modified()?;
    opened.read_into(into, limit)?;
    Ok(Some(modified))
}

/// Reads a text file of at most `limit` bytes; a byte order mark is left out.
///
/// # Errors
/// When it is missing, unreadable, larger, or not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, FsError> {
    let mut bytes = Vec::new();
    let refuse = |why: String| Err(io::Error::other(why)).at("read", path);
    if read_into(path, &mut bytes, limit)?.is_none() {
        return Err(io::Error::from(Errno::ENOENT)).at("open", path);
    }
    if bytes.len() as u64 > limit {
        return refuse(format!("larger than {limit} bytes"));
    }
    text(&bytes).map(str::to_owned).or_else(|error| refuse(error.to_string()))
}

/// Reads the beginning of a file, at most `limit` bytes of it; `None` where there is no such file.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_beginning(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, FsError> {
    Opened::new(path)?.map(|file| file.read_beginning(limit)).transpose()
}

/// Lets a file look as if it had been written now; says `false` where there is none. Another owner's file that this user may
/// not change is replaced by a published copy, where its folder allows that. Only a copy is synced: at worst the file looks
/// older than it is.
///
/// # Errors
/// When the file is there and the system refuses.
pub fn renew(path: &Path) -> Result<bool, FsError> {
    let now = TimeSpec::UTIME_NOW;
    match utimensat(AT_FDCWD, path, &now, &now, UtimensatFlags::FollowSymlink) {
        Err(Errno::EACCES | Errno::EPERM) => replace_by_copy(path),
        renewed => {
            unless_missing(renewed.map_err(io::Error::from)).at("renew the time of", path).map(|it| it.is_some())
        }
    }
}

fn replace_by_copy(path: &Path) -> Result<bool, FsError> {
    let Some(file) = Opened::new(path)? else { return Ok(false) };
    let mut copy = NewFile::publish(path)?;
    io::copy(&mut file.reader(), &mut copy).at("copy", path)?;
    copy.commit()?;
    Ok(true)
}

/// A path at which nothing stands: this one, or else with the first free number at its end.
///
/// # Errors
/// When that cannot be told.
pub fn unused(path: &Path) -> Result<PathBuf, FsError> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let free = |path: &PathBuf| unless_missing(fs::symlink_metadata(path)).at("look at", path).map(|it| it.is_none());
    let mut candidate = path.to_owned();
    let mut number = 1;
    while !free(&candidate)? {
        candidate = numbered(number);
        number += 1;
    }
    Ok(candidate)
}

/// When a file was last written; `None` where there is none.
///
/// # Errors
/// When that cannot be told, for example for want of permission.
pub fn modified(path: &Path) -> Result<Option<SystemTime>, FsError> {
    unless_missing(fs::metadata(path).and_then(|it| it.modified())).at("look at", path)
}

/// Writes a whole file, with the mode that the umask gives.
///
/// # Errors
/// When the system refuses; the target is then what it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    NewFile::create(path)?.whole(bytes)
}

/// Writes a whole file that all may read.
///
/// # Errors
/// When the system refuses; the target is then what it was.
pub fn publish_whole(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    NewFile::publish(path)?.whole(bytes)
}

/// Whether new files can be created in a folder: asked by creating one.
#[must_use]
pub fn can_create_in(folder: &Path) -> bool {
    NewFile::create(&folder.join("can_create")).is_ok()
}

/// Makes a folder and those above it, where they are missing, with the modes that the umask gives.
///
/// # Errors
/// When the system refuses.
pub fn create_folders(path: &Path) -> Result<(), FsError> {
    fs::create_dir_all(path).at("create the folder", path)
}

/// The entries of a folder, sorted by name; none where there is no such folder.
///
/// # Errors
/// When the folder is there and cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let Some(entries) = unless_missing(fs::read_dir(folder)).at("list", folder)? else { return Ok(Vec::new()) };
    let mut paths =
        entries.map(|entry| entry.map(|it| it.path())).collect::<io::Result<Vec<_>>>().at("list", folder)?;
    paths.sort();
    Ok(paths)
}

/// Where a link leads to, as it says itself; `None` where there is no such link.
///
/// # Errors
/// When it is there and cannot be read, or is no link.
pub fn link_target(path: &Path) -> Result<Option<PathBuf>, FsError> {
    unless_missing(fs::read_link(path)).at("read the link", path)
}

/// Moves a file, replacing what stood at the target; across file systems by a synced copy. Syncs nothing else.
///
/// # Errors
/// When the system refuses.
pub fn rename(from: &Path, to: &Path) -> Result<(), FsError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy_across(from, to),
        result => result.map_err(|cause| FsError::of_move(from, to, cause)),
    }
}

fn copy_across(from: &Path, to: &Path) -> Result<(), FsError> {
    let source = File::open(from).at("open", from)?;
    let modified = source.metadata().and_then(|it| it.modified()).at("look at", from)?;
    let mut target = NewFile::publish(to)?;
    io::copy(&mut BufReader::new(source), &mut target).at("write", to)?;
    target.set_modified(modified)?;
    target.commit()?;
    remove(from)
}

/// Removes a file, if it is there.
///
/// # Errors
/// When it is there and stays.
pub fn remove(path: &Path) -> Result<(), FsError> {
    unless_missing(fs::remove_file(path)).at("remove", path).map(|_| ())
}

/// Removes a folder if it is there and empty; says whether it did.
///
/// # Errors
/// When it is empty and stays.
pub fn remove_empty_folder(path: &Path) -> Result<bool, FsError> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        result => unless_missing(result).at("remove the folder", path).map(|it| it.is_some()),
    }
}

/// Opens a folder, for a lock to be held on it.
///
/// # Errors
/// When the system refuses.
pub fn open_folder(path: &Path) -> Result<File, FsError> {
    File::open(path).at("open", path)
}

/// Opens a pipe that someone reads, to write to it without ever waiting.
///
/// # Errors
/// When the system refuses: nobody reads it, for example.
pub fn open_pipe(path: &Path) -> Result<File, FsError> {
    File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).at("open", path)
}

/// Brings a folder's names to the disk.
///
/// # Errors
/// When the system refuses.
pub fn sync_folder(path: &Path) -> Result<(), FsError> {
    File::open(path).and_then(|folder| folder.sync_all()).at("sync the folder", path)
}

/// Brings all that was written to the file system that holds `folder` to the disk: for thousands of small files an
/// order of magnitude faster than syncing each.
///
/// # Errors
/// When the system refuses.
pub fn sync_file_system(folder: &Path) -> Result<(), FsError> {
    let handle = File::open(folder).at("open", folder)?;
    nix::unistd::syncfs(handle).map_err(io::Error::from).at("sync the file system of", folder)
}

/// The folder that holds a path: `.` for a bare name.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The hidden name, beside its target, that a file has until it is complete. There is one writer, so one name is enough,
/// and what a killed writer left is overwritten by the next.
#[must_use]
pub fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// Whether a file's name is one that [`temporary`] makes.
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    name.strip_prefix('.').and_then(|it| it.strip_suffix(".tmp")).is_some()
}

/// A file being written beside its target; it appears there complete, or not at all.
#[derive(Debug)]
pub struct NewFile {
    writer: BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl NewFile {
    /// Begins a file that will stand at `target`, with the mode that the umask gives.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(target: &Path) -> Result<Self, FsError> {
        Self::create_with(target, 0o666)
    }

    /// Begins a file that will stand at `target` and that all may read, whatever the umask.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn publish(target: &Path) -> Result<Self, FsError> {
        let new = Self::create_with(target, modes::FILE)?;
        modes::publish_file(new.writer.get_ref()).at("set the mode of", &new.temporary)?;
        Ok(new)
    }

    fn create_with(target: &Path, mode: u32) -> Result<Self, FsError> {
        let temporary = temporary(target);
        // Not written through a link or into a file that someone else holds open.
        remove(&temporary)?;
        let file = File::options().write(true).create_new(true).mode(mode).open(&temporary).at("create", &temporary)?;
        Ok(Self { writer: BufWriter::new(file), temporary, target: target.to_owned(), committed: false })
    }

    /// Writes all of it, and commits it.
    fn whole(mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.write_all(bytes).at("write", &self.target)?;
        self.commit()
    }

    /// Sets when the file will say it was last written.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_modified(&mut self, time: SystemTime) -> Result<(), FsError> {
        self.writer
            .flush()
            .and_then(|()| self.writer.get_ref().set_modified(time))
            .at("set the time of", &self.temporary)
    }

    /// Syncs the file, puts it at its target and syncs the folder.
    ///
    /// # Errors
    /// When the system refuses; the target is then what it was.
    pub fn commit(mut self) -> Result<(), FsError> {
        self.flushed()?.sync_all().at("sync", &self.temporary)?;
        self.put()?;
        sync_folder(parent(&self.target))
    }

    /// Like [`NewFile::commit`], but leaves a target that has the same bytes alone, so that its time stays too.
    /// Says whether the target was replaced.
    ///
    /// # Errors
    /// When the system refuses; the target is then what it was.
    pub fn commit_if_changed(mut self) -> Result<bool, FsError> {
        self.flushed()?;
        if same_content(&self.temporary, &self.target)? {
            return Ok(false);
        }
        self.commit().map(|()| true)
    }

    /// Puts the file at its target without syncing: for staged boards, which are checked before they are promoted.
    ///
    /// # Errors
    /// When the system refuses; the target is then what it was.
    pub fn commit_unsynced(mut self) -> Result<(), FsError> {
        self.flushed()?;
        self.put()
    }

    fn flushed(&mut self) -> Result<&File, FsError> {
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
            tracing::warn!(%error, "an unfinished file stays; the next writer overwrites it");
        }
    }
}

/// Whether both files are there and can be read, and hold the same bytes.
fn same_content(one: &Path, other: &Path) -> Result<bool, FsError> {
    let theirs = match File::open(other) {
        // Only its owner may read it: it is replaced.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        opened => unless_missing(opened).at("open", other)?,
    };
    let Some(theirs) = theirs else { return Ok(false) };
    let ours = File::open(one).at("open", one)?;
    let length = |file: &File, path| file.metadata().at("look at", path).map(|it| it.len());
    if length(&ours, one)? != length(&theirs, other)? {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (BufReader::new(ours), BufReader::new(theirs));
    let (mut a, mut b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = ours.read(&mut a).at("read", one)?;
        if read == 0 {
            return Ok(true);
        }
        match theirs.read_exact(&mut b[..read]) {
            Ok(()) if a[..read] == b[..read] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error).at("read", other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_same_bytes_leave_the_target_and_its_time_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert!(write(&path, "one").commit_if_changed().unwrap());
        let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        assert!(!write(&path, "one").commit_if_changed().unwrap());
        assert_eq!(path.metadata().unwrap().modified().unwrap(), long_ago);
        assert!(write(&path, "two").commit_if_changed().unwrap());
        assert_eq!(read_text(&path, 100).unwrap(), "two");
        assert_eq!(list(folder.path()).unwrap(), [path]);
    }

    #[test]
    fn a_file_that_is_renewed_looks_new_and_one_that_is_missing_is_told() {
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
