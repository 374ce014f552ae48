//! The trigger file, `refresh_now` in the cache: noticing it, taking it, and never losing what is written to it.
//!
//! It is taken by renaming it to a hidden name, which stays until the refresh that it asks for is over: what is written to
//! `refresh_now` from then on is the next trigger, what a slow writer still adds to the taken file is seen at the end, and
//! a scheduler that is killed meanwhile finds it when it starts again.

mod notice;

use std::path::{Path, PathBuf};

use r3e_common::store::StoreError;
use r3e_common::store::fs::{self, FileId, Kind, Seen};

pub(crate) use notice::Notice;

/// What people and scripts make.
const NAME: &str = "refresh_now";

/// What it is called from when it is taken until its refresh is over.
const TAKEN: &str = ".refresh_now.taken";

/// The most bytes of a trigger file: several times what names every board.
const MAX_BYTES: u64 = 1 << 20;

/// What the trigger file asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It is empty: everything.
    Everything,
    /// The boards that it names.
    Boards,
}

/// What came of looking for the trigger file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is none, or it was refused before.
    Nothing,
    /// There is one that may still be written to: look again a moment later.
    Settling,
    /// It was taken.
    Taken(Wanted),
}

/// The trigger file of a cache.
#[derive(Debug)]
pub(crate) struct Trigger {
    cache: PathBuf,
    /// As it was when it was last looked at: it is taken when it has stayed the same.
    seen: Option<Seen>,
    /// The one that was refused, so that it is told once.
    refused: Option<FileId>,
    /// How long the taken file was when its refresh began.
    read: u64,
}

impl Trigger {
    pub(crate) fn new(cache: &Path) -> Self {
        Self { cache: cache.to_owned(), seen: None, refused: None, read: 0 }
    }

    /// Where the content is once it is taken.
    pub(crate) fn taken(&self) -> PathBuf {
        self.cache.join(TAKEN)
    }

    /// Looks for what an earlier scheduler took and did not see through, and then for a new one.
    ///
    /// To be called when no job that a trigger asked for is waiting or at work; a new file has to stay the same for two
    /// looks, which the caller separates by a moment.
    pub(crate) fn look(&mut self) -> Result<Found, StoreError> {
        if let Some(wanted) = self.read_taken()? {
            return Ok(Found::Taken(wanted));
        }
        let path = self.cache.join(NAME);
        let seen = fs::look(&path)?;
        let before = std::mem::replace(&mut self.seen, seen);
        let Some(now) = seen else {
            self.refused = None;
            return Ok(Found::Nothing);
        };
        if self.refused == Some(now.id) {
            return Ok(Found::Nothing);
        }
        if let Err(why) = acceptable(now) {
            return Ok(self.refuse(&path, now, &why));
        }
        if before != seen {
            return Ok(Found::Settling);
        }
        // Whether it can be read is known before it is taken: what cannot stays where its owner sees it.
        if let Err(error) = fs::read_text(&path, MAX_BYTES) {
            return Ok(self.refuse(&path, now, &error.cause.to_string()));
        }
        fs::rename(&path, &self.taken())?;
        self.seen = None;
        Ok(self.read_taken()?.map_or(Found::Nothing, Found::Taken))
    }

    /// The refresh that the taken file asked for is over, well or not. Says whether something was added to it meanwhile: it is
    /// then to be asked for again.
    pub(crate) fn done(&mut self) -> Result<bool, StoreError> {
        let path = self.taken();
        if fs::look(&path)?.is_some_and(|it| it.bytes > self.read) {
            return Ok(true);
        }
        fs::remove(&path).map(|()| false)
    }

    /// What the taken file asks for; none where there is none. One that cannot be used is told and put aside.
    fn read_taken(&mut self) -> Result<Option<Wanted>, StoreError> {
        let path = self.taken();
        let Some(seen) = fs::look(&path)? else { return Ok(None) };
        let text = acceptable(seen).and_then(|()| fs::read_text(&path, MAX_BYTES).map_err(|it| it.cause.to_string()));
        match text {
            Ok(text) => {
                self.read = text.len() as u64;
                Ok(Some(if text.trim().is_empty() { Wanted::Everything } else { Wanted::Boards }))
            }
            Err(why) => {
                let aside = fs::unused(&self.cache.join(".refresh_now.refused"))?;
                tracing::error!("{} is no trigger file: {why}; it is moved to {}", path.display(), aside.display());
                fs::rename(&path, &aside)?;
                Ok(None)
            }
        }
    }

