//! Memory and resources that grow and shrink but do not leak.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;

use fastrand::Rng;

use super::leak::Maker;

/// A cache that is filled up to its bound, then sheds some, and is filled again.
#[derive(Debug)]
pub(super) struct Cache {
    bound: usize,
    cycles: usize,
    held: usize,
    entries: HashMap<u64, Vec<u8>>,
}

impl Cache {
    pub(super) fn new(bound: usize, cycles: usize) -> Self {
        Self { bound, cycles, held: 0, entries: HashMap::new() }
    }

    pub(super) fn cycle(&mut self, random: &mut Rng) {
        if self.bound == 0 {
            return;
        }
        let mut arriving = random.usize(..=self.bound * 2 / self.cycles);
        while arriving > 0 {
            let size = random.usize(200..4000).min(arriving);
            arriving -= size;
            self.held += size;
            self.entries.insert(random.u64(..), vec![1; size]);
        }
        if self.held > self.bound {
            let keep = self.bound / 10 * random.usize(1..8);
            let mut held = self.held;
            self.entries.retain(|_, entry| {
                let stays = held <= keep;
                if !stays {
                    held -= entry.len();
                }
                stays
            });
            self.held = held;
        }
    }
}

/// A cache of all there is: the fuller it is, the less is new.
#[derive(Debug)]
pub(super) struct Filling {
    keys: usize,
    touched: usize,
    entries: HashMap<usize, Vec<u8>>,
}

/// The bytes of one of its entries.
const ENTRY: usize = 2048;

impl Filling {
    pub(super) fn new(bytes: usize, cycles: usize) -> Self {
        let keys = bytes / ENTRY;
        Self { keys, touched: keys / cycles, entries: HashMap::new() }
    }

    pub(super) fn cycle(&mut self, random: &mut Rng) {
        for _one in 0..self.touched {
            self.entries.entry(random.usize(..self.keys)).or_insert_with(|| vec![1; ENTRY]);
        }
    }
}

/// Tasks, descriptors and connections that come and go.
#[derive(Debug)]
pub(super) struct Pools {
    most: usize,
    tasks: VecDeque<tokio::task::JoinHandle<()>>,
    descriptors: VecDeque<UnixDatagram>,
    connections: VecDeque<TcpStream>,
}

impl Pools {
    pub(super) fn new(most: usize) -> Self {
        Self { most, tasks: VecDeque::new(), descriptors: VecDeque::new(), connections: VecDeque::new() }
    }

    pub(super) fn cycle(&mut self, maker: &Maker, random: &mut Rng) -> io::Result<()> {
        let most = self.most;
        let next = |now: usize, random: &mut Rng| (now + random.usize(..=8)).saturating_sub(4).min(most);
        let wanted = next(self.tasks.len(), random);
        while self.tasks.len() > wanted {
            self.tasks.pop_front().iter().for_each(tokio::task::JoinHandle::abort);
        }
        while self.tasks.len() < wanted {
            self.tasks.push_back(maker.task());
        }
        let wanted = next(self.descriptors.len(), random);
        self.descriptors.drain(..self.descriptors.len().saturating_sub(wanted));
        while self.descriptors.len() < wanted {
            self.descriptors.push_back(maker.descriptor()?);
        }
        let wanted = next(self.connections.len(), random);
        self.connections.drain(..self.connections.len().saturating_sub(wanted));
        while self.connections.len() < wanted {
            self.connections.push_back(maker.connection()?);
        }
        Ok(())
    }
}
