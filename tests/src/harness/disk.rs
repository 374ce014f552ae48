//! A small disk of a test's own, that can be full or read-only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A `tmpfs`, mounted until it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of so many kilobytes; none where mounting is not allowed, as it is to root.
    #[must_use]
    pub fn mount(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kilobytes}k,mode=0777");
        mount(&["-t", "tmpfs", "-o", &size, "r3e-tests"], folder.path()).then_some(Self { folder })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Lets nothing be written any more, or lets it again. The system refuses the first while a file is open for writing.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn set_read_only(&self, read_only: bool) {
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        assert!(mount(&["-o", how], self.path()), "cannot {how}");
    }

    /// Fills it, but for so many kilobytes; what fills it is at the path returned.
    ///
    /// # Panics
    /// When it has less room than that.
    #[must_use]
    pub fn fill_but(&self, kilobytes: u64) -> PathBuf {
        let told = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(self.path()).output().unwrap();
        let text = String::from_utf8(told.stdout).unwrap();
        let (free, block) = text.trim().split_once(' ').unwrap();
        let free: u64 = free.parse::<u64>().unwrap() * block.parse::<u64>().unwrap();
        let filler = self.path().join("filler");
        fs::write(&filler, vec![0; usize::try_from(free.checked_sub(kilobytes << 10).unwrap()).unwrap()]).unwrap();
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.path());
    }
}

/// Whether the system did as asked.
fn mount(arguments: &[&str], folder: &Path) -> bool {
    let told = Command::new("mount").args(arguments).arg(folder).stderr(Stdio::null()).status();
    told.is_ok_and(|told| told.success())
}

/// A folder that is mounted onto itself read-only, until it is dropped.
#[derive(Debug)]
pub struct ReadOnlyFolder {
    folder: PathBuf,
}

impl ReadOnlyFolder {
    /// Mounts it; none where mounting is not allowed.
    ///
    /// # Panics
    /// When the system does it by half.
    #[must_use]
    pub fn mount(folder: &Path) -> Option<Self> {
        if !mount(&["--bind", &folder.to_string_lossy()], folder) {
            return None;
        }
        let mounted = Self { folder: folder.to_owned() };
        assert!(mount(&["-o", "remount,bind,ro"], folder), "cannot make it read-only");
        Some(mounted)
    }
}

impl Drop for ReadOnlyFolder {
    fn drop(&mut self) {
        unmount(&self.folder);
    }
}

fn unmount(folder: &Path) {
    // A program that another test is just starting may have a handle of ours for a moment: the system then lets go of the
    // disk a moment later.
    let told = Command::new("umount").arg("--lazy").arg(folder).status().unwrap();
    assert!(told.success() || std::thread::panicking(), "umount {}: {told}", folder.display());
}
