//! A folder of a test's own, with the cache in it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use r3e_common::domain::Catalog;
use tempfile::TempDir;

use super::processes::kill_all_of;
use super::running::Invocation;
use crate::sim::{SimOptions, Simulator};

/// A folder that is gone when the test is over, and with it every process that was started there. The program runs in it.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    has_catalog: bool,
}

impl Place {
    /// An empty place; the whole catalogue is in force.
    #[must_use]
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// An empty place in that folder.
    fn within(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap();
        // The file of the working directory is found before that of the machine, which is none of a test's business.
        fs::write(folder.path().join("r3e.toml"), "").unwrap();
        Self { folder, has_catalog: false }
    }

    /// An empty place with that catalogue in force.
    #[must_use]
    pub fn with_catalog(catalog: &Catalog) -> Self {
        Self::with_catalog_in(&std::env::temp_dir(), catalog)
    }

    /// Likewise, in memory where the system has a folder for that: for tests that run programs by the hundred, each of
    /// which brings what it wrote to the disk, and on a disk waits for all that others write to it.
    #[must_use]
    pub fn in_memory(catalog: &Catalog) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::with_catalog_in(memory, catalog) } else { Self::with_catalog(catalog) }
    }

    /// Likewise, in that folder.
    #[must_use]
    pub fn with_catalog_in(folder: &Path, catalog: &Catalog) -> Self {
        let mut place = Self::within(folder);
        place.has_catalog = true;
        fs::write(place.path("catalog.toml"), catalog.to_toml()).unwrap();
        place
    }

    /// A path in it.
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

    /// Ends every process that was started here, and all that these start meanwhile.
    pub fn kill_all(&self) {
        kill_all_of(self.folder.path());
    }

    /// The loader, about to run here against the service at that address, impatient as tests are.
    #[must_use]
    pub fn loader(&self, upstream: &str) -> Invocation {
        self.job("r3e-loader", upstream)
    }

    /// The refresher, likewise.
    #[must_use]
    pub fn refresher(&self, upstream: &str, arguments: &[&str]) -> Invocation {
        self.job("r3e-refresher", upstream).arguments(arguments)
    }

    /// The certificate of the simulator's authority in a file, for `SSL_CERT_FILE`.
    ///
    /// # Panics
    /// When the simulator does not speak TLS.
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
        // A second panic would end all tests of this program; what is left then is ended with it.
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

/// A catalogue of so many tracks and classes, for tests that do not need thousands of boards.
#[must_use]
pub fn grid(tracks: u32, classes: u32) -> Catalog {
    let mut text = String::new();
    for (kind, count, first) in [("track", tracks, 101), ("class", classes, 9001)] {
        for number in 0..count {
            // Ids fall where names rise, so that an order by id is seen to be another than that of the catalogue.
            let id = first + count - number;
            writeln!(text, "[[{kind}]]\nid = {id}\nname = \"{kind} \\\"{number}\\\" – é\"").unwrap();
        }
    }
    Catalog::from_toml(&text).unwrap()
}

/// A service that has a [`grid`] of so many tracks and classes, and a place with that catalogue in force.
///
/// # Panics
/// When the service cannot start.
#[must_use]
pub fn simulated(tracks: u32, classes: u32, options: SimOptions) -> (Simulator, Place) {
    let catalog = grid(tracks, classes);
    let place = Place::with_catalog(&catalog);
    (Simulator::start(SimOptions { catalog, ..options }).unwrap(), place)
}
