//! `verdict`: finds leaks.

use r3e_common::runtime::exit::{Exit, Failure};

use super::context::{Context, print, which};
use super::past::since_ms;
use crate::cli::VerdictArguments;
use crate::history::Reader;
use crate::report::{Report as _, Verdicts};
use crate::sockets::select;

/// Upper bound of the samples of a process: ten days at a purge every 15 minutes.
const MAX_SAMPLES: u32 = 960;

impl Context<'_> {
    /// `verdict`
    pub(crate) fn verdict(self, asked: &VerdictArguments) -> Result<Exit, Failure> {
        let file = self.config.monitor.history.clone();
        let from_ms = since_ms((self.clock)(), asked.since);
        let reader = Reader::open(&file)?;
        let seen = reader.as_ref().map(|it| it.processes(from_ms)).transpose()?.unwrap_or_default();
        let named = which(&asked.selected);
        let processes = select(seen, &named, |it| (&it.program, it.pid.into())).map_err(|unknown| {
            let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
            let since = humantime::format_duration(asked.since);
            let (unknown, file) = (unknown.join(", "), file.display());
            let hint = "r3e-monitor history shows the recorded programs";
            Failure::new(Exit::Usage, format!("no samples of {unknown} in the last {since} in {file}\nhint: {hint}"))
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
        if leaks.is_empty() { Ok(printed) } else { Err(Failure::unexpected(format!("leaks: {}", leaks.join("; ")))) }
    }
}
