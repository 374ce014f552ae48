//! The layer of environment variables.

use super::environment::{Environment, FILE_VARIABLE, PREFIX, variable_of};
use super::error::ConfigError;
use super::unknown;
use super::values::{Given, Setting};

/// The one variable without the prefix: operators know it from the older program.
const MEMORY_VARIABLE: &str = "MEMORY_LIMIT_MB";

/// The values that variables give to settings, those that take precedence first, and errors for variables that look like
/// ours but name no key.
pub(super) fn given(environment: &Environment, table: &[Setting]) -> (Vec<Given>, Vec<ConfigError>) {
    let keys: Vec<&'static str> = table.iter().map(|setting| setting.key).collect();
    let (mut given, mut memory_limit, mut errors) = (Vec::new(), None, Vec::new());
    let mut variables: Vec<_> =
        environment.variables.iter().map(|(name, value)| (name.to_string_lossy(), value)).collect();
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
    use std::path::PathBuf;

    #[test]
    fn a_variable_that_is_nearly_ours_is_an_error_and_any_other_is_ignored() {
        let mut environment = Environment::bare(PathBuf::new(), 0);
        let wrong = ["R3E_CACHE_DIR", "R3E_CACHE___DIR", "R3E_X__Y", "R3E_cache__dir", "r3e__cache_dir"];
        let ignored = ["", "PATH", "R3E", "R3E_", "R3E__", "R3E_CONFIG", "R3E_LOGG_LEVEL", "r3e_é", "ſ3E_É__"];
        let names = wrong.iter().chain(&ignored).chain(&["R3E_CACHE__DIR"]);
        environment.variables = names.map(|name| (name.into(), "1".into())).collect();
        let (found, errors) = given(&environment, &crate::runtime::config::table());
        assert_eq!(found.into_iter().map(|given| given.key).collect::<Vec<_>>(), ["cache.dir"]);
        let mut places: Vec<_> = errors.into_iter().map(|error| error.place).collect();
        places.sort();
        assert_eq!(places, ["R3E_CACHE_DIR", "R3E_CACHE___DIR", "R3E_X__Y", "R3E_cache__dir", "r3e__cache_dir"]);
    }
}
