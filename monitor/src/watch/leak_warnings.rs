//! Warns of leaks: after each purge, the processes that purged are judged, and changes are logged.

use std::collections::HashMap;

use crate::history::{Batch, HistoryError, Sample, Writer};
use crate::report::growth;
use crate::verdict::{Figure, JUDGED, Judgement, Verdict};

#[derive(Debug, Default)]
pub(super) struct LeakWarnings {
    /// What was logged last of each process and figure.
    logged: HashMap<(i64, Figure), Verdict>,
}

impl LeakWarnings {
    /// Judges the processes that purged, once their batch is in the history.
    pub(super) fn judge(&mut self, batch: &Batch, history: &Writer) -> Result<(), HistoryError> {
        let mut known = Vec::new();
        for sample in batch.samples.iter().filter(|it| it.after_purge) {
            let Some((id, held)) = history.last_purges(sample, JUDGED)? else { continue };
            known.push(id);
            for it in held.judgements() {
                self.log_change(id, sample, &it);
            }
        }
        if !known.is_empty() {
            self.logged.retain(|(id, _), _| known.contains(id));
        }
        Ok(())
    }

    /// Logs a verdict that is worse than the last one, or flat after a worse one.
    fn log_change(&mut self, id: i64, of: &Sample, it: &Judgement) {
        let logged = self.logged.entry((id, it.figure)).or_insert(Verdict::Flat);
        let next = match it.verdict {
            Verdict::TooFewSamples => *logged,
            Verdict::Flat => Verdict::Flat,
            worse => worse.max(*logged),
        };
        if std::mem::replace(logged, next) == next {
            return;
        }
        let (program, pid, figure, samples) = (&of.stats.program, of.stats.pid, it.figure.name(), it.samples);
        let hour = it.per_hour.unwrap_or_default();
        let [likely, low, high] = [hour.likely, hour.low, hour.high].map(|amount| growth(it.figure, amount));
        match next {
            Verdict::Leak => {
                tracing::warn!(program, pid, figure, samples, "a leak: {likely} an hour ({low} to {high})");
            }
            Verdict::Suspect => {
                tracing::info!(program, pid, figure, samples, "a possible leak: {likely} an hour ({low} to {high})");
            }
            _ => tracing::info!(program, pid, figure, samples, "no more growth"),
        }
    }
}
