mod lasting;

use std::collections::HashSet;
use std::path::PathBuf;

use r3e_common::runtime::control::{BoardsProgress, Stats};
use r3e_common::runtime::memory::Figures;
use rusqlite::Connection;
use tempfile::TempDir;

use super::schema;
use super::write::KILLED;
use super::*;
use crate::kernel;
use crate::verdict::{Figure, Moment, WARM_UP};
use r3e_common::runtime::exit::Fatal as _;

const STARTED: &str = "2026-11-01T04:00:00Z";
const STARTED_MS: i64 = 1_793_505_600_000;
/// No process has it: the kernel gives out no number as large.
const PID: u32 = u32::MAX;

pub(super) fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some/where/monitor.db");
    (folder, path)
}

fn stats(pid: u32, rss_bytes: u64) -> Stats {
    Stats {
        program: "r3e-loader".into(),
        pid,
        version: "0.1.0".into(),
        started_at: STARTED.into(),
        phase: "fetching".into(),
        figures: Figures {
            rss_bytes,
            peak_rss_bytes: rss_bytes + 1,
            rss_anon_bytes: Some(rss_bytes / 4),
            allocated_bytes: rss_bytes / 2,
            ..Figures::default()
        },
        tasks: 5,
        progress: Some(BoardsProgress { total: 10, fetched: 3, ..BoardsProgress::default() }),
        ..Stats::default()
    }
}

pub(super) fn sample(pid: u32, rss_bytes: u64) -> Sample {
    Sample { stats: stats(pid, rss_bytes), start_ticks: None, after_purge: false }
}

pub(super) fn batch(at_ms: i64, samples: Vec<Sample>) -> Batch {
    Batch { at_ms, samples, silent: Some(HashSet::new()) }
}

fn run(outcome: &str) -> Run {
    Run {
        program: "r3e-loader".into(),
        pid: PID,
        pid_namespace: 0,
        version: "0.1.0".into(),
        doing: "load".into(),
        started_ms: STARTED_MS,
        ended_ms: STARTED_MS + 90_000,
        outcome: outcome.into(),
        exit_code: Some(0),
        peak_rss_bytes: 50 << 20,
        rss_bytes: 40 << 20,
        allocated_bytes: 3 << 20,
        boards: Some(serde_json::json!({"fetched": 7})),
        recorded: true,
    }
}

