//! What each type of setting accepts, through variables, and that what is printed loads again.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use proptest::prelude::*;

use super::*;

#[test]
fn a_file_with_a_byte_order_mark_and_windows_line_ends_is_read() {
    let config = World::with_file("\u{feff}[cache]\r\ndir = '/c'\r\n").load().unwrap();
    assert_eq!(config.config.cache.dir, Path::new("/c"));
}

#[test]
fn the_ends_of_each_range_are_accepted_and_what_is_beyond_is_not() {
    for setting in table() {
        let Some((min, max)) = setting.range.as_ref().and_then(|range| range.split_once(" to ")) else { continue };
        let [min, max]: [i64; 2] = [min, max].map(|end| end.parse().unwrap());
        let good = [min, max].map(|number| (number.to_string(), true));
        let bad = [min - 1, max + 1].map(|number| (number.to_string(), false));
        let other = ["4.5", "99999999999999999999", ""].map(|text| (text.to_owned(), false));
        for (value, is_good) in good.into_iter().chain(bad).chain(other) {
            let accepted = World::new().variable(environment::variable_of(setting.key), &value).load().is_ok();
            assert_eq!(accepted, is_good, "{} = {value:?}", setting.key);
        }
    }
}

#[test]
fn kinds_accept_and_refuse() {
    // Good values and bad ones, separated by bars; the empty value is bad for all.
    let cases = [
        ("CACHE__MAX_AGE", "0s|24h|1d 2h|36500d", "24|-1h|36501d|h"),
        ("INDEX__EVERY", "1ms|30m", "0s|999us"),
        ("INDEX__PLAIN", "true|false", "True|1|yes"),
        ("CACHE__DIR", "a b|/x|./-x", "-x|--quiet"),
        (
            "UPSTREAM__BASE_URL",
            "http://h|https://h:1/a/b//|http://[::1]:80|http://127.0.0.1:1",
            "h|h:80|ftp://h|http://",
        ),
        ("UPSTREAM__BASE_URL", "http://h", "file:///x|http://h/?q|http://h/#f|http://u@h|http://:p@h"),
        ("UPSTREAM__USER_AGENT", "a/1 (+b)", " a|a\tb|é|a\n"),
        ("MONITOR__LISTEN", "0.0.0.0:0|[::1]:9464", "9464|:9464|localhost:9464|127.0.0.1"),
        ("SCHEDULE__DAILY_AT", "00:00|23:59", "4:00|24:00|04:60|04:00:00|+4:00| 4:00|0400"),
        ("SCHEDULE__TIME_ZONE", "UTC|Europe/Berlin", "Etc/Unknown|Berlin|../../../etc/localtime|/etc/localtime"),
        ("SCHEDULE__CRON", "0 4 * * *|0 4 * * *; 5 4 * * Mon |@daily", "0 4 * *|@never|0 4 * * *;|0 0 31 2 *"),
        (
            "SCHEDULE__AFTER",
            r#"[]|[["a"]]|[["/x/a", "", "b c"], ['a']]|[["sh", "-c", "a \u0022b\u0022\n"],]"#,
            r#"a|"a"|["a"]|[[]]|[["a"], []]|[[""]]|[["a/.."]]|[["a", 1]]|[["a\u0000"]]|[["a"]] # b|[["a"]],|[["a"]"#,
        ),
        ("LOG__LEVEL", "error|warn|info|debug|trace", "INFO|off"),
    ];
    for (name, good, bad) in cases {
        let values = good.split('|').map(|value| (value, true)).chain(bad.split('|').map(|value| (value, false)));
        for (value, is_good) in values.chain([("", false)]) {
            let accepted = World::new().variable(format!("R3E_{name}"), value).load().is_ok();
            assert_eq!(accepted, is_good, "{name}={value:?}");
        }
    }
}

#[test]
fn commands_keep_their_words() {
    let text = r#"[["a", "b c", "", "\"'\n"], ['/d']]"#;
    let loaded = World::new().variable("R3E_SCHEDULE__AFTER", text).load().unwrap();
    assert_eq!(loaded.config.schedule.after, [vec!["a", "b c", "", "\"'\n"], vec!["/d"]]);
    assert_eq!(World::with_file(loaded.to_toml()).load().unwrap().config, loaded.config);
    assert_eq!(World::with_file(format!("schedule.after = {text}")).load().unwrap().config, loaded.config);
}

