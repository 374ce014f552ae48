//! Usage errors: each has its exit code and a message that names it.

use std::fs;

use r3e_tests::harness::{Invocation, Place};
use rusqlite::Connection;

use crate::place::{history, monitor};

#[track_caller]
fn refused(monitor: &Invocation, code: i32, parts: &[&str]) {
    let ended = monitor.run().with_code(code).naming(parts);
    assert_eq!(ended.stdout, "");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn an_invalid_command_line_exits_2() {
    let place = Place::new();
    let cases: [(&[&str], &[&str]); 12] = [
        (&[], &["watch"]),
        (&["lits"], &["lits", "list"]),
        (&["tasks"], &["PROGRAM|PID"]),
        (&["tasks", "1", "2"], &["2"]),
        (&["stats", "--watch", "2"], &["--watch"]),
        (&["stats", "--watch", "0s"], &["--watch"]),
        (&["history", "--since", "yesterday"], &["--since"]),
        (&["runs", "--last", "0"], &["--last", "0"]),
        (&["runs", "--last", "-1"], &["-1"]),
        (&["runs", "--last", "many"], &["--last", "many"]),
        (&["list", "--jsno"], &["--jsno", "--json"]),
        (&["watch", "loader"], &["loader"]),
    ];
    for (given, parts) in cases {
        refused(&monitor(&place, given), 2, parts);
    }
}

#[test]
fn a_name_that_no_program_has_exits_2_and_is_named() {
    let place = Place::new();
    let none = u32::MAX.to_string();
    for given in
        [["stats", "loder"], ["purge", "loder"], ["tasks", "loder"], ["fds", "loder"], ["connections", "loder"]]
    {
        refused(&monitor(&place, &given), 2, &["loder", "r3e-monitor list"]);
    }
    for command in ["stats", "purge", "tasks", "fds", "connections"] {
        refused(&monitor(&place, &[command, &none]), 2, &["4294967295"]);
    }
    refused(&monitor(&place, &["stats", "loder", "4711", "r3e-x"]), 2, &["loder, 4711, r3e-x"]);
    assert!(!place.path("run").exists() && !history(&place).exists(), "nothing is made by asking");
}

#[test]
fn impossible_settings_exit_78_with_their_source() {
    let place = Place::new();
    let cases = [
        ("monitor.every", "0s", "1ms"),
        ("monitor.every", "10", "24h"),
        ("monitor.keep", "-1h", "R3E_MONITOR__KEEP"),
        ("monitor.history", "", "R3E_MONITOR__HISTORY"),
        ("memory.purge_every", "often", "R3E_MEMORY__PURGE_EVERY"),
    ];
    for (key, value, expected) in cases {
        refused(&monitor(&place, &["watch"]).set(key, value), 78, &[key, expected]);
    }
    refused(&monitor(&place, &["watch", "--runtime-dir", ""]), 78, &["--runtime-dir", "runtime.dir"]);
    refused(&monitor(&place, &["--history-file", "", "runs"]), 78, &["--history-file", "monitor.history"]);
}

#[test]
fn a_foreign_or_newer_history_exits_78_and_stays() {
    let place = Place::new();
    fs::create_dir_all(history(&place).parent().unwrap()).unwrap();
    let commands: [&[&str]; 4] = [&["watch"], &["history"], &["runs"], &["history", "--json"]];
    for (sql, parts) in [
        // What a later version would have written: our mark, and a version that is not known yet.
        ("PRAGMA application_id = 0x7233656d; PRAGMA user_version = 999;", ["999", "monitor.db"]),
        ("CREATE TABLE precious (x);", ["monitor.history", "monitor.db"]),
    ] {
        let _none_before = fs::remove_file(history(&place));
        Connection::open(history(&place)).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(history(&place)).unwrap();
        for command in commands {
            refused(&monitor(&place, command), 78, &parts);
        }
        assert!(fs::read(history(&place)).unwrap() == before);
    }
}

#[test]
fn unreadable_files_exit_74_and_are_named() {
    let place = Place::new();
    fs::write(place.path("file"), "a regular file, and no database".repeat(100)).unwrap();
    for command in [["list", "--runtime-dir"], ["stats", "--runtime-dir"], ["purge", "--runtime-dir"]] {
        refused(&monitor(&place, &command).argument("file"), 74, &["file"]);
    }
    refused(&monitor(&place, &["history", "--history-file", "file"]), 74, &["file"]);
    refused(&monitor(&place, &["runs", "--history-file", "/"]), 74, &["/"]);
}

#[test]
fn help_version_and_the_configuration_are_results() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["stats", "--help"], &["help", "watch"]] {
        let help = monitor(&place, arguments).run().with_code(0);
        assert!(help.stdout.contains("Usage: r3e-monitor"), "{}", help.stdout);
    }
    let help = monitor(&place, &["--help"]).run().with_code(0).stdout;
    assert!(help.contains("Examples:") && help.contains("Exit codes:") && help.contains("Configuration:"), "{help}");
    let version = monitor(&place, &["--version"]).run().with_code(0);
    assert!(version.stdout.starts_with("r3e-monitor 0."), "{}", version.stdout);
    for arguments in [&["--print-config"][..], &["watch", "--print-config"]] {
        let shown = monitor(&place, arguments).run().with_code(0);
        assert!(shown.stdout.contains("history") && shown.stdout.contains("monitor.db"), "{}", shown.stdout);
    }
}

#[test]
fn without_programs_and_samples_commands_say_so() {
    let place = Place::new();
    for command in ["list", "stats", "purge"] {
        let ended = monitor(&place, &[command]).run().with_code(0);
        assert!(ended.stdout.contains(&*place.path("run").to_string_lossy()), "{}", ended.stdout);
        assert_eq!(monitor(&place, &[command, "--json"]).run().with_code(0).json(), serde_json::json!([]));
    }
    let none = monitor(&place, &["history", "--since", "24h"]).run().with_code(0).stdout;
    assert!(none.contains("1day") && none.contains("r3e-monitor watch"), "{none}");
    assert_eq!(monitor(&place, &["history", "--json"]).run().with_code(0).json(), serde_json::json!([]));
}
