//! A temporary folder for one test, with a cache in it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use r3e_common::domain::Catalog;
use tempfile::TempDir;

use super::processes::kill_all_of;
use super::running::Invocation;
use crate::sim::{SimOptions, Simulator};

/// A temporary folder in which a test runs programs. Dropping it kills every process started there and removes the folder.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    has_catalog: bool,
}

impl Place {
    /// An empty folder, with the built-in catalogue.
    #[must_use]
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// Like [`Place::new`], inside `folder`.
    fn within(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap();
        // An `r3e.toml` in the working directory keeps programs from reading the machine's.
        fs::write(folder.path().join("r3e.toml"), "").unwrap();
        Self { folder, has_catalog: false }
    }

    /// An empty folder, with the given catalogue.
    #[must_use]
    pub fn with_catalog(catalog: &Catalog) -> Self {
        Self::with_catalog_in(&std::env::temp_dir(), catalog)
    }

    /// Like [`Place::with_catalog`], on a memory file system if there is one. For tests that run hundreds of programs: each
    /// of them syncs, and on a disk would wait for the writes of all others.
    #[must_use]
    pub fn in_memory(catalog: &Catalog) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::with_catalog_in(memory, catalog) } else { Self::with_catalog(catalog) }
    }

    /// Like [`Place::with_catalog`], inside `folder`.
    #[must_use]
    pub fn with_catalog_in(folder: &Path, catalog: &Catalog) -> Self {
        let mut place = Self::within(folder);
        place.has_catalog = true;
        fs::write(place.path("catalog.toml"), catalog.to_toml()).unwrap();
        place
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// The staging folder.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.path("cache_temp")
    }

    /// Kills every process started here, including those that they are still starting.
    pub fn kill_all(&self) {
        kill_all_of(self.folder.path());
    }

    /// The loader, ready to run here against the service at `upstream`, with short pauses between retries.
    #[must_use]
    pub fn loader(&self, upstream: &str) -> Invocation {
        self.job("r3e-loader", upstream)
    }

    /// The refresher, as [`Place::loader`].
    #[must_use]
    pub fn refresher(&self, upstream: &str, arguments: &[&str]) -> Invocation {
        self.job("r3e-refresher", upstream).arguments(arguments)
    }

    /// Writes the simulator's CA certificate to a file, for `SSL_CERT_FILE`, and returns its path.
    ///
    /// # Panics
    /// If the simulator does not use TLS.
    #[must_use]
    pub fn authority(&self, simulator: &Simulator) -> String {
        let path = self.path("ca.pem");
        fs::write(&path, simulator.ca_pem().unwrap()).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn job(&self, program: &'static str, upstream: &str) -> Invocation {
        let job = Invocation::new(program, self.folder.path())
            .argument("--json")
            .set("upstream.base_url", upstream)
            .set("upstream.requests_per_second", "100000")
            .set("upstream.backoff_min", "10ms")
            .set("upstream.backoff_max", "50ms")
            .set("log.format", "json")
            .set("runtime.dir", &self.path("run").to_string_lossy());
        if self.has_catalog { job.set("catalog.path", "catalog.toml") } else { job }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A second panic would abort all tests of this binary; what is left is then killed at its end.
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.kill_all()));
        if let Err(panic) = killed
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

/// A catalogue with this many tracks and classes, for tests that do not need thousands of boards.
#[must_use]
pub fn grid(tracks: u32, classes: u32) -> Catalog {
    let mut text = String::new();
    for (kind, count, first) in [("track", tracks, 101), ("class", classes, 9001)] {
        for number in 0..count {
            // Ids descend while names ascend, so that sorting by id differs from catalogue order.
            let id = first + count - number;
            writeln!(text, "[[{kind}]]\nid = {id}\nname = \"{kind} \\\"{number}\\\" – é\"").unwrap();
        }
    }
    Catalog::from_toml(&text).unwrap()
}

/// A simulator with a [`grid`] of this many tracks and classes, and a place with the same catalogue.
///
/// # Panics
/// If the simulator cannot start.
#[must_use]
pub fn simulated(tracks: u32, classes: u32, options: SimOptions) -> (Simulator, Place) {
    let catalog = grid(tracks, classes);
    let place = Place::with_catalog(&catalog);
    (Simulator::start(SimOptions { catalog, ..options }).unwrap(), place)
}
