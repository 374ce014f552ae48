//! `/cache/…`: serves only published files, in an encoding that the client accepts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use r3e_tests::harness::{Place, board_files, events_at, grid, gunzip, gzip, until};
use r3e_tests::sim::{SimOptions, Simulator};

use crate::http::Server;
use crate::place::{ARCHIVE_STATUS, log, put_archive};

/// A cache that a loader made, of some hundred boards with entries.
pub(crate) fn loaded() -> Place {
    let catalog = grid(12, 10);
    let place = Place::with_catalog(&catalog);
    let sim =
        Simulator::start(SimOptions { catalog, entries: 20_000, drivers: 3000, ..SimOptions::default() }).unwrap();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    place
}

pub(crate) fn inflated(bytes: &[u8]) -> Vec<u8> {
    gunzip(bytes, Path::new("what was sent"))
}

#[test]
fn each_published_file_comes_as_front_ends_read_it() {
    let place = loaded();
    let server = Server::start(&place);
    let lies = |name: &str| fs::read(place.cache().join(name)).unwrap();
    let index = lies("driver_index.json.gz");
    assert!(index.len() > 40_000, "more than one piece: {}", index.len());

    // The index: as it lies there for those who take gzip, plain for the others, itself under its own name.
    for (accept, encoding) in [
        ("Accept-Encoding: gzip, deflate, br", "gzip"),
        ("Accept-Encoding: br;q=1, *;q=0.1", "gzip"),
        ("Accept-Encoding: gzip;q=0", ""),
        ("Accept-Encoding: identity", ""),
        ("X-None: 1", ""),
    ] {
        let answer = server.get("/cache/driver_index.json", &[accept]);
        assert_eq!((answer.status, answer.whole, answer.header("content-encoding")), (200, true, encoding), "{accept}");
        assert_eq!((answer.header("content-type"), answer.header("vary")), ("application/json", "accept-encoding"));
        let expected = if encoding == "gzip" { index.clone() } else { inflated(&index) };
        assert!(answer.body == expected, "{accept}: {} bytes", answer.body.len());
    }
    let none = server.get("/cache/driver_index.json", &["Accept-Encoding: identity;q=0"]);
    assert_eq!(none.status, 406);

    let boards = board_files(&place.cache());
    let (largest, _) = boards.iter().max_by_key(|(_, it)| it.entries.len()).unwrap();
    let path = format!("track_{}/class_{}.json.gz", largest.track, largest.class);
    let linked = format!("tracks/{path}");
    put_archive(&place, "status.json", ARCHIVE_STATUS);
    put_archive(&place, "1693-1703.json", r#"{"board":"1693-1703","records":[]}"#);
    for name in [
        "archive/status.json",
        "archive/1693-1703.json",
        "driver_index.json.gz",
        "top_combinations.json",
        "status.json",
        "stats/index.json",
        "stats/overall/overall_top_pole.json.gz",
        "index/mirror.json.gz",
        "index/entries/_.json.gz",
        "combinations/all_combinations.json.gz",
        &path,
        &linked,
    ] {
        let is_json = Path::new(name).extension().is_some_and(|it| it == "json");
        let kind = if is_json { "application/json" } else { "application/gzip" };
        let answer = server.get(&format!("/cache/{name}"), &["Accept-Encoding: gzip"]);
        assert_eq!((answer.status, answer.header("content-type"), answer.header("content-encoding")), (200, kind, ""));
        assert!(answer.whole && answer.body == lies(name), "{name}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let tag = format!("If-None-Match: {}", answer.header("etag"));
        assert_eq!(server.get(&format!("/cache/{name}"), &[&tag]).status, 304, "{name}");
        let encoded = name.bytes().fold(String::new(), |path, it| format!("{path}%{it:02x}"));
        assert!(server.get(&format!("/cache/{encoded}"), &[]).body == lies(name), "{name} in another spelling");
        let head = server.ask("HEAD", &format!("/cache/{name}"), &[]);
        assert_eq!(
            (head.status, head.header("content-length"), head.body.len()),
            (200, &*lies(name).len().to_string(), 0)
        );
    }
    server.stop();
}

#[test]
fn who_has_a_file_is_told_so_and_who_has_a_part_gets_the_rest() {
    let place = loaded();
    let server = Server::start(&place);
    let path = "/cache/driver_index.json";
    let (gzip, plain) = (server.get(path, &["Accept-Encoding: gzip"]), server.get(path, &[]));
    let (tag, plain_tag) = (gzip.header("etag").to_owned(), plain.header("etag").to_owned());
    assert!(tag.starts_with('"') && plain_tag.starts_with('"') && tag != plain_tag);
    let modified = gzip.header("last-modified").to_owned();
    for (headers, status) in [
        (vec!["Accept-Encoding: gzip".to_owned(), format!("If-None-Match: {tag}")], 304),
        (vec![format!("If-None-Match: {tag}")], 200),
        (vec![format!("If-None-Match: \"x\", W/{plain_tag}")], 304),
        (vec![format!("If-Modified-Since: {modified}")], 304),
        (vec!["If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT".to_owned()], 200),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = server.get(path, &headers);
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.body.is_empty(), status == 304, "{headers:?}");
    }
    // Parts are of what is sent: there are none of what is decompressed on the way.
    let whole = gzip.body;
    let part = server.get(path, &["Accept-Encoding: gzip", "Range: bytes=1000-40999"]);
    assert_eq!((part.status, part.header("content-range")), (206, &*format!("bytes 1000-40999/{}", whole.len())));
    assert!(part.whole && part.body == whole[1000..41_000]);
    let end = server.get("/cache/driver_index.json.gz", &["Range: bytes=-10", &format!("If-Range: {tag}")]);
    assert!(end.status == 206 && end.body == whole[whole.len() - 10..]);
    let other = server.get("/cache/driver_index.json.gz", &["Range: bytes=-10", "If-Range: \"x\""]);
    assert!(other.status == 200 && other.body == whole);
    let nowhere = server.get("/cache/driver_index.json.gz", &["Range: bytes=999999999-"]);
    assert_eq!((nowhere.status, nowhere.header("content-range")), (416, &*format!("bytes */{}", whole.len())));
    let inflated = server.get(path, &["Range: bytes=0-9"]);
    assert_eq!((inflated.status, inflated.header("accept-ranges")), (200, "none"));
    assert!(inflated.body == plain.body);
    server.stop();
}

#[test]
fn preconditions_hold_for_what_is_published_and_for_what_is_worked_out() {
    let place = loaded();
    let server = Server::start(&place);
    let path = "/cache/driver_index.json.gz";
    let tag = server.get(path, &[]).header("etag").to_owned();
    let [ours, weak, list] =
        [format!("If-Match: {tag}"), format!("If-Match: W/{tag}"), format!("If-None-Match: \"x\", {tag}")];
    let second_line = format!("If-None-Match: {tag}");
    for (headers, status) in [
        (vec!["Range: bytes=100-", "If-Match: \"another-version\""], 412),
        (vec!["Range: bytes=100-", "If-Unmodified-Since: Wed, 21 Oct 2015 07:28:00 GMT"], 412),
        (vec!["Range: bytes=100-", &ours], 206),
        (vec![&ours, "If-Unmodified-Since: Wed, 21 Oct 2015 07:28:00 GMT"], 200),
        (vec![&weak], 412),
        (vec!["If-Match: *"], 200),
        (vec!["If-None-Match: \"x\"", &second_line], 304),
        (vec![&list], 304),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = server.ask(method, path, &headers);
            let expected = if (method, status) == ("HEAD", 206) { 200 } else { status };
            assert_eq!((answer.status, answer.header("etag")), (expected, &*tag), "{method} {headers:?}");
            assert_eq!(answer.header("access-control-allow-origin"), "*");
        }
    }
    for path in ["/metrics", "/api/now", "/"] {
        assert_eq!(server.get(path, &["If-Match: \"x\""]).status, 412, "{path}");
        assert_eq!(server.get(path, &["If-None-Match: *"]).status, 304, "{path}");
        assert_eq!(server.get(path, &["If-None-Match: \"x\""]).status, 200, "{path}");
    }
    assert_eq!(server.get("/cache/none", &["If-Match: \"x\""]).status, 404, "what is not there has no preconditions");
    server.stop();
}

