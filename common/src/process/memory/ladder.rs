//! How a process gives way on the way to its limit: which step comes next. Pure: takes figures and times, does nothing.
//!
//! | resident, of the limit | step |
//! | --- | --- |
//! | under 70 % for 10 s | twice as many boards in flight again, until it is as many as there were |
//! | 75 % | a purge, and another each time it comes to a higher step; while it stays, after 5, 10, 20, … 60 s |
//! | 85 %, after a purge | half as many boards in flight, at most once a second, down to one |
//! | 95 %, after a purge | one board in flight; if it stays so high for 2 s, an orderly stop |
//! | 100 %, after a purge, with one board in flight | an orderly stop |
//!
//! The steps are those of programs that live with limits: a purge at 75 %, and at 0.7, 0.8, 0.9 harder ones each. Between
//! 70 and 75 % nothing changes, so that a process at the edge does not go to and fro.

use std::time::Duration;

/// Under this share, in percent, all is well again.
const CALM: u64 = 70;
/// How long all has to be well until more boards are allowed.
const CALM_FOR: Duration = Duration::from_secs(10);
/// The pauses between purges that did not help.
const PURGE_PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(1)];
/// How long a purge that is at work is waited for.
const PURGE_TAKES: Duration = Duration::from_secs(1);
/// How long boards in flight get to be done, before fewer still are allowed.
const SETTLING: Duration = Duration::from_secs(1);
/// How long it may stay right below the limit.
const AT_THE_TOP: Duration = Duration::from_secs(2);

/// How near the limit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Height {
    Low,
    Purge,
    Fewer,
    Top,
    Over,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    None,
    /// Give back what is free.
    Purge,
    /// From now on, so many boards in flight: fewer than before.
    FewerBoards(usize),
    /// From now on, so many boards in flight: more than before.
    MoreBoards(usize),
    /// Stop in order, with exit code 75. Told once.
    StopOrderly,
}

/// What is known at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When, since the beginning.
    pub at: Duration,
    /// What is resident, by the kernel's account.
    pub rss_bytes: u64,
    /// Whether a purge is at work.
    pub purging: bool,
}

/// Where a process stands.
#[derive(Debug, Clone)]
pub struct Ladder {
    limit_bytes: u64,
    most_boards: usize,
    boards: usize,
    /// When the number of boards last changed.
    changed: Option<Duration>,
    /// The last purge since all was well.
    purged: Option<Purged>,
    calm_since: Option<Duration>,
    top_since: Option<Duration>,
    stopping: bool,
}

#[derive(Debug, Clone, Copy)]
struct Purged {
    at: Duration,
    height: Height,
    next_after: Duration,
}

impl Ladder {
    /// A ladder up to that limit, for a process that has up to `boards` in flight.
    #[must_use]
    pub fn new(limit_bytes: u64, boards: usize) -> Self {
        Self {
            limit_bytes,
            most_boards: boards,
            boards,
            changed: None,
            purged: None,
            calm_since: None,
            top_since: None,
            stopping: false,
        }
    }

    /// How many boards may be in flight.
    #[must_use]
    pub fn boards(&self) -> usize {
        self.boards
    }

    /// What share of the limit that is, in percent.
    #[must_use]
    pub fn percent(&self, rss_bytes: u64) -> u64 {
        let percent = (u128::from(rss_bytes) * 100).checked_div(self.limit_bytes.into());
        percent.and_then(|it| it.try_into().ok()).unwrap_or(u64::MAX)
    }

    /// Takes what is known now, and says what to do. What it says is taken to be done.
    pub fn step(&mut self, sample: Sample) -> Step {
        if self.stopping {
            return Step::None;
        }
        let percent = self.percent(sample.rss_bytes);
        let height = match percent {
            0..75 => Height::Low,
            75..85 => Height::Purge,
            85..95 => Height::Fewer,
            95..100 => Height::Top,
            100.. => Height::Over,
        };
        if height < Height::Top {
            self.top_since = None;
        }
        if percent < CALM {
            return self.calm(sample.at);
        }
        self.calm_since = None;
        if height == Height::Low {
            return Step::None;
        }
        // What a purge gives back shows when it is done.
        let is_purging = sample.purging && self.purged.is_none_or(|it| sample.at < it.at + PURGE_TAKES);
        if is_purging {
            return Step::None;
        }
        if let Some(next_after) = self.pause_if_due(sample.at, height) {
            self.purged = Some(Purged { at: sample.at, height, next_after });
            return Step::Purge;
        }
        self.harder(sample.at, height)
    }

