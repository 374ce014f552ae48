//! `verdict`: finds leaks.

use anyhow::bail;
use r3e_common::runtime::exit::Exit;

use super::context::{Context, print, which};
use super::past::since_ms;
use crate::cli::VerdictArguments;
use crate::history::Reader;
use crate::report::{Report as _, Verdicts};
use crate::sockets::select;

/// Upper bound of the samples of a process: ten days at a purge every 15 minutes.
const MAX_SAMPLES: u32 = 960;

/// The history has no samples of these names. A usage error.
#[derive(Debug, thiserror::Error)]
#[error("no samples of {names} in the last {since} in {file}\nhint: r3e-monitor history shows the recorded programs")]
pub(crate) struct NoSamples {
    names: String,
    since: humantime::FormattedDuration,
    file: String,
}

impl Context<'_> {
    /// `verdict`
    pub(crate) fn verdict(self, asked: &VerdictArguments) -> anyhow::Result<Exit> {
        let file = self.config.monitor.history.clone();
        let from_ms = since_ms((self.clock)(), asked.since);
        let reader = Reader::open(&file)?;
        let seen = reader.as_ref().map(|it| it.processes(from_ms)).transpose()?.unwrap_or_default();
        let named = which(&asked.selected);
        let processes = select(seen, &named, |it| (&it.program, it.pid.into())).map_err(|unknown| {
            let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
            let since = humantime::format_duration(asked.since);
            NoSamples { names: unknown.join(", "), since, file: file.display().to_string() }
        })?;
        let mut rows = Vec::new();
        if let Some(reader) = &reader {
            for process in processes {
                let judgements = reader.after_purges(process.id, from_ms, MAX_SAMPLES)?.judgements().collect();
                rows.push((process, judgements));
            }
        }
        let report = Verdicts { rows, since: asked.since, file };
        let printed = print(&report.show(self.json))?;
        let leaks: Vec<String> = report.leaks().map(|(process, names)| format!("{process}: {names}")).collect();
        if leaks.is_empty() { Ok(printed) } else { bail!("leaks: {}", leaks.join("; ")) }
    }
}
