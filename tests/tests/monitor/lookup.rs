//! The page to look up drivers, boards and records, as people use it: in a browser, on the files that a loader published.

use r3e_tests::harness::{Place, grid, simulated};
use r3e_tests::sim::{SimOptions, Simulator};
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::http::Server;
use crate::place::put_archive;
use crate::visit::Visit;

fn published(sim: &Simulator, place: Place) -> Option<Visit> {
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let browser = Chromium::start(&place.path(""))?;
    Some(Visit { browser, server: Server::start(&place), place })
}

fn world() -> Option<Visit> {
    let (sim, place) = simulated(30, 20, SimOptions { entries: 30_000, drivers: 4000, ..SimOptions::default() });
    published(&sim, place)
}

/// The page asked nobody but its server, and the browser complained of nothing.
fn ends_well(page: Visit) {
    let ours = format!("http://{}/", page.server.address);
    let foreign = |it: &&String| !it.starts_with(&ours) && !["data:,", "about:blank"].contains(&it.as_str());
    assert_eq!(page.browser.requests.iter().filter(foreign).collect::<Vec<_>>(), Vec::<&String>::new());
    // The browser itself complains of each 404, and few boards have a record line.
    let others = |it: &&String| !(it.contains("status of 404") && it.contains("/cache/archive/"));
    let others: Vec<&String> = page.browser.complaints.iter().filter(others).collect();
    assert!(others.is_empty(), "{others:?}");
    page.server.stop();
}

#[test]
fn drivers_are_found_by_a_part_of_their_names_in_any_script() {
    let Some(mut page) = world() else { return };
    page.open("");

    // A part of a name, in the middle of it. All names come with one file, and no result before it is asked for.
    let mirror: Vec<String> = serde_json::from_value(page.file("cache/index/mirror.json.gz")).unwrap();
    page.types("chuma");
    let names = page.names();
    assert!(names.len() > 3 && names.iter().all(|it| it.contains("chuma")), "{names:?}");
    // Accents typed without, and letters of the Latin script that have no accent to lose.
    page.types("JOSE");
    let expected = mirror.iter().filter(|it| it.contains("jose")).count();
    assert!(expected > 10 && page.text("found").starts_with(&format!("{expected} names")), "{expected}");
    assert!(page.names().iter().all(|it| it.contains("josé")), "{:?}", page.names());
    page.types("lukasz strass");
    assert!(
        page.names().iter().all(|it| it.contains("łukasz straß")) && !page.names().is_empty(),
        "{:?}",
        page.names()
    );
    // Other scripts, one of them written from right to left, one without the marks that the name has.
    for (typed, part) in
        [("ИВАН", "иван"), ("さくら", "さくら"), ("子", "子"), ("김", "김"), ("احمد", "أحمد"), ("χρηστος", "χρήστος")]
    {
        page.types(typed);
        let names = page.names();
        assert!(!names.is_empty() && names.iter().all(|it| it.contains(part)), "{typed}: {names:?}");
    }
    page.types("no such name");
    assert_eq!((page.names().len(), page.text("found")), (0, "0 names".into()));
    assert_eq!((page.asked("index/mirror"), page.asked("index/entries"), page.asked("index/metadata")), (1, 0, 0));

    // To the results by keyboard, and back.
    page.types("jose");
    page.fits("names");
    page.presses("ArrowDown", 40);
    page.presses("ArrowDown", 40);
    page.presses("ArrowUp", 38);
    page.presses("Enter", 13);
    page.shows("#driver=jose");
    assert_eq!((page.asked("index/entries"), page.asked("index/metadata")), (1, 1));
    page.browser.value("history.back()");
    page.shows("#drivers=jose");
    page.presses("Enter", 13);
    page.shows("#driver=jose");

    // Whatever name is shown leads to its results.
    let names = page.browser.value(&format!("({EVERY_NAME})({})", json!(all_names(&page))));
    assert_eq!(names, json!([]), "names without results");
    ends_well(page);
}

