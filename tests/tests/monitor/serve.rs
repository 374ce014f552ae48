//! The server from its beginning to its end: what it answers, what it refuses, what it holds.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use r3e_tests::harness::{BOUND, Place, command, events, until};

use crate::cache_files::{inflated, loaded};
use crate::http::Server;
use crate::place::{ARCHIVE_STATUS, busy_watch, errors, leave_record, log, logged, monitor, purges, put_archive};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus");

#[test]
fn it_gives_memory_back_from_time_to_time_with_the_line_that_operators_know() {
    let place = Place::new();
    let serve = monitor(&place, &["serve", "--listen", "127.0.0.1:0"]).set("memory.purge_every", "20ms");
    let running = logged(serve);
    until("it purges", || purges(&place) >= 3);
    running.signal("TERM");
    let _ended = running.wait().with_code(0);
    assert_eq!(log(&place).matches("⏹️ Memory monitoring stopped").count(), 1, "{}", log(&place));
}

#[test]
fn it_says_where_it_listens_serves_and_stops_in_order() {
    let place = loaded();
    let server = Server::start(&place);
    let pid = server.running.pid();
    let mut assets = BTreeSet::new();
    for (path, count) in [("/monitor", 8), ("/", 5)] {
        let page = server.get(path, &[]);
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!((page.header("x-content-type-options"), page.header("referrer-policy")), ("nosniff", "no-referrer"));
        let text = page.text();
        let loaded: Vec<&str> = text.split('"').filter(|it| it.starts_with("assets/")).collect();
        assert_eq!(loaded.len(), count, "{path}");
        assets.extend(loaded.into_iter().map(str::to_owned));
    }
    for asset in assets {
        let (plain, small) =
            (server.get(&format!("/{asset}"), &[]), server.get(&format!("/{asset}"), &["Accept-Encoding: gzip"]));
        assert_eq!((plain.status, small.header("content-encoding")), (200, "gzip"), "{asset}");
        assert_eq!(inflated(&small.body), plain.body, "{asset}");
        let tag = format!("If-None-Match: {}", small.header("etag"));
        assert_eq!(server.get(&format!("/{asset}"), &["Accept-Encoding: gzip", &tag]).status, 304);
    }
    let now = server.json("/api/now");
    let ours = now["processes"].as_array().unwrap().iter().find(|it| it["pid"] == pid).unwrap();
    assert_eq!((&ours["phase"], &ours["state"]), (&"serving".into(), &"answers".into()));
    assert!(ours["started_ms"].as_u64().unwrap() > 1_700_000_000_000);
    let work = server.json("/api/work");
    assert_eq!((&work["runs"][0]["program"], &work["runs"][0]["exit_code"]), (&"r3e-loader".into(), &0.into()));
    assert_eq!(work["cache"]["figures"]["total_fetched_combinations"], 120);
    // No watch ran: there is no history, and that is said.
    let past = server.json("/api/past?since=24h");
    assert!(past["note"].as_str().unwrap().contains("r3e-monitor watch"), "{past}");
    assert_eq!(past["series"], serde_json::json!([]));
    // The one job is known by its record.
    let verdicts = server.json("/api/verdicts");
    let verdicts = verdicts.as_array().unwrap().iter().map(|it| (&it["program"], &it["doing"], &it["verdict"]));
    let expected = (&"r3e-loader".into(), &"loading".into(), &"too few samples".into());
    assert_eq!(verdicts.collect::<Vec<_>>(), [expected]);
    let wrong = server.get("/api/past?since=2d", &[]);
    assert!(wrong.status == 400 && wrong.text().contains("15m, 1h, 6h, 24h, 7d"), "{}", wrong.text());
    for path in ["/x", "/monitor/", "/api", "/api/", "/api/now/", "/metrics/x", "/assets/", "/assets/../page.css"] {
        assert_eq!(server.get(path, &[]).status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PURGE"] {
        for path in ["/", "/monitor", "/metrics", "/api/now", "/cache/status.json"] {
            let is_published = path.starts_with("/cache/");
            if method == "OPTIONS" && is_published {
                continue;
            }
            let allowed = if is_published { "GET,HEAD,OPTIONS" } else { "GET,HEAD" };
            let refused = server.ask(method, path, &[]);
            let listed = refused.header("allow").replace(", ", ",");
            assert_eq!((refused.status, &*listed), (405, allowed), "{method} {path}");
            assert_eq!(refused.header("access-control-allow-origin"), if is_published { "*" } else { "" });
        }
    }
    assert_eq!(server.ask("GET", "/", &["Content-Length: 5"]).status, 413);
    let head = server.ask("HEAD", "/metrics", &[]);
    assert!(head.status == 200 && head.body.is_empty());
    server.stop();
    assert!(events(&log(&place)).last().unwrap().names("⏹️ Serving stopped"), "{}", log(&place));
    let runs = monitor(&place, &["runs", "--json"]).run().with_code(0).json();
    assert!(runs.as_array().unwrap().iter().any(|it| it["doing"] == "serve" && it["outcome"] == "done"), "{runs}");
}

#[test]
fn it_answers_to_names_of_loopback_only() {
    let place = Place::new();
    let server = Server::start(&place);
    for (host, status) in
        [("127.0.0.1", 200), ("localhost:1", 200), ("[::1]:9464", 200), ("evil.example", 421), ("", 421)]
    {
        for path in ["/api/now", "/metrics"] {
            assert_eq!(server.get(path, &[&format!("Host: {host}")]).status, status, "{host}{path}");
        }
    }
    assert_eq!(server.get("http://evil.example/api/now", &[]).status, 421);
    server.stop();
}

#[test]
fn an_address_that_cannot_be_had_is_told() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let taken = monitor(&place, &["serve", "--listen", &address]).run().with_code(75);
    let _named = taken.naming(&["monitor.listen", &address, "in use", "--listen"]);
    let nowhere = monitor(&place, &["serve"]).set("monitor.listen", "192.0.2.1:9464").run().with_code(78);
    let _named = nowhere.naming(&["192.0.2.1:9464"]);
    let wrong = monitor(&place, &["serve", "--listen", "localhost"]).run().with_code(78);
    let _named = wrong.naming(&["--listen", "127.0.0.1:9464"]);
}

