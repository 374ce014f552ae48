//! Snapshots; and that nothing is drawn outside the terminal, by colour alone, or with control characters.

use ratatui::style::Modifier;

use super::*;

#[test]
fn the_list_at_80_by_24() {
    insta::assert_snapshot!(drawn(&lively(80, 24), PLAIN));
}

#[test]
fn the_list_at_120_by_40() {
    insta::assert_snapshot!(drawn(&lively(120, 40), PLAIN));
}

#[test]
fn a_narrow_terminal_has_one_line_for_a_process() {
    insta::assert_snapshot!(drawn(&lively(40, 10), PLAIN));
    assert_eq!(drawn(&lively(20, 4), PLAIN).lines().next(), Some("too small"));
}

#[test]
fn a_dumb_terminal_gets_ascii() {
    let mut app = lively(80, 24);
    press(&mut app, Key::Char('p'));
    let shown = drawn(&app, Theme { colours: false, ascii: true });
    insta::assert_snapshot!(shown);
    assert!(shown.is_ascii());
}

#[test]
fn an_empty_list_says_why() {
    let mut app = app(80, 24);
    assert!(drawn(&app, PLAIN).contains("asking …"));
    listed(&mut app, 1, &[]);
    insta::assert_snapshot!(drawn(&app, PLAIN));
    app.update(at(2), Event::Listed(Err("cannot list /run/r3e: Permission denied".into())));
    assert!(drawn(&app, PLAIN).ends_with("cannot list /run/r3e: Permission denied\n"));
}

#[test]
fn details_at_80_by_24() {
    let mut app = lively(80, 24);
    let looked_into = id("r3e-loader", 4711);
    assert_eq!(press(&mut app, Key::Enter), Some(Action::Details(looked_into.clone(), Tab::Tasks)));
    assert!(drawn(&app, PLAIN).contains("asking …"));
    let lines = |count: usize| (0..count).map(|it| format!("line {it}")).collect();
    app.update(at(30), Event::Details(looked_into.clone(), Tab::Tasks, Ok(lines(100))));
    for _ in 0..3 {
        press(&mut app, Key::Down);
    }
    insta::assert_snapshot!(drawn(&app, PLAIN));
    press(&mut app, Key::End);
    assert!(drawn(&app, PLAIN).contains("line 99\n"));
    let why = Err("its process is gone".to_owned());
    press(&mut app, Key::Char('4'));
    app.update(at(31), Event::Details(looked_into.clone(), Tab::Tasks, Ok(lines(3))));
    assert!(!drawn(&app, PLAIN).contains("line 1"), "an answer to an older question");
    app.update(at(31), Event::Details(looked_into, Tab::Arenas, why));
    let shown = drawn(&app, PLAIN);
    assert!(shown.contains("[4 arenas]") && shown.contains("its process is gone"), "{shown}");
}

#[test]
fn help_names_every_key_and_fits_or_scrolls() {
    let mut app = lively(80, 24);
    press(&mut app, Key::Char('?'));
    insta::assert_snapshot!(drawn(&app, PLAIN));
    app.update(at(30), Event::Resized(40, 10));
    press(&mut app, Key::End);
    assert!(drawn(&app, PLAIN).contains("Not answering come first"));
    press(&mut app, Key::Esc);
    assert_eq!(app.overlay, Overlay::None);
}

#[test]
fn the_list_scrolls_with_the_selection() {
    let mut app = app(80, 24);
    let all: Vec<Socket> = (1..=50).map(|pid| id("r3e-loader", pid)).collect();
    listed(&mut app, 1, &all);
    for pid in 1..=50 {
        answers(&mut app, 1, stats("r3e-loader", pid, 1000 - u64::from(pid)));
    }
    let is_shown = |app: &App, pid: u32| drawn(app, PLAIN).lines().any(|line| line.contains(&format!(" {pid}  ")));
    assert!(is_shown(&app, 1) && is_shown(&app, 10) && !is_shown(&app, 11));
    for _ in 0..10 {
        press(&mut app, Key::Down);
    }
    assert!(!is_shown(&app, 1) && is_shown(&app, 11) && app.selected == Some(id("r3e-loader", 11)));
    press(&mut app, Key::End);
    assert!(is_shown(&app, 50) && is_shown(&app, 41) && !is_shown(&app, 40));
    // Whatever happens to the others, the selected one stays selected and in sight.
    press(&mut app, Key::Char('r'));
    assert!(is_shown(&app, 50) && app.selected == Some(id("r3e-loader", 50)));
    app.update(at(2), Event::Resized(80, 8));
    assert!(is_shown(&app, 50));
}

#[test]
fn text_and_figures_of_any_size_stay_in_their_columns() {
    let hostile = "\u{1b}[31m\u{7}räcer\u{202e}日本語".repeat(20);
    for (columns, rows) in [(31, 5), (32, 4), (32, 5), (40, 10), (69, 24), (70, 24), (80, 24), (300, 90)] {
        let mut app = app(columns, rows);
        let mut huge = stats(&hostile, u32::MAX, 1);
        huge.phase = hostile.clone();
        let most = u64::MAX;
        huge.figures = Figures {
            allocated_bytes: most,
            rss_bytes: most,
            peak_rss_bytes: most,
            open_fds: most,
            connections: most,
            ..huge.figures
        };
        (huge.tasks, huge.uptime_s, huge.limit_bytes) = (most, f64::MAX, Some(1));
        huge.progress = Some(BoardsProgress { total: 1, fetched: most, failed: most, entries: most });
        answers(&mut app, 1, huge.clone());
        huge.limit_bytes = Some(0);
        answers(&mut app, 2, huge);
        silent(&mut app, 3, id(&hostile, 7));
        for keys in ["", "p", "\u{1b}?"] {
            type_in(&mut app, keys);
            let shown = drawn(&app, PLAIN);
            assert!(!shown.chars().any(|it| it.is_control() && it != '\n'), "{}", shown.escape_debug());
        }
        app.overlay = Overlay::None;
        press(&mut app, Key::Enter);
        let _whole = drawn(&app, PLAIN);
    }
}

#[test]
fn a_process_near_its_limit_stands_out_with_and_without_colours() {
    let mut app = app(80, 24);
    answers(&mut app, 1, stats("r3e-loader", 1, 250));
    answers(&mut app, 1, stats("r3e-loader", 2, 200));
    press(&mut app, Key::End);
    let shown = drawn(&app, PLAIN);
    assert!(shown.contains("97%! of 256 MB") && shown.contains("78% of 256 MB"), "{shown}");
    let style_of_share = |theme, row: u16| draw(&app, theme).buffer()[(66, row)].style();
    let plain = style_of_share(PLAIN, 3);
    assert!(plain.add_modifier.contains(Modifier::REVERSED | Modifier::BOLD) && plain.fg == Some(Color::Reset));
    let coloured = Theme { colours: true, ascii: false };
    assert_eq!(style_of_share(coloured, 3).fg, Some(Color::Red));
    assert_eq!(style_of_share(coloured, 5).fg, Some(Color::Yellow));
    let without = draw(&lively(80, 24), PLAIN);
    assert!(without.buffer().content.iter().all(|it| it.fg == Color::Reset && it.bg == Color::Reset));
}
