//! The configuration as programs use it: one struct for each section, every value checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use reqwest::Url;

use super::error::Origin;
use super::reader::Setting;
use crate::runtime::cron::Cron;
use crate::runtime::logging::{Format, Level};
use crate::runtime::memory::profile::Profiling;

/// What is in force. One file serves all programs, so each knows and checks the keys of all. Relative paths start
/// from the working directory.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[cache]`
    pub cache: Cache,
    /// `[catalog]`
    pub catalog: Catalog,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[index]`
    pub index: Index,
    /// `[schedule]`
    pub schedule: Schedule,
    /// `[refresh]`
    pub refresh: Refresh,
    /// `[memory]`
    pub memory: Memory,
    /// `[runtime]`
    pub runtime: Runtime,
    /// `[monitor]`
    pub monitor: Monitor,
    /// `[log]`
    pub log: Log,
    /// Each key as it was read, with its origin, in the order of the list of keys.
    pub(super) settings: Vec<Setting>,
}

impl Config {
    /// Who gave a key its value; none for a key that there is not.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.settings.iter().find(|setting| setting.key == key).map(|setting| &setting.origin)
    }
}

/// Equal values are equal configurations, whoever gave them.
impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        let Self { cache, catalog, upstream, index, schedule, refresh, memory, runtime, monitor, log, settings: _ } =
            self;
        (cache, catalog, upstream, index, schedule)
            == (&other.cache, &other.catalog, &other.upstream, &other.index, &other.schedule)
            && (refresh, memory, runtime, monitor, log)
                == (&other.refresh, &other.memory, &other.runtime, &other.monitor, &other.log)
    }
}

/// The copy of the leaderboards on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The folder of the complete boards.
    pub dir: PathBuf,
    /// The folder of boards not yet promoted; neither inside nor around `dir`, going by the paths.
    pub staging_dir: PathBuf,
    /// The loader fetches boards again that are older than this.
    pub max_age: Duration,
}

/// The catalogue of tracks and classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// A TOML catalogue; none for the one that is built in.
    pub path: Option<PathBuf>,
}

/// The service that boards are fetched from, and how it is treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where paths are joined to: http or https, its path ends in a slash.
    pub base_url: Url,
    /// The `User-Agent` header: visible ASCII.
    pub user_agent: String,
    /// The most requests begun in a second, 1 to 100000.
    pub requests_per_second: u32,
    /// The most boards in flight, 1 to 256.
    pub concurrency: usize,
    /// The longest one request may take.
    pub timeout: Duration,
    /// Entries asked for in one page, 2 to 1500.
    pub page_size: u32,
    /// The most megabytes (2^20 bytes) of one decompressed page, 1 to 1024.
    pub max_body_mb: u32,
    /// The most connections kept open unused, 0 to 256; with `concurrency` or more, all are.
    pub max_idle_per_host: usize,
    /// How long an unused connection is kept, never zero.
    pub idle_timeout: Duration,
    /// How often one request is tried in all, 1 to 20.
    pub attempts: u32,
    /// The pause before the second try, before jitter; at most `backoff_max`.
    pub backoff_min: Duration,
    /// The longest pause between two tries.
    pub backoff_max: Duration,
}

impl Upstream {
    /// The most bytes of one decompressed page.
    #[must_use]
    pub fn max_body_bytes(&self) -> u64 {
        u64::from(self.max_body_mb) << 20
    }
}

/// The driver index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// How often it is exported while fetching.
    pub every: Duration,
    /// Whether it is written uncompressed too.
    pub plain: bool,
}

/// When the scheduler runs jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// When the daily refresh starts, in `time_zone`.
    pub daily_at: Time,
    /// The zone of all times here; none for the system's.
    pub time_zone: Option<TimeZone>,
    /// Whether a run that was missed is made up for.
    pub catch_up: bool,
    /// Whether the loader runs when the scheduler starts.
    pub load_at_start: bool,
    /// More runs, in `time_zone` too; at most 100.
    pub cron: Vec<Cron>,
    /// How often a job is tried in all that fails in a way that waiting may not mend, 1 to 100.
    pub attempts: u32,
    /// The pause before the second try, before jitter; at most `backoff_max`.
    pub backoff_min: Duration,
    /// The longest pause between two tries.
    pub backoff_max: Duration,
    /// How long a job may take before it is stopped, and counts as failed.
    pub job_timeout: Duration,
    /// How often the trigger file is looked for beside file-system notification.
    pub trigger_poll: Duration,
}

/// The refresher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    /// A full refresh that was stopped less long ago goes on where it was; zero for never.
    pub resume_within: Duration,
}

/// What a process may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// The most resident memory in megabytes (2^20 bytes), at most 2^20; none for no limit.
    pub limit_mb: Option<u32>,
    /// How often unused memory is given back.
    pub purge_every: Duration,
    /// Whether heap profiles can be had.
    pub profile: Profiling,
}

impl Memory {
    /// The most resident memory in bytes.
    #[must_use]
    pub fn limit_bytes(&self) -> Option<u64> {
        self.limit_mb.map(|limit_mb| u64::from(limit_mb) << 20)
    }
}

/// A live process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// The folder of the control sockets.
    pub dir: PathBuf,
    /// How long a stop may take before it is forced; zero for not at all.
    pub stop_grace: Duration,
}

/// The monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// The file of past samples.
    pub history: PathBuf,
    /// How long samples are kept.
    pub keep: Duration,
    /// How often samples are taken.
    pub every: Duration,
    /// The address of dashboard, metrics and published files.
    pub listen: SocketAddr,
}

/// The log, on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least severe events that are written.
    pub level: Level,
    /// How they are written.
    pub format: Format,
}
