//! Keys, aliases and ids of drivers.

const FOLDED: [(&str, char); 24] = [
    ("ÀÁÂÃÄÅÆ", 'A'),
    ("Ç", 'C'),
    ("ÐĎĐ", 'D'),
    ("ÈÉÊË", 'E'),
    ("ÌÍÎÏ", 'I'),
    ("Ñ", 'N'),
    ("ÒÓÔÕÖØŒ", 'O'),
    ("ÙÚÛÜ", 'U'),
    ("Ý", 'Y'),
    ("Š", 'S'),
    ("ŤÞ", 'T'),
    ("Ž", 'Z'),
    ("àáâãäåæ", 'a'),
    ("ç", 'c'),
    ("ðďđ", 'd'),
    ("èéêë", 'e'),
    ("ìíîï", 'i'),
    ("ñ", 'n'),
    ("òóôõöøœ", 'o'),
    ("ùúûü", 'u'),
    ("ýÿ", 'y'),
    ("š", 's'),
    ("ťþ", 't'),
    ("ž", 'z'),
];

fn lower(text: &str) -> String {
    text.chars().map(|c| if c == 'İ' { 'i' } else { c.to_lowercase().next().unwrap() }).collect()
}

pub(super) fn alias(name: &str) -> String {
    let spaced: String = name.chars().map(|c| if "\t\n\u{c}\r".contains(c) { ' ' } else { c }).collect();
    let parts: Vec<&str> = spaced.split(' ').collect();
    let mut collapsed = String::new();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 && !(part.is_empty() && number + 1 < parts.len()) {
            collapsed.push(' ');
        }
        collapsed.push_str(part);
    }
    lower(collapsed.trim())
}

pub(super) fn key(name: &str) -> String {
    let fold = |c: char| FOLDED.iter().find(|(from, _)| from.contains(c)).map_or(c, |(_, to)| *to);
    alias(&name.chars().map(fold).collect::<String>())
}

pub(super) fn shard(key: &str) -> char {
    key.chars().next().filter(char::is_ascii_lowercase).unwrap_or('_')
}

pub(super) fn id(name: &str, path: &str) -> String {
    let mut digits: Vec<char> = path.trim_end_matches('/').chars().rev().take_while(char::is_ascii_digit).collect();
    digits.reverse();
    if digits.is_empty() { lower(name) } else { digits.into_iter().collect() }
}
