//! The multiplayer ratings: fetched once, after the boards, and published with them. If they cannot be fetched, the earlier
//! ones stay, and nothing else is affected.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use r3e_tests::harness::{Place, board_files, gunzip, until};
use r3e_tests::sim::{FaultKind, Faults, RATINGS, Simulator, ratings_list};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{change, filled, loaded, sized};

const FILES: [&str; 3] = ["mp_pos.json.gz", "mp_pos/mp_pos.json.gz", "mp_pos/mp_pos_inactive.json.gz"];

fn world() -> (Simulator, Place) {
    loaded(4, sized(900))
}

/// A published list, except for its time.
fn published(place: &Place, file: &str) -> Value {
    let path = place.cache().join(file);
    let mut list: Value = serde_json::from_slice(&gunzip(&fs::read(&path).unwrap(), &path)).unwrap();
    assert!(list.as_object_mut().unwrap().remove("updated_at").unwrap().is_string());
    list
}

/// The published lists with their numbers and times: a file that is replaced has another number.
fn lists(place: &Place) -> [(u64, SystemTime, Vec<u8>); 3] {
    FILES.map(|file| {
        let path = place.cache().join(file);
        let state = path.metadata().unwrap();
        (state.ino(), state.modified().unwrap(), fs::read(&path).unwrap())
    })
}

fn always(kind: FaultKind) -> Faults {
    let (drip_every, drip_for) = (Duration::from_millis(10), Duration::from_mins(10));
    let retry_after = Duration::ZERO;
    Faults { always: [(RATINGS, kind)].into(), retry_after, drip_every, drip_for, ..Faults::default() }
}

/// What is read of an entry: names may have half a surrogate pair, which no [`Value`] holds.
#[derive(Deserialize)]
struct Entry {
    driver: Driver,
    country: Option<Country>,
}

#[derive(Deserialize)]
struct Driver {
    path: String,
}

#[derive(Deserialize)]
struct Country {
    code: String,
}

/// What the service's list comes to, with the countries of the boards' entries.
fn expected(sim: &Simulator, place: &Place, active: bool) -> Value {
    let mut countries = BTreeMap::new();
    for entry in board_files(&place.cache()).values().flat_map(|it| &it.entries) {
        let Entry { driver, country } = serde_json::from_str(entry).unwrap();
        let id = driver.path.trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
        // A simulated driver never moves, though some entries have no country.
        countries.extend(country.map(|it| (id, it.code)));
    }
    assert!(countries.len() > 200, "{}", countries.len());
    let (mut rows, mut last) = (Vec::new(), 0);
    for rating in ratings_list(sim.world()).as_array().unwrap() {
        let own = rating["Position"].as_u64();
        last = own.unwrap_or(last);
        if own.is_some() == active {
            let id = rating["UserId"].to_string();
            let country = countries.get(&id).map_or("", String::as_str);
            let position = own.unwrap_or(last + 1);
            rows.push(json!({"position": position, "name": rating["Fullname"], "country": country, "user_id": id}));
        }
    }
    let source = format!("{}/multiplayer-rating/ratings.json", sim.base_url());
    json!({"count": rows.len(), "source": source, "source_pages": [source], "results": rows})
}

#[test]
fn drivers_are_listed_with_position_id_and_country() {
    let (sim, place) = world();
    for (file, active) in FILES.into_iter().zip([true, true, false]) {
        let (list, expected) = (published(&place, file), expected(&sim, &place, active));
        assert!(expected["count"].as_u64().unwrap() >= 60);
        assert_eq!(list, expected, "{file}");
    }

    // They are asked for once, and stay as they are.
    let before = lists(&place);
    let ended = place.refresher(&sim.base_url(), &["incremental"]).run().with_code(0);
    assert_eq!((sim.stats().ratings_requests, ended.events_with(&["drivers", "active"]).len()), (1, 1));
    assert_eq!(ended.json()["index"]["changed"], false);
    assert_eq!(lists(&place), before);

    // Where no board has changed, they are published nevertheless.
    for file in FILES {
        fs::remove_file(place.cache().join(file)).unwrap();
    }
    let ended = place.refresher(&sim.base_url(), &["incremental"]).run().with_code(0);
    assert_eq!((ended.boards("changed"), &ended.json()["index"]["changed"]), (0, &true.into()));
    assert_eq!(published(&place, FILES[1]), expected(&sim, &place, true));
}

