//! Chooses a new upper bound for a range of keys whose rows do not fit.

use std::ops::Deref;

use super::shard::Shard;
use super::sort_key::SortKey;

/// The number of sampled keys from which the bound is chosen.
const CANDIDATES: usize = 1024;

/// The share of the rows to keep, so that the rows of all boards will fill nine tenths of the limit.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) fn kept_share(taken: usize, limit: usize, done: usize, all: usize) -> f64 {
    (0.9 * limit as f64 / taken as f64 * done.max(1) as f64 / all.max(1) as f64).clamp(0.125, 0.875)
}

/// A key with about this share of the rows below it, and at least one row. `None` if all rows have the same key.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
pub(super) fn upper(shards: &[impl Deref<Target = Shard>], share: f64, sort_key: SortKey<'_>) -> Option<String> {
    let names = |step: usize| {
        shards.iter().flat_map(move |shard| {
            (0..shard.rows.len()).step_by(step).map(move |row| {
                let row = &shard.rows[row];
                shard.strings.get(sort_key.text(row.name, row.driver))
            })
        })
    };
    let rows: usize = shards.iter().map(|shard| shard.rows.len()).sum();
    let mut candidates: Vec<&str> = names((rows / CANDIDATES).max(1)).collect();
    candidates.sort_unstable_by(|a, b| sort_key.compare(a, b));
    let chosen = *candidates.get((candidates.len() as f64 * share) as usize)?;
    let lowest = names(1).min_by(|a, b| sort_key.compare(a, b))?;
    if sort_key.compare(lowest, chosen).is_lt() {
        return Some(sort_key.key_of(chosen));
    }
    names(1)
        .filter(|name| sort_key.compare(name, chosen).is_gt())
        .min_by(|a, b| sort_key.compare(a, b))
        .map(|name| sort_key.key_of(name))
}

#[cfg(test)]
mod tests {
    use super::super::key::KeyRange;
    use super::*;
    use crate::domain::Entry;
    use serde_json::value::RawValue;

    #[test]
    fn a_range_is_split_between_two_keys() {
        let split = |names: &str, share| {
            let mut shard = Shard::new(KeyRange::default(), true);
            for name in names.split(' ') {
                let raw = RawValue::from_string(format!(r#"{{"driver":{{"name":"{name}"}}}}"#)).unwrap();
                shard.push(&Entry::read(&raw).unwrap());
            }
            upper(&[Box::new(shard)], share, SortKey::Name)
        };
        assert_eq!(split("d B a C", 0.5).as_deref(), Some("c"));
        // Some rows are always below the bound, even if most rows have the same key.
        assert_eq!(split("a A a A a A C b", 0.5).as_deref(), Some("b"));
        assert_eq!(split("a A a", 0.5), None);
    }

    #[test]
    fn what_is_kept_is_what_fits_in_the_end() {
        for (done, expected) in [(10, 0.125), (50, 0.45), (100, 0.875)] {
            assert!((kept_share(1000, 1000, done, 100) - expected).abs() < 1e-9, "{done}");
        }
    }
}
