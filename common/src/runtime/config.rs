//! The configuration: flag beats environment beats file beats default, and every value of every layer is checked.
//!
//! The list of keys with defaults and ranges stands in `keys.rs`, what programs get in `sections.rs`. Here is how a
//! configuration is loaded; what its values are used for is not known here.

mod args;
mod environment;
mod error;
mod file;
mod keys;
mod kind;
mod layer;
mod paths;
mod reader;
mod render;
mod sections;
mod suggest;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;

pub use args::ConfigArgs;
pub use environment::Environment;
pub use error::{ConfigError, ConfigErrors, Origin};
pub use layer::Flag;
pub use paths::{default_runtime_dir, is_writable_dir};
pub use sections::{Cache, Catalog, Config, Index, Log, Memory, Monitor, Refresh, Runtime, Schedule, Upstream};

use layer::Given;
use reader::Reader;

/// All that a configuration is made from.
#[derive(Debug, Clone)]
pub struct Sources<'a> {
    /// The file that `--config` names. Without it `R3E_CONFIG` names one, else it is `./r3e.toml` or
    /// `/etc/r3e/r3e.toml`, whichever is there, else there is none.
    pub file: Option<&'a OsStr>,
    /// What the command line says; of two flags for one key the first one wins.
    pub flags: Vec<Flag>,
    /// The variables and folders around the process.
    pub environment: &'a Environment,
}

/// Reads and checks a configuration.
///
/// # Errors
/// Everything that is wrong with flags, variables and file: one that cannot be read, text that is no TOML, values
/// that a key cannot have even if another layer overrides them, values that do not go together, and unknown keys.
pub fn load(sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
    let (variables, doubtful) = sources.environment.given();
    let (file, errors) = match file::given(sources.file, sources.environment) {
        Ok(file) => (file, Vec::new()),
        Err(errors) => (Vec::new(), errors),
    };
    let flags = sources.flags.iter().map(|flag| Given::untyped(flag.key, &flag.value, Origin::Flag(flag.name)));
    let mut reader = Reader::new(flags.chain(variables).chain(file).collect(), errors);
    let config = keys::read(&mut reader, sources.environment);
    let settings = reader.finish(doubtful).map_err(ConfigErrors)?;
    Ok(Config { settings, ..config })
}
