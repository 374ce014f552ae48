//! Watches the cache folder with inotify.
//!
//! An inotify watch follows the folder, not its path, so it is renewed if another folder replaces it. Network file systems do not
//! report changes of other machines, so the caller polls as well.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use r3e_common::runtime::fs;
use tokio::net::unix::pipe::Receiver;

const EVENT_BUFFER: usize = 4 << 10;

/// A watch on one folder.
#[derive(Debug)]
pub(crate) struct FolderWatch {
    folder: PathBuf,
    /// `None` if inotify is unavailable, which was logged.
    queue: Option<EventQueue>,
    watched: Option<(WatchDescriptor, fs::Inode)>,
}

/// The kernel's event queue.
#[derive(Debug)]
struct EventQueue {
    inotify: Inotify,
    /// The same descriptor, registered with tokio, which has no type for inotify.
    events: Receiver,
}

impl EventQueue {
    fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let same = inotify.as_fd().try_clone_to_owned()?;
        Ok(Self { inotify, events: Receiver::from_file_unchecked(same.into())? })
    }
}

impl FolderWatch {
    /// Starts watching. The folder need not exist yet. Call this within the runtime.
    pub(crate) fn new(folder: &Path) -> Self {
        let queue = EventQueue::new().inspect_err(|error| {
            tracing::warn!(%error, "inotify is unavailable; polling for the trigger file");
        });
        let mut watch = Self { folder: folder.to_owned(), queue: queue.ok(), watched: None };
        watch.renew();
        watch
    }

    /// Watches the folder that is at the path now, if it is a different one.
    pub(crate) fn renew(&mut self) {
        let Some(EventQueue { inotify, .. }) = &self.queue else { return };
        // Errors are reported when the trigger file is checked.
        let current = fs::folder_id(&self.folder).ok().flatten();
        if self.watched.is_some_and(|(_, watched)| Some(watched) == current) {
            return;
        }
        if let Some((old, _)) = self.watched.take() {
            // Fails if the folder was removed, and the watch with it.
            let _gone = inotify.rm_watch(old);
        }
        let kinds = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let Some(current) = current else { return };
        match inotify.add_watch(&self.folder, kinds) {
            Ok(watch) => self.watched = Some((watch, current)),
            Err(error) => tracing::debug!(%error, folder = %self.folder.display(), "cannot watch the folder"),
        }
    }

    /// Waits for a change in the folder; forever if inotify is unavailable.
    pub(crate) async fn changed(&mut self) {
        let Some(EventQueue { events, .. }) = &self.queue else { return std::future::pending().await };
        let mut ignored = [0; EVENT_BUFFER];
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

    async fn changed(watch: &mut FolderWatch) -> bool {
        tokio::time::timeout(Duration::from_secs(10), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn it_reports_changes_even_after_the_folder_is_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("cache");
        let mut watch = FolderWatch::new(&folder);
        std::fs::create_dir(&folder).unwrap();
        watch.renew();
        std::fs::write(folder.join("one"), "").unwrap();
        assert!(changed(&mut watch).await);
        std::fs::rename(&folder, temp.path().join("old")).unwrap();
        std::fs::create_dir(&folder).unwrap();
        watch.renew();
        while tokio::time::timeout(Duration::from_millis(1), watch.changed()).await.is_ok() {}
        std::fs::write(folder.join("two"), "").unwrap();
        assert!(changed(&mut watch).await);
    }
}
