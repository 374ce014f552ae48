//! Every fault, over a real socket.

use std::time::Duration;

use super::raw::{Answer, Client, path};
use super::socket_tests::{combination, started, until};
use super::{FaultKind, Faults, Stats};

/// What a listing that always goes wrong in that way answers.
fn faulty(kind: FaultKind, start: u64, change: impl FnOnce(&mut Faults)) -> (Answer, Stats) {
    let mut faults = Faults::only(kind, 1.0);
    change(&mut faults);
    let simulator = started(|it| it.faults = faults);
    let answer = Client::with_session(&simulator).listing(combination("1-1"), start, 10);
    (answer, simulator.stats())
}

#[test]
fn statuses_that_say_no() {
    let cases = [
        (FaultKind::TooManyRequests, 429, Some("3")),
        (FaultKind::Unavailable, 503, Some("3")),
        (FaultKind::InternalError, 500, None),
        (FaultKind::BadGateway, 502, None),
    ];
    for (kind, status, retry_after) in cases {
        let (answer, stats) = faulty(kind, 0, |it| it.retry_after = Duration::from_millis(2100));
        assert_eq!((answer.status, answer.header("retry-after")), (status, retry_after), "{kind}");
        assert_eq!(stats.faults.get(&kind), Some(&1));
    }
    let (answer, _) = faulty(FaultKind::Unavailable, 0, |it| it.retry_after_date = true);
    assert!(answer.header("retry-after").unwrap().ends_with(" GMT"));
}

#[test]
fn connections_that_close_too_early() {
    let (answer, _) = faulty(FaultKind::CloseBefore, 0, |_| {});
    assert_eq!(answer, Answer::default());
    let (answer, _) = faulty(FaultKind::CutLength, 0, |_| {});
    let promised: usize = answer.header("content-length").unwrap().parse().unwrap();
    assert_eq!((answer.status, answer.complete, answer.body.len()), (200, false, promised / 2));
    let (answer, _) = faulty(FaultKind::CutChunked, 0, |_| {});
    assert_eq!((answer.header("transfer-encoding"), answer.complete), (Some("chunked"), false));
    assert!(answer.body.starts_with(b"{"));
}

#[test]
fn complete_answers_that_are_no_page() {
    let (answer, _) = faulty(FaultKind::Maintenance, 0, |_| {});
    assert_eq!((answer.status, answer.complete, answer.text().contains("maintenance")), (200, true, true));
    let (answer, _) = faulty(FaultKind::TruncatedJson, 0, |_| {});
    assert_eq!((answer.status, answer.complete), (200, true));
    assert!(serde_json::from_str::<serde_json::Value>(&answer.text()).unwrap_err().is_eof());
    let (answer, _) = faulty(FaultKind::WrongType, 0, |_| {});
    let page: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert!(!page["context"]["c"]["results"].is_array());
    let (answer, _) = faulty(FaultKind::InvalidUtf8, 0, |_| {});
    assert!(answer.complete && std::str::from_utf8(&answer.body).is_err());
    let (answer, _) = faulty(FaultKind::DeepNesting, 0, |_| {});
    assert!(answer.text().contains(&"[".repeat(1_000_000)));
}

#[test]
fn pages_that_are_not_what_was_asked_for() {
    let (answer, _) = faulty(FaultKind::TooManyEntries, 0, |_| {});
    assert_eq!(answer.entries().len(), 17);
    let (answer, _) = faulty(FaultKind::TooManyEntries, 3995, |_| {});
    assert_eq!(answer.entries().len(), 17);
    let simulator = started(|_| {});
    let right = Client::with_session(&simulator).listing(combination("1-1"), 0, 10);
    let (answer, stats) = faulty(FaultKind::IgnoresStart, 20, |_| {});
    let texts = |answer: &Answer| answer.entries().iter().map(|entry| entry.get().to_owned()).collect::<Vec<_>>();
    assert_eq!((texts(&answer), stats.faults.len()), (texts(&right), 1));
    let (answer, stats) = faulty(FaultKind::IgnoresStart, 0, |_| {});
    assert_eq!((texts(&answer), stats.faults.len()), (texts(&right), 0));
    let (answer, _) = faulty(FaultKind::DuplicateKeys, 0, |_| {});
    assert_eq!(answer.text().matches("\"results\":").count(), 2);
    // Of two, a reader of this kind takes the last.
    let page: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(page["context"]["c"]["results"].as_array().map(Vec::len), Some(10));
}

