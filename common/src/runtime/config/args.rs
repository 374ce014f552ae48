//! The flags that all programs have. Their values stay unchecked here: flags, variables and the file are all checked by
//! [`load`], with the same errors.

use std::ffi::OsString;

use super::environment::Environment;
use super::error::ConfigErrors;
use super::{Flag, Layers, Loaded, load, table};

/// The configuration's flags. A program flattens them into its arguments, last and with a heading:
/// `#[command(flatten, next_help_heading = "Configuration")]`.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::doc_markdown, reason = "the flags' help is shown as it is")]
#[expect(missing_docs, reason = "the help of a setting comes from the table")]
pub struct ConfigArgs {
    /// Configuration file [default: $R3E_CONFIG, ./r3e.toml or /etc/r3e/r3e.toml]
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true)]
    pub config: Option<OsString>,
    #[arg(long, global = true, value_name = "DIR", allow_hyphen_values = true, help = help("cache.dir"))]
    pub cache: Option<OsString>,
    #[arg(long, global = true, value_name = "DIR", allow_hyphen_values = true, help = help("cache.staging_dir"))]
    pub staging: Option<OsString>,
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true, help = help("catalog.path"))]
    pub catalog: Option<OsString>,
    #[arg(long, global = true, value_name = "URL", allow_hyphen_values = true, help = help("upstream.base_url"))]
    pub upstream: Option<OsString>,
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true)]
    #[arg(help = help("upstream.requests_per_second"))]
    pub requests_per_second: Option<OsString>,
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true, help = help("upstream.concurrency"))]
    pub concurrency: Option<OsString>,
    #[arg(long, global = true, value_name = "N", allow_hyphen_values = true, help = help("memory.limit_mb"))]
    pub memory_limit_mb: Option<OsString>,
    #[arg(long, global = true, value_name = "LEVEL", allow_hyphen_values = true, help = help("log.level"))]
    pub log_level: Option<OsString>,
    #[arg(long, global = true, value_name = "FORMAT", allow_hyphen_values = true, help = help("log.format"))]
    pub log_format: Option<OsString>,
    /// Log more: -v is --log-level debug, -vv is trace
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with_all = ["quiet", "log_level"])]
    pub verbose: u8,
    /// Log errors only, and show no progress
    #[arg(short, long, global = true, conflicts_with = "log_level")]
    pub quiet: bool,
    /// Print the configuration in force with the source of each value, and exit
    #[arg(long, global = true)]
    pub print_config: bool,
}

impl ConfigArgs {
    /// Loads the configuration from these flags, the environment and the file.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self, environment: &Environment) -> Result<Loaded, ConfigErrors> {
        self.load_with(Vec::new(), environment)
    }

    /// As [`ConfigArgs::load`], with flags of one program too.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load_with(&self, own: Vec<Flag>, environment: &Environment) -> Result<Loaded, ConfigErrors> {
        let mut flags = self.flags();
        flags.extend(own);
        load(&Layers { file: self.config.as_deref(), flags, environment })
    }

    /// The arguments that pass these flags on to another program.
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

    /// The flags that set a key: name, key, and value if given.
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

/// The first sentence of a setting's documentation, its accepted values, and its default.
fn help(key: &str) -> String {
    let Some(setting) = table().into_iter().find(|setting| setting.key == key) else { return String::new() };
    let doc = setting.doc.concat().replace('`', "");
    let sentence = doc.trim().split(". ").next().unwrap_or_default().trim_end_matches('.');
    let range = setting.range.map(|range| format!(": {range}")).unwrap_or_default();
    let fixed = || setting.example.as_str().map_or_else(|| setting.example.to_string(), str::to_owned);
    let default = setting.default_doc.map_or_else(fixed, |doc| doc.replace('`', ""));
    format!("{sentence}{range} [default: {default}]")
}
