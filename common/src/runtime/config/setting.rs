//! One setting of the table, whatever its type.

use std::ffi::OsStr;

use toml::Value;

use super::types::SettingType;
use super::values::Values;

/// A section of the configuration file.
#[derive(Debug)]
pub struct Section {
    /// Its name, without brackets.
    pub name: &'static str,
    /// Its documentation, line by line.
    pub doc: &'static [&'static str],
    /// Its settings.
    pub settings: Vec<Setting>,
}

/// A setting: everything about it but its value.
pub struct Setting {
    /// The key, as `section.key`.
    pub key: &'static str,
    /// Its documentation, line by line.
    pub doc: &'static [&'static str],
    /// The default, or an example if the default is not always the same.
    pub example: Value,
    /// What the default is if it is not always `example`.
    pub default_doc: Option<&'static str>,
    /// The accepted values, if they are few or a range of numbers.
    pub range: Option<String>,
    pub(super) derive: Option<Derive>,
    /// The accepted values, to follow "expected".
    pub(super) expected: String,
    /// Makes a value as the file would have it from the text of a flag or variable.
    pub(super) from_text: fn(&OsStr) -> Option<Value>,
    /// Checks a value. An error says more than `expected` if there is more to say.
    pub(super) check: Check,
}

type Check = Box<dyn Fn(&Value) -> Result<(), Option<String>>>;

impl Setting {
    pub(super) fn new<T: SettingType>(
        key: &'static str,
        doc: &'static [&'static str],
        default: DefaultValue,
        range: T::Range,
    ) -> Self {
        let (expected, described) = (T::expected(&range), T::describe(&range));
        let check = move |value: &Value| match T::parse(value) {
            Some(parsed) if parsed.is_within(&range) => Ok(()),
            _ => Err(T::explain(value)),
        };
        let DefaultValue { example, doc: default_doc, derive } = default;
        let (from_text, check) = (T::from_text, Box::new(check));
        Self { key, doc, example, default_doc, range: described, derive, expected, from_text, check }
    }

    /// The key within its section.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Computes a default from the settings before it in the table and the environment. None if there is no value.
type Derive = fn(&Values<'_>) -> Option<Value>;

/// The value of a setting that nobody sets.
pub(super) struct DefaultValue {
    example: Value,
    doc: Option<&'static str>,
    derive: Option<Derive>,
}

/// No value by default: what that means, and an example.
pub(super) fn unset(doc: &'static str, example: impl Into<Value>) -> DefaultValue {
    derived(doc, example, |_| None)
}

/// A default that depends on other settings or the environment: what it is, an example, and how it is computed.
pub(super) fn derived(doc: &'static str, example: impl Into<Value>, derive: Derive) -> DefaultValue {
    DefaultValue { example: example.into(), doc: Some(doc), derive: Some(derive) }
}

impl<T: Into<Value>> From<T> for DefaultValue {
    fn from(value: T) -> Self {
        Self { example: value.into(), doc: None, derive: None }
    }
}
