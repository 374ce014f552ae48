//! A board that is much smaller than the cached one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use serde_json::value::RawValue;

use super::*;
use crate::domain::Validators;
use crate::store::{BoardEncoder, Buffers, Cache, Holder, Shrinking, WriterLock};
use crate::upstream::test_service::{Listing, Service, entry, page};

const BOARD: &str = "2-3";
const CATALOG: &str = "[[track]]\nid = 2\nname = 'N'\n[[class]]\nid = 3\nname = 'C'\n";

/// A cache with one board, and a service that sends it.
struct World {
    service: Service,
    fetcher: Fetcher,
    /// How often the board was requested from its beginning.
    attempts: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl World {
    /// `cached` is the number of cached entries; `sent` returns the numbers of entries and of entries per page of the n-th
    /// response.
    fn new(cached: u32, sent: impl Fn(usize) -> (u32, usize) + Send + 'static) -> Self {
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&attempts);
        let answer = move |Listing { start, count }: Listing| {
            counted.fetch_add(usize::from(start == 0), Ordering::Relaxed);
            let (entries, page_length) = sent(counted.load(Ordering::Relaxed));
            let rows = entries_of(entries).into_iter().skip(start).take(count.min(page_length));
            page(&rows.collect::<Vec<_>>()).into()
        };
        let (service, folder) = (Service::new(answer, 50, 1), tempfile::tempdir().unwrap());
        let (cache, staging) = (folder.path().join("cache"), folder.path().join("staging"));
        let holder = Holder { program: "test".into(), pid: 1, since: String::new(), doing: String::new() };
        let lock = WriterLock::acquire(&cache, &staging, &holder).unwrap();
        let (cache, never) = (Cache::new(&cache), CancellationToken::new());
        let (staging, _) = Staging::open(lock, &staging, cache, |_| true, SystemTime::now(), &never).unwrap();
        let mut encoder = BoardEncoder::new(BOARD.parse().unwrap(), "N", &Validators::default());
        for entry in entries_of(cached) {
            assert!(encoder.push(&RawValue::from_string(entry).unwrap()));
        }
        let _changed = staging.accept(&encoder.finish("t"), Destination::Cache, Shrinking::Accepted).unwrap();
        let fetcher = Fetcher {
            client: Arc::clone(&service.client),
            staging: Arc::new(staging),
            destination: Destination::Cache,
            catalog: Arc::new(Catalog::from_toml(CATALOG).unwrap()),
            progress: Arc::new(Progress::new()),
            concurrency: 1,
            concurrency_limit: ConcurrencyLimit::new(1),
            until: None,
            tasks: Tasks::default(),
            clock: SystemTime::now,
        };
        Self { service, fetcher, attempts, _folder: folder }
    }

    fn fetch(&self) -> Fetched {
        let never = CancellationToken::new();
        self.service.runtime.block_on(self.fetcher.fetch(vec![Ordinal(0)], &never)).unwrap()
    }

    fn cached(&self) -> usize {
        let board = BOARD.parse().unwrap();
        self.fetcher.staging.cache().count_entries(board, &mut Buffers::default()).unwrap().unwrap()
    }
}

fn entries_of(count: u32) -> Vec<String> {
    (0..count).map(|driver| entry(driver, driver as usize)).collect()
}

#[test]
fn a_much_smaller_board_is_accepted_only_if_two_responses_agree() {
    const CHANGED: Arrivals = Arrivals { changed: 1, unchanged: 0, empty: 0, kept: 0 };
    const UNCHANGED: Arrivals = Arrivals { changed: 0, unchanged: 1, empty: 0, kept: 0 };
    const KEPT: Arrivals = Arrivals { changed: 0, unchanged: 0, empty: 0, kept: 1 };
    const FAILED: Arrivals = Arrivals { changed: 0, unchanged: 0, empty: 0, kept: 0 };
    let cases: [(&[u32], Arrivals, usize); 9] = [
        (&[100], UNCHANGED, 100),
        (&[95], CHANGED, 95),
        (&[50, 50], CHANGED, 50),
        (&[50, 49], CHANGED, 49),
        (&[50, 100], UNCHANGED, 100),
        (&[50, 20, 20], CHANGED, 20),
        (&[50, 20, 98], CHANGED, 98),
        (&[50, 0], KEPT, 100),
        (&[50, 20, 80], FAILED, 100),
    ];
    for (sent, arrivals, cached) in cases {
        let world = World::new(100, move |number| (sent[number - 1], usize::MAX));
        let fetched = world.fetch();
        assert_eq!((fetched.arrivals, world.cached()), (arrivals, cached), "{sent:?}");
        assert_eq!(world.attempts.load(Ordering::Relaxed), sent.len(), "{sent:?}");
        let errors: Vec<_> = fetched.failed.iter().map(|it| it.error.as_str()).collect();
        let expected: &[&str] = &["3 responses have far fewer entries than the 100 cached, and no two in a row agree"];
        assert_eq!(errors, if arrivals == FAILED { expected } else { &[] }, "{sent:?}");
    }
}

#[test]
fn a_limit_that_falls_during_a_run_costs_no_entry() {
    // The first time, pages are full; then so short that the first one looks like the last.
    let world = World::new(100, |number| (100, if number == 1 { 50 } else { 10 }));
    for attempts in [1, 3] {
        let fetched = world.fetch();
        assert_eq!((fetched.arrivals.unchanged, world.cached()), (1, 100));
        assert_eq!(world.attempts.load(Ordering::Relaxed), attempts);
    }
}
