//! What these tests have in common: a scheduler about to run, jobs that do as they are told, and what was logged.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use r3e_tests::harness::{Invocation, Place, Running, program_beside, until};

/// A scheduler about to run there: it logs to `log`, finds nothing due today, and has no patience.
pub(crate) fn scheduler(place: &Place) -> Invocation {
    Invocation::new("r3e-scheduler", &place.path(""))
        .set("runtime.dir", &place.path("run").to_string_lossy())
        .set("schedule.time_zone", "UTC")
        .set("schedule.backoff_min", "1ms")
        .set("schedule.backoff_max", "2ms")
        // And so those of its jobs.
        .stdout_to(place.path("out"))
        .stderr_to(place.path("log"))
}

/// Likewise, with jobs that do as they are told, which are `r3e-told-job`: its n-th start, counting all of a place, does what
/// the n-th line of `told` says, or else succeeds. Each start is a line in `started`.
pub(crate) fn with_told_jobs(place: &Place, told: &[&str]) -> Invocation {
    let programs = place.path("programs");
    fs::create_dir_all(&programs).unwrap();
    for name in ["r3e-loader", "r3e-refresher"] {
        let program = programs.join(name);
        if !program.exists() {
            symlink(program_beside("r3e-told-job"), program).unwrap();
        }
    }
    fs::write(place.path("told"), told.join("\n")).unwrap();
    scheduler(place).argument("--programs").argument(programs)
}

/// What it logged so far.
pub(crate) fn log(place: &Place) -> String {
    fs::read_to_string(place.path("log")).unwrap_or_default()
}

/// Waits until it has logged that so often.
pub(crate) fn logged(place: &Place, text: &str, times: usize) {
    until(&format!("{text:?} is logged {times} times"), || log(place).matches(text).count() >= times);
}

/// The jobs that were told were started: program and arguments.
pub(crate) fn started(place: &Place) -> Vec<String> {
    fs::read_to_string(place.path("started")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Makes the trigger file, whole at once.
pub(crate) fn trigger(place: &Place, text: &str) {
    fs::create_dir_all(place.cache()).unwrap();
    let hidden = place.cache().join(".new");
    fs::write(&hidden, text).unwrap();
    fs::rename(hidden, place.cache().join("refresh_now")).unwrap();
}

/// Stops it and checks that it went in order: its closing line, exit code 0, and no process of its left.
pub(crate) fn stopped(place: &Place, running: Running) -> String {
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
    let log = log(place);
    assert!(log.trim_end().ends_with("📅 Scheduler task exiting"), "{log}");
    assert!(!log.contains("panicked") && !log.contains("ending at once"), "{log}");
    nothing_left(place);
    log
}

/// No process works in that folder, and no socket is left.
pub(crate) fn nothing_left(place: &Place) {
    // What was killed is gone a moment later.
    until("no process of it is left", || working_in(&place.path("")).is_empty());
    let sockets = fs::read_dir(place.path("run")).into_iter().flatten().map(|it| it.unwrap().path());
    let sockets: Vec<PathBuf> = sockets.filter(|path| path.extension().is_some_and(|it| it == "sock")).collect();
    assert!(sockets.is_empty(), "{sockets:?}");
}

/// The processes whose working directory is that folder.
pub(crate) fn working_in(folder: &Path) -> Vec<u32> {
    let folder = folder.canonicalize().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    // One that is gone, or a kernel thread, has none.
    processes.filter(|pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|it| it == folder)).collect()
}
