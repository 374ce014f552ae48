//! What the world around a process tells it: passed in as a value, so that tests need no real environment.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::error::Origin;
use super::layer::Given;

/// What the names of our variables begin with.
const PREFIX: &str = "R3E_";
/// The variable that names the configuration file.
pub(super) const FILE_VARIABLE: &str = "R3E_CONFIG";
/// The one variable without our prefix: operators know it from the older program.
const MEMORY_VARIABLE: &str = "MEMORY_LIMIT_MB";

/// The variables, folders and user of a process.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The environment variables, names and values.
    pub variables: Vec<(OsString, OsString)>,
    /// The working directory, which relative paths start from.
    pub current_dir: PathBuf,
    /// The configuration file of the machine: `/etc/r3e/r3e.toml`.
    pub system_file: PathBuf,
    /// The folder for sockets where a supervisor has made one: `/run/r3e`.
    pub system_runtime_dir: PathBuf,
    /// The effective user id.
    pub uid: u32,
}

impl Environment {
    /// An environment without variables and with the machine's usual folders.
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
        // A working directory that was deleted has no name; absolute paths work on, relative ones fail where used.
        let current_dir = std::env::current_dir().unwrap_or_default();
        let uid = nix::unistd::Uid::effective().as_raw();
        Self { variables: std::env::vars_os().collect(), ..Self::bare(current_dir, uid) }
    }

    /// A variable's value.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    /// Whether the terminal shows plain text only (`TERM=dumb`).
    #[must_use]
    pub fn is_dumb(&self) -> bool {
        self.variable("TERM").is_some_and(|value| value == "dumb")
    }

    /// Whether text is to be without colours: on a dumb terminal, or where someone asked for it (`NO_COLOR`).
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_dumb() || self.variable("NO_COLOR").is_some_and(|value| !value.is_empty())
    }

    /// The values that variables give to keys, the winning ones first; and the variables that look like ours without
    /// having a key's form, wrong only if they mean a key.
    pub(super) fn given(&self) -> (Vec<Given>, Vec<Given>) {
        let (mut given, mut doubtful, mut memory) = (Vec::new(), Vec::new(), None);
        for (name, value) in &self.variables {
            let name = name.to_string_lossy();
            let value = |key: &str| Given::untyped(key, value, Origin::Variable(name.to_string()));
            match name.strip_prefix(PREFIX) {
                _ if name == MEMORY_VARIABLE => memory = Some(value("memory.limit_mb")),
                _ if name == FILE_VARIABLE => {} // Read when the file is looked for.
                Some(rest) if rest.contains("__") => given.push(value(&key_of(rest))),
                _ if flat(&name).starts_with(PREFIX) => {
                    doubtful.push(value(&flat(&name)[PREFIX.len()..].to_lowercase()));
                }
                _ => {}
            }
        }
        let by_key = |a: &Given, b: &Given| a.key.cmp(&b.key);
        // Sorted, so that messages come in the same order in every run.
        given.sort_by(by_key);
        doubtful.sort_by(by_key);
        given.extend(memory);
        (given, doubtful)
    }
}

/// The variable of a key: `R3E_SCHEDULE__DAILY_AT` of `schedule.daily_at`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// Whether the variable's name differs from that of the key's in nothing but case and the number of underscores.
pub(super) fn means(variable: &str, key: &str) -> bool {
    flat(variable) == flat(&variable_of(key))
}

/// The key of `SCHEDULE__DAILY_AT`. Other than in capitals it names no key, and is left as it is.
fn key_of(rest: &str) -> String {
    let key = rest.replace("__", ".").to_lowercase();
    if key.to_uppercase().replace('.', "__") == rest { key } else { rest.to_owned() }
}

/// The name in upper case and with runs of underscores made one.
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
    fn variables_and_keys_go_both_ways() {
        assert_eq!(variable_of("schedule.daily_at"), "R3E_SCHEDULE__DAILY_AT");
        assert_eq!(key_of("SCHEDULE__DAILY_AT"), "schedule.daily_at");
        for other in ["cache__dir", "__DIR", "CACHE__", "CACHE___DIR", "CACHE____DIR"] {
            assert_ne!(key_of(other), "cache.dir", "{other}");
        }
    }

    #[test]
    fn a_near_miss_differs_in_case_and_underscores_only() {
        for name in ["R3E_CACHE_DIR", "R3E_cache__dir", "R3E_CACHE___DIR", "r3e__cache_dir"] {
            assert!(means(name, "cache.dir"), "{name}");
            assert!(!means(name, "cache.staging_dir"), "{name}");
        }
    }

    #[test]
    fn any_name_is_sorted_without_a_panic() {
        let mut environment = Environment::bare(PathBuf::new(), 0);
        let names =
            ["R3E_", "r3e_", "R3E", "R3E__", "R3E_CONFIG", "r3e_é", "ſ3E_É__", "PATH", "", "R3E_A__B", "r3__e_"];
        environment.variables = names.map(|name| (name.into(), "1".into())).into();
        let (given, doubtful) = environment.given();
        let keys = |all: Vec<Given>| all.into_iter().map(|given| given.key).collect::<Vec<_>>();
        assert_eq!(keys(given), ["a.b"]);
        assert_eq!(keys(doubtful), ["", "", "", "é"]);
    }
}