    fn calm(&mut self, at: Duration) -> Step {
        self.purged = None;
        let since = *self.calm_since.get_or_insert(at);
        if self.boards >= self.most_boards || at < since + CALM_FOR {
            return Step::None;
        }
        self.calm_since = Some(at);
        Step::MoreBoards(self.change(at, self.boards.saturating_mul(2).min(self.most_boards)))
    }

    /// If a purge is due, after which pause the next one is.
    fn pause_if_due(&self, at: Duration, height: Height) -> Option<Duration> {
        let [shortest, longest] = PURGE_PAUSES;
        match self.purged {
            None => Some(shortest),
            Some(last) if height > last.height => Some(shortest),
            Some(last) if at >= last.at + last.next_after => Some((last.next_after * 2).min(longest)),
            Some(_) => None,
        }
    }

    /// The steps after a purge that did not help.
    fn harder(&mut self, at: Duration, height: Height) -> Step {
        if height < Height::Fewer {
            return Step::None;
        }
        if self.boards > 1 {
            if height >= Height::Top {
                return Step::FewerBoards(self.change(at, 1));
            }
            let is_settled = self.changed.is_none_or(|changed| at >= changed + SETTLING);
            return if is_settled { Step::FewerBoards(self.change(at, self.boards / 2)) } else { Step::None };
        }
        if height < Height::Top {
            return Step::None;
        }
        let since = *self.top_since.get_or_insert(at);
        if height == Height::Top && at < since + AT_THE_TOP {
            return Step::None;
        }
        self.stopping = true;
        Step::StopOrderly
    }

