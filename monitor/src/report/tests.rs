use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use r3e_common::runtime::control::{BoardsProgress, PurgeStats, Stats, TaskStats};
use r3e_common::runtime::memory::{Arena, Figures};

use serde_json::Value;

use super::*;
use crate::ask::NoAnswer;
use crate::history::{Condensed, Run};
use crate::kernel::{Connection, Descriptor, Descriptors};
use crate::sockets::Socket;
use crate::survey::{Reply, to_json};

fn reply<T>(program: &str, pid: u32, answer: Result<T, NoAnswer>) -> Reply<T> {
    let path = PathBuf::from(format!("/run/r3e/{program}-{pid}.sock"));
    Reply { socket: Socket { program: program.into(), pid: pid.into(), path }, answer }
}

fn loader() -> Stats {
    let figures = Figures {
        allocated_bytes: 33 << 20,
        active_bytes: 35 << 20,
        rss_bytes: (41 << 20) + (512 << 10),
        peak_rss_bytes: 96 << 20,
        threads: 7,
        open_fds: 31,
        connections: 4,
        purges: 2,
        ..Figures::default()
    };
    Stats {
        program: "r3e-loader".into(),
        pid: 4711,
        pid_namespace: None,
        version: "0.1.0".into(),
        started_at: "2026-11-01T04:00:00Z".into(),
        uptime_s: 754.2,
        phase: "fetching".into(),
        figures,
        pss_bytes: 40 << 20,
        limit_bytes: Some(256 << 20),
        tasks: 12,
        progress: Some(BoardsProgress { total: 14_703, fetched: 7000, failed: 3, entries: 140_000 }),
        schedule: None,
    }
}

fn monitor() -> Stats {
    let figures = Figures {
        allocated_bytes: 700 << 10,
        rss_bytes: 6 << 20,
        peak_rss_bytes: 7 << 20,
        rss_anon_bytes: Some(3 << 20),
        threads: 3,
        ..Figures::default()
    };
    Stats {
        program: "r3e-monitor".into(),
        pid: 88,
        version: "0.1.0".into(),
        uptime_s: 400_000.0,
        phase: "watching".into(),
        figures,
        ..Stats::default()
    }
}

fn replies() -> Vec<Reply<Stats>> {
    vec![
        reply("r3e-monitor", 88, Ok(monitor())),
        reply("r3e-loader", 4711, Ok(loader())),
        reply("r3e-loader", 9, Err(NoAnswer::Dead)),
        reply("r3e-scheduler", 77, Err(NoAnswer::Late(crate::ask::TIMEOUT))),
    ]
}

fn folder() -> &'static Path {
    Path::new("/run/r3e")
}

#[test]
fn a_list_shows_answering_silent_and_abandoned_programs() {
    insta::assert_snapshot!(list(&replies(), folder()));
    assert_eq!(list(&[], folder()), "no program runs that has a control socket in /run/r3e\n");
}

#[test]
fn stats_are_aligned_and_the_worst_comes_first() {
    let mut replies = replies();
    replies.retain(|it| !it.is_dead());
    worst_first(&mut replies);
    insta::assert_snapshot!(stats(&replies, folder()));
    let json = to_json(&replies);
    assert_eq!((&json[0]["state"], &json[0]["why"]), (&"not answering".into(), &"no answer within 2s".into()));
    let keys = "program pid phase uptime_s allocated_bytes active_bytes metadata_bytes resident_bytes mapped_bytes \
        retained_bytes rss_bytes rss_anon_bytes peak_rss_bytes pss_bytes limit_bytes threads tasks open_fds connections \
        purges instance state";
    for key in keys.split_whitespace() {
        assert!(json[1].get(key).is_some(), "{key}");
    }
    assert!(json[2]["limit_bytes"].is_null() && json[1]["progress"]["fetched"] == 7000);
}

#[test]
fn a_purge_shows_before_and_after() {
    let figures = Figures { rss_bytes: 20 << 20, allocated_bytes: 15 << 20, ..loader().figures };
    let after = Stats { figures, ..loader() };
    let given_back_bytes = i64::try_from(loader().figures.rss_bytes - figures.rss_bytes).unwrap();
    let purged = PurgeStats { before: loader(), after, given_back_bytes, took_ms: 12.345 };
    let replies = [
        reply("r3e-loader", 4711, Ok(purged)),
        reply("r3e-scheduler", 77, Err(NoAnswer::Refused("503 Service Unavailable: busy".into()))),
    ];
    insta::assert_snapshot!(purges(&replies, folder()));
    let json = to_json(&replies);
    assert_eq!((&json[0]["given_back_bytes"], &json[0]["pid"]), (&given_back_bytes.into(), &4711.into()));
    assert_eq!(json[1]["state"], "not answering");
}