#[test]
fn a_list_that_cannot_be_had_harms_nobody() {
    let (sim, place) = world();
    let before = lists(&place);
    for kind in [
        FaultKind::InternalError,
        FaultKind::TooManyRequests,
        FaultKind::Unavailable,
        FaultKind::CloseBefore,
        FaultKind::CutLength,
        FaultKind::CutChunked,
        FaultKind::SlowDrip,
        FaultKind::EndlessBody,
        FaultKind::GzipBomb,
        FaultKind::Maintenance,
        FaultKind::TruncatedJson,
        FaultKind::WrongType,
        FaultKind::InvalidUtf8,
        FaultKind::DeepNesting,
    ] {
        sim.reset_stats();
        sim.set_faults(always(kind)).unwrap();
        change(&sim, &filled(&sim)[..1]);
        let job = place.refresher(&sim.base_url(), &["full"]).set("upstream.timeout", "2s");
        let ended = job.set("upstream.max_body_mb", "1").run().with_code(0);
        assert_eq!((&ended.json()["outcome"], ended.boards("failed")), (&"done".into(), 0), "{kind}");
        assert_eq!(ended.boards("changed"), 1, "{kind}: the boards are published");
        let warnings = ended.events_with(&["error"]);
        assert!(matches!(&warnings[..], [it] if it.level == "WARN"), "{kind}: {}", ended.stderr);
        // 429 has a bound of its own.
        let asked = sim.stats().ratings_requests;
        assert!((1..=if kind == FaultKind::TooManyRequests { 20 } else { 4 }).contains(&asked), "{kind}: {asked}");
        assert_eq!(sim.stats().faults[&kind], asked, "{kind}");
        assert_eq!(lists(&place), before, "{kind}");
    }
}

#[test]
fn who_does_not_want_them_does_not_ask() {
    let (sim, place) = world();
    let before = lists(&place);
    let job = || place.refresher(&sim.base_url(), &["full"]);
    let _ended = job().set("upstream.ratings", "false").run().with_code(0);
    assert_eq!((sim.stats().ratings_requests, lists(&place)), (0, before));
    // Nor if no front end that files are published for reads them; they go then, like all that such a front end has not.
    let _ended = job().set("index.formats", "2026-02").run().with_code(0);
    assert_eq!(sim.stats().ratings_requests, 0);
    assert!(FILES.iter().all(|it| !place.cache().join(it).exists()));
}

#[test]
fn a_job_that_is_ended_meanwhile_leaves_whole_files_and_loses_no_board() {
    let (sim, place) = world();
    for kills in [true, false] {
        let before = lists(&place);
        sim.reset_stats();
        sim.set_faults(always(FaultKind::SlowDrip)).unwrap();
        change(&sim, &filled(&sim));
        let running = place.refresher(&sim.base_url(), &["full"]).set("upstream.timeout", "20m").spawn();
        until("it asks for the ratings", || sim.stats().ratings_requests > 0);
        if kills {
            assert_eq!(running.kill().code(), None);
        } else {
            running.signal("TERM");
            assert_eq!(running.wait().with_code(143).json()["outcome"], "stopped");
            until("its connections are gone", || sim.stats().connections_open == 0);
        }
        assert_eq!(lists(&place), before);

        sim.set_faults(Faults::default()).unwrap();
        let ended = place.refresher(&sim.base_url(), &["full"]).run().with_code(0);
        assert_eq!(ended.boards("left_by_interrupted_run"), filled(&sim).len() as u64);
        assert_eq!(published(&place, FILES[0]), expected(&sim, &place, true));
    }
}
