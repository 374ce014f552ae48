//! Injects faults at an exact system call, with an `LD_PRELOAD` library. The program itself is the release build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::running::Invocation;

/// The library's source, which documents its features.
const SOURCE: &str = include_str!("faults.c");

/// A call of a program: the function, and the end of the file's path.
pub type Call<'a> = (&'a str, &'a str);

/// The fault to inject.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// The call fails with this errno.
    Fails(i32),
    /// It fails, and so do all later calls of these kinds on files in a cache or staging folder.
    FailFromThenOn(i32, &'static str),
    /// The process receives this signal before the call.
    Signal(i32),
    /// The clock jumps by this many seconds.
    Clock(i64),
}

impl Invocation {
    /// Injects the fault at the last of these calls, after each of the others has happened, in this order.
    ///
    /// # Panics
    /// If the library cannot be compiled.
    #[must_use]
    pub fn struck(self, calls: &[Call<'_>], what: What) -> Self {
        let lines: Vec<String> = calls.iter().map(|(call, path)| format!("{call} {path}")).collect();
        let mark = mark(self.folder());
        let (order, then) = match what {
            What::Fails(errno) => (format!("errno {errno}"), None),
            What::FailFromThenOn(errno, calls) => (format!("errno {errno}"), Some(calls)),
            What::Signal(number) => (format!("signal {number}"), None),
            What::Clock(seconds) => (format!("clock {seconds}"), None),
        };
        let struck = self
            .variable("LD_PRELOAD", &library().to_string_lossy())
            .variable("FAULT_AT", &lines.join("\n"))
            .variable("FAULT_DO", &order)
            .variable("FAULT_MARK", &mark.to_string_lossy());
        then.into_iter().fold(struck, |it, calls| it.variable("FAULT_THEN", calls))
    }

    /// Runs with a clock that is this many seconds ahead.
    ///
    /// # Panics
    /// If the library cannot be compiled.
    #[must_use]
    pub fn clock_ahead(self, seconds: i64) -> Self {
        self.variable("LD_PRELOAD", &library().to_string_lossy()).variable("CLOCK_AHEAD", &seconds.to_string())
    }
}

/// The call at which a fault was injected into a program in this folder, and its path. `None` if there was none.
#[must_use]
pub fn was_struck(folder: &Path) -> Option<(String, PathBuf)> {
    let text = fs::read_to_string(mark(folder)).ok()?;
    let (call, path) = text.split_once(' ').unwrap();
    Some((call.to_owned(), path.into()))
}

fn mark(folder: &Path) -> PathBuf {
    folder.join("struck")
}

/// The library, compiled on first use. Its file name contains a hash of the source.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut checksum = flate2::Crc::new();
        checksum.update(SOURCE.as_bytes());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/faults");
        fs::create_dir_all(&folder).unwrap();
        let library = folder.join(format!("{:08x}.so", checksum.sum()));
        if !library.exists() {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/harness/faults.c");
            let object = tempfile::NamedTempFile::new_in(&folder).unwrap().into_temp_path();
            let arguments = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"];
            let told = Command::new("cc").args(arguments).arg(&object).arg(&source).arg("-ldl").status().unwrap();
            assert!(told.success(), "the library of faults: {told}");
            // Another test binary may do the same at the same time; either result is fine.
            object.persist(&library).unwrap();
        }
        library.canonicalize().unwrap()
    })
}
