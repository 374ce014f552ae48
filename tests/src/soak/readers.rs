//! Concurrent readers: one polls the published files, one scrapes the metrics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use r3e_common::domain::Combination;

use super::folder::Folder;
use super::http::{get, is_refused};
use super::violations::Violations;
use crate::harness::{Observed, gunzip, read_published};

/// How long each waits between two passes.
const PAUSE: Duration = Duration::from_millis(50);

/// What `serve` is asked for besides the metrics, one after another.
const PAGES: [&str; 5] =
    ["/", "/monitor", "/cache/status.json", "/cache/driver_index.json.gz", "/cache/stats/index.json"];

/// What readers share with the soak.
#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    /// Readers read it for each pass, so that a measurement can wait until none is under way.
    gate: RwLock<()>,
    passes: AtomicU64,
    scrapes: AtomicU64,
    /// Pages that were refused while daemons were stopped and killed.
    refused: AtomicU64,
    /// Whether no daemon is stopped or killed any more.
    expect_no_refusals: AtomicBool,
}

/// The threads of the readers. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Readers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Reads the published files and the metrics until it is dropped.
    #[must_use]
    pub(super) fn start(folder: &Folder, boards: Vec<Combination>, violations: &Arc<Violations>) -> Self {
        let shared = Arc::new(Shared::default());
        let poll = {
            let (shared, cache, violations) = (Arc::clone(&shared), folder.cache(), Arc::clone(violations));
            move || {
                let mut seen = Observed::default();
                shared.repeat(|| {
                    let read = catch_unwind(AssertUnwindSafe(|| read_published(&cache, &boards, &mut seen)));
                    if let Err(panic) = read {
                        violations.add(format!("a reader of the cache: {}", text(&*panic)));
                    }
                    shared.passes.fetch_add(1, Ordering::Relaxed);
                });
            }
        };
        let scrape = {
            let (shared, port, violations) = (Arc::clone(&shared), folder.port, Arc::clone(violations));
            move || {
                let mut pages = PAGES.iter().cycle();
                shared.repeat(|| {
                    for path in ["/metrics", pages.next().unwrap_or(&"/")] {
                        match get(port, path) {
                            Ok(body) => {
                                shared.scrapes.fetch_add(1, Ordering::Relaxed);
                                if let Err(panic) = catch_unwind(|| check(path, &body)) {
                                    violations.add(format!("{path}: {}", text(&*panic)));
                                }
                            }
                            Err(error) if is_refused(&error) && !shared.expect_no_refusals.load(Ordering::Relaxed) => {
                                shared.refused.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) => violations.add(format!("serve: {error:#}")),
                        }
                    }
                });
            }
        };
        Self { shared, threads: vec![std::thread::spawn(poll), std::thread::spawn(scrape)] }
    }

    /// Keeps all readers away until it is dropped; when this returns, none has a connection or a file open.
    pub(super) fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.shared.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, all daemons are there, so each request that fails is a loss.
    pub(super) fn expect_no_refusals(&self) {
        self.shared.expect_no_refusals.store(true, Ordering::Relaxed);
    }

    /// How often the files were read, pages were served, and a page was refused.
    #[must_use]
    pub(super) fn counts(&self) -> [u64; 3] {
        [&self.shared.passes, &self.shared.scrapes, &self.shared.refused].map(|it| it.load(Ordering::Relaxed))
    }
}

impl Shared {
    fn repeat(&self, mut pass: impl FnMut()) {
        while !self.over.load(Ordering::Relaxed) {
            {
                let _under_way = self.gate.read().unwrap_or_else(PoisonError::into_inner);
                pass();
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic there has been printed.
            let _panicked = thread.join();
        }
    }
}

/// Checks that a page is whole: the metrics have the figures of a program, and a compressed file can be decompressed.
fn check(path: &str, body: &[u8]) {
    if path == "/metrics" {
        let text = String::from_utf8_lossy(body);
        let is_whole = text.contains("r3e_answers") && text.contains("r3e_scrape_error") && text.ends_with('\n');
        assert!(is_whole, "{text}");
    } else if Path::new(path).extension().is_some_and(|it| it == "gz") {
        let _whole = gunzip(body, Path::new(path));
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap_or_default()
}
