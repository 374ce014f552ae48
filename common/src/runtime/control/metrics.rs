//! The metrics of processes, for collectors that scrape `/metrics`.

mod text;

use std::fmt;

pub use prometheus_client::metrics::MetricType;
pub use text::{Exposition, Format, Label};

use super::stats::Stats;

/// A family of metrics, and its value for a process.
struct Family {
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    of: fn(&Stats) -> Option<f64>,
}

#[expect(clippy::cast_precision_loss, clippy::unnecessary_wraps, reason = "exact up to 8 PiB; as families have it")]
fn number(value: u64) -> Option<f64> {
    Some(value as f64)
}

/// A time in RFC 3339 as seconds since 1970; `None` if it is invalid.
fn seconds(time: &str) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
    time.parse::<jiff::Timestamp>().ok().map(|it| it.as_millisecond() as f64 / 1000.0)
}

const fn gauge(name: &'static str, help: &'static str, of: fn(&Stats) -> Option<f64>) -> Family {
    Family { name, kind: MetricType::Gauge, help, of }
}

const fn counter(name: &'static str, help: &'static str, of: fn(&Stats) -> Option<f64>) -> Family {
    Family { name, kind: MetricType::Counter, help, of }
}

const FAMILIES: &[Family] = &[
    gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", |it| {
        seconds(&it.started_at)
    }),
    gauge("r3e_uptime_seconds", "Time since the start.", |it| Some(it.uptime_s)),
    gauge("r3e_memory_allocated_bytes", "Allocated, thread caches included.", |it| number(it.figures.allocated_bytes)),
    gauge("r3e_memory_thread_cache_bytes", "Allocated bytes that are in thread caches.", |it| {
        number(it.figures.thread_cache_bytes)
    }),
    gauge("r3e_memory_active_bytes", "Pages with live allocations.", |it| number(it.figures.active_bytes)),
    gauge("r3e_memory_metadata_bytes", "The allocator's own data.", |it| number(it.figures.metadata_bytes)),
    gauge("r3e_memory_resident_bytes", "Resident, as the allocator estimates.", |it| number(it.figures.resident_bytes)),
    gauge("r3e_memory_mapped_bytes", "Mapped by the allocator.", |it| number(it.figures.mapped_bytes)),
    gauge("r3e_memory_retained_bytes", "Address space without memory.", |it| number(it.figures.retained_bytes)),
    gauge("process_resident_memory_bytes", "Resident, from the kernel (VmRSS).", |it| number(it.figures.rss_bytes)),
    gauge("r3e_memory_peak_rss_bytes", "Peak of the resident memory (VmHWM).", |it| number(it.figures.peak_rss_bytes)),
    gauge("r3e_memory_rss_anon_bytes", "Resident without pages of files (RssAnon).", |it| {
        it.figures.rss_anon_bytes.and_then(number)
    }),
    gauge("r3e_memory_pss_bytes", "Resident, with shared pages divided among processes (PSS).", |it| {
        number(it.pss_bytes)
    }),
    gauge("r3e_memory_limit_bytes", "Limit of the resident memory.", |it| it.limit_bytes.and_then(number)),
    gauge("r3e_threads", "Threads.", |it| number(it.figures.threads)),
    gauge("r3e_tasks", "Live tasks.", |it| number(it.tasks)),
    gauge("process_open_fds", "Open file descriptors.", |it| number(it.figures.open_fds)),
    gauge("r3e_connections", "TCP sockets with a peer.", |it| number(it.figures.connections)),
    gauge("r3e_boards_expected", "Boards to fetch.", |it| number(it.progress?.total)),
    gauge("r3e_boards_fetched", "Boards fetched.", |it| number(it.progress?.fetched)),
    gauge("r3e_boards_failed", "Boards that failed.", |it| number(it.progress?.failed)),
    gauge("r3e_entries_fetched", "Entries that have arrived.", |it| number(it.progress?.entries)),
    gauge("r3e_next_run_time_seconds", "When the scheduler's next run is due, in seconds since 1970.", |it| {
        seconds(it.schedule.as_ref()?.next_run_at.as_ref()?)
    }),
    gauge("r3e_job_attempt", "Which attempt the scheduler's job is, from 1.", |it| {
        number(it.schedule.as_ref()?.attempt?.into())
    }),
    counter("r3e_jobs_started", "Jobs that the scheduler started; each attempt counts.", |it| {
        number(it.schedule.as_ref()?.jobs_started)
    }),
    counter("r3e_jobs_failed", "Attempts of jobs that failed.", |it| number(it.schedule.as_ref()?.jobs_failed)),
    counter("r3e_commands_failed", "Commands of schedule.after that failed.", |it| {
        number(it.schedule.as_ref()?.commands_failed)
    }),
    counter("r3e_purges", "Purges of unused memory.", |it| number(it.figures.purges)),
];

