//! Which errors are reported.

use super::*;

#[test]
fn all_errors_of_all_layers_are_reported_at_once() {
    let file = "log = 'loud'
[cache]
dri = 'x'
max_age = 24
[upstream]
requests_per_second = 0
page_size = 99999999999999999999
backoff_max = '100ms'
colour = [1,
  2]
[refesh]
[index]
[monitor.keep]
[schedule]
";
    let world = World::with_file(file)
        .variable("R3E_UPSTREAM__REQUESTS_PER_SECOND", "many")
        .variable("R3E_CACHE__DRI", "x")
        .variable("R3E_SCHEDULE_DAILY_AT", "05:00")
        .variable("R3E_LOGG_LEVEL", "a variable of someone else")
        .variable("MEMORY_LIMIT_MB", "lots")
        .variable("R3E_MEMORY__LIMIT_MB", "0");
    insta::assert_snapshot!(world.wrong(&["--memory-limit-mb", "-5", "--cache", ""]).join("\n"), @r"
    --cache cache.dir
    ./r3e.toml:4 cache.max_age
    R3E_UPSTREAM__REQUESTS_PER_SECOND upstream.requests_per_second
    ./r3e.toml:6 upstream.requests_per_second
    ./r3e.toml:7 upstream.page_size
    --memory-limit-mb memory.limit_mb
    R3E_MEMORY__LIMIT_MB memory.limit_mb
    MEMORY_LIMIT_MB memory.limit_mb
    ./r3e.toml:13 monitor.keep
    ./r3e.toml:8 upstream.backoff_max
    ./r3e.toml:1 log
    ./r3e.toml:3 cache.dri
    ./r3e.toml:9 upstream.colour
    ./r3e.toml:11 refesh
    R3E_CACHE__DRI cache.dri
    R3E_SCHEDULE_DAILY_AT schedule_daily_at
    ");
}

#[test]
fn an_error_names_what_was_expected_and_what_was_found() {
    let only = |file: &str| {
        let [error] = World::with_file(file).errors(&[]).try_into().unwrap();
        error.problem
    };
    for (file, parts) in [
        ("upstream.attempts = 21", ["from 1 to 20", "found 21"]),
        ("log.level = 'loud'", ["error, warn, info, debug, trace", "found 'loud'"]),
        ("schedule.cron = ['@daily', '0 4 * *']", ["at most 100 cron expressions", "\"0 4 * *\": "]),
        ("upstream.backoff_max = '100ms'", ["upstream.backoff_min = \"500ms\" (default)", "found \"100ms\""]),
    ] {
        let problem = only(file);
        assert!(parts.iter().all(|part| problem.contains(part)), "{file}: {problem}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_reported_with_line_and_column_beside_the_other_errors() {
    let world = World::with_file("[cache]\ndir = 'a\n= 3\n").variable("R3E_INDEX__PLAIN", "1");
    assert_eq!(world.wrong(&[]), ["./r3e.toml:2:9", "./r3e.toml:3:1", "R3E_INDEX__PLAIN index.plain"]);
    for (bytes, place) in [
        (&b"[cache]\n# \xff"[..], "./r3e.toml:2:3"),
        (b"\xff\xfe[\x00", "./r3e.toml:1:1"),
        (b"\xef\xbb\xbf[cache]\n\xff", "./r3e.toml:2:1"),
        (b"[log]\nlevel = 'info'\nlevel = 'warn'", "./r3e.toml:3:1"),
    ] {
        assert_eq!(World::with_file(bytes).wrong(&[]), [place], "{bytes:?}");
    }
}

#[test]
fn values_that_exclude_each_other_are_reported_with_both_sources() {
    let world = World::with_file("upstream.backoff_min = '1h'").variable("R3E_CACHE__DIR", "cache_temp/..");
    let errors = world.errors(&["--staging", "x"]);
    assert_eq!(world.wrong(&["--staging", "x"]), ["--staging cache.staging_dir", "./r3e.toml:1 upstream.backoff_min"]);
    assert!(errors[0].problem.contains("cache.dir = \"cache_temp/..\" (R3E_CACHE__DIR)"), "{}", errors[0]);
    assert_eq!(World::new().wrong(&["--cache", "/"]), ["--cache cache.dir"]);
    // One of them is wrong by itself: nothing can be said about both.
    let world = World::with_file("upstream.backoff_max = '100ms'\nupstream.backoff_min = 1");
    assert_eq!(world.wrong(&[]), ["./r3e.toml:2 upstream.backoff_min"]);
}

#[test]
fn keys_where_sections_belong_and_sections_where_keys_belong_are_errors() {
    let file = "\"cache.dir\" = 'x'\nlog.level.deep = 1\n[[index]]\nevery = '1h'\n[cache]\n[nothing]";
    let expected =
        ["./r3e.toml:2 log.level", "./r3e.toml:1 \"cache.dir\"", "./r3e.toml:3 index", "./r3e.toml:6 nothing"];
    assert_eq!(World::with_file(file).wrong(&[]), expected);
}

#[test]
fn errors_stay_on_their_line_and_within_bounds() {
    let world = World::with_file(format!("[cache]\n\"{}\" = '''\n{}'''", "k\\n".repeat(500), "v\n".repeat(500)))
        .variable(format!("R3E_{}\u{1b}__X", "N".repeat(500)), "\u{1b}[31m\n".repeat(500));
    let errors = world.load().unwrap_err().to_string();
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert!(errors.len() < 1500 && !errors.contains('\u{1b}'), "{errors}");
    let dir = "d/".repeat(500);
    let world = World::new().variable("R3E_CACHE__DIR", &dir);
    let errors = world.load_with(&["--staging", &format!("{dir}x")]).unwrap_err().to_string();
    assert!(errors.contains("cache.dir = ") && errors.len() < 500, "{errors}");
}

#[test]
fn a_flag_is_not_taken_for_the_value_forgotten_before_it() {
    assert_eq!(World::new().wrong(&["--cache", "--quiet"]), ["--cache cache.dir"]);
}

#[test]
fn a_suggestion_is_made_as_a_key_or_a_variable_and_only_if_one_is_near() {
    for (key, suggestion) in [
        ("memory.limt_mb", Some(["memory.limit_mb", "R3E_MEMORY__LIMIT_MB"])),
        ("memroy.limit_mb", Some(["memory.limit_mb", "R3E_MEMORY__LIMIT_MB"])),
        ("foo.bar", None),
        ("log.bar", None),
    ] {
        let (section, name) = key.split_once('.').unwrap();
        let file = World::with_file(format!("[{section}]\n{name} = 1"));
        let variable = World::new().variable(format!("R3E_{}", key.to_uppercase().replace('.', "__")), "1");
        let made = [file, variable].map(|world| world.errors(&[])[0].suggestion.clone());
        assert_eq!(made, suggestion.map_or([None, None], |it| it.map(|it| Some(it.to_owned()))), "{key}");
    }
}
