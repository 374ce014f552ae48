//! Files that are complete but not at their paths yet, so that many can be put there together.

use std::fs;
use std::path::{Path, PathBuf};

use super::{At as _, FsError, NewFile, parent, remove, same_content};

/// A file that is complete, under its hidden name. It is removed unless it is put in its place.
#[derive(Debug)]
pub struct Complete {
    temporary: PathBuf,
    target: PathBuf,
    is_put: bool,
}

impl NewFile {
    /// Ends the file without syncing it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn complete(mut self) -> Result<Complete, FsError> {
        self.flushed()?;
        // From here on the other type removes it.
        self.committed = true;
        Ok(Complete { temporary: self.temporary.clone(), target: self.target.clone(), is_put: false })
    }
}

impl Complete {
    /// Whether its bytes, or the first `up_to` of them, are those at its path already.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn is_there(&self, up_to: Option<u64>) -> Result<bool, FsError> {
        same_content(&self.temporary, &self.target, up_to)
    }

    /// The folder that it belongs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        parent(&self.target)
    }

    /// Puts it in its place. Syncs neither the file nor its folder.
    ///
    /// # Errors
    /// When the system refuses; the target is then what it was.
    pub fn put(mut self) -> Result<(), FsError> {
        fs::rename(&self.temporary, &self.target).at("move to", &self.target)?;
        self.is_put = true;
        Ok(())
    }
}

impl Drop for Complete {
    fn drop(&mut self) {
        if !self.is_put
            && let Err(error) = remove(&self.temporary)
        {
            tracing::warn!(%error, "an unfinished file stays; the next writer overwrites it");
        }
    }
}
