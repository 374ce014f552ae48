//! Opens files below a folder on behalf of clients that are not trusted: only regular files, and only links that stay below it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use super::{At as _, FsError};

/// How often to retry `openat2`. It fails with `EAGAIN` for a `..` in a link whenever anything on the machine is renamed.
const MAX_TRIES: usize = 1000;

/// A folder whose files may be given to anyone. It may itself be a symbolic link.
#[derive(Debug, Clone, Copy)]
pub struct Root<'p>(pub &'p Path);

/// An open regular file. It stays the same file even if another replaces it at its path.
#[derive(Debug)]
pub struct RegularFile {
    file: File,
    length: u64,
    modified: SystemTime,
    tag: String,
    path: PathBuf,
}

impl Root<'_> {
    /// Opens the file at a path relative to this folder. Relative symbolic links are followed. Returns `None` if there is no
    /// such file, if the path or a link leaves the folder or is absolute, or if it leads to anything but a regular file.
    ///
    /// # Errors
    /// If the file exists but cannot be opened.
    pub fn open(self, path: &str) -> Result<Option<RegularFile>, FsError> {
        // Opening a pipe must not wait for its other end.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags).resolve(resolve);
        let opened =
            open(self.0, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).and_then(|folder| {
                let mut tries = (0..MAX_TRIES).map(|number| {
                    if number > 0 {
                        std::thread::yield_now();
                    }
                    openat2(&folder, path, how)
                });
                tries.find(|it| !matches!(it, Err(Errno::EAGAIN))).unwrap_or(Err(Errno::EAGAIN))
            });
        let path = self.0.join(path);
        let file = match opened {
            Ok(descriptor) => File::from(descriptor),
            // EXDEV: it leaves the folder. ELOOP: a loop of links. ENXIO: a socket. EINVAL: a NUL in the path.
            Err(
                Errno::ENOENT
                | Errno::ENOTDIR
                | Errno::EXDEV
                | Errno::ELOOP
                | Errno::ENXIO
                | Errno::EINVAL
                | Errno::ENAMETOOLONG,
            ) => return Ok(None),
            Err(error) => return Err(io::Error::from(error)).at("open", &path),
        };
        let metadata = file.metadata().at("look at", &path)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let (length, modified) = (metadata.len(), metadata.modified().at("look at", &path)?);
        let tag = format!("{:x}-{:x}.{:x}-{length:x}", metadata.ino(), metadata.mtime(), metadata.mtime_nsec());
        Ok(Some(RegularFile { file, length, modified, tag, path }))
    }
}

impl RegularFile {
    /// Its length when it was opened.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// When it was last modified.
    #[must_use]
    pub fn modified(&self) -> SystemTime {
        self.modified
    }

    /// Differs from the tag of every other file that was ever at this path, since files are replaced, never modified.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Reads up to `limit` bytes at `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_at(&self, offset: u64, limit: usize) -> Result<Vec<u8>, FsError> {
        let mut bytes = vec![0; limit];
        let mut read = 0;
        while read < limit {
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

impl Read for RegularFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn found(folder: &Path, path: &str) -> bool {
        Root(folder).open(path).unwrap().is_some()
    }

    #[test]
    fn only_regular_files_below_the_folder_are_opened() {
        let temp = tempfile::tempdir().unwrap();
        let cache = temp.path().join("cache");
        fs::create_dir_all(cache.join("a/b")).unwrap();
        fs::write(cache.join("a/file"), "0123456789").unwrap();
        fs::write(temp.path().join("secret"), "secret").unwrap();
        let file = Root(&cache).open("a/file").unwrap().unwrap();
        assert_eq!((file.length(), file.read_at(3, 4).unwrap()), (10, b"3456".to_vec()));
        assert_eq!(file.read_at(8, 100).unwrap(), b"89");
        assert_eq!(file.read_at(10, 1).unwrap(), b"");

        for (target, link) in [
            ("../../secret", "a/link"),
            ("../secret", "outside"),
            ("..", "parent"),
            ("loop", "loop"),
            ("nothing", "dangling"),
            ("../cache/a/file", "around"),
            ("/proc/self/exe", "magic"),
            (cache.join("a").to_str().unwrap(), "absolute"),
            ("file", "a/near"),
            ("../a", "a/linked"),
        ] {
            symlink(target, cache.join(link)).unwrap();
        }
        symlink(&cache, temp.path().join("published")).unwrap();
        let long = "x".repeat(300);
        for path in [
            "a/link",
            "outside",
            "parent/secret",
            "loop",
            "dangling",
            "around",
            "magic",
            "absolute/file",
            "a/b",
            "a/linked",
            "a",
            "a/file/x",
            "../secret",
            "a/../../secret",
            "/etc/passwd",
            "a/fi\0le",
            "a/",
            "",
            &long,
        ] {
            assert!(!found(&cache, path), "{path:?}");
        }
        for path in ["a/near", "a/linked/file", "a/linked/linked/near"] {
            assert_eq!(Root(&cache).open(path).unwrap().unwrap().tag(), file.tag(), "{path}");
        }
        assert!(found(&temp.path().join("published"), "a/file"), "the folder itself may be a link");
        assert!(!found(&temp.path().join("nowhere"), "a/file"));
    }

    #[test]
    fn a_link_is_followed_while_files_are_renamed() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("a/b")).unwrap();
        fs::write(temp.path().join("a/file"), "text").unwrap();
        symlink("../../a/file", temp.path().join("a/b/link")).unwrap();
        let is_done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let [mut here, mut there] = ["here", "there"].map(|it| temp.path().join(it));
                fs::write(&here, "").unwrap();
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    fs::rename(&here, &there).unwrap();
                    std::mem::swap(&mut here, &mut there);
                }
            });
            for _ in 0..20_000 {
                assert!(found(temp.path(), "a/b/link"));
            }
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&temp.path().join("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap();
        assert!(!found(temp.path(), "pipe") && !found(temp.path(), "socket"));
    }

    #[test]
    fn a_file_that_is_replaced_has_another_tag_and_the_open_one_stays() {
        let temp = tempfile::tempdir().unwrap();
        let put = |text: &str| super::super::write_whole(&temp.path().join("file"), text.as_bytes()).unwrap();
        put("one");
        let one = Root(temp.path()).open("file").unwrap().unwrap();
        put("two");
        let two = Root(temp.path()).open("file").unwrap().unwrap();
        assert_ne!(one.tag(), two.tag());
        assert_eq!(two.tag(), Root(temp.path()).open("file").unwrap().unwrap().tag());
        assert_eq!((one.read_at(0, 9).unwrap(), two.read_at(0, 9).unwrap()), (b"one".to_vec(), b"two".to_vec()));
    }
}