#[test]
fn a_page_of_another_origin_may_ask_for_what_is_published_and_for_nothing_else() {
    let place = loaded();
    let server = Server::start(&place);
    let preflight = [
        "Origin: https://front.example",
        "Access-Control-Request-Method: GET",
        "Access-Control-Request-Headers: cache-control,expires,pragma",
    ];
    let allowed = server.ask("OPTIONS", "/cache/status.json", &preflight);
    assert!(allowed.status == 204 && allowed.body.is_empty(), "{allowed:?}");
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
        ("access-control-allow-headers", "cache-control, expires, pragma"),
        ("access-control-max-age", "86400"),
    ] {
        assert_eq!(allowed.header(name), value, "{name}");
    }
    let exposed = server.get("/cache/status.json", &preflight[..1]).header("access-control-expose-headers").to_owned();
    for name in ["etag", "content-length", "content-range", "last-modified"] {
        assert!(exposed.contains(name), "{name} in {exposed}");
    }
    for path in ["/", "/metrics", "/api/now"] {
        let refused = server.ask("OPTIONS", path, &preflight);
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (405, ""), "{path}");
        assert_eq!(server.get(path, &preflight[..1]).header("access-control-allow-origin"), "", "{path}");
    }
    let rebound = server.ask("OPTIONS", "/cache/status.json", &["Host: evil.example"]);
    assert_eq!(rebound.status, 421);
    server.stop();
}

