//! Shows progress: a bar on a terminal, otherwise a log line every few seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::progress::{Progress, Snapshot};
use crate::runtime::logging;
use crate::runtime::tasks::Tasks;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Hidden.
    Hidden,
    /// A bar on standard error.
    Bar,
    /// Lines in the log.
    Lines,
}

impl Style {
    /// The style for the standard error of this process.
    #[must_use]
    pub fn for_stderr(quiet: bool) -> Self {
        match (quiet, std::io::IsTerminal::is_terminal(&std::io::stderr())) {
            (true, _) => Self::Hidden,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }
}

/// Shows progress until stopped.
#[derive(Debug)]
pub(super) struct ProgressDisplay {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl ProgressDisplay {
    /// Starts the display.
    #[must_use]
    pub(super) fn start(tasks: &Tasks, progress: Arc<Progress>, style: Style) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tasks.spawn("showing progress", async move {
            match style {
                Style::Hidden => {}
                Style::Bar => bar(&progress, &stopped).await,
                Style::Lines => lines(&progress, &stopped).await,
            }
        });
        Self { stop, task }
    }

    /// Stops the display and waits until the bar is cleared.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        if self.task.await.is_err() {
            tracing::error!("the task that shows progress panicked");
        }
    }
}

async fn bar(progress: &Progress, stop: &CancellationToken) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // An invalid template would leave indicatif's default.
    if let Ok(style) = ProgressStyle::with_template(
        "{bar:30} {pos}/{len} boards, {msg}, {per_sec}, {elapsed_precise} elapsed, {eta_precise} left",
    ) {
        bar.set_style(style);
    }
    let _suspended = logging::set_suspend({
        let bar = bar.clone();
        move |write| bar.suspend(write)
    });
    let every = Duration::from_millis(100);
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        let Snapshot { total, fetched, failed, entries } = progress.snapshot();
        bar.set_length(total as u64);
        bar.set_position((fetched + failed) as u64);
        bar.set_message(format!("{entries} entries, {failed} failed"));
    }
    bar.finish_and_clear();
}

async fn lines(progress: &Progress, stop: &CancellationToken) {
    let begun = Instant::now();
    let every = Duration::from_secs(5);
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        let Snapshot { total, fetched, failed, entries } = progress.snapshot();
        let left = time_left(fetched + failed, total, begun.elapsed());
        let left = left.map_or_else(|| "unknown".to_owned(), |it| humantime::format_duration(it).to_string());
        tracing::info!(fetched, of = total, failed, entries, left, "fetching");
    }
}

/// The estimated time left at the rate so far, in whole seconds.
fn time_left(done: usize, total: usize, gone: Duration) -> Option<Duration> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let share = total.checked_sub(done)? as f64 / (done > 0).then_some(done)? as f64;
    Duration::try_from_secs_f64((gone.as_secs_f64() * share).round()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_rate() {
        assert_eq!(time_left(10, 40, Duration::from_secs(5)), Some(Duration::from_secs(15)));
        assert_eq!(time_left(0, 40, Duration::from_secs(5)), None);
        assert_eq!(time_left(40, 40, Duration::from_secs(5)), Some(Duration::ZERO));
    }
}
