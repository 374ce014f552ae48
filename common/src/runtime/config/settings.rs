//! The table of settings: key, type, default, kind and documentation. The structs that programs use, `--print-config`,
//! `--help`, README's table, the man page and `deploy/r3e.toml` all come from it, so a new setting is one entry here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use toml::Value;
use url::Url;

use super::archive_url::{ArchiveUrl, archive_url};
use super::error::ConfigError;
use super::index_format::IndexFormat;
use super::kind::{
    base_url, boolean, choice, choices, commands, cron_list, duration, duration_or_zero, header, number, optional,
    path, path_value, socket_address, time_of_day, time_zone,
};
use super::paths;
use super::values::{DefaultValue, Derive, Setting, Values};
use crate::runtime::cron::Cron;
use crate::runtime::logging::{Format, Level};
use crate::runtime::memory::profile::Profiling;

/// The `User-Agent` header: who we are, and where the service's operators find us.
const USER_AGENT: &str =
    concat!("r3e-leaderboard/", env!("CARGO_PKG_VERSION"), " (+", env!("CARGO_PKG_REPOSITORY"), ")");

/// From entries of the form `key: Type = kind, default;` in sections, makes a struct of each section, [`Config`] of all,
/// and [`sections`], the table itself.
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $( $(#[doc = $doc:literal])+ $key:ident: $Type:ty = $kind:expr, $default:expr; )+
        }
    )+) => {
        /// The settings in force. All programs read the same file, so each knows and checks all keys.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Config {
            $( $(#[doc = $section_doc])+ pub $section: $Section, )+
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone, PartialEq)]
            pub struct $Section {
                $( $(#[doc = $doc])+ pub $key: $Type, )+
            }
        )+

        /// The table of settings.
        #[must_use]
        pub fn sections() -> Vec<Section> {
            vec![ $( Section {
                name: stringify!($section),
                doc: &[$($section_doc),+],
                settings: vec![ $( Setting::new(
                    concat!(stringify!($section), ".", stringify!($key)),
                    &[$($doc),+],
                    $kind,
                    $default.into(),
                ) ),+ ],
            } ),+ ]
        }

        /// The settings as the values give them; none if a value is missing or wrong.
        pub(super) fn config(values: &Values<'_>) -> Option<Config> {
            Some(Config { $( $section: $Section {
                $( $key: values.get(concat!(stringify!($section), ".", stringify!($key)), $kind)? ),+
            } ),+ })
        }
    };
}

