//! How keys and answers change the model.

use super::*;

#[test]
fn the_selection_follows_its_process() {
    let mut app = app(80, 24);
    answers(&mut app, 1, stats("a", 1, 10));
    answers(&mut app, 1, stats("b", 2, 20));
    assert_eq!(app.selected, Some(id("a", 1)), "the first that came");
    answers(&mut app, 2, stats("c", 3, 30));
    assert_eq!(app.shown().iter().map(|it| it.id.pid.id).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(app.selected, Some(id("a", 1)));
    press(&mut app, Key::Up);
    assert_eq!(app.selected, Some(id("b", 2)));
    // Where it is gone, its neighbour stands there.
    listed(&mut app, 3, &[id("a", 1), id("c", 3)]);
    listed(&mut app, 100, &[id("a", 1), id("c", 3)]);
    assert_eq!(app.processes.len(), 2);
    assert!(app.selected.is_some());
}

#[test]
fn each_order_has_its_key() {
    let mut app = app(80, 24);
    answers(&mut app, 1, stats("b", 1, 10));
    answers(&mut app, 1, Stats { limit_bytes: None, tasks: 99, uptime_s: 1.0, ..stats("a", 2, 20) });
    let order = |app: &App| app.shown().iter().map(|it| it.id.pid.id).collect::<Vec<_>>();
    assert_eq!(order(&app), [2, 1]);
    for (key, expected) in [('i', [1, 2]), ('n', [2, 1]), ('l', [1, 2]), ('t', [2, 1]), ('u', [1, 2]), ('m', [2, 1])] {
        press(&mut app, Key::Char(key));
        assert_eq!(order(&app), expected, "{key}");
    }
    press(&mut app, Key::Char('r'));
    assert_eq!(order(&app), [1, 2]);
    let first = app.sort;
    let names: Vec<&str> = (0..10)
        .map(|_| {
            press(&mut app, Key::Char('s'));
            app.sort.name()
        })
        .collect();
    assert_eq!(app.sort, first, "{names:?}");
    silent(&mut app, 2, id("z", 9));
    assert_eq!(order(&app)[0], 9, "nobody knows what it holds");
}

#[test]
fn a_purge_is_confirmed_and_reported() {
    let mut app = lively(80, 24);
    for no in [Key::Char('n'), Key::Esc, Key::Char('q')] {
        assert_eq!(press(&mut app, Key::Char('p')), None);
        assert!(drawn(&app, PLAIN).contains("Purge r3e-loader (4711)?"));
        assert_eq!(press(&mut app, Key::Enter), None, "no answer");
        assert!(matches!(app.overlay, Overlay::Purge { .. }));
        assert_eq!(press(&mut app, no), None);
        assert_eq!((&app.overlay, app.current_notice()), (&Overlay::None, Some("not purged")));
    }
    let loader = id("r3e-loader", 4711);
    assert_eq!(type_in(&mut app, "py"), Some(Action::Purge(vec![loader.clone()])));
    assert_eq!(type_in(&mut app, "py"), None);
    assert_eq!(app.current_notice(), Some("the last purge is still running"));
    let (before, after) = (stats("r3e-loader", 4711, 50), stats("r3e-loader", 4711, 40));
    let purged = PurgeStats { before, after, given_back_bytes: 10 << 20, took_ms: 4.25 };
    app.update(at(31), Event::Purged(loader.clone(), Ok(Box::new(purged.clone()))));
    let told = "r3e-loader (4711): 10.0 MB returned in 4.2 ms, 40.0 MB resident";
    assert_eq!(app.current_notice(), Some(told));
    app.update(at(60), Event::Listed(Ok(Vec::new())));
    assert_eq!(app.current_notice(), None, "old news");
}

#[test]
fn purging_all_skips_ended_processes_and_reports_errors() {
    let mut app = lively(80, 24);
    press(&mut app, Key::Char('P'));
    assert!(drawn(&app, PLAIN).contains("Purge all programs (3)?"));
    let Some(Action::Purge(of)) = press(&mut app, Key::Char('y')) else { panic!("{app:?}") };
    assert_eq!(of.len(), 3);
    for of in of {
        let one = stats(&of.program, of.pid.id, 5);
        let purged = PurgeStats { before: one.clone(), after: one, given_back_bytes: 1 << 20, took_ms: 1.0 };
        let is_stuck = of.pid.id == 77;
        app.update(
            at(32),
            Event::Purged(of, if is_stuck { Err(NoAnswer::Late(TIMEOUT)) } else { Ok(Box::new(purged)) }),
        );
    }
    assert_eq!(
        app.current_notice(),
        Some("2 of 3 programs: 2.0 MB returned in 1.0 ms; not purged: r3e-scheduler (77): no answer within 2s")
    );
    // Whoever has ended has nothing to give back.
    press(&mut app, Key::End);
    assert_eq!(type_in(&mut app, "py"), None);
    assert_eq!(app.current_notice(), Some("no running program to purge"));
}

#[test]
fn processes_appear_fall_silent_end_and_disappear() {
    let mut app = app(80, 24);
    app.update(at(1), Event::Stats(id("left", 5), Err(NoAnswer::Dead)));
    assert!(app.processes.is_empty(), "a socket that was left behind");
    silent(&mut app, 1, id("a", 1));
    silent(&mut app, 3, id("a", 1));
    assert!(matches!(app.processes[0].state, State::Silent { since, .. } if since == at(1)));
    answers(&mut app, 4, stats("a", 1, 10));
    assert_eq!(app.processes[0].state, State::Answers);
    // Killed: its socket is still there.
    app.update(at(5), Event::Stats(id("a", 1), Err(NoAnswer::Dead)));
    assert_eq!(app.processes[0].state, State::Ended(at(5)));
    listed(&mut app, 64, &[]);
    assert_eq!(app.processes.len(), 1);
    listed(&mut app, 65, &[]);
    assert!(app.processes.is_empty() && app.selected.is_none());
    // Many that end at once are not all kept.
    for pid in 1..=200 {
        answers(&mut app, 70, stats("many", pid, 1));
    }
    listed(&mut app, 71, &[]);
    assert_eq!(app.processes.len(), crate::top::app::MAX_ENDED);
}

#[test]
fn a_reused_process_id_starts_over() {
    let mut app = app(80, 24);
    answers(&mut app, 1, stats("a", 1, 900));
    let other = Stats { started_at: "2026-11-02T04:00:00Z".into(), ..stats("a", 1, 10) };
    answers(&mut app, 2, other);
    assert_eq!(app.processes[0].series.max_bytes(), 10 << 20);
}

#[test]
fn details_close_with_their_process() {
    let mut app = app(80, 24);
    answers(&mut app, 1, stats("a", 1, 10));
    press(&mut app, Key::Enter);
    assert_eq!(press(&mut app, Key::Tab), Some(Action::Details(id("a", 1), Tab::Descriptors)));
    assert_eq!(press(&mut app, Key::BackTab), Some(Action::Details(id("a", 1), Tab::Tasks)));
    assert_eq!(press(&mut app, Key::Left), Some(Action::Details(id("a", 1), Tab::Arenas)));
    assert_eq!(press(&mut app, Key::Char('4')), None, "it is shown already");
    listed(&mut app, 2, &[]);
    assert!(drawn(&app, PLAIN).starts_with("a (1)  ended"));
    listed(&mut app, 90, &[]);
    assert!(app.details.is_none());
    assert_eq!(app.current_notice(), Some("a (1) has ended"));
}

#[test]
fn a_filter_is_edited_applied_and_cleared() {
    let mut app = lively(80, 24);
    type_in(&mut app, "/monqx");
    assert!(drawn(&app, PLAIN).contains("filter: monqx_"), "letters are no keys while it is written");
    press(&mut app, Key::Backspace);
    press(&mut app, Key::Backspace);
    press(&mut app, Key::Enter);
    assert_eq!(app.shown().len(), 1);
    assert_eq!(app.selected, Some(id("r3e-monitor", 88)));
    type_in(&mut app, "/zzz");
    press(&mut app, Key::Enter);
    assert!(drawn(&app, PLAIN).contains("contains monzzz"));
    press(&mut app, Key::Esc);
    assert_eq!(app.shown().len(), 4);
}

#[test]
fn quit_pause_and_suspend() {
    let mut app = lively(80, 24);
    assert_eq!(press(&mut app, Key::Char(' ')), None);
    assert!(app.paused && drawn(&app, PLAIN).contains("PAUSED"));
    assert_eq!(press_with_ctrl(&mut app, 'z'), Some(Action::Suspend));
    assert_eq!(press_with_ctrl(&mut app, 'l'), Some(Action::Redraw));
    press(&mut app, Key::Char('?'));
    assert_eq!(press(&mut app, Key::Char('q')), None, "closes the help");
    assert_eq!(press(&mut app, Key::Char('q')), Some(Action::Quit));
    press(&mut app, Key::Char('?'));
    assert_eq!(press_with_ctrl(&mut app, 'c'), Some(Action::Quit));
}
