//! Shared by these tests: a scheduler ready to run, scripted fake jobs, and the log.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use r3e_tests::harness::{
    Event, Invocation, Place, Running, children, events, events_with, program_beside, until, zone_at_noon,
};

/// A scheduler about to run there: it logs to `log`, finds nothing due today, and has no patience.
pub(crate) fn scheduler(place: &Place) -> Invocation {
    Invocation::new("r3e-scheduler", &place.path(""))
        .set("runtime.dir", &place.path("run").to_string_lossy())
        .set("schedule.time_zone", &zone_at_noon())
        .set("log.format", "json")
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

/// The events that it logs, identified by level and fields.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Logged {
    /// A job was started.
    Started,
    /// A job has ended and done its work.
    Done,
    /// A job has ended and has not.
    Failed,
    /// A job could not be started.
    NotStarted,
    /// A job will be tried again.
    Retried,
    /// A job will be tried again once the configuration is read again.
    WaitsForReload,
    /// A job was tried often enough.
    GivenUp,
    /// A job takes too long.
    TimedOut,
    /// The configuration was read again.
    Reloaded,
    /// A run was missed.
    Missed,
    /// A run is due while a job is at work.
    DueAtWork,
    /// A run that was due at the last stop is resumed.
    Resumed,
}

impl Logged {
    fn is(self, event: &Event) -> bool {
        let (level, fields): (&str, &[&str]) = match self {
            Self::Started => ("INFO", &["program", "pid", "attempt"]),
            Self::Done => ("INFO", &["job", "pid", "seconds"]),
            Self::Failed => ("ERROR", &["job", "pid", "seconds", "attempt"]),
            Self::NotStarted => ("ERROR", &["program", "attempt", "error"]),
            Self::Retried => ("INFO", &["pause", "attempt", "to_drop"]),
            Self::WaitsForReload => ("ERROR", &["to_drop"]),
            Self::GivenUp => ("ERROR", &["attempts"]),
            Self::TimedOut => ("ERROR", &["pid", "job_timeout"]),
            Self::Reloaded => ("INFO", &["next"]),
            Self::Missed => ("WARN", &["at", "late", "further"]),
            Self::DueAtWork => ("INFO", &["at", "job", "pid"]),
            Self::Resumed => ("INFO", &["due_at"]),
        };
        event.job.is_none() && event.level == level && event.has(fields)
    }

    /// Those that were logged so far.
    pub(crate) fn events(self, place: &Place) -> Vec<Event> {
        events(&log(place)).into_iter().filter(|it| self.is(it)).collect()
    }
}

/// Waits until it has logged this event this many times.
pub(crate) fn logged(place: &Place, what: Logged, times: usize) {
    until(&format!("{what:?} is logged {times} times"), || what.events(place).len() >= times);
}

/// Waits until a job, the n-th that was started, has said its word.
pub(crate) fn job_said(place: &Place, number: usize) {
    let word = format!("a word of number {number}\"");
    until(&word, || log(place).contains(&word));
}

/// How many jobs were started and how many have failed, as its log sums them up.
pub(crate) fn totals(log: &str) -> [u64; 2] {
    let summed = events_with(log, &["started", "failed"]).pop().unwrap();
    ["started", "failed"].map(|it| summed.field(it).as_u64().unwrap())
}

/// Waits until the trigger file is done with.
pub(crate) fn trigger_is_over(place: &Place) {
    let files = ["refresh_now", ".refresh_now.taken"];
    until("the trigger file is done with", || files.iter().all(|it| !place.cache().join(it).exists()));
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

/// Stops it and checks for a clean stop: its closing line, exit code 0, and no process left behind.
pub(crate) fn stopped(place: &Place, running: Running) -> String {
    running.signal("TERM");
    ended(place, running)
}

/// Checks that one that was asked to stop went in order: see [`stopped`].
pub(crate) fn ended(place: &Place, running: Running) -> String {
    let _ended = running.wait().with_code(0);
    let log = log(place);
    // That a signal came is logged by a thread of its own, which may be late.
    let rest = events(&log).into_iter().rfind(|it| !it.has(&["signal", "grace"]));
    assert!(rest.unwrap().names("📅 Scheduler task exiting"), "{log}");
    assert!(!log.contains("panicked") && !was_forced(&log), "{log}");
    nothing_left(place);
    log
}

/// Whether it was ended by force because its time was up.
pub(crate) fn was_forced(log: &str) -> bool {
    events_with(log, &["signal"]).iter().any(|it| it.level == "ERROR")
}

/// No process works in that folder, and no socket is left.
pub(crate) fn nothing_left(place: &Place) {
    // A killed process disappears with a short delay.
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

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resources {
    anonymous_kb: u64,
    threads: u64,
    live: u64,
    tasks: u64,
    pub(crate) fds: usize,
    children: usize,
}

impl Resources {
    /// Checks that nothing was left since.
    #[track_caller]
    pub(crate) fn is_no_more_than(&self, before: &Self) {
        let equal = |held: &Self| (held.threads, held.tasks, held.fds, held.children);
        assert_eq!(equal(self), equal(before), "threads, tasks, descriptors, children");
        assert_eq!(self.children, 0);
        // The allocator's own tables fill up page by page; a job's worth of anything would be more than these after many more.
        assert!(self.live <= before.live + (32 << 10), "{before:?} {self:?}");
        assert!(self.anonymous_kb <= before.anonymous_kb + 128, "{before:?} {self:?}");
    }
}

/// What the scheduler holds, after a purge.
pub(crate) fn resources(place: &Place, pid: u32) -> Resources {
    let monitor = |arguments: &[&str]| {
        let monitor = Invocation::new("r3e-monitor", &place.path(""));
        monitor.set("runtime.dir", &place.path("run").to_string_lossy()).arguments(arguments).run().with_code(0).json()
    };
    monitor(&["--json", "purge", "scheduler"]);
    let stats = monitor(&["--json", "stats", "scheduler"])[0].clone();
    let threads = || figure(pid, "Threads");
    until("the threads of the purge have ended", || threads() <= 5);
    // An accepted socket has the path of its listener.
    let socket = place.path(&format!("run/r3e-scheduler-{pid}.sock")).to_string_lossy().into_owned();
    let ends = || fs::read_to_string("/proc/net/unix").unwrap().lines().filter(|it| it.ends_with(&socket)).count();
    until("the connections of whoever asked are closed", || ends() == 1);
    Resources {
        anonymous_kb: figure(pid, "RssAnon"),
        threads: threads(),
        // What the caches of its threads hold is free, and bounded.
        live: stats["allocated_bytes"].as_u64().unwrap() - stats["thread_cache_bytes"].as_u64().unwrap(),
        tasks: stats["tasks"].as_u64().unwrap(),
        fds: fds(pid),
        children: children(pid).len(),
    }
}

/// How many descriptors a process has open.
pub(crate) fn fds(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// A figure of a process, from the kernel.
pub(crate) fn figure(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}
