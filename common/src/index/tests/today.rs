//! Today's files: the worked example of their description, and what the previous export leaves behind.

use serde_json::{Value, json};

use super::*;

/// A board of these drivers, in order: name, id, team and date of each.
fn put(world: &World, board: usize, drivers: &[(&str, &str, &str, &str)]) {
    let board = world.catalog.combinations().nth(board).unwrap();
    let mut encoder = BoardEncoder::new(board, "T", &Validators::default());
    for (index, (name, id, team, date)) in drivers.iter().enumerate() {
        let raw = json!({"driver": {"name": name, "path": format!("https://x/users/info/{id}/")}, "team": team,
            "index": index, "date_time": date});
        assert!(encoder.push(&serde_json::value::to_raw_value(&raw).unwrap()));
    }
    let path = world.cache.board_path(board);
    fs::create_folders(fs::parent(&path)).unwrap();
    fs::write_whole(&path, &encoder.finish("t").bytes).unwrap();
}

/// Exports into the cache itself, so that one export follows another; returns what was written.
fn publish(world: &World) -> Exported {
    let source = world.source(None, 2);
    export(build(&source).unwrap().1, world.cache.folder(), false).unwrap()
}

fn published(world: &World, name: &str) -> Value {
    let file = std::fs::read(world.cache.folder().join(name)).unwrap();
    if Path::new(name).extension().is_some_and(|it| it == "gz") {
        serde_json::from_reader(flate2::read::GzDecoder::new(file.as_slice())).unwrap()
    } else {
        serde_json::from_slice(&file).unwrap()
    }
}

const DAY: &str = "2025-01-15T14:30:00";

#[test]
fn the_worked_example() {
    let world = World::new(0, &[]);
    let ids = ["Ana", "Ben", "Cid", "Dot", "Eve"];
    // Boards of the first class, on one track after another: the catalogue has three.
    let boards: [&[&str]; 3] =
        [&["Ana", "Ben", "Cid", "Dot", "Eve"], &["Ben", "Ana", "Eve"], &["Cid", "Eve", "Ana", "Ben"]];
    for (number, names) in boards.iter().enumerate() {
        let driver = |name: &&'static str| {
            (*name, ["1", "2", "3", "4", "5"][ids.iter().position(|it| it == name).unwrap()], "", DAY)
        };
        put(&world, number * 3, &names.iter().map(driver).collect::<Vec<_>>());
    }
    // The board of one entry is of another class: it counts overall only.
    put(&world, 1, &[("Ana", "1", "", DAY)]);
    publish(&world);
    let list = |file: &str| {
        let list = published(&world, &format!("stats/{file}.json.gz"));
        let row = |row: &Value| {
            format!("{} {}", row["name"].as_str().unwrap(), figure(row, list["sort_by"].as_str().unwrap()))
        };
        list["results"].as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(list("overall/overall_pole"), ["Ana 1", "Ben 1", "Cid 1"]);
    assert_eq!(list("overall/overall_bested"), ["Ana 6", "Ben 5", "Cid 5", "Eve 2", "Dot 1"]);
    assert_eq!(list("overall/overall_podium"), ["Ana 2", "Cid 2", "Ben 1", "Eve 1"]);
    assert_eq!(list("overall/overall_avg_bested"), ["Cid 75.0", "Ana 61.11", "Ben 58.33", "Dot 25.0", "Eve 22.22"]);
    assert_eq!(list("overall/overall_entries"), ["Ana 4", "Ben 3", "Eve 3", "Cid 2", "Dot 1"]);
    assert_eq!(list("classes/2922_entries"), ["Ana 3", "Ben 3", "Eve 3", "Cid 2"]);
    for empty in ["classes/2922_avg_bested", "overall/overall_top_avg_bested"] {
        assert!(list(empty).is_empty());
    }
    let manifest = published(&world, "stats/index.json");
    let class = |id: &str| manifest["classes"].as_array().unwrap().iter().find(|it| it["id"] == id).cloned();
    assert_eq!(class("2922").unwrap()["count"], 3);
    assert_eq!((class("1703").unwrap()["count"].as_u64(), class("7")), (Some(0), None));
}

