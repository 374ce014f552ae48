//! Used wrongly: every mistake is told with its name, what was found and what was expected, by the right exit code.

use r3e_tests::harness::{Loader, Run, json_file};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a-file"), "not TOML [").unwrap();
    std::fs::write(folder.path().join("bad.toml"), "[cache]\nmax_age = 5\n[upsteam]\ntimeout = '1s'\n").unwrap();
    std::fs::write(folder.path().join("ids.toml"), "[[track]]\nid = -1\nname = 'x'\n").unwrap();
    let mut loader = Loader::new(folder.path());
    for (name, value) in variables {
        loader = loader.variable(name, value);
    }
    for argument in arguments {
        loader = loader.arg(*argument);
    }
    let run = loader.run();
    assert!(!folder.path().join("cache").exists(), "{arguments:?} {variables:?} made a cache");
    run
}

/// Arguments, variables, the exit code, and what the message has to say.
type Mistake = (&'static [&'static str], &'static [(&'static str, &'static str)], i32, &'static [&'static str]);

#[test]
fn every_mistake_is_named_with_what_was_expected() {
    let cases: &[Mistake] = &[
        (&["--cashed-only"], &[], 2, &["--cashed-only", "--cached-only"]),
        (&["catalogue"], &[], 2, &["catalogue"]),
        (&["--only"], &[], 2, &["--only"]),
        (&["--only", ""], &[], 2, &["--only", "expected at least one track"]),
        (&["--only", "x,1693"], &[], 2, &["--only", "\"x\"", "expected a track id"]),
        (&["--only", "7-7"], &[], 2, &["track 7 is not in the catalogue"]),
        (&["--only", "1693", "--cached-only"], &[], 2, &["--cached-only", "cannot be used with"]),
        (&["--memory-limit-mb", "-5"], &[], 78, &["memory.limit_mb", "-5", "expected"]),
        (&[], &[("MEMORY_LIMIT_MB", "0")], 78, &["MEMORY_LIMIT_MB", "0", "expected"]),
        (&[], &[("MEMORY_LIMIT_MB", "lots")], 78, &["MEMORY_LIMIT_MB", "lots", "expected"]),
        (&[], &[("R3E_UPSTREAM__PAGE_SIZE", "1501")], 78, &["R3E_UPSTREAM__PAGE_SIZE", "1501", "from 1 to 1500"]),
        (&[], &[("R3E_UPSTREAM__PAGESIZE", "1")], 78, &["R3E_UPSTREAM__PAGESIZE", "did you mean"]),
        (&[], &[("R3E_CACHE__MAX_AGE", "24")], 78, &["R3E_CACHE__MAX_AGE", "24", "expected"]),
        (&["--upstream", "ftp://x"], &[], 78, &["--upstream", "ftp://x", "http"]),
        (&["--concurrency", "0", "--log-level", "loud"], &[], 78, &["--concurrency", "--log-level", "loud"]),
        (&["--config", "missing.toml"], &[], 78, &["missing.toml", "--config"]),
        (&["--config", "a-file"], &[], 78, &["a-file:1", "not TOML"]),
        (&["--config", "bad.toml"], &[], 78, &["bad.toml:2", "cache.max_age", "bad.toml:4", "upsteam"]),
        (&["--catalog", "missing.toml"], &[], 78, &["catalog.path", "missing.toml"]),
        (&["--catalog", "ids.toml"], &[], 78, &["ids.toml", "id = -1", "expected a whole number", "no [[class]]"]),
        (&["--catalog", "a-file"], &[], 78, &["a-file", "not a catalogue"]),
        (&["--cache", "a-file/cache"], &[], 74, &["a-file/cache", "cannot create the folder"]),
        (&["--cache", "same", "--staging", "same/in"], &[], 78, &["cache.staging_dir", "same/in"]),
        (&["catalog", "check", "ids.toml"], &[], 78, &["ids.toml", "id = -1"]),
        (&["catalog", "import", "missing.json"], &[], 78, &["missing.json"]),
        (&["catalog", "import", "a-file"], &[], 78, &["a-file", "not the publisher's"]),
    ];
    for (arguments, variables, code, parts) in cases {
        let run = run(arguments, variables);
        assert_eq!(run.code, Some(*code), "{arguments:?} {variables:?}: {}", run.errors);
        for part in *parts {
            assert!(run.errors.contains(part), "{arguments:?} {variables:?}: {part:?} is not in {}", run.errors);
        }
        assert_eq!(run.output, "", "{arguments:?}: mistakes go to standard error");
    }
}

#[test]
fn help_version_settings_and_catalogue_go_to_standard_output() {
    for (arguments, part) in [
        (&["--help"][..], "Examples:"),
        (&["--version"], "r3e-loader 0."),
        (&["--print-config"], "requests_per_second = 100000"),
        (&["catalog", "list"], "1693"),
        (&["catalog", "check"], "\"boards\":14703"),
    ] {
        let run = run(arguments, &[]).ended(0);
        assert!(run.output.contains(part), "{arguments:?}: {}", run.output);
        assert_eq!(run.errors, "", "{arguments:?}");
    }
}

#[test]
fn the_publishers_data_makes_a_catalogue_that_can_be_used() {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/r3e-data.json");
    if !shared.exists() {
        eprintln!("skipped: no {}", shared.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let loader = Loader::new(folder.path());
    let _made = loader.clone().arg("catalog").arg("import").arg(shared).arg("-o").arg("all.toml").run().ended(0);
    let run = loader.clone().arg("catalog").arg("check").arg("all.toml").run().ended(0);
    assert_eq!((run.number("/tracks"), run.number("/classes"), run.number("/boards")), (186, 104, 186 * 104));
    let run = loader.set("catalog.path", "all.toml").arg("--cached-only").run().ended(0);
    assert_eq!(run.number("/boards/catalogue"), 186 * 104);
    assert_eq!(json_file(&folder.path().join("cache/status.json"))["total_entries"], 0);
}
