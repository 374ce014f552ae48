//! The plan of a full refresh: all boards, or what an interrupted full refresh left.
//!
//! The staging folder records when an unfinished refresh began and last made progress. A board whose file is newer than the
//! beginning is done. No other state is needed, so a kill at any moment loses nothing.

use std::time::{Duration, SystemTime};

use r3e_common::domain::Ordinal;
use r3e_common::index::BoardState;
use r3e_common::store::FullRefresh;

/// The plan of a full refresh.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full {
    /// When it began.
    pub(crate) since: SystemTime,
    /// Whether that was in an earlier run.
    pub(crate) resumed: bool,
    /// The boards to fetch, in catalogue order.
    pub(crate) boards: Vec<Ordinal>,
}

/// Plans a full refresh. It resumes an earlier one that made progress within the last `resume_within`.
///
/// Times in the future mean that a clock was wrong: such a refresh is not resumed, and such a board is fetched again.
pub(crate) fn plan(
    states: &[BoardState],
    earlier: Option<FullRefresh>,
    now: SystemTime,
    resume_within: Duration,
) -> Full {
    let written = |state: &BoardState| match *state {
        BoardState::Cached { written, .. } if written <= now => Some(written),
        _ => None,
    };
    let all = states.len();
    let ordinals = || (0..).map(Ordinal).take(all);
    let from_start = Full { since: now, resumed: false, boards: ordinals().collect() };
    let Some(FullRefresh { since, at_work }) = earlier.filter(|it| it.since <= now) else { return from_start };
    if now.duration_since(at_work.max(since)).unwrap_or_default() >= resume_within {
        return from_start;
    }
    let done = |state: &BoardState| written(state).is_some_and(|written| written >= since);
    let left = ordinals().zip(states).filter(|(_, state)| !done(state)).map(|(ordinal, _)| ordinal);
    Full { since, resumed: true, boards: left.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const WITHIN: Duration = Duration::from_hours(12);

    fn at(hour: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + HOUR * hour
    }

    fn cached(hour: u32) -> BoardState {
        BoardState::Cached { written: at(hour), entries: 1 }
    }

    fn boards(full: &Full) -> Vec<u32> {
        full.boards.iter().map(|it| it.0).collect()
    }

    #[test]
    fn without_an_earlier_one_every_board_is_fetched() {
        let full = plan(&[cached(99), BoardState::Missing, cached(100)], None, at(100), WITHIN);
        assert_eq!((full.since, full.resumed, boards(&full)), (at(100), false, vec![0, 1, 2]));
    }

    /// One that began at that hour, and was at work at the other.
    fn earlier(since: u32, at_work: u32) -> FullRefresh {
        FullRefresh { since: at(since), at_work: at(at_work) }
    }

    #[test]
    fn a_stopped_refresh_resumes_with_the_rest() {
        let states = [cached(99), BoardState::Missing, cached(89), cached(90), cached(101)];
        let full = plan(&states, Some(earlier(90, 95)), at(100), WITHIN);
        // The last is from the future: whoever wrote it had another clock.
        assert_eq!((full.since, full.resumed, boards(&full)), (at(90), true, vec![1, 2, 4]));
    }

    #[test]
    fn its_last_progress_counts() {
        let resumed = |at_work: u32, now: u32| plan(&[cached(10)], Some(earlier(50, at_work)), at(now), WITHIN).resumed;
        assert!(resumed(60, 71) && !resumed(60, 72));
        assert!(resumed(10, 61) && !resumed(10, 62), "it was at work when it began, whatever a clock says");
        assert!(resumed(99, 60), "and so it was where that is in the future");
        let others = plan(&[cached(71)], Some(earlier(50, 51)), at(72), WITHIN);
        assert!(!others.resumed, "what other jobs wrote meanwhile is no work of it");
        let at_once = plan(&[cached(60)], Some(earlier(50, 60)), at(60), Duration::ZERO);
        assert!(!at_once.resumed, "zero is never");
    }

    #[test]
    fn a_refresh_from_the_future_restarts() {
        let full = plan(&[cached(90)], Some(earlier(101, 101)), at(100), WITHIN);
        assert_eq!((full.since, full.resumed), (at(100), false));
    }
}
