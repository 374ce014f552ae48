//! A limiter with figures that the test sets, and one with real figures.

use super::*;
use crate::runtime::memory::Figures;
use crate::runtime::memory::usage::{Limit, Origin, Scope};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use r3e_needs::until;

const MB: u64 = 1 << 20;
const JOB: Role = Role::Job { boards: 8 };

fn used(scope: Scope, bytes: u64) -> Used {
    let origin = match scope {
        Scope::Process => Origin::Configured("MEMORY_LIMIT_MB".to_owned()),
        Scope::ControlGroup => Origin::ControlGroup("/cg/memory.max".into()),
    };
    Used { bytes, scope, limit: Limit { bytes: 100 * MB, origin } }
}

fn purged() -> Purged {
    Purged { before: Figures::default(), after: Figures::default(), took: Duration::ZERO, workers: 0 }
}

/// A limiter that samples the figures of the test every millisecond; purges are counted.
struct World {
    rss: Arc<AtomicU64>,
    group: Arc<AtomicU64>,
    purges: Arc<AtomicUsize>,
    stop: CancellationToken,
    limiter: MemoryLimiter,
}

impl World {
    fn new(role: Role, rss_bytes: u64) -> Self {
        let (rss, purges) = (Arc::new(AtomicU64::new(rss_bytes)), Arc::new(AtomicUsize::new(0)));
        let group = Arc::new(AtomicU64::new(0));
        let stop = CancellationToken::new();
        let hooks = Hooks {
            interval: Duration::from_millis(1),
            usage: Box::new({
                let (rss, group) = (Arc::clone(&rss), Arc::clone(&group));
                move || {
                    let groups = vec![used(Scope::ControlGroup, group.load(Ordering::SeqCst))];
                    Ok(Usage { own: used(Scope::Process, rss.load(Ordering::SeqCst)), groups })
                }
            }),
            purge: Arc::new({
                let purges = Arc::clone(&purges);
                move || {
                    purges.fetch_add(1, Ordering::SeqCst);
                    Ok(purged())
                }
            }),
        };
        let limiter = MemoryLimiter::start_with(role, stop.clone(), hooks).unwrap();
        Self { rss, group, purges, stop, limiter }
    }
}

#[test]
fn it_purges_then_allows_fewer_boards_then_stops() {
    let world = World::new(JOB, 76 * MB);
    until("it purges", || world.purges.load(Ordering::SeqCst) == 1);
    assert_eq!(world.limiter.concurrency().boards(), 8);
    world.rss.store(86 * MB, Ordering::SeqCst);
    until("fewer boards are in flight", || world.limiter.concurrency().boards() == 4);
    assert!(!world.stop.is_cancelled() && world.limiter.reached().is_none());
    world.rss.store(101 * MB, Ordering::SeqCst);
    until("it stops", || world.stop.is_cancelled());
    assert_eq!(world.limiter.concurrency().boards(), 1);
    let reached = world.limiter.reached().unwrap().to_string();
    assert_eq!(reached, "memory limit reached: 101 MB resident, memory.limit_mb = 100 (MEMORY_LIMIT_MB)");
}

#[test]
fn a_job_stops_for_its_control_group_and_a_daemon_purges_for_it() {
    let job = World::new(JOB, 10 * MB);
    job.group.store(101 * MB, Ordering::SeqCst);
    until("it stops", || job.stop.is_cancelled());
    let reached = job.limiter.reached().unwrap().to_string();
    let of_group = "101 MB in use by all processes of the control group, /cg/memory.max = 104857600 (100 MB)";
    assert_eq!(reached, format!("memory limit reached: {of_group}"));

    let daemon = World::new(Role::Daemon, 10 * MB);
    daemon.group.store(101 * MB, Ordering::SeqCst);
    until("it purges", || daemon.purges.load(Ordering::SeqCst) == 1);
    assert!(!daemon.stop.is_cancelled());
    daemon.rss.store(101 * MB, Ordering::SeqCst);
    until("it stops", || daemon.stop.is_cancelled());
    assert!(daemon.limiter.reached().is_some_and(|reached| reached.0.scope == Scope::Process));
}

#[test]
fn dropping_it_ends_the_thread() {
    let world = World::new(JOB, 0);
    let stop = world.stop.clone();
    drop(world);
    assert!(!stop.is_cancelled());
}

#[test]
fn a_slow_purge_does_not_delay_sampling() {
    let (samples, at_work) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (end, ended) = channel::<()>();
    let ended = std::sync::Mutex::new(ended);
    let hooks = Hooks {
        interval: Duration::from_millis(1),
        usage: Box::new({
            let samples = Arc::clone(&samples);
            move || {
                samples.fetch_add(1, Ordering::SeqCst);
                Ok(Usage { own: used(Scope::Process, 80 * MB), groups: Vec::new() })
            }
        }),
        purge: Arc::new({
            let at_work = Arc::clone(&at_work);
            move || {
                at_work.fetch_add(1, Ordering::SeqCst);
                ended.lock().unwrap().recv().unwrap_err();
                Ok(purged())
            }
        }),
    };
    let limiter = MemoryLimiter::start_with(Role::Daemon, CancellationToken::new(), hooks).unwrap();
    until("it purges", || at_work.load(Ordering::SeqCst) == 1);
    let before = samples.load(Ordering::SeqCst);
    until("it samples again", || samples.load(Ordering::SeqCst) > before + 10);
    drop(end);
    drop(limiter);
    assert_eq!(at_work.load(Ordering::SeqCst), 1);
}

#[test]
fn without_a_limit_there_is_no_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let limiter =
        MemoryLimiter::start(None, Role::Job { boards: 4 }, runtime.handle().clone(), CancellationToken::new())
            .unwrap();
    assert!(limiter.thread.is_none());
    assert_eq!(limiter.concurrency().boards(), 4);
}

#[test]
fn it_samples_real_figures() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stop = CancellationToken::new();
    let limits = |bytes| {
        let limit = Limit { bytes, origin: Origin::Configured(String::new()) };
        Some(Limits::only(limit))
    };
    let limiter = MemoryLimiter::start(limits(1 << 40), Role::Daemon, runtime.handle().clone(), stop.clone()).unwrap();
    drop(limiter);
    assert!(!stop.is_cancelled());
    // Too small for any program.
    let limiter = MemoryLimiter::start(limits(MB), Role::Daemon, runtime.handle().clone(), stop.clone()).unwrap();
    until("it stops", || stop.is_cancelled());
    assert!(limiter.reached().is_some_and(|it| it.0.bytes > MB));
}
