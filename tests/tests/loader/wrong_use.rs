//! Wrong flags, keys, values, catalogues and paths: the exit code, and a message that names the thing, the value and what
//! was expected.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use r3e_tests::harness::{
    Differences, Invocation, Place, age, assert_serves, board_file, board_files, driver_index, grid, snapshot,
};
use r3e_tests::sim::{SimOptions, Simulator};

const NOWHERE: &str = "http://127.0.0.1:9";

/// Runs, and checks the exit code, that standard output is empty, and each part of the message.
#[track_caller]
fn refused(loader: &Invocation, code: i32, parts: &[&str]) {
    let ended = loader.run().with_code(code);
    for part in parts {
        assert!(ended.stderr.contains(part), "{part:?} in {}", ended.stderr);
    }
    assert_eq!(ended.stdout, "");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

fn arguments(place: &Place, arguments: &[&str]) -> Invocation {
    let loader = Invocation::new("r3e-loader", &place.path("")).argument("--cached-only");
    arguments.iter().fold(loader, |loader, &argument| loader.argument(argument))
}

#[test]
fn a_command_line_that_is_not_understood_exits_2() {
    let place = Place::new();
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--cahce", "x"], &["--cahce", "--cache"]),
        (&["lode"], &["lode"]),
        (&["--cache"], &["--cache", "DIR"]),
        (&["--only", "5276-8600"], &["--only", "--cached-only", "cannot be used with"]),
        (&["--quiet", "--verbose"], &["--quiet", "--verbose", "cannot be used with"]),
        (&["--json=yes"], &["--json", "yes"]),
        (&["--json", "--json"], &["--json", "multiple times"]),
        (&["catalog"], &["import", "check"]),
        (&["catalog", "import"], &["FILE"]),
    ];
    for (given, parts) in cases {
        refused(&arguments(&place, given), 2, parts);
    }
    for (only, parts) in [
        ("77", ["--only", "\"77\"", "track 77 is not in the catalogue"]),
        ("5276-77", ["--only", "\"5276-77\"", "class 77 is not in the catalogue"]),
        ("Spa", ["--only", "\"Spa\"", "expected a track id (1693)"]),
        ("01693", ["--only", "\"01693\"", "expected a track id (1693)"]),
        (" , ", ["--only", "\" , \"", "expected at least one"]),
    ] {
        refused(&Invocation::new("r3e-loader", &place.path("")).argument("--only").argument(only), 2, &parts);
    }
    assert!(!place.cache().exists(), "nothing is made before it is known what is asked");
}

#[test]
fn impossible_settings_exit_78_with_their_source_all_at_once() {
    let place = Place::new();
    let flags: [(&[&str], &[&str]); 8] = [
        (&["--concurrency", "0"], &["--concurrency", "upstream.concurrency", "0", "from 1 to 256"]),
        (&["--concurrency", "-1"], &["--concurrency", "-1", "from 1 to 256"]),
        (&["--requests-per-second", "many"], &["--requests-per-second", "many", "a whole number from 1 to 100000"]),
        (&["--upstream", "game.raceroom.com"], &["--upstream", "game.raceroom.com", "http or https"]),
        (&["--upstream", "ftp://x"], &["--upstream", "ftp://x", "http or https"]),
        (&["--memory-limit-mb", "1.5"], &["--memory-limit-mb", "1.5", "a whole number"]),
        (&["--log-level", "loud"], &["--log-level", "loud", "error, warn, info, debug, trace"]),
        (&["--cache", ""], &["--cache", "cache.dir", "a path, not empty"]),
    ];
    for (given, parts) in flags {
        refused(&arguments(&place, given), 78, parts);
    }
    let variables = [
        ("R3E_CACHE__MAX_AGE", "24", "24h, 30m or 500ms"),
        ("R3E_UPSTREAM__PAGE_SIZE", "1501", "from 2 to 1500"),
        ("R3E_INDEX__EVERY", "0s", "from 1ms"),
        ("R3E_INDEX__PLAIN", "yes", "true or false"),
        ("R3E_UPSTREAM__BACKOFF_MIN", "1h", "at most"),
        ("MEMORY_LIMIT_MB", "0", "a whole number from 1"),
        ("MEMORY_LIMIT_MB", "600MB", "a whole number from 1"),
        ("R3E_CONFIG", "/nowhere.toml", "No such file"),
    ];
    for (name, value, expected) in variables {
        refused(&arguments(&place, &[]).variable(name, value), 78, &[name, value, expected]);
    }
    for name in ["R3E_CACHE__DIR_", "R3E_CACHE_DIR"] {
        refused(&arguments(&place, &[]).variable(name, "x"), 78, &[name, "R3E_CACHE__DIR?"]);
    }
    let file = place.path("r3e.toml");
    for (text, parts) in [
        ("[upstream]\nconcurency = 3\n", ["r3e.toml:2", "upstream.concurency", "upstream.concurrency"]),
        ("[upstream]\nconcurrency = \"3\"\n", ["r3e.toml:2", "\"3\"", "a whole number from 1 to 256"]),
        ("[cache]\nmax_age = 24\n", ["r3e.toml:2", "24", "a duration with its unit"]),
        ("[cache\n", ["r3e.toml:1", "not TOML", ""]),
    ] {
        fs::write(&file, text).unwrap();
        refused(&arguments(&place, &[]), 78, &parts);
    }
    fs::write(&file, "[index]\nplain = 1\n").unwrap();
    let all_at_once = arguments(&place, &["--concurrency", "0"]).variable("R3E_CACHE__MAX_AGE", "old");
    refused(&all_at_once, 78, &["r3e.toml:2: index.plain", "--concurrency", "R3E_CACHE__MAX_AGE", "old"]);
    assert!(!place.cache().exists(), "nothing is made before the configuration is known to be good");
}

