//! The dashboard and the report, as people see them: opened in a browser, with a job at work.

use std::time::Duration;

use r3e_tests::harness::{Place, simulated, until};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};

use crate::chromium::Chromium;
use crate::http::Server;
use crate::place::{ARCHIVE_STATUS, busy_watch, monitor, put_archive};

/// Whether something is drawn on each chart of a place, in how many colours at least.
const DRAWN: &str = "(id) => [...document.querySelectorAll(`#${id} canvas`)].every((it) => {
    const copy = new OffscreenCanvas(it.width, it.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(it, 0, 0);
    const data = new Uint32Array(copy.getImageData(0, 0, it.width, it.height).data.buffer);
    return new Set(data).size > 8;
})";

/// Nothing is wider than the window, and nothing that is to be read is cut off.
const FITS: &str = "document.documentElement.scrollWidth <= innerWidth
    && [...document.querySelectorAll('td, dd, figure, h2')].every((it) => it.getBoundingClientRect().right <= innerWidth)";

fn jobs() -> (Simulator, Place) {
    let (sim, place) = simulated(30, 20, SimOptions { entries: 30_000, drivers: 4000, ..SimOptions::default() });
    let faults = Faults::only(FaultKind::InternalError, 0.15);
    sim.set_faults(faults).unwrap();
    let _ended = place.loader(&sim.base_url()).set("upstream.attempts", "1").run();
    sim.set_faults(Faults::default()).unwrap();
    (sim, place)
}

#[test]
fn a_job_at_work_is_seen_in_a_browser_and_in_a_report() {
    let (sim, place) = jobs();
    let Some(mut browser) = Chromium::start(&place.path("")) else { return };
    put_archive(&place, "status.json", ARCHIVE_STATUS);
    let watch = busy_watch(&place).set("monitor.every", "20ms").spawn();
    let server = Server::start(&place);
    sim.set_latency(Duration::from_millis(100));
    let refresher = place.refresher(&sim.base_url(), &["full"]).set("memory.limit_mb", "200");
    let running = refresher.set("upstream.concurrency", "4").spawn();
    until("it is at work", || sim.stats().requests > 20);
    // Slow it down, so that it is still running when we look.
    sim.set_latency(Duration::from_millis(1500));

    browser.look(1280, "light");
    let address = format!("http://{}/", server.address);
    browser.open(&format!("{address}monitor"));
    browser.until("document.body?.dataset?.drawn === 'yes'");
    // Live: a figure of the job goes on by itself, and its time left is told.
    browser.until("document.querySelectorAll('#memory figure').length >= 3");
    browser.until("/left/.test(document.querySelector('#processes').innerText)");
    let fetched = "Number(document.querySelector('progress').value)";
    let before = browser.value(fetched).as_f64().unwrap();
    browser.until(&format!("{fetched} > {before}"));
    // From now on it stands still, so that it is at work as long as it is looked at.
    sim.answer_only(0);
    let points = "Number([...document.querySelectorAll('#memory figure')].find((it) => it.innerText.includes('r3e-refresher')).dataset.points)";
    assert!(browser.value(points).as_f64().unwrap() > 2.0);
    for id in ["memory", "counts"] {
        assert_eq!(browser.value(&format!("({DRAWN})('{id}')")), true, "{id} is drawn");
    }
    browser.picture("wide-light");
    let shown = browser.value("document.body.innerText").as_str().unwrap().to_owned();
    for part in [
        "r3e-refresher",
        "r3e-monitor",
        "fetching",
        "limit 200 MB",
        "Last runs",
        "Failed boards",
        "too few samples",
        "some boards failed",
        "exit 3",
        "live, ",
        "600",
        "Nights recorded",
        "123,456 rows",
        "120 boards, 30,123 rows",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(browser.value("document.querySelectorAll('#failed tbody tr').length").as_u64().unwrap() > 0);
    for (width, scheme) in [(1280, "dark"), (400, "dark"), (400, "light")] {
        browser.look(width, scheme);
        browser.until(&format!("innerWidth === {width} && matchMedia('(prefers-color-scheme: {scheme})').matches"));
        browser.until(FITS);
        browser.until(&format!("({DRAWN})('memory')"));
        browser.picture(&format!("{}-{scheme}", if width > 400 { "wide" } else { "narrow" }));
    }
    // Another span, by keyboard or mouse.
    browser.value("(() => { const it = document.querySelector('#span'); it.value = '24h'; it.dispatchEvent(new Event('change')); })()");
    browser.until("performance.getEntriesByType('resource').some((it) => it.name.includes('since=24h'))");
    let foreign: Vec<&String> =
        browser.requests.iter().filter(|it| !it.starts_with(&address) && *it != "data:,").collect();
    assert!(foreign.is_empty(), "asked of others: {foreign:?}");
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);

    let written =
        monitor(&place, &["report", "-o", "report.html", "--since", "1h"]).set("cache.dir", "cache").run().with_code(0);
    assert_eq!(written.stdout, "report.html\n");
    server.stop();
    browser.until("/does not answer since/.test(document.querySelector('#state').innerText)");
    // With the page goes what it still asks for.
    browser.open("about:blank");
    browser.complaints.clear();
    browser.requests.clear();

    browser.look(1280, "light");
    let file = format!("file://{}", place.path("report.html").display());
    browser.open(&file);
    browser.until(
        "document.body?.dataset?.drawn === 'yes' && /^report of/.test(document.querySelector('#state').innerText)",
    );
    for id in ["memory", "counts"] {
        assert_eq!(browser.value(&format!("({DRAWN})('{id}')")), true, "{id} is drawn in the report");
    }
    browser.picture("report");
    browser.look(400, "dark");
    browser.until(FITS);
    let asked: Vec<&String> = browser.requests.iter().filter(|it| **it != file && *it != "data:,").collect();
    assert!(asked.is_empty(), "a report asks nobody: {asked:?}");
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    running.signal("TERM");
    let _ended = running.wait().with_code(143);
    watch.signal("TERM");
    let _ended = watch.wait().with_code(0);
}

