//! Waiting jobs, their order, and what follows when they end.

mod year;

use super::*;
use proptest::prelude::*;

const RETRIES: Retries = Retries { attempts: 3, min: Duration::from_secs(10), max: Duration::from_mins(1) };

const SECOND: Duration = Duration::from_secs(1);

fn jobs(agenda: &mut Agenda, now: Instant) -> Vec<Job> {
    std::iter::from_fn(|| agenda.start(now)).map(|it| it.job).collect()
}

#[test]
fn what_waiting_can_mend_is_tried_again_for_ever_after_pauses_up_to_the_longest() {
    let (mut agenda, mut now) = (Agenda::new(RETRIES), Instant::now());
    agenda.ask(Job::Refresh(Reason::Due), now);
    let pauses = (1..=50).map(|attempt| {
        let tried = agenda.start(now).unwrap();
        assert_eq!((tried.attempt, agenda.start(now)), (attempt, None));
        let Next::Again(pause) = agenda.ended(tried, Ending::Transient, now, 1.0) else { panic!("{tried:?}") };
        assert_eq!((agenda.start(now + pause - SECOND), agenda.wake()), (None, Some(now + pause)));
        now += pause;
        pause.as_secs()
    });
    let pauses: Vec<u64> = pauses.collect();
    assert_eq!(pauses[..5], [10, 20, 40, 60, 60]);
    assert_eq!(pauses[49], 60);
    assert_eq!(agenda.counts, Counts { started: 50, failed: 50 });
}

#[test]
fn a_fault_is_tried_as_often_as_said_whatever_else_fails_meanwhile() {
    let (mut agenda, mut now) = (Agenda::new(RETRIES), Instant::now());
    agenda.ask(Job::Load, now);
    let endings =
        [Ending::Transient, Ending::Fault, Ending::Transient, Ending::Fault, Ending::Transient, Ending::Fault];
    let next = endings.map(|ending| {
        let tried = agenda.start(now).unwrap();
        let next = agenda.ended(tried, ending, now, 0.5);
        now += Duration::from_hours(1);
        next
    });
    assert!(next[..5].iter().all(|it| matches!(it, Next::Again(_))), "{next:?}");
    assert_eq!((next[5], agenda.start(now), agenda.wake()), (Next::GivenUp, None, None));
}

#[test]
fn what_only_another_configuration_can_mend_waits_for_it() {
    let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
    agenda.ask(Job::Boards, now);
    let tried = agenda.start(now).unwrap();
    assert_eq!(agenda.ended(tried, Ending::Misconfigured, now, 0.5), Next::AtReload);
    assert_eq!((agenda.start(now + Duration::from_hours(99)), agenda.wake()), (None, None));
    assert_eq!(agenda.again().map(|it| it.attempt), Some(2));
    agenda.reloaded(RETRIES, now);
    assert_eq!(jobs(&mut agenda, now), [Job::Boards]);
}

#[test]
fn what_is_done_or_hopeless_is_over() {
    for ending in [Ending::Hopeless, Ending::Done] {
        let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
        agenda.ask(Job::Boards, now);
        let tried = agenda.start(now).unwrap();
        assert_eq!((agenda.ended(tried, ending, now, 0.5), agenda.wake()), (Next::Over, None), "{ending:?}");
    }
}

#[test]
fn a_due_refresh_waits_for_any_job_but_a_full_refresh_which_makes_it_unnecessary() {
    for (at_work, waits) in [
        (None, true),
        (Some(Job::Load), true),
        (Some(Job::Boards), true),
        (Some(Job::Refresh(Reason::Trigger)), false),
        (Some(Job::Refresh(Reason::Due)), false),
    ] {
        let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
        assert_eq!(agenda.due(Reason::Due, at_work, now), waits, "{at_work:?}");
        assert_eq!(agenda.waiting(Job::Refresh(Reason::Due)).is_some(), waits, "{at_work:?}");
    }
}

#[test]
fn a_due_refresh_replaces_one_that_failed_and_a_load() {
    let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
    agenda.ask(Job::Refresh(Reason::Due), now);
    let first = agenda.start(now).unwrap();
    assert!(matches!(agenda.ended(first, Ending::Transient, now, 0.5), Next::Again(_)));
    agenda.ask(Job::Load, now);
    agenda.ask(Job::Boards, now);
    assert!(agenda.due(Reason::Missed, None, now));
    assert_eq!(agenda.waiting(Job::Refresh(Reason::Due)).map(|it| it.attempt), Some(1));
    assert_eq!(jobs(&mut agenda, now), [Job::Boards, Job::Refresh(Reason::Missed)]);
}

#[test]
fn a_load_that_failed_while_a_refresh_became_due_is_not_tried_again() {
    let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
    agenda.ask(Job::Load, now);
    let load = agenda.start(now).unwrap();
    assert!(agenda.due(Reason::Due, Some(Job::Load), now));
    assert_eq!(agenda.ended(load, Ending::Transient, now, 0.5), Next::Superseded);
    assert_eq!(jobs(&mut agenda, now + Duration::from_hours(1)), [Job::Refresh(Reason::Due)]);
}

proptest! {
    /// Whatever is asked for and however jobs end, each kind waits once at most, a due refresh is done or waits, and nothing is
    /// tried twice without a pause.
    #[test]
    fn nothing_piles_up_and_nothing_is_lost(steps in prop::collection::vec((0_u8..5, 0_u8..5, any::<bool>()), 0..200)) {
        let mut agenda = Agenda::new(RETRIES);
        let mut now = Instant::now();
        let mut at_work: Option<Try> = None;
        for (asked, ending, end) in steps {
            now += Duration::from_secs(7);
            match asked {
                0 => agenda.ask(Job::Load, now),
                1 => agenda.ask(Job::Boards, now),
                2 if at_work.is_none() => agenda.ask(Job::Refresh(Reason::Trigger), now),
                _ => {
                    agenda.due(Reason::Due, at_work.map(|it| it.job), now);
                    let refreshes = at_work.is_some_and(|it| matches!(it.job, Job::Refresh(_)));
                    prop_assert!(refreshes || agenda.waiting(Job::Refresh(Reason::Due)).is_some());
                }
            }
            if at_work.is_none() {
                at_work = agenda.start(now);
            } else if let (true, Some(tried)) = (end, at_work.take()) {
                let endings = [Ending::Done, Ending::Hopeless, Ending::Misconfigured, Ending::Transient, Ending::Fault];
                let ending = endings[usize::from(ending)];
                let next = agenda.ended(tried, ending, now, 0.5);
                match next {
                    Next::Again(_) | Next::AtReload => prop_assert!(agenda.waiting(tried.job).is_some()),
                    Next::Superseded => prop_assert!(agenda.waiting.iter().any(|it| it.what.job.does_the_work_of(tried.job))),
                    Next::GivenUp => prop_assert_eq!(ending, Ending::Fault),
                    Next::Over => prop_assert!(matches!(ending, Ending::Done | Ending::Hopeless)),
                }
            }
            prop_assert!(agenda.waiting.len() <= 3);
        }
    }

    #[test]
    fn pauses_stay_within_their_bounds(attempt in 1_u32..=100, chance in 0.0_f64..=1.0) {
        let pause = RETRIES.pause(attempt, chance);
        prop_assert!((RETRIES.min..=RETRIES.max).contains(&pause), "{pause:?}");
    }
}
