//! `serve`: the pages, metrics for collectors, and the published files, over HTTP on loopback. Read-only. Programs and the
//! history are read about once a second at most, whatever the number of clients.

mod accept;
mod cors;
mod file_body;
mod files;
mod headers;
mod hosts;
mod metrics;
mod page;
mod reply;
mod site;
mod source;
mod ttl_cache;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use r3e_common::runtime::config::Loaded;
use r3e_common::runtime::daemon::{Daemon, Services};
use r3e_common::runtime::exit::{Exit, Failure, Fatal};
use r3e_common::runtime::memory;
use r3e_common::runtime::notify::Supervisor;
use r3e_common::runtime::shutdown::Shutdown;
use r3e_common::runtime::signals::Reaper;
use tokio::net::TcpListener;

use accept::Bounds;
use site::Site;

/// The name of this program.
const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on monitor.listen = {address}: {cause}{}", hint(cause))]
pub(crate) struct NotListening {
    pub(crate) address: SocketAddr,
    pub(crate) cause: io::Error,
}

/// Another program that has the port may leave it; an address that this machine does not have is a mistake.
impl Fatal for NotListening {
    fn exit(&self) -> Exit {
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
/// Returns 75 if the memory limit was reached.
pub(crate) fn run(
    loaded: &Loaded,
    runtime: &tokio::runtime::Runtime,
    supervisor: &Supervisor,
    clock: fn() -> SystemTime,
) -> Result<Exit, Failure> {
    let config = &loaded.config;
    let shutdown = Shutdown::listen(config.runtime.stop_grace)?;
    let address = config.monitor.listen;
    let listening = runtime.block_on(TcpListener::bind(address));
    let listener = listening.map_err(|cause| NotListening { address, cause })?;
    let daemon = Daemon { program: PROGRAM, doing: "serve", loaded, shutdown: &shutdown, clock };
    let (exit, ()) = daemon.run(runtime, async |Services { facts, tasks }| {
        facts.set_phase("serving");
        // Chosen by the system if the port was 0.
        let address = listener.local_addr()?;
        let site = Arc::new(Site::new(config.clone(), address, clock));
        // Whoever reads this may ask.
        tracing::info!(%address, cache = %config.cache.dir.display(), "listening on http://{address}/");
        if !address.ip().is_loopback() {
            tracing::warn!(
                "everyone who reaches this address may read the dashboard, and no name of a host is refused"
            );
        }
        let stop = shutdown.token();
        let purging = memory::purge_periodically(tasks, stop, config.memory.purge_every);
        supervisor.ready(&format!("listening on http://{address}/"));
        let watchdog = tasks.track("feeding the watchdog", supervisor.feed_watchdog(|| true));
        tokio::select! {
            () = accept::accept(listener, site::router(site), Bounds::default(), tasks, stop) => {}
            ((), ()) = async { tokio::join!(Reaper::reap_all(), watchdog) } => {}
        }
        supervisor.stopping("stopping");
        purging.stop().await;
        Ok(())
    })?;
    tracing::info!("⏹️ Serving stopped");
    Ok(exit)
}