/// The metrics of these processes and nothing else.
///
/// # Errors
/// See [`Exposition::encode`].
pub(super) fn render(processes: &[Stats], format: Format) -> Result<String, fmt::Error> {
    let mut text = Exposition::default();
    text.processes(&processes.iter().map(|it| (it.pid.to_string(), it)).collect::<Vec<_>>());
    text.encode(format)
}

impl Exposition {
    /// Adds a sample of each metric for each process, with the given `pid` label.
    pub fn processes(&mut self, processes: &[(String, &Stats)]) {
        let named = || processes.iter().map(|(pid, it)| (*it, [("program", it.program.clone()), ("pid", pid.clone())]));
        let infos = named().map(|(it, [program, pid])| {
            ([program, pid, ("version", it.version.clone()), ("phase", it.phase.clone())], 1.0)
        });
        self.family("r3e_process", MetricType::Info, "A running process.", infos);
        for Family { name, kind, help, of } in FAMILIES {
            let samples = named().filter_map(|(it, labels)| Some((labels, of(it)?)));
            self.family(name, *kind, help, samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::control::{BoardsProgress, ScheduleFigures};
    use crate::runtime::memory::Figures;

    fn two(format: Format) -> String {
        let figures = Figures {
            allocated_bytes: 10,
            rss_bytes: 1 << 40,
            rss_anon_bytes: Some(9),
            purges: 3,
            ..Figures::default()
        };
        let progress = Some(BoardsProgress { total: 9, fetched: 4, failed: 1, entries: 77 });
        let one = Stats {
            program: "r3e-loader".into(),
            pid: 7,
            started_at: "2026-11-23T04:00:00.5Z".into(),
            uptime_s: 1.5,
            figures,
            progress,
            ..Stats::default()
        };
        let schedule = Some(ScheduleFigures {
            next_run_at: Some("2026-11-24T04:00:00Z".into()),
            attempt: Some(2),
            jobs_started: 5,
            jobs_failed: 2,
            commands_failed: 1,
        });
        let scheduler =
            Stats { program: "r3e-scheduler".into(), schedule, phase: "waiting".into(), ..Stats::default() };
        let odd = Stats { program: "a\"b\\c\nd".into(), limit_bytes: Some(5), ..Stats::default() };
        render(&[one, scheduler, odd], format).unwrap()
    }

    #[test]
    fn a_process_has_a_sample_for_each_figure_it_has() {
        let text = two(Format::OpenMetrics);
        let shown = "process_info start_time uptime resident_memory rss_anon memory_limit boards_failed next_run job commands purges";
        let is_shown = |line: &&str| shown.split(' ').any(|it| line.contains(&format!("_{it}")));
        let lines: Vec<&str> = text.lines().filter(is_shown).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        r3e_process_info{program="r3e-loader",pid="7",version="",phase=""} 1
        r3e_process_info{program="r3e-scheduler",pid="0",version="",phase="waiting"} 1
        r3e_process_info{program="a\"b\\c\nd",pid="0",version="",phase=""} 1
        # HELP process_start_time_seconds When the process started, in seconds since 1970.
        # TYPE process_start_time_seconds gauge
        # UNIT process_start_time_seconds seconds
        process_start_time_seconds{program="r3e-loader",pid="7"} 1795406400.5
        # HELP r3e_uptime_seconds Time since the start.
        # TYPE r3e_uptime_seconds gauge
        # UNIT r3e_uptime_seconds seconds
        r3e_uptime_seconds{program="r3e-loader",pid="7"} 1.5
        r3e_uptime_seconds{program="r3e-scheduler",pid="0"} 0
        r3e_uptime_seconds{program="a\"b\\c\nd",pid="0"} 0
        # HELP process_resident_memory_bytes Resident, from the kernel (VmRSS).
        # TYPE process_resident_memory_bytes gauge
        # UNIT process_resident_memory_bytes bytes
        process_resident_memory_bytes{program="r3e-loader",pid="7"} 1099511627776
        process_resident_memory_bytes{program="r3e-scheduler",pid="0"} 0
        process_resident_memory_bytes{program="a\"b\\c\nd",pid="0"} 0
        # HELP r3e_memory_rss_anon_bytes Resident without pages of files (RssAnon).
        # TYPE r3e_memory_rss_anon_bytes gauge
        # UNIT r3e_memory_rss_anon_bytes bytes
        r3e_memory_rss_anon_bytes{program="r3e-loader",pid="7"} 9
        # HELP r3e_memory_limit_bytes Limit of the resident memory.
        # TYPE r3e_memory_limit_bytes gauge
        # UNIT r3e_memory_limit_bytes bytes
        r3e_memory_limit_bytes{program="a\"b\\c\nd",pid="0"} 5
        # HELP r3e_boards_failed Boards that failed.
        # TYPE r3e_boards_failed gauge
        r3e_boards_failed{program="r3e-loader",pid="7"} 1
        # HELP r3e_next_run_time_seconds When the scheduler's next run is due, in seconds since 1970.
        # TYPE r3e_next_run_time_seconds gauge
        # UNIT r3e_next_run_time_seconds seconds
        r3e_next_run_time_seconds{program="r3e-scheduler",pid="0"} 1795492800
        # HELP r3e_job_attempt Which attempt the scheduler's job is, from 1.
        # TYPE r3e_job_attempt gauge
        r3e_job_attempt{program="r3e-scheduler",pid="0"} 2
        # HELP r3e_jobs_started Jobs that the scheduler started; each attempt counts.
        # TYPE r3e_jobs_started counter
        r3e_jobs_started_total{program="r3e-scheduler",pid="0"} 5
        # HELP r3e_jobs_failed Attempts of jobs that failed.
        # TYPE r3e_jobs_failed counter
        r3e_jobs_failed_total{program="r3e-scheduler",pid="0"} 2
        # HELP r3e_commands_failed Commands of schedule.after that failed.
        # TYPE r3e_commands_failed counter
        r3e_commands_failed_total{program="r3e-scheduler",pid="0"} 1
        # HELP r3e_purges Purges of unused memory.
        # TYPE r3e_purges counter
        r3e_purges_total{program="r3e-loader",pid="7"} 3
        r3e_purges_total{program="r3e-scheduler",pid="0"} 0
        r3e_purges_total{program="a\"b\\c\nd",pid="0"} 0
        "#);
    }

    /// In OpenMetrics families do not mix, each is described once, and its name ends in its unit.
    #[test]
    fn families_do_not_mix_and_the_text_has_an_end() {
        let text = two(Format::OpenMetrics);
        let mut lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.pop(), Some("# EOF"));
        let (mut described, mut family) = (Vec::new(), "");
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["#", "HELP", name, ..] => {
                    assert!(!described.contains(&name), "{line}");
                    described.push(name);
                    family = name;
                }
                ["#", "TYPE", name, kind] => {
                    assert!(name == family && ["gauge", "counter", "info"].contains(&kind), "{line}");
                }
                ["#", "UNIT", name, unit] => assert!(name == family && name.ends_with(&format!("_{unit}")), "{line}"),
                _ => {
                    let rest = line.strip_prefix(family).unwrap();
                    assert!(["{", "_total{", "_info{"].iter().any(|it| rest.starts_with(it)), "{line}");
                    words.last().unwrap().parse::<f64>().unwrap();
                }
            }
        }
        assert_eq!(described.len(), 1 + FAMILIES.len());
    }
}
