//! Collects the records that jobs leave, before the watch imports and removes them.
#![expect(clippy::disallowed_methods, reason = "reads what the programs write, from outside")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use r3e_common::runtime::run_record::RunRecord;

use super::violations::Violations;

/// How often to look for records. The watch looks every second, so that one in some hundreds is missed.
const POLL: Duration = Duration::from_millis(2);

/// Collects records on a thread until it is dropped.
#[derive(Debug)]
pub(super) struct Records {
    found: Receiver<RunRecord>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Records {
    /// Collects the records in this folder.
    #[must_use]
    pub(super) fn collect(runtime_dir: &Path, violations: Arc<Violations>) -> Self {
        let (folder, over) = (runtime_dir.join("runs"), Arc::new(AtomicBool::new(false)));
        let (sender, found) = channel();
        let thread = {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let mut known = BTreeSet::new();
                while !over.load(Ordering::Relaxed) {
                    read_new(&folder, &mut known, &sender, &violations);
                    std::thread::sleep(POLL);
                }
            })
        };
        Self { found, over, thread: Some(thread) }
    }

    /// Those found since the last call.
    pub(super) fn take(&self) -> impl Iterator<Item = RunRecord> + '_ {
        self.found.try_iter()
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _panicked = thread.join();
        }
    }
}

/// Sends records that are new since the last call; `known` holds the paths present then.
fn read_new(folder: &Path, known: &mut BTreeSet<PathBuf>, found: &Sender<RunRecord>, violations: &Violations) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
    let present: BTreeSet<PathBuf> = entries.filter(|it| it.extension().is_some_and(|it| it == "json")).collect();
    known.retain(|it| present.contains(it));
    for path in present {
        if known.contains(&path) {
            continue;
        }
        // It may have been imported between the two calls.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        match serde_json::from_str(&text) {
            // Nobody receives it at the end of the soak.
            Ok(record) => _ = found.send(record),
            // It was renamed to its name when it was whole.
            Err(error) => violations.add(format!("{}: {error}: {text}", path.display())),
        }
        known.insert(path);
    }
}
