//! `list`, `stats`, `purge`, `tasks`, `connections` and `fds`: running programs.

use r3e_common::runtime::control::{PurgeStats, Stats, TaskStats};
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::memory;
use r3e_common::runtime::shutdown::Shutdown;

use super::context::{Context, Written, print, try_print, which};
use crate::ask::{NoAnswer, Question, ask};
use crate::cli::{One, Selected, StatsArguments};
use crate::kernel;
use crate::report::{Connections, Descriptors, List, Purges, Report as _, StatsReport, Tasks};
use crate::sockets::Selector;
use crate::survey::ask_every_program;

/// Clears the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

impl Context<'_> {
    /// `list`
    pub(crate) async fn list(self) -> Result<Exit, Failure> {
        let folder = self.config.runtime.dir.clone();
        let replies = ask_every_program::<Stats>(&folder, Question::Stats).await?;
        print(&List::new(replies, folder).show(self.json))
    }

    /// `stats`
    pub(crate) async fn stats(self, asked: &StatsArguments) -> Result<Exit, Failure> {
        let named = which(&asked.selected);
        let Some(every) = asked.watch else {
            return print(&self.stats_once(&named).await?.show(self.json));
        };
        let shutdown = Shutdown::listen(self.config.runtime.stop_grace)?;
        // An unknown name is an error at the start; later it means that the process has ended.
        let mut report = self.stats_once(&named).await?;
        let every_purge = self.config.memory.purge_every;
        let _purging = memory::purge_periodically_unlogged(
            &r3e_common::runtime::tasks::Tasks::default(),
            shutdown.token(),
            every_purge,
        );
        loop {
            let clear = if !self.json && std::io::IsTerminal::is_terminal(&std::io::stdout()) { CLEAR } else { "" };
            match try_print(&format!("{clear}{}", report.show(self.json))) {
                Ok(Written::Whole) => {}
                Ok(Written::Closed) => return Ok(Exit::Done),
                Err(error) => return Err(error.into()),
            }
            if shutdown.token().run_until_cancelled(tokio::time::sleep(every)).await.is_none() {
                return Ok(Exit::Done);
            }
            report = match self.stats_once(&named).await {
                Err(error) if error.exit() == Exit::Usage => {
                    StatsReport::new(Vec::new(), self.config.runtime.dir.clone())
                }
                other => other?,
            };
        }
    }

    async fn stats_once(&self, named: &[Selector]) -> Result<StatsReport, Failure> {
        Ok(StatsReport::new(self.ask_selected(named, Question::Stats).await?, self.config.runtime.dir.clone()))
    }

    /// `purge`
    pub(crate) async fn purge(self, asked: &Selected) -> Result<Exit, Failure> {
        let replies = self.ask_selected::<PurgeStats>(&which(asked), Question::Purge).await?;
        let report = Purges::new(replies, self.config.runtime.dir.clone());
        let printed = print(&report.show(self.json))?;
        let refused = report.refused();
        if refused.is_empty() {
            return Ok(printed);
        }
        Err(Failure::unexpected(format!("not purged: {}", refused.join(", "))))
    }

    /// `tasks`
    pub(crate) async fn tasks(self, asked: &One) -> Result<Exit, Failure> {
        let socket = self.one(asked).await?;
        match ask::<Vec<TaskStats>>(&socket.path, Question::Tasks).await {
            Ok(tasks) => print(&Tasks(tasks).show(self.json)),
            Err(NoAnswer::Dead) => Err(self.unknown(&[&asked.which])),
            Err(error) => {
                Err(Failure::unexpected(format!("{} ({}) is not answering: {error}", socket.program, socket.pid)))
            }
        }
    }

    /// `connections`
    pub(crate) async fn connections(self, asked: &One) -> Result<Exit, Failure> {
        print(&Connections(kernel::connections(self.pid(asked).await?)?).show(self.json))
    }

    /// `fds`
    pub(crate) async fn fds(self, asked: &One) -> Result<Exit, Failure> {
        print(&Descriptors(kernel::descriptors(self.pid(asked).await?)?).show(self.json))
    }
}
