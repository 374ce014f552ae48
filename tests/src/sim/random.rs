//! Deterministic randomness, derived only from the given numbers, so that any entry can be generated alone, in any order.

/// The purpose of a generator, so that draws for one purpose do not affect those for another.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Sizes = 1,
    People,
    Name,
    Person,
    Columns,
    Entry,
    Board,
    Envelope,
    Fault,
    Session,
}

/// A generator for that purpose and those numbers.
pub(super) fn derive(seed: u64, purpose: Purpose, numbers: &[u64]) -> fastrand::Rng {
    let start = mix(seed ^ mix(purpose as u64));
    fastrand::Rng::with_seed(numbers.iter().fold(start, |state, number| mix(state ^ number)))
}

/// The finalizer of `SplitMix64`.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_and_each_purpose_matters() {
        let first = |seed, purpose, numbers: &[u64]| derive(seed, purpose, numbers).u64(..);
        let base = first(1, Purpose::Entry, &[1, 2]);
        assert_eq!(base, first(1, Purpose::Entry, &[1, 2]));
        for other in [
            first(2, Purpose::Entry, &[1, 2]),
            first(1, Purpose::Fault, &[1, 2]),
            first(1, Purpose::Entry, &[2, 1]),
            first(1, Purpose::Entry, &[1, 3]),
        ] {
            assert_ne!(base, other);
        }
    }
}
