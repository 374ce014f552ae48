//! A program that leaks on purpose, to test leak detection on a real process: it has a control socket, named tasks and the
//! allocator like all programs here, and does realistic work between two purges.
//!
//! It runs one cycle for each line on its standard input, and then prints `done` and the number of the cycle, so its driver
//! needs no clock. It exits at the end of its input.

mod leak;
pub mod nights;
pub mod trial;
mod wander;
mod work;

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use fastrand::Rng;
use r3e_common::runtime::control::{Control, Facts};
use r3e_common::runtime::memory;
use r3e_common::runtime::tasks::Tasks;

pub use leak::Kind;

use leak::{Leak, Maker};
use wander::{Cache, Filling, Pools};
use work::{Busy, Load};

/// The program's name, as its control socket has it.
pub const PROGRAM: &str = "r3e-leaky";

/// Leaks at a known rate, one cycle for each line on standard input.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = PROGRAM, version, max_term_width = 100)]
pub struct Arguments {
    /// The folder of the control sockets
    #[arg(long, value_name = "DIR")]
    pub runtime_dir: PathBuf,
    /// What is leaked
    #[arg(long, value_enum, default_value = "none")]
    pub leak: Kind,
    /// How much of it in a cycle: bytes, or how many
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub per_cycle: usize,
    /// Bytes that each cycle allocates on several threads and frees; of one in twenty some are still held afterwards
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub load: usize,
    /// Bytes that a thread has at most, which allocates and frees all the time, also while it is purged
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub busy: usize,
    /// The bound of a cache that grows to it, sheds some, and grows again
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub wander: usize,
    /// How many cycles that cache takes to its bound
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub wander_cycles: u16,
    /// The size of a cache that fills up from the start, ever slower, and stays full
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub fill: usize,
    /// In how many cycles two thirds of what is missing in it are filled
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..))]
    pub fill_cycles: u16,
    /// How many tasks, descriptors and connections at most come and go
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub pools: usize,
    /// Of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Runs until standard input ends.
///
/// # Errors
/// When the system refuses a socket, a thread or a descriptor.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    memory::check_tuning()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_park(memory::flush_if_asked)
        .build()?;
    let _entered = runtime.enter();
    let facts = Arc::new(Facts::new(PROGRAM, SystemTime::now(), runtime.handle().clone(), None));
    let tasks = Tasks::default();
    facts.set_tasks(Some(tasks.clone()));
    facts.set_phase("leaking");
    let control = Control::open(&arguments.runtime_dir, facts)?;

    let mut random = Rng::with_seed(arguments.seed);
    let maker = Maker::new(tasks.clone())?;
    let mut leak = Leak::new(arguments.leak, arguments.per_cycle);
    let mut load = Load::new(arguments.load, tasks);
    let mut cache = Cache::new(arguments.wander, arguments.wander_cycles.into());
    let mut filling = Filling::new(arguments.fill, arguments.fill_cycles.into());
    let mut pools = Pools::new(arguments.pools);
    let busy = Busy::start(arguments.busy, random.fork())?;

    let mut out = std::io::stdout();
    writeln!(out, "ready").and_then(|()| out.flush()).context("cannot say that it is ready")?;
    for (number, line) in (1_u64..).zip(std::io::stdin().lock().lines()) {
        line.context("cannot read standard input")?;
        load.cycle(&mut random)?;
        cache.cycle(&mut random);
        filling.cycle(&mut random);
        pools.cycle(&maker, &mut random)?;
        leak.cycle(&maker, &mut random)?;
        writeln!(out, "done {number}").and_then(|()| out.flush()).context("cannot say that a cycle is done")?;
    }
    busy.stop();
    drop(control);
    runtime.shutdown_background();
    Ok(())
}
