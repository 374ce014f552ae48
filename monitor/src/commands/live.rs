//! `list`, `stats`, `purge`, `tasks`, `connections` and `fds`: running programs.

use std::io::IsTerminal as _;

use r3e_common::runtime::control::{Endpoint, PurgeStats, Stats, TaskStats};
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::memory;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::tasks::Tasks;
use serde_json::json;

use super::context::{Context, comma_separated, print, selectors, try_print};
use crate::cli::{One, Selected, StatsArguments};
use crate::sockets::{Selector, Socket};
use crate::survey::{self, ask_every_program};
use crate::{kernel, report};

/// Clears the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

impl Context<'_> {
    /// `list`
    pub(crate) async fn list(self) -> Result<Exit, Failure> {
        let folder = &self.config.runtime.dir;
        let replies = ask_every_program::<Stats>(folder, Endpoint::Stats).await?;
        let facts = |it: &Stats| {
            let Stats { phase, uptime_s, figures, version, started_at, schedule, .. } = it;
            json!({ "phase": phase, "uptime_s": uptime_s, "rss_bytes": figures.rss_bytes, "version": version,
                "started_at": started_at, "schedule": schedule })
        };
        self.show(|| replies.iter().map(|it| it.to_json(facts)).collect(), || report::list(&replies, folder))
    }

    /// `stats`
    pub(crate) async fn stats(self, asked: &StatsArguments) -> Result<Exit, Failure> {
        let named = selectors(&asked.selected);
        let Some(every) = asked.watch else { return print(&self.stats_once(&named).await?) };
        let shutdown = Shutdown::listen(self.config.runtime.stop_grace)?;
        // An unknown name is an error at the start; later it means that the process has ended.
        let mut stats = self.stats_once(&named).await?;
        let every_purge = self.config.memory.purge_every;
        let _purging = memory::purge_periodically_unlogged(&Tasks::default(), shutdown.token(), every_purge);
        let clear = if !self.json && std::io::stdout().is_terminal() { CLEAR } else { "" };
        while try_print(&format!("{clear}{stats}"))?
            && shutdown.token().run_until_cancelled(tokio::time::sleep(every)).await.is_some()
        {
            stats = match self.stats_once(&named).await {
                Err(error) if error.exit() == Exit::Usage => self.render_stats(&[]),
                other => other?,
            };
        }
        Ok(Exit::Done)
    }

    async fn stats_once(&self, named: &[Selector]) -> Result<String, Failure> {
        let mut replies = self.ask_selected::<Stats>(named, Endpoint::Stats).await?;
        report::worst_first(&mut replies);
        Ok(self.render_stats(&replies))
    }

    fn render_stats(&self, replies: &[survey::Reply<Stats>]) -> String {
        self.render(|| survey::to_json(replies), || report::stats(replies, &self.config.runtime.dir))
    }

    /// `purge`
    pub(crate) async fn purge(self, asked: &Selected) -> Result<Exit, Failure> {
        let replies = self.ask_selected::<PurgeStats>(&selectors(asked), Endpoint::Purge).await?;
        let printed = self.show(|| survey::to_json(&replies), || report::purges(&replies, &self.config.runtime.dir))?;
        let refused: Vec<&Socket> = replies.iter().filter(|it| it.answer.is_err()).map(|it| &it.socket).collect();
        if refused.is_empty() {
            return Ok(printed);
        }
        Err(Failure::unexpected(format!("not purged: {}", comma_separated(&refused))))
    }

    /// `tasks`
    pub(crate) async fn tasks(self, asked: &One) -> Result<Exit, Failure> {
        let tasks: Vec<TaskStats> = self.ask(&self.one(asked).await?, Endpoint::Tasks).await?;
        self.show(|| json!(tasks), || report::tasks(&tasks))
    }

    /// `connections`
    pub(crate) async fn connections(self, asked: &One) -> Result<Exit, Failure> {
        let connections = kernel::connections(self.pid(asked).await?)?;
        self.show(|| json!(connections), || report::connections(&connections))
    }

    /// `fds`
    pub(crate) async fn fds(self, asked: &One) -> Result<Exit, Failure> {
        let open = kernel::descriptors(self.pid(asked).await?)?;
        self.show(|| json!(open), || report::descriptors(&open))
    }
}