#[test]
fn ten_thousand_malformed_requests_leave_it_standing() {
    let place = loaded();
    let server = Server::start(&place);
    let _warm = (
        server.json("/api/now"),
        server.json("/api/work"),
        server.get("/", &[]),
        server.get("/cache/status.json", &[]),
    );
    until("connections are closed", || server.json("/api/now").is_object() && server.descriptors() < 40);
    let before = server.descriptors();
    let mut random = fastrand::Rng::with_seed(7);
    let long = "x".repeat(20_000);
    for number in 0..10_000 {
        let mut bytes = match random.u8(0..10) {
            0 => (0..random.usize(1..200)).map(|_| random.u8(..)).collect(),
            1 => format!("GET /{} HTTP/1.1\r\n\r\n", &long[..random.usize(1..long.len())]).into_bytes(),
            2 => format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n").into_bytes(),
            3 => b"GET / HTTP/1.1\r\n".iter().copied().chain("a: b\r\n".repeat(200).bytes()).chain(*b"\r\n").collect(),
            4 => b"GET / HTTP/9.9\r\n\r\n".to_vec(),
            5 => b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n".to_vec(),
            6 => b"GET /cache/status.json HTTP/1.1\r\nHost: localhost\r\nRange: bytes=9-1,x\r\nContent-Length: -1\r\n\r\n".to_vec(),
            7 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            8 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            _ => b"GET /api/now HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n".to_vec(),
        };
        for _ in 0..random.usize(0..3) {
            let place = random.usize(0..bytes.len());
            bytes[place] = random.u8(..);
        }
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let _refused = stream.write_all(&bytes);
        // Half of them leave at once; the others say that nothing more comes and hear what is said.
        if number % 2 == 0 {
            let _closed = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _reset = stream.read_to_end(&mut answer);
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{bytes:?} {answer:?}");
        }
    }
    assert_eq!(server.json("/api/now")["processes"][0]["state"], "answers");
    until("it has the same descriptors", || server.descriptors() <= before);
    let logged = log(&place);
    assert!(!logged.contains("panicked") && errors(&place) == 0, "{logged}");
    server.stop();
}

#[test]
fn it_holds_under_15_mb_with_fifty_dashboards_open() {
    let place = loaded();
    for number in 1..=200 {
        leave_record(&place, number);
    }
    let watch = busy_watch(&place).spawn();
    let server = Server::start(&place);
    let mut dashboards: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let paths = [
        "/monitor",
        "/assets/uplot.js",
        "/assets/page.js",
        "/api/past?since=1h",
        "/api/past?since=7d",
        "/api/work",
        "/api/verdicts",
        "/api/now",
        "/cache/driver_index.json",
    ];
    let ask = |stream: &mut TcpStream, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        // A 503 means that a source did not answer in time.
        let is_there = head.starts_with("http/1.1 200");
        assert!(is_there || head.starts_with("http/1.1 503"), "{path}: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        std::io::copy(&mut stream.take(length), &mut std::io::sink()).unwrap();
        is_there
    };
    let mut worst = 0;
    for round in 0..6 {
        for path in paths.iter().skip(if round == 0 { 0 } else { 3 }) {
            for dashboard in &mut dashboards {
                until(path, || ask(dashboard, path));
            }
        }
        worst = worst.max(server.memory_kb("VmRSS:"));
    }
    println!("resident: {worst} KB at most with 50 dashboards, peak {} KB", server.memory_kb("VmHWM:"));
    assert!(server.memory_kb("VmHWM:") < 15 << 10, "{worst} KB");
    watch.signal("TERM");
    let _ended = watch.wait().with_code(0);
    drop(dashboards);
    server.stop();
}

