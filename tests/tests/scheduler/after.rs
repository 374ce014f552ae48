//! The commands of `schedule.after`: when they run, what they know, and that no failure of theirs touches the job.

use std::fs;

use r3e_tests::harness::{Event, Invocation, Place, events, events_with, simulated, until};
use r3e_tests::sim::SimOptions;
use serde_json::{Value, json};

use crate::place::{
    Logged, log, logged, nothing_left, scheduler, started, stopped, totals, trigger, trigger_is_over, with_told_jobs,
    working_in,
};

/// It says that it is up, and ignores every signal that it can, as its child does.
const DEAF: &str = "trap '' HUP INT TERM; sleep 1000 & echo up > up; while :; do wait; done";

/// `schedule.after` with these commands of the shell.
fn commands(scripts: &[&str]) -> String {
    json!(scripts.iter().map(|script| ["sh", "-c", script]).collect::<Vec<_>>()).to_string()
}

/// The lines that commands have written.
fn ran(place: &Place) -> Vec<String> {
    fs::read_to_string(place.path("ran")).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn is_up(place: &Place) {
    until("the command is up", || place.path("up").exists());
}

/// Its events about commands that have ended, with their results.
fn results(place: &Place) -> Vec<(String, String)> {
    let ended = events_with(&log(place), &["command", "result", "pid", "seconds"]).into_iter();
    ended.map(|it| (it.level.clone(), it.field("result").as_str().unwrap().to_owned())).collect()
}

/// What `r3e-monitor runs` shows of this program.
fn runs(place: &Place, program: &str) -> Vec<Value> {
    let monitor = Invocation::new("r3e-monitor", &place.path(""));
    let monitor = monitor.set("runtime.dir", &place.path("run").to_string_lossy());
    let runs = monitor.arguments(&["--json", "runs"]).run().with_code(0).json();
    runs.as_array().unwrap().iter().filter(|it| it["program"] == program).cloned().collect()
}

#[test]
fn they_run_in_order_after_a_job_that_published_and_their_failure_changes_nothing() {
    let place = Place::new();
    let first = "echo first $R3E_GENERATION $R3E_CACHE__DIR $NOTIFY_SOCKET >> ran; echo a word to all >&2; exit 7";
    let after = commands(&[first, "kill -9 $$", "echo last >> ran"]);
    let after = after.replacen(']', r#"],["nowhere-to-be-found", "x"]"#, 1);
    // What a job publishes counts, not how it ends.
    let jobs = with_told_jobs(&place, &["published 69", "0", "published"]).set("schedule.after", &after);
    let running = jobs.variable("NOTIFY_SOCKET", "@nobody").spawn();
    logged(&place, Logged::Done, 1);
    assert_eq!(started(&place).len(), 2, "the job was retried");
    let cache = place.cache().canonicalize().unwrap();
    let once = |generation: u32| [format!("first generation-{generation} {}", cache.display()), "last".to_owned()];
    assert_eq!(ran(&place), once(1));
    trigger(&place, "1693");
    until("they have run again", || results(&place).len() == 6);
    assert_eq!(ran(&place), [once(1), once(3)].concat());
    let log = stopped(&place, running);

    let failed = |result: &str| ("ERROR".to_owned(), result.to_owned());
    let once = [failed("exit 7"), failed("killed by signal 9 (SIGKILL)"), ("INFO".to_owned(), "exit 0".to_owned())];
    assert_eq!(results(&place), [once.clone(), once].concat());
    assert_eq!(events_with(&log, &["command", "error"]).len(), 2, "one cannot be started: {log}");
    assert_eq!(totals(&log), [3, 1]);
    assert_eq!(*events_with(&log, &["commands_failed"]).pop().unwrap().field("commands_failed"), 6);
    // One after another, and the next job after all of them.
    let order = |it: &Event| {
        (it.job.is_none() && (it.has(&["command"]) || it.has(&["program", "pid"]))).then_some(it.has(&["command"]))
    };
    let order: Vec<bool> = events(&log).iter().filter_map(order).collect();
    assert_eq!(order, [&[false][..], &[true; 7], &[false, false], &[true; 7]].concat(), "{log}");
    let word: Vec<Value> =
        log.lines().filter(|it| it.contains("a word to all\"")).map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(word.len() == 2 && word.iter().all(|it| it["job"] == "sh"), "{word:?}");

    let runs = runs(&place, "sh");
    assert_eq!(runs.len(), 6);
    let outcome = |run: &Value| (run["outcome"].clone(), run["exit_code"].clone());
    assert_eq!(
        runs[..3].iter().map(outcome).collect::<Vec<_>>(),
        [("failed", 7), ("failed", 137), ("done", 0)].map(|(a, b)| (a.into(), b.into()))
    );
    assert!(runs[0]["doing"].as_str().unwrap().starts_with("sh -c echo first "), "{runs:?}");
}

#[test]
fn only_what_a_real_job_publishes_counts_and_our_programs_can_be_commands() {
    let (sim, place) = simulated(3, 4, SimOptions { entries: 300, drivers: 100, ..SimOptions::default() });
    let own = r#"[["sh", "-c", "echo $R3E_GENERATION >> ran"], ["r3e-loader"]]"#;
    let jobs = || {
        scheduler(&place)
            .set("catalog.path", "catalog.toml")
            .set("upstream.base_url", &sim.base_url())
            .set("upstream.requests_per_second", "100000")
            .set("schedule.after", own)
    };
    let running = jobs().spawn();
    until("the commands have run", || results(&place).len() == 2);
    stopped(&place, running);
    let status: Value = serde_json::from_str(&fs::read_to_string(place.cache().join("status.json")).unwrap()).unwrap();
    assert_eq!(ran(&place), [status["generation"].as_str().unwrap()]);
    let done = || ("INFO".to_owned(), "exit 0".to_owned());
    assert_eq!(results(&place), [done(), done()]);
    // It has left a record of its own, so there is no second one.
    assert_eq!((runs(&place, "r3e-loader").len(), runs(&place, "sh").len()), (2, 1));

    // Nothing is due now.
    fs::remove_file(place.path("log")).unwrap();
    let running = jobs().spawn();
    logged(&place, Logged::Done, 1);
    let log = stopped(&place, running);
    assert!(events_with(&log, &["command"]).is_empty(), "{log}");
    assert_eq!(ran(&place).len(), 1);
}

#[test]
fn one_that_takes_too_long_is_stopped_or_killed_with_its_children() {
    let place = Place::new();
    let after = commands(&["exec sleep 1000", DEAF, "echo last >> ran"]);
    let jobs = with_told_jobs(&place, &["published"]).set("schedule.after", &after);
    let running = jobs.set("schedule.job_timeout", "5s").set("runtime.stop_grace", "500ms").spawn();
    until("the last one has run", || results(&place).len() == 3);
    until("only the scheduler is left", || working_in(&place.path("")) == [running.pid()]);
    let log = stopped(&place, running);
    let results: Vec<String> = results(&place).into_iter().map(|it| it.1).collect();
    assert_eq!(results, ["killed by signal 15 (SIGTERM)", "killed by signal 9 (SIGKILL)", "exit 0"]);
    assert_eq!(Logged::TimedOut.events(&place).len(), 2, "{log}");
    assert_eq!((ran(&place).len(), totals(&log)), (1, [1, 0]));
    let outcomes: Vec<Value> = runs(&place, "sh").iter().map(|it| it["outcome"].clone()).collect();
    assert_eq!(outcomes, ["timed out", "timed out", "done"]);
}

#[test]
fn the_scheduler_stops_during_a_command_and_names_those_that_do_not_run() {
    for script in ["echo up > up; exec sleep 1000", DEAF] {
        let place = Place::new();
        let after = commands(&[script, "echo last >> ran"]);
        let jobs = with_told_jobs(&place, &["published"]).set("schedule.after", &after);
        let running = jobs.set("runtime.stop_grace", "500ms").spawn();
        is_up(&place);
        let log = stopped(&place, running);
        let [left] = events_with(&log, &["commands"]).try_into().unwrap();
        assert!(left.names("echo last"), "{left:?}");
        assert_eq!(*events_with(&log, &["commands_failed"]).pop().unwrap().field("commands_failed"), 0);
        assert_eq!((ran(&place).len(), totals(&log)), (0, [1, 0]));
        assert_eq!(runs(&place, "sh")[0]["outcome"], "stopped");
    }
}

#[test]
fn no_command_outlives_a_killed_scheduler() {
    let place = Place::new();
    let after = commands(&[DEAF]);
    let jobs = || with_told_jobs(&place, &["published"]).set("schedule.after", &after);
    let running = jobs().spawn();
    is_up(&place);
    let _killed = running.kill();
    // Its socket stays, but no process.
    until("no process of it is left", || working_in(&place.path("")).is_empty());
    // The next start publishes nothing, so it runs none.
    let running = jobs().spawn();
    logged(&place, Logged::Done, 1);
    let log = stopped(&place, running);
    assert!(events_with(&log, &["command"]).is_empty(), "{log}");
}

#[test]
fn signals_and_the_trigger_file_are_handled_during_a_command() {
    let place = Place::new();
    let after = commands(&["echo up > up; until [ -e go ]; do sleep 0.01; done"]);
    let running = with_told_jobs(&place, &["published"]).set("schedule.after", &after).spawn();
    is_up(&place);
    running.signal("HUP");
    logged(&place, Logged::Reloaded, 1);
    trigger(&place, "1693");
    assert_eq!(started(&place).len(), 1);
    fs::write(place.path("go"), "").unwrap();
    trigger_is_over(&place);
    let log = stopped(&place, running);
    assert_eq!((started(&place).len(), totals(&log)), (2, [2, 0]));
    nothing_left(&place);
}
