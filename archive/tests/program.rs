//! The program used rightly and wrongly: formats, errors and their places, exit codes, damage, clocks that go back.
#![allow(clippy::unwrap_used, reason = "all of this file is tests")]
#![allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code")]

mod support;

use std::io::Read as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use support::{Place, World, night_time, shown, verify};

const FORMATS: [&str; 4] = ["table", "csv", "json", "parquet"];

/// A result that neither a pipe nor a file of 64 KiB takes, in any format.
const LONG: &str = "SELECT uuid() FROM generate_series(1, 30000)";

/// A place with three nights in its archive.
fn recorded() -> Place {
    let place = Place::new();
    let mut world = World::new(3, 20);
    for night in 1..=3 {
        place.publish(&world.boards);
        place.record(&night_time(night));
        world.night();
    }
    place
}

fn fails(place: &Place, arguments: &[&str], code: i32) -> Output {
    let output = place.archive(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", shown(&output));
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", shown(&output));
    output
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn statements_that_write_are_refused_and_lose_nothing() {
    let place = recorded();
    let before = place.json(&["stats"]);
    for statement in [
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/tmp/x.csv'",
        "DROP VIEW entries",
        "INSERT INTO archive_rows SELECT * FROM archive_rows",
        "DELETE FROM archive_rows",
        "COPY entries TO 'copied.csv'",
        "EXPLAIN ANALYZE COPY entries TO 'copied.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT 1; DROP VIEW entries",
    ] {
        fails(&place, &["sql", statement], 2);
    }
    assert!(!place.path("copied.csv").exists());
    assert_eq!(place.json(&["stats"]), before);
    verify(&place);
}

#[test]
fn errors_of_statements_name_the_place() {
    let place = recorded();
    let mark = |statement: &str| {
        let text = error(&fails(&place, &["sql", statement], 2));
        let lines: Vec<&str> = text.lines().collect();
        let line = lines
            .iter()
            .position(|it| it.trim_start().starts_with("line "))
            .unwrap_or_else(|| panic!("no place: {text}"));
        let column = lines[line + 1].find('^').unwrap();
        lines[line][column..].to_owned()
    };
    assert_eq!(mark("SELECT name, wrong FROM entries"), "wrong FROM entries");
    assert_eq!(mark("SELECT name\nFROM entries\nWHERE wrong = 1"), "wrong = 1");
    assert_eq!(mark("SELEC 1"), "SELEC 1");
    assert_eq!(mark("SELECT 1 FROM entries WHERE ORDER BY 1"), "BY 1");
    assert!(error(&fails(&place, &["sql", "SELECT * FROM nowhere"], 2)).contains("nowhere"));
}

#[test]
fn results_have_four_formats() {
    let place = recorded();
    let statement = "SELECT position, name, laptime_ms FROM latest WHERE position < 3 ORDER BY track_id, class_id, position LIMIT 5";
    let rows: Vec<Value> = place.sql(statement);
    assert_eq!(rows.len(), 5);
    let csv = place.run(&["sql", statement, "--format", "csv"]);
    let expected = rows.iter().map(|it| {
        let name = it["name"].as_str().unwrap().replace('"', "\"\"");
        format!("{},\"{name}\",{}", it["position"], it["laptime_ms"])
    });
    assert_eq!(csv.lines().skip(1).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert!(place.run(&["sql", statement]).lines().nth(1).unwrap().contains("laptime_ms"));
    place.run(&["sql", statement, "--format", "parquet", "-o", "rows.parquet"]);
    assert_eq!(&std::fs::read(place.path("rows.parquet")).unwrap()[..4], b"PAR1");
    std::fs::write(place.path("query.sql"), statement).unwrap();
    assert_eq!(place.run(&["sql", "-f", "query.sql", "--format", "csv"]), csv);
    let none = "SELECT name FROM entries WHERE position > 1000";
    assert_eq!(place.run(&["sql", none, "--format", "json"]).trim(), "[]");
    assert_eq!(place.run(&["sql", none, "--format", "csv"]).trim(), "name");
    assert!(place.run(&["sql", none]).contains("| name"));
    let long = place.run(&["sql", "SELECT value FROM generate_series(1, 30000)"]);
    let lines = long.lines().filter_map(|line| Some(line.strip_prefix("| ")?.trim_end_matches('|').trim()));
    let (titles, values): (Vec<_>, Vec<_>) = lines.partition(|it| *it == "value");
    assert!(titles.len() > 1, "{} tables", titles.len());
    assert_eq!(values, (1..=30_000).map(|it| it.to_string()).collect::<Vec<_>>());
    assert!(place.run(&["sql", statement, "--explain"]).contains("DataSourceExec"));
    assert!(place.run(&["sql", "DESCRIBE entries"]).contains("laptime_ms"));
}

#[test]
fn wrong_use_is_named() {
    let place = recorded();
    for (arguments, code, named) in [
        (&["board", "1693"][..], 2, "1693"),
        (&["board", "1693-1703", "--at", "yesterday"], 2, "yesterday"),
        (&["driver"], 2, "NAME"),
        (&["driver", "Somebody", "--id", "1"], 2, "--id"),
        (&["changes", "--since", "a week"], 2, "a week"),
        (&["sql", "-f", "missing.sql"], 74, "missing.sql"),
        (&["stats", "--cluster", "http://localhost:1"], 2, "--cluster"),
        (&["records", "1693-1703", "--json", "--csv"], 2, "--csv"),
        (&["restore", "--at", "2025-10-01", "--into", "r3e.toml"], 74, "r3e.toml"),
    ] {
        let text = error(&fails(&place, arguments, code));
        assert!(text.contains(named), "{arguments:?}: {text}");
    }
    for (url, code) in [("gs://bucket", 78), ("s3://", 78), ("r3e.toml", 74)] {
        let mut command = place.command(env!("CARGO_BIN_EXE_r3e-archive").as_ref(), &["record", "--archive", url]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{url}: {}", shown(&output));
        assert!(error(&output).contains(url), "{url}: {}", shown(&output));
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_with_exit_code_74() {
    let place = recorded();
    let limited = |kilobytes: u32, arguments: &[&str]| {
        // Writes to files fail beyond that, as on a full disk.
        let command = place.archive(arguments);
        let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\"");
        let mut shell = place.command(Path::new("/bin/bash"), &["-c", &script, "bash"]);
        shell.arg(command.get_program()).args(command.get_args()).output().unwrap()
    };
    for (format, kilobytes) in FORMATS.into_iter().flat_map(|it| [(it, 0), (it, 64)]) {
        let file = place.path(&format!("rows.{format}"));
        let output = limited(kilobytes, &["sql", "--format", format, "--output", file.to_str().unwrap(), LONG]);
        assert_eq!(output.status.code(), Some(74), "{format}: {}", shown(&output));
        assert!(error(&output).contains(file.to_str().unwrap()), "{format}: {}", shown(&output));
        assert!(!file.exists(), "{format}");
    }
    let restored = place.path("restored");
    let output = limited(0, &["restore", "--into", restored.to_str().unwrap(), "--at", &night_time(2)]);
    assert_eq!(output.status.code(), Some(74), "{}", shown(&output));
    assert!(error(&output).contains(restored.to_str().unwrap()), "{}", shown(&output));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = recorded();
    for format in FORMATS {
        let mut running = place.archive(&["sql", "--format", format, LONG]);
        let mut running = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut some = [0; 10];
        running.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = running.wait_with_output().unwrap();
        assert!(output.status.success(), "{format}: {}", shown(&output));
    }
}

#[test]
fn a_statement_that_is_too_long_is_refused_not_cut() {
    let place = recorded();
    let file = place.path("statement.sql");
    std::fs::write(&file, format!("SELECT 1 -- {}", "x".repeat(1 << 20))).unwrap();
    let output = place.archive(&["sql"]).stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(error(&output).contains("1048576"), "{}", shown(&output));
}

#[test]
fn nothing_recorded_is_no_error() {
    let place = Place::new();
    assert_eq!(place.json(&["stats"])["versions"], json!(0));
    assert_eq!(place.json(&["board", "1693-1703"]), json!([]));
    assert_eq!(place.json(&["changes", "--since", "7d"]), json!([]));
    assert_eq!(place.json(&["verify"])["damage"], json!([]));
    assert_eq!(place.json(&["compact"])["recordings"], json!(0));
    assert_eq!(place.json(&["record"])["boards"], json!(0));
    assert_eq!(place.json(&["driver", "Nobody's \"name\"; --"]), json!([]));
}

#[test]
fn a_folder_may_have_any_name() {
    let mut place = Place::new();
    let world = World::new(6, 20);
    place.publish(&world.boards);
    for name in ["with space", "100%25 ?#[*]", "Übung", "a=b"] {
        place.archive = place.path(name).display().to_string();
        assert_eq!(place.record(&night_time(1))["boards"], json!(20), "{name}");
        assert_eq!(place.json(&["stats"])["boards"], json!(20), "{name}");
        let files = place.json(&["stats", "--files"]);
        assert!(std::fs::metadata(files[0].as_str().unwrap()).is_ok(), "{files}");
        verify(&place);
    }
}

#[test]
fn a_clock_that_goes_back_loses_nothing() {
    let place = Place::new();
    let mut world = World::new(4, 20);
    for time in ["2026-01-01T00:00:00Z", "2025-10-01T04:30:00Z", "2025-10-02T04:30:00Z"] {
        place.publish(&world.boards);
        place.record(time);
        world.night();
    }
    let latest = place
        .sql("SELECT DISTINCT valid_from FROM board_versions WHERE valid_to IS NULL ORDER BY valid_from DESC LIMIT 1");
    assert_eq!(latest, [json!({"valid_from": "2026-01-01T00:00:00.002"})]);
    verify(&place);
    fails(&place, &["record", "--at", "2099-01-01"], 2);
}

#[test]
fn a_cache_that_is_missing_or_restored_is_no_change() {
    let place = recorded();
    let stats = place.json(&["stats"]);
    place.run(&["restore", "--at", "2025-10-03", "--into", "restored"]);
    std::fs::rename(place.path("cache"), place.path("before")).unwrap();
    fails(&place, &["record"], 78);
    std::fs::rename(place.path("restored"), place.path("cache")).unwrap();
    assert_eq!(place.json(&["record"])["boards"], json!(0), "the same entries in other files");
    assert_eq!(place.json(&["stats"]), stats);
}

#[test]
fn a_damaged_board_is_named_and_stays_as_it_was() {
    let place = Place::new();
    let mut world = World::new(5, 20);
    place.publish(&world.boards);
    place.record(&night_time(1));
    let (board, _) = world.boards.first_key_value().unwrap();
    let board = *board;
    let before = place.json(&["board", &board.to_string()]);
    world.night();
    place.publish(&world.boards);
    let file = place.cache().board_path(board);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for damage in [&b"garbage"[..], b"\x1f\x8b longer garbage"] {
        std::fs::write(&file, damage).unwrap();
        let output = place.archive(&["record", "--at", &night_time(2), "--json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
        let recorded: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(recorded["damaged"], json!(1), "{recorded}");
        assert!(error(&output).contains(&format!("track_{}", board.track)));
    }
    assert_eq!(place.json(&["board", &board.to_string()]), before);
    verify(&place);
}

#[test]
fn damage_of_the_archive_is_found_wherever_it_is() {
    let place = recorded();
    let files = place.json(&["stats", "--files"]);
    let path = files[1].as_str().unwrap().to_owned();
    let whole = std::fs::read(&path).unwrap();
    let found = |what: &str| {
        let output = place.archive(&["verify", "--json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{what}: {}", shown(&output));
        let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(verified["damage"][0].as_str().unwrap().contains(&path), "{what}: {verified}");
    };
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    found("cut");
    std::fs::write(&path, b"").unwrap();
    found("empty");
    // Some bytes carry no meaning, such as statistics; most do.
    let places: Vec<usize> = (4..whole.len() - 8).step_by(whole.len() / 20).collect();
    let noticed = places.iter().filter(|at| {
        let mut flipped = whole.clone();
        flipped[**at] ^= 0x10;
        std::fs::write(&path, &flipped).unwrap();
        !place.archive(&["verify"]).output().unwrap().status.success()
    });
    assert!(noticed.count() * 3 > places.len() * 2);
    std::fs::remove_file(&path).unwrap();
    let output = place.archive(&["verify", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "a recording is missing: {}", shown(&output));
    std::fs::write(&path, &whole).unwrap();
    verify(&place);
}

#[test]
fn what_killed_writers_left_is_removed_after_a_day() {
    let place = recorded();
    let staging = place.path("archive/.staging");
    let day = std::time::Duration::from_hours(24);
    let left = [("1-1.parquet", 2), ("2-1.parquet#1", 2), ("3-1.parquet", 0), ("4-1.parquet#1", 0)];
    for (name, days) in left {
        let file = std::fs::File::create(staging.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - day * days).unwrap();
    }
    assert_eq!(place.json(&["compact"])["removed"], json!(2));
    assert_eq!(left.map(|(name, _)| staging.join(name).exists()), [false, false, true, true]);
    verify(&place);
}
