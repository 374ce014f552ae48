//! Which faults are injected, how often, and into which requests.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use r3e_common::domain::Combination;
use serde::{Deserialize, Serialize};

use super::options::{SimError, check_rate};
use super::random::{Purpose, derive};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A way in which an answer to a listing goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FaultKind {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl FaultKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The kind's name on the command line and in the counters.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

kinds! {
    /// 429 with `Retry-After`.
    TooManyRequests = "too-many-requests",
    /// 503 with `Retry-After`.
    Unavailable = "unavailable",
    /// 500.
    InternalError = "internal-error",
    /// 502.
    BadGateway = "bad-gateway",
    /// The connection is closed without an answer.
    CloseBefore = "close-before",
    /// The connection is closed in the middle of a body whose `Content-Length` promised more.
    CutLength = "cut-length",
    /// The connection is closed in the middle of a chunked body.
    CutChunked = "cut-chunked",
    /// An HTML maintenance page with status 200.
    Maintenance = "maintenance",
    /// Half of the JSON as a complete answer.
    TruncatedJson = "truncated-json",
    /// `results` is an object, null or a string.
    WrongType = "wrong-type",
    /// The body comes a byte at a time, and never whole.
    SlowDrip = "slow-drip",
    /// The body does not end.
    EndlessBody = "endless-body",
    /// A small compressed body that inflates to more than 256 MiB.
    GzipBomb = "gzip-bomb",
    /// A byte that is no UTF-8 in the first driver's name.
    InvalidUtf8 = "invalid-utf8",
    /// `results` stands twice; the second one is the right one.
    DuplicateKeys = "duplicate-keys",
    /// A million arrays inside one another.
    DeepNesting = "deep-nesting",
    /// More entries than `count` asked for, where the page has any.
    TooManyEntries = "too-many-entries",
    /// The first page, ignoring `start`. Has an effect on later pages only.
    IgnoresStart = "ignores-start",
    /// The page in ISO-8859-1, as its `Content-Type` says; other characters are escaped. A right answer.
    Latin1 = "latin1",
    /// The page in UTF-16, as its `Content-Type` says. A right answer.
    Utf16 = "utf16",
    /// A byte order mark in front of the JSON. A right answer.
    Bom = "bom",
    /// The page in ISO-8859-1, while its `Content-Type` says UTF-8 or nothing.
    UndeclaredLatin1 = "undeclared-latin1",
    /// An entry is inserted at the top of the board after its first page was sent, and stays. Happens once per board, on a
    /// later page with entries.
    Inserted = "inserted",
    /// The second entry of the board is removed after its first page was sent, for good. Happens once per board, on a later
    /// page with entries.
    Removed = "removed",
}

impl FaultKind {
    /// Whether the common rate includes it. It does not include valid responses in another encoding, changes of a board, and
    /// faults that have no effect on some pages.
    #[must_use]
    pub const fn is_common(self) -> bool {
        use FaultKind::{Bom, Inserted, Latin1, Removed, UndeclaredLatin1, Utf16};
        !matches!(self, Latin1 | Utf16 | Bom | UndeclaredLatin1 | Inserted | Removed)
    }

    /// Whether it has an effect only after an earlier page.
    const fn needs_earlier_page(self) -> bool {
        matches!(self, Self::IgnoresStart | Self::Inserted | Self::Removed)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("{text:?} is no kind of fault: expected one of {}", names.join(", "))
        })
    }
}

/// The faults to inject, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// The share of listings that go wrong, all kinds alike but those that concern encodings and changes of boards; each
    /// kind that `rates` names has its own instead.
    pub rate: f64,
    /// The share of listings that go wrong in that way.
    pub rates: BTreeMap<FaultKind, f64>,
    /// Boards of which every listing goes wrong.
    pub always: BTreeMap<Combination, FaultKind>,
    /// What `Retry-After` says; whole seconds, rounded up.
    pub retry_after: Duration,
    /// `Retry-After` as a date instead of seconds.
    pub retry_after_date: bool,
    /// How long a slow body waits between two bytes.
    pub drip_every: Duration,
    /// After how long the connection of a slow body is closed.
    pub drip_for: Duration,
    /// The size at which an endless body ends after all, so that a client without a limit ends too.
    pub endless_bytes: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            rate: 0.0,
            rates: BTreeMap::new(),
            always: BTreeMap::new(),
            retry_after: Duration::from_secs(1),
            retry_after_date: false,
            drip_every: Duration::from_secs(1),
            drip_for: Duration::from_mins(1),
            endless_bytes: 1 << 30,
        }
    }
}