#[test]
fn results_boards_and_records_are_shown_as_they_are_published() {
    let Some(mut page) = world() else { return };
    let (key, results) = many_results(&page);
    page.open(&format!("#driver={}", encoded(&key)));
    let identity = page.shard("metadata", &key)[0].clone();
    assert_eq!(page.text("driver-name"), identity["name"].as_str().unwrap());
    let first = &results[0];
    let (lap, gap) =
        first["laptime"].as_str().unwrap().split_once(", ").unwrap_or((first["laptime"].as_str().unwrap(), "–"));
    let rows = page.rows("results");
    assert_eq!(rows.len(), results.len());
    let position = format!("{} of {}", first["position"], first["total_entries"]);
    let plain = |it: &String| it.replace(',', "");
    assert_eq!((plain(&rows[0][2]), &*rows[0][3], &*rows[0][4]), (position, lap, gap));
    assert_eq!((&*rows[0][1], &*rows[0][5]), (first["car_class"].as_str().unwrap(), first["car"].as_str().unwrap()));
    assert!(rows.iter().all(|row| row[6].starts_with("20")), "dates as they are read: {rows:?}");
    page.fits("driver");

    // One class, which is in the address.
    let class = first["car_class"].as_str().unwrap();
    page.chooses("class-filter", class);
    page.shows(&format!("#driver={key}/{class}"));
    let hash = page.browser.value("location.hash").as_str().unwrap().to_owned();
    page.open(&hash);
    let of_class = results.iter().filter(|it| it["car_class"] == class).count();
    let rows = page.rows("results");
    assert!(of_class < results.len() && rows.len() == of_class && rows.iter().all(|row| row[1] == class), "{rows:?}");

    // The board of a result.
    page.browser.value("document.querySelector('#results tbody a').click()");
    page.shows("#board=");
    let board = |page: &Visit, it: &Value| {
        let path = format!(
            "cache/tracks/track_{}/class_{}.json.gz",
            it["track_id"].as_str().unwrap(),
            it["class_id"].as_str().unwrap()
        );
        page.file(&path)["track_info"]["Data"].as_array().unwrap().clone()
    };
    let entries = board(&page, first);
    let rows = page.rows("board");
    assert_eq!((rows.len(), &*rows[0][1]), (entries.len().min(100), entries[0]["driver"]["name"].as_str().unwrap()));

    // The largest board, by track and class.
    let largest = page.file("cache/all_combinations.json.gz")["results"][0].clone();
    page.open("#board");
    page.chooses("track", largest["track_id"].as_str().unwrap());
    page.shows("#board=");
    page.chooses("class", largest["class_id"].as_str().unwrap());
    page.shows(&format!("#board={}/{}", largest["track_id"].as_str().unwrap(), largest["class_id"].as_str().unwrap()));
    let entries = board(&page, &largest);
    assert!(entries.len() > 600 && page.rows("board").len() == 100);
    page.fits("board");
    page.browser.value("document.querySelector('#board button').click()");
    let rows = page.rows("board");
    let shown = |it: &Value| it["driver"]["name"].as_str().unwrap().to_owned();
    assert!(rows.len() == 600 && rows.iter().zip(&entries).all(|(row, it)| row[1] == shown(it)));

    // Records: overall, and of a class.
    page.open("#records");
    page.chooses("metric", "bested");
    page.shows("#records=overall/bested");
    let list = |page: &Visit, files: &Value, name: &str| page.file(files[name].as_str().unwrap())["results"].clone();
    let manifest = page.file("cache/stats/index.json");
    let bested = list(&page, &manifest["overall_top"], "bested_file");
    let rows = page.rows("records");
    assert_eq!(
        (&*rows[0][1], plain(&rows[0][2])),
        (bested[0]["name"].as_str().unwrap(), bested[0]["bested_drivers"].to_string())
    );
    page.fits("records");
    let class = &manifest["classes"][0];
    page.chooses("scope", &format!("class {}", class["id"].as_str().unwrap()));
    page.shows("#records=class ");
    let best = list(&page, &class["files"], "bested_file");
    assert_eq!(page.rows("records").first().map(|row| &*row[1]), best[0]["name"].as_str());
    ends_well(page);
}

/// The names, of these, under which nothing is found.
const EVERY_NAME: &str = "async (names) => {
    const missing = [];
    for (const name of names) if (!(await R3E.published.driver(name)).results.length) missing.push(name);
    return missing;
}";

/// The name of each driver, as shown.
fn all_names(page: &Visit) -> Vec<String> {
    let mut names = Vec::new();
    for shard in ('a'..='z').chain(['_']) {
        let shard = page.file(&format!("cache/index/metadata/{shard}.json.gz"));
        let identities = shard.as_object().unwrap().values().flat_map(|it| it.as_array().unwrap());
        names.extend(identities.map(|it| it["name"].as_str().unwrap().to_owned()));
    }
    assert!(names.len() > 2500, "{}", names.len());
    names
}

/// The key of a driver who has many results, though not more than are shown at once, and all of them.
fn many_results(page: &Visit) -> (String, Vec<Value>) {
    let shard = page.file("cache/index/entries/_.json.gz");
    let alone = |it: &&Value| it.as_array().unwrap().iter().all(|result| result["path_id"] == it[0]["path_id"]);
    let drivers = shard.as_object().unwrap().iter().filter(|(_, it)| alone(it) && it.as_array().unwrap().len() <= 100);
    let (key, results) = drivers.max_by_key(|(_, it)| it.as_array().unwrap().len()).unwrap();
    (key.clone(), results.as_array().unwrap().clone())
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |hash, it| format!("{hash}%{it:02x}"))
}

