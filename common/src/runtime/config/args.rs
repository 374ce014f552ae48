//! The flags that all programs have. Their values are kept as they are: whether they are valid is told by the
//! configuration, in the same words for flags, variables and file.

use std::ffi::OsString;

use super::environment::Environment;
use super::error::ConfigErrors;
use super::layer::Flag;
use super::sections::Config;
use super::{Sources, load};

/// Flags of the configuration. A program flattens them into its arguments, last and with a heading:
/// `#[command(flatten, next_help_heading = "Configuration")]`.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::doc_markdown, reason = "the flags' help is shown as it is")]
pub struct ConfigArgs {
    /// Read this configuration file [default: $R3E_CONFIG, ./r3e.toml or /etc/r3e/r3e.toml]
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true)]
    pub config: Option<OsString>,
    /// The folder of the leaderboards [default: cache]
    #[arg(long, global = true, value_name = "DIR", allow_hyphen_values = true)]
    pub cache: Option<OsString>,
    /// The folder of boards not yet complete [default: that of the cache with _temp]
    #[arg(long, global = true, value_name = "DIR", allow_hyphen_values = true)]
    pub staging: Option<OsString>,
    /// A TOML catalogue of tracks and classes [default: built in]
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true)]
    pub catalog: Option<OsString>,
    /// The service's address
    #[arg(long, global = true, value_name = "URL", allow_hyphen_values = true)]
    #[arg(help = "The service's address [default: https://game.raceroom.com]")]
    pub upstream: Option<OsString>,
    /// The most requests begun in a second [default: 8]
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true)]
    pub requests_per_second: Option<OsString>,
    /// The most boards in flight [default: 4]
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true)]
    pub concurrency: Option<OsString>,
    /// The most resident memory, in megabytes; a smaller limit of the control group counts before it [default:
    /// $MEMORY_LIMIT_MB, or none]
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true)]
    pub memory_limit_mb: Option<OsString>,
    /// Log these and more severe events: error, warn, info, debug or trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL", allow_hyphen_values = true)]
    pub log_level: Option<OsString>,
    /// Log as text or json [default: text]
    #[arg(long, global = true, value_name = "FORMAT", allow_hyphen_values = true)]
    pub log_format: Option<OsString>,
    /// Log more: -v as --log-level debug, -vv as trace
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with_all = ["quiet", "log_level"])]
    pub verbose: u8,
    /// Log errors only, and show no progress
    #[arg(short, long, global = true, conflicts_with = "log_level")]
    pub quiet: bool,
    /// Show the configuration in force with the source of each value, and exit
    #[arg(long, global = true)]
    pub print_config: bool,
}

impl ConfigArgs {
    /// The configuration that these flags, the environment and the file give.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn load(&self, environment: &Environment) -> Result<Config, ConfigErrors> {
        self.load_with(Vec::new(), environment)
    }

    /// As [`ConfigArgs::load`], with a program's own flags beside these.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn load_with(&self, own: Vec<Flag>, environment: &Environment) -> Result<Config, ConfigErrors> {
        let mut flags = self.flags();
        flags.extend(own);
        load(&Sources { file: self.config.as_deref(), flags, environment })
    }

    /// The arguments that give another program these flags.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<OsString> {
        let of_flag = |name: &str, value: &OsString| {
            let mut argument = OsString::from(name);
            argument.push("=");
            argument.push(value);
            argument
        };
        let config = self.config.iter().map(|file| of_flag("--config", file));
        let values = self.with_value().into_iter().filter_map(|(name, _, value)| Some(of_flag(name, value.as_ref()?)));
        let verbose = (0..self.verbose).map(|_| OsString::from("--verbose"));
        let quiet = self.quiet.then(|| OsString::from("--quiet"));
        config.chain(values).chain(verbose).chain(quiet).collect()
    }

    fn flags(&self) -> Vec<Flag> {
        let level = match (self.verbose, self.quiet) {
            (0, false) => None,
            (0, true) => Some(("--quiet", "error")),
            (1, _) => Some(("--verbose", "debug")),
            (2.., _) => Some(("--verbose", "trace")),
        };
        let of_level = level.map(|(name, level)| Flag { name, key: "log.level", value: level.into() });
        let flags = self
            .with_value()
            .into_iter()
            .filter_map(|(name, key, value)| value.clone().map(|value| Flag { name, key, value }));
        flags.chain(of_level).collect()
    }

    /// The flags that have a value: name, key, and value where it was given.
    fn with_value(&self) -> [(&'static str, &'static str, &Option<OsString>); 9] {
        [
            ("--cache", "cache.dir", &self.cache),
            ("--staging", "cache.staging_dir", &self.staging),
            ("--catalog", "catalog.path", &self.catalog),
            ("--upstream", "upstream.base_url", &self.upstream),
            ("--requests-per-second", "upstream.requests_per_second", &self.requests_per_second),
            ("--concurrency", "upstream.concurrency", &self.concurrency),
            ("--memory-limit-mb", "memory.limit_mb", &self.memory_limit_mb),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
        ]
    }
}
