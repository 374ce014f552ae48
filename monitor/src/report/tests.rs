use std::path::PathBuf;

use jiff::tz::TimeZone;
use r3e_common::runtime::control::{BoardsProgress, PurgeStats, Stats, TaskStats};
use r3e_common::runtime::memory::{Arena, Figures};

use serde_json::Value;

use super::*;
use crate::ask::NoAnswer;
use crate::history::{Condensed, Run};
use crate::kernel::{Connection, Descriptor, Open};
use crate::sockets::Socket;
use crate::survey::Reply;

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

#[test]
fn a_list_shows_who_answers_who_does_not_and_what_is_left_behind() {
    insta::assert_snapshot!(List::new(replies(), "/run/r3e".into()));
    assert_eq!(
        List::new(Vec::new(), "/run/r3e".into()).to_string(),
        "no program runs that has a control socket in /run/r3e\n"
    );
}

#[test]
fn stats_are_aligned_and_the_worst_comes_first() {
    let report = StatsReport::new(replies(), "/run/r3e".into());
    insta::assert_snapshot!(report);
    let json = report.to_json();
    let order: Vec<_> = json.as_array().unwrap().iter().map(|it| (it["pid"].as_u64(), it["state"].as_str())).collect();
    let expected = [(Some(77), Some("not answering")), (Some(4711), Some("answers")), (Some(88), Some("answers"))];
    assert_eq!(order, expected);
    assert_eq!((&json[0]["why"], &json[0]["rss_bytes"]), (&"no answer within 2s".into(), &Value::Null));
    let keys = "program pid phase uptime_s allocated_bytes active_bytes metadata_bytes resident_bytes mapped_bytes \
        retained_bytes rss_bytes rss_anon_bytes peak_rss_bytes pss_bytes limit_bytes threads tasks open_fds connections purges";
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
    let replies = vec![
        reply("r3e-loader", 4711, Ok(purged)),
        reply("r3e-loader", 9, Err(NoAnswer::Dead)),
        reply("r3e-scheduler", 77, Err(NoAnswer::Refused("503 Service Unavailable: busy".into()))),
    ];
    let report = Purges::new(replies, "/run/r3e".into());
    insta::assert_snapshot!(report);
    assert_eq!(report.refused(), ["r3e-scheduler (77)"]);
    let json = report.to_json();
    assert_eq!((&json[0]["given_back_bytes"], &json[0]["pid"]), (&given_back_bytes.into(), &4711.into()));
    assert_eq!((&json[1]["state"], json.as_array().unwrap().len()), (&"not answering".into(), 2));
}

#[test]
fn tasks_descriptors_and_connections_have_a_line_each() {
    let task = |name: &str, age_s, place: &str| TaskStats { name: name.into(), age_s, place: place.into() };
    let tasks = Tasks(vec![task("fetch", 3.25, "common/src/pipeline/fetch.rs:90"), task("signals", 90.0, "x.rs:7")]);
    let descriptor = |fd, kind: &str, target: &str| Descriptor { fd, kind: kind.into(), target: target.into() };
    let descriptors = vec![descriptor(0, "file", "/dev/null"), descriptor(12, "socket", "tcp 127.0.0.1:80 listening")];
    let connections = Connections(vec![
        Connection {
            protocol: "tcp",
            local: "10.0.0.1:5000".into(),
            remote: Some("1.2.3.4:443".into()),
            state: "established",
        },
        Connection { protocol: "unix", local: String::new(), remote: None, state: "connected" },
    ]);
    let descriptors = Descriptors(Open { descriptors, more: 5 });
    insta::assert_snapshot!(format!("{tasks}\n{descriptors}\n{connections}"));
    assert_eq!(descriptors.to_json()["more"], 5);
    assert_eq!(connections.to_json()[1]["remote"], Value::Null);
    assert_eq!(tasks.to_json()[0]["age_s"], 3.25);
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
    let arenas = Arenas(vec![Arena::default(), arena]);
    insta::assert_snapshot!(arenas);
    assert!(arenas.to_string().lines().all(|line| line.len() < 80));
    assert_eq!((&arenas.to_json()[1]["retained_bytes"], &arenas.to_json()[0]["arena"]), (&(7 << 20).into(), &0.into()));
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
        least_allocated_bytes: rss_bytes / 4,
        most_allocated_bytes: rss_bytes / 2,
        rss_bytes,
        peak_rss_bytes: rss_bytes * 2,
        tasks: 9,
        open_fds: 30,
        connections: 4,
    };
    let since = std::time::Duration::from_hours(2);
    let of = |rows| History { rows, since, file: "monitor.db".into(), zone: TimeZone::UTC };
    insta::assert_snapshot!(of(vec![row(MOMENT, 7, 90 << 20), row(MOMENT + 300_000, 7, 101 << 20)]));
    assert_eq!(of(Vec::new()).to_string(), "no samples of the last 2h in monitor.db; r3e-monitor watch records them\n");
    let many = of((0..1001).map(|number| row(number, 7, 1)).collect()).to_string();
    assert!(many.lines().count() == 1002, "{}", many.lines().count());
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
    let report = Runs { rows: vec![run, killed], zone: TimeZone::UTC };
    insta::assert_snapshot!(report);
    let json = report.to_json();
    assert_eq!((&json[0]["seconds"], &json[0]["started_at"]), (&1900.0.into(), &"2026-11-01T03:28:20Z".into()));
    assert_eq!((&json[1]["recorded"], &json[1]["exit_code"]), (&false.into(), &Value::Null));
    assert_eq!(Runs { rows: Vec::new(), zone: TimeZone::UTC }.to_string(), "no finished runs\n");
}
