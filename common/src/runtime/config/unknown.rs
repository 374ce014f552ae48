//! Keys and variables that do not exist, and the one that was probably meant.

use strsim::normalized_damerau_levenshtein as similarity;

use super::environment::variable_of;
use super::error::{ConfigError, Origin, short};

/// The longest key worth comparing, in bytes: no real one is half as long.
const MAX_COMPARED: usize = 64;
/// How similar a key must be to be what was meant: one letter of four may differ.
const SIMILAR: f64 = 0.75;

/// The error for a key that does not exist.
pub(super) fn unknown(origin: &Origin, key: &str, keys: &[&'static str]) -> ConfigError {
    let mut sections: Vec<&str> = keys.iter().filter_map(|key| key.split('.').next()).collect();
    sections.dedup();
    let section = key.split('.').next().unwrap_or_default();
    let its_keys: Vec<&str> = keys.iter().filter_map(|key| key.strip_prefix(section)?.strip_prefix('.')).collect();
    if sections.contains(&key) {
        let problem = format!("expected a section with keys, such as {key}.{}", its_keys.join(", "));
        return ConfigError::of_key(origin, key, problem);
    }
    let suggestion = nearest(&key.to_lowercase(), &[keys, &sections].concat());
    let problem = match (suggestion, &its_keys[..]) {
        (Some(_), _) => "no such key".to_owned(),
        (None, []) => format!("no such key; the sections are {}", sections.join(", ")),
        (None, its_keys) => format!("no such key; the keys of [{section}] are {}", its_keys.join(", ")),
    };
    let suggestion = suggestion.map(|key| match origin {
        Origin::Variable(_) => variable_of(key),
        _ => key.to_owned(),
    });
    ConfigError { suggestion, ..ConfigError::of_key(origin, &short(key), problem) }
}

/// The most similar of the keys if it is similar enough, else the only one of that name in another section.
fn nearest<'k>(wrong: &str, keys: &[&'k str]) -> Option<&'k str> {
    if wrong.len() > MAX_COMPARED {
        return None;
    }
    let similar = keys.iter().copied().map(|key| (similarity(wrong, key), key)).filter(|(it, _)| *it >= SIMILAR);
    let name = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let only = || {
        let mut same_name = keys.iter().copied().filter(|key| key.contains('.') && name(key) == name(wrong));
        same_name.next().filter(|_| same_name.next().is_none())
    };
    similar.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, key)| key).or_else(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_suggested_only_if_it_is_near() {
        let keys = ["cache", "cache.dir", "index", "index.every", "log", "log.level", "memory", "memory.limit_mb"];
        let keys = [&keys[..], &["schedule.attempts", "schedule.daily_at", "upstream.attempts"]].concat();
        for (wrong, expected) in [
            ("cache.dri", Some("cache.dir")),
            ("cach.dir", Some("cache.dir")),
            ("cahce.dri", Some("cache.dir")),
            ("schedule.dialy-at", Some("schedule.daily_at")),
            ("daily_at", Some("schedule.daily_at")),
            ("refresh.daily_at", Some("schedule.daily_at")),
            ("shedule.attempts", Some("schedule.attempts")),
            ("memory.limit", Some("memory.limit_mb")),
            ("foo.level", Some("log.level")),
            ("cahce", Some("cache")),
            ("indx", Some("index")),
            ("cache.directory", None),
            ("foo.bar", None),
            ("foo.attempts", None),
            ("a.b", None),
            ("lag", None),
            ("watch", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, &keys), expected, "{wrong}");
        }
        assert_eq!(nearest(&"cache.dir".repeat(100), &keys), None);
    }
}
