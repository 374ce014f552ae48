//! Keys, aliases and shards of names, computed exactly as newer front ends compute them from a search term.

use std::cmp::Ordering;

/// How many shards there are: one for each letter from `a` to `z`, and one for all other first bytes.
pub(super) const SHARDS: usize = 27;

/// A name with its accents replaced, white space collapsed, in lower case; empty if nothing is left.
pub(super) fn key(name: &str) -> String {
    key_chars(name).collect()
}

/// The characters of [`key`], one by one.
pub(super) fn key_chars(name: &str) -> impl Iterator<Item = char> {
    collapsed(name).map(without_accent).map(lower)
}

/// A name with white space collapsed, in lower case; accents stay.
pub(super) fn alias_chars(name: &str) -> impl Iterator<Item = char> {
    collapsed(name).map(lower)
}

/// A name in lower case, character by character. Serves as the id of a driver without one.
pub(super) fn lower_name(name: &str) -> String {
    name.chars().map(lower).collect()
}

/// Compares two names by their keys.
pub(super) fn compare_keys(a: &str, b: &str) -> Ordering {
    key_chars(a).cmp(key_chars(b))
}

/// The name of a shard, as files have it.
pub(super) fn shard_name(shard: usize) -> char {
    ('a'..='z').nth(shard).unwrap_or('_')
}

fn collapsed(name: &str) -> impl Iterator<Item = char> {
    let mut after_space = false;
    name.trim().chars().filter_map(move |c| {
        let space = matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ');
        let is_repeated = space && after_space;
        after_space = space;
        (!is_repeated).then_some(if space { ' ' } else { c })
    })
}

/// Simple lower-casing, one character for one: `İ` becomes `i`.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Replaces one letter by one. Letters that are not listed keep their accents.
fn without_accent(c: char) -> char {
    match c {
        'À' | 'Á' | 'Â' | 'Ã' | 'Ä' | 'Å' | 'Æ' => 'A',
        'Ç' => 'C',
        'Ð' | 'Ď' | 'Đ' => 'D',
        'È' | 'É' | 'Ê' | 'Ë' => 'E',
        'Ì' | 'Í' | 'Î' | 'Ï' => 'I',
        'Ñ' => 'N',
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ö' | 'Ø' | 'Œ' => 'O',
        'Ù' | 'Ú' | 'Û' | 'Ü' => 'U',
        'Ý' => 'Y',
        'Š' => 'S',
        'Ť' | 'Þ' => 'T',
        'Ž' => 'Z',
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'æ' => 'a',
        'ç' => 'c',
        'ð' | 'ď' | 'đ' => 'd',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ñ' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'œ' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        'ý' | 'ÿ' => 'y',
        'š' => 's',
        'ť' | 'þ' => 't',
        'ž' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_and_aliases_of_names() {
        for (name, expected_key, alias) in [
            ("Ludo Flender", "ludo flender", "ludo flender"),
            ("José  Ñandú\t", "jose nandu", "josé ñandú"),
            ("ÆGIR Œuf Þór", "agir ouf tor", "ægir œuf þór"),
            ("İsmail IŞIK", "ismail işik", "ismail işik"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευσ", "οδυσσευσ"),
            ("Łukasz Groß", "łukasz groß", "łukasz groß"),
            ("\u{a0}[TAG]\u{a0}Max \u{3000}", "[tag]\u{a0}max", "[tag]\u{a0}max"),
            ("Ÿ ÿ", "ÿ y", "ÿ ÿ"),
            (" \t ", "", ""),
        ] {
            assert_eq!((key(name).as_str(), alias_chars(name).collect::<String>().as_str()), (expected_key, alias));
        }
        assert_eq!(lower_name(" Ludo  F "), " ludo  f ");
    }

    proptest! {
        #[test]
        fn keys_are_compared_without_making_them(a in "[aAäÄ \tzé佐]{0,6}", b in "[aAäÄ \tzé佐]{0,6}") {
            prop_assert_eq!(compare_keys(&a, &b), key(&a).cmp(&key(&b)));
        }
    }
}
