//! Finds the key that a misspelt one was meant to be.

use strsim::damerau_levenshtein;

/// The longest key worth comparing, in bytes: none of ours is half as long.
const LONGEST: usize = 64;

/// The nearest of the keys, if it is near enough to be what was meant: few letters away, or the same key under
/// another section or under none, where only one section has a key of that name.
pub(super) fn nearest<'k>(wrong: &str, keys: &[&'k str]) -> Option<&'k str> {
    if wrong.len() > LONGEST {
        return None;
    }
    let distance = |key: &str| damerau_levenshtein(wrong, key);
    let near = |key: &&&str| distance(key) <= tolerated(wrong.len().min(key.len()));
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let misplaced = || {
        let mut of_that_name = keys.iter().copied().filter(|key| last(key) == last(wrong));
        of_that_name.next().filter(|_| of_that_name.next().is_none())
    };
    keys.iter().filter(near).min_by_key(|key| distance(key)).copied().or_else(misplaced)
}

/// How many letters may differ in a word of that length: in a short one, two others make another word.
fn tolerated(length: usize) -> usize {
    (length / 4).min(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 8] = [
        "cache.dir",
        "cache.staging_dir",
        "schedule.daily_at",
        "upstream.attempts",
        "schedule.attempts",
        "memory.limit_mb",
        "log.level",
        "index.every",
    ];
    const SECTIONS: [&str; 6] = ["cache", "schedule", "upstream", "memory", "log", "index"];

    #[test]
    fn near_and_misplaced_keys_are_found_and_others_are_not() {
        let cases = [
            ("cache.dri", Some("cache.dir")),
            ("cach.dir", Some("cache.dir")),
            ("cahce.dri", Some("cache.dir")),
            ("schedule.dialy-at", Some("schedule.daily_at")),
            ("daily_at", Some("schedule.daily_at")),
            ("refresh.daily_at", Some("schedule.daily_at")),
            ("shedule.attempts", Some("schedule.attempts")),
            ("memory.limit", Some("memory.limit_mb")),
            ("log.levle", Some("log.level")),
            ("foo.level", Some("log.level")),
            ("cache.directory", None),
            ("foo.bar", None),
            ("foo.attempts", None),
            ("a.b", None),
            ("log", None),
            ("", None),
        ];
        for (wrong, expected) in cases {
            assert_eq!(nearest(wrong, &KEYS), expected, "{wrong}");
        }
        assert_eq!(nearest(&"cache.dir".repeat(100), &KEYS), None);
    }

    #[test]
    fn a_short_word_is_not_near_to_another() {
        let cases = [
            ("indx", Some("index")),
            ("cahce", Some("cache")),
            ("upstraem", Some("upstream")),
            ("memry", Some("memory")),
            ("foo", None),
            ("lag", None),
            ("loop", None),
            ("watch", None),
            ("x", None),
        ];
        for (wrong, expected) in cases {
            assert_eq!(nearest(wrong, &SECTIONS), expected, "{wrong}");
        }
    }
}
