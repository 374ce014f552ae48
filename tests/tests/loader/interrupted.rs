//! Runs that are killed or stopped: nothing is lost, and no file is ever half there.

use std::time::Duration;

use r3e_tests::harness::{boards, check_cache, compare, index_of, json_file, until};

use crate::{slow, small};

#[test]
fn killed_at_fifty_moments_and_run_again_the_index_is_that_of_an_undisturbed_run() {
    let undisturbed = tempfile::tempdir().unwrap();
    let (sim, loader) = small(undisturbed.path(), slow());
    let _done = loader.run().ended(0);
    let requests = sim.stats().requests;
    let index = |folder: &tempfile::TempDir| std::fs::read(folder.path().join("cache/driver_index.json.gz")).unwrap();
    let expected = index(&undisturbed);
    compare(&undisturbed.path().join("cache"), sim.world(), &[]);

    let mut random = fastrand::Rng::with_seed(4);
    let mut killed = 0;
    for round in 0..50 {
        let folder = tempfile::tempdir().unwrap();
        let (sim, loader) = small(folder.path(), slow());
        // Publishing all the time, so that kills fall into promotions and exports as well.
        let loader = loader.set("index.every", "10ms");
        let moment = random.u64(..requests + 4);
        let mut spins = random.u32(..2000);
        let mut running = loader.start();
        until("the moment has come", || sim.stats().requests >= moment.min(requests) || !running.is_running());
        while spins > 0 && running.is_running() {
            spins -= 1;
        }
        running.signal("-KILL");
        killed += u32::from(running.wait().code.is_none());
        let cache = folder.path().join("cache");
        check_cache(&cache);
        let had = boards(&cache).len() + boards(&folder.path().join("cache_temp")).len();
        let before = sim.stats();
        let run = loader.run().ended(0);
        assert!(index(&folder) == expected, "round {round}, killed after {moment} requests");
        check_cache(&cache);
        assert_eq!(run.number("/boards/fetched"), 144 - had as u64, "what was there is not fetched again");
        assert!(sim.stats().requests - before.requests <= requests, "round {round}");
    }
    assert!(killed >= 40, "only {killed} of the runs were still at work");
}

#[test]
fn a_signal_stops_it_in_order_and_the_next_run_goes_on() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let (sim, loader) = small(folder.path(), slow());
        let mut running = loader.start();
        until("it is at work", || sim.stats().requests > 40);
        running.signal(signal);
        let run = running.wait().ended(code);
        assert_eq!(run.json["outcome"], "stopped");
        for line in ["⏹️ Periodic indexing task exiting", "⏹️ Memory monitoring stopped"] {
            assert_eq!(run.errors.matches(line).count(), 1, "{}", run.errors);
        }
        assert_eq!(json_file(&cache.join("status.json"))["fetch_in_progress"], false);
        let staged = boards(&folder.path().join("cache_temp")).len() as u64;
        assert_eq!(staged, run.number("/boards/fetched"));
        assert!(staged > 30 && boards(&cache).is_empty(), "kept in staging");
        let run = loader.run().ended(0);
        assert_eq!(run.number("/boards/left_by_interrupted_run"), staged);
        compare(&cache, sim.world(), &[]);
        let stats = sim.stats();
        // Of the first run's requests at most those in flight were for nothing.
        assert!(stats.requests <= 144 + stats.further_page_requests + 4 + 2, "{stats:?}");
    }
}

#[test]
fn it_stops_even_while_the_service_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (sim, loader) = small(folder.path(), slow());
    sim.set_latency(Duration::from_mins(10));
    let mut running = loader.set("runtime.stop_grace", "60s").start();
    until("a request hangs", || sim.stats().in_flight > 0);
    running.signal("-TERM");
    let run = running.wait().ended(143);
    assert!(!run.errors.contains("ending at once"), "{}", run.errors);
    until("its connections are closed", || sim.stats().connections_open == 0);
}

#[test]
fn a_second_writer_is_told_who_is_at_work_and_a_dead_one_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let (sim, loader) = small(folder.path(), slow());
    sim.set_latency(Duration::from_mins(10));
    let mut first = loader.start();
    until("the first is at work", || sim.stats().in_flight > 0);
    let second = loader.run().ended(75);
    let holder = format!("r3e-loader (pid {}, since ", first.pid());
    assert!(second.errors.contains(&holder) && second.errors.contains(": loading)"), "{}", second.errors);
    first.signal("-KILL");
    assert_eq!(first.wait().code, None);
    sim.set_latency(Duration::ZERO);
    let _third = loader.run().ended(0);
    compare(&folder.path().join("cache"), sim.world(), &[]);
}

#[test]
fn the_index_is_published_while_fetching_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let (sim, loader) = small(folder.path(), slow());
    sim.set_latency(Duration::from_millis(50));
    let mut running = loader.set("index.every", "20ms").start();
    let mut sizes = std::collections::BTreeSet::new();
    until("it has ended", || {
        if cache.join("driver_index.json.gz").exists() {
            sizes.insert(index_of(&cache).len());
        }
        !running.is_running()
    });
    let run = running.wait().ended(0);
    assert!(sizes.len() > 3, "{sizes:?}");
    assert_eq!(run.errors.matches("⏹️ Periodic indexing task exiting").count(), 1, "{}", run.errors);
    compare(&cache, sim.world(), &[]);
}

#[test]
fn a_signal_after_the_last_answer_is_told_or_comes_too_late() {
    let mut told = 0;
    for round in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let (sim, loader) = small(folder.path(), slow());
        let mut running = loader.start();
        until("all is asked for", || sim.stats().distinct_boards == 144);
        // A moment later in each round, up to the end.
        let mut spins = round * 400;
        while spins > 0 && running.is_running() {
            spins -= 1;
        }
        running.signal("-TERM");
        let run = running.wait();
        let (complete, stopped) = (run.code == Some(0), run.code == Some(143));
        assert!(complete || stopped, "{:?} {}", run.code, run.errors);
        told += u32::from(stopped);
        if stopped {
            assert_eq!(run.json["outcome"], "stopped");
            let _rest = loader.run().ended(0);
        }
        compare(&folder.path().join("cache"), sim.world(), &[]);
    }
    assert!(told > 0, "no signal came before the end");
}
