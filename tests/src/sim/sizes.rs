//! The number of entries of each board: heavy-tailed, with most boards empty and an exact total.

use std::collections::BTreeMap;

use super::options::SimError;
use super::random::{Purpose, derive};

/// Sizes around one and two full pages of the service.
pub(super) const SPECIAL_SIZES: [u32; 4] = [1499, 1500, 1501, 3000];

/// Of a hundred boards, how many have entries.
const FILLED_PERCENT: usize = 44;

/// The constraints on the sizes.
pub(super) struct Demand<'a> {
    pub(super) seed: u64,
    pub(super) boards: usize,
    pub(super) entries: u64,
    pub(super) drivers: u32,
    /// Sizes that are given, by the board's place in the catalogue; part of the total.
    pub(super) pinned: &'a BTreeMap<usize, u32>,
}

/// The size of each board, in catalogue order.
pub(super) fn board_sizes(demand: &Demand<'_>) -> Result<Vec<u32>, SimError> {
    let mut sizes = vec![0; demand.boards];
    for (&place, &size) in demand.pinned {
        if size > demand.drivers {
            return Err(SimError::refused("drivers", demand.drivers, format!("at least {size}, the size of a board")));
        }
        sizes[place] = size;
    }
    let pinned_total: u64 = demand.pinned.values().map(|&size| u64::from(size)).sum();
    let Some(rest) = demand.entries.checked_sub(pinned_total) else {
        let expected = format!("at least {pinned_total}, the sum of the boards whose size is given");
        return Err(SimError::refused("entries", demand.entries, expected));
    };
    let mut free: Vec<usize> = (0..demand.boards).filter(|place| !demand.pinned.contains_key(place)).collect();
    derive(demand.seed, Purpose::Sizes, &[]).shuffle(&mut free);
    free.truncate(filled(demand, free.len(), rest));

    let most = pinned_total + free.len() as u64 * u64::from(demand.drivers);
    if demand.entries > most {
        let expected = format!(
            "at most {most}: {} boards with entries, each of {} drivers at most once",
            free.len(),
            demand.drivers
        );
        return Err(SimError::refused("entries", demand.entries, expected));
    }
    let special = special_boards(demand, free.len(), rest);
    let rest = rest - special.iter().map(|&size| u64::from(size)).sum::<u64>();
    let tail = heavy_tail(rest, free.len() - special.len(), demand.drivers);
    for (place, size) in free.into_iter().zip(special.iter().copied().chain(tail)) {
        sizes[place] = size;
    }
    Ok(sizes)
}

/// How many boards beside the pinned ones get entries.
fn filled(demand: &Demand<'_>, free: usize, rest: u64) -> usize {
    let pinned = demand.pinned.values().filter(|&&size| size > 0).count();
    let wanted = (demand.boards * FILLED_PERCENT / 100).saturating_sub(pinned).max(1).min(free);
    usize::try_from(rest).map_or(wanted, |rest| wanted.min(rest))
}

/// The special sizes, where they leave the other boards at least one entry each and no more than they can hold.
fn special_boards(demand: &Demand<'_>, filled: usize, rest: u64) -> &'static [u32] {
    let sum: u64 = SPECIAL_SIZES.iter().map(|&size| u64::from(size)).sum();
    let (Some(others), Some(left)) = (filled.checked_sub(SPECIAL_SIZES.len()), rest.checked_sub(sum)) else {
        return &[];
    };
    let others = others as u64;
    let fits = (others..=others * u64::from(demand.drivers)).contains(&left);
    if fits && SPECIAL_SIZES.iter().all(|&size| size <= demand.drivers) { &SPECIAL_SIZES } else { &[] }
}

/// `boards` sizes from 1 to `cap` that add up to `total`, falling with the rank as 1/(rank + 8) as far as `cap` allows.
/// The caller has checked that there are such.
fn heavy_tail(total: u64, boards: usize, cap: u32) -> Vec<u32> {
    let mut sizes = vec![1u32; boards];
    let weight = |rank: usize| (1u128 << 40) / (rank as u128 + 8);
    let mut left = total.saturating_sub(boards as u64);
    while left > 0 {
        let open: u128 = (0..boards).filter(|&rank| sizes[rank] < cap).map(weight).sum();
        let round = left;
        for (rank, size) in sizes.iter_mut().enumerate() {
            let room = cap - *size;
            if room == 0 || left == 0 {
                continue;
            }
            // The remainder is distributed one by one, from the top.
            let share = if round < boards as u64 { 1 } else { u128::from(round) * weight(rank) / open };
            let share = u32::try_from(share.min(u128::from(left))).unwrap_or(u32::MAX).min(room);
            *size += share;
            left -= u64::from(share);
        }
        if open == 0 {
            break;
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(boards: usize, entries: u64, drivers: u32) -> Result<Vec<u32>, SimError> {
        board_sizes(&Demand { seed: 7, boards, entries, drivers, pinned: &BTreeMap::new() })
    }

    fn total(sizes: &[u32]) -> u64 {
        sizes.iter().map(|&size| u64::from(size)).sum()
    }

    #[test]
    fn the_usual_world_has_its_empty_boards_its_special_sizes_and_its_long_tail() {
        for entries in [300_000, 10_000_000] {
            let sizes = sizes(14_703, entries, 60_000).unwrap();
            assert_eq!(total(&sizes), entries);
            let empty = sizes.iter().filter(|&&size| size == 0).count();
            assert!((52..=60).contains(&(empty * 100 / sizes.len())), "{empty} empty");
            for special in SPECIAL_SIZES {
                assert!(sizes.contains(&special), "{special}");
            }
            let mut sorted = sizes;
            sorted.sort_unstable();
            let top = total(&sorted[sorted.len() - 147..]);
            assert!(top * 100 / entries > 30, "the biggest hundredth holds {top}");
        }
    }

    #[test]
    fn pinned_boards_have_the_size_given_and_count() {
        let pinned = BTreeMap::from([(3, 1500), (4, 0)]);
        let sizes =
            board_sizes(&Demand { seed: 1, boards: 100, entries: 20_000, drivers: 4000, pinned: &pinned }).unwrap();
        assert_eq!((sizes[3], sizes[4], total(&sizes)), (1500, 0, 20_000));
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_could() {
        let told = sizes(10, 5000, 100).unwrap_err().to_string();
        assert_eq!(
            told,
            "entries = 5000: expected at most 400: 4 boards with entries, each of 100 drivers at most once"
        );
        let pinned = BTreeMap::from([(0, 50)]);
        let told = board_sizes(&Demand { seed: 1, boards: 9, entries: 40, drivers: 60, pinned: &pinned }).unwrap_err();
        assert!(told.to_string().starts_with("entries = 40: expected at least 50"), "{told}");
        let told = board_sizes(&Demand { seed: 1, boards: 9, entries: 90, drivers: 40, pinned: &pinned }).unwrap_err();
        assert!(told.to_string().starts_with("drivers = 40: expected at least 50"), "{told}");
    }

    proptest! {
        #[test]
        fn the_total_is_exact_and_no_board_has_more_than_all_drivers(
            boards in 1usize..400, share in 0.0f64..=1.0, drivers in 1u32..5000,
        ) {
            let filled = (boards * FILLED_PERCENT / 100).max(1) as u64;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let entries = ((filled * u64::from(drivers)) as f64 * share) as u64;
            let sizes = sizes(boards, entries, drivers).unwrap();
            prop_assert_eq!(total(&sizes), entries);
            prop_assert!(sizes.iter().all(|&size| size <= drivers));
        }
    }
}
