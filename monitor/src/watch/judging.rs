//! Warning of leaks: after each purge the processes that purged are judged, and what is new is told.

use std::collections::HashMap;

use crate::history::{Batch, HistoryError, Sample, Writer};
use crate::report::growth;
use crate::verdict::{Figure, JUDGED, Judgement, Verdict};

/// What was told of each process and figure.
#[derive(Debug, Default)]
pub(super) struct Judging {
    told: HashMap<(i64, Figure), Verdict>,
}

impl Judging {
    /// Judges the processes of a batch that has been written, if it is one of a purge.
    pub(super) fn after(&mut self, batch: &Batch, history: &Writer) -> Result<(), HistoryError> {
        let purged: Vec<&Sample> = batch.samples.iter().filter(|it| it.after_purge).collect();
        if purged.is_empty() {
            return Ok(());
        }
        let mut known = Vec::with_capacity(purged.len());
        for sample in purged {
            let Some((id, held)) = history.last_purges(sample, JUDGED)? else { continue };
            known.push(id);
            for it in held.judgements() {
                self.tell(id, sample, &it);
            }
        }
        // Those that did not purge are gone, or will be told of anew.
        self.told.retain(|(id, _), _| known.contains(id));
        Ok(())
    }

    /// Tells what is worse than what was told before, and that something once told is no more.
    fn tell(&mut self, id: i64, of: &Sample, it: &Judgement) {
        let told = self.told.entry((id, it.figure)).or_insert(Verdict::Flat);
        let was = *told;
        let next = match it.verdict {
            Verdict::TooFewSamples => was,
            Verdict::Flat => Verdict::Flat,
            worse => worse.max(was),
        };
        if next == was {
            return;
        }
        *told = next;
        let (program, pid, figure, samples) = (&of.stats.program, of.stats.pid, it.figure.name(), it.samples);
        let hour = it.per_hour.unwrap_or_default();
        let [likely, low, high] = [hour.likely, hour.low, hour.high].map(|amount| growth(it.figure, amount));
        match next {
            Verdict::Leak => {
                tracing::warn!(program, pid, figure, samples, "a leak: {likely} an hour ({low} to {high})");
            }
            Verdict::Suspect => {
                tracing::info!(program, pid, figure, samples, "it may leak: {likely} an hour ({low} to {high})");
            }
            _ => tracing::info!(program, pid, figure, samples, "it grows no more"),
        }
    }
}
