//! Files that are complete but not at their targets yet, so that many can be moved there together.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::{At as _, FsError, parent, remove, unless_missing};

/// A complete file under its hidden name. Dropping it before it is moved to its target removes it.
#[derive(Debug)]
pub struct Complete {
    temporary: PathBuf,
    target: PathBuf,
    is_moved: bool,
}

impl Complete {
    pub(super) fn new(temporary: PathBuf, target: PathBuf) -> Self {
        Self { temporary, target, is_moved: false }
    }

    /// Whether the target has the same content already, or the same first `up_to` bytes.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn is_published(&self, up_to: Option<u64>) -> Result<bool, FsError> {
        same_content(&self.temporary, &self.target, up_to)
    }

    /// The folder of its target.
    #[must_use]
    pub fn folder(&self) -> &Path {
        parent(&self.target)
    }

    /// Moves the file to its target. Syncs neither the file nor its folder.
    ///
    /// # Errors
    /// If the system refuses. The target is unchanged then.
    pub fn publish(mut self) -> Result<(), FsError> {
        fs::rename(&self.temporary, &self.target).at("move to", &self.target)?;
        self.is_moved = true;
        Ok(())
    }
}

impl Drop for Complete {
    fn drop(&mut self) {
        if !self.is_moved
            && let Err(error) = remove(&self.temporary)
        {
            tracing::warn!(%error, "cannot remove an unfinished file; the next writer overwrites it");
        }
    }
}

/// Whether both files exist with the same content, or the same first `up_to` bytes.
fn same_content(one: &Path, other: &Path, up_to: Option<u64>) -> Result<bool, FsError> {
    let theirs = match File::open(other) {
        // Only its owner may read it, so it is replaced.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        opened => unless_missing(opened).at("open", other)?,
    };
    let Some(theirs) = theirs else { return Ok(false) };
    let ours = File::open(one).at("open", one)?;
    let length = |file: &File, path| file.metadata().at("look at", path).map(|it| it.len());
    if up_to.is_none() && length(&ours, one)? != length(&theirs, other)? {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (BufReader::new(ours.take(up_to.unwrap_or(u64::MAX))), BufReader::new(theirs));
    let (mut a, mut b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = ours.read(&mut a).at("read", one)?;
        if read == 0 {
            return Ok(true);
        }
        match theirs.read_exact(&mut b[..read]) {
            Ok(()) if a[..read] == b[..read] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error).at("read", other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::fs::{NewFile, list, read_text};
    use std::io::Write as _;

    #[test]
    fn a_file_tells_whether_its_target_has_the_same_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let complete = |text: &str| {
            let mut file = NewFile::create(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.complete().unwrap()
        };
        assert!(!complete("one").is_published(None).unwrap());
        assert_eq!(list(folder.path()).unwrap(), Vec::<PathBuf>::new());
        complete("one").publish().unwrap();
        for (text, up_to, expected) in [
            ("one", None, true),
            ("two", None, false),
            ("ones", None, false),
            ("ore", Some(1), true),
            ("one more", Some(4), false),
        ] {
            assert_eq!(complete(text).is_published(up_to).unwrap(), expected, "{text}");
        }
        assert_eq!(read_text(&path, 100).unwrap(), "one");
        assert_eq!(list(folder.path()).unwrap(), [path]);
    }
}
