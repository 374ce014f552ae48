//! Periodic purges in long-running programs: `memory.purge_every`.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{purge_all, purge_or_log};
use crate::runtime::periodic::{Cadence, Periodic};
use crate::runtime::tasks::Tasks;

/// Purges at that interval until it is stopped or `stop` is cancelled, and logs each purge. Call it within the runtime, whose workers'
/// caches are flushed too.
#[must_use]
pub fn purge_periodically(tasks: &Tasks, stop: &CancellationToken, every: Duration) -> Periodic {
    let runtime = Handle::current();
    let names = (NAME, Some("⏹️ Memory monitoring stopped"));
    Periodic::start(tasks, stop, Cadence::Every(every), names, move |_| match purge_all(&runtime) {
        Ok(purged) => tracing::info!("{}", purged.after.periodic_line()),
        Err(error) => tracing::warn!(%error, "cannot purge"),
    })
}

/// Like [`purge_periodically`] without a log, for commands that use the terminal.
#[must_use]
pub fn purge_periodically_unlogged(tasks: &Tasks, stop: &CancellationToken, every: Duration) -> Periodic {
    Periodic::start(tasks, stop, Cadence::Every(every), (NAME, None), |_| purge_or_log())
}

const NAME: &str = "purging memory";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::memory::figures;

    #[tokio::test]
    async fn it_purges_again_and_again_until_it_is_stopped() {
        let (tasks, stop) = (Tasks::default(), CancellationToken::new());
        let before = figures().unwrap().purges;
        let purging = purge_periodically(&tasks, &stop, Duration::from_millis(1));
        let purged = async {
            while figures().unwrap().purges < before + 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), purged).await.unwrap();
        purging.stop().await;
        assert!(tasks.is_empty() && !stop.is_cancelled());
    }
}
