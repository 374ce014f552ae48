//! `/metrics`: all processes, the runs of jobs, the state of the cache, and the totals of the archive.

use std::collections::BTreeMap;
use std::fmt;

use r3e_common::runtime::control::MetricType::Gauge;
use r3e_common::runtime::control::{Exposition, Format, Stats};

use crate::dashboard::Work;
use crate::history::Run;
use crate::survey::Reply;

/// The text in that format. `sockets_failed` is whether the control sockets could not be listed.
pub(super) fn render(
    replies: &[Reply<Stats>],
    work: &Work,
    sockets_failed: bool,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut text = Exposition::default();
    let alive: Vec<(&Reply<Stats>, String)> =
        replies.iter().filter(|it| !it.is_dead()).map(|it| (it, it.socket.pid.to_string())).collect();
    let answers = alive.iter().map(|(reply, pid)| {
        ([("program", reply.socket.program.clone()), ("pid", pid.clone())], flag(reply.answer.is_ok()))
    });
    text.family("r3e_answers", Gauge, "Whether the process answers what it holds.", answers);
    let answered = alive.iter().filter_map(|(reply, pid)| Some((pid.clone(), reply.answer.as_ref().ok()?)));
    text.processes(&answered.collect::<Vec<_>>());
    cache(&mut text, work);
    archive(&mut text, work);
    runs(&mut text, work.runs.as_deref().unwrap_or_default());
    let read = [("runs", work.runs.is_err()), ("status", work.status.is_err()), ("archive", work.archive.is_err())];
    let unreadable = read.iter().map(|(_, failed)| flag(*failed)).sum();
    let help = "How many of run records, status and archive status cannot be read.";
    text.family("r3e_unreadable_sources", Gauge, help, [([], unreadable)]);
    let sources = [("sockets", sockets_failed)].into_iter().chain(read);
    let failed = sources.map(|(source, failed)| ([("source", source.to_owned())], flag(failed)));
    let help = "Whether the source could not be read for this scrape and is left out.";
    text.family("r3e_scrape_error", Gauge, help, failed);
    text.encode(format)
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}

/// The figures of `status.json`.
fn cache(text: &mut Exposition, work: &Work) {
    let Ok(Some(status)) = &work.status else { return };
    for (name, key, help) in [
        ("r3e_cache_boards", "total_fetched_combinations", "Boards in the cache, empty ones included."),
        ("r3e_cache_boards_with_entries", "track_count", "Boards in the cache that have entries."),
        ("r3e_cache_tracks", "total_unique_tracks", "Track layouts with a board in the cache."),
        ("r3e_cache_drivers", "total_drivers", "Drivers in the index."),
        ("r3e_cache_entries", "total_entries", "Entries in the index."),
        ("r3e_cache_failed_boards", "failed_fetch_count", "Boards that could not be fetched the last time."),
        ("r3e_cache_retried_boards", "retried_fetch_count", "Boards that were retried the last time."),
    ] {
        text.family(name, Gauge, help, status.number(key).map(|it| ([], it)));
    }
    let fetching = status.figures.get("fetch_in_progress").and_then(serde_json::Value::as_bool);
    let fetching = fetching.map(|it| ([], flag(it)));
    text.family("r3e_fetching", Gauge, "Whether boards are being fetched, according to status.json.", fetching);
    for (name, key, help) in [
        ("r3e_scrape_start_time_seconds", "last_scrape_start", "When the last full refresh or load began."),
        ("r3e_scrape_end_time_seconds", "last_scrape_end", "When the last full refresh or load ended."),
        ("r3e_index_time_seconds", "last_index_update", "When the index was last exported."),
    ] {
        let moment = status.figures.get(key).and_then(|it| it.as_str()?.parse::<jiff::Timestamp>().ok());
        // "Never" is a moment in the year 1.
        let moment = moment.map(jiff::Timestamp::as_millisecond).filter(|it| *it > 0);
        text.family(name, Gauge, help, moment.map(|it| ([], seconds(it))));
    }
    let took = status.number("index_build_time_ms").map(|it| ([], it / 1000.0));
    text.family("r3e_index_build_seconds", Gauge, "How long exporting the index took.", took);
}

/// The figures of `archive/status.json`.
#[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
fn archive(text: &mut Exposition, work: &Work) {
    let Ok(Some(archive)) = &work.archive else { return };
    let last = &archive.last_run;
    for (name, value, help) in [
        ("r3e_archive_nights", archive.nights, "Nights recorded in the archive."),
        ("r3e_archive_rows", archive.rows, "Entries recorded in the archive, of all versions of all boards."),
        ("r3e_archive_bytes", archive.bytes, "Size of the archive."),
        ("r3e_archive_last_run_boards", last.boards, "Changed boards that the last run of the archive recorded."),
        ("r3e_archive_last_run_rows", last.rows, "Entries that the last run of the archive recorded."),
    ] {
        text.family(name, Gauge, help, [([], value as f64)]);
    }
    let at = seconds(last.recorded_at.as_millisecond());
    text.family("r3e_archive_last_run_time_seconds", Gauge, "When the archive last recorded.", [([], at)]);
}