settings! {
    /// The published files.
    cache: Cache {
        /// Folder of the published leaderboards; a web server may serve it. Relative paths start at the working directory.
        dir: PathBuf = path(), "cache";
        /// Folder for boards that are fetched but not yet published; best on the same file system as `cache.dir`.
        staging_dir: PathBuf = path(), derived("`cache.dir` with `_temp` appended", "/var/lib/r3e/cache_temp", |values| {
            let cache = values.get("cache.dir", path())?;
            path_value(paths::default_staging_dir(&cache, &values.environment.current_dir).as_os_str())
        });
        /// The loader fetches boards again once they are older than this.
        max_age: Duration = duration_or_zero(), "24h";
    }

    /// The tracks and car classes.
    catalog: Catalog {
        /// Catalogue file, as written by `r3e-loader catalog import`.
        path: Option<PathBuf> = optional(path()), unset("built in", "/etc/r3e/catalog.toml");
    }

    /// The service that boards are fetched from.
    upstream: Upstream {
        /// Address of the service.
        base_url: Url = base_url(), "https://game.raceroom.com";
        /// `User-Agent` header sent with every request.
        user_agent: String = header(), derived("name, version and address of this project", "r3e-leaderboard", |_| {
            Some(USER_AGENT.into())
        });
        /// Maximum requests started per second. Please be kind to the service.
        requests_per_second: u32 = number(1..=100_000), 8;
        /// Maximum boards fetched at the same time.
        concurrency: usize = number(1..=256), 4;
        /// Timeout of one request.
        timeout: Duration = duration(), "2m";
        // The service returns 1500 entries at most: any larger page would look like the last one.
        /// Entries requested per page.
        page_size: usize = number(2..=1500), 1500;
        /// Maximum size of one decompressed page, in MiB.
        max_body_mb: u32 = number(1..=1024), 32;
        /// Whether each job that fetches boards also fetches the multiplayer ratings; needs `2026-04` in `index.formats`.
        ratings: bool = boolean(), true;
        /// Maximum idle connections kept open.
        max_idle_per_host: usize = number(0..=256), derived("same as `upstream.concurrency`", 4, |values| {
            values.get("upstream.concurrency", number::<i64>(1..=256)).map(Into::into)
        });
        // The pool takes zero for "no limit".
        /// Idle connections are closed after this.
        idle_timeout: Duration = duration(), "30s";
        /// Maximum attempts per request, the first included.
        attempts: u32 = number(1..=20), 4;
        /// Delay before the first retry; doubled for each further retry, with jitter.
        backoff_min: Duration = duration(), "500ms";
        /// Longest delay between retries. A `Retry-After` of the service takes precedence.
        backoff_max: Duration = duration(), "30s";
    }

    /// The index of all drivers.
    index: Index {
        /// How often the index is published while boards are being fetched.
        every: Duration = duration(), "30m";
        /// Whether to write an uncompressed copy of the index too.
        plain: bool = boolean(), false;
        /// For which front ends files are published: `2026-02` is the driver index, `2026-04` the index in shards, combinations,
        /// teams, statistics and multiplayer ratings.
        formats: Vec<IndexFormat> = choices(&IndexFormat::ALL), toml::Value::from(IndexFormat::ALL.map(|it| it.to_string()).to_vec());
    }

    /// When r3e-scheduler starts jobs.
    schedule: Schedule {
        /// Time of day of the daily refresh of all boards.
        daily_at: Time = time_of_day(), "04:00";
        /// Time zone of `schedule.daily_at` and `schedule.cron`.
        time_zone: Option<TimeZone> = optional(time_zone()), unset("the system's", "Europe/Berlin");
        /// Whether to catch up on a refresh that was missed, for example because the machine was off.
        catch_up: bool = boolean(), true;
        /// Whether to run the loader when the scheduler starts.
        load_at_start: bool = boolean(), true;
        /// Additional refreshes, as cron expressions of five fields, such as `["0 12 * * mon-fri", "@weekly"]`.
        cron: Vec<Cron> = cron_list(), toml::Value::Array(Vec::new());
        /// Maximum attempts of a job that fails in a way that waiting is unlikely to fix: exit code 1, a panic, a crash or
        /// `schedule.job_timeout`. Other failures are retried until the job succeeds or the next refresh is due.
        attempts: u32 = number(1..=100), 3;
        /// Delay before a failed job is retried; doubled for each further retry, and shortened at random by up to half.
        backoff_min: Duration = duration(), "1m";
        /// Longest delay between retries of a job.
        backoff_max: Duration = duration(), "30m";
        /// A job, or a command of `schedule.after`, that runs longer is stopped.
        job_timeout: Duration = duration(), "12h";
        /// Commands to run, one after another, after each job that published something: each an array of a program and its
        /// arguments, such as `[["r3e-archive", "record"]]`, also in the variable. A failed command is logged; the job's result
        /// stays.
        after: Vec<Vec<String>> = commands(), toml::Value::Array(Vec::new());
        /// How often to check for the trigger file, in case file-system notification fails.
        trigger_poll: Duration = duration(), "1m";
    }

    /// The daily refresh.
    refresh: Refresh {
        /// A full refresh that was interrupted less than this ago is resumed; `0s` never resumes.
        resume_within: Duration = duration_or_zero(), "12h";
    }

    /// Memory of each process.
    memory: Memory {
        /// Maximum resident memory of a process, in MiB. A lower limit of the control group takes precedence. The variable
        /// `MEMORY_LIMIT_MB`, which the packaged services set, takes precedence over the file.
        limit_mb: Option<u32> = optional(number(1..=1 << 20)), unset("no limit", 192);
        /// How often a running program returns unused memory to the system.
        purge_every: Duration = duration(), "2m";
        /// Heap profiling, for `r3e-monitor heap`. `on` samples from the start, `ready` can be switched on while the program
        /// runs. Costs 0.6 MB unless `off`.
        profile: Profiling = choice(&Profiling::ALL), "off";
    }

    /// Running programs.
    runtime: Runtime {
        /// Folder of the control sockets.
        dir: PathBuf = path(), derived(
            "`/run/r3e` if writable, else `$XDG_RUNTIME_DIR/r3e`, else `/tmp/r3e-{uid}`",
            "/run/r3e",
            |values| path_value(paths::default_runtime_dir(values.environment).as_os_str()),
        );
        /// How long a graceful stop may take before it is forced; `0s` forces it at once.
        stop_grace: Duration = duration_or_zero(), "10s";
    }

    /// r3e-archive.
    archive: Archive {
        /// Where every version of every board is kept: a folder, or `s3://bucket/prefix`. Keys, region and endpoint of S3 come from
        /// the usual variables (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`).
        url: ArchiveUrl = archive_url(), derived("`archive` beside `cache.dir`", "/var/lib/r3e/archive", |values| {
            let cache = values.get("cache.dir", path())?;
            path_value(paths::beside(&cache, "archive", &values.environment.current_dir).as_os_str())
        });
    }

    /// r3e-monitor.
    monitor: Monitor {
        /// Database file in which `r3e-monitor watch` records samples.
        history: PathBuf = path(), "monitor.db";
        /// How long samples are kept.
        keep: Duration = duration(), "90d";
        /// How often samples are taken.
        every: Duration = duration(), "10s";
        /// Address on which `r3e-monitor serve` serves dashboard, metrics and published files.
        listen: SocketAddr = socket_address(), "127.0.0.1:9464";
    }

    /// The log, on standard error.
    log: Log {
        /// Least severe events that are logged.
        level: Level = choice(&Level::ALL), "info";
        /// Format of log lines.
        format: Format = choice(&Format::ALL), "text";
    }
}

