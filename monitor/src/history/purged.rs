//! What processes held after their purges: the samples that tell a leak from noise.

use r3e_common::process::memory;
use rusqlite::params;

use super::error::HistoryError;
use super::read::Reader;
use super::write::amount;
use crate::verdict::{Figures, Moment};

/// So many processes are looked at, the last seen first.
const MOST_PROCESSES: u32 = 64;

/// So many of a process's samples are judged at most, the latest.
const MOST_MOMENTS: u32 = 2000;

/// What one process held after purges.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AfterPurges {
    pub(crate) program: String,
    pub(crate) pid: u32,
    /// When it began, in milliseconds since 1970.
    pub(crate) started_ms: i64,
    /// Samples after purges that it had before these.
    pub(crate) earlier: usize,
    /// By time.
    pub(crate) moments: Vec<Moment>,
}

impl Reader {
    /// What the processes seen since that moment held after purges since then, the last seen first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn after_purges(&self, from_ms: i64) -> Result<Vec<AfterPurges>, HistoryError> {
        let mut processes = Vec::new();
        self.each(PROCESSES, params![from_ms, MOST_PROCESSES], |row| {
            let id: i64 = row.get("id")?;
            let (program, pid, started_ms) = (row.get("program")?, row.get("pid")?, row.get("started_ms")?);
            processes.push((id, AfterPurges { program, pid, started_ms, earlier: 0, moments: Vec::new() }));
            Ok(())
        })?;
        let mut all = Vec::new();
        for (id, mut process) in processes {
            self.each(MOMENTS, params![id, from_ms, MOST_MOMENTS, process.started_ms], |row| {
                let held = memory::Figures {
                    allocated_bytes: amount(row, "allocated_bytes")?,
                    thread_cache_bytes: amount(row, "thread_cache_bytes")?,
                    rss_bytes: amount(row, "rss_bytes")?,
                    open_fds: amount(row, "open_fds")?,
                    connections: amount(row, "connections")?,
                    threads: amount(row, "threads")?,
                    ..memory::Figures::default()
                };
                let figures = Figures::new(&held, amount(row, "tasks")?);
                process.moments.push(Moment { at_ms: row.get("at_ms")?, figures });
                Ok(())
            })?;
            process.moments.reverse();
            let first_ms = process.moments.first().map_or(from_ms, |it| it.at_ms);
            self.each(EARLIER, params![id, first_ms, process.started_ms], |row| {
                process.earlier = usize::try_from(amount(row, "earlier")?).unwrap_or(usize::MAX);
                Ok(())
            })?;
            all.push(process);
        }
        Ok(all)
    }
}

const PROCESSES: &str = "
    SELECT id, program, pid, started_ms FROM processes WHERE seen_ms >= ?1 ORDER BY seen_ms DESC, id DESC LIMIT ?2";

const MOMENTS: &str = "
    SELECT at_ms, allocated_bytes, thread_cache_bytes, rss_bytes, tasks, open_fds, connections, threads
    FROM samples WHERE at_ms >= max(?2, ?4 - 5000) AND process = ?1 AND after_purge = 1 ORDER BY at_ms DESC LIMIT ?3";

const EARLIER: &str = "
    SELECT count(*) AS earlier FROM samples
    WHERE at_ms >= ?3 - 5000 AND at_ms < ?2 AND process = ?1 AND after_purge = 1";

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, place, sample};
    use super::super::write::{Sample, Writer};
    use super::*;
    use crate::verdict::Figure;

    #[test]
    fn only_what_was_held_after_a_purge_is_given() {
        const START: i64 = 1_793_505_600_000;
        let (_folder, path) = place();
        let batches: Vec<_> = (0..10)
            .map(|number: i64| {
                let held = |pid, rss| Sample { after_purge: number % 2 == 0, ..sample(pid, rss) };
                batch(START + number * 1000, vec![held(1, number as u64 * 10), held(2, 7)])
            })
            .collect();
        Writer::open(&path).unwrap().add(&batches).unwrap();
        let reader = Reader::open(&path).unwrap().unwrap();
        let all = reader.after_purges(START + 3000).unwrap();
        let shown: Vec<_> = all.iter().map(|it| (it.pid, it.earlier, it.moments.len())).collect();
        assert_eq!(shown, [(2, 2, 3), (1, 2, 3)]);
        let resident: Vec<u64> = all[1].moments.iter().map(|it| it.figures.of(Figure::Resident)).collect();
        assert_eq!(resident, [40, 60, 80]);
    }
}
