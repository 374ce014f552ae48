//! The only module that calls the file system. Errors name the action and the path.

#![expect(clippy::disallowed_methods, reason = "this is the room the lint keeps these calls in")]

mod complete;
mod error;
mod lock;
mod modes;
mod new_file;
mod opened;
mod private;
mod root;
mod scratch;
mod snapshot;
mod text;

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

pub use complete::Complete;
pub(crate) use error::At;
pub use error::{Access, FsError, Reach};
pub use lock::{is_writable, leads_to, lock_exclusively, open_lock, open_published_lock, replace_lock};
pub use modes::publish_folders;
pub use new_file::{NewFile, is_temporary, temporary};
pub use opened::{Opened, make_room};
pub use private::{make_private, private_folder};
pub use root::{RegularFile, Root};
pub use scratch::Scratch;
pub use snapshot::{
    FileId, FileSnapshot, Inode, Kind, folder_id, identity, inode, is_folder, linked_identity, snapshot, stands_at,
};
pub use text::{NotText, text, without_bom};

/// `None` if there is no such file.
fn unless_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a file into `into`, which is cleared first, up to one byte more than `limit`, so that the caller notices a larger file.
/// Returns when it was last modified, or `None` if there is no such file.
///
/// # Errors
/// If the file exists but cannot be read.
pub fn read_into(path: &Path, into: &mut Vec<u8>, limit: u64) -> Result<Option<SystemTime>, FsError> {
    let Some(opened) = Opened::new(path)? else {
        into.clear();
        return Ok(None);
    };
    let modified = opened.modified()?;
    opened.read_into(into, limit)?;
    Ok(Some(modified))
}

/// Reads a text file of at most `limit` bytes, without its byte order mark.
///
/// # Errors
/// If it is missing, unreadable, larger, or not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, FsError> {
    let mut bytes = Vec::new();
    if read_into(path, &mut bytes, limit)?.is_none() {
        return Err(io::Error::from(Errno::ENOENT)).at("open", path);
    }
    bounded_text(&bytes, limit).at("read", path)
}

/// Reads text of at most `limit` bytes from standard input, without its byte order mark.
///
/// # Errors
/// If it is unreadable, larger, or not UTF-8.
pub fn read_standard_input(limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    io::stdin().take(limit + 1).read_to_end(&mut bytes)?;
    bounded_text(&bytes, limit)
}

fn bounded_text(bytes: &[u8], limit: u64) -> io::Result<String> {
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes")));
    }
    text(bytes).map(str::to_owned).map_err(|error| io::Error::other(error.to_string()))
}

/// Reads at most `limit` bytes from the start of a file. `None` if there is no such file.
///
/// # Errors
/// If the file exists but cannot be read.
pub fn read_beginning(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, FsError> {
    Opened::new(path)?.map(|file| file.read_beginning(limit)).transpose()
}

/// Sets a file's modification time to now. Returns whether there is such a file. Another user's file whose time cannot be changed
/// is replaced by a published copy. Nothing but a copy is synced: after a crash the file may look older than it is.
///
/// # Errors
/// If the file exists and the system refuses.
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

/// An unused path: this one, or this one with the first free number appended.
///
/// # Errors
/// If the system refuses.
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

/// When a file was last modified. `None` if there is no such file.
///
/// # Errors
/// If the system refuses, for example without permission.
pub fn modified(path: &Path) -> Result<Option<SystemTime>, FsError> {
    unless_missing(fs::metadata(path).and_then(|it| it.modified())).at("look at", path)
}

/// Writes a whole file, with the mode that the umask leaves.
///
/// # Errors
/// If the system refuses. The target is unchanged then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    NewFile::create(path)?.whole(bytes)
}

/// Writes a whole file that everybody may read.
///
/// # Errors
/// If the system refuses. The target is unchanged then.
pub fn publish_whole(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    NewFile::publish(path)?.whole(bytes)
}

/// Whether files can be created in a folder. Tries to create one.
#[must_use]
pub fn can_create_in(folder: &Path) -> bool {
    NewFile::create(&folder.join("can_create")).is_ok()
}

/// Creates a folder and its parents if they are missing, with the mode that the umask leaves.
///
/// # Errors
/// If the system refuses.
pub fn create_folders(path: &Path) -> Result<(), FsError> {
    fs::create_dir_all(path).at("create the folder", path)
}

/// The entries of a folder, sorted by name. Empty if there is no such folder.
///
/// # Errors
/// If the folder exists but cannot be read.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let Some(entries) = unless_missing(fs::read_dir(folder)).at("list", folder)? else { return Ok(Vec::new()) };
    let mut paths =
        entries.map(|entry| entry.map(|it| it.path())).collect::<io::Result<Vec<_>>>().at("list", folder)?;
    paths.sort();
    Ok(paths)
}

/// The target of a symbolic link. `None` if there is no such link.
///
/// # Errors
/// If it exists but cannot be read, or is not a link.
pub fn link_target(path: &Path) -> Result<Option<PathBuf>, FsError> {
    unless_missing(fs::read_link(path)).at("read the link", path)
}

/// Makes a symbolic link to `target`. Replaces a link to something else.
///
/// # Errors
/// If the system refuses, or anything but a link is at the path.
pub fn link(path: &Path, target: &Path) -> Result<(), FsError> {
    match fs::read_link(path) {
        Ok(found) if found == target => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => return Err(io::Error::from(Errno::EEXIST)).at("create the link", path),
    }
    let temporary = temporary(path);
    remove(&temporary)?;
    std::os::unix::fs::symlink(target, &temporary).at("create the link", &temporary)?;
    fs::rename(&temporary, path).at("move to", path)
}

/// Moves a file over the target, without syncing; across file systems by a synced copy.
///
/// # Errors
/// If the system refuses.
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

/// Removes a file if it exists.
///
/// # Errors
/// If it exists and cannot be removed.
pub fn remove(path: &Path) -> Result<(), FsError> {
    unless_missing(fs::remove_file(path)).at("remove", path).map(|_| ())
}

/// Removes a folder if it exists and is empty. Returns whether it did.
///
/// # Errors
/// If it is empty and cannot be removed.
pub fn remove_empty_folder(path: &Path) -> Result<bool, FsError> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        result => unless_missing(result).at("remove the folder", path).map(|it| it.is_some()),
    }
}

/// Opens a folder, to lock it.
///
/// # Errors
/// If the system refuses.
pub fn open_folder(path: &Path) -> Result<File, FsError> {
    File::open(path).at("open", path)
}

/// Opens a pipe for writing without blocking.
///
/// # Errors
/// If the system refuses, for example because nobody reads it.
pub fn open_pipe(path: &Path) -> Result<File, FsError> {
    File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).at("open", path)
}

/// Syncs a file's content to disk.
///
/// # Errors
/// If the system refuses.
pub fn sync_file(path: &Path) -> Result<(), FsError> {
    File::open(path).and_then(|file| file.sync_all()).at("sync", path)
}

/// Syncs a folder's entries to disk.
///
/// # Errors
/// If the system refuses.
pub fn sync_folder(path: &Path) -> Result<(), FsError> {
    File::open(path).and_then(|folder| folder.sync_all()).at("sync the folder", path)
}

/// Syncs the whole file system of a folder. For thousands of small files that is ten times faster than syncing each.
///
/// # Errors
/// If the system refuses.
pub fn sync_file_system(folder: &Path) -> Result<(), FsError> {
    let handle = File::open(folder).at("open", folder)?;
    nix::unistd::syncfs(handle).map_err(io::Error::from).at("sync the file system of", folder)
}

/// The folder of a path; `.` for a bare name.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