/// The results of the last runs.
fn runs(text: &mut Exposition, runs: &[Run]) {
    let mut outcomes: BTreeMap<(&str, String), u32> = BTreeMap::new();
    let mut last: BTreeMap<&str, &Run> = BTreeMap::new();
    let mut last_done: BTreeMap<&str, &Run> = BTreeMap::new();
    for run in runs {
        let code = run.exit_code.map_or_else(|| "none".to_owned(), |it| it.to_string());
        *outcomes.entry((&run.program, code)).or_default() += 1;
        last.insert(&run.program, run);
        if run.exit_code == Some(0) {
            last_done.insert(&run.program, run);
        }
    }
    let counted = outcomes.iter().map(|((program, code), count)| {
        ([("program", (*program).to_owned()), ("exit_code", code.clone())], f64::from(*count))
    });
    text.family("r3e_remembered_runs", Gauge, "Of the last 200 runs, those that ended with that code.", counted);
    let mut family = |name, help, of: fn(&Run) -> Option<f64>| {
        let samples = last.iter().filter_map(|(program, run)| Some(([("program", (*program).to_owned())], of(run)?)));
        text.family(name, Gauge, help, samples);
    };
    family("r3e_last_run_end_time_seconds", "When the last run ended.", |it| Some(seconds(it.ended_ms)));
    family("r3e_last_run_duration_seconds", "How long the last run took.", |it| {
        Some(seconds(it.ended_ms.saturating_sub(it.started_ms)))
    });
    #[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
    family("r3e_last_run_peak_resident_bytes", "The most the last run had in memory.", |it| {
        Some(it.peak_rss_bytes as f64)
    });
    #[expect(clippy::cast_precision_loss, reason = "an exit code is from 0 to 255")]
    family("r3e_last_run_exit_code", "What the last run ended with; none where it was killed.", |it| {
        it.exit_code.map(|it| it as f64)
    });
    family("r3e_last_run_boards_fetched", "Boards that the last run fetched.", |it| {
        it.boards.as_ref()?["fetched"].as_f64()
    });
    family("r3e_last_run_boards_failed", "Boards that the last run gave up.", |it| {
        it.boards.as_ref()?["failed"].as_f64()
    });
    let done = last_done.iter().map(|(program, run)| ([("program", (*program).to_owned())], seconds(run.ended_ms)));
    text.family("r3e_last_success_time_seconds", Gauge, "When a run last ended with 0.", done);
}

#[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::NoAnswer;
    use crate::sockets::Socket;
    use r3e_common::store::{ArchiveRun, ArchiveStatus, StatusView};
    use serde_json::json;
    use std::time::Duration;

    fn run(ended_ms: i64, exit_code: Option<i64>) -> Run {
        Run {
            program: "r3e-loader".into(),
            pid: 7,
            pid_namespace: 0,
            version: "0.1.0".into(),
            doing: "load".into(),
            started_ms: ended_ms - 2500,
            ended_ms,
            outcome: "done".into(),
            exit_code,
            peak_rss_bytes: 90,
            rss_bytes: 40,
            allocated_bytes: 30,
            boards: Some(json!({"fetched": 12, "failed": 1})),
            recorded: true,
        }
    }

    #[test]
    fn it_tells_of_processes_cache_archive_and_runs() {
        let socket = |pid: u32| Socket { program: "r3e-loader".into(), pid: pid.into(), path: "x".into() };
        let said = Stats { program: "r3e-loader".into(), pid: 7, ..Stats::default() };
        let late = NoAnswer::Late(Duration::from_secs(2));
        let replies = [
            Reply { socket: socket(7), answer: Ok(said) },
            Reply { socket: socket(8), answer: Err(late) },
            Reply { socket: socket(9), answer: Err(NoAnswer::Dead) },
        ];
        let figures = json!({"track_count": 740, "fetch_in_progress": true, "last_scrape_end": "0001-01-01T00:00:00Z",
            "last_index_update": "2026-11-23T04:00:00Z", "index_build_time_ms": 1500, "failed_fetch_count": 3});
        let status = StatusView { figures: figures.as_object().unwrap().clone(), ..StatusView::default() };
        let recorded_at = "2026-11-02T04:30:11Z".parse().unwrap();
        let last_run = ArchiveRun { recorded_at, boards: 120, rows: 30_123, gone: 0, damaged: 0 };
        let (nights, runs, versions, rows, bytes) = (30, 31, 1234, 123_456, 7_654_321);
        let archive = ArchiveStatus { recorded_at, nights, runs, versions, rows, bytes, last_run };
        let runs = vec![run(1_000_000, Some(0)), run(2_000_000, Some(3)), run(3_000_000, None)];
        let shown = |work: &Work, words: &str| {
            let text = render(&replies, work, true, Format::Text).unwrap();
            let is_shown = |it: &&str| !it.starts_with('#') && words.split(' ').any(|word| it.contains(word));
            text.lines().filter(is_shown).collect::<Vec<_>>().join("\n")
        };
        let work = Work { runs: Ok(runs), status: Ok(Some(status)), archive: Ok(Some(archive)) };
        insta::assert_snapshot!(shown(&work, "cache archive fetching scrape index run success answers sources"));
        let work = Work { runs: Err("x".into()), status: Ok(None), archive: Err("y".into()) };
        insta::assert_snapshot!(shown(&work, "scrape_error sources archive"), @r#"
        r3e_unreadable_sources 2
        r3e_scrape_error{source="sockets"} 1
        r3e_scrape_error{source="runs"} 1
        r3e_scrape_error{source="status"} 0
        r3e_scrape_error{source="archive"} 1
        "#);
    }
}
