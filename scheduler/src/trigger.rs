//! The trigger file, `refresh_now` in the cache: noticing it, taking it, and never losing what is written to it.
//!
//! It is taken by renaming it to a hidden name, which stays until the refresh that it asks for is over: what is written to
//! `refresh_now` from then on is the next trigger, what a slow writer still adds to the taken file is seen at the end, and
//! a scheduler that is killed meanwhile finds it when it starts again.

mod notice;

use std::path::{Path, PathBuf};

use r3e_common::runtime::fs::FsError;
use r3e_common::runtime::fs::{self, FileId, FileSnapshot, Kind};

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
    /// As it was when it was last looked at, taken or not: it is read when it has stayed the same.
    seen: Option<FileSnapshot>,
    /// The one that was refused, so that it is told once.
    refused: Option<FileId>,
    /// The taken file as it was when it was read.
    read: Option<FileSnapshot>,
    /// The taken file whose refresh is over, and which could not be removed.
    over: Option<FileSnapshot>,
}

impl Trigger {
    pub(crate) fn new(cache: &Path) -> Self {
        Self { cache: cache.to_owned(), seen: None, refused: None, read: None, over: None }
    }

    /// Where the content is once it is taken.
    pub(crate) fn taken(&self) -> PathBuf {
        self.cache.join(TAKEN)
    }

    /// Whether somebody has removed the taken file.
    pub(crate) fn was_removed(&self) -> bool {
        // What cannot be looked at is still there, as far as is known.
        fs::snapshot(&self.taken()).is_ok_and(|it| it.is_none())
    }

    /// Looks for what an earlier scheduler took and did not see through, and then for a new one.
    ///
    /// To be called when nothing that a trigger asked for is left to do; a file has to stay the same for two looks, which the
    /// caller separates by a moment.
    ///
    /// # Errors
    /// When the file system refuses; the next look tries again.
    pub(crate) fn look(&mut self) -> Result<Found, FsError> {
        let taken = self.taken();
        if let Some(seen) = fs::snapshot(&taken)? {
            return self.look_at_taken(&taken, seen);
        }
        let path = self.cache.join(NAME);
        let seen = fs::snapshot(&path)?;
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
        if let Err(why) = content(&path)? {
            return Ok(self.refuse(&path, now, &why));
        }
        fs::rename(&path, &taken)?;
        // Written to in the last moment, it has to settle again.
        match fs::snapshot(&taken)? {
            Some(seen) => self.look_at_taken(&taken, seen),
            None => Ok(Found::Nothing),
        }
    }

    fn look_at_taken(&mut self, path: &Path, now: FileSnapshot) -> Result<Found, FsError> {
        if self.over == Some(now) {
            fs::remove(path)?;
            (self.over, self.seen) = (None, None);
            return Ok(Found::Settling);
        }
        if self.seen.replace(now) != Some(now) {
            return Ok(Found::Settling);
        }
        let text = match acceptable(now) {
            Ok(()) => content(path)?,
            Err(why) => Err(why),
        };
        match text {
            Ok(text) => {
                self.read = Some(now);
                let wanted = if text.trim().is_empty() { Wanted::Everything } else { Wanted::Boards };
                Ok(Found::Taken(wanted))
            }
            Err(why) => {
                let aside = fs::unused(&self.cache.join(".refresh_now.refused"))?;
                tracing::error!("{} is no trigger file: {why}; it is moved to {}", path.display(), aside.display());
                fs::rename(path, &aside)?;
                Ok(Found::Settling)
            }
        }
    }

    /// The refresh that the taken file asked for is over, well or not. Says whether something was written to it meanwhile: it is
    /// then found by the next look.
    ///
    /// # Errors
    /// When it cannot be looked at or removed. Unless something is written to it, it asks for nothing any more.
    pub(crate) fn done(&mut self) -> Result<bool, FsError> {
        let path = self.taken();
        let now = fs::snapshot(&path)?;
        if now.is_some() && now != self.read {
            return Ok(true);
        }
        self.over = self.read.take();
        fs::remove(&path)?;
        (self.over, self.seen) = (None, None);
        Ok(false)
    }

    fn refuse(&mut self, path: &Path, seen: FileSnapshot, why: &str) -> Found {
        tracing::error!("{}: refused: {why}; expected a file of tracks (1693) and boards (5276-8600)", path.display());
        self.refused = Some(seen.id);
        Found::Nothing
    }
}

/// Its text; what is wrong with it, where it is none.
///
/// # Errors
/// When it cannot be read now; it may be later.
fn content(path: &Path) -> Result<Result<String, String>, FsError> {
    match fs::read_text(path, MAX_BYTES) {
        Ok(text) => Ok(Ok(text)),
        // No error of the system: it is not UTF-8, or has grown meanwhile.
        Err(error) if error.cause.raw_os_error().is_none() => Ok(Err(error.cause.to_string())),
        Err(error) => Err(error),
    }
}

/// Whether it may be a trigger file, going by what can be seen from outside.
fn acceptable(seen: FileSnapshot) -> Result<(), String> {
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
    fn one_of_an_editor_of_windows_is_read() {
        let (_cache, mut trigger, path) = trigger();
        for (text, wanted) in [
            ("\u{feff}", Wanted::Everything),
            ("\u{feff}\r\n", Wanted::Everything),
            ("\u{feff}1693\r\n5276-8600\r\n", Wanted::Boards),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(settled(&mut trigger), Found::Taken(wanted), "{text:?}");
            assert!(!trigger.done().unwrap());
        }
        std::fs::write(&path, b"\xff\xfe1\x006\x009\x003\x00").unwrap();
        assert_eq!(settled(&mut trigger), Found::Nothing, "UTF-16 is refused");
        assert!(path.exists());
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
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
        assert!(!trigger.done().unwrap());
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
        assert_eq!(std::fs::read_to_string(trigger.taken()).unwrap(), "5276-8600");
    }

    #[test]
    fn what_a_killed_scheduler_took_is_found() {
        let (cache, mut trigger, path) = trigger();
        std::fs::write(&path, "1693").unwrap();
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
        assert_eq!(settled(&mut Trigger::new(cache.path())), Found::Taken(Wanted::Boards));
    }

    #[test]
    fn one_that_was_written_anew_under_its_taken_name_is_read_again() {
        let (_cache, mut trigger, path) = trigger();
        std::fs::write(&path, "5276-8600").unwrap();
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
        std::fs::write(trigger.taken(), "1693").unwrap();
        assert!(trigger.done().unwrap(), "shorter, and not the same");
        assert_eq!(settled(&mut trigger), Found::Taken(Wanted::Boards));
        assert!(!trigger.done().unwrap());
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
        assert_eq!(settled(&mut trigger), Found::Settling);
        assert_eq!(trigger.look().unwrap(), Found::Nothing);
        assert!(cache.path().join(".refresh_now.refused").is_symlink());
    }
}
