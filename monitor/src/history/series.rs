//! Samples over a time span, downsampled so that a chart of any span has about as many points.

use rusqlite::{Row, params};

use super::error::HistoryError;
use super::read::Reader;
use super::read::amount;

/// Upper bound of the points of all processes. Beyond it, the processes that ended first are left out.
const MAX_POINTS: usize = 12_000;

/// Samples read at a time.
const PAGE: u32 = 5000;

/// The points of one process, by time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) program: String,
    pub(crate) pid: u32,
    pub(crate) started_ms: i64,
    /// Its last phase.
    pub(crate) phase: String,
    /// One for each slot with a sample.
    pub(crate) points: Vec<Point>,
    process: i64,
}

/// The maximum of each figure within a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    /// Start of the slot.
    pub(crate) at_ms: i64,
    pub(crate) allocated_bytes: u64,
    pub(crate) rss_bytes: u64,
    pub(crate) limit_bytes: Option<u64>,
    pub(crate) tasks: u64,
    pub(crate) open_fds: u64,
    pub(crate) connections: u64,
}

impl Point {
    fn max(self, other: Self) -> Self {
        Self {
            at_ms: self.at_ms,
            allocated_bytes: self.allocated_bytes.max(other.allocated_bytes),
            rss_bytes: self.rss_bytes.max(other.rss_bytes),
            limit_bytes: self.limit_bytes.max(other.limit_bytes),
            tasks: self.tasks.max(other.tasks),
            open_fds: self.open_fds.max(other.open_fds),
            connections: self.connections.max(other.connections),
        }
    }
}

/// The series of a time span.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Thinned {
    /// In the order of the first sample.
    pub(crate) series: Vec<Series>,
    /// Number of processes left out.
    pub(crate) left_out: usize,
    points: usize,
}

impl Thinned {
    /// Adds a sample of a process, and keeps `max_points` at most.
    fn add(&mut self, process: i64, row: &Row<'_>, point: Point, max_points: usize) -> rusqlite::Result<()> {
        match self.series.iter_mut().rev().find(|it| it.process == process) {
            None => self.series.push(Series {
                program: row.get("program")?,
                pid: row.get("pid")?,
                started_ms: row.get("started_ms")?,
                phase: row.get("phase")?,
                points: vec![point],
                process,
            }),
            Some(series) => {
                row.get_ref("phase")?.as_str()?.clone_into(&mut series.phase);
                if let Some(last) = series.points.last_mut().filter(|it| it.at_ms == point.at_ms) {
                    *last = last.max(point);
                    return Ok(());
                }
                series.points.push(point);
            }
        }
        self.points += 1;
        let gone_first = |(_, it): &(usize, &Series)| it.points.last().map(|it| it.at_ms);
        while self.points > max_points && self.series.len() > 1 {
            let Some((oldest, _)) = self.series.iter().enumerate().min_by_key(gone_first) else { break };
            self.points -= self.series.remove(oldest).points.len();
            self.left_out += 1;
        }
        Ok(())
    }
}

impl Reader {
    /// The samples from that time on, those within a slot of `slot_ms` as one point. Read in short steps, so that a long span
    /// does not keep the log from shrinking.
    pub(crate) fn series(&self, from_ms: i64, slot_ms: i64) -> Result<Thinned, HistoryError> {
        self.series_within(from_ms, slot_ms.max(1), MAX_POINTS, PAGE)
    }

