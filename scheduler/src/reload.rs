//! Reloads the configuration.

use r3e_common::runtime::config::{Config, ConfigArgs, ConfigErrors, Environment, Loaded};

/// Reads the configuration again. Changes of settings that need a restart are logged and ignored.
///
/// # Errors
/// If it is invalid.
pub(crate) fn read(arguments: &ConfigArgs, old: &Config) -> Result<Loaded, ConfigErrors> {
    let mut loaded = arguments.load(&Environment::of_process())?;
    let changed = keep(&mut loaded.config, old);
    if !changed.is_empty() {
        tracing::warn!(settings = changed.join(", "), "changed settings take effect after a restart");
    }
    Ok(loaded)
}

/// Restores the settings that only a restart can change, and returns the keys of those that differ.
fn keep(new: &mut Config, old: &Config) -> Vec<&'static str> {
    let differ = [
        ("cache.dir", new.cache.dir != old.cache.dir),
        ("cache.staging_dir", new.cache.staging_dir != old.cache.staging_dir),
        ("runtime.dir", new.runtime.dir != old.runtime.dir),
        ("runtime.stop_grace", new.runtime.stop_grace != old.runtime.stop_grace),
        ("memory.limit_mb", new.memory.limit_mb != old.memory.limit_mb),
        ("memory.purge_every", new.memory.purge_every != old.memory.purge_every),
        ("memory.profile", new.memory.profile != old.memory.profile),
        ("log.level", new.log.level != old.log.level),
        ("log.format", new.log.format != old.log.format),
    ];
    new.cache.dir.clone_from(&old.cache.dir);
    new.cache.staging_dir.clone_from(&old.cache.staging_dir);
    new.runtime.clone_from(&old.runtime);
    new.memory.clone_from(&old.memory);
    new.log.clone_from(&old.log);
    differ.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("r3e.toml"), text).unwrap();
        let environment = Environment::bare(folder.path().to_owned(), 7);
        ConfigArgs::default().load(&environment).unwrap().config
    }

    #[test]
    fn the_schedule_changes_and_folders_do_not() {
        let old = config("[cache]\ndir = \"a\"\n[schedule]\nattempts = 3\n");
        let mut kept = config("[cache]\ndir = \"b\"\n[schedule]\nattempts = 9\n[log]\nlevel = \"debug\"\n");
        let stays = keep(&mut kept, &old);
        assert_eq!(stays, ["cache.dir", "cache.staging_dir", "log.level"]);
        assert_eq!((&kept.cache.dir, &kept.cache.staging_dir), (&old.cache.dir, &old.cache.staging_dir));
        assert_eq!((kept.schedule.attempts, kept.log.level), (9, old.log.level));
    }
}
