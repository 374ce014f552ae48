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
fn transient_failures_are_retried_forever_with_growing_pauses() {
    let (mut agenda, mut now) = (Agenda::new(RETRIES), Instant::now());
    agenda.add(Job::Refresh(Reason::Due), now);
    let pauses = (1..=50).map(|number| {
        let attempt = agenda.start(now).unwrap();
        assert_eq!((attempt.number, agenda.start(now)), (number, None));
        let Next::Retry(pause) = agenda.ended(attempt, Outcome::Transient, now, 1.0) else { panic!("{attempt:?}") };
        assert_eq!((agenda.start(now + pause - SECOND), agenda.wake()), (None, Some(now + pause)));
        now += pause;
        pause.as_secs()
    });
    let pauses: Vec<u64> = pauses.collect();
    assert_eq!(pauses[..5], [10, 20, 40, 60, 60]);
    assert_eq!(pauses[49], 60);
    assert_eq!(agenda.counts, Counts { started: 50, failed: 50, commands_failed: 0 });
}

#[test]
fn faults_are_retried_up_to_the_limit_and_transient_failures_do_not_count() {
    let (mut agenda, mut now) = (Agenda::new(RETRIES), Instant::now());
    agenda.add(Job::Load, now);
    let outcomes =
        [Outcome::Transient, Outcome::Fault, Outcome::Transient, Outcome::Fault, Outcome::Transient, Outcome::Fault];
    let next = outcomes.map(|outcome| {
        let attempt = agenda.start(now).unwrap();
        let next = agenda.ended(attempt, outcome, now, 0.5);
        now += Duration::from_hours(1);
        next
    });
    assert!(next[..5].iter().all(|it| matches!(it, Next::Retry(_))), "{next:?}");
    assert_eq!((next[5], agenda.start(now), agenda.wake()), (Next::GiveUp, None, None));
}

#[test]
fn a_configuration_error_is_retried_after_a_reload() {
    let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
    agenda.add(Job::Boards, now);
    let attempt = agenda.start(now).unwrap();
    assert_eq!(agenda.ended(attempt, Outcome::Misconfigured, now, 0.5), Next::RetryAtReload);
    assert_eq!((agenda.start(now + Duration::from_hours(99)), agenda.wake()), (None, None));
    assert_eq!(agenda.next_retry().map(|it| it.number), Some(2));
    agenda.reloaded(RETRIES, now);
    assert_eq!(jobs(&mut agenda, now), [Job::Boards]);
}

#[test]
fn success_and_invalid_requests_are_not_retried() {
    for outcome in [Outcome::Invalid, Outcome::Done] {
        let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
        agenda.add(Job::Boards, now);
        let attempt = agenda.start(now).unwrap();
        assert_eq!((agenda.ended(attempt, outcome, now, 0.5), agenda.wake()), (Next::Finished, None), "{outcome:?}");
    }
}

#[test]
fn a_due_refresh_waits_for_any_job_except_a_full_refresh_which_covers_it() {
    for (running, waits) in [
        (None, true),
        (Some(Job::Load), true),
        (Some(Job::Boards), true),
        (Some(Job::Refresh(Reason::Trigger)), false),
        (Some(Job::Refresh(Reason::Due)), false),
    ] {
        let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
        assert_eq!(agenda.due(Reason::Due, running, now), waits, "{running:?}");
        assert_eq!(agenda.waiting(Job::Refresh(Reason::Due)).is_some(), waits, "{running:?}");
    }
}

#[test]
fn a_due_refresh_replaces_a_failed_one_and_a_load() {
    let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
    agenda.add(Job::Refresh(Reason::Due), now);
    let first = agenda.start(now).unwrap();
    assert!(matches!(agenda.ended(first, Outcome::Transient, now, 0.5), Next::Retry(_)));
    agenda.add(Job::Load, now);
    agenda.add(Job::Boards, now);
    assert!(agenda.due(Reason::Missed, None, now));
    assert_eq!(agenda.waiting(Job::Refresh(Reason::Due)).map(|it| it.number), Some(1));
    assert_eq!(jobs(&mut agenda, now), [Job::Boards, Job::Refresh(Reason::Missed)]);
}

#[test]
fn a_load_that_failed_after_a_refresh_became_due_is_not_retried() {
    let (mut agenda, now) = (Agenda::new(RETRIES), Instant::now());
    agenda.add(Job::Load, now);
    let load = agenda.start(now).unwrap();
    assert!(agenda.due(Reason::Due, Some(Job::Load), now));
    assert_eq!(agenda.ended(load, Outcome::Transient, now, 0.5), Next::Superseded);
    assert_eq!(jobs(&mut agenda, now + Duration::from_hours(1)), [Job::Refresh(Reason::Due)]);
}

proptest! {
    /// With any requests and outcomes, each kind of job waits at most once, and a due refresh is running or waiting.
    #[test]
    fn nothing_piles_up_and_nothing_is_lost(steps in prop::collection::vec((0_u8..5, 0_u8..5, any::<bool>()), 0..200)) {
        let mut agenda = Agenda::new(RETRIES);
        let mut now = Instant::now();
        let mut running: Option<Attempt> = None;
        for (asked, outcome, end) in steps {
            now += Duration::from_secs(7);
            match asked {
                0 => agenda.add(Job::Load, now),
                1 => agenda.add(Job::Boards, now),
                2 if running.is_none() => agenda.add(Job::Refresh(Reason::Trigger), now),
                _ => {
                    agenda.due(Reason::Due, running.map(|it| it.job), now);
                    let refreshes = running.is_some_and(|it| matches!(it.job, Job::Refresh(_)));
                    prop_assert!(refreshes || agenda.waiting(Job::Refresh(Reason::Due)).is_some());
                }
            }
            if running.is_none() {
                running = agenda.start(now);
            } else if let (true, Some(attempt)) = (end, running.take()) {
                let outcomes = [Outcome::Done, Outcome::Invalid, Outcome::Misconfigured, Outcome::Transient, Outcome::Fault];
                let outcome = outcomes[usize::from(outcome)];
                let next = agenda.ended(attempt, outcome, now, 0.5);
                match next {
                    Next::Retry(_) | Next::RetryAtReload => prop_assert!(agenda.waiting(attempt.job).is_some()),
                    Next::Superseded => prop_assert!(agenda.waiting.iter().any(|it| it.attempt.job.covers(attempt.job))),
                    Next::GiveUp => prop_assert_eq!(outcome, Outcome::Fault),
                    Next::Finished => prop_assert!(matches!(outcome, Outcome::Done | Outcome::Invalid)),
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
