//! Faults at an exact call of a program, by a library that is loaded into it: the program itself is the one that ships.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::running::Invocation;

/// The library's source, which says what it can do.
const SOURCE: &str = include_str!("faults.c");

/// A call of a program: which, on which file, named by the end of its path.
pub type Call<'a> = (&'a str, &'a str);

/// What happens at a call.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// It fails with that error of the system.
    Fails(i32),
    /// So do all calls of these kinds from then on, as far as they are about a cache or staging folder.
    FailFromThenOn(i32, &'static str),
    /// The process gets that signal, before the call is made.
    Signal(i32),
    /// The time of day moves by so many seconds.
    Clock(i64),
}

impl Invocation {
    /// Struck at the last of these calls, once each before it has happened, in that order.
    ///
    /// # Panics
    /// When the library cannot be compiled.
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

    /// With a clock that is so many seconds ahead.
    ///
    /// # Panics
    /// When the library cannot be compiled.
    #[must_use]
    pub fn clock_ahead(self, seconds: i64) -> Self {
        self.variable("LD_PRELOAD", &library().to_string_lossy()).variable("CLOCK_AHEAD", &seconds.to_string())
    }
}

/// The call that was struck in a program that ran in that folder, and its path; none where none was.
#[must_use]
pub fn was_struck(folder: &Path) -> Option<(String, PathBuf)> {
    let text = fs::read_to_string(mark(folder)).ok()?;
    let (call, path) = text.split_once(' ').unwrap();
    Some((call.to_owned(), path.into()))
}

fn mark(folder: &Path) -> PathBuf {
    folder.join("struck")
}

/// The library, compiled when it is first asked for, under a name that tells its source.
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
            // Another test binary may be doing the same: the last one's is as good as the first one's.
            object.persist(&library).unwrap();
        }
        library.canonicalize().unwrap()
    })
}
