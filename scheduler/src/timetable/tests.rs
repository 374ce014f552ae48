//! Clocks that are set, machines that sleep, programs that were not running.

mod years;

use jiff::civil::time;
use proptest::prelude::*;

use super::*;
use crate::calendar::Zone;

fn at(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

/// Runs at 04:00 UTC, and at those of these expressions.
fn calendar(cron: &[&str]) -> Calendar {
    let cron: Vec<_> = cron.iter().map(|text| text.parse().unwrap()).collect();
    Calendar::new(Zone::of_world("UTC"), time(4, 0, 0, 0), &cron)
}

fn table(catch_up: bool, settled: Option<&str>, now: &str) -> Timetable {
    Timetable::new(calendar(&[]), catch_up, settled.map(at), at(now))
}

fn due(run: &str, late_seconds: u64, what: Action, further: u32) -> Due {
    Due { at: at(run), late: Duration::from_secs(late_seconds), what, further }
}

#[track_caller]
fn looks(table: &mut Timetable, now: &str, due: impl Into<Option<Due>>, next: &str) {
    assert_eq!(table.advance(at(now)), Advance { due: due.into(), next: Some(at(next)) }, "at {now}");
}

#[test]
fn a_run_is_started_once_when_its_time_has_come() {
    let mut it = table(true, None, "24T03:00:00");
    assert_eq!(it.settled(), at("24T03:00:00"));
    looks(&mut it, "24T03:00:00", None, "24T04:00:00");
    looks(&mut it, "24T03:59:59.999", None, "24T04:00:00");
    assert_eq!(it.settled(), at("24T03:00:00"));
    looks(&mut it, "24T04:00:00", due("24T04:00:00", 0, Action::Start, 0), "25T04:00:00");
    looks(&mut it, "24T04:00:00", None, "25T04:00:00");
    assert_eq!(it.settled(), at("24T04:00:00"));
    looks(&mut it, "25T04:02:00", due("25T04:00:00", 120, Action::Start, 0), "26T04:00:00");
}

#[test]
fn at_the_first_start_ever_nothing_was_missed() {
    for catch_up in [true, false] {
        let mut it = table(catch_up, None, "24T04:00:00");
        looks(&mut it, "24T04:00:01", None, "25T04:00:00");
        // What is to be kept, so that the second start knows of the first.
        assert_eq!(it.settled(), at("24T04:00:00"));
    }
}

#[test]
fn a_run_missed_while_not_running_is_caught_up_once_or_reported() {
    for (catch_up, what) in [(true, Action::CatchUp), (false, Action::Skip)] {
        let mut it = table(catch_up, Some("20T04:00:00"), "24T12:00:00");
        looks(&mut it, "24T12:00:00", due("24T04:00:00", 8 * 3600, what, 3), "25T04:00:00");
        assert_eq!(it.settled(), at("24T04:00:00"), "skipped is settled too");
        looks(&mut it, "24T12:00:00", None, "25T04:00:00");
        assert_eq!((what.starts(), what.is_missed()), (catch_up, true));
    }
}

#[test]
fn a_run_in_time_covers_earlier_missed_ones() {
    for catch_up in [true, false] {
        let mut it = table(catch_up, Some("21T04:00:00"), "24T04:01:00");
        looks(&mut it, "24T04:01:00", due("24T04:00:00", 60, Action::Start, 2), "25T04:00:00");
    }
}

#[test]
fn a_start_between_two_runs_misses_nothing_that_was_settled() {
    let mut it = table(true, Some("24T04:00:00"), "24T04:00:30");
    looks(&mut it, "24T04:00:30", None, "25T04:00:00");
    // SavedState by the start of an earlier program, in the middle of the day.
    let mut it = table(true, Some("24T11:11:11"), "24T12:00:00");
    looks(&mut it, "24T12:00:00", None, "25T04:00:00");
}

#[test]
fn after_sleep_or_a_clock_set_forward_a_run_is_missed_if_over_two_minutes_late() {
    let mut it = table(true, None, "24T03:59:00");
    looks(&mut it, "24T03:59:59", None, "24T04:00:00");
    looks(&mut it, "24T04:02:01", due("24T04:00:00", 121, Action::CatchUp, 0), "25T04:00:00");
    // Three days later, in one step.
    looks(&mut it, "27T03:00:00", due("26T04:00:00", 23 * 3600, Action::CatchUp, 1), "27T04:00:00");
    let mut it = table(false, None, "24T03:59:00");
    looks(&mut it, "24T04:02:01", due("24T04:00:00", 121, Action::Skip, 0), "25T04:00:00");
}

#[test]
fn a_clock_set_back_after_a_run_does_not_repeat_it() {
    let mut it = table(true, None, "24T03:00:00");
    looks(&mut it, "24T04:00:00", due("24T04:00:00", 0, Action::Start, 0), "25T04:00:00");
    looks(&mut it, "24T03:30:00", None, "25T04:00:00");
    looks(&mut it, "24T04:00:00", None, "25T04:00:00");
    // Nor does a new start, which finds the settled time in the future.
    let mut it = table(true, Some("24T04:00:00"), "24T03:30:00");
    looks(&mut it, "24T03:30:00", None, "25T04:00:00");
    looks(&mut it, "24T04:00:01", None, "25T04:00:00");
    looks(&mut it, "25T04:00:01", due("25T04:00:00", 1, Action::Start, 0), "26T04:00:00");
}

#[test]
fn a_clock_that_was_a_day_ahead_only_skips_runs() {
    let mut it = table(true, None, "24T05:00:00");
    looks(&mut it, "25T05:00:00", due("25T04:00:00", 3600, Action::CatchUp, 0), "26T04:00:00");
    looks(&mut it, "24T05:00:01", None, "26T04:00:00");
    assert_eq!(it.settled(), at("25T04:00:00"));
}

#[test]
fn a_clock_that_was_further_ahead_is_ignored_while_running_and_at_the_start() {
    let mut it = table(true, None, "10T05:00:00");
    looks(&mut it, "20T05:00:00", due("20T04:00:00", 3600, Action::CatchUp, 9), "21T04:00:00");
    looks(&mut it, "10T05:01:00", None, "11T04:00:00");
    assert_eq!(it.settled(), at("10T05:01:00"));
    looks(&mut it, "11T04:00:00", due("11T04:00:00", 0, Action::Start, 0), "12T04:00:00");
    for (settled, believed) in [("25T06:00:00", true), ("25T06:00:00.001", false), ("30T00:00:00", false)] {
        let mut it = table(true, Some(settled), "24T05:00:00");
        assert_eq!(it.settled(), at(if believed { settled } else { "24T05:00:00" }));
        looks(&mut it, "24T05:00:00", None, if believed { "26T04:00:00" } else { "25T04:00:00" });
    }
    let mut it = Timetable::new(calendar(&[]), true, Some(Timestamp::MAX), at("24T05:00:00"));
    looks(&mut it, "24T05:00:00", None, "25T04:00:00");
}

#[test]
fn the_last_of_many_missed_runs_is_found_soon() {
    let long_ago = Some(Timestamp::MIN);
    // From the year -9999 on, once a minute; and once a minute in some nights only.
    for (cron, last) in [("* * * * *", "24T12:34:00"), ("* 1-2 * * sun", "24T04:00:00"), ("* * 3 2 *", "24T04:00:00")] {
        let mut it = Timetable::new(calendar(&[cron]), true, long_ago, at("24T12:34:56"));
        let found = it.advance(at("24T12:34:56")).due.unwrap();
        assert_eq!((found.at, found.further), (at(last), MAX_COUNTED), "{cron}");
        assert_eq!((it.advance(at("24T12:34:56")).due, it.settled()), (None, at(last)));
    }
    let count = |settled| table(true, Some(settled), "24T12:00:00").advance(at("24T12:00:00")).due.unwrap();
    assert_eq!(count("24T03:59:59.5").further, 0);
    let mut it =
        Timetable::new(calendar(&[]), true, Some(Timestamp::UNIX_EPOCH), "1972-09-27T05:00:00Z".parse().unwrap());
    let found = it.advance("1972-09-27T05:00:00Z".parse().unwrap()).due.unwrap();
    assert_eq!((found.at.to_string().as_str(), found.further), ("1972-09-27T04:00:00Z", 1000));
}

#[test]
fn at_the_end_of_time_there_is_no_next_run() {
    let last_day: Timestamp = "9999-12-30T04:00:00Z".parse().unwrap();
    let mut it = Timetable::new(calendar(&[]), true, Some(last_day), Timestamp::MAX);
    let Advance { due, next } = it.advance(Timestamp::MAX);
    assert!(next.is_none() && due.is_none(), "the last instant there is comes before the last day's 04:00");
}

/// What a clock does between two looks: time passes, the machine sleeps, the clock is set forward or back.
fn steps() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![20 => 1..110_i64, 2 => 110..200_000_i64, 1 => -80_000..0_i64, 1 => -900_000..900_000_i64];
    prop::collection::vec(step, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the clock does: what is settled only grows, unless it was far in the future; each due run is later than what
    /// was settled, none is passed over, and the next one is the first that is later than both.
    #[test]
    fn no_run_is_repeated_or_passed_over(
        cron in prop::sample::select(vec!["0 4 * * *", "*/5 * * * *", "0 */6 1-7 * *", "30 12 * * mon"]),
        catch_up: bool,
        settled in prop::option::of(-300_000..300_000_i64),
        steps in steps(),
    ) {
        let calendar = calendar(&[cron]);
        let mut now = at("24T12:00:00");
        let settled = settled.map(|ahead| now + SignedDuration::from_secs(ahead));
        let mut it = Timetable::new(calendar.clone(), catch_up, settled, now);
        for step in steps {
            now += SignedDuration::from_secs(step);
            let before = it.settled();
            let believed = before.duration_since(now) <= MAX_AHEAD;
            let Advance { due, next } = it.advance(now);
            let from = if believed { before } else { now };
            match due {
                None => {
                    prop_assert_eq!(it.settled(), from);
                    prop_assert!(calendar.after(from).unwrap() > now, "passed over");
                }
                Some(due) => {
                    prop_assert!(due.at > from && due.at <= now && calendar.after(due.at).unwrap() > now);
                    prop_assert_eq!(it.settled(), due.at);
                    let all = std::iter::successors(calendar.after(from), |it| calendar.after(*it));
                    let earlier = all.take_while(|it| *it < due.at).take(1000).count();
                    prop_assert_eq!(usize::try_from(due.further).unwrap(), earlier);
                    let late = now.duration_since(due.at);
                    prop_assert_eq!(due.late, late.unsigned_abs());
                    prop_assert_eq!(due.what.is_missed(), late > PUNCTUAL);
                    prop_assert_eq!(due.what.starts(), catch_up || late <= PUNCTUAL);
                }
            }
            prop_assert_eq!(next, calendar.after(it.settled().max(now)));
        }
    }
}
