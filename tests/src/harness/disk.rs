//! Temporary mounts: a small disk that can be full or read-only, and bind mounts. Dropping one unmounts it.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use r3e_needs::until;

const NOTHING: Option<&str> = None;

/// Whether this process may mount. If not, records a skipped test.
#[track_caller]
#[must_use]
pub fn may_mount() -> bool {
    SmallDisk::mount(4).is_some()
}

/// A `tmpfs`, mounted until it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    mounted: Mounted,
    /// The mount point, if it was created for this mount; removed after unmounting.
    _folder: Option<TempDir>,
}

impl SmallDisk {
    /// Mounts one of this size. If mounting is not allowed (it needs root), returns `None` and records a skipped test.
    #[track_caller]
    #[must_use]
    pub fn mount(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Self::mount_at(folder.path(), kilobytes)?.mounted;
        Some(Self { mounted, _folder: Some(folder) })
    }

    /// Likewise, in that folder.
    #[track_caller]
    #[must_use]
    pub fn mount_at(folder: &Path, kilobytes: u32) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let size = format!("size={kilobytes}k,mode=0777");
        let mounted = mount(Some("r3e-tests"), folder, Some("tmpfs"), MsFlags::empty(), Some(size.as_str()));
        Some(Self { mounted: Mounted::new(folder, mounted)?, _folder: None })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mounted.0
    }

    /// Makes it read-only or writable, once no file is open for writing.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn set_read_only(&self, read_only: bool) {
        let how = if read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        remount(self.path(), how);
    }

    /// Fills it except for this many kilobytes, with a file whose path is returned.
    ///
    /// # Panics
    /// If less space than that is free.
    #[must_use]
    pub fn fill_but(&self, kilobytes: u64) -> PathBuf {
        let room = nix::sys::statvfs::statvfs(self.path()).unwrap();
        let free = room.blocks_available() * room.fragment_size();
        let filler = self.path().join("filler");
        fs::write(&filler, vec![0; usize::try_from(free.checked_sub(kilobytes << 10).unwrap()).unwrap()]).unwrap();
        filler
    }
}

/// A bind mount of one folder over another. Dropping it unmounts it.
#[derive(Debug)]
pub struct BindMount {
    _mounted: Mounted,
}

impl BindMount {
    /// Mounts `from` at `to`. If mounting is not allowed, returns `None` and records a skipped test.
    #[track_caller]
    #[must_use]
    pub fn mount(from: &Path, to: &Path) -> Option<Self> {
        let mounted = mount(Some(from), to, NOTHING, MsFlags::MS_BIND, NOTHING);
        Some(Self { _mounted: Mounted::new(to, mounted)? })
    }
}

/// A read-only bind mount of a folder onto itself. Dropping it unmounts it.
#[derive(Debug)]
pub struct ReadOnlyFolder {
    _mounted: BindMount,
}

impl ReadOnlyFolder {
    /// Mounts it. If mounting is not allowed, returns `None` and records a skipped test.
    ///
    /// # Panics
    /// If it was mounted but cannot be made read-only.
    #[track_caller]
    #[must_use]
    pub fn mount(folder: &Path) -> Option<Self> {
        let mounted = BindMount::mount(folder, folder)?;
        let read_only = MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        remount(folder, read_only);
        Some(Self { _mounted: mounted })
    }
}

/// Remounts. Retries, since a program that another test is just starting may briefly have inherited one of our descriptors.
fn remount(folder: &Path, how: MsFlags) {
    until("the mount can be changed", || {
        let mounted = mount(NOTHING, folder, NOTHING, MsFlags::MS_REMOUNT | how, NOTHING);
        assert!(matches!(mounted, Ok(()) | Err(Errno::EBUSY)), "cannot mount {} anew: {mounted:?}", folder.display());
        mounted.is_ok()
    });
}

#[derive(Debug)]
struct Mounted(PathBuf);

impl Mounted {
    #[track_caller]
    fn new(folder: &Path, mounted: nix::Result<()>) -> Option<Self> {
        match mounted {
            Ok(()) => Some(Self(folder.to_owned())),
            Err(Errno::EPERM | Errno::EACCES) => {
                r3e_needs::missing("the right to mount");
                None
            }
            Err(error) => panic!("cannot mount {}: {error}", folder.display()),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A program that another test is just starting may have a handle of ours for a moment: the system then lets go of the
        // disk a moment later.
        let gone = umount2(&self.0, MntFlags::MNT_DETACH);
        assert!(gone.is_ok() || std::thread::panicking(), "unmounting {}: {gone:?}", self.0.display());
    }
}
