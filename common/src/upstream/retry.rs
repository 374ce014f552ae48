//! Decides what happens after a failure; nothing else does.

use std::time::Duration;

use super::failure::Failure;

/// The longest `Retry-After` that a run waits for. A longer one ends the run.
pub(super) const MAX_WAIT: Duration = Duration::from_mins(10);

/// How many 429s one request may get before its board fails. Each time, all requests slow down.
pub(super) const MAX_REFUSALS: u32 = 20;

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// Retry after a pause.
    Retry,
    /// Pause all requests for this long, then retry.
    RetryAfter(Duration),
    /// Lower the rate of all requests, and retry after a pause.
    SlowDown,
    /// Retry in a new session.
    NewSession,
    /// Do not retry: the result would be the same.
    GiveUp,
    /// End the run: the service asks for a longer pause than a run waits.
    EndRun,
}

/// The classifier. A test has its whole table as a snapshot. `expired` is whether the failure may mean that the session has
/// expired, which services report in many ways.
///
/// A 503 does not lower the rate: it is often one broken server among several, and a lower rate would not help.
pub(super) fn classify(failure: &Failure, expired: bool) -> RetryDecision {
    match failure {
        Failure::Status { code: 429 | 503, retry_after: Some(wait), .. } if *wait > MAX_WAIT => RetryDecision::EndRun,
        Failure::Status { code: 429 | 503, retry_after: Some(wait), .. } => RetryDecision::RetryAfter(*wait),
        Failure::Status { code: 429, .. } => RetryDecision::SlowDown,
        Failure::Status { code: 401 | 403 | 419, .. } => RetryDecision::NewSession,
        Failure::Redirect { .. } | Failure::Html | Failure::NoList if expired => RetryDecision::NewSession,
        Failure::Status { code: 408 | 425 | 500 | 502..=504 | 520..=527 | 530, .. }
        | Failure::Connect { .. }
        | Failure::TimedOut(_)
        | Failure::Broken(_)
        | Failure::Html
        | Failure::NoList
        | Failure::NotText(_)
        | Failure::NotAPage(_)
        | Failure::Overfull { .. }
        | Failure::Repeated { .. } => RetryDecision::Retry,
        Failure::Status { .. }
        | Failure::Redirect { .. }
        | Failure::BodyTooLarge { .. }
        | Failure::BoardTooLarge { .. }
        | Failure::TooManyPages { .. }
        // `Client::fetch` retries the board, not the page.
        | Failure::Changed { .. } => RetryDecision::GiveUp,
    }
}

/// Exponential backoff. Each pause is random, between half and all of its limit.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { next: min, max }
    }

    /// The next pause; `random` is between 0 and 1.
    pub(super) fn pause(&mut self, random: f64) -> Duration {
        let pause = self.next.min(self.max);
        self.next = pause.saturating_mul(2);
        pause.div_f64(2.0) + pause.mul_f64(random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    #[test]
    fn the_whole_table_of_decisions() {
        let mut table = String::new();
        let mut previous = None;
        let status = |code, retry_after| Failure::Status { code, retry_after, proxy: None };
        for code in 100..=599 {
            let failure = status(code, None);
            let decision = classify(&failure, false);
            assert_eq!(classify(&failure, true), decision);
            if previous != Some(decision) {
                writeln!(table, "{code}.. {decision:?}").unwrap();
                previous = Some(decision);
            }
        }
        let after = |code, seconds| status(code, Some(Duration::from_secs(seconds)));
        let others = [
            after(429, 2),
            after(503, 600),
            after(503, 601),
            after(500, 2),
            Failure::redirect(302, b"/login", &"http://127.0.0.1/".parse().unwrap()),
            Failure::Connect { to: "http://127.0.0.1".into(), cause: "refused".into(), proxy: None },
            Failure::TimedOut(Duration::from_mins(2)),
            Failure::Broken("end of file".into()),
            Failure::Html,
            Failure::NoList,
            Failure::NotText("not valid UTF-8".into()),
            Failure::NotAPage("EOF".into()),
            Failure::BodyTooLarge { limit: 33_554_432 },
            Failure::Overfull { requested: 1500 },
            Failure::Repeated { start: 1500 },
            Failure::BoardTooLarge { entries: 200_000 },
            Failure::TooManyPages { pages: 10_000 },
            Failure::Changed { entry: 1499 },
        ];
        for failure in others {
            let [decision, expired] = [false, true].map(|expired| classify(&failure, expired));
            write!(table, "{failure} => {decision:?}").unwrap();
            if expired != decision {
                write!(table, ", of a session that had worked {expired:?}").unwrap();
            }
            table.push('\n');
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
        429.. SlowDown
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
        status 302, redirects to /login => GiveUp, of a session that had worked NewSession
        cannot connect to http://127.0.0.1: refused => Retry
        no complete response within 2m => Retry
        the response broke off: end of file => Retry
        an HTML page instead of JSON => Retry, of a session that had worked NewSession
        not a leaderboard page: no list at context.c.results => Retry, of a session that had worked NewSession
        not text: not valid UTF-8 => Retry
        not a leaderboard page: EOF => Retry
        a body of more than 33554432 bytes => GiveUp
        more than the 1500 entries requested => Retry
        the page from entry 1500 on is the first page again => Retry
        a board of more than 200000 entries => GiveUp
        a board of more than 10000 pages => GiveUp
        the board changed between two pages: entry 1499 is now a different one => GiveUp
        ");
    }

    proptest! {
        #[test]
        fn pauses_double_up_to_the_maximum(random in 0.0f64..=1.0) {
            let (min, max) = (Duration::from_millis(500), Duration::from_secs(30));
            let mut backoff = Backoff::new(min, max);
            let mut full = min;
            for _ in 0..20 {
                let pause = backoff.pause(random);
                prop_assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
                full = (full * 2).min(max);
            }
        }
    }
}
