//! Display names: made from a person's number alone, in many scripts, some of them shared.

use super::random::{Purpose, derive};
use super::scripts::{SCRIPTS, Script};

/// Of a thousand people, how many have another's name, and how many another's name in another case.
const SHARED: u32 = 8;
const OTHER_CASE: u32 = 8;

/// Names for the people numbered from 0.
#[derive(Debug)]
pub(super) struct Names {
    seed: u64,
    people: u64,
    /// `person * factor + shift` modulo `people` meets each number once: neighbours get unlike names.
    factor: u64,
    shift: u64,
}

impl Names {
    pub(super) fn new(seed: u64, people: u32) -> Self {
        let mut rng = derive(seed, Purpose::People, &[]);
        let people = u64::from(people.max(1));
        let mut factor = rng.u64(0..people) | 1;
        while greatest_common_divisor(factor, people) != 1 {
            factor += 2;
        }
        Self { seed, people, factor, shift: rng.u64(0..people) }
    }

    /// The displayed name of a person. A few people display another person's name.
    pub(super) fn display(&self, person: u32) -> String {
        let mut rng = derive(self.seed, Purpose::Name, &[person.into()]);
        let luck = rng.u32(0..1000);
        if luck >= SHARED + OTHER_CASE {
            return self.own(person.into());
        }
        let other = self.own(rng.u64(0..self.people));
        match luck {
            _ if luck < SHARED => other,
            _ if rng.bool() => other.to_uppercase(),
            _ => other.to_lowercase(),
        }
    }

    /// A person's own name, which is unique.
    fn own(&self, person: u64) -> String {
        let number = (person * self.factor + self.shift) % self.people;
        let (round, mut slot) = (number / 16, number % 16);
        for script in SCRIPTS {
            if slot < script.share {
                return spell(script, round * script.share + slot);
            }
            slot -= script.share;
        }
        extraordinary(round)
    }
}

/// First name and surname from the digits of the number; what remains is appended as a number.
fn spell(script: &Script, number: u64) -> String {
    let mut rest = number;
    let mut digit = |parts: &[&'static str]| {
        let base = parts.len() as u64;
        let part = usize::try_from(rest % base).map_or("", |place| parts[place]);
        rest /= base;
        part
    };
    let (first, head, tail) = (digit(script.first), digit(script.head), digit(script.tail));
    let number = if rest == 0 { String::new() } else { format!(" {}", rest + 1) };
    format!("{first} {head}{tail}{number}")
}

/// Unusual names: quotes, backslashes, tabs, markup, emoji, combining marks, long names.
pub(super) fn extraordinary(round: u64) -> String {
    let name = spell(&SCRIPTS[0], round / 8);
    match round % 8 {
        0 => format!("\"Ace\" {name}"),
        1 => name.replace(' ', "\\"),
        2 => format!("🏎️ {name} 🏁"),
        3 => name.replace(' ', "\t"),
        4 => format!("<b>{name}</b> & Söhne"),
        5 => format!("👨‍👩‍👧 {name}"),
        6 => name.replacen(' ', "\u{301} \u{1}", 1),
        _ => format!("[{}] {name}", "xX-".repeat(30)),
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn the_shares_leave_one_slot_for_the_extraordinary() {
        assert_eq!(SCRIPTS.iter().map(|script| script.share).sum::<u64>(), 15);
    }

    #[test]
    fn most_names_are_ones_own_and_a_few_are_shared_or_differ_by_case() {
        let names = Names::new(7, 20_000);
        let all: Vec<String> = (0..20_000).map(|person| names.display(person)).collect();
        let distinct: HashSet<&String> = all.iter().collect();
        assert!((19_500..19_950).contains(&distinct.len()), "{}", distinct.len());
        let mut spellings: HashMap<String, HashSet<&String>> = HashMap::new();
        for name in &all {
            spellings.entry(name.to_lowercase()).or_default().insert(name);
        }
        let by_case = spellings.values().filter(|spellings| spellings.len() > 1).count();
        assert!(by_case > 50, "{by_case}");
    }

    #[test]
    fn every_script_and_every_trap_is_there() {
        let names = Names::new(1, 5000);
        let all: Vec<String> = (0..5000).map(|person| names.display(person)).collect();
        for part in
            ["ö", "Петр", "ς", "İ", "王", "김", "محمد", "משה", "🏎️", "\"", "\\", "\t", "<b>", "\u{301}", "\u{1}"]
        {
            assert!(all.iter().any(|name| name.contains(part)), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn no_name_is_empty_and_own_names_are_distinct(seed in any::<u64>(), people in 1u32..600) {
            let names = Names::new(seed, people);
            prop_assert!((0..people).all(|person| !names.display(person).is_empty()));
            let own: HashSet<String> = (0..people).map(|person| names.own(person.into())).collect();
            prop_assert_eq!(own.len(), people as usize);
        }
    }
}
