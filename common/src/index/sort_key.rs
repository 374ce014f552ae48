//! The sort key of rows: the lower-cased name of the row, or the key of the driver's newest name.

use std::cmp::Ordering;

use super::drivers::{Drivers, id_of};
use super::intern::Text;
use super::key::{compare_keys, key_prefix, push_key};
use crate::domain::Driver;

/// Which sort key an export uses.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum SortKey<'a> {
    /// The row's name in lower case, as in the driver index.
    #[default]
    Name,
    /// The key of the driver's newest name, as in the files of newer front ends.
    Driver(&'a Drivers),
}

impl SortKey<'_> {
    /// The field of a row that determines its key: the name, or the driver's id.
    pub(super) fn text(self, name: Text, driver: Text) -> Text {
        match self {
            Self::Name => name,
            Self::Driver(_) => driver,
        }
    }

    /// Appends the key of a field returned by [`SortKey::text`].
    pub(super) fn push_key(self, text: &str, out: &mut String) {
        match self {
            Self::Name => push_key(text, out),
            Self::Driver(drivers) => drivers.push_key(text, out),
        }
    }

    /// Appends the key of a row of this driver.
    pub(super) fn push_key_of(self, driver: &Driver<'_>, out: &mut String) {
        match self {
            Self::Name => push_key(&driver.name, out),
            Self::Driver(drivers) => drivers.push_key(&id_of(driver), out),
        }
    }

    /// The key of a field returned by [`SortKey::text`].
    pub(super) fn key_of(self, text: &str) -> String {
        let mut key = String::new();
        self.push_key(text, &mut key);
        key
    }

    /// Compares two fields by their keys.
    pub(super) fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Name => compare_keys(a, b),
            Self::Driver(drivers) => drivers.rank(a).cmp(&drivers.rank(b)),
        }
    }

    /// A number that orders keys. Different keys may have the same rank; [`SortKey::compare_ranked`] breaks the tie.
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

    /// Compares two fields of equal rank by their keys.
    pub(super) fn compare_ranked(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Name => compare_keys(a, b),
            Self::Driver(_) => Ordering::Equal,
        }
    }
}
