//! Keys of the index: drivers' names in lower case, and ranges of them.

use std::cmp::Ordering;

/// The only letter whose lower case depends on its neighbours.
const FINAL: char = 'Σ';

/// Appends a name in lower case: full Unicode rules without locale, final sigma included, as in JavaScript.
pub(super) fn push_key(name: &str, out: &mut String) {
    if name.is_ascii() {
        out.extend(name.chars().map(|c| c.to_ascii_lowercase()));
    } else {
        out.push_str(&name.to_lowercase());
    }
}

/// A name in lower case.
pub(super) fn key_of(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    push_key(name, &mut key);
    key
}

/// The first bytes of a key, as a number. If they differ, they determine the order.
pub(super) fn key_prefix(key: &str) -> u64 {
    let mut first = [0; 8];
    let length = key.len().min(8);
    first[..length].copy_from_slice(&key.as_bytes()[..length]);
    u64::from_be_bytes(first)
}

/// Compares two names by their keys, without allocating the keys unless there is a sigma.
pub(super) fn compare_keys(a: &str, b: &str) -> Ordering {
    if a.contains(FINAL) || b.contains(FINAL) {
        return key_of(a).cmp(&key_of(b));
    }
    // Equal beginnings have equal keys, letter by letter.
    let mut same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    while !a.is_char_boundary(same) {
        same -= 1;
    }
    let (a, b) = (&a[same..], &b[same..]);
    if a.is_ascii() && b.is_ascii() {
        a.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(b.bytes().map(|byte| byte.to_ascii_lowercase()))
    } else {
        a.chars().flat_map(char::to_lowercase).cmp(b.chars().flat_map(char::to_lowercase))
    }
}

/// The keys from `lower` up to but not including `upper`; `None` is unbounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) lower: Option<String>,
    pub(super) upper: Option<String>,
}

impl KeyRange {
    /// Whether it contains all keys.
    pub(super) fn is_all(&self) -> bool {
        self.lower.is_none() && self.upper.is_none()
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.lower.as_deref().is_none_or(|lower| lower <= key) && self.upper.as_deref().is_none_or(|upper| key < upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_follow_the_rules_of_javascript() {
        // Each pair was printed by `"…".toLowerCase()` in a browser's engine.
        for (name, key) in [
            ("LUDO Flender", "ludo flender"),
            ("İsmail", "i\u{307}smail"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("ΣΑΣ Σ", "σας σ"),
            ("GROẞE Straße", "große straße"),
            ("DŽ Dž", "dž dž"),
            ("K", "k"),
            ("佐藤 ÑANDÚ", "佐藤 ñandú"),
        ] {
            assert_eq!(key_of(name), key, "{name}");
        }
    }

    fn name() -> impl Strategy<Value = String> {
        "[abABςσΣİıßẞéÉДдǄǅǆȺ佐 ]{0,12}"
    }

    proptest! {
        #[test]
        fn names_compare_as_their_keys_do(a in name(), b in name()) {
            let (one, other) = (key_of(&a), key_of(&b));
            prop_assert_eq!(compare_keys(&a, &b), one.cmp(&other));
            prop_assert!(one > other || key_prefix(&one) <= key_prefix(&other));
        }
    }
}
