//! Ids as types: no path or URL is built from unchecked text.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an id or not a combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not the decimal form of a positive 32-bit number.
    #[error("expected a positive whole number without sign or leading zeros")]
    Number,
    /// Not `track-class`.
    #[error("expected TRACK-CLASS, two ids with one hyphen between them")]
    Combination,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The id; `None` for 0, which the service does not use.
            #[must_use]
            pub const fn new(id: u32) -> Option<Self> {
                if id == 0 { None } else { Some(Self(id)) }
            }

            /// The number itself.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Accepts only the form that `Display` writes.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
                let number = if canonical { text.parse().ok() } else { None };
                number.and_then(Self::new).ok_or(IdError::Number)
            }
        }
    };
}

id! {
    /// A track layout, by the id that the leaderboard service uses.
    TrackId
}
id! {
    /// A car class, by the id that the leaderboard service uses.
    ClassId
}

/// One track layout with one car class: what has a leaderboard. Written `track-class`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Combination {
    /// The track layout.
    pub track: TrackId,
    /// The car class.
    pub class: ClassId,
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.track, self.class)
    }
}

impl FromStr for Combination {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (track, class) = text.split_once('-').ok_or(IdError::Combination)?;
        Ok(Self { track: track.parse()?, class: class.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_canonical_form_is_an_id() {
        assert_eq!("1693".parse(), Ok(TrackId(1693)));
        for wrong in ["", "0", "01693", "+5", "-5", " 5", "5 ", "4294967296", "٣", "1e3"] {
            assert_eq!(wrong.parse::<TrackId>(), Err(IdError::Number), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_combination_reads_back_as_written(track in 1u32.., class in 1u32..) {
            let it = Combination { track: TrackId(track), class: ClassId(class) };
            prop_assert_eq!(it.to_string().parse(), Ok(it));
        }

        #[test]
        fn an_accepted_text_is_written_unchanged(text in "[0-9+ -]{0,12}") {
            if let Ok(it) = text.parse::<Combination>() {
                prop_assert_eq!(it.to_string(), text);
            }
        }
    }
}