#[test]
fn names_from_right_to_left_long_names_and_equal_names_are_shown_whole() {
    let catalog = grid(3, 4);
    let place = Place::with_catalog(&catalog);
    let options = SimOptions { catalog, entries: 6000, drivers: 3000, ..SimOptions::default() };
    let Some(mut page) = published(&Simulator::start(options).unwrap(), place) else { return };
    let names = all_names(&page);
    for (what, part) in [("right-to-left", "محمد"), ("long", "[xX-xX-"), ("markup", "<b>"), ("control", "\u{1}")] {
        let name = names.iter().find(|it| it.contains(part)).unwrap();
        page.open(&format!("#driver={}", encoded(name)));
        assert!(!page.rows("results").is_empty(), "{name}");
        let shown = page.browser.value("document.getElementById('driver-name').textContent");
        assert!(shown.as_str().unwrap().contains(name), "{name}");
        page.fits(what);
    }
    // Two drivers of one name: each with their own results.
    let shared = ('a'..='z').find_map(|shard| {
        let shard = page.file(&format!("cache/index/metadata/{shard}.json.gz"));
        let found = shard.as_object().unwrap().iter().find(|(_, it)| it.as_array().unwrap().len() == 2);
        found.map(|(key, _)| key.clone())
    });
    let key = shared.unwrap();
    page.open(&format!("#driver={}", encoded(&key)));
    assert_eq!(page.browser.value("document.querySelectorAll('#results table').length"), 2);
    assert_eq!(page.rows("results").len(), page.shard("entries", &key).as_array().unwrap().len());
    page.fits("equal-names");
    ends_well(page);
}

#[test]
fn fields_of_any_type_cost_no_board_and_an_address_that_was_cut_shows_the_page() {
    let options = SimOptions { entries: 300, drivers: 60, odd_rate: 1.0, ..SimOptions::default() };
    let (sim, place) = simulated(5, 6, options);
    let Some(mut page) = published(&sim, place) else { return };
    let boards = page.file("cache/all_combinations.json.gz")["results"].as_array().unwrap().clone();
    assert!(boards.len() >= 6, "{}", boards.len());
    for board in boards {
        page.open(&format!("#board={}/{}", board["track_id"].as_str().unwrap(), board["class_id"].as_str().unwrap()));
        let shown = page.rows("board");
        assert_eq!(shown.len() as u64, board["entry_count"].as_u64().unwrap().min(100), "{board}");
        assert!(shown.iter().all(|row| row[0].replace(',', "").parse::<u64>().is_ok()), "{shown:?}");
    }
    for address in ["#driver", "#driver=", "#drivers=%E0%A4%A", "#board=%", "#records=x/__proto__"] {
        page.browser.open("about:blank");
        let address = format!("http://{}/{address}", page.server.address);
        page.browser.open(&address);
        page.browser
            .until("document.body?.dataset?.shown === location.hash && document.getElementById('message').hidden");
    }
    ends_well(page);
}

/// The records of a board that fell by 1.2 s each night: by drivers of these names.
fn record_line(board: &str, drivers: &[&str]) -> Value {
    let records = drivers.iter().enumerate().map(|(night, driver)| {
        let ms = 83_456 - 1200 * night;
        json!({
            "observed_at": format!("2026-11-{:02}T04:30:00Z", night + 1),
            "lap_date": (night > 0).then(|| format!("2026-11-{night:02}T20:00:00Z")),
            "laptime": format!("1m {}.{:03}s", ms / 1000 - 60, ms % 1000),
            "laptime_ms": ms,
            "driver": driver,
            "driver_id": (night > 0).then_some(night),
            "car": "Car <i>1</i>",
            "gain_ms": (night > 0).then_some(1200),
        })
    });
    json!({ "board": board, "records": records.collect::<Vec<_>>() })
}

