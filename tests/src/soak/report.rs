//! The result of a soak.

use std::time::Duration;

use super::judgement::{Outcome, Row};
use super::planted::Plant;
use super::publication::Compared;
use super::table::verdicts;

/// What a soak has found.
#[derive(Debug)]
pub(super) struct Report {
    /// The leak that was planted.
    pub(super) plant: Option<Plant>,
    /// The seed.
    pub(super) seed: u64,
    /// Nights.
    pub(super) cycles: u64,
    /// How long they took.
    pub(super) took: Duration,
    /// Signals that were sent to jobs and to daemons.
    pub(super) signals: [usize; 2],
    /// How often each daemon was started.
    pub(super) starts: [u64; 3],
    /// How often the files were read, pages were served, and a page was refused.
    pub(super) reads: [u64; 3],
    /// Requests that went wrong on purpose.
    pub(super) faults: u64,
    /// The last publication beside one made from nothing.
    pub(super) compared: Compared,
    /// The first losses.
    pub(super) losses: Vec<String>,
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

    /// What happened, in sentences.
    pub(super) fn facts(&self) -> Vec<String> {
        let Self { seed, cycles, signals: [to_jobs, to_daemons], reads: [passes, pages, refused], compared, .. } = self;
        let [scheduler, watch, serve] = self.starts;
        let a_cycle = self.took.as_secs_f64() / f64::from(u32::try_from(*cycles).unwrap_or(u32::MAX).max(1));
        let took = humantime::format_duration(Duration::from_secs(self.took.as_secs()));
        let count = |outcome| self.rows.iter().filter(|it| it.verdict == outcome).count();
        let mut facts = vec![
            format!(
                "{cycles} cycles in {took}, {a_cycle:.2} s each, from seed {seed}; {} requests went wrong.",
                self.faults
            ),
            format!(
                "{to_jobs} signals to jobs, and {to_daemons} to daemons, at the beginning of the run only, so that the last ones \
                 live long enough to be judged. Starts: scheduler {scheduler}, watch {watch}, serve {serve}."
            ),
            format!("The published files were read {passes} times; {pages} pages were served, {refused} refused."),
            format!(
                "The last publication beside one made from nothing: {} boards and {} files, {} differ.",
                compared.boards, compared.files, compared.differences
            ),
            format!(
                "{} rows: {} flat, {} grow, {} suspect (a longer run would tell), {} above their limit, {} with too few points to tell. {} losses.",
                self.rows.len(),
                count(Outcome::Flat),
                count(Outcome::Grows),
                count(Outcome::Suspect),
                count(Outcome::AboveLimit),
                count(Outcome::TooFew),
                self.loss_count,
            ),
        ];
        if let Some(plant) = &self.plant {
            let shown = self.rows.iter().filter(|it| it.has_failed() && plant.is_shown_by(&it.process, it.resource));
            let shown: Vec<String> = shown.map(|it| format!("{}: {}", it.process, it.resource)).collect();
            let found =
                if shown.is_empty() { "was NOT found".to_owned() } else { format!("was found: {}", shown.join("; ")) };
            facts.push(format!("The planted leak {plant} {found}."));
        }
        facts
    }

    /// All of it as text.
    pub(super) fn text(&self) -> String {
        let losses = self.losses.iter().map(|it| format!("  LOSS: {it}"));
        verdicts(&self.rows) + &self.facts().into_iter().chain(losses).collect::<Vec<_>>().join("\n") + "\n"
    }
}
