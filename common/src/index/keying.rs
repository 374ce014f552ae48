//! What rows are grouped and ordered by: the lower case of their names, or the keys of their drivers.

use std::cmp::Ordering;

use super::drivers::{Drivers, id_of};
use super::intern::Text;
use super::key::{compare_keys, key_prefix, push_key};
use crate::domain::Driver;

/// What decides the key of a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Keying<'a> {
    /// Its name in lower case.
    #[default]
    Name,
    /// The key of the newest name of its driver.
    Driver(&'a Drivers),
}

impl Keying<'_> {
    /// The text of a row that its key follows from: a name, or a driver's id.
    pub(super) fn text(self, name: Text, driver: Text) -> Text {
        match self {
            Self::Name => name,
            Self::Driver(_) => driver,
        }
    }

    /// Appends the key that follows from a text.
    pub(super) fn push_key(self, text: &str, out: &mut String) {
        match self {
            Self::Name => push_key(text, out),
            Self::Driver(drivers) => drivers.push_key(text, out),
        }
    }

    /// Appends the key of a driver's row.
    pub(super) fn push_key_of(self, driver: &Driver<'_>, out: &mut String) {
        match self {
            Self::Name => push_key(&driver.name, out),
            Self::Driver(drivers) => drivers.push_key(&id_of(driver), out),
        }
    }

    /// The key that follows from a text.
    pub(super) fn key_of(self, text: &str) -> String {
        let mut key = String::new();
        self.push_key(text, &mut key);
        key
    }

    /// Compares the keys of two texts.
    pub(super) fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Name => compare_keys(a, b),
            Self::Driver(drivers) => drivers.rank(a).cmp(&drivers.rank(b)),
        }
    }

    /// A number by which keys are ordered, as far as it tells them apart.
    pub(super) fn rank(self, text: &str, buffer: &mut String) -> u64 {
        match self {
            Self::Name => {
                buffer.clear();
                push_key(text, buffer);
                key_prefix(buffer)
            }
            Self::Driver(drivers) => u64::from(drivers.rank(text)),
        }
    }

    /// Compares the keys of two texts of the same rank.
    pub(super) fn compare_ranked(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Name => compare_keys(a, b),
            Self::Driver(_) => Ordering::Equal,
        }
    }
}
