//! The list of all keys: their defaults, what they accept, and which of them have to go together.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Time;
use reqwest::Url;

use super::environment::Environment;
use super::kind::{
    FROM_ZERO, POSITIVE, base_url, boolean, choice, cron_list, duration, header, integer, path, socket_address,
    time_of_day, time_zone,
};
use super::paths::{default_runtime_dir, default_staging_dir, is_writable_dir, overlap};
use super::reader::Reader;
use super::sections::{Cache, Catalog, Config, Index, Log, Memory, Monitor, Refresh, Runtime, Schedule, Upstream};
use crate::runtime::logging::{Format, Level};
use crate::runtime::memory::profile::Profiling;

/// Who we are to the service, with where its operators find us.
const USER_AGENT: &str =
    concat!("r3e-leaderboard/", env!("CARGO_PKG_VERSION"), " (+", env!("CARGO_PKG_REPOSITORY"), ")");

/// Asks the reader for every key.
pub(super) fn read(r: &mut Reader, environment: &Environment) -> Config {
    Config {
        cache: cache(r, environment),
        catalog: Catalog { path: r.optional("catalog.path", path()) },
        upstream: upstream(r),
        index: Index {
            every: r.get("index.every", Duration::from_mins(30), duration(POSITIVE)),
            plain: r.get("index.plain", false, boolean()),
        },
        schedule: schedule(r),
        refresh: Refresh {
            resume_within: r.get("refresh.resume_within", Duration::from_hours(12), duration(FROM_ZERO)),
        },
        memory: Memory {
            limit_mb: r.optional("memory.limit_mb", integer(1..=1 << 20)),
            purge_every: r.get("memory.purge_every", Duration::from_mins(15), duration(POSITIVE)),
            profile: r.get("memory.profile", Profiling::Off, choice(&Profiling::ALL)),
        },
        runtime: runtime(r, environment),
        monitor: Monitor {
            history: r.get("monitor.history", PathBuf::from("monitor.db"), path()),
            keep: r.get("monitor.keep", Duration::from_hours(90 * 24), duration(POSITIVE)),
            every: r.get("monitor.every", Duration::from_secs(10), duration(POSITIVE)),
            listen: r.get("monitor.listen", (Ipv4Addr::LOCALHOST, 9464).into(), socket_address()),
        },
        log: Log {
            level: r.get("log.level", Level::Info, choice(&Level::ALL)),
            format: r.get("log.format", Format::Text, choice(&Format::ALL)),
        },
        settings: Vec::new(),
    }
}

fn cache(r: &mut Reader, environment: &Environment) -> Cache {
    let here = &environment.current_dir;
    let dir = r.get("cache.dir", PathBuf::from("cache"), path());
    let staging_dir = r.get("cache.staging_dir", default_staging_dir(&dir, here), path());
    if overlap(&dir, &staging_dir, here) {
        let expected = "another folder, neither inside nor around";
        r.conflict("cache.staging_dir", "cache.dir", expected, expected);
    }
    Cache { dir, staging_dir, max_age: r.get("cache.max_age", Duration::from_hours(24), duration(FROM_ZERO)) }
}

#[expect(clippy::expect_used, reason = "the address is part of the program, and every test reads it")]
fn upstream(r: &mut Reader) -> Upstream {
    let service = Url::parse("https://game.raceroom.com/").expect("the default address is one");
    let base_url = r.get("upstream.base_url", service, base_url());
    let user_agent = r.get("upstream.user_agent", USER_AGENT.to_owned(), header());
    let requests_per_second = r.get("upstream.requests_per_second", 8, integer(1..=100_000));
    let concurrency = r.get("upstream.concurrency", 4, integer(1..=256));
    let it = Upstream {
        base_url,
        user_agent,
        requests_per_second,
        concurrency,
        timeout: r.get("upstream.timeout", Duration::from_mins(2), duration(POSITIVE)),
        // The service answers with 1500 entries at most: of a larger page, each would look like the last one.
        page_size: r.get("upstream.page_size", 1500, integer(2..=1500)),
        max_body_mb: r.get("upstream.max_body_mb", 32, integer(1..=1024)),
        max_idle_per_host: r.get("upstream.max_idle_per_host", concurrency, integer(0..=256)),
        // The pool takes zero for no limit.
        idle_timeout: r.get("upstream.idle_timeout", Duration::from_secs(30), duration(POSITIVE)),
        attempts: r.get("upstream.attempts", 4, integer(1..=20)),
        backoff_min: r.get("upstream.backoff_min", Duration::from_millis(500), duration(POSITIVE)),
        backoff_max: r.get("upstream.backoff_max", Duration::from_secs(30), duration(POSITIVE)),
    };
    if it.backoff_min > it.backoff_max {
        r.conflict("upstream.backoff_min", "upstream.backoff_max", "at most", "at least");
    }
    it
}

fn schedule(r: &mut Reader) -> Schedule {
    let it = Schedule {
        daily_at: r.get("schedule.daily_at", Time::constant(4, 0, 0, 0), time_of_day()),
        time_zone: r.optional("schedule.time_zone", time_zone()),
        catch_up: r.get("schedule.catch_up", true, boolean()),
        load_at_start: r.get("schedule.load_at_start", true, boolean()),
        cron: r.get("schedule.cron", Vec::new(), cron_list()),
        attempts: r.get("schedule.attempts", 3, integer(1..=100)),
        backoff_min: r.get("schedule.backoff_min", Duration::from_mins(1), duration(POSITIVE)),
        backoff_max: r.get("schedule.backoff_max", Duration::from_mins(30), duration(POSITIVE)),
        job_timeout: r.get("schedule.job_timeout", Duration::from_hours(12), duration(POSITIVE)),
        trigger_poll: r.get("schedule.trigger_poll", Duration::from_mins(1), duration(POSITIVE)),
    };
    if it.backoff_min > it.backoff_max {
        r.conflict("schedule.backoff_min", "schedule.backoff_max", "at most", "at least");
    }
    it
}

fn runtime(r: &mut Reader, environment: &Environment) -> Runtime {
    let xdg_runtime_dir = environment.variable("XDG_RUNTIME_DIR");
    let default =
        default_runtime_dir(&environment.system_runtime_dir, is_writable_dir, xdg_runtime_dir, environment.uid);
    Runtime {
        dir: r.get("runtime.dir", default, path()),
        stop_grace: r.get("runtime.stop_grace", Duration::from_secs(10), duration(FROM_ZERO)),
    }
}
