//! Wrong flags, keys, values, catalogues and paths: the exit code, and a message that names the thing, the value and what
//! was expected.

use std::fs;

use r3e_tests::harness::{Invocation, Place, grid};

const NOWHERE: &str = "http://127.0.0.1:9";

/// Runs, and checks the exit code, that standard output is empty, and each part of the message.
#[track_caller]
fn refused(loader: &Invocation, code: i32, parts: &[&str]) {
    let ended = loader.run().with_code(code).naming(parts);
    assert_eq!(ended.stdout, "");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

fn arguments(place: &Place, arguments: &[&str]) -> Invocation {
    let loader = Invocation::new("r3e-loader", &place.path("")).argument("--cached-only");
    arguments.iter().fold(loader, |loader, &argument| loader.argument(argument))
}

#[test]
fn an_invalid_command_line_exits_2() {
    let place = Place::new();
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--cahce", "x"], &["--cahce", "--cache"]),
        (&["lode"], &["lode"]),
        (&["--cache"], &["--cache", "DIR"]),
        (&["--only", "5276-8600"], &["--only", "--cached-only"]),
        (&["--quiet", "--verbose"], &["--quiet", "--verbose"]),
        (&["--json=yes"], &["--json", "yes"]),
        (&["--json", "--json"], &["--json"]),
        (&["catalog"], &["import", "check"]),
        (&["catalog", "import"], &["FILE"]),
    ];
    for (given, parts) in cases {
        refused(&arguments(&place, given), 2, parts);
    }
    for (only, parts) in [
        ("77", ["--only", "\"77\""]),
        ("5276-77", ["--only", "\"5276-77\""]),
        ("Spa", ["--only", "\"Spa\""]),
        ("01693", ["--only", "\"01693\""]),
        (" , ", ["--only", "\" , \""]),
    ] {
        refused(&Invocation::new("r3e-loader", &place.path("")).argument("--only").argument(only), 2, &parts);
    }
    assert!(!place.cache().exists(), "nothing is made before it is known what is asked");
}

#[test]
fn impossible_settings_exit_78_with_their_source_all_at_once() {
    let place = Place::new();
    let flags: [(&[&str], &[&str]); 8] = [
        (&["--concurrency", "0"], &["--concurrency", "upstream.concurrency", "0", "256"]),
        (&["--concurrency", "-1"], &["--concurrency", "-1", "256"]),
        (&["--requests-per-second", "many"], &["--requests-per-second", "many", "100000"]),
        (&["--upstream", "game.raceroom.com"], &["--upstream", "game.raceroom.com", "http"]),
        (&["--upstream", "ftp://x"], &["--upstream", "ftp://x", "http"]),
        (&["--memory-limit-mb", "1.5"], &["--memory-limit-mb", "1.5", "memory.limit_mb"]),
        (&["--log-level", "loud"], &["--log-level", "loud", "error, warn, info, debug, trace"]),
        (&["--cache", ""], &["--cache", "cache.dir"]),
    ];
    for (given, parts) in flags {
        refused(&arguments(&place, given), 78, parts);
    }
    let variables = [
        ("R3E_CACHE__MAX_AGE", "24", "24h"),
        ("R3E_UPSTREAM__PAGE_SIZE", "1501", "1500"),
        ("R3E_INDEX__EVERY", "0s", "1ms"),
        ("R3E_INDEX__PLAIN", "yes", "true"),
        ("R3E_UPSTREAM__BACKOFF_MIN", "1h", "backoff_max"),
        ("MEMORY_LIMIT_MB", "0", "memory.limit_mb"),
        ("MEMORY_LIMIT_MB", "600MB", "memory.limit_mb"),
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
        ("[upstream]\nconcurrency = \"3\"\n", ["r3e.toml:2", "\"3\"", "256"]),
        ("[cache]\nmax_age = 24\n", ["r3e.toml:2", "24", "cache.max_age"]),
        ("[cache\n", ["r3e.toml:1", "", ""]),
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
fn an_invalid_catalogue_exits_78_and_names_the_place() {
    let place = Place::new();
    let catalog = place.path("catalog.toml");
    let good = grid(2, 2).to_toml();
    for (text, parts) in [
        (String::new(), ["catalog.toml", "[[track]]", ""]),
        (good.replace("id = 102", "id = 0"), ["catalog.toml", "id = 0", ""]),
        (good.replace("id = 102", "id = 103"), ["catalog.toml", "103", ""]),
        (good.replace("id = 102", "id = \"102\""), ["catalog.toml", "102", ""]),
        (format!("{good}\n[[tracks]]\nid = 1\nname = 'x'\n"), ["catalog.toml", "tracks", ""]),
        ("[[track]".to_owned(), ["catalog.toml", "1", "[[track]"]),
    ] {
        fs::write(&catalog, &text).unwrap();
        refused(&arguments(&place, &["--catalog", "catalog.toml"]), 78, &parts);
    }
    fs::write(&catalog, b"\xff").unwrap();
    refused(&arguments(&place, &["--catalog", "catalog.toml"]), 78, &["catalog.toml", "0xff"]);
    refused(&arguments(&place, &["--catalog", "none.toml"]), 78, &["catalog.path", "none.toml", "No such file"]);
    refused(&arguments(&place, &["--catalog", "/"]), 78, &["catalog.path", "Is a directory"]);
    assert!(!place.cache().exists());
}

#[test]
fn paths_that_cannot_be_written_exit_74_and_are_named() {
    let place = Place::new();
    fs::write(place.path("file"), "a regular file").unwrap();
    let cases: [&[&str]; 3] = [&["--cache", "file"], &["--cache", "file/cache"], &["--staging", "file/staging"]];
    for given in cases {
        refused(&arguments(&place, given), 74, &["file"]);
    }
    refused(&arguments(&place, &["--cache", "/proc/none/cache"]), 74, &["/proc/none"]);
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "a regular file");

    // What stands where an export belongs.
    fs::create_dir_all(place.cache().join("driver_index.json.gz")).unwrap();
    refused(&arguments(&place, &[]), 74, &["driver_index.json.gz", "directory"]);
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
