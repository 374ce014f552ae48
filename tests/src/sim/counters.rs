//! Counts requests and connections, and how many of them are concurrent.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use r3e_common::domain::Combination;

use super::{FaultKind, Stats};

/// The maximum number of distinct `User-Agent`s that are counted.
const MOST_USER_AGENTS: usize = 16;

/// A connection, as the counters know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ConnectionId(u64);

/// The counters of one simulator.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stats: Stats,
    boards: HashSet<Combination>,
    last_second: VecDeque<Instant>,
    next: u64,
    open: HashMap<ConnectionId, Open>,
}

/// A connection that is open.
#[derive(Debug, Default)]
struct Open {
    /// Only until its first request: the peak of open connections without it.
    peak_without: Option<u64>,
    in_flight: u64,
    idle: bool,
    tls: bool,
    http2: bool,
}

impl Counters {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a counter.
    pub(super) fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.inner().stats);
    }

    pub(super) fn fault(&self, kind: FaultKind) {
        *self.inner().stats.faults.entry(kind).or_default() += 1;
    }

    pub(super) fn board(&self, board: Combination) {
        self.inner().boards.insert(board);
    }

    pub(super) fn opened(&self) -> ConnectionId {
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.next += 1;
        let id = ConnectionId(inner.next);
        inner.stats.connections_accepted += 1;
        inner.stats.connections_open += 1;
        let open = inner.stats.connections_open;
        for without in inner.open.values_mut().filter_map(|it| it.peak_without.as_mut()) {
            *without = (*without).max(open - 1);
        }
        let peak_without = Some(inner.stats.connections_open_peak);
        inner.stats.connections_open_peak = inner.stats.connections_open_peak.max(open);
        inner.open.insert(id, Open { peak_without, ..Open::default() });
        id
    }

    /// A TLS handshake has finished.
    pub(super) fn handshake(&self, id: ConnectionId, done: bool) {
        let mut guard = self.inner();
        let Inner { stats, open, .. } = &mut *guard;
        if done {
            stats.tls_handshakes += 1;
            open.entry(id).and_modify(|it| it.tls = true);
        } else {
            stats.tls_handshakes_failed += 1;
        }
    }

    /// A connection turns out to speak HTTP/2.
    pub(super) fn http2(&self, id: ConnectionId) {
        let mut guard = self.inner();
        let Inner { stats, open, .. } = &mut *guard;
        stats.http2_connections += 1;
        open.entry(id).and_modify(|it| it.http2 = true);
    }

    /// A connection requested `/__stats`. If that is its first request, it no longer counts.
    pub(super) fn only_stats(&self, id: ConnectionId) -> bool {
        let mut guard = self.inner();
        let Inner { stats, open, .. } = &mut *guard;
        let Some(peak) = open.get(&id).and_then(|it| it.peak_without) else { return false };
        let Some(Open { tls, http2, .. }) = open.remove(&id) else { return false };
        // The counters may have been reset since it was opened.
        stats.connections_accepted = stats.connections_accepted.saturating_sub(1);
        stats.tls_handshakes = stats.tls_handshakes.saturating_sub(tls.into());
        stats.http2_connections = stats.http2_connections.saturating_sub(http2.into());
        stats.connections_open -= 1;
        stats.connections_open_peak = peak;
        true
    }

    pub(super) fn closed(&self, id: ConnectionId) {
        let mut inner = self.inner();
        if let Some(open) = inner.open.remove(&id) {
            inner.stats.connections_open -= 1;
            inner.stats.idle -= u64::from(open.idle);
        }
    }

    pub(super) fn began(&self, id: ConnectionId, now: Instant, user_agent: &str) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let stats = &mut inner.stats;
        stats.requests += 1;
        stats.in_flight += 1;
        stats.in_flight_peak = stats.in_flight_peak.max(stats.in_flight);
        if let Some(open) = inner.open.get_mut(&id) {
            open.peak_without = None;
            open.in_flight += 1;
            stats.idle -= u64::from(std::mem::take(&mut open.idle));
            stats.http2_streams += u64::from(open.http2);
        }
        inner.last_second.push_back(now);
        while inner.last_second.front().is_some_and(|&then| now.duration_since(then) >= Duration::from_secs(1)) {
            inner.last_second.pop_front();
        }
        stats.requests_per_second_peak = stats.requests_per_second_peak.max(inner.last_second.len() as u64);
        if let Some(times) = stats.user_agents.get_mut(user_agent) {
            *times += 1;
        } else if stats.user_agents.len() < MOST_USER_AGENTS {
            stats.user_agents.insert(user_agent.to_owned(), 1);
        }
    }

    /// Bytes written to a connection, if it counts.
    pub(super) fn sent(&self, id: ConnectionId, bytes: u64) {
        let mut inner = self.inner();
        if inner.open.contains_key(&id) {
            inner.stats.bytes_sent += bytes;
        }
    }

    /// A response was handed over or abandoned. `kept` is whether its connection stays open.
    pub(super) fn finished(&self, id: ConnectionId, kept: bool) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.stats.in_flight -= 1;
        let Some(open) = inner.open.get_mut(&id) else { return };
        open.in_flight -= 1;
        if kept && open.in_flight == 0 {
            open.idle = true;
            inner.stats.idle += 1;
            inner.stats.idle_peak = inner.stats.idle_peak.max(inner.stats.idle);
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let inner = self.inner();
        Stats { distinct_boards: inner.boards.len() as u64, ..inner.stats.clone() }
    }

    /// Resets the counters, except for what is open, idle or in flight now.
    pub(super) fn reset(&self) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let Stats { connections_open, in_flight, idle, .. } = inner.stats;
        inner.stats = Stats {
            connections_open,
            connections_open_peak: connections_open,
            in_flight,
            in_flight_peak: in_flight,
            idle,
            idle_peak: idle,
            ..Stats::default()
        };
        let fresh = inner.open.values_mut().filter_map(|it| it.peak_without.as_mut());
        fresh.for_each(|without| *without = connections_open.saturating_sub(1));
        inner.boards.clear();
        inner.last_second.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_open_in_flight_or_idle() {
        let (counters, now) = (Counters::default(), Instant::now());
        let (a, b) = (counters.opened(), counters.opened());
        counters.began(a, now, "x");
        let stats = counters.stats();
        assert_eq!((stats.connections_open, stats.in_flight, stats.idle, stats.requests), (2, 1, 0, 1));
        counters.finished(a, true);
        counters.began(b, now, "x");
        let stats = counters.stats();
        assert_eq!((stats.in_flight, stats.idle, stats.user_agents["x"]), (1, 1, 2));
        counters.closed(a);
        counters.finished(b, false);
        counters.closed(b);
        let stats = counters.stats();
        assert_eq!((stats.connections_open, stats.in_flight, stats.idle), (0, 0, 0));
        assert_eq!((stats.connections_open_peak, stats.in_flight_peak, stats.idle_peak), (2, 1, 1));
        counters.reset();
        assert_eq!(counters.stats(), Stats::default());
    }

    #[test]
    fn a_connection_for_the_counters_alone_leaves_no_trace() {
        let counters = Counters::default();
        let (a, _b) = (counters.opened(), counters.opened());
        counters.began(a, Instant::now(), "");
        let before = counters.stats();
        let watcher = counters.opened();
        counters.handshake(watcher, true);
        counters.http2(watcher);
        assert!(counters.only_stats(watcher));
        counters.closed(watcher);
        assert_eq!(counters.stats(), before);
        let watcher = counters.opened();
        counters.opened();
        assert!(counters.only_stats(watcher));
        assert_eq!(counters.stats().connections_open_peak, 3);
        assert!(!counters.only_stats(a), "it had another request first");
    }

    #[test]
    fn a_connection_with_many_streams_is_idle_when_the_last_has_ended() {
        let (counters, now) = (Counters::default(), Instant::now());
        let id = counters.opened();
        counters.handshake(id, true);
        counters.http2(id);
        for _ in 0..3 {
            counters.began(id, now, "x");
        }
        counters.finished(id, true);
        counters.finished(id, true);
        let stats = counters.stats();
        assert_eq!((stats.in_flight, stats.idle, stats.http2_streams, stats.http2_connections), (1, 0, 3, 1));
        counters.finished(id, true);
        assert_eq!((counters.stats().in_flight, counters.stats().idle), (0, 1));
        counters.began(id, now, "x");
        let stats = counters.stats();
        assert_eq!((stats.in_flight, stats.idle, stats.in_flight_peak, stats.tls_handshakes), (1, 0, 3, 1));
    }

    #[test]
    fn the_busiest_second_is_any_second() {
        let (counters, start) = (Counters::default(), Instant::now());
        let id = counters.opened();
        for millis in [0, 900, 950, 1000, 1890, 1949, 3000] {
            counters.began(id, start + Duration::from_millis(millis), "");
        }
        // 950, 1000, 1890 and 1949 lie within one second, as do 900, 950, 1000 and 1890.
        assert_eq!(counters.stats().requests_per_second_peak, 4);
    }

    #[test]
    fn kinds_of_faults_are_keys() {
        let counters = Counters::default();
        counters.fault(FaultKind::GzipBomb);
        let json = serde_json::to_string(&counters.stats()).unwrap();
        assert!(json.contains(r#""faults":{"gzip-bomb":1}"#), "{json}");
        assert_eq!(serde_json::from_str::<Stats>(&json).unwrap(), counters.stats());
    }
}
