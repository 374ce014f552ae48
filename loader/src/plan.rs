//! Which boards are due: missing ones, and ones older than `cache.max_age`.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use r3e_common::domain::Ordinal;
use r3e_common::index::BoardState;
use r3e_common::job::{Job, Plan, Scrape};
use r3e_common::runtime::config::Config;
use r3e_common::runtime::periodic::Cadence;
use r3e_common::store::Destination;

/// What a run is to fetch.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Do not contact the service.
    pub cached_only: bool,
    /// Fetch only due boards among these.
    pub only: Option<BTreeSet<Ordinal>>,
}

impl Choice {
    /// The plan for a cache with these boards; `None` to export only.
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

/// The due boards among `only`, in catalogue order.
///
/// A board is as old as its file. A file from further in the future than `max_age` means that a clock was wrong, and counts as
/// old, since it would otherwise not be fetched before that time.
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
