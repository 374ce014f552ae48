//! Kills at random moments, across all jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use r3e_common::domain::Combination;
use r3e_tests::harness::{
    BoardFile, Invocation, Moment, Place, board_at, board_files, driver_index, grid, read_status, top_combinations,
    until,
};
use r3e_tests::sim::{SimOptions, Simulator};

use super::world::{exports, same, shift};

const BOARDS: usize = 100;
const KINDS: [&str; 4] = ["load", "full", "boards", "incremental"];

/// Reads all files that front ends can read completely, and returns the boards.
fn read_all(place: &Place) -> BTreeMap<Combination, BoardFile> {
    let cache = place.cache();
    let (boards, _staged) = (board_files(&cache), board_files(&place.staging()));
    if cache.join("driver_index.json.gz").exists() {
        for row in driver_index(&cache).rows() {
            assert!(boards.contains_key(&row.board().parse().unwrap()), "in the index only: {row:?}");
        }
    }
    if cache.join("top_combinations.json").exists() {
        let _top = top_combinations(&cache);
    }
    if cache.join("status.json").exists() {
        let _status = read_status(&cache);
    }
    boards
}

/// A job that exports very often, so that kills also strike promotions and exports in the middle of a run.
fn job(kind: &str, place: &Place, sim: &Simulator, random: &mut fastrand::Rng) -> Invocation {
    let url = sim.base_url();
    let job = match kind {
        "load" => place.loader(&url),
        "full" if random.bool() => place.refresher(&url, &["full", "--fresh"]),
        "full" => place.refresher(&url, &["full"]),
        "incremental" => place.refresher(&url, &["incremental"]),
        _ => {
            let boards = sim.world().catalog().combinations().filter(|_| random.u8(0..3) > 0);
            let chosen: Vec<String> = boards.map(|it| it.to_string()).collect();
            place.refresher(&url, &["boards"]).arguments(&chosen)
        }
    };
    job.set("index.every", "10ms")
}

fn change_some(sim: &Simulator, random: &mut fastrand::Rng) {
    for board in sim.world().catalog().combinations().filter(|_| random.u8(0..4) == 0) {
        sim.change_board(board).unwrap();
    }
}

/// Kills a job at this moment, and returns whether it was working by then.
fn kill(kind: &str, moment: Moment, place: &Place, sim: &Simulator, random: &mut fastrand::Rng) -> bool {
    sim.reset_stats();
    if let Moment::Requests(count) = moment {
        // The service stops answering soon after, so that the run rarely ends before the test looks.
        sim.answer_only(count + 4);
    }
    let mut running = job(kind, place, sim, random).spawn();
    until("the moment has come, or the run has ended", || moment.has_come(place, sim) || running.has_ended());
    let in_time = !running.has_ended();
    let ended = running.kill();
    sim.answer_all();
    assert!(matches!(ended.code(), None | Some(0)), "{kind} {moment:?}: {}", ended.stderr);
    in_time
}

/// At exact calls: see `matrix`.
#[test]
fn kills_across_all_jobs_lose_no_board_and_leave_no_half_file() {
    kills_lose_nothing(8, 2, |_| Moment::Requests(BOARDS as u64 / 4));
}

#[test]
#[ignore = "takes minutes"]
fn two_hundred_kills_across_all_jobs_lose_no_board_and_leave_no_half_file() {
    kills_lose_nothing(200, 25, |random| Moment::draw(random, BOARDS));
}

/// Kills this many jobs at random moments. At least `at_work` of each kind must be working by then.
fn kills_lose_nothing(count: u32, at_work: u32, draw: impl Fn(&mut fastrand::Rng) -> Moment) {
    let latency = Duration::from_millis(1);
    let options = SimOptions { catalog: grid(10, 10), entries: 1500, drivers: 400, latency, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    let mut random = fastrand::Rng::with_seed(200);
    let (mut kills, mut in_time) = (0, BTreeMap::<&str, u32>::new());
    while kills < count {
        let place = Place::in_memory(sim.world().catalog());
        let mut before = BTreeMap::new();
        for _ in 0..random.u32(2..=6) {
            let kind = KINDS[kills as usize % KINDS.len()];
            let moment = draw(&mut random);
            change_some(&sim, &mut random);
            *in_time.entry(kind).or_default() += u32::from(kill(kind, moment, &place, &sim, &mut random));
            kills += 1;
            let now = read_all(&place);
            for (board, old) in &before {
                let found: &BoardFile = now.get(board).unwrap_or_else(|| panic!("{kind} {moment:?}: {board} is lost"));
                let old: &BoardFile = old;
                let emptied = found.entries.is_empty() && !old.entries.is_empty();
                assert!(!emptied, "{kind} {moment:?}: {board} lost its entries");
            }
            before = now;
            if random.bool() {
                // Long ago, so that a load has something to do.
                shift(&place, -49 * 3600);
            }
        }
        undisturbed(&place, &sim, &mut random);
    }
    assert!(in_time.values().all(|it| *it >= at_work), "kills that struck a job at work: {in_time:?}");
}

/// Checks that the final run, of any kind, has the same result as one in an empty folder.
fn undisturbed(place: &Place, sim: &Simulator, random: &mut fastrand::Rng) {
    let url = sim.base_url();
    let last = match random.u8(0..3) {
        0 => place.loader(&url).set("cache.max_age", "0s"),
        1 => place.refresher(&url, &["full", "--fresh"]),
        _ => place.refresher(&url, &["incremental"]),
    };
    let ended = last.run().with_code(0);
    assert_eq!(ended.boards("cached"), BOARDS as u64);
    let fresh = Place::in_memory(sim.world().catalog());
    let _first = fresh.loader(&url).run().with_code(0);
    assert!(exports(place) == exports(&fresh), "the index of an undisturbed run, byte for byte");
    for (board, expected) in board_files(&fresh.cache()) {
        assert!(same(&board_at(&place.cache(), board).unwrap(), &expected), "{board}");
    }
    assert!(board_files(&place.staging()).is_empty());
    assert_eq!(read_status(&place.cache())["fetch_in_progress"], false);
}