#[test]
fn the_record_of_a_board_is_shown_over_time_if_the_archive_knows_it() {
    let (sim, place) = simulated(3, 4, SimOptions { entries: 300, drivers: 60, ..SimOptions::default() });
    let Some(mut page) = published(&sim, place) else { return };
    let largest = page.file("cache/all_combinations.json.gz")["results"][0].clone();
    let [track, class] = ["track_id", "class_id"].map(|it| largest[it].as_str().unwrap().to_owned());
    let (board, hash) = (format!("{track}-{class}"), format!("#board={track}/{class}"));
    let show = |page: &mut Visit, text: &str| {
        put_archive(&page.place, &format!("{board}.json"), text);
        page.open(&hash);
        assert!(!page.rows("board").is_empty(), "the board is shown whatever its record line is: {text}");
    };
    let is_hidden = |page: &mut Visit, id: &str| {
        page.browser.value(&format!("document.getElementById('{id}').getClientRects().length === 0")) == true
    };
    page.open(&hash);
    assert!(is_hidden(&mut page, "record-line") && page.asked("cache/archive/") == 1);

    let hostile = "</td><img src=x onerror=alert(1)><script>alert(2)</script>";
    let long = "\u{202e}[xX-xX-".repeat(40);
    let drivers = ["José", hostile, &long, "محمد", "&lt;Last&gt;"];
    show(&mut page, &record_line(&board, &drivers).to_string());
    assert!(!is_hidden(&mut page, "record-steps"));
    let steps = page.browser.value("document.querySelector('#record-steps path').getAttribute('d')");
    let steps = steps.as_str().unwrap().to_owned();
    assert_eq!((steps.matches('V').count(), steps.ends_with("V97.00H100")), (5, true), "{steps}");
    // A line that is seen, not a path that came to nothing.
    let drawn = "(() => { const it = document.querySelector('#record-steps path').getBBox(); return [it.width, it.height]; })()";
    assert_eq!(page.browser.value(drawn), json!([100, 94]));
    assert_eq!(
        (page.text("record-first"), page.text("record-last")),
        ("1m 23.456s on 2026-11-01".into(), "1m 18.656s since 2026-11-05".into())
    );
    page.browser.value("document.querySelector('#record-line summary').click()");
    let rows = page.rows("record-laps");
    assert_eq!(rows.iter().map(|row| &*row[1]).rev().collect::<Vec<_>>(), drivers);
    assert_eq!(rows[0][0], "2026-11-05 04:30");
    assert_eq!(rows[0][2..], ["1m 18.656s", "1.200s", "Car <i>1</i>", "2026-11-04 20:00"]);
    assert_eq!(rows[4][2..], ["1m 23.456s", "–", "Car <i>1</i>", "–"]);
    assert_eq!(page.browser.value("document.querySelectorAll('#record-line :is(img, script, i)').length"), 0);
    page.fits("record-line");

    // One record has no line.
    show(&mut page, &record_line(&board, &["Ana"]).to_string());
    assert!(is_hidden(&mut page, "record-steps"));
    assert_eq!((page.text("record-first"), page.rows("record-laps").len()), ("1m 23.456s since 2026-11-01".into(), 1));
    page.fits("record");

    // Fields of any type.
    let mut odd = record_line(&board, &["A", "B"]);
    odd["records"][1] =
        json!({ "observed_at": "2026-11-02T04:30:00Z", "laptime_ms": 1, "driver": {}, "laptime": [], "gain_ms": "x" });
    for it in [json!(null), json!(7), json!([]), json!({}), json!({ "observed_at": "x", "laptime_ms": 1 })] {
        odd["records"].as_array_mut().unwrap().push(it);
    }
    show(&mut page, &odd.to_string());
    assert_eq!(page.rows("record-laps")[0][1..], ["–", "–", "–", "–", "–"]);

    for none in [r#"{"records":[]}"#, r#"{"records":[{}]}"#] {
        show(&mut page, none);
        assert!(is_hidden(&mut page, "record-line"), "{none}");
    }
    for garbage in ["", "7", "{}", "<html>", r#"{"records":{"length":3}}"#] {
        show(&mut page, garbage);
        assert!(!is_hidden(&mut page, "record-first") && is_hidden(&mut page, "record-count"), "{garbage}");
    }
    ends_well(page);
}

#[test]
fn a_page_without_files_says_so_and_fills_when_they_come() {
    let (sim, place) = simulated(3, 4, SimOptions { entries: 200, drivers: 50, ..SimOptions::default() });
    let Some(browser) = Chromium::start(&place.path("")) else { return };
    let mut page = Visit { browser, server: Server::start(&place), place };
    page.open("");
    let hidden = |page: &mut Visit| page.browser.value("document.getElementById('message').hidden") == true;
    assert!(!hidden(&mut page) && page.text("message").contains("r3e-loader"), "{}", page.text("message"));
    let look_again = "document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))";
    // Files of the older format alone are not enough.
    let load = |page: &Visit, formats: &str| {
        let loader = page.place.loader(&sim.base_url()).set("index.formats", formats);
        let _ended = loader.run().with_code(0);
    };
    load(&page, "2026-02");
    page.open("#board");
    assert!(!hidden(&mut page) && page.text("message").contains("index.formats"), "{}", page.text("message"));
    load(&page, "2026-02,2026-04");
    page.browser.value(look_again);
    page.browser
        .until("document.getElementById('message').hidden && document.querySelectorAll('#track option').length > 1");
    // The browser itself complains of each 404.
    let others = |it: &&String| !it.contains("status of 404");
    assert_eq!(page.browser.complaints.iter().filter(others).count(), 0, "{:?}", page.browser.complaints);
    page.server.stop();
    page.browser.value(look_again);
    page.browser.until("document.getElementById('state').dataset.state === 'gone'");
}