#[test]
fn bodies_without_an_end_end_when_the_client_leaves() {
    for kind in [FaultKind::SlowDrip, FaultKind::EndlessBody] {
        let simulator = started(|it| {
            it.faults = Faults { drip_every: Duration::from_millis(1), ..Faults::only(kind, 1.0) };
        });
        let mut client = Client::with_session(&simulator);
        client.send(&path(combination("1-1"), 0, 10), &[("X-Requested-With", "XMLHttpRequest")]);
        let answer = client.receive(if kind == FaultKind::SlowDrip { 5 } else { 3 << 20 });
        assert_eq!((answer.status, answer.complete), (200, false), "{kind}");
        assert_eq!(simulator.stats().in_flight, 1, "{kind}");
        drop(client);
        until(&simulator, |stats| stats.in_flight == 0 && stats.connections_open == 0);
    }
}

#[test]
fn bodies_without_an_end_end_after_all() {
    let (answer, _) = faulty(FaultKind::SlowDrip, 0, |it| {
        it.drip_every = Duration::from_millis(1);
        it.drip_for = Duration::from_millis(50);
    });
    assert!(!answer.complete && !answer.body.is_empty(), "{} bytes", answer.body.len());
    let (answer, _) = faulty(FaultKind::EndlessBody, 0, |it| it.endless_bytes = 4 << 20);
    assert!(!answer.complete && answer.body.len() >= 2 << 20, "{} bytes", answer.body.len());
}

#[test]
fn the_bomb_goes_out_small() {
    let (answer, _) = faulty(FaultKind::GzipBomb, 0, |_| {});
    assert_eq!((answer.complete, answer.header("content-encoding")), (true, Some("gzip")));
    assert!(answer.body.len() < 1 << 20, "{}", answer.body.len());
}

#[test]
fn a_retry_succeeds_and_faults_can_be_changed() {
    let simulator = started(|it| it.faults = Faults::only(FaultKind::InternalError, 0.5));
    let board = combination("1-3");
    let mut client = Client::with_session(&simulator);
    let mut statuses = || -> Vec<u16> { (0..40).map(|_| client.listing(board, 0, 5).status).collect() };
    let first = statuses();
    assert!(first.contains(&200) && first.contains(&500));
    simulator.set_faults(Faults::only(FaultKind::InternalError, 0.5)).unwrap();
    assert_eq!(statuses(), first, "the numbering of attempts starts anew");
    simulator.set_faults(Faults::default()).unwrap();
    assert!(statuses().iter().all(|&status| status == 200));
    let mut lasting = Faults::default();
    lasting.always.insert(board, FaultKind::BadGateway);
    simulator.set_faults(lasting).unwrap();
    assert!(statuses().iter().all(|&status| status == 502));
    assert!(simulator.set_faults(Faults::all(2.0)).is_err());
}

/// Eight clients ask for the same few pages again and again while every second answer goes wrong.
fn storm() -> Stats {
    let quick = [FaultKind::EndlessBody, FaultKind::GzipBomb, FaultKind::DeepNesting];
    let simulator = started(|it| {
        it.faults = Faults {
            rates: quick.into_iter().map(|kind| (kind, 0.0)).collect(),
            drip_every: Duration::from_millis(1),
            drip_for: Duration::from_millis(3),
            ..Faults::all(0.5)
        };
    });
    let pages = [("1-1", 0), ("1-1", 1500), ("1-1", 3000), ("1-2", 0), ("1-3", 0), ("1-4", 0)];
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::with_session(&simulator);
                for (board, start) in pages.iter().cycle().take(120) {
                    if !client.listing(combination(board), *start, 10).complete {
                        client = Client::with_session(&simulator);
                    }
                }
            });
        }
    });
    let stats = until(&simulator, |stats| stats.connections_open == 0);
    assert_eq!((stats.in_flight, stats.idle, stats.listing_requests), (0, 0, 960));
    assert!(stats.connections_open_peak >= stats.in_flight_peak && stats.idle_peak <= stats.connections_open_peak);
    stats
}

#[test]
fn whoever_asks_first_the_same_faults_happen_and_nothing_stays_open() {
    let (one, two) = (storm(), storm());
    assert_eq!(one.faults, two.faults);
    let common = FaultKind::ALL.iter().filter(|kind| kind.is_common()).count();
    assert_eq!(one.faults.len(), common - 3);
}

