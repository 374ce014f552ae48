//! Sequences of steps as tables, and properties of any sequence.

use super::*;
use proptest::prelude::*;

const INTERVAL: Duration = Duration::from_millis(100);

/// The steps of a job with 8 boards whose usage has these percentages, each for that many seconds.
fn steps(course: &[(u64, u64)]) -> String {
    steps_by(Role::Job { boards: 8 }, |percent| (percent, 0), course)
}

/// The same for any role; `split` makes the process's own percentage and its group's from one of the course.
fn steps_by(role: Role, split: impl Fn(u64) -> (u64, u64), course: &[(u64, u64)]) -> String {
    let mut policy = PressurePolicy::new(role);
    let (mut at, mut lines) = (Duration::ZERO, Vec::new());
    for &(percent, seconds) in course {
        let (own, group) = split(percent);
        for _ in 0..seconds * 10 {
            let step = policy.step(Sample { at, own, group, purging: false });
            if step != Step::None {
                lines.push(format!("{:.1} s, {percent} %: {step:?}", at.as_secs_f64()));
            }
            at += INTERVAL;
        }
    }
    lines.join("\n")
}

#[test]
fn far_from_the_limit_there_is_no_step() {
    assert_eq!(steps(&[(0, 100), (69, 100), (74, 100), (70, 100)]), "");
}

#[test]
fn purges_that_do_not_help_become_rarer() {
    insta::assert_snapshot!(steps(&[(75, 300), (72, 10), (75, 5), (69, 1), (75, 1)]), @"
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
fn boards_are_reduced_under_pressure_and_raised_again_after_it() {
    insta::assert_snapshot!(steps(&[(85, 4), (72, 20), (65, 45), (86, 2)]), @"
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
fn a_critical_level_stops_the_process_unless_it_falls_soon() {
    insta::assert_snapshot!(steps(&[(94, 1), (95, 1), (90, 1), (96, 5), (10, 100)]), @"
    0.0 s, 94 %: Purge
    0.1 s, 94 %: FewerBoards(4)
    1.0 s, 95 %: Purge
    1.1 s, 95 %: FewerBoards(1)
    5.0 s, 96 %: Stop
    ");
}

#[test]
fn beyond_the_limit_the_process_stops_after_all_other_steps() {
    insta::assert_snapshot!(steps(&[(150, 5)]), @"
    0.0 s, 150 %: Purge
    0.1 s, 150 %: FewerBoards(1)
    0.2 s, 150 %: Stop
    ");
}

#[test]
fn rising_usage_goes_through_all_steps() {
    insta::assert_snapshot!(steps(&[(60, 1), (76, 1), (86, 3), (91, 2), (97, 1), (101, 1)]), @"
    1.0 s, 76 %: Purge
    2.0 s, 86 %: Purge
    2.1 s, 86 %: FewerBoards(4)
    3.1 s, 86 %: FewerBoards(2)
    4.1 s, 86 %: FewerBoards(1)
    7.0 s, 97 %: Purge
    8.0 s, 101 %: Purge
    8.1 s, 101 %: Stop
    ");
}

#[test]
fn a_job_gives_way_when_its_control_group_is_near_its_limit() {
    let course = [(60, 1), (76, 1), (86, 3), (91, 2), (97, 1), (101, 1)];
    for own in [0, 50] {
        let of_group = steps_by(Role::Job { boards: 8 }, |group| (own, group), &course);
        assert_eq!(of_group, steps(&course));
    }
}

#[test]
fn a_daemon_purges_for_its_control_group_and_stops_only_for_itself() {
    let course = [(60, 1), (86, 3), (97, 10), (120, 10)];
    insta::assert_snapshot!(steps_by(Role::Daemon, |group| (10, group), &course), @"
    1.0 s, 86 %: Purge
    6.0 s, 97 %: Purge
    16.0 s, 120 %: Purge
    ");
    insta::assert_snapshot!(steps_by(Role::Daemon, |own| (own, 10), &course), @"
    1.0 s, 86 %: Purge
    4.0 s, 97 %: Purge
    6.1 s, 97 %: Stop
    ");
}

#[test]
fn a_running_purge_is_waited_for_up_to_a_bound() {
    let mut policy = PressurePolicy::new(Role::Daemon);
    let mut step = |ms, purging| policy.step(Sample { at: Duration::from_millis(ms), own: 110, group: 0, purging });
    assert_eq!(step(0, false), Step::Purge);
    assert_eq!(step(100, true), Step::None);
    assert_eq!(step(900, true), Step::None);
    assert_eq!(step(1000, true), Step::Stop);
    assert_eq!(step(1100, false), Step::None, "returned once");
}

#[test]
fn a_limit_of_zero_stops_at_once() {
    let mut policy = PressurePolicy::new(Role::Daemon);
    let mut step = |ms| policy.step(Sample { at: Duration::from_millis(ms), own: u64::MAX, group: 0, purging: false });
    assert_eq!([step(0), step(100), step(200)], [Step::Purge, Step::Stop, Step::None]);
}

proptest! {
    /// The boards in flight stay between one and the initial number. Each other step comes after a purge. A stop comes only at a
    /// critical level with one board, and nothing follows it. The group makes a daemon purge and nothing else.
    #[test]
    fn any_sequence_keeps_the_rules(
        boards in 1_usize..300,
        is_daemon in any::<bool>(),
        course in prop::collection::vec((percent(), percent(), 1_u64..5000, any::<bool>()), 1..200),
    ) {
        let role = if is_daemon { Role::Daemon } else { Role::Job { boards } };
        let boards = role.boards();
        let mut policy = PressurePolicy::new(role);
        let (mut at, mut purged, mut stopped) = (Duration::ZERO, false, false);
        for (own, group, ms, purging) in course {
            at += Duration::from_millis(ms);
            let before = policy.boards();
            let step = policy.step(Sample { at, own, group, purging });
            let percent = own.max(group);
            let counts = if is_daemon { own } else { percent };
            prop_assert!(!stopped || step == Step::None);
            prop_assert!((1..=boards).contains(&policy.boards()));
            match step {
                Step::None => {}
                Step::Purge => { prop_assert!(percent >= 75); purged = true; }
                Step::FewerBoards(now) => prop_assert!(purged && counts >= 85 && now < before && now == policy.boards()),
                Step::MoreBoards(now) => prop_assert!(percent < 70 && now > before && now == policy.boards()),
                Step::Stop => { prop_assert!(purged && counts >= 95 && before == 1); stopped = true; }
            }
            if percent < 70 { purged = false; }
        }
    }
}

/// Mostly near the limit, where it matters.
fn percent() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0_u64..130, 1 => any::<u64>()]
}
