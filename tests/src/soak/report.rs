//! The result of a soak.

use std::time::Duration;

use super::judgement::{Outcome, Row};
use super::planted::PlantedLeak;
use super::publication::Compared;
use super::table::verdicts;

/// The exit code if a planted leak is not found, or if something else fails.
pub const NOT_FOUND: u8 = 2;

/// What a soak has found.
#[derive(Debug)]
pub(super) struct Report {
    /// The leak that was planted.
    pub(super) plant: Option<PlantedLeak>,
    /// The seed.
    pub(super) seed: u64,
    /// Nights.
    pub(super) cycles: u64,
    /// How long they took.
    pub(super) took: Duration,
    /// Signals that were sent to jobs and to daemons.
    pub(super) signals: [u64; 2],
    /// Jobs of the scheduler, jobs by hand, how many of both were killed, and records that were read.
    pub(super) jobs: [u64; 4],
    /// How often each daemon was started.
    pub(super) starts: [u64; 3],
    /// How often the files were read, pages were served, and a page was refused.
    pub(super) reads: [u64; 3],
    /// Requests that went wrong on purpose.
    pub(super) faults: u64,
    /// The last publication beside one made from nothing.
    pub(super) compared: Compared,
    /// The first losses and other violations.
    pub(super) violations: Vec<String>,
    /// How many there are.
    pub(super) loss_count: usize,
    /// The verdicts.
    pub(super) rows: Vec<Row>,
}

impl Report {
    /// Whether anything grows or was lost.
    pub(super) fn has_failed(&self) -> bool {
        self.loss_count > 0 || self.rows.iter().any(Row::has_failed)
    }

    /// The result in a few words.
    pub(super) fn headline(&self) -> String {
        let suspect = self.rows.iter().filter(|it| it.verdict == Outcome::Suspect).count();
        match suspect {
            _ if self.has_failed() => "failed".to_owned(),
            0 => "nothing grew".to_owned(),
            rows => format!("nothing grew; {rows} suspect"),
        }
    }

    /// The rows that show the planted leak.
    fn shown(&self) -> Vec<String> {
        let Some(plant) = &self.plant else { return Vec::new() };
        let shown = self.rows.iter().filter(|it| it.has_grown() && plant.is_shown_by(&it.process, it.resource));
        shown.map(|it| format!("{}: {}", it.process, it.resource)).collect()
    }

    /// The exit code: 1 if something grows or was lost, and with a planted leak 2 if that was not found, or anything was lost.
    pub(super) fn exit_code(&self) -> u8 {
        match &self.plant {
            Some(_) if self.shown().is_empty() || self.loss_count > 0 => NOT_FOUND,
            _ => u8::from(self.has_failed()),
        }
    }

    /// What happened, in sentences.
    pub(super) fn facts(&self) -> Vec<String> {
        let Self { seed, cycles, signals: [to_jobs, to_daemons], reads: [passes, pages, refused], compared, .. } = self;
        let [due, by_hand, killed, records] = self.jobs;
        let [scheduler, watch, serve] = self.starts;
        let a_cycle = self.took.as_secs_f64() / f64::from(u32::try_from(*cycles).unwrap_or(u32::MAX).max(1));
        let took = humantime::format_duration(Duration::from_secs(self.took.as_secs()));
        let count = |outcome| self.rows.iter().filter(|it| it.verdict == outcome).count();
        let mut facts = vec![
            format!(
                "{cycles} cycles in {took}, {a_cycle:.2} s each, from seed {seed}; {} faults injected.",
                self.faults
            ),
            format!(
                "{to_jobs} signals to jobs, and {to_daemons} to daemons, at the beginning of the run only, so that the last ones \
                 live long enough to be judged. Starts: scheduler {scheduler}, watch {watch}, serve {serve}."
            ),
            format!(
                "{due} jobs by the scheduler and {by_hand} by hand; {killed} were killed, and {records} records read."
            ),
            format!("The published files were read {passes} times; {pages} pages were served, {refused} refused."),
            format!(
                "The last publication beside one made from nothing: {} boards, {} files and {} drivers, {} differences. (Metadata \
                 that no result of a driver has any more was taken from the first.)",
                compared.boards, compared.files, compared.drivers, compared.differences
            ),
            format!(
                "{} rows: {} flat, {} grow, {} suspect (a longer run would tell), {} above their limit, {} with too few points to tell, \
                 {} of them of daemons and folders, for which the run was too short. {} losses.",
                self.rows.len(),
                count(Outcome::Flat),
                count(Outcome::Grows),
                count(Outcome::Suspect),
                count(Outcome::AboveLimit),
                count(Outcome::TooFew),
                self.rows.iter().filter(|it| it.verdict == Outcome::TooFew && it.has_failed()).count(),
                self.loss_count,
            ),
        ];
        if let Some(plant) = &self.plant {
            let shown = self.shown();
            let found = if shown.is_empty() { "NOT FOUND".to_owned() } else { format!("found: {}", shown.join("; ")) };
            facts.push(format!("Planted leak {plant}: {found}"));
        }
        facts
    }

    /// All of it as text.
    pub(super) fn text(&self) -> String {
        let violations = self.violations.iter().map(|it| format!("  LOSS: {it}"));
        let end = format!("Soak: {}\n", self.headline());
        let lines = self.facts().into_iter().chain(violations).chain([end]);
        verdicts(&self.rows) + &lines.collect::<Vec<_>>().join("\n")
    }
}