    fn change(&mut self, at: Duration, boards: usize) -> usize {
        self.changed = Some(at);
        self.boards = boards;
        boards
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVERY: Duration = Duration::from_millis(100);

    /// What a process with 8 boards does that is resident with these shares of its limit, each for so many seconds: every
    /// step, with its time and share.
    fn told(course: &[(u64, u64)]) -> String {
        let mut ladder = Ladder::new(1000, 8);
        let (mut at, mut lines) = (Duration::ZERO, Vec::new());
        for &(percent, seconds) in course {
            for _ in 0..seconds * 10 {
                let step = ladder.step(Sample { at, rss_bytes: percent * 10, purging: false });
                if step != Step::None {
                    lines.push(format!("{:.1} s, {percent} %: {step:?}", at.as_secs_f64()));
                }
                at += EVERY;
            }
        }
        lines.join("\n")
    }

    #[test]
    fn far_from_the_limit_nothing_happens() {
        assert_eq!(told(&[(0, 100), (69, 100), (74, 100), (70, 100)]), "");
    }

    #[test]
    fn purges_that_do_not_help_become_rarer() {
        insta::assert_snapshot!(told(&[(75, 300), (72, 10), (75, 5), (69, 1), (75, 1)]), @"
        0.0 s, 75 %: Purge
        5.0 s, 75 %: Purge
        15.0 s, 75 %: Purge
        35.0 s, 75 %: Purge
        75.0 s, 75 %: Purge
        135.0 s, 75 %: Purge
        195.0 s, 75 %: Purge
        255.0 s, 75 %: Purge
        316.0 s, 75 %: Purge
        ");
    }

    #[test]
    fn higher_up_fewer_boards_and_more_again_when_all_is_well() {
        insta::assert_snapshot!(told(&[(85, 4), (72, 20), (65, 45), (86, 2)]), @"
        0.0 s, 85 %: Purge
        0.1 s, 85 %: FewerBoards(4)
        1.1 s, 85 %: FewerBoards(2)
        2.1 s, 85 %: FewerBoards(1)
        34.0 s, 65 %: MoreBoards(2)
        44.0 s, 65 %: MoreBoards(4)
        54.0 s, 65 %: MoreBoards(8)
        69.0 s, 86 %: Purge
        69.1 s, 86 %: FewerBoards(4)
        70.1 s, 86 %: FewerBoards(2)
        ");
    }

    #[test]
    fn right_below_the_limit_it_stops_unless_it_gets_better_soon() {
        insta::assert_snapshot!(told(&[(94, 1), (95, 1), (90, 1), (96, 5), (10, 100)]), @"
        0.0 s, 94 %: Purge
        0.1 s, 94 %: FewerBoards(4)
        1.0 s, 95 %: Purge
        1.1 s, 95 %: FewerBoards(1)
        5.0 s, 96 %: StopOrderly
        ");
    }

    #[test]
    fn over_the_limit_it_stops_when_all_else_was_tried() {
        insta::assert_snapshot!(told(&[(150, 5)]), @"
        0.0 s, 150 %: Purge
        0.1 s, 150 %: FewerBoards(1)
        0.2 s, 150 %: StopOrderly
        ");
    }

    #[test]
    fn a_rise_through_all_steps() {
        insta::assert_snapshot!(told(&[(60, 1), (76, 1), (86, 3), (91, 2), (97, 1), (101, 1)]), @"
        1.0 s, 76 %: Purge
        2.0 s, 86 %: Purge
        2.1 s, 86 %: FewerBoards(4)
        3.1 s, 86 %: FewerBoards(2)
        4.1 s, 86 %: FewerBoards(1)
        7.0 s, 97 %: Purge
        8.0 s, 101 %: Purge
        8.1 s, 101 %: StopOrderly
        ");
    }

    #[test]
    fn a_purge_at_work_is_waited_for_but_not_for_ever() {
        let mut ladder = Ladder::new(1000, 1);
        let mut step = |ms, purging| ladder.step(Sample { at: Duration::from_millis(ms), rss_bytes: 1100, purging });
        assert_eq!(step(0, false), Step::Purge);
        assert_eq!(step(100, true), Step::None);
        assert_eq!(step(900, true), Step::None);
        assert_eq!(step(1000, true), Step::StopOrderly);
        assert_eq!(step(1100, false), Step::None, "told once");
    }

    #[test]
    fn a_limit_of_nothing_stops_at_once() {
        let mut ladder = Ladder::new(0, 1);
        let mut step = |ms| ladder.step(Sample { at: Duration::from_millis(ms), rss_bytes: 1, purging: false });
        assert_eq!([step(0), step(100), step(200)], [Step::Purge, Step::StopOrderly, Step::None]);
    }

    proptest! {
        /// Whatever the course: never more boards than there were and never none, a stop only at the top and with one
        /// board, and nothing after it; above 75 % purges come first, and never two within a second for one height.
        #[test]
        fn whatever_comes(limit in 1_u64.., boards in 1_usize..300, rss in prop::collection::vec((any::<u64>(), 1_u64..5000, any::<bool>()), 1..200)) {
            let mut ladder = Ladder::new(limit, boards);
            let (mut at, mut purged, mut stopped) = (Duration::ZERO, false, false);
            for (rss_bytes, ms, purging) in rss {
                at += Duration::from_millis(ms);
                // Near the limit, where it matters.
                let rss_bytes = if ms % 2 == 0 { rss_bytes % (limit / 4).saturating_mul(5).max(1) } else { rss_bytes };
                let before = ladder.boards();
                let step = ladder.step(Sample { at, rss_bytes, purging });
                let percent = ladder.percent(rss_bytes);
                prop_assert!(!stopped || step == Step::None);
                prop_assert!((1..=boards).contains(&ladder.boards()));
                match step {
                    Step::None => {}
                    Step::Purge => { prop_assert!(percent >= 75); purged = true; }
                    Step::FewerBoards(now) => prop_assert!(purged && percent >= 85 && now < before && now == ladder.boards()),
                    Step::MoreBoards(now) => prop_assert!(percent < 70 && now > before && now == ladder.boards()),
                    Step::StopOrderly => { prop_assert!(purged && percent >= 95 && before == 1); stopped = true; }
                }
                if percent < 70 { purged = false; }
            }
        }
    }
}
