//! Opening a file below a folder for someone who is not trusted: no link is followed on the way, and nothing but a file is
//! opened.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use super::{At as _, FsError};

/// A file that was opened below a folder. It stays this file whatever replaces it at its path.
#[derive(Debug)]
pub struct Beneath {
    file: File,
    length: u64,
    modified: SystemTime,
    tag: String,
    path: PathBuf,
}

/// Opens the file that those names lead to, one folder after the other. The folder itself may be a link; nothing below it
/// may. `None` where there is no such file, where a link, a pipe or a folder stands in its place, or where a name is none.
///
/// # Errors
/// When it is there and cannot be opened.
pub fn open_beneath(folder: &Path, names: &[&str]) -> Result<Option<Beneath>, FsError> {
    let path: PathBuf = std::iter::once(folder).chain(names.iter().map(Path::new)).collect();
    let Some((file, folders)) = names.split_last() else { return Ok(None) };
    if !names.iter().all(|name| is_name(name)) {
        return Ok(None);
    }
    let opened = || -> nix::Result<OwnedFd> {
        let way = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut at = open(folder, way, Mode::empty())?;
        for name in folders {
            at = openat(&at, *name, way | OFlag::O_NOFOLLOW, Mode::empty())?;
        }
        // Opening a pipe may not wait for whoever is at its other end.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        openat(&at, *file, flags, Mode::empty())
    };
    let file = match opened() {
        Ok(descriptor) => File::from(descriptor),
        // Of a link, a socket and a name that is too long it is these that tell.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO | Errno::ENAMETOOLONG) => return Ok(None),
        Err(error) => return Err(io::Error::from(error)).at("open", &path),
    };
    let metadata = file.metadata().at("look at", &path)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let (length, modified) = (metadata.len(), metadata.modified().at("look at", &path)?);
    let tag = format!("{:x}-{:x}.{:x}-{length:x}", metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
    Ok(Some(Beneath { file, length, modified, tag, path }))
}

/// Whether it names an entry of a folder and nothing else.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

impl Beneath {
    /// How long it was when it was opened.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// When it was last written.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        self.modified
    }

    /// Tells this state of this file from every other that ever stood at its path: files are replaced, not written into.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Reads at most `most` bytes from there on; fewer only at the end of the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, FsError> {
        let mut bytes = vec![0; most];
        let mut read = 0;
        while read < most {
            match self.file.read_at(&mut bytes[read..], offset.saturating_add(read as u64)) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).at("read", &self.path),
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// From where the last read ended.
impl Read for Beneath {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn found(folder: &Path, names: &[&str]) -> bool {
        open_beneath(folder, names).unwrap().is_some()
    }

    #[test]
    fn a_file_is_opened_where_no_link_leads_there() {
        let temp = tempfile::tempdir().unwrap();
        let cache = temp.path().join("cache");
        fs::create_dir_all(cache.join("a/b")).unwrap();
        fs::write(cache.join("a/file"), "0123456789").unwrap();
        fs::write(temp.path().join("secret"), "secret").unwrap();
        let file = open_beneath(&cache, &["a", "file"]).unwrap().unwrap();
        assert_eq!((file.length(), file.read_at(3, 4).unwrap()), (10, b"3456".to_vec()));
        assert_eq!(file.read_at(8, 100).unwrap(), b"89");
        assert_eq!(file.read_at(10, 1).unwrap(), b"");

        symlink("../../secret", cache.join("a/link")).unwrap();
        symlink("file", cache.join("a/near")).unwrap();
        symlink("a", cache.join("linked")).unwrap();
        symlink(&cache, temp.path().join("published")).unwrap();
        for none in [
            &["a", "link"][..],
            &["a", "near"],
            &["linked", "file"],
            &["a", "b"],
            &["a"],
            &["a", "file", "x"],
            &["..", "secret"],
            &["a", "..", "..", "secret"],
            &["a/../../secret"],
            &["/etc/passwd"],
            &["a", "fi\0le"],
            &["a", ""],
            &[],
            &["a", &"x".repeat(300)],
        ] {
            assert!(!found(&cache, none), "{none:?}");
        }
        assert!(found(&temp.path().join("published"), &["a", "file"]), "the folder itself may be a link");
        assert!(!found(&temp.path().join("nowhere"), &["a", "file"]));
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&temp.path().join("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap();
        assert!(!found(temp.path(), &["pipe"]) && !found(temp.path(), &["socket"]));
    }

    #[test]
    fn a_file_that_is_replaced_has_another_tag_and_the_open_one_stays() {
        let temp = tempfile::tempdir().unwrap();
        let put = |text: &str| super::super::write_whole(&temp.path().join("file"), text.as_bytes()).unwrap();
        put("one");
        let one = open_beneath(temp.path(), &["file"]).unwrap().unwrap();
        put("two");
        let two = open_beneath(temp.path(), &["file"]).unwrap().unwrap();
        assert_ne!(one.tag(), two.tag());
        assert_eq!(two.tag(), open_beneath(temp.path(), &["file"]).unwrap().unwrap().tag());
        assert_eq!((one.read_at(0, 9).unwrap(), two.read_at(0, 9).unwrap()), (b"one".to_vec(), b"two".to_vec()));
    }
}