fn all_samples(reader: &Reader) -> Vec<SampleRow> {
    let mut all: Vec<SampleRow> = Vec::new();
    loop {
        let page = reader.samples(0, all.last()).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

#[test]
fn the_history_can_be_read_while_it_is_written() {
    let (_folder, path) = place();
    assert!(Reader::open(&path).unwrap().is_none(), "nothing was ever written");
    let mut writer = Writer::open(&path).unwrap();
    let reader = Reader::open(&path).unwrap().unwrap();
    // More than a page, and several at one moment.
    for number in 0..600 {
        let mut two = vec![sample(1, 1000 + number), sample(2, 10)];
        two[1].after_purge = true;
        writer.add(&[batch(i64::try_from(number).unwrap() * 10, two)]).unwrap();
    }
    let all = all_samples(&reader);
    assert_eq!(all.len(), 1200);
    assert!(all.is_sorted_by_key(|it| it.at_ms));
    assert_eq!((&all[0].columns["rss_bytes"], &all[0].columns["fetched"]), (&1000.into(), &3.into()));
    assert_eq!(all[0].columns["rss_anon_bytes"], 250);
    assert_eq!((&all[0].columns["limit_bytes"], &all[1].columns["after_purge"]), (&().into(), &true.into()));
    assert_eq!(reader.samples(5990, None).unwrap().len(), 2, "from a moment on, that included");

    let condensed = reader.condensed(0, 3000).unwrap();
    let shown: Vec<_> = condensed.iter().map(|it| (it.at_ms, it.pid, it.samples, it.rss_bytes)).collect();
    assert_eq!(shown, [(0, 1, 300, 1299), (0, 2, 300, 10), (3000, 1, 300, 1599), (3000, 2, 300, 10)]);
    assert_eq!((condensed[0].min_allocated_bytes, condensed[0].max_allocated_bytes), (500, 649));
}

#[test]
fn a_run_is_imported_once_and_replaces_an_inferred_one() {
    let (_folder, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    let reader = Reader::open(&path).unwrap().unwrap();
    writer.add(&[batch(1, vec![sample(PID, 8 << 20)])]).unwrap();
    writer.add(&[batch(2, vec![sample(PID, 5 << 20)])]).unwrap();
    assert!(writer.conclude(&batch(2, vec![sample(PID, 5 << 20)])).unwrap().is_empty(), "it is alive");
    assert!(writer.conclude(&Batch { silent: None, ..batch(3, Vec::new()) }).unwrap().is_empty(), "nobody has looked");

    let noted = writer.conclude(&batch(3, Vec::new())).unwrap();
    assert_eq!(noted.len(), 1);
    assert!(writer.conclude(&batch(4, Vec::new())).unwrap().is_empty(), "once");
    let [concluded] = reader.runs(10).unwrap().try_into().unwrap();
    let Run { outcome, exit_code, peak_rss_bytes, rss_bytes, ended_ms, recorded, .. } = concluded;
    assert_eq!((outcome.as_str(), exit_code, ended_ms, recorded), (KILLED, None, 2, false));
    assert_eq!((peak_rss_bytes, rss_bytes), ((8 << 20) + 1, 5 << 20), "its highest peak, its last figures");

    for _ in 0..2 {
        writer.import(&[&run("done")]).unwrap();
        assert_eq!(reader.runs(10).unwrap(), [run("done")]);
    }
    writer.import(&[&run("other")]).unwrap();
    assert_eq!(reader.runs(10).unwrap(), [run("done")], "what a run said stays");

    // The process and its run have looked at the clock one after the other.
    let mut sample = sample(PID, 10);
    sample.stats.started_at = "2026-11-01T04:00:00.25Z".into();
    writer.add(&[batch(5, vec![sample])]).unwrap();
    assert!(writer.conclude(&batch(6, Vec::new())).unwrap().is_empty(), "it is the same");
}

#[test]
fn a_process_that_left_a_record_is_not_missed_and_one_with_its_number_is_another() {
    let (_folder, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    writer.add(&[batch(1, vec![sample(PID, 10)])]).unwrap();
    writer.import(&[&run("done")]).unwrap();
    assert!(writer.conclude(&batch(2, Vec::new())).unwrap().is_empty());

    let mut next = sample(PID, 10);
    next.stats.started_at = "2026-11-02T04:00:00Z".into();
    writer.add(&[batch(3, vec![next.clone()])]).unwrap();
    let mut third = next.clone();
    third.stats.started_at = "2026-11-03T04:00:00Z".into();
    writer.add(&[batch(4, vec![third.clone()])]).unwrap();
    let noted = writer.conclude(&batch(4, vec![third])).unwrap();
    assert_eq!(noted.len(), 1, "the second is gone: the third answers in its place");
    assert_eq!(noted[0].started_ms, started_ms(&next.stats).unwrap());
}

#[test]
fn a_silent_process_or_one_without_socket_has_not_ended() {
    let (_folder, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    let us = std::process::id();
    let mut sample = sample(us, 10);
    sample.start_ticks = kernel::start_ticks(us);
    writer.add(&[batch(1, vec![sample])]).unwrap();
    let silent = HashSet::from([("r3e-loader".to_owned(), us)]);
    assert!(writer.conclude(&Batch { at_ms: 2, samples: Vec::new(), silent: Some(silent) }).unwrap().is_empty());
    assert!(writer.conclude(&batch(3, Vec::new())).unwrap().is_empty(), "the kernel still has it");
}

#[test]
fn old_processes_are_dropped_with_their_samples() {
    let (_folder, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    let reader = Reader::open(&path).unwrap().unwrap();
    for at in 0..100 {
        writer.add(&[batch(at, vec![sample(1, 10)])]).unwrap();
    }
    for at in 50..100 {
        writer.add(&[batch(at, vec![sample(2, 10)])]).unwrap();
    }
    let old = Run { ended_ms: 79, pid: 77, ..run("done") };
    writer.import(&[&old, &run("done")]).unwrap();
    while writer.drop_before(80).unwrap() {}
    let all = all_samples(&reader);
    assert_eq!((all.len(), all[0].at_ms), (40, 80));
    assert_eq!(reader.runs(10).unwrap(), [run("done")]);
    while writer.drop_before(100).unwrap() {}
    assert!(all_samples(&reader).is_empty());
    let left: i64 = count(&path, "processes");
    assert_eq!(left, 0);
}

#[test]
fn many_old_samples_are_dropped_in_pieces() {
    let (_folder, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    for at in 0..250 {
        writer.add(&[batch(at, (1..=100).map(|pid| sample(pid, 10)).collect())]).unwrap();
    }
    assert!(writer.drop_before(1_000_000).unwrap());
    let left = count(&path, "samples");
    assert!((14_000..16_000).contains(&left), "{left} of 25000 samples are left after one piece");
    while writer.drop_before(1_000_000).unwrap() {}
    assert_eq!((count(&path, "samples"), count(&path, "processes")), (0, 0));
}

fn count(path: &std::path::Path, table: &str) -> i64 {
    let database = Connection::open(path).unwrap();
    database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn an_older_history_is_brought_up_to_date_and_a_newer_one_is_left_alone() {
    let (_folder, path) = place();
    let first = "CREATE TABLE old (n INTEGER) STRICT; INSERT INTO old VALUES (7);";
    let second = "CREATE TABLE new AS SELECT n * 2 AS n FROM old; DROP TABLE old;";
    drop(schema::open_with_steps(&path, &[first]).unwrap());
    // A step that fails leaves all as it was.
    let error = schema::open_with_steps(&path, &[first, second, "CREATE nonsense"]).unwrap_err();
    assert!(error.to_string().contains("cannot bring up to date the history"), "{error}");
    let database = schema::open_with_steps(&path, &[first, second]).unwrap();
    assert_eq!(database.query_row("SELECT n FROM new", [], |row| row.get::<_, i64>(0)).unwrap(), 14);
    drop(database);

    let third = "CREATE TABLE third (n INTEGER) STRICT;";
    let newer = i64::try_from(schema::STEPS.len()).unwrap() + 1;
    let mut steps = vec![first, second];
    steps.resize(schema::STEPS.len(), "");
    steps.push(third);
    drop(schema::open_with_steps(&path, &steps).unwrap());
    let before = std::fs::read(&path).unwrap();
    for (error, knows) in [
        (schema::open_with_steps(&path, &[first, second]).unwrap_err(), 2),
        (Reader::open(&path).unwrap_err(), newer - 1),
    ] {
        assert!(matches!(error, HistoryError::Newer { .. }) && error.exit().code() == 78, "{error}");
        let expected = format!("its version is {newer}, and this program knows {knows}");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn a_history_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let (_folder, path) = place();
    drop(schema::open_with_steps(&path, &schema::STEPS[..1]).unwrap());
    let insert = "
        INSERT INTO runs VALUES (3, 'r3e-loader', 7, 5, 9, '0', 'load', 'done', 0, 1, 2, 3, '{}', 1);
        INSERT INTO processes VALUES (1, 'r3e-loader', 7, 5, NULL, '0', 10, 'x', 0, 0, 0, 0);
        INSERT INTO samples (at_ms, process, after_purge, phase, allocated_bytes, active_bytes, metadata_bytes,
            resident_bytes, mapped_bytes, retained_bytes, thread_cache_bytes, rss_bytes, peak_rss_bytes, threads, tasks,
            open_fds, connections, purges) VALUES (10, 1, 1, 'x', 9, 0, 0, 0, 0, 0, 2, 8, 0, 3, 4, 6, 5, 1);";
    Connection::open(&path).unwrap().execute_batch(insert).unwrap();
    // Who only reads brings it up to date as well.
    let reader = Reader::open(&path).unwrap().unwrap();
    assert_eq!(schema::version(), 3, "a new version needs a test of the step to it");
    let old = &reader.samples(0, None).unwrap()[0];
    assert_eq!((&old.columns["rss_bytes"], &old.columns["rss_anon_bytes"]), (&8.into(), &().into()));
    let [old_run] = reader.runs(10).unwrap().try_into().unwrap();
    assert_eq!((old_run.pid, old_run.pid_namespace, old_run.ended_ms, old_run.recorded), (7, 0, 9, true));
    let figures = crate::verdict::Figures::from_array([7, 8, 4, 1, 5, 3]);
    let held = reader.after_purges(1, 0, 10).unwrap();
    assert_eq!((held.moments, held.earlier), (vec![Moment { at_ms: 10, figures }], 0));
}

#[test]
fn samples_after_purges_are_read_by_process() {
    let (_folder, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    for number in 0..100_i64 {
        let mut two = vec![sample(1, 1000 + number.unsigned_abs()), sample(1, 1), sample(2, 5)];
        (two[0].after_purge, two[2].after_purge) = (true, true);
        writer.add(&[batch(number * 10, two)]).unwrap();
    }
    let reader = Reader::open(&path).unwrap().unwrap();
    let processes = reader.processes(0).unwrap();
    assert_eq!(processes.iter().map(|it| it.pid).collect::<Vec<_>>(), [1, 2]);
    assert!(reader.processes(991).unwrap().is_empty());
    let shown = |from_ms, most| {
        let held = reader.after_purges(processes[0].id, from_ms, most).unwrap();
        let first = held.moments.first().map(|it| (it.at_ms, it.figures.of(Figure::Resident)));
        (held.moments.len(), first, held.earlier)
    };
    assert_eq!(shown(0, 1000), (100, Some((0, 1000)), 0));
    assert_eq!(shown(50, 1000), (95, Some((50, 1005)), 5));
    assert_eq!(shown(0, 30), (30, Some((700, 1070)), WARM_UP), "more than a warm-up is not counted");
    assert_eq!(shown(2000, 30), (0, None, WARM_UP));
    let (id, last) = writer.last_purges(&sample(1, 0), 30).unwrap().unwrap();
    assert_eq!((id, last), (processes[0].id, reader.after_purges(id, 0, 30).unwrap()));
    assert!(writer.last_purges(&sample(3, 0), 30).unwrap().is_none());
    let database = Connection::open(&path).unwrap();
    let explained = format!("EXPLAIN QUERY PLAN {}", after_purges::SAMPLES);
    let plan: String = database.query_row(&explained, [1, 0, 10], |row| row.get(3)).unwrap();
    assert!(plan.contains("USING COVERING INDEX samples_after_purge"), "{plan}");
}

#[test]
fn a_file_of_someone_else_is_left_alone() {
    let (folder, path) = place();
    Writer::open(&path).unwrap();
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE precious (x); PRAGMA user_version = 1;").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    for error in [Writer::open(&foreign).unwrap_err(), Reader::open(&foreign).unwrap_err()] {
        assert!(matches!(error, HistoryError::Foreign { .. }) && error.exit().code() == 78, "{error}");
    }
    assert!(std::fs::read(&foreign).unwrap() == before);

    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database at all, but long enough to be taken for one\n".repeat(100)).unwrap();
    let error = Writer::open(&text).unwrap_err();
    assert!(error.exit().code() == 74 && error.to_string().contains("not a database"), "{error}");
    // A folder where the file belongs.
    let error = Writer::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("cannot open the history"), "{error}");
}

#[test]
fn records_are_read_newest_first_and_damaged_ones_reported() {
    let folder = tempfile::tempdir().unwrap();
    assert!(unread_records(folder.path()).unwrap().is_empty());
    let runs = folder.path().join("runs");
    std::fs::create_dir(&runs).unwrap();
    let record = serde_json::json!({
        "program": "r3e-loader", "pid": PID, "version": "0.1.0", "doing": "load", "started_at": STARTED,
        "ended_at": "2026-11-01T04:01:30Z", "seconds": 90.0, "outcome": "done", "exit_code": 0,
        "peak_rss_bytes": 50 << 20, "rss_bytes": 40 << 20, "allocated_bytes": 3 << 20, "boards": {"fetched": 7},
    });
    let write = |name: &str, text: String| std::fs::write(runs.join(name), text).unwrap();
    write("r3e-loader-1-1000.json", record.to_string());
    write("r3e-loader-2-2000.json", "{".into());
    write("r3e-loader-3-3000.json", record.to_string().replace(STARTED, "yesterday"));
    write("r3e-loader-4-4000.json", " ".repeat(300 << 10));
    write(".r3e-loader-5-5000.json.tmp", record.to_string());
    std::fs::create_dir(runs.join("r3e-loader-6-6000.json")).unwrap();
    let found = unread_records(folder.path()).unwrap();
    let shown: Vec<String> =
        found.iter().map(|it| it.run.as_ref().map_or_else(ToString::to_string, |it| it.outcome.clone())).collect();
    assert_eq!(shown.len(), 5, "{shown:?}");
    assert!(
        shown[0].contains("Is a directory") && matches!(found[0].run, Err(RecordError::Unreadable(_))),
        "{shown:?}"
    );
    for damaged in &shown[1..4] {
        assert!(damaged.contains("invalid run record"), "{shown:?}");
    }
    assert_eq!(*found[4].run.as_ref().unwrap(), run("done"));
}