#[test]
fn a_report_is_written_whole_and_where_it_cannot_be_that_is_told() {
    let place = Place::new();
    let evil = "{\"failed_fetches\":[{\"track_name\":\"</script><script>alert(1)</script>\",\"track_id\":\"1\",\
        \"class_id\":\"2\",\"error\":\"<img src=x onerror=alert(2)>\",\"timestamp\":\"x\"}]}";
    std::fs::create_dir(place.cache()).unwrap();
    std::fs::write(place.cache().join("status.json"), evil).unwrap();
    let report = |arguments: &[&str]| monitor(&place, arguments).set("cache.dir", "cache");
    let written = report(&["report", "-o", "out.html", "--json"]).run().with_code(0);
    assert_eq!(written.json()["file"], "out.html");
    let page = std::fs::read_to_string(place.path("out.html")).unwrap();
    assert!(page.contains("\\u003c/script>") && !page.contains("<script>alert"), "no text of others is markup");
    let refused = report(&["report", "-o", "nowhere/out.html"]).run().with_code(74);
    assert!(refused.stderr.contains("nowhere"), "{}", refused.stderr);
    let _usage = report(&["report"]).run().with_code(2);
    let _usage = report(&["report", "-o", "x", "--since", "0s"]).run().with_code(2);
    assert!(!place.path(".out.html.tmp").exists() && !place.path("x").exists());
    let Some(mut browser) = Chromium::start(&place.path("")) else { return };
    browser.open(&format!("file://{}", place.path("out.html").display()));
    browser.until("document.body?.dataset?.drawn === 'yes'");
    let shown = browser.value("document.querySelector('#failed').innerText").as_str().unwrap().to_owned();
    assert!(shown.contains("</script><script>alert(1)") && shown.contains("onerror"), "{shown}");
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}
