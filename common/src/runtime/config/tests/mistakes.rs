//! What is told about mistakes.

use super::*;

#[test]
fn all_mistakes_of_all_layers_are_told_at_once() {
    let file = "log = 'loud'

[cache]
dri = 'x'
max_age = 24
[upstream]
requests_per_second = 0
base_url = 'ftp://example.org'
timeout = '0s'
attempts = 1_000
page_size = 99999999999999999999
user_agent = \"a\\nb\"
colour = [1,
  2]
[schedule]
daily_at = '4:00'
time_zone = 'Europe/Atlantis'
cron = ['0 4 * * *', '0 4 * *']
catch_up = 'yes'
[refesh]
[index]
";
    let world = World::with_file(file)
        .variable("R3E_UPSTREAM__REQUESTS_PER_SECOND", "many")
        .variable("R3E_MONITOR__LISTEN", "localhost:9464")
        .variable("R3E_CACHE__DRI", "x")
        .variable("R3E_SCHEDULE_DAILY_AT", "05:00")
        .variable("R3E_log__format", "json")
        .variable("R3E_LOGG_LEVEL", "a variable of someone else")
        .variable("MEMORY_LIMIT_MB", "lots")
        .variable("R3E_MEMORY__LIMIT_MB", "0");
    let mistakes =
        world.mistakes(&["--memory-limit-mb", "-5", "--cache", "", "--upstream=http://u:p@h/", "--log-level=1"]);
    insta::assert_snapshot!(mistakes, @r#"
    --cache: cache.dir = "": expected a path, not empty (./-x if it begins with a hyphen)
    ./r3e.toml:5: cache.max_age = 24: expected a duration with its unit, such as 24h, 30m or 500ms, to 36500d
    --upstream: upstream.base_url = "http://u:p@h/": expected an http or https address with a host, without user, query and fragment
    ./r3e.toml:8: upstream.base_url = 'ftp://example.org': expected an http or https address with a host, without user, query and fragment
    ./r3e.toml:12: upstream.user_agent = "a\nb": expected visible ASCII characters, not empty, no space at either end
    R3E_UPSTREAM__REQUESTS_PER_SECOND: upstream.requests_per_second = "many": expected a whole number from 1 to 100000
    ./r3e.toml:7: upstream.requests_per_second = 0: expected a whole number from 1 to 100000
    ./r3e.toml:9: upstream.timeout = '0s': expected a duration with its unit, such as 24h, 30m or 500ms, from 1ms to 36500d
    ./r3e.toml:11: upstream.page_size = 99999999999999999999: expected a whole number from 2 to 1500
    ./r3e.toml:10: upstream.attempts = 1_000: expected a whole number from 1 to 20
    ./r3e.toml:16: schedule.daily_at = '4:00': expected a time of day as text of the form HH:MM
    ./r3e.toml:17: schedule.time_zone = 'Europe/Atlantis': expected a time zone that this system's database has, such as Europe/Berlin
    ./r3e.toml:19: schedule.catch_up = 'yes': expected true or false
    ./r3e.toml:18: schedule.cron = ['0 4 * * *', '0 4 * *']: expected at most 100 cron expressions of five fields, as an array, elsewhere separated by ";"; of "0 4 * *": it has 4 fields, not the five of minute, hour, day of month, month and day of week
    --memory-limit-mb: memory.limit_mb = "-5": expected a whole number from 1 to 1048576
    R3E_MEMORY__LIMIT_MB: memory.limit_mb = "0": expected a whole number from 1 to 1048576
    MEMORY_LIMIT_MB: memory.limit_mb = "lots": expected a whole number from 1 to 1048576
    R3E_MONITOR__LISTEN: monitor.listen = "localhost:9464": expected an IP address and a port, such as 127.0.0.1:9464
    --log-level: log.level = "1": expected one of error, warn, info, debug, trace
    R3E_CACHE__DRI: cache.dri = "x": no such key; did you mean R3E_CACHE__DIR?
    R3E_log__format: log__format = "json": no such key; did you mean R3E_LOG__FORMAT?
    ./r3e.toml:1: log = 'loud': no such key; [log] is a section: expected keys in it
    ./r3e.toml:4: cache.dri = 'x': no such key; did you mean cache.dir?
    ./r3e.toml:13: upstream.colour = [1,\n  2]: no such key; the keys of [upstream] are base_url, user_agent, requests_per_second, concurrency, timeout, page_size, max_body_mb, max_idle_per_host, idle_timeout, attempts, backoff_min, backoff_max
    ./r3e.toml:20: refesh = a table: no such key; did you mean a key of [refresh]?
    R3E_SCHEDULE_DAILY_AT: schedule_daily_at = "05:00": no such key; did you mean R3E_SCHEDULE__DAILY_AT?
    "#);
}

#[test]
fn a_file_that_is_no_toml_is_told_with_line_and_column_beside_the_other_mistakes() {
    let world = World::with_file("[cache]\ndir = 'a\n= 3\n").variable("R3E_INDEX__PLAIN", "1");
    insta::assert_snapshot!(world.mistakes(&[]), @r#"
    ./r3e.toml:2:9: not TOML: invalid literal string, expected `'`
    ./r3e.toml:3:1: not TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
    R3E_INDEX__PLAIN: index.plain = "1": expected true or false
    "#);
    insta::assert_snapshot!(World::with_file(b"[cache]\n# \xff").mistakes(&[]), @"./r3e.toml:2:3: not TOML: byte 0xff is not UTF-8");
    insta::assert_snapshot!(World::with_file(b"\xff\xfe[\x00").mistakes(&[]), @"./r3e.toml:1:1: not TOML: UTF-16, expected UTF-8 (hint: save the file as UTF-8)");
    insta::assert_snapshot!(World::with_file(b"\xef\xbb\xbf[cache]\n\xff").mistakes(&[]), @"./r3e.toml:2:1: not TOML: byte 0xff is not UTF-8");
    insta::assert_snapshot!(World::with_file("[log]\nlevel = 'info'\nlevel = 'warn'").mistakes(&[]), @"./r3e.toml:3:1: not TOML: duplicate key");
}

#[test]
fn values_that_do_not_go_together_are_told_with_both_sources() {
    let world = World::with_file("upstream.backoff_max = '100ms'").variable("R3E_CACHE__DIR", "cache_temp/..");
    insta::assert_snapshot!(world.mistakes(&["--staging", "x"]), @r#"
    --staging: cache.staging_dir = "x": expected another folder, neither inside nor around cache.dir = "cache_temp/.." (R3E_CACHE__DIR)
    ./r3e.toml:1: upstream.backoff_max = "100ms": expected at least upstream.backoff_min = "500ms" (default)
    "#);
    insta::assert_snapshot!(World::new().mistakes(&["--cache", "/"]), @r#"--cache: cache.dir = "/": expected another folder, neither inside nor around cache.staging_dir = "/" (default)"#);
    // One of them is wrong by itself: nothing can be said about both.
    let world = World::with_file("upstream.backoff_max = '100ms'\nupstream.backoff_min = 1");
    assert_eq!(world.mistakes(&[]).lines().count(), 1);
}

#[test]
fn sections_where_keys_belong_and_keys_where_sections_belong_are_told() {
    let file = "\"cache.dir\" = 'x'\nlog.level.deep = 1\n[[index]]\nevery = '1h'\n[cache]\n[monitor.keep]\n[nothing]";
    insta::assert_snapshot!(World::with_file(file).mistakes(&[]), @r#"
    ./r3e.toml:6: monitor.keep = a table: expected a duration with its unit, such as 24h, 30m or 500ms, from 1ms to 36500d
    ./r3e.toml:2: log.level = a table: expected one of error, warn, info, debug, trace
    ./r3e.toml:1: "cache.dir" = 'x': no such key; did you mean cache.dir?
    ./r3e.toml:3: index = [[index]]: no such key; [index] is a section: expected keys in it
    ./r3e.toml:7: nothing = a table: no such key; the sections are cache, catalog, upstream, index, schedule, refresh, memory, runtime, monitor, log
    "#);
}

#[test]
fn messages_stay_on_their_line_and_within_bounds() {
    let world = World::with_file(format!("[cache]\n\"{}\" = '''\n{}'''", "k\\n".repeat(500), "v\n".repeat(500)))
        .variable(format!("R3E_{}\u{1b}__X", "N".repeat(500)), "\u{1b}[31m\n".repeat(500));
    let mistakes = world.mistakes(&[]);
    assert_eq!(mistakes.lines().count(), 2, "{mistakes}");
    assert!(mistakes.len() < 1500 && !mistakes.contains('\u{1b}'), "{mistakes}");
}

#[test]
fn long_values_that_do_not_go_together_make_no_long_message() {
    let dir = "d/".repeat(500);
    let mistakes = World::new().variable("R3E_CACHE__DIR", &dir).mistakes(&["--staging", &format!("{dir}x")]);
    assert!(mistakes.contains("neither inside nor around") && mistakes.len() < 500, "{mistakes}");
}

#[test]
fn a_flag_is_not_taken_for_the_value_forgotten_before_it() {
    insta::assert_snapshot!(World::new().mistakes(&["--cache", "--quiet"]), @r#"--cache: cache.dir = "--quiet": expected a path, not empty (./-x if it begins with a hyphen)"#);
}

#[test]
fn a_suggestion_is_made_only_where_one_is_near() {
    let suggestion = |key: &str| {
        let (section, name) = key.split_once('.').unwrap();
        let file = World::with_file(format!("[{section}]\n{name} = 1")).mistakes(&[]);
        let variable = format!("R3E_{}", key.to_uppercase().replace('.', "__"));
        let variable = World::new().variable(&variable, "1").mistakes(&[]);
        [file, variable].map(|mistakes| mistakes.split_once("; ").unwrap().1.to_owned())
    };
    for (key, file, variable) in [
        ("memory.limt_mb", "did you mean memory.limit_mb?", "did you mean R3E_MEMORY__LIMIT_MB?"),
        ("memroy.limit_mb", "did you mean memory.limit_mb?", "did you mean R3E_MEMORY__LIMIT_MB?"),
        ("memroy.foo", "did you mean a key of [memory]?", "did you mean a key of [memory]?"),
    ] {
        assert_eq!(suggestion(key), [file, variable], "{key}");
    }
    for (key, expected) in [("foo.bar", "the sections are cache, "), ("log.bar", "the keys of [log] are level, format")]
    {
        assert!(suggestion(key).iter().all(|it| it.starts_with(expected)), "{key}: {:?}", suggestion(key));
    }
}
