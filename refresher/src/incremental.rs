//! The plan of an incremental refresh: the oldest boards first.

use std::time::SystemTime;

use r3e_common::domain::Ordinal;
use r3e_common::index::BoardState;

/// The boards of that choice, oldest first, at most `limit`. Of the same age, catalogue order decides; missing boards and
/// those from the future, of which nobody knows the age, come before all others. One that was `tried` in vain is as old as
/// that: else a few boards that cannot be had would be all that is ever tried.
pub(crate) fn oldest(
    states: &[BoardState],
    chosen: impl Fn(Ordinal) -> bool,
    tried: impl Fn(Ordinal) -> Option<SystemTime>,
    limit: Option<u32>,
    now: SystemTime,
) -> Vec<Ordinal> {
    let past = |time: &SystemTime| *time <= now;
    let known = |state: &BoardState| match *state {
        BoardState::Cached { written, .. } => Some(written).filter(past),
        BoardState::Missing => None,
    };
    let age = |(it, state)| (known(state).max(tried(it).filter(past)), it);
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
