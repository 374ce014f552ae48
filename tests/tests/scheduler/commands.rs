//! `next` and `check`: what they show, and what is said of wrong use.

use std::fs;

use r3e_tests::harness::{Ended, Invocation, Place, grid};

/// The scheduler, asked there.
fn asked(place: &Place, arguments: &[&str]) -> Invocation {
    Invocation::new("r3e-scheduler", &place.path(""))
        .set("runtime.dir", &place.path("run").to_string_lossy())
        .set("schedule.time_zone", "Asia/Kathmandu")
        .arguments(arguments)
}

#[track_caller]
fn refused(invocation: &Invocation, code: i32, parts: &[&str]) -> Ended {
    let ended = invocation.run().with_code(code).naming(parts);
    assert_eq!(ended.stdout, "");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

#[test]
fn next_shows_the_requested_number_of_runs() {
    let place = Place::new();
    let five = asked(&place, &["next"]).run().with_code(0).stdout;
    assert_eq!(five.lines().count(), 6);
    assert!(five.lines().next_back().unwrap().contains(" 1m to 30m"), "{five}");
    let first = five.lines().next().unwrap();
    assert!(first.contains(" 04:00 +05:45 Asia/Kathmandu  in ") && first.ends_with("  daily at 04:00"), "{first}");

    let hourly = asked(&place, &["next", "--count", "100", "--json"]).set("schedule.cron", "@hourly; 0 12 * * mon-sun");
    let ended = hourly.run().with_code(0);
    let runs = ended.json();
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 100);
    let noons = runs.iter().filter(|run| run["at"].as_str().unwrap().contains("T12:00:00+05:45"));
    let rules = serde_json::json!([{"cron": "@hourly"}, {"cron": "0 12 * * mon-sun"}]);
    assert!(noons.inspect(|noon| assert_eq!(noon["rules"], rules)).count() >= 4);
    let seconds: Vec<i64> = runs.iter().map(|run| run["in_seconds"].as_i64().unwrap()).collect();
    assert!(
        seconds[0] <= 3600 && seconds.windows(2).all(|two| (3599..=3601).contains(&(two[1] - two[0]))),
        "{seconds:?}"
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn check_shows_what_a_start_would_find_and_changes_nothing() {
    let place = Place::with_catalog(&grid(3, 2));
    let ended = asked(&place, &["check"]).set("catalog.path", "catalog.toml").run().with_code(0);
    for part in ["Asia/Kathmandu (schedule.time_zone)", "daily at 04:00", "6 boards", "/cache_temp"] {
        assert!(ended.stdout.contains(part), "{part:?} in {}", ended.stdout);
    }
    // Of what is kept from an earlier start, years ago.
    fs::create_dir(place.staging()).unwrap();
    let settled = place.staging().join(".scheduler.json");
    fs::write(&settled, r#"{"format":1,"settled_at":"2020-01-01T00:00:00Z"}"#).unwrap();
    let json = asked(&place, &["--json", "check"]).run().with_code(0).json();
    let due = &json["due"];
    assert!(due["what"] == "make up" && due["further"] == 1000, "{due}");
    assert_eq!((&json["boards"], &json["catalog"]), (&serde_json::json!(16_110), &serde_json::Value::Null));
    assert!(json["next"]["in_seconds"].as_u64().unwrap() <= 86_400);
    let skipping = asked(&place, &["--json", "check"]).set("schedule.catch_up", "false").run().with_code(0).json();
    assert_eq!(skipping["due"]["what"], "skip", "{skipping}");
    let kept = fs::read_to_string(&settled).unwrap();
    assert!(
        kept.contains("2020-01-01") && !place.cache().exists() && !place.path("run").exists(),
        "nothing is changed"
    );
}

#[test]
fn all_configuration_errors_are_reported_at_once_with_78() {
    let place = Place::new();
    for command in ["next", "check"] {
        let wrong = asked(&place, &[command])
            .set("schedule.cron", "0 4 * * *; 0 0 31 2 *")
            .set("schedule.time_zone", "Europe/Atlantis")
            .set("schedule.daily_at", "4am");
        let parts = [
            "R3E_SCHEDULE__CRON: schedule.cron",
            "(\"0 0 31 2 *\": ",
            "schedule.time_zone",
            "schedule.daily_at",
            "\"4am\"",
        ];
        refused(&wrong, 78, &parts);
    }
    fs::write(place.path("r3e.toml"), "[schedule]\ncron = ['*/61 * * * *']\n").unwrap();
    refused(&asked(&place, &["check"]), 78, &["r3e.toml:2: schedule.cron", "(\"*/61 * * * *\": "]);
}

#[test]
fn check_exits_like_a_start_for_errors_outside_the_configuration() {
    let place = Place::new();
    let check = || asked(&place, &["check"]);
    refused(&check().set("catalog.path", "none.toml"), 78, &["catalog.path", "none.toml"]);
    fs::write(place.path("wrong.toml"), "[[track]]\nid = 0").unwrap();
    refused(&check().set("catalog.path", "wrong.toml"), 78, &["catalog.path", "wrong.toml"]);
    fs::create_dir(place.staging()).unwrap();
    let settled = place.staging().join(".scheduler.json");
    fs::write(&settled, r#"{"format":9}"#).unwrap();
    refused(&check(), 78, &[".scheduler.json", "format 9"]);
    fs::write(&settled, "garbage").unwrap();
    let told = check().argument("--json").run().with_code(0).naming(&[".scheduler.json"]);
    assert!(told.json()["due"].is_null(), "{}", told.stdout);
    fs::remove_file(&settled).unwrap();
    fs::create_dir(&settled).unwrap();
    refused(&check(), 74, &[".scheduler.json"]);
}

#[test]
fn an_invalid_command_line_exits_2() {
    let place = Place::new();
    let cases: [(&[&str], &[&str]); 8] = [
        (&["nxet"], &["nxet", "next"]),
        (&["next", "--count", "0"], &["--count", "0"]),
        (&["next", "--count", "10001"], &["--count", "10001"]),
        (&["next", "--count", "many"], &["--count", "many"]),
        (&["next", "--count"], &["--count", "value"]),
        (&["next", "5"], &["5"]),
        (&["check", "--count", "5"], &["--count"]),
        (&["check", "everything"], &["everything"]),
    ];
    for (given, parts) in cases {
        refused(&asked(&place, given), 2, parts);
    }
    let help = asked(&place, &["next", "--help"]).run().with_code(0).stdout;
    assert!(help.contains("--count <N>") && help.contains("--json"), "{help}");
}
