//! A real socket, with requests as from `curl --unix-socket`.

mod hostile;

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime};

use r3e_needs::until;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::*;
use crate::runtime::tasks::Tasks;

const LONG: Duration = Duration::from_secs(20);

/// A program with a control socket.
struct World {
    folder: tempfile::TempDir,
    facts: Arc<Facts>,
    control: Control,
    runtime: Runtime,
}

impl World {
    fn new() -> Self {
        Self::bounded(Bounds::default())
    }

    fn bounded(bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let started = SystemTime::UNIX_EPOCH + Duration::from_hours(498_724);
        let facts = Arc::new(Facts::new("r3e-test", started, runtime.handle().clone(), Some(256 << 20)));
        let control = Control::open_with(&folder.path().join("run"), Arc::clone(&facts), bounds).unwrap();
        Self { folder, facts, control, runtime }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.control.path()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Sends these bytes, and reads until the socket is closed.
    fn send(&self, bytes: &[u8]) -> io::Result<String> {
        let mut stream = self.connect();
        stream.write_all(bytes)?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            // What was sent beyond what was read shows after the answer.
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset || answer.is_empty() => Err(error),
            _ => Ok(String::from_utf8(answer).unwrap()),
        }
    }

    fn ask(&self, line: &str) -> Answer {
        Answer::parse(&self.send(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap())
    }

    fn get_json(&self, path: &str) -> Value {
        let answer = self.ask(&format!("GET {path}"));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Self { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }
}

#[test]
fn stats_have_all_documented_keys() {
    let world = World::new();
    world.facts.set_phase("fetching");
    let stats = world.get_json("/stats");
    let mut keys: Vec<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    insta::assert_snapshot!(keys.join(" "), @"active_bytes allocated_bytes connections limit_bytes mapped_bytes metadata_bytes open_fds peak_rss_bytes phase pid pid_namespace program progress pss_bytes purges resident_bytes retained_bytes rss_anon_bytes rss_bytes schedule started_at tasks thread_cache_bytes threads uptime_s version");
    let text = |key: &str| stats[key].as_str().unwrap().to_owned();
    assert_eq!((text("program"), text("phase")), ("r3e-test".into(), "fetching".into()));
    assert_eq!(
        (text("started_at"), text("version")),
        ("2026-11-23T04:00:00Z".into(), env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!((&stats["pid"], &stats["limit_bytes"]), (&std::process::id().into(), &(256_u64 << 20).into()));
    assert!(stats["progress"].is_null() && stats["uptime_s"].as_f64().unwrap() < LONG.as_secs_f64());
    assert!(stats["rss_bytes"].as_u64().unwrap() > 1 << 20, "{stats}");
    let read: Stats = serde_json::from_value(stats).unwrap();
    assert!(read.pss_bytes > 0 && read.pss_bytes <= read.figures.peak_rss_bytes);
}

#[test]
fn a_scheduler_has_figures_about_its_schedule() {
    let world = World::new();
    assert!(world.get_json("/stats")["schedule"].is_null());
    let figures =
        ScheduleFigures { next_run_at: None, attempt: Some(2), jobs_started: 3, jobs_failed: 1, commands_failed: 4 };
    world.facts.set_schedule(figures.clone());
    let mut expected = serde_json::json!({"next_run_at": null, "attempt": 2, "jobs_started": 3, "jobs_failed": 1, "commands_failed": 4});
    assert_eq!(world.get_json("/stats")["schedule"], expected);
    // An older scheduler counts no commands.
    expected.as_object_mut().unwrap().remove("commands_failed");
    let read: ScheduleFigures = serde_json::from_value(expected).unwrap();
    assert_eq!(read, ScheduleFigures { commands_failed: 0, ..figures });
}

#[test]
fn arenas_are_reported_one_by_one() {
    let world = World::new();
    let arenas: Vec<crate::runtime::memory::Arena> = serde_json::from_value(world.get_json("/arenas")).unwrap();
    let allocated = arenas.iter().map(|it| it.allocated_bytes).sum::<u64>();
    assert!(allocated > 0 && arenas.iter().any(|it| it.threads > 0), "{arenas:?}");
    assert_eq!(world.ask("POST /arenas").status, 405);
}

#[test]
fn progress_and_tasks_are_those_of_the_program() {
    let world = World::new();
    assert_eq!(world.get_json("/tasks"), Value::Array(vec![]));
    let progress = BoardsProgress { total: 9, fetched: 4, failed: 1, entries: 77 };
    world.facts.set_progress(Some(Arc::new(move || progress)));
    let tasks = Tasks::default();
    world.facts.set_tasks(Some(tasks.clone()));
    let (_old, line) = (tasks.track("old", std::future::pending::<()>()), line!());
    let _young = tasks.track("young", std::future::pending::<()>());
    let waiting = world.runtime.spawn(std::future::pending::<()>());
    let stats = world.get_json("/stats");
    assert_eq!(stats["progress"], serde_json::json!({"total": 9, "fetched": 4, "failed": 1, "entries": 77}));
    assert_eq!(stats["tasks"], 1);
    let tasks: Vec<TaskStats> = serde_json::from_value(world.get_json("/tasks")).unwrap();
    assert_eq!(tasks.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["old", "young"]);
    assert!(tasks[0].age_s >= tasks[1].age_s && tasks[0].age_s < LONG.as_secs_f64());
    assert_eq!(tasks[0].place, format!("{}:{line}", file!()));
    waiting.abort();
    world.facts.set_progress(None);
    world.facts.set_tasks(None);
    assert!(world.get_json("/stats")["progress"].is_null());
    assert_eq!(world.get_json("/tasks"), Value::Array(vec![]));
}

#[test]
fn a_purge_reports_figures_before_and_after() {
    let world = World::new();
    let answer = world.ask("POST /purge");
    assert_eq!(answer.status, 200);
    let purged: PurgeStats = serde_json::from_str(&answer.body).unwrap();
    assert!(purged.after.figures.purges > purged.before.figures.purges);
    let difference = i128::from(purged.before.figures.rss_bytes) - i128::from(purged.after.figures.rss_bytes);
    assert_eq!(i128::from(purged.given_back_bytes), difference);
    assert!(purged.took_ms > 0.0 && purged.before.pss_bytes > 0 && purged.after.pss_bytes > 0);
}

#[test]
fn metrics_are_open_metrics() {
    let world = World::new();
    let answer = world.ask("GET /metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(answer.body.ends_with("\n# EOF\n"));
    assert!(answer.body.contains(&format!("\nr3e_tasks{{program=\"r3e-test\",pid=\"{}\"}} 0\n", std::process::id())));
}

#[test]
fn unknown_paths_are_404_and_wrong_methods_405() {
    let world = World::new();
    let answer = |line: &str| {
        let answer = world.ask(line);
        format!("{line}: {} {}", answer.status, answer.header("allow").unwrap_or("-"))
    };
    let lines = "GET /,GET /stats/,PUT /none,HEAD /stats,POST /stats,POST /heap,PUT /profile,GET /purge,DELETE /tasks";
    insta::assert_snapshot!(lines.split(',').map(answer).collect::<Vec<_>>().join("\n"), @r#"
    GET /: 404 -
    GET /stats/: 404 -
    PUT /none: 404 -
    HEAD /stats: 200 -
    POST /stats: 405 GET,HEAD
    POST /heap: 405 GET,HEAD
    PUT /profile: 405 GET,HEAD,POST
    GET /purge: 405 POST
    DELETE /tasks: 405 GET,HEAD
    "#);
    assert_eq!(world.ask("GET /stats?pretty").status, 200, "an unknown query is ignored");
    assert_eq!(world.ask("GET /stats").header("cache-control"), Some("no-store"));
}

/// This process cannot be profiled; `tests/profile.rs` tests one that can.
#[test]
fn without_profiling_the_error_names_the_setting() {
    let world = World::new();
    let state = serde_json::json!({"available": false, "active": false, "sample_bytes": 0});
    assert_eq!(world.get_json("/profile"), state);
    for line in ["GET /heap", "POST /profile?active=true", "POST /profile?active=false"] {
        let answer = world.ask(line);
        assert_eq!((answer.status, answer.header("content-type")), (409, Some("text/plain; charset=utf-8")), "{line}");
    }
    for line in ["POST /profile", "POST /profile?active=1", "POST /profile?reset=true", "POST /profile?active=true&x"] {
        let answer = world.ask(line);
        assert_eq!(answer.status, 400, "{line}");
    }
}

#[test]
fn a_stuck_program_still_answers() {
    let world = World::new();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = Arc::new(std::sync::Mutex::new(ended));
    let stuck: Vec<_> = (0..2)
        .map(|_| {
            let ended = Arc::clone(&ended);
            world.runtime.spawn(async move {
                let _disconnected = ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
            })
        })
        .collect();
    until("both are there", || world.runtime.metrics().num_alive_tasks() == 2);
    assert_eq!(world.get_json("/stats")["tasks"], 2);
    assert_eq!(world.ask("POST /purge").status, 200);
    drop(end);
    world.runtime.block_on(async {
        for task in stuck {
            task.await.unwrap();
        }
    });
}

#[test]
fn dropping_it_closes_the_socket_and_its_connections() {
    let world = World::new();
    let path = world.control.path().to_owned();
    let folder = path.parent().unwrap();
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    let mut silent = world.connect();
    assert_eq!(world.ask("GET /stats").status, 200);
    drop(world.control);
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "let go");
    assert!(!path.exists());
    assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    // The same process may open another.
    let again = Control::open(folder, world.facts).unwrap();
    assert_eq!(again.path(), path);
}

#[test]
fn abandoned_sockets_are_removed() {
    let world = World::new();
    let folder = world.folder.path().join("other");
    crate::runtime::fs::private_folder(&folder).unwrap();
    let gone = folder.join(format!("r3e-loader-{}.sock", u32::MAX));
    drop(std::os::unix::net::UnixListener::bind(&gone).unwrap());
    let _control = Control::open(&folder, Arc::clone(&world.facts)).unwrap();
    until("it is removed", || !gone.exists());
}

#[test]
fn a_folder_that_is_not_private_is_refused() {
    let world = World::new();
    let folder = world.folder.path().join("open");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Control::open(&folder, Arc::clone(&world.facts)).unwrap_err().to_string();
    assert!(error.contains("others can write to it (mode 777)"), "{error}");
    assert!(Control::open_or_warn(&folder, Arc::clone(&world.facts)).is_none());
}