    fn refuse(&mut self, path: &Path, seen: Seen, why: &str) -> Found {
        tracing::error!("{}: refused: {why}; expected a file of tracks (1693) and boards (5276-8600)", path.display());
        self.refused = Some(seen.id);
        Found::Nothing
    }
}

/// Whether it may be a trigger file, going by what can be seen from outside.
fn acceptable(seen: Seen) -> Result<(), String> {
    match seen.kind {
        Kind::File if seen.bytes <= MAX_BYTES => Ok(()),
        Kind::File => Err(format!("{} bytes, expected at most {MAX_BYTES}", seen.bytes)),
        Kind::Folder => Err("a folder".to_owned()),
        Kind::Link => Err("a symbolic link".to_owned()),
        Kind::Other => Err("a pipe, socket or device".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger() -> (tempfile::TempDir, Trigger, PathBuf) {
        let cache = tempfile::tempdir().unwrap();
        let (trigger, path) = (Trigger::new(cache.path()), cache.path().join(NAME));
        (cache, trigger, path)
    }

    /// What comes of looking twice.
    fn settled(trigger: &mut Trigger) -> Found {
        assert_eq!(trigger.look().unwrap(), Found::Settling);
        trigger.look().unwrap()
    }

    #[test]
    fn it_is_taken_when_it_has_stayed_the_same() {
        let (_cache, mut trigger, path) = trigger();
        assert_eq!(trigger.look().unwrap(), Found::Nothing);
        std::fs::write(&path, "").unwrap();
        assert_eq!(trigger.look().unwrap(), Found::Settling);
        std::fs::write(&path, "1693").unwrap();
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
        assert!(!path.exists());
        assert_eq!(std::fs::read_to_string(trigger.taken()).unwrap(), "1693");
        assert!(!trigger.done().unwrap() && !trigger.taken().exists());
    }

    #[test]
    fn nothing_but_white_space_asks_for_everything() {
        let (_cache, mut trigger, path) = trigger();
        for text in ["", "\n", " \t\r\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Everything), "{text:?}");
            assert!(!trigger.done().unwrap());
        }
    }

    #[test]
    fn what_is_written_meanwhile_is_not_lost() {
        use std::io::Write as _;
        let (_cache, mut trigger, path) = trigger();
        let mut slow = std::fs::File::create(&path).unwrap();
        slow.write_all(b"1693 ").unwrap();
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
        std::fs::write(&path, "5276-8600").unwrap();
        slow.write_all(b"1778").unwrap();
        assert!(trigger.done().unwrap());
        assert_eq!(trigger.look().unwrap(), Found::Taken(Wanted::Boards));
        assert!(!trigger.done().unwrap());
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
        assert_eq!(std::fs::read_to_string(trigger.taken()).unwrap(), "5276-8600");
    }

    #[test]
    fn what_a_killed_scheduler_took_is_found() {
        let (cache, mut trigger, path) = trigger();
        std::fs::write(&path, "1693").unwrap();
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
        assert_eq!(Trigger::new(cache.path()).look().unwrap(), Found::Taken(Wanted::Boards));
    }

    #[test]
    fn what_is_no_file_of_text_is_refused_and_stays() {
        let (cache, mut trigger, path) = trigger();
        let secret = cache.path().join("secret");
        std::fs::write(&secret, "1693").unwrap();
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        assert_eq!((trigger.look().unwrap(), trigger.look().unwrap()), (Found::Nothing, Found::Nothing));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!((trigger.look().unwrap(), trigger.look().unwrap()), (Found::Nothing, Found::Nothing));
        std::fs::remove_dir(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!((trigger.look().unwrap(), trigger.look().unwrap()), (Found::Nothing, Found::Nothing));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, vec![b' '; 1 + usize::try_from(MAX_BYTES).unwrap()]).unwrap();
        assert_eq!((trigger.look().unwrap(), trigger.look().unwrap()), (Found::Nothing, Found::Nothing));
        std::fs::write(&path, b"\xff\xfe").unwrap();
        assert_eq!(settled(&mut trigger), Found::Nothing);
        assert!(path.exists() && !trigger.taken().exists());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "1693").unwrap();
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
    }

    #[test]
    fn what_was_put_in_the_place_of_the_taken_file_is_put_aside() {
        let (cache, mut trigger, _) = trigger();
        std::os::unix::fs::symlink("/etc/passwd", trigger.taken()).unwrap();
        assert_eq!(trigger.look().unwrap(), Found::Nothing);
        assert!(cache.path().join(".refresh_now.refused").is_symlink());
    }
}
