//! The environment of a process, as a value, so that tests need not change the real one.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The prefix of our variables.
pub(super) const PREFIX: &str = "R3E_";
/// The variable that names the configuration file.
pub(super) const FILE_VARIABLE: &str = "R3E_CONFIG";

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
}

/// The variable of a key: `R3E_SCHEDULE__DAILY_AT` of `schedule.daily_at`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}
