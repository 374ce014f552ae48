//! When a load returns, nothing of it is alive, and the n-th holds what the second held. In a process of its own, for it
//! counts the process's tasks, threads, descriptors and bytes.
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

use std::time::{Duration, SystemTime};

use r3e_common::process::config::{Config, ConfigArgs, Environment};
use r3e_common::process::memory;
use r3e_common::process::progress::Style;
use r3e_loader::{Options, Outcome, load};
use r3e_tests::harness::{small_catalog, until};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};
use tokio_util::sync::CancellationToken;

fn config(folder: &std::path::Path, sim: &Simulator) -> Config {
    let mut environment = Environment::bare(folder.to_owned(), 0);
    let set = |name: &str, value: &str| (name.into(), value.into());
    environment.variables = vec![
        set("R3E_UPSTREAM__REQUESTS_PER_SECOND", "100000"),
        set("R3E_UPSTREAM__BACKOFF_MIN", "1ms"),
        set("R3E_UPSTREAM__BACKOFF_MAX", "5ms"),
        set("R3E_INDEX__EVERY", "10ms"),
        set("R3E_MEMORY__PURGE_EVERY", "10ms"),
        set("R3E_CACHE__MAX_AGE", "1ms"),
        set("R3E_CATALOG__PATH", folder.join("catalog.toml").to_str().unwrap()),
    ];
    let arguments = ConfigArgs {
        cache: Some(folder.join("cache").into()),
        upstream: Some(sim.base_url().into()),
        ..ConfigArgs::default()
    };
    arguments.load(&environment).unwrap()
}

/// How many entries a folder of `/proc/self` has.
fn count(folder: &str) -> usize {
    #[expect(clippy::disallowed_methods, reason = "/proc is no cache")]
    std::fs::read_dir(format!("/proc/self/{folder}")).unwrap().count()
}

#[test]
fn when_a_load_returns_nothing_of_it_is_alive_and_nothing_grows() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = small_catalog(20, 20);
    let path = folder.path().join("catalog.toml");
    r3e_common::store::fs::write_whole(&path, catalog.to_toml().as_bytes()).unwrap();
    let sim =
        Simulator::start(SimOptions { catalog, entries: 20_000, drivers: 4_000, ..SimOptions::default() }).unwrap();
    let config = config(folder.path(), &sim);
    let options = Options { cached_only: false, only: None, style: Style::Lines, clock: SystemTime::now };
    let mut held = Vec::new();
    for cycle in 0..8 {
        // Every other cycle with faults, and one that is stopped midway.
        let faults = Faults { retry_after: Duration::ZERO, ..Faults::only(FaultKind::InternalError, 0.3) };
        sim.set_faults(if cycle % 2 == 1 { faults } else { Faults::default() }).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let stop = CancellationToken::new();
        let requests = sim.stats().requests;
        let summary = std::thread::scope(|scope| {
            if cycle == 4 {
                let (sim, stop) = (&sim, &stop);
                scope.spawn(move || {
                    until("it is at work", || sim.stats().requests > requests + 100);
                    stop.cancel();
                });
            }
            runtime.block_on(load(&config, &options, stop.clone())).unwrap()
        });
        assert_eq!(runtime.metrics().num_alive_tasks(), 0, "cycle {cycle}");
        assert_eq!(summary.outcome == Outcome::Stopped, cycle == 4);
        until("the service has seen its connections close", || sim.stats().connections_open == 0);
        // With the runtime's threads go their caches, which the allocator counts as allocated.
        drop(runtime);
        let purged = memory::purge().unwrap();
        held.push((count("fd"), count("task"), purged.after.allocated_bytes));
    }
    let (descriptors, threads, bytes) = held[1];
    assert!(held[1..].iter().all(|it| (it.0, it.1) == (descriptors, threads)), "{held:?}");
    // The simulator's own threads keep a little now and then, so one cycle says nothing: the median of the last three does.
    let mut last: Vec<u64> = held[5..].iter().map(|it| it.2).collect();
    last.sort_unstable();
    assert!(last[1] <= bytes + (256 << 10), "the last hold more than the second: {held:?}");
}
