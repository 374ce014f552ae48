//! The trigger file: `refresh_now` in the cache.
//!
//! It is taken by renaming it to a hidden name, which stays until its job is finished. So a new `refresh_now` is the next
//! trigger, additions of a slow writer to the taken file are noticed at the end, and a restarted scheduler finds it.

mod folder_watch;

use std::path::{Path, PathBuf};

use r3e_common::runtime::fs::FsError;
use r3e_common::runtime::fs::{self, FileId, FileSnapshot, Kind};

pub(crate) use folder_watch::FolderWatch;

/// Created by people and scripts.
const NAME: &str = "refresh_now";

/// Its name from when it is taken until its job is finished.
const TAKEN: &str = ".refresh_now.taken";

/// Several times the size of a list of all boards.
const MAX_BYTES: u64 = 1 << 20;

/// What the trigger file requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// All boards, because it is empty.
    All,
    /// The boards it names.
    Boards,
}

/// The result of checking the trigger file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is none, or it was refused already.
    Nothing,
    /// There is one that may still be written to: check again soon.
    Settling,
    /// It was taken.
    Taken(Request),
}

/// The trigger file of a cache.
#[derive(Debug)]
pub(crate) struct Trigger {
    cache: PathBuf,
    /// The file, taken or not, at the last check. It is read if it has not changed since.
    last: Option<FileSnapshot>,
    /// The file that was refused, so that this is logged once.
    refused: Option<FileId>,
    /// The taken file when it was read.
    read: Option<FileSnapshot>,
    /// The taken file whose job is finished, but which could not be removed.
    finished: Option<FileSnapshot>,
}

impl Trigger {
    pub(crate) fn new(cache: &Path) -> Self {
        Self { cache: cache.to_owned(), last: None, refused: None, read: None, finished: None }
    }

    /// The path of the taken file.
    pub(crate) fn taken_path(&self) -> PathBuf {
        self.cache.join(TAKEN)
    }

    /// Whether the taken file was removed.
    pub(crate) fn was_removed(&self) -> bool {
        // If that is unknown, assume that it exists.
        fs::snapshot(&self.taken_path()).is_ok_and(|it| it.is_none())
    }

    /// Checks for a file that was taken by an earlier scheduler, then for a new one. A file is taken if it is unchanged since the
    /// last check, which must be a moment ago. Do not call this while the job of a taken file is unfinished.
    ///
    /// # Errors
    /// If the file system fails; the next check retries.
    pub(crate) fn check(&mut self) -> Result<Found, FsError> {
        let taken = self.taken_path();
        if let Some(now) = fs::snapshot(&taken)? {
            return self.check_taken(&taken, now);
        }
        let path = self.cache.join(NAME);
        let current = fs::snapshot(&path)?;
        let before = std::mem::replace(&mut self.last, current);
        let Some(now) = current else {
            self.refused = None;
            return Ok(Found::Nothing);
        };
        if self.refused == Some(now.id) {
            return Ok(Found::Nothing);
        }
        if let Err(problem) = validate(now) {
            return Ok(self.refuse(&path, now, &problem));
        }
        if before != current {
            return Ok(Found::Settling);
        }
        // Read it before taking it: an invalid file stays where its owner sees it.
        if let Err(problem) = content(&path)? {
            return Ok(self.refuse(&path, now, &problem));
        }
        fs::rename(&path, &taken)?;
        // If it was written to just now, it has to settle again.
        match fs::snapshot(&taken)? {
            Some(now) => self.check_taken(&taken, now),
            None => Ok(Found::Nothing),
        }
    }

    fn check_taken(&mut self, path: &Path, now: FileSnapshot) -> Result<Found, FsError> {
        if self.finished == Some(now) {
            fs::remove(path)?;
            (self.finished, self.last) = (None, None);
            return Ok(Found::Settling);
        }
        if self.last.replace(now) != Some(now) {
            return Ok(Found::Settling);
        }
        let text = match validate(now) {
            Ok(()) => content(path)?,
            Err(problem) => Err(problem),
        };
        match text {
            Ok(text) => {
                self.read = Some(now);
                let request = if text.trim().is_empty() { Request::All } else { Request::Boards };
                Ok(Found::Taken(request))
            }
            Err(problem) => {
                let aside = fs::unused(&self.cache.join(".refresh_now.refused"))?;
                tracing::error!(path = %path.display(), problem, aside = %aside.display(), "invalid trigger file; moving it aside");
                fs::rename(path, &aside)?;
                Ok(Found::Settling)
            }
        }
    }

    /// Removes the taken file, because its job is finished. Returns `true` if it was written to since it was read; it then stays
    /// for the next check.
    ///
    /// # Errors
    /// If it cannot be examined or removed. It then requests nothing more, unless it is written to.
    pub(crate) fn finish(&mut self) -> Result<bool, FsError> {
        let path = self.taken_path();
        let now = fs::snapshot(&path)?;
        if now.is_some() && now != self.read {
            return Ok(true);
        }
        self.finished = self.read.take();
        fs::remove(&path)?;
        (self.finished, self.last) = (None, None);
        Ok(false)
    }

    fn refuse(&mut self, path: &Path, file: FileSnapshot, problem: &str) -> Found {
        tracing::error!(path = %path.display(), %problem, "invalid trigger file; expected a list of tracks (1693) and boards (5276-8600)");
        self.refused = Some(file.id);
        Found::Nothing
    }
}

/// The file's text, or what is wrong with it.
///
/// # Errors
/// If it cannot be read now, but perhaps later.
fn content(path: &Path) -> Result<Result<String, String>, FsError> {
    match fs::read_text(path, MAX_BYTES) {
        Ok(text) => Ok(Ok(text)),
        // Not an error of the system: not UTF-8, or too large.
        Err(error) if error.cause.raw_os_error().is_none() => Ok(Err(error.cause.to_string())),
        Err(error) => Err(error),
    }
}

/// Checks kind and size.
fn validate(file: FileSnapshot) -> Result<(), String> {
    match file.kind {
        Kind::File if file.bytes <= MAX_BYTES => Ok(()),
        Kind::File => Err(format!("{} bytes, expected at most {MAX_BYTES}", file.bytes)),
        Kind::Folder => Err("a folder".to_owned()),
        Kind::Link => Err("a symbolic link".to_owned()),
        Kind::Other => Err("a pipe, socket or device".to_owned()),
    }
}

#[cfg(test)]
mod tests;