impl Faults {
    /// All kinds that `rate` is for, at that rate together.
    #[must_use]
    pub fn all(rate: f64) -> Self {
        Self { rate, ..Self::default() }
    }

    /// One kind only.
    #[must_use]
    pub fn only(kind: FaultKind, rate: f64) -> Self {
        Self { rates: BTreeMap::from([(kind, rate)]), ..Self::default() }
    }

    /// Refuses invalid rates, and rates that add up to more than 1.
    pub(super) fn check(&self) -> Result<(), SimError> {
        check_rate("fault-rate", self.rate)?;
        self.rates.values().try_for_each(|&rate| check_rate("fault", rate))?;
        let sum: f64 = FaultKind::ALL.iter().map(|&kind| self.rate_of(kind)).sum();
        if sum > 1.0 + 1e-9 {
            return Err(SimError::refused("fault", sum, "rates that add up to at most 1"));
        }
        Ok(())
    }

    /// Whether anything can go wrong.
    pub(super) fn any(&self) -> bool {
        !self.always.is_empty() || FaultKind::ALL.iter().any(|&kind| self.rate_of(kind) > 0.0)
    }

    /// The fault of this attempt at a page, if any. Deterministic in its arguments.
    pub(super) fn draw(&self, seed: u64, board: Combination, start: u64, attempt: u64) -> Option<FaultKind> {
        let kind = self.always.get(&board).copied().or_else(|| {
            let numbers = [board.track.get().into(), board.class.get().into(), start, attempt];
            let mut luck = derive(seed, Purpose::Fault, &numbers).f64();
            FaultKind::ALL.iter().copied().find(|&kind| {
                luck -= self.rate_of(kind);
                luck < 0.0
            })
        });
        kind.filter(|&kind| start > 0 || !kind.needs_earlier_page())
    }

    fn rate_of(&self, kind: FaultKind) -> f64 {
        let common = FaultKind::ALL.iter().map(|kind| f64::from(u8::from(kind.is_common())));
        let share = if kind.is_common() { self.rate / common.sum::<f64>() } else { 0.0 };
        self.rates.get(&kind).copied().unwrap_or(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r3e_common::domain::Catalog;

    fn drawn(faults: &Faults, start: u64) -> BTreeMap<FaultKind, u32> {
        let mut kinds = BTreeMap::new();
        for board in Catalog::builtin().combinations() {
            if let Some(kind) = faults.draw(1, board, start, 0) {
                *kinds.entry(kind).or_default() += 1;
            }
        }
        kinds
    }

    #[test]
    fn names_read_back_and_others_are_refused_with_the_choice() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("{:?}", kind.name()));
        }
        assert!("slow".parse::<FaultKind>().unwrap_err().contains("slow-drip"));
    }

    #[test]
    fn the_common_rate_is_an_even_mix_of_the_kinds_it_is_for() {
        let kinds = drawn(&Faults::all(0.36), 1500);
        let common: Vec<_> = FaultKind::ALL.iter().copied().filter(|kind| kind.is_common()).collect();
        assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), common);
        for (kind, times) in kinds {
            assert!((220..370).contains(&times), "{kind} {times} times of 294");
        }
    }

    #[test]
    fn a_kinds_own_rate_stands_instead_of_its_share() {
        let mut faults = Faults::all(0.36);
        faults.rates = BTreeMap::from([(FaultKind::SlowDrip, 0.0), (FaultKind::BadGateway, 0.5)]);
        let kinds = drawn(&faults, 0);
        assert_eq!((kinds.get(&FaultKind::SlowDrip), kinds.get(&FaultKind::IgnoresStart)), (None, None));
        assert!(kinds[&FaultKind::BadGateway] > 7000);
        faults.rates.insert(FaultKind::CutLength, 0.4);
        assert!(faults.check().unwrap_err().to_string().contains("add up to at most 1"));
        assert!(Faults::all(1.5).check().unwrap_err().to_string().contains("fault-rate = 1.5: expected a number"));
        assert!(Faults::all(f64::NAN).check().is_err());
    }

    #[test]
    fn a_retry_can_succeed_except_where_the_fault_is_lasting() {
        let board = Catalog::builtin().combinations().next().unwrap();
        let mut faults = Faults::only(FaultKind::InternalError, 0.5);
        let tries: Vec<bool> = (0..64).map(|attempt| faults.draw(3, board, 0, attempt).is_some()).collect();
        assert!(tries.contains(&true) && tries.contains(&false));
        faults.always.insert(board, FaultKind::Maintenance);
        assert!((0..64).all(|attempt| faults.draw(3, board, 0, attempt) == Some(FaultKind::Maintenance)));
    }
}
