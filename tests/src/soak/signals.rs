//! Random signals to jobs and daemons, drawn from the seed.

use std::time::Duration;

use nix::sys::signal::Signal;

/// Until this part of the run, daemons are stopped and killed too. After it they live long enough to be judged.
pub(super) const DAEMONS_UNTIL: f64 = 0.3;

/// The target of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The job of the night.
    Job,
    /// A daemon, by its number.
    Daemon(usize),
}

/// A signal at some moment of a night.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signalled {
    /// Its target.
    pub(super) target: Target,
    /// SIGTERM or SIGKILL.
    pub(super) signal: Signal,
    /// When it is sent, after the job was requested.
    pub(super) after: Duration,
}

/// Draws the signals of a night that takes about this long.
pub(super) fn draw(random: &mut fastrand::Rng, with_daemons: bool, night: Duration) -> Vec<Signalled> {
    let mut signals = Vec::new();
    let mut add = |random: &mut fastrand::Rng, target| {
        let signal = if random.bool() { Signal::SIGTERM } else { Signal::SIGKILL };
        signals.push(Signalled { target, signal, after: night.mul_f64(random.f64()) });
    };
    if random.u8(0..100) < 30 {
        add(random, Target::Job);
    }
    if with_daemons && random.u8(0..100) < 25 {
        let daemon = Target::Daemon(random.usize(0..3));
        add(random, daemon);
    }
    signals.sort_by_key(|it| it.after);
    signals
}
