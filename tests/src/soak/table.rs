//! What the soak prints: live figures, and the verdicts at the end.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use r3e_monitor::verdict::Figure;
use r3e_monitor::{bytes, growth};

use super::judgement::Row;
use super::measurements::{Criterion, Measurements};
use super::nights::Night;
use super::readers::Readers;

/// How often a line is printed where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// The live table: redrawn after each cycle on a terminal, else a line every few seconds.
#[derive(Debug)]
pub(super) struct Table {
    is_terminal: bool,
    begun: Instant,
    printed: Option<Instant>,
    /// How many lines were drawn.
    drawn: usize,
}

impl Table {
    /// A table on standard output.
    #[must_use]
    pub(super) fn new() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Self { is_terminal, begun: Instant::now(), printed: None, drawn: 0 }
    }

    /// Shows the state after a cycle.
    pub(super) fn show(&mut self, cycle: u64, night: &Night, measurements: &Measurements, readers: &Readers) {
        if self.is_terminal {
            let text = self.text(cycle, night, measurements, readers);
            let up = if self.drawn > 0 { format!("\x1b[{}A\x1b[J", self.drawn) } else { String::new() };
            print(&format!("{up}{text}"));
            self.drawn = text.lines().count();
        } else if self.printed.is_none_or(|it| it.elapsed() >= EVERY) {
            self.printed = Some(Instant::now());
            let daemons = ["scheduler", "watch", "serve"].map(|name| {
                let figure = |resource| measurements.last(name, resource).unwrap_or_default();
                format!("{name} {} in {} fds", bytes(figure("allocated")), figure("descriptors"))
            });
            print(&format!("{}; {}\n", self.head(cycle, night, readers), daemons.join(", ")));
        }
    }

    fn head(&self, cycle: u64, night: &Night, readers: &Readers) -> String {
        let [passes, scrapes, _] = readers.counts();
        format!(
            "{} cycle {cycle}: {} {:.1}s, {} changed; {} signals, read {passes}, served {scrapes}",
            humantime::format_duration(Duration::from_secs(self.begun.elapsed().as_secs())),
            night.job.name(),
            night.took.as_secs_f64(),
            night.changed,
            night.signals,
        )
    }

    fn text(&self, cycle: u64, night: &Night, measurements: &Measurements, readers: &Readers) -> String {
        const COLUMNS: [&str; 7] =
            ["allocated", "resident", "tasks", "threads", "descriptors", "connections", "children"];
        let mut text = self.head(cycle, night, readers) + "\n           ";
        for column in COLUMNS {
            _ = write!(text, "{column:>13}");
        }
        for name in ["scheduler", "watch", "serve"] {
            _ = write!(text, "\n{name:<11}");
            for column in COLUMNS {
                let value = measurements.last(name, column).unwrap_or_default();
                let shown = if ["allocated", "resident"].contains(&column) { bytes(value) } else { value.to_string() };
                _ = write!(text, "{shown:>13}");
            }
        }
        text.push_str("\non disk   ");
        for name in ["cache", "staging", "history", "sockets"] {
            let figure = |resource| measurements.last(name, resource).unwrap_or_default();
            _ = write!(text, " {name} {} in {} files", bytes(figure("bytes")), figure("files"));
        }
        text + "\n"
    }
}

/// The verdicts.
#[must_use]
pub(super) fn verdicts(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<40} {:<28} {:>6} {:>10} {:>10} {:>10} {:>21} {:>10}  {}\n",
        "process", "resource", "points", "first", "last", "a cycle", "95 %", "visible", "verdict"
    );
    for row in rows {
        let [first, last] = row.ends;
        let is_bytes = row.series.criterion.is_bytes();
        let value = |it: u64| if is_bytes { bytes(it) } else { it.to_string() };
        let [likely, interval, visible] = growth_of(row);
        _ = writeln!(
            text,
            "{:<40} {:<28} {:>6} {:>10} {:>10} {likely:>10} {interval:>21} {visible:>10}  {}",
            row.process,
            row.resource,
            row.judged,
            value(first),
            value(last),
            row.verdict,
        );
    }
    text
}

/// Growth, its interval, and the smallest growth that would have been seen, as text.
#[must_use]
pub(super) fn growth_of(row: &Row) -> [String; 3] {
    // A count grows by hundredths a cycle.
    let number = |figure: Figure, it| if figure.is_bytes() { growth(figure, it) } else { format!("{it:+.2}") };
    match (row.growth, row.series.criterion) {
        (Some(it), Criterion::Growth(figure) | Criterion::Runs(figure) | Criterion::WithWork(figure)) => {
            let number = |value| number(figure, value);
            [number(it.likely), format!("{} … {}", number(it.low), number(it.high)), number(it.visible)]
        }
        (_, Criterion::Limit(limit)) => [String::new(), format!("at most {limit}"), String::new()],
        (None, _) => Default::default(),
    }
}

/// Prints to standard output.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout();
    // Nobody may read it; the report is written all the same.
    let _unread = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
