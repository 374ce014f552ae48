//! `serve`: the dashboard, metrics for collectors, and the published files, over HTTP on loopback. Read only: nothing that
//! is asked changes anything, and what is asked of programs and history is asked once a second at most, for all who look.

mod accept;
mod conditions;
mod cors;
mod files;
mod fresh;
mod hosts;
mod look;
mod metrics;
mod page;
mod patient;
mod preconditions;
mod reply;
mod site;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use r3e_common::runtime::config::Loaded;
use r3e_common::runtime::control::{Control, Facts};
use r3e_common::runtime::exit::Exit;
use r3e_common::runtime::memory;
use r3e_common::runtime::memory::guard::Guard;
use r3e_common::runtime::memory::ladder::Role;
use r3e_common::runtime::memory::limit::Limits;
use r3e_common::runtime::run_record::Run;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::signals::Reaper;
use r3e_common::runtime::tasks::Tasks;
use tokio::net::TcpListener;

use crate::watch::Limited;
use accept::Bounds;
use site::Site;

/// What this program is called where programs are named.
const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on monitor.listen = {address}: {cause}{}", hint(cause))]
pub(crate) struct NotListening {
    pub(crate) address: SocketAddr,
    pub(crate) cause: io::Error,
}

impl NotListening {
    /// Another program that has the port may leave it; an address that this machine does not have is a mistake.
    pub(crate) fn exit(&self) -> Exit {
        match self.cause.kind() {
            io::ErrorKind::AddrInUse => Exit::TryAgain,
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::PermissionDenied => Exit::Configuration,
            _ => Exit::Unexpected,
        }
    }
}

fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "; hint: another program listens there, perhaps another r3e-monitor serve: --listen"
        }
        io::ErrorKind::AddrNotAvailable => "; hint: this machine does not have that address",
        _ => "",
    }
}

/// Serves until a signal comes.
///
/// # Errors
/// When the address cannot be listened on, or the memory limit was reached.
pub(crate) fn run(
    loaded: &Loaded,
    runtime: &tokio::runtime::Runtime,
    clock: fn() -> SystemTime,
) -> anyhow::Result<Exit> {
    let config = &loaded.config;
    let shutdown = Shutdown::listen(config.runtime.stop_grace)?;
    let address = config.monitor.listen;
    let listening = runtime.block_on(TcpListener::bind(address));
    let listener = listening.map_err(|cause| NotListening { address, cause })?;
    let run = Run { program: PROGRAM, doing: "serve".to_owned(), started: clock() };
    let begun = Instant::now();
    let stop = shutdown.token().clone();
    let limits = Limits::of(loaded);
    let facts =
        Facts::new(PROGRAM, run.started, runtime.handle().clone(), limits.as_ref().map(|it| it.smallest().bytes));
    let guard = Guard::start(limits, Role::Daemon, runtime.handle().clone(), stop.clone())?;
    facts.set_phase("serving");
    let tasks = Tasks::default();
    let listed = tasks.clone();
    facts.set_tasks(Some(Arc::new(move || listed.list())));
    let control = Control::open_or_say(&config.runtime.dir, Arc::new(facts));
    // By the system where the port was 0.
    let address = listener.local_addr()?;
    let site = Arc::new(Site::new(config.clone(), address, clock));
    // Whoever reads this may ask.
    tracing::info!(%address, cache = %config.cache.dir.display(), "listening on http://{address}/");
    if !address.ip().is_loopback() {
        tracing::warn!("everyone who reaches this address may read the dashboard, and no name of a host is refused");
    }
    runtime.block_on(async {
        let purging = memory::purge_periodically(&tasks, &stop, config.memory.purge_every);
        tokio::select! {
            () = accept::accept(listener, &site, Bounds::default(), &tasks, &stop) => {}
            () = Reaper::reap_all() => {}
        }
        purging.stop().await;
    });
    drop(control);
    let exit = run.end_daemon(begun.elapsed(), guard.reached().is_some(), &config.runtime.dir);
    shutdown.announced();
    tracing::info!("⏹️ Serving stopped");
    match guard.reached() {
        Some(reached) => Err(Limited(reached.clone()).into()),
        None => Ok(exit),
    }
}