#[test]
fn an_unusable_catalogue_exits_78_and_tells_where() {
    let place = Place::new();
    let catalog = place.path("catalog.toml");
    let good = grid(2, 2).to_toml();
    for (text, parts) in [
        (String::new(), ["catalog.toml", "no [[track]]", "expected at least one"]),
        (good.replace("id = 102", "id = 0"), ["catalog.toml", "id = 0", "expected a whole number from 1"]),
        (good.replace("id = 102", "id = 103"), ["catalog.toml", "track id 103", "expected each id once"]),
        (good.replace("id = 102", "id = \"102\""), ["catalog.toml", "line", "i64"]),
        (format!("{good}\n[[tracks]]\nid = 1\nname = 'x'\n"), ["catalog.toml", "unknown field `tracks`", "expected"]),
        ("[[track]".to_owned(), ["catalog.toml", "line 1", "[[track]"]),
    ] {
        fs::write(&catalog, &text).unwrap();
        refused(&arguments(&place, &["--catalog", "catalog.toml"]), 78, &parts);
    }
    fs::write(&catalog, b"\xff").unwrap();
    refused(
        &arguments(&place, &["--catalog", "catalog.toml"]),
        78,
        &["catalog.toml", "byte 0xff at offset 0 is not UTF-8"],
    );
    refused(
        &arguments(&place, &["--catalog", "none.toml"]),
        78,
        &["catalog.path", "cannot open none.toml", "No such file"],
    );
    refused(&arguments(&place, &["--catalog", "/"]), 78, &["catalog.path", "Is a directory"]);
    assert!(!place.cache().exists());
}

#[test]
fn paths_that_cannot_be_written_exit_74_and_are_named() {
    let place = Place::new();
    fs::write(place.path("file"), "a regular file").unwrap();
    let cases: [&[&str]; 3] = [&["--cache", "file"], &["--cache", "file/cache"], &["--staging", "file/staging"]];
    for given in cases {
        refused(&arguments(&place, given), 74, &["cannot create the folder", "file"]);
    }
    refused(&arguments(&place, &["--cache", "/proc/none/cache"]), 74, &["cannot create the folder", "/proc/none"]);
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "a regular file");

    // What stands where an export belongs.
    fs::create_dir_all(place.cache().join("driver_index.json.gz")).unwrap();
    refused(&arguments(&place, &[]), 74, &["driver_index.json.gz", "directory"]);
}

#[test]
fn a_disk_that_is_full_exits_74_and_old_files_stay_whole() {
    let catalog = grid(6, 6);
    let place = Place::with_catalog(&catalog);
    let options = SimOptions { catalog: catalog.clone(), entries: 4000, drivers: 900, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    let largest = sim.world().boards().max_by_key(r3e_tests::sim::Board::len).unwrap().combination();
    for board in catalog.combinations() {
        sim.change_board(board).unwrap();
    }
    for board in catalog.combinations().take(3).chain([largest]) {
        age(&board_file(&place.cache(), board), Duration::from_hours(48));
    }
    let before = snapshot(&place.cache());

    // No file may grow beyond a few kilobytes: small boards can be written, the largest and the index cannot.
    let ended = place.loader(&sim.base_url()).with_files_up_to(4096).run().with_code(74);
    assert!(ended.stderr.contains("cannot write") && ended.stderr.contains("File too large"), "{}", ended.stderr);
    let after = snapshot(&place.cache());
    assert!(after.keys().eq(before.keys()), "no file more, none less");
    let untouched = |path: &PathBuf| after[path] == before[path];
    assert!(untouched(&board_file(&place.cache(), largest)));
    assert!(before.keys().filter(|path| path.parent() == Some(&place.cache())).all(untouched), "the exports");
    assert_eq!(board_files(&place.cache()).len(), 36, "each is whole");

    let _ended = place.loader(&sim.base_url()).set("cache.max_age", "0s").run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
}

#[test]
fn help_version_and_the_configuration_are_results() {
    let place = Place::new();
    let help = Invocation::new("r3e-loader", &place.path("")).argument("--help").run().with_code(0);
    assert!(help.stdout.contains("Examples:") && help.stdout.contains("Exit codes:"), "{}", help.stdout);
    let version = Invocation::new("r3e-loader", &place.path("")).argument("--version").run().with_code(0);
    assert!(version.stdout.starts_with("r3e-loader 0."), "{}", version.stdout);
    let shown = place.loader(NOWHERE).argument("--print-config").run().with_code(0);
    for part in ["R3E_UPSTREAM__BASE_URL", NOWHERE, "max_age", "24h"] {
        assert!(shown.stdout.contains(part), "{part} in {}", shown.stdout);
    }
    fs::write(place.path("r3e.toml"), &shown.stdout).unwrap();
    let again = Invocation::new("r3e-loader", &place.path("")).argument("--print-config").run().with_code(0);
    assert!(again.stdout.contains(NOWHERE), "what is printed can be read: {}", again.stdout);
    for (path, content) in [("built in", &[][..]), ("catalog.toml", &["catalog.toml"])] {
        fs::write(place.path("catalog.toml"), grid(2, 3).to_toml()).unwrap();
        let check = ["catalog", "check"].iter().chain(content);
        let check = check
            .fold(Invocation::new("r3e-loader", &place.path("")), |loader, &it| loader.argument(it))
            .run()
            .with_code(0);
        let boards = if content.is_empty() { "16110 boards" } else { "6 boards" };
        assert!(check.stdout.contains(path) && check.stdout.contains(boards), "{}", check.stdout);
    }
}
