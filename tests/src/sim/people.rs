//! The drivers: everything about a person is derived from the person's number.

use super::names::Names;
use super::random::{Purpose, derive};

const COUNTRIES: &[(&str, &str)] = &[
    ("Germany", "DE"),
    ("Belgium", "BE"),
    ("United Kingdom", "GB"),
    ("France", "FR"),
    ("Italy", "IT"),
    ("Spain", "ES"),
    ("Netherlands", "NL"),
    ("Sweden", "SE"),
    ("Finland", "FI"),
    ("Poland", "PL"),
    ("Czech Republic", "CZ"),
    ("Hungary", "HU"),
    ("Portugal", "PT"),
    ("Austria", "AT"),
    ("Switzerland", "CH"),
    ("Denmark", "DK"),
    ("Norway", "NO"),
    ("United States", "US"),
    ("Brazil", "BR"),
    ("Australia", "AU"),
    ("Japan", "JP"),
    ("China", "CN"),
    ("Korea, Republic of", "KR"),
    ("Russian Federation", "RU"),
    ("Ukraine", "UA"),
    ("Türkiye", "TR"),
    ("Greece", "GR"),
    ("Israel", "IL"),
    ("Saudi Arabia", "SA"),
    ("Côte d'Ivoire", "CI"),
    ("Réunion", "RE"),
    ("", ""),
];
const TEAMS: &[&str] = &[
    "Porsche Motorsport",
    "Race Department",
    "Team \"Full Send\"",
    "Équipe Vitesse",
    "Грид Мастерс",
    "JustRace",
    "Simracing \\o/",
    "Nordschleife Taxi 24/7",
    "Low Fuel & High Hopes",
    "雷神レーシング",
];
const RANKS: &[&str] = &["S", "A", "B", "C", "D", ""];

/// A person, as entries show them.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) user_id: u64,
    /// Name and code.
    pub(super) country: (&'static str, &'static str),
    pub(super) team: &'static str,
    pub(super) rank: &'static str,
}

/// The people numbered from 0.
#[derive(Debug)]
pub(super) struct People {
    seed: u64,
    names: Names,
}

impl People {
    pub(super) fn new(seed: u64, people: u32) -> Self {
        Self { seed, names: Names::new(seed, people) }
    }

    /// The name a person shows.
    pub(super) fn name(&self, person: u32) -> String {
        self.names.display(person)
    }

    pub(super) fn person(&self, person: u32) -> Person {
        let mut rng = derive(self.seed, Purpose::Person, &[person.into()]);
        // The smaller of two draws: some countries have far more drivers than others.
        let country = rng.usize(..COUNTRIES.len()).min(rng.usize(..COUNTRIES.len()));
        let team = if rng.u32(0..3) == 0 { TEAMS[rng.usize(..TEAMS.len())] } else { "" };
        Person {
            name: self.name(person),
            user_id: user_id(person),
            country: COUNTRIES[country],
            team,
            rank: RANKS[rng.usize(..RANKS.len())],
        }
    }
}

/// The service's id of a person, which is unique.
pub(super) fn user_id(person: u32) -> u64 {
    100_003 + 7 * u64::from(person)
}
