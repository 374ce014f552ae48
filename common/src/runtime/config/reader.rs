//! Takes keys out of the layers one by one, checks every value given for them, and keeps what was wrong.

use super::environment::{means, variable_of};
use super::error::{ConfigError, Origin, short};
use super::kind::Kind;
use super::layer::Given;
use super::suggest::nearest;

/// A key with the value in force and who gave it.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The key, as `section.key`.
    pub(super) key: &'static str,
    pub(super) state: State,
    pub(super) origin: Origin,
}

/// Whether a key has a value, and how it is written.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// The value as TOML.
    Written(toml::Value),
    /// A value that TOML cannot hold: a path that is not Unicode.
    Unwritable,
    /// No value.
    Unset,
    /// Another value was meant, but it is wrong.
    Wrong,
}

/// Hands out the values of keys. Which keys there are is what it was asked for.
pub(super) struct Reader {
    /// The values of all layers, the winning ones first.
    given: Vec<Given>,
    settings: Vec<Setting>,
    errors: Vec<ConfigError>,
}

impl Reader {
    pub(super) fn new(given: Vec<Given>, errors: Vec<ConfigError>) -> Self {
        Self { given, settings: Vec::new(), errors }
    }

    /// The value of a key.
    pub(super) fn get<T: Clone>(&mut self, key: &'static str, default: T, kind: Kind<T>) -> T {
        self.read(key, Some(default.clone()), kind).unwrap_or(default)
    }

    /// The value of a key that may be without one.
    pub(super) fn optional<T>(&mut self, key: &'static str, kind: Kind<T>) -> Option<T> {
        self.read(key, None, kind)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a kind is made where it is used, in the list of keys")]
    fn read<T>(&mut self, key: &'static str, default: Option<T>, kind: Kind<T>) -> Option<T> {
        let mut layers = Vec::new();
        for given in self.given.iter().filter(|given| given.key == key) {
            let value = (kind.parse)(&given.value);
            if value.is_none() {
                self.errors.push(ConfigError::Value {
                    origin: given.origin.clone(),
                    key,
                    found: given.shown.clone(),
                    expected: match (kind.wrong)(&given.value) {
                        Some(wrong) => format!("{}; {wrong}", kind.expected),
                        None => kind.expected.clone(),
                    },
                });
            }
            layers.push((value, given.origin.clone()));
        }
        let any_given = !layers.is_empty();
        let (value, origin) = layers.into_iter().next().unwrap_or((default, Origin::Default));
        let state = match value.as_ref().map(kind.toml) {
            Some(Some(toml)) => State::Written(toml),
            Some(None) => State::Unwritable,
            None if any_given => State::Wrong,
            None => State::Unset,
        };
        self.settings.push(Setting { key, state, origin });
        value
    }

    /// Keeps that two values do not go together. Says nothing when one of them is already known to be wrong.
    ///
    /// The blame is on the first, unless only the second was given by someone; `first_expected` and
    /// `second_expected` are what each of them should be in view of the other, whose name and value follow.
    pub(super) fn conflict(&mut self, first: &str, second: &str, first_expected: &str, second_expected: &str) {
        let find = |key| self.settings.iter().find(|setting| setting.key == key);
        let (Some(first), Some(second)) = (find(first), find(second)) else { return };
        if matches!(first.state, State::Wrong) || matches!(second.state, State::Wrong) {
            return;
        }
        let first_is_default = first.origin == Origin::Default;
        let (blamed, other, expected) =
            if first_is_default { (second, first, second_expected) } else { (first, second, first_expected) };
        self.errors.push(ConfigError::Value {
            origin: blamed.origin.clone(),
            key: blamed.key,
            found: shown(blamed),
            expected: format!("{expected} {} = {} ({})", other.key, shown(other), other.origin),
        });
    }

    /// The settings in the order in which they were asked for, or everything that is wrong. What was given for keys
    /// that were never asked for is wrong, and so is each of the doubtful variables that means a key.
    pub(super) fn finish(mut self, doubtful: Vec<Given>) -> Result<Vec<Setting>, Vec<ConfigError>> {
        let keys: Vec<&'static str> = self.settings.iter().map(|setting| setting.key).collect();
        let is_section = |name: &str| keys.iter().any(|key| section(key) == name);
        let nameless = |given: &Given| !keys.contains(&given.key.as_str());
        let empty_section = |given: &Given| given.value.is_empty_table() && is_section(&given.key);
        let unknown = self.given.into_iter().filter(|given| nameless(given) && !empty_section(given));
        let meant = doubtful.into_iter().filter(|given| meant(given, &keys).is_some());
        self.errors.extend(unknown.chain(meant).map(|given| ConfigError::UnknownKey {
            hint: hint(&given, &keys),
            key: short(&given.key),
            found: given.shown,
            origin: given.origin,
        }));
        if self.errors.is_empty() { Ok(self.settings) } else { Err(self.errors) }
    }
}

fn shown(setting: &Setting) -> String {
    match &setting.state {
        State::Written(toml) => short(&toml.to_string()),
        State::Unwritable => "a path that is not Unicode".to_owned(),
        State::Unset | State::Wrong => "no value".to_owned(),
    }
}

/// The section of a key.
pub(super) fn section(key: &str) -> &str {
    key.split_once('.').map_or(key, |(section, _)| section)
}

/// The key whose variable's name was nearly hit.
fn meant(given: &Given, keys: &[&'static str]) -> Option<&'static str> {
    let Origin::Variable(name) = &given.origin else { return None };
    keys.iter().copied().find(|key| means(name, key))
}

/// What was probably meant by a key that there is not.
fn hint(given: &Given, keys: &[&'static str]) -> String {
    let is_variable = matches!(given.origin, Origin::Variable(_));
    if let Some(key) = meant(given, keys).or_else(|| nearest(&given.key.to_lowercase(), keys)) {
        let name = if is_variable { variable_of(key) } else { key.to_owned() };
        return format!("did you mean {name}?");
    }
    let mut sections: Vec<&str> = keys.iter().map(|key| section(key)).collect();
    sections.dedup();
    let (its_section, its_name) = given.key.split_once('.').unwrap_or((&given.key, ""));
    if its_name.is_empty() && sections.contains(&its_section) {
        return format!("[{its_section}] is a section: expected keys in it");
    }
    let beside: Vec<&str> = keys.iter().filter_map(|key| key.strip_prefix(its_section)?.strip_prefix('.')).collect();
    if !beside.is_empty() {
        return format!("the keys of [{its_section}] are {}", beside.join(", "));
    }
    match nearest(its_section, &sections) {
        Some(section) => format!("did you mean a key of [{section}]?"),
        None => format!("the sections are {}", sections.join(", ")),
    }
}
