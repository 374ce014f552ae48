//! The configuration. A flag takes precedence over a variable, a variable over the file, the file over the default. Every
//! value of every layer is checked, and all errors are reported at once.
//!
//! `settings.rs` is the table of settings: a new one is added there and nowhere else.

mod archive_url;
mod args;
mod environment;
mod error;
mod file;
mod index_format;
mod kind;
mod paths;
mod settings;
#[cfg(test)]
mod tests;
mod unknown;
mod values;
mod variables;

use std::ffi::{OsStr, OsString};

use toml::{Table, Value};

pub use archive_url::ArchiveUrl;
pub use args::ConfigArgs;
pub use environment::Environment;
pub use error::{ConfigError, ConfigErrors};
pub use index_format::IndexFormat;
pub use settings::{
    Archive, Cache, Catalog, Config, Index, Log, Memory, Monitor, Refresh, Runtime, Schedule, Section, Upstream,
    sections,
};

pub use values::Setting;

use values::{Given, Source, Values};

/// What a configuration is loaded from.
#[derive(Debug, Clone)]
pub struct Layers<'a> {
    /// The file that `--config` names. Without it the file is the one that `R3E_CONFIG` names, else `./r3e.toml`, else
    /// `/etc/r3e/r3e.toml`, else there is none.
    pub file: Option<&'a OsStr>,
    /// The values from the command line; the first one for a key takes precedence.
    pub flags: Vec<Flag>,
    /// Variables and folders.
    pub environment: &'a Environment,
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

/// A configuration, and where its values come from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings in force.
    pub config: Config,
    sources: Vec<Source>,
}

impl Loaded {
    /// Where a setting's value comes from: the flag, the variable, the file with its line, or "default".
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&str> {
        self.sources.iter().find(|source| source.key == key).map(|source| source.origin.as_str())
    }

    /// All settings as a configuration file, with the source of each value in a comment. Settings without a value are
    /// comments.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut lines = vec!["# The configuration in force. As r3e.toml, this text gives the same.".to_owned()];
        let mut last_section = "";
        for Source { key, value, origin } in &self.sources {
            let (section, name) = key.split_once('.').unwrap_or((key, ""));
            if section != last_section {
                lines.push(format!("\n[{section}]"));
                last_section = section;
            }
            lines.push(match value {
                Some(value) => format!("{name} = {value} # {origin}"),
                None => format!("# {name} = # not set"),
            });
        }
        lines.join("\n") + "\n"
    }
}

/// Loads and checks a configuration.
///
/// # Errors
/// Everything that is wrong: a file that cannot be read or is not TOML, unknown keys and variables, values that a key does
/// not accept even if another layer overrides them, and values that exclude each other.
pub fn load(layers: &Layers<'_>) -> Result<Loaded, ConfigErrors> {
    let table = table();
    let keys: Vec<&'static str> = table.iter().map(|setting| setting.key).collect();
    let flags = layers.flags.iter().filter_map(|flag| Given::text(&table, flag.key, &flag.value, flag.name));
    let (variables, unknown_variables) = variables::given(layers.environment, &table);
    let (file, mut errors) = match file::given(layers.file, layers.environment) {
        Ok(file) => (file, Vec::new()),
        Err(errors) => (Vec::new(), errors),
    };
    let is_section = |name: &str| keys.iter().any(|key| key.split('.').next() == Some(name));
    let is_empty = |value: Option<&Value>| value.and_then(Value::as_table).is_some_and(Table::is_empty);
    let is_known = |it: &Given| keys.contains(&it.key.as_str()) || is_section(&it.key) && is_empty(it.value.as_ref());
    let unknown = |it: &Given| (!is_known(it)).then(|| unknown::key(&it.origin, &it.key, &keys));
    let unknown: Vec<ConfigError> = file.iter().filter_map(unknown).chain(unknown_variables).collect();
    let given: Vec<Given> = flags.chain(variables).chain(file).collect();
    let values = Values::new(layers.environment, &table, &given, &mut errors);
    errors.extend(settings::conflicts(&values));
    errors.extend(unknown);
    match settings::config(&values) {
        Some(config) if errors.is_empty() => Ok(Loaded { config, sources: values.sources }),
        _ => Err(ConfigErrors(errors)),
    }
}

fn table() -> Vec<Setting> {
    sections().into_iter().flat_map(|section| section.settings).collect()
}

/// The defaults, for a program of root without environment variables that is started in `/`.
impl Default for Config {
    #[expect(clippy::expect_used, reason = "the table is part of the program, and a test loads its defaults")]
    fn default() -> Self {
        let environment = Environment::bare("/".into(), 0);
        let values = Values::new(&environment, &table(), &[], &mut Vec::new());
        settings::config(&values).expect("valid defaults")
    }
}
