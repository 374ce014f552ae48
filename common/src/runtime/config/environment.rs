//! The environment of a process, as a value, so that tests need not change the real one.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::error::ConfigError;
use super::settings::Setting;
use super::unknown;
use super::values::Given;

/// The prefix of our variables.
const PREFIX: &str = "R3E_";
/// The variable that names the configuration file.
pub(super) const FILE_VARIABLE: &str = "R3E_CONFIG";
/// The one variable without the prefix: operators know it from the older program.
const MEMORY_VARIABLE: &str = "MEMORY_LIMIT_MB";

/// The variables, folders and user of a process.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The environment variables, names and values.
    pub variables: Vec<(OsString, OsString)>,
    /// The working directory, where relative paths start.
    pub current_dir: PathBuf,
    /// The system-wide configuration file: `/etc/r3e/r3e.toml`.
    pub system_file: PathBuf,
    /// The folder for sockets if a supervisor has created it: `/run/r3e`.
    pub system_runtime_dir: PathBuf,
    /// The effective user id.
    pub uid: u32,
}

impl Environment {
    /// An environment without variables, with the usual paths.
    #[must_use]
    pub fn bare(current_dir: PathBuf, uid: u32) -> Self {
        Self {
            variables: Vec::new(),
            current_dir,
            system_file: PathBuf::from("/etc/r3e/r3e.toml"),
            system_runtime_dir: PathBuf::from("/run/r3e"),
            uid,
        }
    }

    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        // A deleted working directory has no path: absolute paths still work, relative ones fail where they are used.
        let current_dir = std::env::current_dir().unwrap_or_default();
        let uid = nix::unistd::Uid::effective().as_raw();
        Self { variables: std::env::vars_os().collect(), ..Self::bare(current_dir, uid) }
    }

    /// The value of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    /// Whether the terminal can show plain text only (`TERM=dumb`).
    #[must_use]
    pub fn is_dumb(&self) -> bool {
        self.variable("TERM").is_some_and(|value| value == "dumb")
    }

    /// Whether to avoid colours: on a dumb terminal, or if `NO_COLOR` is set.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_dumb() || self.variable("NO_COLOR").is_some_and(|value| !value.is_empty())
    }

    /// The values that variables give to settings, those that take precedence first, and errors for variables that look like
    /// ours but name no key.
    pub(super) fn given(&self, table: &[Setting]) -> (Vec<Given>, Vec<ConfigError>) {
        let keys: Vec<&'static str> = table.iter().map(|setting| setting.key).collect();
        let (mut given, mut memory_limit, mut errors) = (Vec::new(), None, Vec::new());
        let mut variables: Vec<_> =
            self.variables.iter().map(|(name, value)| (name.to_string_lossy(), value)).collect();
        // Sorted, so that errors come in the same order in every run.
        variables.sort();
        for (name, value) in variables {
            if name == MEMORY_VARIABLE {
                memory_limit = Given::text(table, "memory.limit_mb", value, &name);
            } else if name == FILE_VARIABLE {
                // Read when the file is looked for.
            } else if let Some(key) = keys.iter().find(|key| variable_of(key) == name) {
                given.extend(Given::text(table, key, value, &name));
            } else if name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains("__"))
                || keys.iter().any(|key| flat(&name) == flat(&variable_of(key)))
            {
                let key = name[PREFIX.len()..].replace("__", ".").to_lowercase();
                errors.push(unknown::variable(&name, &key, &keys));
            }
        }
        given.extend(memory_limit);
        (given, errors)
    }
}

/// The variable of a key: `R3E_SCHEDULE__DAILY_AT` of `schedule.daily_at`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// The name in upper case and with runs of underscores reduced to one.
fn flat(name: &str) -> String {
    let mut flat = name.to_uppercase();
    while flat.contains("__") {
        flat = flat.replace("__", "_");
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_nearly_ours_is_an_error_and_any_other_is_ignored() {
        let mut environment = Environment::bare(PathBuf::new(), 0);
        let wrong = ["R3E_CACHE_DIR", "R3E_CACHE___DIR", "R3E_X__Y", "R3E_cache__dir", "r3e__cache_dir"];
        let ignored = ["", "PATH", "R3E", "R3E_", "R3E__", "R3E_CONFIG", "R3E_LOGG_LEVEL", "r3e_é", "ſ3E_É__"];
        let names = wrong.iter().chain(&ignored).chain(&["R3E_CACHE__DIR"]);
        environment.variables = names.map(|name| (name.into(), "1".into())).collect();
        let (given, errors) = environment.given(&crate::runtime::config::table());
        assert_eq!(given.into_iter().map(|given| given.key).collect::<Vec<_>>(), ["cache.dir"]);
        let mut places: Vec<_> = errors.into_iter().map(|error| error.place).collect();
        places.sort();
        assert_eq!(places, ["R3E_CACHE_DIR", "R3E_CACHE___DIR", "R3E_X__Y", "R3E_cache__dir", "r3e__cache_dir"]);
    }
}
