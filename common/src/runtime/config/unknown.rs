//! Keys and variables that do not exist, and the one that was probably meant.

use strsim::normalized_damerau_levenshtein as similarity;

use super::environment::variable_of;
use super::error::ConfigError;

/// The longest key worth comparing, in bytes: no real one is half as long.
const MAX_COMPARED: usize = 64;
/// How similar a key must be to be what was meant: one letter of four may differ.
const SIMILAR: f64 = 0.75;

/// The error for a key of the file that does not exist.
pub(super) fn key(origin: &str, key: &str, keys: &[&'static str]) -> ConfigError {
    let sections: Vec<&str> = keys.iter().filter_map(|key| key.split('.').next()).collect();
    if sections.contains(&key) {
        return ConfigError::of_key(origin, key, "expected a section with keys, found something else");
    }
    let suggestion = nearest(key, &[keys, &sections].concat()).map(str::to_owned);
    ConfigError { suggestion, ..ConfigError::of_key(origin, key, "no such key") }
}

/// The error for a variable that names no key.
pub(super) fn variable(name: &str, key: &str, keys: &[&'static str]) -> ConfigError {
    let suggestion = nearest(key, keys).map(variable_of);
    ConfigError { suggestion, ..ConfigError::of_key(name, key, "no such key") }
}

/// The most similar of the keys if it is similar enough, else the only one of that name in another section.
fn nearest<'k>(wrong: &str, keys: &[&'k str]) -> Option<&'k str> {
    if wrong.len() > MAX_COMPARED {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let similar = keys.iter().copied().map(|key| (similarity(&wrong, key), key)).filter(|(it, _)| *it >= SIMILAR);
    let only = || {
        let name = wrong.rsplit('.').next()?;
        let mut same_name = keys.iter().copied().filter(|key| key.split_once('.').is_some_and(|it| it.1 == name));
        same_name.next().filter(|_| same_name.next().is_none())
    };
    similar.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, key)| key).or_else(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_suggested_only_if_it_is_near() {
        let keys = ["cache", "cache.dir", "index", "log", "log.level", "memory.limit_mb", "schedule.attempts"];
        let keys = [&keys[..], &["schedule.daily_at", "upstream.attempts"]].concat();
        let near = [("cache.dri", "cache.dir"), ("cahce.dri", "cache.dir"), ("Schedule.dialy-at", "schedule.daily_at")];
        let misplaced = [("daily_at", "schedule.daily_at"), ("foo.level", "log.level"), ("indx", "index")];
        for (wrong, expected) in near.into_iter().chain(misplaced) {
            assert_eq!(nearest(wrong, &keys), Some(expected), "{wrong}");
        }
        let long = "cache.dir".repeat(100);
        for wrong in ["cache.directory", "foo.bar", "foo.attempts", "a.b", "lag", "watch", "", &long] {
            assert_eq!(nearest(wrong, &keys), None, "{wrong}");
        }
    }
}