#[test]
fn tasks_descriptors_and_connections_have_a_line_each() {
    let task = |name: &str, age_s, place: &str| TaskStats { name: name.into(), age_s, place: place.into() };
    let tasks = tasks(&[task("fetch", 3.25, "common/src/pipeline/fetch.rs:90"), task("signals", 90.0, "x.rs:7")]);
    let descriptor = |fd, kind: &str, target: &str| Descriptor { fd, kind: kind.into(), target: target.into() };
    let fds = vec![descriptor(0, "file", "/dev/null"), descriptor(12, "socket", "tcp 127.0.0.1:80 listening")];
    let descriptors = descriptors(&Descriptors { fds, more: 5 });
    let connection = |protocol, local: &str, remote: Option<&str>, state| Connection {
        protocol,
        local: local.into(),
        remote: remote.map(str::to_owned),
        state,
    };
    let connections = connections(&[
        connection("tcp", "10.0.0.1:5000", Some("1.2.3.4:443"), "established"),
        connection("unix", "", None, "connected"),
    ]);
    insta::assert_snapshot!(format!("{tasks}\n{descriptors}\n{connections}"));
}

#[test]
fn arenas_show_what_is_in_memory() {
    let arena = Arena {
        arena: 1,
        threads: 5,
        allocated_bytes: 99 << 20,
        active_bytes: 100 << 20,
        dirty_bytes: 1 << 20,
        muzzy_bytes: 0,
        resident_bytes: 102 << 20,
        mapped_bytes: 103 << 20,
        retained_bytes: 7 << 20,
        metadata_bytes: 64 << 10,
    };
    let arenas = arenas(&[Arena::default(), arena]);
    assert!(arenas.lines().all(|line| line.len() < 80));
    insta::assert_snapshot!(arenas);
}

const MOMENT: i64 = 1_793_505_600_000;

#[test]
fn a_history_is_condensed_for_people() {
    let row = |at_ms, pid, rss_bytes: u64| Condensed {
        at_ms,
        program: "r3e-loader".into(),
        pid,
        phases: "reading,fetching".into(),
        samples: 30,
        min_allocated_bytes: rss_bytes / 4,
        max_allocated_bytes: rss_bytes / 2,
        rss_bytes,
        peak_rss_bytes: rss_bytes * 2,
        tasks: 9,
        open_fds: 30,
        connections: 4,
    };
    let since = std::time::Duration::from_hours(2);
    let of = |rows: &[Condensed]| history(rows, since, Path::new("monitor.db"), &TimeZone::UTC);
    insta::assert_snapshot!(of(&[row(MOMENT, 7, 90 << 20), row(MOMENT + 300_000, 7, 101 << 20)]));
    assert_eq!(of(&[]), "no samples of the last 2h in monitor.db; r3e-monitor watch records them\n");
    let many = of(&(0..1001).map(|number| row(number, 7, 1)).collect::<Vec<_>>());
    assert_eq!(many.lines().count(), 1002);
}

#[test]
fn runs_show_what_they_took_and_how_they_ended() {
    let run = Run {
        program: "r3e-loader".into(),
        pid: 4711,
        pid_namespace: 0,
        version: "0.1.0".into(),
        doing: "load".into(),
        started_ms: MOMENT - 1_900_000,
        ended_ms: MOMENT,
        outcome: "some_boards_failed".into(),
        exit_code: Some(3),
        peak_rss_bytes: 96 << 20,
        rss_bytes: 40 << 20,
        allocated_bytes: 3 << 20,
        boards: Some(serde_json::json!({"fetched": 14_700, "failed": 3})),
        recorded: true,
    };
    let killed = Run {
        ended_ms: MOMENT + 1000,
        started_ms: MOMENT,
        outcome: "killed".into(),
        exit_code: None,
        boards: None,
        recorded: false,
        doing: "fetching".into(),
        ..run.clone()
    };
    let both = [run, killed];
    insta::assert_snapshot!(runs(&both, &TimeZone::UTC));
    let json = runs_json(&both);
    assert_eq!((&json[0]["seconds"], &json[0]["started_at"]), (&1900.0.into(), &"2026-11-01T03:28:20Z".into()));
    assert_eq!((&json[1]["recorded"], &json[1]["exit_code"]), (&false.into(), &Value::Null));
    assert_eq!(runs(&[], &TimeZone::UTC), "no finished runs\n");
}