#[test]
fn a_path_need_not_be_unicode_and_other_values_must() {
    let bytes = OsString::from_vec(b"/c\xff".to_vec());
    let loaded = World::new().variable("R3E_CACHE__DIR", bytes.clone()).load().unwrap();
    assert_eq!(loaded.config.cache.dir.as_os_str(), bytes);
    assert_eq!(loaded.config.cache.staging_dir.as_os_str().as_bytes(), b"/c\xff_temp");
    let again = World::with_file(loaded.to_toml()).load().unwrap();
    assert_eq!(again.config, loaded.config);
    assert_eq!(World::new().variable("R3E_LOG__LEVEL", bytes).wrong(&[]), ["R3E_LOG__LEVEL log.level"]);
    assert_eq!(World::with_file("cache.dir = []\nmonitor.history = [47, 256]").wrong(&[]).len(), 2);
}

/// Checks that a loaded configuration prints to one that loads to the same, and that errors are single lines without control characters.
fn check(world: &World, arguments: &[&str]) {
    match world.load_with(arguments) {
        Ok(loaded) => assert_eq!(World::with_file(loaded.to_toml()).load().unwrap().config, loaded.config),
        Err(errors) => {
            let shown: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
            assert!(!shown.is_empty() && !shown.iter().any(|it| it.contains(char::is_control)), "{shown:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_as_the_file_are_loaded_or_refused(bytes: Vec<u8>) {
        check(&World::with_file(bytes), &[]);
    }

    #[test]
    fn any_toml_like_text_is_loaded_or_refused(
        lines in prop::collection::vec("(\\[{0,2}(cache|log|x)\\]{0,2}|(cache\\.|\")?[a-z_.]{0,8}\"? ?= ?[-'\"\\[\\]{}0-9a-z:.]{0,9})", 0..12)
    ) {
        check(&World::with_file(lines.join("\n")), &[]);
    }

    #[test]
    fn any_variables_and_flags_are_loaded_or_refused(
        any in "[0-9]{0,20}([.:/a-zA-Z ;*-]|\\PC){0,12}",
        variables in prop::collection::vec(("R3E_(CACHE|LOG|[A-Z_]{0,5})__?(DIR|LEVEL|\\PC{0,5})", "\\PC{0,12}"), 0..8),
        value in "\\PC{0,12}",
    ) {
        let world = variables.into_iter().fold(World::new(), |world, (name, value)| world.variable(name, value));
        check(&world, &["--cache", &value, "--log-level", &value]);
        let names = table().into_iter().map(|setting| environment::variable_of(setting.key));
        check(&names.fold(World::new(), |world, name| world.variable(name, any.clone())), &[]);
    }

    #[test]
    fn a_printed_configuration_loads_to_the_same(
        dir in "[^-\0/.][^\0/]{0,12}",
        max_age in 0..u64::MAX / 8,
        agent in "[!-~]([ -~]{0,10}[!-~])?",
        path in "(/[a-z%20é]{1,5}){0,3}/{0,3}",
        time in (0..24, 0..60),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "america/new_york"]),
        cron in prop::collection::vec("(\\*|[1-9]|1-[1-9]|\\*/[1-9]|2,1[0-9]) ([1-9]|\\*) (\\*|[1-9]) (\\*|[1-9]) ([1-7]|\\*)", 1..3),
        plain: bool,
    ) {
        let max_age = std::time::Duration::from_nanos(max_age);
        let world = World::new()
            .variable("R3E_CACHE__DIR", &dir)
            .variable("R3E_CACHE__MAX_AGE", format!("{}s {}ns", max_age.as_secs(), max_age.subsec_nanos()))
            .variable("R3E_UPSTREAM__USER_AGENT", agent)
            .variable("R3E_UPSTREAM__BASE_URL", format!("https://example.org:8443{path}"))
            .variable("R3E_SCHEDULE__DAILY_AT", format!("{:02}:{:02}", time.0, time.1))
            .variable("R3E_SCHEDULE__TIME_ZONE", zone)
            .variable("R3E_SCHEDULE__CRON", cron.join(";"))
            .variable("R3E_INDEX__PLAIN", plain.to_string());
        let loaded = world.load().unwrap();
        prop_assert_eq!(&loaded.config.cache.dir, Path::new(&dir));
        prop_assert_eq!((loaded.config.cache.max_age, loaded.config.index.plain), (max_age, plain));
        let written: Vec<String> = loaded.config.schedule.cron.iter().map(ToString::to_string).collect();
        prop_assert_eq!(&written, &cron);
        let again = World::with_file(loaded.to_toml()).load().unwrap();
        prop_assert_eq!(&again.config, &loaded.config);
        let values = |loaded: &Loaded| loaded.sources.iter().map(|it| it.value.clone()).collect::<Vec<_>>();
        prop_assert_eq!(values(&again), values(&loaded));
    }
}