#[test]
fn metrics_are_what_they_are_said_to_be() {
    let place = loaded();
    leave_record(&place, 1);
    let server = Server::start(&place);
    let plain = server.get("/metrics", &[]);
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let open = server.get("/metrics", &["Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"]);
    assert!(
        open.header("content-type").starts_with("application/openmetrics-text") && open.text().ends_with("# EOF\n")
    );
    for name in [
        "process_resident_memory_bytes{",
        "process_open_fds{",
        "r3e_memory_allocated_bytes{",
        "r3e_tasks{",
        "r3e_connections{",
        "r3e_cache_boards 120",
        "r3e_cache_failed_boards 0",
        "r3e_last_run_exit_code{program=\"r3e-loader\"} 0",
    ] {
        assert!(plain.text().contains(name) && open.text().contains(name), "{name} in {}", plain.text());
    }
    server.stop();
}

#[test]
fn the_archive_is_shown_if_there_is_one_and_garbage_is_named() {
    let place = Place::new();
    let server = Server::start(&place);
    let metrics = || server.get("/metrics", &[]).text();
    assert!(!metrics().contains("r3e_archive") && server.json("/api/work")["archive"].is_null());
    put_archive(&place, "status.json", ARCHIVE_STATUS);
    until("it is shown", || server.json("/api/work")["archive"]["last_run"]["boards"] == 120);
    for line in [
        "r3e_archive_nights 30",
        "r3e_archive_rows 123456",
        "r3e_archive_bytes 7654321",
        "r3e_archive_last_run_boards 120",
        "r3e_archive_last_run_rows 30123",
        "r3e_scrape_error{source=\"archive\"} 0",
    ] {
        until(line, || metrics().lines().any(|it| it == line));
    }
    for garbage in ["", "{\"nights\":\"<b>\"}", &"[".repeat(100_000)] {
        put_archive(&place, "status.json", garbage);
        until("it is named", || {
            server.json("/api/work")["trouble"][0].as_str().is_some_and(|it| it.contains("archive/status.json"))
        });
        until("metrics name it", || metrics().contains("r3e_scrape_error{source=\"archive\"} 1\n"));
        let text = metrics();
        assert!(!text.contains("r3e_archive") && text.contains("\nr3e_unreadable_sources 1\n"), "{text}");
        put_archive(&place, "status.json", ARCHIVE_STATUS);
        until("it is shown again", || metrics().contains("r3e_archive_nights 30\n"));
    }
    server.stop();
}

#[test]
fn metrics_pass_promtool() {
    let Some(promtool) = r3e_needs::program("promtool") else { return };
    let place = loaded();
    leave_record(&place, 1);
    put_archive(&place, "status.json", ARCHIVE_STATUS);
    let server = Server::start(&place);
    let metrics = server.get("/metrics", &[]).body;
    server.stop();
    let promtool = |arguments: &[&str], input: &[u8]| {
        let mut command = command(&promtool, &place.path(""));
        let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let ended = child.wait_with_output().unwrap();
        let said = [ended.stderr, ended.stdout].map(|text| String::from_utf8(text).unwrap()).concat();
        assert!(ended.status.success(), "{arguments:?}: {said}");
        said
    };
    assert_eq!(promtool(&["check", "metrics"], &metrics).trim(), "");
    promtool(&["check", "rules", &format!("{RULES}/r3e.rules.yml")], b"");
    promtool(&["test", "rules", &format!("{RULES}/r3e.rules.test.yml")], b"");
}

#[test]
fn a_real_prometheus_scrapes_the_metrics() {
    let Some(prometheus) = r3e_needs::program("prometheus") else { return };
    let place = loaded();
    let server = Server::start(&place);
    let config = format!(
        "global: {{scrape_interval: 1s}}\nrule_files: ['{RULES}/r3e.rules.yml']\nscrape_configs: [{{job_name: r3e, static_configs: [{{targets: ['{}']}}]}}]\n",
        server.address
    );
    fs::write(place.path("prometheus.yml"), config).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut prometheus = command(&prometheus, &place.path(""))
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", &format!("--web.listen-address={port}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let query = || -> Option<String> {
        let mut stream = TcpStream::connect(port).ok()?;
        stream.set_read_timeout(Some(BOUND)).ok()?;
        write!(stream, "GET /api/v1/query?query=process_resident_memory_bytes HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.contains("\"program\":\"r3e-monitor\"").then_some(answer)
    };
    let begun = std::time::Instant::now();
    let mut found = None;
    while found.is_none() && begun.elapsed() < BOUND && prometheus.try_wait().unwrap().is_none() {
        found = query();
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    prometheus.kill().unwrap();
    prometheus.wait().unwrap();
    let found = found.expect("Prometheus has a series of it");
    assert!(found.contains(&format!("\"pid\":\"{}\"", server.running.pid())), "{found}");
    server.stop();
}
