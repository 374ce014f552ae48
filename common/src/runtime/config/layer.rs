//! The form in which file, variables and flags hand over what they say: a key, a value, and who said it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::error::{Origin, short};

/// A value before its key's type is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Of a variable or flag: stands for any type.
    Untyped(OsString),
    /// A string of the file.
    Text(String),
    /// A whole number of the file.
    Integer(i64),
    /// `true` or `false` in the file.
    Boolean(bool),
    /// An array of the file.
    List(Vec<Self>),
    /// A section of the file without a key in it.
    EmptyTable,
    /// What no key has: a table with keys, a fraction, a date, a number beyond 64 bits.
    Other,
}

impl Value {
    /// The value as text, if it may stand for one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Untyped(text) => text.to_str(),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as a path, which need not be Unicode when it comes from a variable or flag.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Untyped(text) => Some(Path::new(text)),
            Self::Text(text) => Some(Path::new(text)),
            _ => None,
        }
    }

    pub(super) fn is_empty_table(&self) -> bool {
        matches!(self, Self::EmptyTable)
    }

    /// The value as messages repeat it.
    fn shown(&self) -> String {
        match self {
            Self::Untyped(text) => match text.to_str() {
                Some(text) => format!("\"{}\"", short(text)),
                None => format!("\"{}\" (not UTF-8)", short(&text.to_string_lossy())),
            },
            Self::Text(text) => format!("\"{}\"", short(text)),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::List(_) | Self::EmptyTable | Self::Other => "…".to_owned(),
        }
    }
}

/// A value given to a key, which may be unknown.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The key, as `section.key`.
    pub(super) key: String,
    pub(super) value: Value,
    /// The value as messages repeat it.
    pub(super) shown: String,
    pub(super) origin: Origin,
}

impl Given {
    /// A value of a variable or flag.
    pub(super) fn untyped(key: &str, value: &OsStr, origin: Origin) -> Self {
        let value = Value::Untyped(value.to_owned());
        Self { key: key.to_owned(), shown: value.shown(), value, origin }
    }
}

/// A value that the command line gives to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as the user writes it, with its hyphens.
    pub name: &'static str,
    /// The key that it sets, as `section.key`.
    pub key: &'static str,
    /// Its value, unchecked.
    pub value: OsString,
}
