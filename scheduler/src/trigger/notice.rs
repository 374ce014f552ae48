//! Being told when something happens in the cache's folder, where the file system tells it.
//!
//! The kernel's watch follows the folder itself, not its path: it is made anew where another folder stands there. Network
//! file systems tell nothing of what others do, so this is only ever beside looking from time to time.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use r3e_common::runtime::fs;
use tokio::net::unix::pipe::Receiver;

/// The most bytes of events read at a time.
const EVENTS: usize = 4 << 10;

/// A watch on one folder.
#[derive(Debug)]
pub(crate) struct Notice {
    folder: PathBuf,
    /// None where the system gives no watch, which has been told.
    kernel: Option<Kernel>,
    watched: Option<(WatchDescriptor, fs::Inode)>,
}

/// The kernel's queue of events.
#[derive(Debug)]
struct Kernel {
    inotify: Inotify,
    /// The same, as the runtime waits for it: whatever can be read from without waiting.
    events: Receiver,
}

impl Kernel {
    fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let same = inotify.as_fd().try_clone_to_owned()?;
        Ok(Self { inotify, events: Receiver::from_file_unchecked(same.into())? })
    }
}

impl Notice {
    /// Begins to watch; the folder need not be there yet. To be called within the runtime.
    pub(crate) fn new(folder: &Path) -> Self {
        let kernel = Kernel::new().inspect_err(|error| {
            tracing::warn!(%error, "the system does not tell of new files: the trigger file is looked for from time to time");
        });
        let mut notice = Self { folder: folder.to_owned(), kernel: kernel.ok(), watched: None };
        notice.renew();
        notice
    }

    /// Watches the folder that stands at the path now, if it is another one than before.
    pub(crate) fn renew(&mut self) {
        let Some(Kernel { inotify, .. }) = &self.kernel else { return };
        // What cannot be looked at is told by whoever looks for the file in it.
        let stands = fs::folder_id(&self.folder).ok().flatten();
        if self.watched.is_some_and(|(_, watched)| Some(watched) == stands) {
            return;
        }
        if let Some((old, _)) = self.watched.take() {
            // The kernel has dropped it already where the folder is gone.
            let _gone = inotify.rm_watch(old);
        }
        let kinds = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let Some(stands) = stands else { return };
        match inotify.add_watch(&self.folder, kinds) {
            Ok(watch) => self.watched = Some((watch, stands)),
            Err(error) => tracing::debug!(%error, folder = %self.folder.display(), "no watch"),
        }
    }

    /// Waits until something has happened there; for ever where nothing is told.
    pub(crate) async fn changed(&mut self) {
        let Some(Kernel { events, .. }) = &self.kernel else { return std::future::pending().await };
        // What the events say is not needed: whoever waits looks for itself.
        let mut ignored = [0; EVENTS];
        loop {
            if events.readable().await.is_err() {
                return std::future::pending().await;
            }
            match events.try_read(&mut ignored) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn told(notice: &mut Notice) -> bool {
        tokio::time::timeout(Duration::from_secs(10), notice.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn it_tells_of_files_also_where_the_folder_was_exchanged() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("cache");
        let mut notice = Notice::new(&folder);
        std::fs::create_dir(&folder).unwrap();
        notice.renew();
        std::fs::write(folder.join("one"), "").unwrap();
        assert!(told(&mut notice).await);
        std::fs::rename(&folder, temp.path().join("old")).unwrap();
        std::fs::create_dir(&folder).unwrap();
        notice.renew();
        while tokio::time::timeout(Duration::from_millis(1), notice.changed()).await.is_ok() {}
        std::fs::write(folder.join("two"), "").unwrap();
        assert!(told(&mut notice).await);
    }
}
