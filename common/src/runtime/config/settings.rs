//! The table of settings: key, type, default, range and documentation. The structs that programs use, `--print-config`,
//! `--help`, README's table, the man page and `deploy/r3e.toml` all come from it, so a new setting is one entry here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use url::Url;

use super::error::ConfigError;
use super::paths;
use super::setting::{Section, Setting, derived, unset};
use super::types::{NOT_ZERO, SettingType, ZERO_ALLOWED};
use super::values::Values;
use crate::runtime::cron::Cron;
use crate::runtime::logging::{Format, Level};
use crate::runtime::memory::profile::Profiling;

/// The `User-Agent` header: who we are, and where the service's operators find us.
const USER_AGENT: &str =
    concat!("r3e-leaderboard/", env!("CARGO_PKG_VERSION"), " (+", env!("CARGO_PKG_REPOSITORY"), ")");

/// From entries of the form `key: Type = default, range;` in sections, makes a struct of each section, [`Config`] of all,
/// and [`sections`], the table itself.
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $( $(#[doc = $doc:literal])+ $key:ident: $Type:ty = $default:expr $(, $range:expr)?; )+
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
                settings: vec![ $( Setting::new::<$Type>(
                    concat!(stringify!($section), ".", stringify!($key)),
                    &[$($doc),+],
                    $default.into(),
                    settings!(@range $($range)?),
                ) ),+ ],
            } ),+ ]
        }

        /// The settings as the values give them; none if a value is missing or wrong.
        pub(super) fn config(values: &Values<'_>) -> Option<Config> {
            Some(Config { $( $section: $Section {
                $( $key: values.get(concat!(stringify!($section), ".", stringify!($key)))? ),+
            } ),+ })
        }
    };
    (@range) => { () };
    (@range $range:expr) => { $range };
}

