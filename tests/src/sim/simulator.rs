//! A running simulator: its thread, its statistics, and what can be changed while it runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self as answer};
use std::thread::JoinHandle;
use std::time::Duration;

use r3e_common::domain::Combination;
use tokio::sync::mpsc;

use super::accept::{self, Command, Port};
use super::connection::{Silence, Wire};
use super::server::Service;
use super::tls::Identity;
use super::{Faults, SimError, SimOptions, Stats, World};

/// A running simulated service. Dropping it stops it and joins its thread.
///
/// All methods may be called from anywhere, including async code: none of them waits for a client.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    ca_pem: Option<String>,
    service: Arc<Service>,
    /// Whoever sends one waits for the answer, so that no more can queue than there are callers.
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts a simulator; when this returns, it answers.
    ///
    /// # Errors
    /// When the options are impossible, or the address cannot be listened on.
    pub fn start(options: SimOptions) -> Result<Self, SimError> {
        options.check()?;
        let asked = options.listen;
        let listen_error = |source| SimError::Listen { address: asked, source };
        let port = Port::hold(asked).map_err(listen_error)?;
        let address = port.address().map_err(listen_error)?;
        let identity = options.tls.map(|tls| Identity::new(tls, options.bad_certificate, address)).transpose()?;
        let (acceptor, ca_pem) = identity.map(|it| (it.acceptor, it.ca_pem)).unzip();
        let silence = Silence::new(&options);
        let service = Arc::new(Service::new(World::new(&options)?, options));
        let wire = Wire::new(silence, acceptor, &service);
        let (commands, inbox) = mpsc::unbounded_channel();
        let (tell, told) = answer::channel();
        let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(accept::serve(port, Arc::new(wire), inbox, |ready| {
                // Who started it waits for this.
                let _unheard = tell.send(ready.map_err(Refusal::Listen));
            })),
            Err(error) => {
                let _unheard = tell.send(Err(Refusal::Thread(error)));
            }
        };
        let thread = std::thread::Builder::new().name("r3e-sim".to_owned()).spawn(run).map_err(SimError::Thread)?;
        let simulator = Self { address, ca_pem, service, commands: Some(commands), thread: Some(thread) };
        match told.recv() {
            Ok(Ok(())) => Ok(simulator),
            Ok(Err(Refusal::Listen(error))) => Err(listen_error(error)),
            Ok(Err(Refusal::Thread(error))) => Err(SimError::Thread(error)),
            Err(answer::RecvError) => Err(SimError::Ended),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as the client's base address: `http://127.0.0.1:41234`, with TLS `https://127.0.0.1:41234`.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate of the authority that issued its own, as PEM: what `SSL_CERT_FILE` of a client has to hold. None
    /// without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// What it serves.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.service.world
    }

    /// What it was asked so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.service.counters.stats()
    }

    /// Resets the counters, except for what is open, idle or in flight.
    pub fn reset_stats(&self) {
        self.service.counters.reset();
    }

    /// Replaces the faults, and restarts the numbering of attempts.
    ///
    /// # Errors
    /// If a rate is invalid, or the rates add up to more than 1.
    pub fn set_faults(&self, faults: Faults) -> Result<(), SimError> {
        faults.check()?;
        self.service.set_faults(faults);
        Ok(())
    }

    /// Delays all later responses by this long.
    pub fn set_latency(&self, latency: Duration) {
        self.service.set_latency(latency);
    }

    /// Responds to this many more listing requests, and holds later ones until [`Simulator::answer_all`]. So a job stops at
    /// an exact point, however late the test looks.
    pub fn answer_only(&self, more: u64) {
        self.service.answer(Some(more));
    }

    /// Responds to all listing requests again, first to those that are held.
    pub fn answer_all(&self) {
        self.service.answer(None);
    }

    /// Replaces a board: the same number of entries, different laps, mostly different drivers.
    ///
    /// # Errors
    /// If the catalogue has no such board.
    pub fn change_board(&self, board: Combination) -> Result<(), SimError> {
        self.service.world.change(board)
    }

    /// Ends all sessions: listings are refused, as [`SimOptions::session_end`] says, until the client asks for the page
    /// again.
    pub fn end_sessions(&self) {
        self.service.end_sessions();
    }

    /// Refuses new connections and drops those that are open; when this returns, none is left.
    ///
    /// # Errors
    /// When the simulator's thread has ended.
    pub fn go_down(&self) -> Result<(), SimError> {
        self.command(Command::Down)
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the simulator's thread has ended.
    pub fn come_up(&self) -> Result<(), SimError> {
        let outcome: io::Result<()> = self.command(Command::Up)?;
        outcome.map_err(|source| SimError::Listen { address: self.address, source })
    }

    fn command<T>(&self, command: impl FnOnce(answer::Sender<T>) -> Command) -> Result<T, SimError> {
        let (tell, told) = answer::channel();
        let commands = self.commands.as_ref().ok_or(SimError::Ended)?;
        commands.send(command(tell)).map_err(|_| SimError::Ended)?;
        told.recv().map_err(|_| SimError::Ended)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.commands.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; a second one here would hide it.
            let _panicked = thread.join();
        }
    }
}

/// Why the thread cannot serve.
enum Refusal {
    Listen(io::Error),
    Thread(io::Error),
}
