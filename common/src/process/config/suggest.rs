//! Finds the key that a misspelt one was meant to be.

use strsim::damerau_levenshtein;

/// The longest key worth comparing, in bytes: none of ours is half as long.
const LONGEST: usize = 64;

/// The nearest of the keys, if it is near enough to be what was meant: few letters away, or the same key under
/// another section or under none.
pub(super) fn nearest<'k>(wrong: &str, keys: &[&'k str]) -> Option<&'k str> {
    if wrong.len() > LONGEST {
        return None;
    }
    let distance = |key: &&&str| damerau_levenshtein(wrong, key);
    let near = |key: &&str| damerau_levenshtein(wrong, key) <= (key.len() / 5).max(2);
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let misplaced = || keys.iter().copied().find(|key| last(key) == last(wrong));
    keys.iter().filter(|key| near(key)).min_by_key(distance).copied().or_else(misplaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 5] =
        ["cache.dir", "cache.staging_dir", "schedule.daily_at", "upstream.attempts", "schedule.attempts"];

    #[test]
    fn near_and_misplaced_keys_are_found_and_others_are_not() {
        let cases = [
            ("cache.dri", Some("cache.dir")),
            ("cache.directory", None),
            ("schedule.dialy-at", Some("schedule.daily_at")),
            ("daily_at", Some("schedule.daily_at")),
            ("refresh.daily_at", Some("schedule.daily_at")),
            ("shedule.attempts", Some("schedule.attempts")),
            ("log", None),
            ("", None),
        ];
        for (wrong, expected) in cases {
            assert_eq!(nearest(wrong, &KEYS), expected, "{wrong}");
        }
        assert_eq!(nearest(&"cache.dir".repeat(100), &KEYS), None);
    }
}
