//! What can go wrong with a request, and the one place that decides what happens then.

use std::time::{Duration, SystemTime};

/// The longest `Retry-After` that a run waits for; a service that asks for more is asked again another time.
pub(super) const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Why a request gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection: refused, unreachable, no such host, no TLS.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No whole answer in time.
    #[error("no whole answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The connection ended, or what came was no valid HTTP or gzip.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// An answer with another status than 200.
    #[error("status {code}{}", .retry_after.map(|it| format!(", try again after {}", humantime::format_duration(it)))
        .unwrap_or_default())]
    Status {
        /// The status code.
        code: u16,
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// An HTML page where JSON should be: maintenance, mostly.
    #[error("an HTML page instead of JSON")]
    Html,
    /// Bytes that are no text in the charset and compression that the headers declare.
    #[error("not a text: {0}")]
    NotText(String),
    /// Not the JSON of a page.
    #[error("not a leaderboard page: {0}")]
    NotAPage(String),
    /// A body larger than a page may be.
    #[error("a body of more than {limit} bytes")]
    BodyTooLarge {
        /// How many bytes a body may have, decompressed.
        limit: usize,
    },
    /// More entries than were asked for.
    #[error("more than the {asked} entries asked for")]
    Overfull {
        /// How many were asked for.
        asked: usize,
    },
    /// The first page came again where a further one was asked for.
    #[error("the page from entry {start} on is the first page again")]
    Repeated {
        /// The number of the first entry asked for.
        start: usize,
    },
    /// Entries moved from one page to another while the board was fetched.
    #[error("the board changed between two pages: entry {entry} is another one by now")]
    Changed {
        /// The number of the entry that ended a page, and should have begun the next.
        entry: usize,
    },
    /// A board larger than any board is.
    #[error("a board of more than {entries} entries")]
    BoardTooLarge {
        /// How many it had when it was given up.
        entries: usize,
    },
    /// A board of more pages than any board has.
    #[error("a board of more than {pages} pages")]
    TooManyPages {
        /// How many it had when it was given up.
        pages: usize,
    },
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Try again after a pause.
    Retry,
    /// Try again, with everyone pausing for so long first.
    RetryAfter(Duration),
    /// Open a new session, then try again.
    NewSession,
    /// Another try would give the same.
    GiveUp,
    /// The service asks to be left alone for longer than a run waits.
    EndRun,
}

/// The classifier. Its whole table is a test's snapshot.
pub(super) fn classify(failure: &Failure) -> Verdict {
    match failure {
        Failure::Status { code: 429 | 503, retry_after: Some(wait) } if *wait > LONGEST_WAIT => Verdict::EndRun,
        Failure::Status { code: 429 | 503, retry_after: Some(wait) } => Verdict::RetryAfter(*wait),
        Failure::Status { code: 401 | 403 | 419, .. } => Verdict::NewSession,
        Failure::Status { code: 408 | 425 | 429 | 500 | 502..=504 | 520..=527 | 530, .. }
        | Failure::Connect(_)
        | Failure::TimedOut(_)
        | Failure::Broken(_)
        | Failure::Html
        | Failure::NotText(_)
        | Failure::NotAPage(_)
        | Failure::Overfull { .. }
        | Failure::Repeated { .. } => Verdict::Retry,
        Failure::Status { .. }
        | Failure::BodyTooLarge { .. }
        | Failure::BoardTooLarge { .. }
        | Failure::TooManyPages { .. }
        // What another try may mend is the board, not the page: `Client::fetch` begins again.
        | Failure::Changed { .. } => Verdict::GiveUp,
    }
}

/// Pauses that double, each drawn from the upper half of what it may be.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { next: least, most }
    }

    /// The next pause; `random` is from 0 to 1.
    pub(super) fn pause(&mut self, random: f64) -> Duration {
        let pause = self.next.min(self.most);
        self.next = pause.saturating_mul(2);
        pause.div_f64(2.0) + pause.mul_f64(random.clamp(0.0, 1.0) / 2.0)
    }
}

/// Reads `Retry-After`: seconds, or a date, of which the past means now.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_second();
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(u64::try_from(date).ok()?).saturating_sub(since_epoch))
}

/// A message with the whole chain of its causes, each told once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
        next = cause.source();
    }
    short(&told)
}

/// The beginning of a text that a hostile answer may have made long.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    #[test]
    fn the_whole_table_of_verdicts() {
        let mut table = String::new();
        let mut previous = None;
        for code in 100..=599 {
            let verdict = classify(&Failure::Status { code, retry_after: None });
            if previous != Some(verdict) {
                writeln!(table, "{code}.. {verdict:?}").unwrap();
                previous = Some(verdict);
            }
        }
        let after = |code, seconds| Failure::Status { code, retry_after: Some(Duration::from_secs(seconds)) };
        let others = [
            after(429, 2),
            after(503, 600),
            after(503, 601),
            after(500, 2),
            Failure::Connect("refused".into()),
            Failure::TimedOut(Duration::from_mins(2)),
            Failure::Broken("end of file".into()),
            Failure::Html,
            Failure::NotText("not valid UTF-8".into()),
            Failure::NotAPage("EOF".into()),
            Failure::BodyTooLarge { limit: 33_554_432 },
            Failure::Overfull { asked: 1500 },
            Failure::Repeated { start: 1500 },
            Failure::BoardTooLarge { entries: 200_000 },
            Failure::TooManyPages { pages: 10_000 },
            Failure::Changed { entry: 1499 },
        ];
        for failure in others {
            writeln!(table, "{failure} => {:?}", classify(&failure)).unwrap();
        }
        insta::assert_snapshot!(table, @r"
        100.. GiveUp
        401.. NewSession
        402.. GiveUp
        403.. NewSession
        404.. GiveUp
        408.. Retry
        409.. GiveUp
        419.. NewSession
        420.. GiveUp
        425.. Retry
        426.. GiveUp
        429.. Retry
        430.. GiveUp
        500.. Retry
        501.. GiveUp
        502.. Retry
        505.. GiveUp
        520.. Retry
        528.. GiveUp
        530.. Retry
        531.. GiveUp
        status 429, try again after 2s => RetryAfter(2s)
        status 503, try again after 10m => RetryAfter(600s)
        status 503, try again after 10m 1s => EndRun
        status 500, try again after 2s => Retry
        cannot connect: refused => Retry
        no whole answer within 2m => Retry
        the answer broke off: end of file => Retry
        an HTML page instead of JSON => Retry
        not a text: not valid UTF-8 => Retry
        not a leaderboard page: EOF => Retry
        a body of more than 33554432 bytes => GiveUp
        more than the 1500 entries asked for => Retry
        the page from entry 1500 on is the first page again => Retry
        a board of more than 200000 entries => GiveUp
        a board of more than 10000 pages => GiveUp
        the board changed between two pages: entry 1499 is another one by now => GiveUp
        ");
    }

    #[test]
    fn retry_after_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after("2", now), Some(Duration::from_secs(2)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:27 GMT", now), Some(Duration::ZERO));
        for wrong in ["", "-1", "soon", "1.5"] {
            assert_eq!(retry_after(wrong, now), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn pauses_double_up_to_the_most(random in 0.0f64..=1.0) {
            let (least, most) = (Duration::from_millis(500), Duration::from_secs(30));
            let mut backoff = Backoff::new(least, most);
            let mut full = least;
            for _ in 0..20 {
                let pause = backoff.pause(random);
                prop_assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
                full = (full * 2).min(most);
            }
        }
    }
}
