//! Memory limits are obeyed, or refused if they are too small.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use r3e_common::job::{End, Fetcher, Progress};
use r3e_common::runtime::concurrency_limit::ConcurrencyLimit;
use r3e_common::runtime::config::{Config, Upstream};
use r3e_common::runtime::tasks::Tasks;
use r3e_common::store::{Cache, Destination, Holder, Staging, WriterLock};
use r3e_common::upstream::Client;
use r3e_tests::harness::{
    Differences, Ended, Place, assert_serves, board_files, driver_index, grid, read_status, snapshot,
};
use r3e_tests::sim::{SimOptions, Simulator};

/// The limit that a message says is enough, in megabytes: the only one with its unit.
pub(crate) fn named_limit(ended: &Ended) -> String {
    let (before, _) = ended.stderr.split_once(" MB").unwrap();
    before.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_limit_too_small_for_any_work_only_fails_the_run() {
    let catalog = grid(12, 12);
    let options = SimOptions { catalog: catalog.clone(), entries: 4000, drivers: 900, ..SimOptions::default() };
    let (sim, place) = (Simulator::start(options).unwrap(), Place::with_catalog(&catalog));
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let before = snapshot(&place.cache());
    let mut named = String::new();
    for (arguments, limit) in [(&["--cached-only"][..], "3"), (&[], "3"), (&[], "12")] {
        let limited = place.loader(&sim.base_url()).arguments(arguments).set("cache.max_age", "0s");
        let ended = limited.variable("MEMORY_LIMIT_MB", limit).run().with_code(78);
        let ended = ended.naming(&["memory.limit_mb", limit, "MEMORY_LIMIT_MB"]);
        named = named_limit(&ended);
        assert_eq!(snapshot(&place.cache()), before);
        assert!(board_files(&place.staging()).is_empty());
        assert_eq!(read_status(&place.cache())["fetch_in_progress"], false);
    }
    // The limit that it names is enough, for fetching too.
    let limited = place.loader(&sim.base_url()).set("cache.max_age", "0s").variable("MEMORY_LIMIT_MB", &named);
    let _ended = limited.run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

/// A fetcher of the simulator's boards by four workers.
fn fetcher(sim: &Simulator, place: &Place, concurrency: ConcurrencyLimit) -> Fetcher {
    let config = Upstream {
        base_url: format!("{}/", sim.base_url()).parse().unwrap(),
        requests_per_second: 100_000,
        max_idle_per_host: 2,
        attempts: 1,
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(1),
        ..Config::default().upstream
    };
    let holder = Holder { program: "test".into(), pid: 1, since: String::new(), doing: String::new() };
    let lock = WriterLock::acquire(&place.cache(), &place.staging(), &holder).unwrap();
    let (cache, never) = (Cache::new(&place.cache()), tokio_util::sync::CancellationToken::new());
    let (staging, _) = Staging::open(lock, &place.staging(), cache, |_| true, SystemTime::now(), &never).unwrap();
    Fetcher {
        client: Arc::new(Client::new(&config, 1, SystemTime::now).unwrap()),
        staging: Arc::new(staging),
        destination: Destination::Staging,
        catalog: Arc::new(sim.world().catalog().clone()),
        progress: Arc::new(Progress::new()),
        concurrency: 4,
        concurrency_limit: concurrency,
        until: None,
        tasks: Tasks::default(),
        clock: SystemTime::now,
    }
}

#[test]
fn fetching_ends_even_if_only_one_board_may_be_in_flight() {
    let catalog = grid(4, 4);
    let options = SimOptions { catalog: catalog.clone(), entries: 200, drivers: 50, ..SimOptions::default() };
    let (sim, place) = (Simulator::start(options).unwrap(), Place::with_catalog(&catalog));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let concurrency = ConcurrencyLimit::new(1);
    let fetcher = fetcher(&sim, &place, concurrency);
    let boards = catalog.combinations().filter_map(|it| catalog.ordinal(it)).collect();
    let never = tokio_util::sync::CancellationToken::new();
    let outcome = runtime.block_on(async {
        // Three workers wait to be allowed, and nobody ever allows them.
        tokio::time::timeout(r3e_tests::harness::BOUND, fetcher.fetch(boards, &never)).await.unwrap().unwrap()
    });
    assert_eq!((outcome.boards.len(), outcome.end), (16, End::Complete));
    assert_eq!(sim.stats().in_flight_peak, 1);
    assert!(fetcher.tasks.is_empty());
}

#[test]
fn an_invalid_limit_is_refused() {
    let place = Place::new();
    for wrong in ["0", "-5", "lots"] {
        let variable = place.loader("http://127.0.0.1:9").variable("MEMORY_LIMIT_MB", wrong).run().with_code(78);
        let flag = place.loader("http://127.0.0.1:9").arguments(&["--memory-limit-mb", wrong]).run().with_code(78);
        for ended in [variable, flag] {
            assert!(ended.stderr.contains(wrong) && ended.stderr.contains("memory.limit_mb"), "{}", ended.stderr);
        }
        fs::write(place.path("r3e.toml"), format!("[memory]\nlimit_mb = \"{wrong}\"\n")).unwrap();
        let file = place.loader("http://127.0.0.1:9").run().with_code(78);
        assert!(file.stderr.contains("r3e.toml:2"), "{}", file.stderr);
        fs::write(place.path("r3e.toml"), "").unwrap();
    }
}
