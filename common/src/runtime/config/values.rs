//! From what flags, variables and the file give to a value for each setting: checks everything given, lets the first layer
//! win, and keeps the source of each value.

use std::ffi::{OsStr, OsString};

use toml::Value;

use super::environment::Environment;
use super::error::{ConfigError, Origin, short};
use super::setting::Setting;
use super::types::SettingType;

/// What one layer gives to one key, which may not exist.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The key, as `section.key`.
    pub(super) key: String,
    pub(super) raw: Raw,
    /// The value as errors show it.
    pub(super) shown: String,
    pub(super) origin: Origin,
}

/// A value before its type is known.
#[derive(Debug, Clone)]
pub(super) enum Raw {
    /// Of a flag or variable.
    Text(OsString),
    /// Of the file; none for what no setting accepts, such as a number of more than 64 bits.
    Toml(Option<Value>),
}

impl Given {
    /// Of a flag or variable.
    pub(super) fn text(key: &str, text: &OsStr, origin: Origin) -> Self {
        let not_utf8 = if text.to_str().is_some() { "" } else { " (not UTF-8)" };
        let shown = format!("\"{}\"{not_utf8}", short(&text.to_string_lossy()));
        Self { key: key.to_owned(), raw: Raw::Text(text.to_owned()), shown, origin }
    }

    /// Whether it is the heading of a section without any key in it.
    pub(super) fn is_empty_section(&self, keys: &[&str]) -> bool {
        let is_empty = matches!(&self.raw, Raw::Toml(Some(Value::Table(table))) if table.is_empty());
        is_empty && keys.iter().any(|key| key.split('.').next() == Some(&self.key))
    }
}

/// The source of a setting's value.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) key: &'static str,
    /// The value as TOML; none if the setting has none.
    pub(super) value: Option<Value>,
    pub(super) origin: Origin,
}

/// The settings so far, in the order of the table.
#[derive(Debug)]
pub(super) struct Values<'e> {
    pub(super) environment: &'e Environment,
    pub(super) sources: Vec<Source>,
    wrong: Vec<&'static str>,
}

impl<'e> Values<'e> {
    /// The settings of the table with the first of the values given for each, or its default. Checks all values given.
    pub(super) fn new(
        environment: &'e Environment,
        table: &[Setting],
        given: &[Given],
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let mut values = Self { environment, sources: Vec::new(), wrong: Vec::new() };
        for setting in table {
            values.add(setting, given, errors);
        }
        values
    }

    fn add(&mut self, setting: &Setting, given: &[Given], errors: &mut Vec<ConfigError>) {
        let mut checked = Vec::new();
        for given in given.iter().filter(|given| given.key == setting.key) {
            let value = match &given.raw {
                Raw::Text(text) => (setting.from_text)(text),
                Raw::Toml(value) => value.clone(),
            };
            let result = value.as_ref().ok_or(None).and_then(|value| (setting.check)(value));
            if let Err(explanation) = &result {
                let more = explanation.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
                let problem = format!("expected {}, found {}{more}", setting.expected, given.shown);
                errors.push(ConfigError::of_key(&given.origin, setting.key, problem));
            }
            checked.push((value.filter(|_| result.is_ok()), given.origin.clone()));
        }
        if checked.first().is_some_and(|(value, _)| value.is_none()) {
            self.wrong.push(setting.key);
        }
        let (value, origin) = match checked.into_iter().next() {
            Some(first) => first,
            None => (self.default_of(setting, errors), Origin::Default),
        };
        self.sources.push(Source { key: setting.key, value, origin });
    }

    fn default_of(&self, setting: &Setting, errors: &mut Vec<ConfigError>) -> Option<Value> {
        let value = match setting.derive {
            Some(derive) => derive(self)?,
            None => setting.example.clone(),
        };
        if (setting.check)(&value).is_err() {
            let problem = format!("expected {}, found {}", setting.expected, short(&value.to_string()));
            errors.push(ConfigError::of_key(&Origin::Default, setting.key, problem));
        }
        Some(value)
    }

    /// The value of a setting. None if it is wrong.
    pub(super) fn get<T: SettingType>(&self, key: &str) -> Option<T> {
        match &self.source(key)?.value {
            Some(value) => T::parse(value),
            None if self.wrong.contains(&key) => None,
            None => T::unset(),
        }
    }

    /// The error that the values of two settings exclude each other, if they do. It is reported for the second, unless only
    /// the first was given; `expected` says what each has to be, to be followed by the other.
    pub(super) fn conflict<T: SettingType>(
        &self,
        first: &str,
        second: &str,
        exclude: impl Fn(&T, &T) -> bool,
        expected: [&str; 2],
    ) -> Option<ConfigError> {
        if !exclude(&self.get(first)?, &self.get(second)?) {
            return None;
        }
        let (first, second) = (self.source(first)?, self.source(second)?);
        let [first_expected, second_expected] = expected;
        let (blamed, other, expected) = match second.origin {
            Origin::Default => (first, second, first_expected),
            _ => (second, first, second_expected),
        };
        let shown = |source: &Source| source.value.as_ref().map(|it| short(&it.to_string())).unwrap_or_default();
        let (found, limit) = (shown(blamed), shown(other));
        let problem = format!("expected {expected} {} = {limit} ({}), found {found}", other.key, other.origin);
        Some(ConfigError::of_key(&blamed.origin, blamed.key, problem))
    }

    fn source(&self, key: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.key == key)
    }
}
