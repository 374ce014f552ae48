//! The configuration as a whole: the precedence of layers, errors, and that a printed configuration loads again.

mod errors;
mod files;
mod values;

use std::ffi::OsString;
use std::path::Path;

use super::*;
use crate::runtime::exit::Exit;

/// A working directory with its own `r3e.toml`, isolated from the machine.
struct World {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Environment::bare(folder.path().to_owned(), 1000);
        environment.system_file = folder.path().join("etc/r3e.toml");
        environment.system_runtime_dir = folder.path().join("run");
        Self { folder, environment }
    }

    fn with_file(text: impl AsRef<[u8]>) -> Self {
        let world = Self::new();
        world.write("r3e.toml", text);
        world
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.variables.push((name.into(), value.into()));
        self
    }

    fn load(&self) -> Result<Loaded, ConfigErrors> {
        self.load_with(&[])
    }

    fn load_with(&self, arguments: &[&str]) -> Result<Loaded, ConfigErrors> {
        args_of(arguments).load(&self.environment)
    }

    fn errors(&self, arguments: &[&str]) -> Vec<ConfigError> {
        self.load_with(arguments).unwrap_err().0
    }

    /// Place and key of each error, with a space between them.
    fn wrong(&self, arguments: &[&str]) -> Vec<String> {
        let errors = self.errors(arguments).into_iter();
        errors.map(|error| format!("{} {}", error.place, error.key.unwrap_or_default()).trim_end().to_owned()).collect()
    }
}

/// A program.
#[derive(Debug, clap::Parser)]
struct Program {
    #[command(flatten, next_help_heading = "Configuration")]
    config: ConfigArgs,
}

fn args_of(arguments: &[&str]) -> ConfigArgs {
    let program: Program = clap::Parser::parse_from([&["program"], arguments].concat());
    program.config
}

#[test]
fn the_command_line_is_well_formed() {
    let mut command = <Program as clap::CommandFactory>::command();
    command.clone().debug_assert();
    let help = command.render_help().to_string();
    assert!(help.starts_with("A program\n") && help.contains("\nConfiguration:\n"), "{help}");
    for both in [["-v", "--quiet"], ["-v", "--log-level=info"], ["--quiet", "--log-level=info"]] {
        let refused = command.try_get_matches_from_mut([&["program"][..], &both].concat()).unwrap_err();
        assert_eq!(refused.exit_code(), i32::from(Exit::Usage.code()), "{both:?}");
    }
}

#[test]
fn the_defaults_work_with_no_file_at_all() {
    let loaded = World::new().load().unwrap();
    assert!(loaded.to_toml().contains("\n[schedule]\ndaily_at = \"04:00\" # default\n# time_zone = # not set\n"));
    let config = loaded.config;
    assert_eq!((config.cache.dir, config.cache.staging_dir), ("cache".into(), "cache_temp".into()));
    assert_eq!((config.upstream.max_body_bytes(), config.memory.limit_bytes()), (32 << 20, None));
    assert_eq!(config.runtime.dir, Path::new("/tmp/r3e-1000"));
    assert_eq!(config.upstream, Config::default().upstream);
}

/// Each key has a sentence for README, and examples that it accepts.
#[test]
fn every_setting_is_documented() {
    for setting in table() {
        assert!(setting.doc.concat().trim_end().ends_with('.'), "{}: {:?}", setting.key, setting.doc);
        assert!((setting.check)(&setting.example).is_ok(), "{} = {}", setting.key, setting.example);
    }
}

/// For every set of layers that give a value.
#[test]
fn a_flag_takes_precedence_over_a_variable_over_the_file_over_the_default() {
    for layers in 0..16_u32 {
        let has = |layer: u32| layers & (1 << layer) != 0;
        let mut world = if has(0) { World::with_file("[memory]\nlimit_mb = 10") } else { World::new() };
        if has(1) {
            world = world.variable("MEMORY_LIMIT_MB", "20");
        }
        if has(2) {
            world = world.variable("R3E_MEMORY__LIMIT_MB", "30");
        }
        let arguments: &[&str] = if has(3) { &["--memory-limit-mb", "40"] } else { &[] };
        let loaded = world.load_with(arguments).unwrap();
        let (limit_mb, origin) = match layers {
            0 => (None, "default"),
            1 => (Some(10), "./r3e.toml:2"),
            2..4 => (Some(20), "MEMORY_LIMIT_MB"),
            4..8 => (Some(30), "R3E_MEMORY__LIMIT_MB"),
            _ => (Some(40), "--memory-limit-mb"),
        };
        assert_eq!(loaded.config.memory.limit_mb, limit_mb, "{layers:#b}");
        assert_eq!(loaded.origin("memory.limit_mb"), Some(origin), "{layers:#b}");
    }
}

#[test]
fn flags_set_their_keys() {
    let arguments =
        "--cache=/c --staging /s --catalog k.toml --upstream http://localhost:8080/api --requests-per-second 100
        --concurrency 7 --log-level trace --log-format json";
    let config = World::new().load_with(&arguments.split_whitespace().collect::<Vec<_>>()).unwrap().config;
    assert_eq!((config.cache.dir.as_path(), config.cache.staging_dir.as_path()), (Path::new("/c"), Path::new("/s")));
    assert_eq!(config.catalog.path.as_deref(), Some(Path::new("k.toml")));
    assert_eq!(config.upstream.base_url.join("x").unwrap().as_str(), "http://localhost:8080/api/x");
    assert_eq!((config.upstream.requests_per_second, config.upstream.concurrency), (100, 7));
    assert_eq!((config.log.level.to_string(), config.log.format.to_string()), ("trace".into(), "json".into()));
}

#[test]
fn verbose_and_quiet_are_levels() {
    let world = World::with_file("[log]\nlevel = 'warn'");
    for (arguments, level) in
        [(&[][..], "warn"), (&["-v"], "debug"), (&["-vv"], "trace"), (&["-vvvv"], "trace"), (&["--quiet"], "error")]
    {
        assert_eq!(world.load_with(arguments).unwrap().config.log.level.to_string(), level, "{arguments:?}");
    }
}
