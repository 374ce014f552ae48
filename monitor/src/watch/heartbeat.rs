//! What the watch reports to its supervisor: how many programs answered and when, and that its loop is not stuck.

use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;
use r3e_common::runtime::notify::Supervisor;
use tokio::time::Instant;

use crate::history::Batch;

/// A round that takes longer is stuck: all programs are asked at once, and none is waited for longer than 2 s.
const STUCK: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Heartbeat<'s> {
    supervisor: &'s Supervisor,
    round_started: Cell<Option<Instant>>,
}

impl<'s> Heartbeat<'s> {
    pub(super) fn new(supervisor: &'s Supervisor) -> Self {
        Self { supervisor, round_started: Cell::new(None) }
    }

    /// Runs a round of sampling, and reports its result.
    pub(super) async fn round(&self, round: impl Future<Output = Batch>) -> Batch {
        self.round_started.set(Some(Instant::now()));
        let batch = round.await;
        self.round_started.set(None);
        self.supervisor.status(&status(&batch));
        batch
    }

    /// Feeds the watchdog from the loop itself, unless a round is stuck.
    pub(super) async fn feed_watchdog(&self) {
        self.supervisor.feed_watchdog(|| self.round_started.get().is_none_or(|begun| begun.elapsed() < STUCK)).await;
    }
}

fn status(batch: &Batch) -> String {
    let at = Timestamp::from_millisecond(batch.at_ms).unwrap_or_default().strftime("%H:%M:%SZ");
    let answered = batch.samples.len();
    match &batch.silent {
        Some(silent) => format!("{answered} of {} programs answered at {at}", answered + silent.len()),
        None => "the folder of the control sockets cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r3e_common::runtime::config::Environment;
    use std::os::unix::net::UnixDatagram;
    use std::path::PathBuf;

    /// All messages since the last call.
    fn received(socket: &UnixDatagram) -> Vec<String> {
        let mut bytes = [0; 1000];
        let mut next =
            || socket.recv(&mut bytes).ok().map(|length| String::from_utf8(bytes[..length].to_vec()).unwrap());
        std::iter::from_fn(&mut next).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_until_a_round_does_not_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut environment = Environment::bare(PathBuf::new(), 1000);
        environment.variables = vec![("NOTIFY_SOCKET".into(), path.into()), ("WATCHDOG_USEC".into(), "2000000".into())];
        let supervisor = Supervisor::new(&environment, 1, None).unwrap();
        let heartbeat = Heartbeat::new(&supervisor);
        let watchdog = heartbeat.feed_watchdog();
        // A socket takes few messages that nobody reads, so they are read every second.
        let read_for = async |seconds: usize| {
            let mut all = Vec::new();
            for _ in 0..seconds {
                tokio::time::sleep(Duration::from_secs(1)).await;
                all.extend(received(&socket));
            }
            assert!(all.iter().all(|it| it == "WATCHDOG=1"), "{all:?}");
            all.len()
        };

        let work = async {
            let empty = Batch { at_ms: 1000, samples: Vec::new(), silent: Some([("r3e-loader".to_owned(), 7)].into()) };
            let _batch = heartbeat.round(async { empty }).await;
            assert_eq!(received(&socket).last().unwrap(), "STATUS=0 of 1 programs answered at 00:00:01Z");
            // Idle for long is not stuck.
            let while_idle = read_for(600).await;
            assert!((599..=601).contains(&while_idle), "{while_idle}");
            let stuck = heartbeat.round(std::future::pending());
            let (_, while_stuck) = tokio::join!(tokio::time::timeout(Duration::from_mins(10), stuck), read_for(600));
            assert!((9..=11).contains(&while_stuck), "{while_stuck}");
        };
        tokio::select! { () = work => {}, () = watchdog => {} }
    }
}
