//! What a control socket costs its program, that it tells what the kernel tells, and that no flood of nonsense stays
//! in it. A test binary of its own with one test: others in the process would disturb the figures.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![expect(clippy::disallowed_methods, reason = "looks at the process from outside")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use r3e_common::runtime::control::{Control, Facts, Stats};
use r3e_common::runtime::memory::{Figures, figures, purge_all};
use r3e_needs::until;

const NONSENSE: usize = 10_000;
const COST_BYTES: u64 = 1 << 20;

fn ask(control: &Control, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(control.path()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // Reset where it did not read all that was sent.
    let _reset = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn stats(control: &Control) -> Stats {
    let answer = ask(control, b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// A number of the kernel's, in bytes.
fn kernel(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let rest = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    rest.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn it_costs_little_agrees_with_the_kernel_and_outlives_nonsense() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let facts = Arc::new(Facts::new("r3e-test", SystemTime::UNIX_EPOCH, runtime.handle().clone(), None));
    let held = || purge_all(runtime.handle()).unwrap().after;

    let before = held();
    let control = Control::open(&folder.path().join("run"), facts).unwrap();
    for _ in 0..100 {
        assert_eq!(stats(&control).tasks, 0);
    }
    until("only its thread is left", || figures().unwrap().threads == before.threads + 1);
    let Figures { rss_bytes, open_fds, .. } = held();
    let cost = rss_bytes.saturating_sub(before.rss_bytes);
    assert!(cost < COST_BYTES, "{cost} bytes more than {}", before.rss_bytes);

    let told = stats(&control);
    let near = |told: u64, file, name| {
        let kernel = kernel(file, name);
        assert!(told.abs_diff(kernel) * 100 <= kernel * 2, "{name} {told}, the kernel says {kernel}");
    };
    near(told.figures.rss_bytes, "status", "VmRSS:");
    near(told.figures.peak_rss_bytes, "status", "VmHWM:");
    near(told.figures.rss_bytes, "smaps_rollup", "Rss:");
    near(told.pss_bytes, "smaps_rollup", "Pss:");

    for round in 0..NONSENSE {
        let answer = match round % 5 {
            0 => ask(&control, b"\r\n\r\nnonsense\r\n\r\n"),
            1 => ask(&control, &[0xff; 100]),
            2 => ask(&control, b"GET /stats HTTP/9.9\r\n\r\n"),
            3 => ask(&control, b"GET /stats HTTP/1.1\r\nno colon\r\n\r\n"),
            // Goes away in the middle.
            _ => {
                UnixStream::connect(control.path()).unwrap().write_all(b"POST /purge HT").unwrap();
                String::new()
            }
        };
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"), "{answer}");
    }
    until("the same descriptors", || figures().unwrap().open_fds == open_fds);
    let after = held().rss_bytes;
    assert!(after < rss_bytes + COST_BYTES, "{rss_bytes} bytes before, {after} after");
    assert_eq!(stats(&control).figures.threads, before.threads + 1);

    drop(control);
    until("all is as before", || {
        let now = figures().unwrap();
        (now.threads, now.open_fds) == (before.threads, before.open_fds)
    });
}
