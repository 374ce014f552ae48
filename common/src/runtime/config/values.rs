//! A setting, and how it gets its value from flags, variables and the file: every given value is checked, the first layer takes
//! precedence, and the source of each value is kept.

use std::ffi::OsStr;

use toml::Value;

use super::environment::Environment;
use super::error::{ConfigError, short};
use super::kind::Kind;

/// The origin of a default.
const DEFAULT: &str = "default";

/// An entry of the table.
pub struct Setting {
    /// The key, as `section.key`.
    pub key: &'static str,
    /// Its documentation, line by line.
    pub doc: &'static [&'static str],
    /// The accepted values, if they are few or a range of numbers.
    pub range: Option<String>,
    /// The default, or an example if the default is not always the same.
    pub example: Value,
    /// What the default is if it is not always `example`.
    pub default_doc: Option<&'static str>,
    pub(super) derive: Option<Derive>,
    pub(super) expected: String,
    pub(super) from_text: fn(&OsStr) -> Option<Value>,
    pub(super) check: Check,
}

/// Checks a value. An error explains what is wrong, if naming the expected values is not enough.
type Check = Box<dyn Fn(&Value) -> Result<(), Option<String>>>;
/// Computes a default from the settings before it in the table and the environment. None if there is no value.
pub(super) type Derive = fn(&Values<'_>) -> Option<Value>;

impl Setting {
    pub(super) fn new<T: 'static>(
        key: &'static str,
        doc: &'static [&'static str],
        kind: Kind<T>,
        DefaultValue { example, doc: default_doc, derive }: DefaultValue,
    ) -> Self {
        let Kind { expected, range, from_text, parse, explain, .. } = kind;
        let check = Box::new(move |value: &Value| parse(value).map(drop).ok_or_else(|| explain(value)));
        Self { key, doc, range, example, default_doc, derive, expected, from_text, check }
    }

    /// The key within its section.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }
}

/// A default, or how it is found.
pub(super) struct DefaultValue {
    pub(super) example: Value,
    pub(super) doc: Option<&'static str>,
    pub(super) derive: Option<Derive>,
}

impl<T: Into<Value>> From<T> for DefaultValue {
    fn from(value: T) -> Self {
        Self { example: value.into(), doc: None, derive: None }
    }
}

/// What one layer gives to one key, which may not exist.
#[derive(Debug)]
pub(super) struct Given {
    /// The key, as `section.key`.
    pub(super) key: String,
    /// The value; none for what no setting accepts, such as a number of more than 64 bits.
    pub(super) value: Option<Value>,
    /// The value as errors show it.
    pub(super) shown: String,
    /// The flag, the variable, or the file with its line.
    pub(super) origin: String,
}

impl Given {
    /// By a flag or variable. None if there is no such key.
    pub(super) fn text(table: &[Setting], key: &str, text: &OsStr, origin: &str) -> Option<Self> {
        let setting = table.iter().find(|setting| setting.key == key)?;
        let not_utf8 = if text.to_str().is_some() { "" } else { " (not UTF-8)" };
        let shown = format!("\"{}\"{not_utf8}", short(&text.to_string_lossy()));
        Some(Self { key: key.to_owned(), value: (setting.from_text)(text), shown, origin: origin.to_owned() })
    }
}

/// The value of a setting and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) key: &'static str,
    /// None if it is wrong, or the setting has none.
    pub(super) value: Option<Value>,
    pub(super) origin: String,
}

/// The settings so far, in the order of the table.
#[derive(Debug)]
pub(super) struct Values<'e> {
    pub(super) environment: &'e Environment,
    pub(super) sources: Vec<Source>,
}

impl<'e> Values<'e> {
    /// The settings of the table with the first of the values given for each, or its default. Checks all values given.
    pub(super) fn new(
        environment: &'e Environment,
        table: &[Setting],
        given: &[Given],
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let mut values = Self { environment, sources: Vec::new() };
        for setting in table {
            let given: Vec<&Given> = given.iter().filter(|given| given.key == setting.key).collect();
            errors.extend(given.iter().filter_map(|it| wrong(setting, it.value.as_ref(), &it.origin, &it.shown)));
            let (value, origin) = if let Some(first) = given.first() {
                (first.value.clone(), first.origin.clone())
            } else {
                let value = setting.derive.map_or_else(|| Some(setting.example.clone()), |derive| derive(&values));
                let shown = |value: &Value| short(&value.to_string());
                errors.extend(value.as_ref().and_then(|it| wrong(setting, Some(it), DEFAULT, &shown(it))));
                (value, DEFAULT.to_owned())
            };
            let value = value.filter(|value| (setting.check)(value).is_ok());
            values.sources.push(Source { key: setting.key, value, origin });
        }
        values
    }

    /// The value of a setting. None if it is wrong.
    pub(super) fn get<T>(&self, key: &str, kind: Kind<T>) -> Option<T> {
        match &self.source(key)?.value {
            Some(value) => (kind.parse)(value),
            None => kind.unset,
        }
    }

    /// The error that the values of two settings exclude each other. It is reported for the second, unless only the first was
    /// given; `expected` says what each has to be, to be followed by the other.
    pub(super) fn conflict(&self, first: &str, second: &str, expected: [&str; 2]) -> Option<ConfigError> {
        let (first, second) = (self.source(first)?, self.source(second)?);
        let (blamed, other, expected) =
            if second.origin == DEFAULT { (first, second, expected[0]) } else { (second, first, expected[1]) };
        let shown = |source: &Source| source.value.as_ref().map(|it| short(&it.to_string())).unwrap_or_default();
        let (found, limit) = (shown(blamed), shown(other));
        let problem = format!("expected {expected} {} = {limit} ({}), found {found}", other.key, other.origin);
        Some(ConfigError::of_key(&blamed.origin, blamed.key, problem))
    }

    fn source(&self, key: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.key == key)
    }
}

/// The error of a value that the setting does not accept.
fn wrong(setting: &Setting, value: Option<&Value>, origin: &str, shown: &str) -> Option<ConfigError> {
    let explanation = value.map_or(Err(None), |value| (setting.check)(value)).err()?;
    let more = explanation.map(|it| format!(" ({it})")).unwrap_or_default();
    Some(ConfigError::of_key(origin, setting.key, format!("expected {}, found {shown}{more}", setting.expected)))
}
