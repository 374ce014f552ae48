//! The log of a program, kept in a file of bounded size as a supervisor would, and counted.
#![expect(clippy::disallowed_methods, reason = "outside the programs, and their rules for files")]

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::violations::Violations;

/// Size of a log file at which it is moved aside; one earlier file is kept.
const MAX_BYTES: u64 = 1 << 20;

/// What a program has logged in all its lives.
#[derive(Debug, Default)]
pub(super) struct Logged {
    /// Lines.
    pub(super) lines: AtomicU64,
    /// Bytes.
    pub(super) bytes: AtomicU64,
}

/// A log file, which is moved aside when it is full.
#[derive(Debug)]
struct Rotated {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Rotated {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        Ok(Self { path: path.to_owned(), bytes: file.metadata()?.len(), file })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes >= MAX_BYTES {
            fs::rename(&self.path, self.path.with_extension("1.log"))?;
            *self = Self::open(&self.path)?;
        }
        self.bytes += line.len() as u64;
        self.file.write_all(line)
    }
}

/// Copies the log of a process to a file until the process and its children have closed it. A panic in it is a loss.
///
/// # Errors
/// If the file cannot be opened.
pub(super) fn keep(
    output: impl Read + Send + 'static,
    path: &Path,
    logged: Arc<Logged>,
    violations: Arc<Violations>,
) -> io::Result<JoinHandle<()>> {
    let mut file = Rotated::open(path)?;
    Ok(std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            logged.lines.fetch_add(1, Ordering::Relaxed);
            logged.bytes.fetch_add(line.len() as u64, Ordering::Relaxed);
            let text = String::from_utf8_lossy(&line);
            if text.contains("panicked") {
                violations.add(format!("{}: {}", file.path.display(), text.trim_end()));
            }
            // A full disk must not stop the program that logs.
            let _full = file.write(&line);
            line.clear();
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_counted_and_its_files_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.log");
        let text = format!("{}\nthread 'x' panicked at y\n", "x".repeat(1023)).repeat(3000);
        let (logged, violations) = (Arc::new(Logged::default()), Arc::new(Violations::default()));
        keep(io::Cursor::new(text.clone()), &path, Arc::clone(&logged), Arc::clone(&violations))
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(logged.lines.load(Ordering::Relaxed), 6000);
        assert_eq!(violations.all().1, 3000);
        assert_eq!(logged.bytes.load(Ordering::Relaxed), text.len() as u64);
        let bytes = |path: &Path| path.metadata().unwrap().len();
        assert!(bytes(&path) + bytes(&path.with_extension("1.log")) <= 2 * MAX_BYTES + 2048);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
