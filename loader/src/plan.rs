//! Which boards are due: those missing, and those older than they may be.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use r3e_common::domain::Ordinal;
use r3e_common::index::BoardState;
use r3e_common::job::{Job, Plan, Scrape};
use r3e_common::runtime::config::Config;
use r3e_common::runtime::periodic::Cadence;
use r3e_common::store::Destination;

/// What is asked of one run.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Ask the service for nothing.
    pub cached_only: bool,
    /// Fetch of these boards those that are due.
    pub only: Option<BTreeSet<Ordinal>>,
}

impl Choice {
    /// What a load fetches of a cache in that state; nothing, where it is to export only.
    #[must_use]
    pub fn plan(self, config: &Config, job: &Job, states: &[BoardState]) -> Option<Plan> {
        if self.cached_only {
            return None;
        }
        let boards = due(states, (job.publisher.clock)(), config.cache.max_age, self.only.as_ref());
        tracing::info!(due = boards.len(), of = job.catalog.len(), "boards that are missing or old");
        let (scope, cadence) = (self.only, Cadence::Every(config.index.every));
        let (destination, time_limit, scrape) = (Destination::Staging, None, Scrape::Load);
        Some(Plan { boards, scope, destination, cadence, time_limit, scrape })
    }
}

/// The boards to fetch, in catalogue order; `only` narrows the choice.
///
/// A board's age is that of its file. A file from further in the future than `max_age` tells of a clock that was wrong,
/// and counts as old: else its board would not be fetched again before that future comes.
pub(crate) fn due(
    states: &[BoardState],
    now: SystemTime,
    max_age: Duration,
    only: Option<&BTreeSet<Ordinal>>,
) -> Vec<Ordinal> {
    let fresh = |written: SystemTime| now.duration_since(written).unwrap_or_else(|ahead| ahead.duration()) < max_age;
    (0..)
        .map(Ordinal)
        .zip(states)
        .filter(|(ordinal, _)| only.is_none_or(|only| only.contains(ordinal)))
        .filter(|(_, state)| !matches!(state, BoardState::Cached { written, .. } if fresh(*written)))
        .map(|(ordinal, _)| ordinal)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn missing_old_and_impossibly_new_boards_are_due() {
        let now = SystemTime::UNIX_EPOCH + DAY * 1000;
        let cached = |written| BoardState::Cached { written, entries: 1 };
        let second = Duration::from_secs(1);
        let states = [
            BoardState::Missing,
            cached(now),
            cached(now - DAY + second),
            cached(now - DAY),
            cached(now + DAY - second),
            cached(now + DAY),
        ];
        let numbers = |only: Option<&BTreeSet<Ordinal>>| -> Vec<u32> {
            due(&states, now, DAY, only).into_iter().map(|it| it.0).collect()
        };
        assert_eq!(numbers(None), [0, 3, 5]);
        assert_eq!(numbers(Some(&BTreeSet::from([Ordinal(1), Ordinal(3)]))), [3]);
    }
}
