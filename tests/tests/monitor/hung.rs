//! A source that never answers: a pipe in place of the history, with no writer.

use std::fs;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use r3e_tests::harness::{Place, until};

use crate::http::Server;
use crate::place::history;

fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

#[test]
fn a_look_that_hangs_holds_up_neither_metrics_nor_anything_else_and_is_not_begun_again() {
    let place = Place::new();
    fs::create_dir_all(history(&place).parent().unwrap()).unwrap();
    mkfifo(&history(&place), Mode::S_IRWXU).unwrap();
    fs::create_dir_all(place.cache()).unwrap();
    fs::write(place.cache().join("status.json"), r#"{"track_count": 740}"#).unwrap();
    let server = Server::start(&place);
    let pid = server.running.pid();
    let failed = |source: &str| {
        let metrics = server.get("/metrics", &[]);
        assert_eq!(metrics.status, 200);
        let text = metrics.text();
        assert!(text.contains(&format!("r3e_answers{{program=\"r3e-monitor\",pid=\"{pid}\"}} 1")), "{text}");
        assert!(text.contains("\nr3e_cache_boards_with_entries 740\n"), "{text}");
        let begin = format!("r3e_scrape_error{{source=\"{source}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&begin)).unwrap().to_owned()
    };
    assert_eq!((failed("runs"), failed("status"), failed("sockets")), ("1".into(), "0".into(), "0".into()));
    let past = server.get("/api/past?since=1h", &[]);
    assert!(past.status == 503 && past.text().contains("history"), "{}", past.text());
    let hung = threads(pid);
    for _ in 0..3 {
        assert_eq!(server.get("/api/verdicts", &[]).status, 503);
        assert_eq!(failed("runs"), "1");
    }
    assert!(threads(pid) <= hung, "{} threads, and {hung} before", threads(pid));
    let work = server.json("/api/work");
    assert_eq!(work["cache"]["figures"]["track_count"], 740);
    assert!(work["trouble"][0].as_str().unwrap().starts_with("runs"), "{work}");

    // It answers again: whoever opens the other end lets those go who wait.
    let waiting = fs::File::options().write(true).open(history(&place)).unwrap();
    fs::remove_file(history(&place)).unwrap();
    drop(waiting);
    until("the history is read again", || failed("runs") == "0");
    until("and charts of it", || server.get("/api/past?since=1h", &[]).status == 200);
    server.stop();
}
