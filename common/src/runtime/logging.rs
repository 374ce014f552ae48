//! The log: structured events to standard error, for people as text or for programs as JSON.
//!
//! Lines are written through [`Terminal`], so that they do not tear a progress bar.

mod background;
mod recurring_error;
mod terminal;

use std::ffi::OsStr;
use std::fmt;
use std::io::IsTerminal as _;
use std::os::fd::AsFd;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

pub use background::{BackgroundWriter, Stream, write};
pub use recurring_error::RecurringError;
pub use terminal::{SuspendHook, Terminal, set_suspend};

pub(super) use background::flush;

use super::config::Environment;

/// Prefix of the names of our crates.
const OUR_CRATES: &str = "r3e_";

/// The least severe events that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Failures.
    Error,
    /// Problems that were or may be recovered from.
    Warn,
    /// The course of a run.
    Info,
    /// The course of each board.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// All levels, most severe first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter().fmt(f)
    }
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line for people.
    Text,
    /// A line of JSON, always with its time.
    Json,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Which events are written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The level of our own crates. Other crates are capped at warnings.
    pub level: Level,
    /// How events are written.
    pub format: Format,
    /// Whether text is coloured.
    pub colours: bool,
    /// Whether text begins with the time, in UTC.
    pub times: bool,
}

impl Options {
    /// Options for the standard error of this process: colours on a terminal unless `NO_COLOR` or `TERM=dumb` is set, and no
    /// times under journald, which adds its own.
    #[must_use]
    pub fn for_stderr(level: Level, format: Format, environment: &Environment) -> Self {
        let stderr = std::io::stderr();
        let colours = stderr.is_terminal() && !environment.is_plain();
        Self { level, format, colours, times: !is_journal(&stderr, environment.variable("JOURNAL_STREAM")) }
    }
}

/// Whether `stream` is the one that journald opened. journald sets `JOURNAL_STREAM` to its device and inode; children inherit
/// the variable even if their standard error leads elsewhere, so they are compared.
#[must_use]
pub fn is_journal(stream: impl AsFd, journal_stream: Option<&OsStr>) -> bool {
    let Some(journal) = journal_stream.and_then(OsStr::to_str) else { return false };
    nix::sys::stat::fstat(stream).is_ok_and(|stat| journal == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// The process already has a log.
#[derive(Debug, thiserror::Error)]
#[error("the log is already set up")]
pub struct AlreadySetUp(#[source] tracing::subscriber::SetGlobalDefaultError);

/// Sets up the log of the process, on standard error.
///
/// # Errors
/// If it is already set up; the first one stays.
pub fn init(options: Options) -> Result<(), AlreadySetUp> {
    tracing::subscriber::set_global_default(subscriber(options, Terminal)).map_err(AlreadySetUp)
}

/// A log over any writer. Write errors are ignored.
pub fn subscriber<W>(options: Options, writer: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = options.level.filter();
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(OUR_CRATES, level);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match options.format {
        Format::Json => layer.json().with_ansi(false).boxed(),
        Format::Text if options.times => layer.with_ansi(options.colours).boxed(),
        Format::Text => layer.with_ansi(options.colours).without_time().boxed(),
    };
    Registry::default().with(layer.with_filter(filter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(options: Options) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        tracing::subscriber::with_default(subscriber(options, move || writer.clone()), || {
            tracing::error!(target: "r3e_loader", path = "a\nb", "cannot write");
            tracing::info!(target: "r3e_common::store", boards = 3, "promoted");
            tracing::debug!(target: "r3e_common::store", "one board");
            tracing::warn!(target: "hyper", "odd answer");
            tracing::info!(target: "hyper", "connected");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const PLAIN: Options = Options { level: Level::Info, format: Format::Text, colours: false, times: false };

    #[test]
    fn text_without_times_and_colours() {
        insta::assert_snapshot!(logged(PLAIN), @r#"
    ERROR r3e_loader: cannot write path="a\nb"
     INFO r3e_common::store: promoted boards=3
     WARN hyper: odd answer
    "#);
    }

    #[test]
    fn our_crates_follow_the_level_and_others_warn() {
        let lines = |level| logged(Options { level, ..PLAIN }).lines().count();
        assert_eq!(Level::ALL.map(lines), [1, 2, 3, 4, 4]);
    }

    #[test]
    fn json_is_a_line_each_with_its_time() {
        let text = logged(Options { format: Format::Json, colours: true, ..PLAIN });
        let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 3);
        assert_eq!(events[0]["fields"]["path"], "a\nb");
        assert_eq!(events[1]["fields"]["boards"], 3);
        assert!(events.iter().all(|event| event["timestamp"].is_string()));
    }

    #[test]
    fn colours_and_times_only_when_asked_for() {
        assert!(!logged(PLAIN).contains('\u{1b}'));
        assert!(logged(Options { colours: true, ..PLAIN }).contains("\u{1b}[31mERROR"));
        let with_times = logged(Options { times: true, ..PLAIN });
        let year = with_times.split('-').next().unwrap();
        assert!(year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()), "{with_times}");
    }

    #[test]
    fn a_failing_writer_is_passed_over() {
        struct Closed;
        impl io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        tracing::subscriber::with_default(subscriber(PLAIN, || Closed), || tracing::error!(target: "r3e_x", "lost"));
    }

    #[test]
    fn journald_is_recognised_by_device_and_inode() {
        let file = tempfile::tempfile().unwrap();
        let stat = nix::sys::stat::fstat(&file).unwrap();
        let told = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert!(is_journal(&file, Some(OsStr::new(&told))));
        for other in [None, Some(OsStr::new("")), Some(OsStr::new("1:2"))] {
            assert!(!is_journal(&file, other));
        }
    }

    #[test]
    fn a_second_log_is_an_error() {
        // Another test of this process may have been first.
        let _first = init(Options { level: Level::Error, ..PLAIN });
        assert_eq!(init(PLAIN).unwrap_err().to_string(), "the log is already set up");
    }
}