#[test]
fn nothing_outside_and_nothing_hidden_is_given() {
    let place = loaded();
    let cache = place.cache();
    fs::write(place.path("secret"), "secret").unwrap();
    fs::write(cache.join("refresh_now"), "secret").unwrap();
    fs::write(cache.join(".scheduler.json"), "secret").unwrap();
    fs::write(cache.join("index.html"), "secret").unwrap();
    fs::create_dir_all(cache.join(".damaged")).unwrap();
    fs::write(cache.join(".damaged/status.json"), "secret").unwrap();
    fs::write(cache.join("index/.mirror.json.gz.tmp"), "secret").unwrap();
    fs::create_dir_all(cache.join("track_7")).unwrap();
    fs::write(cache.join("track_7/.class_8.json.gz.tmp"), "secret").unwrap();
    symlink("../../secret", cache.join("track_7/class_1.json.gz")).unwrap();
    symlink(place.path(""), cache.join("track_8")).unwrap();
    fs::write(place.path("class_1.json.gz"), "secret").unwrap();
    fs::create_dir_all(cache.join("track_9/class_1.json.gz")).unwrap();
    fs::remove_file(cache.join("top_combinations.json")).unwrap();
    symlink("../secret", cache.join("top_combinations.json")).unwrap();
    for (track, target) in [("6", place.path("")), ("7", "../track_7".into()), ("8", "../../".into())] {
        symlink(target, cache.join(format!("tracks/track_{track}"))).unwrap();
    }
    let server = Server::start(&place);
    let dots = ["..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "%c0%ae%c0%ae", "..;", "..\\", "..%5c"];
    let mut paths: Vec<String> = dots
        .iter()
        .flat_map(|dots| {
            let up = |slash: &str| format!("/cache/{dots}{slash}secret");
            [up("/"), up("%2f"), up("//"), format!("/cache/track_7/{dots}/{dots}/secret"), format!("/cache/{dots}")]
        })
        .collect();
    let secret = place.path("secret");
    let absolute = secret.to_str().unwrap();
    for path in [
        "",
        "/",
        ".",
        "./status.json",
        "status.json/",
        "status.json%00",
        "status.json%00.gz",
        "status.json?/../x/..",
        "refresh_now",
        ".scheduler.json",
        ".damaged/status.json",
        ".damaged",
        "index.html",
        "track_7",
        "track_7/",
        "track_7/.class_8.json.gz.tmp",
        "track_7/class_1.json.gz",
        "track_8/class_1.json.gz",
        "track_9/class_1.json.gz",
        "track_07/class_1.json.gz",
        "tracks",
        "tracks/track_6/class_1.json.gz",
        "tracks/track_7/class_1.json.gz",
        "tracks/track_8/class_1.json.gz",
        "tracks/track_102",
        "tracks/track_102/",
        "index/",
        "index/.mirror.json.gz.tmp",
        "index/entries/..%2f..%2f.scheduler.json.gz",
        "top_combinations.json",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "%ff",
        "track_1/class_4294967296.json.gz",
        absolute,
        &absolute.replace('/', "%2f"),
    ] {
        paths.push(format!("/cache/{path}"));
    }
    paths.extend(
        ["/cache", "/cach%65/../secret", "//cache/secret", "/../secret", "/assets/../secret", "/%2e%2e/secret"]
            .map(String::from),
    );
    let mut given = 0;
    for path in &paths {
        let answer = server.get(path, &[]);
        let body = answer.text();
        assert!(!body.contains("secret") && !body.contains("root:"), "{path}: {body}");
        assert!(!body.contains("track_7"), "no list of what there is: {path}: {body}");
        given += usize::from(answer.status == 200);
        assert!(answer.status == 404 || path.contains("status.json?"), "{path}: {}", answer.status);
    }
    assert_eq!(given, 1, "a query is not part of a path");
    // A link that stays in the cache is followed.
    let (target, link) = ("track_102/class_9002.json.gz", "track_102/class_9999.json.gz");
    symlink("class_9002.json.gz", cache.join(link)).unwrap();
    for name in [link, "tracks/track_102/class_9999.json.gz"] {
        let [direct, linked] = [target, name].map(|it| server.get(&format!("/cache/{it}"), &[]));
        assert_eq!((linked.status, linked.header("content-type")), (200, "application/gzip"), "{name}");
        assert!(linked.header("etag") == direct.header("etag") && linked.body == direct.body, "{name}");
    }
    // A line with a byte that no path has is no request at all.
    for path in ["/cache/status.json\0", "/cache/\0", "/cache/a b"] {
        let answer = server.raw(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{path:?}: {}", String::from_utf8_lossy(&answer));
    }
    server.stop();
}

#[test]
fn of_the_archive_only_status_and_record_lines_are_given() {
    let place = Place::new();
    let names = ["status.json", "1-2.json", "01-2.json", "x.json", "1.parquet", ".status.json.tmp"];
    for name in names {
        put_archive(&place, name, "secret");
    }
    symlink("status.json", place.cache().join("archive/3-4.json")).unwrap();
    symlink("../../log", place.cache().join("archive/5-6.json")).unwrap();
    let server = Server::start(&place);
    let status = |name: &str| server.get(&format!("/cache/archive{name}"), &[]).status;
    assert_eq!(names.map(|it| status(&format!("/{it}"))), [200, 200, 404, 404, 404, 404]);
    assert_eq!(["/3-4.json", "/5-6.json", "/7-8.json", "", "/"].map(status), [200, 404, 404, 404, 404]);
    server.stop();
}

#[test]
fn a_file_that_is_replaced_while_it_is_sent_comes_whole_and_a_damaged_one_breaks_off() {
    let place = loaded();
    let server = Server::start(&place);
    let path = place.cache().join("driver_index.json.gz");
    let versions: Vec<Vec<u8>> = (0..2_u8)
        .map(|number| {
            // What does not compress takes many pieces.
            let mut random = fastrand::Rng::with_seed(u64::from(number));
            let mut text: String = (0..300_000).map(|_| random.alphanumeric()).collect();
            text.push(char::from(b'0' + number));
            text.into_bytes()
        })
        .collect();
    let put = |number: usize| {
        let hidden = place.cache().join(".new");
        fs::write(&hidden, gzip(&versions[number % 2])).unwrap();
        fs::rename(hidden, &path).unwrap();
    };
    put(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                number += 1;
                put(number);
            }
        });
        for _ in 0..40 {
            for accept in ["Accept-Encoding: gzip", "Accept-Encoding: identity"] {
                let answer = server.get("/cache/driver_index.json", &[accept]);
                let text = if accept.ends_with("gzip") { inflated(&answer.body) } else { answer.body };
                assert!(answer.whole && versions.contains(&text), "{accept}");
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let whole = gzip(&versions[0]);
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let broken = server.get("/cache/driver_index.json", &[]);
    assert!(broken.status == 200 && !broken.whole, "whoever reads it sees that it is not whole");
    until("it is logged", || events_at(&log(&place), "WARN").iter().any(|it| it.has(&["error"])));
    server.stop();
}
