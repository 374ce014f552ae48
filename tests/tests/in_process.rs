//! When `job::run` returns, it leaves nothing behind: no task, connection or descriptor. Repeated runs do not use more
//! memory than the second one.
//!
//! This is a separate test binary with one test, since other tests in the process would disturb the counts.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![expect(clippy::disallowed_methods, reason = "looks at the process from outside")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use r3e_common::job::Style;
use r3e_common::job::{self, Options, Outcome};
use r3e_common::runtime::config::{Config, Environment, Flag, Layers, load};
use r3e_common::runtime::control::Facts;
use r3e_common::runtime::memory;
use r3e_loader::Choice;
use r3e_tests::harness::{Place, grid, until};
use r3e_tests::sim::{Faults, SimOptions, Simulator};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const CYCLES: usize = 10;
/// How much more may be held after the last cycles than after the first: what happens to be in flight in the simulator,
/// which is in this process too. What threads keep in their caches does not count.
const TOLERANCE_BYTES: u64 = 32 << 10;

/// Every run fetches all boards again.
fn config(place: &Place, sim: &Simulator) -> Config {
    let mut environment = Environment::bare(place.path(""), 0);
    environment.system_file = place.path("none.toml");
    let set = |name, key, value: String| Flag { name, key, value: value.into() };
    let path = |name| place.path(name).to_string_lossy().into_owned();
    let flags = vec![
        set("--cache", "cache.dir", path("cache")),
        set("--max-age", "cache.max_age", "0s".to_owned()),
        set("--catalog", "catalog.path", path("catalog.toml")),
        set("--upstream", "upstream.base_url", sim.base_url()),
        set("--requests-per-second", "upstream.requests_per_second", "100000".to_owned()),
        set("--timeout", "upstream.timeout", "1s".to_owned()),
        set("--max-body-mb", "upstream.max_body_mb", "1".to_owned()),
        set("--backoff-min", "upstream.backoff_min", "1ms".to_owned()),
        set("--backoff-max", "upstream.backoff_max", "5ms".to_owned()),
        set("--every", "index.every", "20ms".to_owned()),
    ];
    load(&Layers { file: None, flags, environment: &environment }).unwrap().config
}

fn open_descriptors() -> usize {
    // The listing itself has one open.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// What this process holds of what can leak.
#[derive(Debug, PartialEq)]
struct Resources {
    tasks: usize,
    descriptors: usize,
}

fn resources(runtime: &Runtime) -> Resources {
    Resources { tasks: runtime.metrics().num_alive_tasks(), descriptors: open_descriptors() }
}

fn run(runtime: &Runtime, config: &Config, stop: CancellationToken) -> Outcome {
    let facts = Arc::new(Facts::new("test", SystemTime::now(), runtime.handle().clone(), None));
    let (doing, limits, wait, style) = ("testing".to_owned(), None, Duration::ZERO, Style::Hidden);
    let options = Options { facts, doing, limits, wait, style, clock: SystemTime::now };
    let plan = |job: &job::Job, states: &[_]| Ok(Choice::default().plan(config, job, states));
    runtime.block_on(job::run(config, &options, stop, plan)).unwrap().outcome
}

/// Checks that nothing is alive; the service may see a connection's end a moment later, and only that is waited for.
fn nothing_is_alive(runtime: &Runtime, sim: &Simulator, before: &Resources) {
    assert_eq!(runtime.metrics().num_alive_tasks(), before.tasks, "tasks");
    until("the service sees no connection", || sim.stats().connections_open == 0);
    // The simulator is in this process too, and counts a connection as gone before it closes its end.
    until("its descriptors are closed", || open_descriptors() == before.descriptors);
    assert_eq!(resources(runtime), *before);
}

#[test]
fn when_it_returns_nothing_of_it_is_alive_and_memory_does_not_grow() {
    let catalog = grid(12, 12);
    let place = Place::with_catalog(&catalog);
    let options = SimOptions { catalog, entries: 6000, drivers: 900, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    let config = config(&place, &sim);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .on_thread_park(memory::flush_if_asked)
        .build()
        .unwrap();
    let before = resources(&runtime);

    let mut live = Vec::new();
    for _ in 0..CYCLES {
        assert_eq!(run(&runtime, &config, CancellationToken::new()), Outcome::Done);
        nothing_is_alive(&runtime, &sim, &before);
        let held = memory::purge().unwrap().after;
        live.push(held.live_bytes());
    }
    // Ranks, not means: one sample in a few hundred catches work in flight.
    let median = |cycles: &[u64]| {
        let mut sorted = cycles.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    let (early, late) = (median(&live[1..4]), median(&live[CYCLES - 3..]));
    assert!(late <= early + TOLERANCE_BYTES, "live after each cycle: {live:?}");
    // The two workers, the four that may block, the simulator's, the test's, the main one and the allocator's own.
    assert!(threads() <= 2 + 4 + 4, "{} threads", threads());

    // Also when it does not go well: boards fail, it is stopped, the service is down.
    sim.set_faults(Faults { retry_after: Duration::ZERO, ..Faults::all(0.3) }).unwrap();
    let faulty = run(&runtime, &config, CancellationToken::new());
    assert!(matches!(faulty, Outcome::SomeBoardsFailed | Outcome::Done), "{faulty:?}");
    nothing_is_alive(&runtime, &sim, &before);

    sim.set_faults(Faults::default()).unwrap();
    sim.set_latency(Duration::from_mins(10));
    sim.reset_stats();
    let stop = CancellationToken::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until("it asks", || sim.stats().requests > 0);
            stop.cancel();
        });
        assert_eq!(run(&runtime, &config, stop.clone()), Outcome::Stopped);
    });
    nothing_is_alive(&runtime, &sim, &before);

    sim.go_down().unwrap();
    assert!(matches!(run(&runtime, &config, CancellationToken::new()), Outcome::Unavailable(_)));
    sim.come_up().unwrap();
    nothing_is_alive(&runtime, &sim, &before);
}