    pub(super) fn series_within(
        &self,
        from_ms: i64,
        slot_ms: i64,
        max_points: usize,
        page: u32,
    ) -> Result<Thinned, HistoryError> {
        let mut thinned = Thinned::default();
        let mut last = (from_ms, i64::MIN, false);
        loop {
            let mut rows = 0;
            let (at, process, after_purge) = last;
            self.each(SAMPLES, params![at, process, after_purge, page], |row| {
                rows += 1;
                let at_ms: i64 = row.get("at_ms")?;
                last = (at_ms, row.get("process")?, row.get("after_purge")?);
                let point = Point {
                    at_ms: at_ms - at_ms.rem_euclid(slot_ms),
                    allocated_bytes: amount(row, "allocated_bytes")?,
                    rss_bytes: amount(row, "rss_bytes")?,
                    limit_bytes: row.get::<_, Option<i64>>("limit_bytes")?.and_then(|it| it.try_into().ok()),
                    tasks: amount(row, "tasks")?,
                    open_fds: amount(row, "open_fds")?,
                    connections: amount(row, "connections")?,
                };
                thinned.add(last.1, row, point, max_points)
            })?;
            if rows < page {
                return Ok(thinned);
            }
        }
    }
}

const SAMPLES: &str = "
    SELECT s.at_ms, s.process, s.after_purge, s.phase, s.allocated_bytes, s.rss_bytes, s.limit_bytes, s.tasks,
        s.open_fds, s.connections, p.program, p.pid, p.started_ms
    FROM samples s JOIN processes p ON p.id = s.process
    WHERE (s.at_ms, s.process, s.after_purge) > (?1, ?2, ?3)
    ORDER BY s.at_ms, s.process, s.after_purge LIMIT ?4";

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, place, sample};
    use super::super::write::Writer;
    use super::*;

    fn history(batches: &[(i64, &[(u32, u64)])]) -> (tempfile::TempDir, Reader) {
        let (folder, path) = place();
        let batches: Vec<_> = batches
            .iter()
            .map(|(at_ms, held)| batch(*at_ms, held.iter().map(|&(pid, rss)| sample(pid, rss)).collect()))
            .collect();
        Writer::open(&path).unwrap().add(&batches).unwrap();
        (folder, Reader::open(&path).unwrap().unwrap())
    }

    #[test]
    fn each_part_of_a_span_is_its_maximum() {
        let held: [(i64, &[(u32, u64)]); 5] = [
            (1000, &[(1, 10), (2, 500)]),
            (1400, &[(1, 30), (2, 400)]),
            (2000, &[(1, 20)]),
            (2999, &[(1, 25)]),
            (9000, &[(1, 5), (2, 6)]),
        ];
        let (_folder, reader) = history(&held);
        for page in [1, 2, 3, 100] {
            let Thinned { series, left_out, .. } = reader.series_within(0, 1000, 100, page).unwrap();
            let shown: Vec<_> = series
                .iter()
                .map(|it| (it.pid, it.points.iter().map(|at| (at.at_ms, at.rss_bytes)).collect::<Vec<_>>()))
                .collect();
            let one = vec![(1000, 30), (2000, 25), (9000, 5)];
            assert_eq!(shown, [(1, one), (2, vec![(1000, 500), (9000, 6)])], "{page}");
            assert_eq!((left_out, series[0].phase.as_str(), series[0].points[0].tasks), (0, "fetching", 5));
        }
        assert_eq!(reader.series(2500, 1000).unwrap().series[0].points.len(), 2);
        assert_eq!(reader.series(9001, 1000).unwrap(), Thinned::default());
    }

    #[test]
    fn of_too_many_processes_the_first_to_end_are_left_out() {
        let held: Vec<Vec<(u32, u64)>> = (1..=20).map(|pid| vec![(pid, 1), (99, 2)]).collect();
        let batches: Vec<(i64, &[(u32, u64)])> =
            held.iter().zip(0_i64..).map(|(held, number)| (number * 1000 + 1, held.as_slice())).collect();
        let (_folder, reader) = history(&batches);
        let thinned = reader.series_within(0, 1000, 30, 7).unwrap();
        let pids: Vec<u32> = thinned.series.iter().map(|it| it.pid).collect();
        assert_eq!(thinned.left_out, 10);
        assert_eq!(pids, [99, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
        assert_eq!(thinned.series.iter().map(|it| it.points.len()).sum::<usize>(), 30);
    }
}