/// Errors of values that are valid individually but not together.
pub(super) fn conflicts(values: &Values<'_>) -> Vec<ConfigError> {
    let paths = ["cache.dir", "cache.staging_dir"].map(|key| values.get(key, path()));
    let overlap = matches!(&paths, [Some(a), Some(b)] if paths::overlap(a, b, &values.environment.current_dir));
    let apart = "a folder neither inside nor around";
    let mut found = vec![overlap.then(|| values.conflict("cache.dir", "cache.staging_dir", [apart, apart]))];
    for section in ["upstream", "schedule"] {
        let [min, max] = ["min", "max"].map(|end| format!("{section}.backoff_{end}"));
        let descending = values.get(&min, duration()).zip(values.get(&max, duration())).is_some_and(|(a, b)| a > b);
        found.push(descending.then(|| values.conflict(&min, &max, ["at most", "at least"])));
    }
    found.into_iter().flatten().flatten().collect()
}

impl Upstream {
    /// Maximum size of one decompressed page, in bytes.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        (self.max_body_mb as usize) << 20
    }
}

impl Memory {
    /// Maximum resident memory of a process, in bytes.
    #[must_use]
    pub fn limit_bytes(&self) -> Option<u64> {
        self.limit_mb.map(|limit_mb| u64::from(limit_mb) << 20)
    }
}

/// A section of the configuration file.
pub struct Section {
    /// Its name, without brackets.
    pub name: &'static str,
    /// Its documentation, line by line.
    pub doc: &'static [&'static str],
    /// Its settings.
    pub settings: Vec<Setting>,
}

/// No value by default: what that means, and an example.
fn unset(doc: &'static str, example: impl Into<Value>) -> DefaultValue {
    derived(doc, example, |_| None)
}

/// A default that depends on other settings or the environment: what it is, an example, and how it is computed.
fn derived(doc: &'static str, example: impl Into<Value>, derive: Derive) -> DefaultValue {
    DefaultValue { example: example.into(), doc: Some(doc), derive: Some(derive) }
}