#[test]
fn pages_in_other_encodings_say_the_same() {
    let simulator = started(|_| {});
    let right: Vec<serde_json::Value> = Client::with_session(&simulator)
        .listing(combination("1-1"), 0, 1500)
        .entries()
        .iter()
        .map(|entry| serde_json::from_str(entry.get()).unwrap())
        .collect();
    let entries = |text: &str| {
        let page: serde_json::Value = serde_json::from_str(text).unwrap();
        page["context"]["c"]["results"].as_array().unwrap().clone()
    };
    let whole = |kind| {
        let simulator = started(|it| it.faults = Faults::only(kind, 1.0));
        Client::with_session(&simulator).listing(combination("1-1"), 0, 1500)
    };
    let from_latin1 = |answer: &Answer| answer.body.iter().copied().map(char::from).collect::<String>();

    let latin1 = whole(FaultKind::Latin1);
    assert_eq!(latin1.header("content-type"), Some("application/json; charset=ISO-8859-1"));
    assert!(std::str::from_utf8(&latin1.body).is_err());
    assert_eq!(entries(&from_latin1(&latin1)), right);
    let undeclared = whole(FaultKind::UndeclaredLatin1);
    assert_eq!(undeclared.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(undeclared.body, latin1.body);
    let utf16 = whole(FaultKind::Utf16);
    let units: Vec<u16> = utf16.body.as_chunks().0.iter().map(|&unit| u16::from_le_bytes(unit)).collect();
    assert_eq!(entries(String::from_utf16(&units).unwrap().strip_prefix('\u{feff}').unwrap()), right);
    assert_eq!(utf16.header("content-type"), Some("application/json; charset=utf-16"));
    let bom = whole(FaultKind::Bom);
    assert_eq!(entries(bom.text().strip_prefix('\u{feff}').unwrap()), right);
}

/// Who is on a page of the board.
fn drivers(client: &mut Client, start: u64) -> Vec<String> {
    let path = |entry: &serde_json::Value| entry["driver"]["path"].as_str().unwrap().to_owned();
    let entries = client.listing(combination("1-1"), start, 1500).entries();
    entries.iter().map(|entry| path(&serde_json::from_str(entry.get()).unwrap())).collect()
}

/// The first page, the others, and all of the board once it has changed between them.
fn changed(kind: FaultKind, entries: u32) -> [Vec<String>; 3] {
    let simulator = started(|it| it.faults = Faults::only(kind, 1.0));
    let (mut client, world) = (Client::with_session(&simulator), simulator.world());
    let mut page = |start| drivers(&mut client, start);
    assert_eq!((page(0).len(), page(4000).len(), world.entry_count(combination("1-1"))), (1500, 0, 4000));
    let [first, second, third] = [0, 1500, 3000].map(&mut page);
    let all = [0, 1500, 3000].map(page).concat();
    let board = world.board(combination("1-1")).unwrap();
    let counts = [all.len(), board.len() as usize, world.entry_count(combination("1-1")) as usize];
    assert_eq!(counts, [entries as usize; 3]);
    assert_eq!(
        (world.total_entries(), simulator.stats().faults),
        (5520 - 4000 + u64::from(entries), [(kind, 1)].into())
    );
    simulator.change_board(combination("1-1")).unwrap();
    assert_eq!(world.entry_count(combination("1-1")), 4000, "another board altogether");
    [first, [second, third].concat(), all]
}

#[test]
fn an_entry_comes_in_front_of_a_board_after_its_first_page() {
    let [first, others, all] = changed(FaultKind::Inserted, 4001);
    assert_eq!((&all[1..1500], &all[1500..]), (&first[..1499], &others[..]));
    assert_eq!(others[0], first[1499], "read twice");
    assert!(!first.contains(&all[0]) && !others.contains(&all[0]), "never read");
}

#[test]
fn an_entry_leaves_a_board_after_its_first_page() {
    let [first, others, all] = changed(FaultKind::Removed, 3999);
    assert_eq!((&all[0], &all[1..1499], &all[1500..]), (&first[0], &first[2..], &others[..]));
    assert!(!all.contains(&first[1]), "gone");
    assert!(!first.contains(&all[1499]) && !others.contains(&all[1499]), "never read");
}
