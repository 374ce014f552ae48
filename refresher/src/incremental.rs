//! The plan of an incremental refresh: the oldest boards first.

use std::time::SystemTime;

use r3e_common::domain::Ordinal;
use r3e_common::index::BoardState;

/// The `chosen` boards, oldest first, up to `limit`; boards of the same age in catalogue order. Missing boards, and boards from the
/// future, whose age is unknown, come first. A board that failed at `failed_at` counts as that old, so that a few failing boards
/// do not keep others from being fetched.
pub(crate) fn oldest(
    states: &[BoardState],
    chosen: impl Fn(Ordinal) -> bool,
    failed_at: impl Fn(Ordinal) -> Option<SystemTime>,
    limit: Option<u32>,
    now: SystemTime,
) -> Vec<Ordinal> {
    let past = |time: &SystemTime| *time <= now;
    let known = |state: &BoardState| match *state {
        BoardState::Cached { written, .. } => Some(written).filter(past),
        BoardState::Missing => None,
    };
    let age = |(it, state)| (known(state).max(failed_at(it).filter(past)), it);
    let mut boards: Vec<_> = (0..).map(Ordinal).zip(states).filter(|(it, _)| chosen(*it)).map(age).collect();
    boards.sort_unstable();
    boards.truncate(limit.map_or(usize::MAX, |it| it as usize));
    boards.into_iter().map(|(_, ordinal)| ordinal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_come_first_and_those_of_unknown_age_before_them() {
        let at = |hour| SystemTime::UNIX_EPOCH + Duration::from_hours(hour);
        let cached = |hour| BoardState::Cached { written: at(hour), entries: 1 };
        let states = [cached(8), cached(3), BoardState::Missing, cached(11), cached(3), cached(9)];
        let order = |limit| {
            let boards = oldest(&states, |it| it.0 != 5, |_| None, limit, at(10));
            boards.into_iter().map(|it| it.0).collect::<Vec<_>>()
        };
        assert_eq!(order(None), [2, 3, 1, 4, 0]);
        assert_eq!(order(Some(3)), [2, 3, 1]);
        assert_eq!(order(Some(99)).len(), 5);
        // What could not be had at seven comes after what was written at three, and before what was written at eight.
        let tried = |it: Ordinal| if matches!(it.0, 1 | 2) { Some(at(7)) } else { None };
        let boards = oldest(&states, |_| true, tried, None, at(10));
        assert_eq!(boards.iter().map(|it| it.0).collect::<Vec<_>>(), [3, 4, 1, 2, 0, 5]);
    }
}