settings! {
    /// The published files.
    cache: Cache {
        /// Folder of the published leaderboards; a web server may serve it. Relative paths start at the working directory.
        dir: PathBuf = "cache";
        /// Folder for boards that are fetched but not yet published; best on the same file system as `cache.dir`.
        staging_dir: PathBuf = derived("`cache.dir` with `_temp` appended", "/var/lib/r3e/cache_temp", |values| {
            let cache = values.get::<PathBuf>("cache.dir")?;
            PathBuf::from_text(paths::default_staging_dir(&cache, &values.environment.current_dir).as_os_str())
        });
        /// The loader fetches boards again once they are older than this.
        max_age: Duration = "24h", ZERO_ALLOWED;
    }

    /// The tracks and car classes.
    catalog: Catalog {
        /// Catalogue file, as written by `r3e-loader catalog import`.
        path: Option<PathBuf> = unset("built in", "/etc/r3e/catalog.toml");
    }

    /// The service that boards are fetched from.
    upstream: Upstream {
        /// Address of the service.
        base_url: Url = "https://game.raceroom.com";
        /// `User-Agent` header sent with every request.
        user_agent: String = derived("name, version and address of this project", "r3e-leaderboard", |_| {
            Some(USER_AGENT.into())
        });
        /// Maximum requests started per second. Please be kind to the service.
        requests_per_second: u32 = 8, 1..=100_000;
        /// Maximum boards fetched at the same time.
        concurrency: usize = 4, 1..=256;
        /// Timeout of one request.
        timeout: Duration = "2m", NOT_ZERO;
        // The service returns 1500 entries at most: any larger page would look like the last one.
        /// Entries requested per page.
        page_size: usize = 1500, 2..=1500;
        /// Maximum size of one decompressed page, in MiB.
        max_body_mb: u32 = 32, 1..=1024;
        /// Maximum idle connections kept open.
        max_idle_per_host: usize = derived("same as `upstream.concurrency`", 4, |values| {
            i64::try_from(values.get::<usize>("upstream.concurrency")?).ok().map(Into::into)
        }), 0..=256;
        // The pool takes zero for "no limit".
        /// Idle connections are closed after this.
        idle_timeout: Duration = "30s", NOT_ZERO;
        /// Maximum attempts per request, the first included.
        attempts: u32 = 4, 1..=20;
        /// Delay before the first retry; doubled for each further retry, with jitter.
        backoff_min: Duration = "500ms", NOT_ZERO;
        /// Longest delay between retries. A `Retry-After` of the service takes precedence.
        backoff_max: Duration = "30s", NOT_ZERO;
    }

    /// The index of all drivers.
    index: Index {
        /// How often the index is published while boards are being fetched.
        every: Duration = "30m", NOT_ZERO;
        /// Whether to write an uncompressed copy of the index too.
        plain: bool = false;
    }

    /// When r3e-scheduler starts jobs.
    schedule: Schedule {
        /// Time of day of the daily refresh of all boards.
        daily_at: Time = "04:00";
        /// Time zone of `schedule.daily_at` and `schedule.cron`.
        time_zone: Option<TimeZone> = unset("the system's", "Europe/Berlin");
        /// Whether to catch up on a refresh that was missed, for example because the machine was off.
        catch_up: bool = true;
        /// Whether to run the loader when the scheduler starts.
        load_at_start: bool = true;
        /// Additional refreshes, as cron expressions of five fields, such as `["0 12 * * mon-fri", "@weekly"]`.
        cron: Vec<Cron> = toml::Value::Array(Vec::new());
        /// Maximum attempts of a job that fails in a way that waiting is unlikely to fix: exit code 1, a panic, a crash or
        /// `schedule.job_timeout`. Other failures are retried until the job succeeds or the next refresh is due.
        attempts: u32 = 3, 1..=100;
        /// Delay before a failed job is retried; doubled for each further retry, and shortened at random by up to half.
        backoff_min: Duration = "1m", NOT_ZERO;
        /// Longest delay between retries of a job.
        backoff_max: Duration = "30m", NOT_ZERO;
        /// A job that runs longer is stopped.
        job_timeout: Duration = "12h", NOT_ZERO;
        /// How often to check for the trigger file, in case file-system notification fails.
        trigger_poll: Duration = "1m", NOT_ZERO;
    }

    /// The daily refresh.
    refresh: Refresh {
        /// A full refresh that was interrupted less than this ago is resumed; `0s` never resumes.
        resume_within: Duration = "12h", ZERO_ALLOWED;
    }

    /// Memory of each process.
    memory: Memory {
        /// Maximum resident memory of a process, in MiB. A lower limit of the control group takes precedence. The variable
        /// `MEMORY_LIMIT_MB`, which the packaged services set, takes precedence over the file.
        limit_mb: Option<u32> = unset("no limit", 192), 1..=1 << 20;
        /// How often a running program returns unused memory to the system.
        purge_every: Duration = "15m", NOT_ZERO;
        /// Heap profiling, for `r3e-monitor heap`. `on` samples from the start, `ready` can be switched on while the program
        /// runs. Costs 0.6 MB unless `off`.
        profile: Profiling = "off";
    }

    /// Running programs.
    runtime: Runtime {
        /// Folder of the control sockets.
        dir: PathBuf = derived(
            "`/run/r3e` if writable, else `$XDG_RUNTIME_DIR/r3e`, else `/tmp/r3e-{uid}`",
            "/run/r3e",
            |values| PathBuf::from_text(paths::default_runtime_dir(values.environment).as_os_str()),
        );
        /// How long a graceful stop may take before it is forced; `0s` forces it at once.
        stop_grace: Duration = "10s", ZERO_ALLOWED;
    }

    /// r3e-monitor.
    monitor: Monitor {
        /// Database file in which `r3e-monitor watch` records samples.
        history: PathBuf = "monitor.db";
        /// How long samples are kept.
        keep: Duration = "90d", NOT_ZERO;
        /// How often samples are taken.
        every: Duration = "10s", NOT_ZERO;
        /// Address on which `r3e-monitor serve` serves dashboard, metrics and published files.
        listen: SocketAddr = "127.0.0.1:9464";
    }

    /// The log, on standard error.
    log: Log {
        /// Least severe events that are logged.
        level: Level = "info";
        /// Format of log lines.
        format: Format = "text";
    }
}

/// What is wrong with values that are valid each by itself but not together.
pub(super) fn conflicts(values: &Values<'_>) -> Vec<ConfigError> {
    let here = &values.environment.current_dir;
    let apart = "a folder neither inside nor around";
    let overlap = |cache: &PathBuf, staging: &PathBuf| paths::overlap(cache, staging, here);
    let descending = |min: &Duration, max: &Duration| min > max;
    let found = [
        values.conflict("cache.dir", "cache.staging_dir", overlap, [apart, apart]),
        values.conflict("upstream.backoff_min", "upstream.backoff_max", descending, ["at most", "at least"]),
        values.conflict("schedule.backoff_min", "schedule.backoff_max", descending, ["at most", "at least"]),
    ];
    found.into_iter().flatten().collect()
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
