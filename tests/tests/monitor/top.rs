//! `top`, in a real terminal, on programs that run.

use std::fs;
use std::time::Duration;

use r3e_tests::harness::{Place, grid, signal, until};
use r3e_tests::sim::{SimOptions, Simulator};

use crate::place::{is_watching, logged, monitor};
use crate::terminal::Terminal;

/// A place among the lines where that is.
#[track_caller]
/// None where it is not there, or not yet.
fn line_of(shown: &str, what: &str) -> Option<usize> {
    shown.lines().position(|line| line.contains(what))
}

fn purges(place: &Place, pid: &str) -> u64 {
    monitor(place, &["stats", "--json", pid]).run().with_code(0).json()[0]["purges"].as_u64().unwrap()
}

#[test]
fn running_programs_are_listed_inspected_and_purged() {
    let catalog = grid(10, 10);
    let place = Place::with_catalog(&catalog);
    let Some(terminal) = Terminal::new(&place) else { return };
    let options = SimOptions { catalog, entries: 2000, drivers: 300, ..SimOptions::default() };
    let sim = Simulator::start(options).unwrap();
    sim.set_latency(Duration::from_millis(100));
    sim.answer_only(40);
    let top = terminal.start_top("", "");
    // Nothing runs: the folder is named.
    terminal.shows(&place.path("run").to_string_lossy());

    // They come.
    // No periodic purges: the test counts purges below.
    let watch = logged(monitor(&place, &["watch"]).set("memory.purge_every", "1h"));
    until("it is at work", || is_watching(&place));
    let loader = place.loader(&sim.base_url()).set("memory.limit_mb", "500").set("memory.purge_every", "1h").spawn();
    let pid = loader.pid().to_string();
    terminal.shows_all(&["r3e-monitor", "watching", "r3e-loader", &pid, "fetching", "█", "% of 500 MB", "▁"]);
    // Which it still has when it stands still.
    until("it has a rate", || sim.stats().requests > 40);
    let shown = terminal.shown();
    let lines: Vec<&str> = shown.lines().collect();
    let row = lines[line_of(&shown, &pid).unwrap()];
    let percent = row.split_whitespace().find_map(|it| it.strip_suffix('%')).unwrap();
    assert!(percent.parse::<u8>().unwrap() <= 100, "{row}");
    assert_eq!(lines.len(), 24);

    terminal.press(&["n"]);
    terminal.shows("by name");
    let before = |first: &str, second: &str| {
        terminal.until("they are in order", || {
            let shown = terminal.shown();
            line_of(&shown, first).zip(line_of(&shown, second)).is_some_and(|(first, second)| first < second)
        });
    };
    before(&pid, " watching ");
    terminal.press(&["r"]);
    before(" watching ", &pid);
    terminal.press(&["r", "g"]);
    terminal.shows("> r3e-loader");

    terminal.press(&["Enter"]);
    terminal.shows_all(&["[1 tasks]", "TASK", "fetching boards", "periodic indexing", ".rs:"]);
    terminal.press(&["Tab"]);
    terminal.shows_all(&["[2 descriptors]", "KIND", "eventpoll", "socket"]);
    terminal.press(&["3"]);
    terminal.shows_all(&["[3 connections]", &sim.addr().to_string(), " establish"]);
    terminal.press(&["4"]);
    terminal.shows_all(&["[4 arenas]", "ALLOCATED", "DIRTY", "MAPPED", " MB"]);
    terminal.press(&["Escape"]);
    terminal.shows("PROGRAM");

    let purged_before = purges(&place, &pid);
    terminal.press(&["p"]);
    terminal.shows_all(&[&format!("r3e-loader ({pid})"), "y yes"]);
    terminal.press(&["Enter"]);
    terminal.press(&["n"]);
    terminal.shows("not purged");
    assert_eq!(purges(&place, &pid), purged_before, "who says no is heard");
    terminal.press(&["p"]);
    terminal.shows("y yes");
    terminal.press(&["y"]);
    terminal.shows_all(&[&format!("r3e-loader ({pid}): "), " ms, ", " resident"]);
    assert_eq!(purges(&place, &pid), purged_before + 1);
    terminal.press(&["P"]);
    terminal.shows_all(&["(2)", "y yes"]);
    terminal.press(&["y"]);
    terminal.shows("2 of 2 programs: ");

    terminal.resize(120, 40);
    terminal.shows_all(&["  allocated ", "  resident "]);
    terminal.until("all 40 lines are drawn", || terminal.shown().lines().count() == 40);
    terminal.resize(40, 10);
    terminal.shows_all(&["RESIDENT  LIMIT", "r3e-loader", "r3e-monitor"]);
    terminal.resize(80, 24);
    terminal.shows_all(&["PROGRESS", "of 500 MB"]);

    // One that does not answer keeps nobody waiting.
    watch.signal("STOP");
    terminal.shows_all(&["not answering", "no answer wit"]);
    terminal.press(&["?"]);
    terminal.shows_all(&["help", "PageUp"]);
    terminal.press(&["Escape"]);
    watch.signal("CONT");
    terminal.until("it answers again", || !terminal.shown().contains("not answering"));

    // One goes, and is seen to have gone.
    loader.signal("TERM");
    let _ended = loader.wait().with_code(143);
    terminal.shows_all(&["ended", "s ago", "last known"]);
    terminal.press(&["Space"]);
    terminal.shows("PAUSED");

    let status = fs::read_to_string(format!("/proc/{top}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim();
    println!("top itself: {resident} resident");
    let resident: u64 = resident.strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(resident < 16 << 10, "{resident} KB resident");
    terminal.press(&["q"]);
    terminal.has_ended_with(0);
    assert!(!place.path("history").join("monitor.db-top").exists());
    watch.signal("TERM");
    let _ended = watch.wait().with_code(0);
}

/// Whether there is a colour among the sequences; 39 is the terminal's own.
fn is_coloured(styled: &str) -> bool {
    (30..=38).chain(90..=97).any(|number| styled.contains(&format!("\u{1b}[{number}")))
}

#[test]
fn the_terminal_is_restored_however_it_ends() {
    let place = Place::new();
    let Some(terminal) = Terminal::new(&place) else { return };
    let folder = place.path("run").to_string_lossy().into_owned();
    let nobody = folder.as_str();
    for ending in ["TERM", "INT", "HUP", "key"] {
        let pid = terminal.start_top("", "");
        terminal.shows(nobody);
        match ending {
            "key" => terminal.press(&["C-c"]),
            name => signal(pid, name),
        }
        terminal.has_ended_with(0);
    }
    assert!(!place.path("run").exists(), "nothing is made by looking");

    // Stopped, the shell has the terminal; going on, it is drawn anew.
    let pid = terminal.start_top("", "");
    for _ in 0..2 {
        terminal.shows(nobody);
        terminal.press(&["C-z"]);
        until("it stands still", || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T "));
        terminal.is_as_before();
        terminal.type_line("clear; fg; echo ended with $?.");
        terminal.until("it has the terminal again", || terminal.is_taken());
    }
    terminal.press(&["q"]);
    terminal.has_ended_with(0);

    // Without colours, and on a terminal that knows nothing.
    for (variables, arguments) in [("NO_COLOR=1", ""), ("TERM=dumb", ""), ("", "--no-colour")] {
        terminal.start_top(variables, arguments);
        terminal.shows_all(&[nobody, "by resident"]);
        let styled = terminal.shown_with_styles();
        assert!(!is_coloured(&styled), "{variables}{arguments}: {}", styled.escape_debug());
        terminal.press(&["q"]);
        terminal.has_ended_with(0);
    }
    terminal.start_top("", "");
    terminal.shows(nobody);
    assert!(is_coloured(&terminal.shown_with_styles()), "otherwise there are some");
    terminal.press(&["q"]);
    terminal.has_ended_with(0);

    // A terminal that is gone takes it along.
    let pid = terminal.start_top("", "");
    terminal.shows(nobody);
    terminal.hang_up();
    // Or there for its parent only, where that looks at no child.
    until("it is gone", || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |it| it.contains(") Z ")));
}

#[test]
fn without_a_terminal_there_is_no_view() {
    let place = Place::new();
    for (arguments, part) in [(&["top"][..], "standard output"), (&["top", "--json"], "stats --watch")] {
        let ended = monitor(&place, arguments).run().with_code(2);
        assert!(ended.naming(&[part]).stdout.is_empty());
    }
    let _wrong = monitor(&place, &["top", "--every", "0s"]).run().with_code(2);
}