fn figure(row: &Value, metric: &str) -> String {
    let key = match metric {
        "pole" => "pole_positions",
        "bested" => "bested_drivers",
        "podium" => "podiums",
        other => other,
    };
    row[key].to_string()
}

#[test]
fn a_renamed_driver_is_found_under_the_newest_name_and_what_is_empty_now_stays_as_it_was() {
    let world = World::new(0, &[]);
    put(&world, 0, &[("José", "10", "T", "01/15/2024 14:30:00"), ("Jose", "9", "", DAY)]);
    publish(&world);
    let shard = |folder: &str, name: &str| published(&world, &format!("index/{folder}/{name}.json.gz"));
    let named = |value: &Value| {
        let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
        let of = |it: &Value| [text(it, "path_id"), text(it, "name"), text(it, "team")].join(" ");
        value.as_array().map(|it| it.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
    };
    assert_eq!(named(&shard("metadata", "j")["jose"]), ["9 Jose ", "10 José T"]);
    assert_eq!(published(&world, "index/mirror.json.gz"), json!(["jose", "josé"]));
    assert_eq!(
        published(&world, "index/teams.json.gz"),
        json!({"T": {"country": "Various", "drivers": [{"name": "José", "path_id": "10"}]}})
    );

    // The newer result has another name and no team.
    put(&world, 4, &[("Pepe", "10", "", DAY)]);
    publish(&world);
    assert_eq!(named(&shard("metadata", "p")["pepe"]), ["10 Pepe T"]);
    assert_eq!(shard("entries", "p")["pepe"].as_array().unwrap().len(), 2);
    assert_eq!(shard("entries", "j")["jose"].as_array().unwrap().len(), 1);
    // Of a key that has results, no identity goes.
    assert_eq!(named(&shard("metadata", "j")["jose"]), ["9 Jose ", "10 José T"]);
    let teams = published(&world, "index/teams.json.gz");
    assert_eq!(teams["T"]["drivers"], json!([{"name": "Pepe", "path_id": "10"}]));

    // Without any result the key goes, and with it all identities.
    put(&world, 0, &[("José", "10", "T", "01/15/2024 14:30:00")]);
    publish(&world);
    assert_eq!(shard("metadata", "j"), json!({}));
    assert_eq!(published(&world, "index/mirror.json.gz"), json!(["pepe"]));
}

#[test]
fn a_file_that_has_not_changed_stays_as_it_is_and_lists_of_classes_without_results_go() {
    let world = World::new(0, &[]);
    put(&world, 0, &[("Ana", "1", "", DAY), ("Ben", "2", "", DAY)]);
    put(&world, 2, &[("Ana", "1", "", DAY)]);
    let first = publish(&world);
    assert_eq!(first.written, first.files);
    let mut source = world.source(None, 2);
    source.now += std::time::Duration::from_secs(7);
    let again = export(build(&source).unwrap().1, world.cache.folder(), false).unwrap();
    assert_eq!((again.written, again.files), (0, first.files));
    assert_eq!(published(&world, "stats/index.json")["updated_at"], "1970-01-01T00:00:00Z");

    let stale = world.cache.folder().join("stats/classes/7_pole.json.gz");
    assert!(stale.exists());
    std::fs::remove_file(world.cache.board_path(world.catalog.combinations().nth(2).unwrap())).unwrap();
    let fewer = publish(&world);
    assert!((1..fewer.files).contains(&fewer.written) && fewer.files == first.files - 5, "{fewer:?}");
    assert!(!stale.exists());
}

#[test]
fn new_ratings_are_published_if_no_board_changed_and_stay_until_there_are_newer_ones() {
    let world = World::new(0, &[]);
    put(&world, 0, &[("Ana", "1", "", DAY)]);
    let publish_for = |formats, ratings| {
        let source = Source { formats, ratings, ..world.source(None, 2) };
        let (fingerprint, before) = Fingerprint::of(&source, false).unwrap();
        if before.is_some() {
            return None;
        }
        let (built, ranges) = build(&source).unwrap();
        let exported = export(ranges, world.cache.folder(), false).unwrap();
        fingerprint.keep(&source, &built, &exported).unwrap();
        Some(exported.written)
    };
    let publish = |ratings| publish_for(&IndexFormat::ALL, ratings);
    let list = |name: &str| {
        let rating = Rating { user_id: 1, name: name.to_owned(), position: 1, active: true };
        Ratings { source: "s".to_owned(), drivers: vec![rating] }
    };
    let lists = ["mp_pos.json.gz", "mp_pos/mp_pos.json.gz", "mp_pos/mp_pos_inactive.json.gz"];
    let there = || lists.iter().filter(|it| world.cache.folder().join(it).exists()).count();
    let named = || published(&world, lists[1])["results"][0]["name"].clone();
    let (first, second) = (list("first"), list("second"));
    assert!(publish(None).is_some() && there() == 0);
    assert_eq!((publish(Some(&first)), there(), named()), (Some(3), 3, json!("first")));
    assert_eq!((publish(Some(&first)), publish(None)), (None, None));
    // A list of inactive drivers without any stays as it is.
    assert_eq!((publish(Some(&second)), named()), (Some(2), json!("second")));
    // After a board has changed, the same list is looked at again: its drivers may have other countries.
    put(&world, 1, &[("Ana", "1", "", DAY)]);
    assert!(publish(None).is_some_and(|it| it > 0));
    assert_eq!((publish(Some(&second)), publish(Some(&second)), named()), (Some(0), None, json!("second")));
    // One that somebody has removed comes back with the next list, though that is the same.
    std::fs::remove_file(world.cache.folder().join(lists[0])).unwrap();
    assert_eq!((publish(None), there(), publish(Some(&second)), there()), (Some(0), 2, Some(1), 3));
    // Earlier front ends have none.
    assert!(publish_for(&[IndexFormat::February2026], Some(&first)).is_some() && there() == 0);
    assert!(publish(None).is_some() && there() == 0);
    assert_eq!((publish(Some(&second)), there()), (Some(3), 3));
}

#[test]
fn what_was_published_holds_until_a_board_a_file_or_a_setting_changes() {
    let world = World::new(0, &[]);
    put(&world, 0, &[("Ana", "1", "T", DAY), ("Ben", "2", "", DAY)]);
    let source = world.source(None, 2);
    let look = |source: &Source<'_>| Fingerprint::of(source, false).unwrap();
    let publish = || {
        let (fingerprint, before) = look(&source);
        let (built, ranges) = build(&source).unwrap();
        let exported = export(ranges, world.cache.folder(), false).unwrap();
        fingerprint.keep(&source, &built, &exported).unwrap();
        assert!(before.is_none());
        (built, exported)
    };
    let (built, exported) = publish();
    let (known, again) = look(&source).1.unwrap();
    assert_eq!((known.states, known.entries, known.nameless), (built.states, built.entries, built.nameless));
    assert_eq!(again, Exported { written: 0, ..exported });
    // The archive's files are no part of it.
    let archive = world.cache.folder().join("archive");
    std::fs::create_dir(&archive).unwrap();
    for name in ["status.json", "1-2.json", ".status.json.tmp"] {
        std::fs::write(archive.join(name), "{}").unwrap();
    }
    assert!(look(&source).1.is_some());
    // Settings.
    assert!(Fingerprint::of(&source, true).unwrap().1.is_none());
    assert!(look(&Source { formats: &[IndexFormat::April2026], ..source }).1.is_none());
    // A published file that is missing, one that is replaced, and one that nobody has published.
    for change in [
        (|folder| std::fs::remove_file(folder.join("index/teams.json.gz"))) as fn(&Path) -> std::io::Result<()>,
        |folder| std::fs::write(folder.join("driver_index.json.gz"), "{}"),
        |folder| std::fs::write(folder.join("index/entries/0.json.gz"), "{}"),
    ] {
        assert!(look(&source).1.is_some());
        change(world.cache.folder()).unwrap();
        assert!(publish().1.changed() || !world.cache.folder().join("index/entries/0.json.gz").exists());
    }
    // A board.
    put(&world, 3, &[("Ana", "1", "T", DAY)]);
    assert!(look(&source).1.is_none());
}
