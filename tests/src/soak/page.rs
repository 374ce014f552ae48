//! `soak-report.html`: one file with verdicts and charts, which opens from disk and requests nothing.

use std::fmt::Write as _;

use r3e_monitor::bytes;

use super::Report;
use super::judgement::{Outcome, Row};
use super::measurements::Criterion;
use super::table::growth_of;

/// Size of a chart's inner area, in pixels.
const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 90.0;

/// Points of a chart; of more, each n-th is drawn.
const MAX_POINTS: usize = 400;

const STYLE: &str = "
:root { --ground: #f6f7f9; --card: #fff; --line: #d9dde3; --text: #1b2129; --quiet: #5b6673; --draw: #1f6fd6; --good: #0b7a4b;
  --bad: #b3261e; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ground: #12161b; --card: #1a2027; --line: #303943; --text: #e6eaef;
  --quiet: #9aa7b5; --draw: #6fb0ff; --good: #5fd6a2; --bad: #ff8f86; } }
body { margin: 0 auto; padding: 16px; max-width: 1280px; background: var(--ground); color: var(--text);
  font: 14px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 1.25rem; } h2 { font-size: 1rem; margin: 24px 0 8px; }
table { border-collapse: collapse; width: 100%; background: var(--card); font-size: .9rem; }
th, td { text-align: right; padding: 3px 7px; border-bottom: 1px solid var(--line); }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; } td { white-space: nowrap; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)); gap: 12px; }
figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 0; padding: 10px; }
figcaption span, .quiet { color: var(--quiet); font-size: .85rem; }
svg { width: 100%; height: auto; display: block; }
polyline { fill: none; stroke: var(--draw); stroke-width: 1.3; }
circle { fill: var(--draw); } .restart { stroke: var(--quiet); stroke-dasharray: 2 3; }
.axis { stroke: var(--line); } text { fill: var(--quiet); font-size: 10px; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; } .few { color: var(--quiet); }
";

/// The page.
#[must_use]
pub(super) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Soak report</title><style>{STYLE}</style></head><body>\n\
         <h1>Soak: <span class=\"{}\">{}</span></h1>\n",
        if report.has_failed() { "bad" } else { "good" },
        report.headline(),
    );
    for line in report.facts() {
        _ = writeln!(page, "<p>{}</p>", escaped(&line));
    }
    if !report.violations.is_empty() {
        page.push_str("<h2>Violations</h2>\n<ul>");
        for loss in &report.violations {
            _ = writeln!(page, "<li class=\"bad\">{}</li>", escaped(loss));
        }
        page.push_str("</ul>\n");
    }
    page.push_str(
        "<h2>Verdicts</h2>\n<table><tr><th>process<th>resource<th>points<th>first<th>last<th>growth a cycle<th>95 % interval\
         <th>smallest visible<th>verdict</tr>\n",
    );
    report.rows.iter().for_each(|row| line(&mut page, row));
    page.push_str("</table>\n<h2>Charts</h2>\n<p class=\"quiet\">A dashed line is a restart. In series by work, the x axis is the number of boards.</p>\n<div class=\"charts\">\n");
    report.rows.iter().filter(|it| it.series.points.len() > 1).for_each(|row| chart(&mut page, row));
    page.push_str("</div></body></html>\n");
    page
}

fn class(row: &Row) -> &'static str {
    match row.verdict {
        Outcome::TooFew if !row.has_failed() => "few",
        Outcome::Flat => "good",
        _ => "bad",
    }
}

fn value(row: &Row, value: u64) -> String {
    if row.series.criterion.is_bytes() { bytes(value) } else { value.to_string() }
}

fn line(page: &mut String, row: &Row) {
    let [first, last] = row.ends;
    let [likely, interval, visible] = growth_of(row);
    _ = writeln!(
        page,
        "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{likely}<td>{interval}<td>{visible}<td class=\"{}\">{}</tr>",
        escaped(&row.process),
        row.resource,
        row.judged,
        value(row, first),
        value(row, last),
        class(row),
        row.verdict,
    );
}

/// The chart of a series: time or work from left to right, from zero up.
#[expect(clippy::cast_precision_loss, reason = "places on a chart")]
fn chart(page: &mut String, row: &Row) {
    let series = &row.series;
    let is_by_work = matches!(series.criterion, Criterion::WithWork(_));
    let places = || (0..series.points.len()).step_by(series.points.len().div_ceil(MAX_POINTS).max(1));
    let right = series.points.iter().map(|it| it.at_ms as f64).fold(1.0, f64::max);
    let top = series.points.iter().map(|it| it.value).max().unwrap_or_default().max(1);
    let x = |place: usize| 50.0 + WIDTH * series.points[place].at_ms as f64 / right;
    let y = |value: u64| 8.0 + HEIGHT * (1.0 - value as f64 / top as f64);
    _ = write!(
        page,
        "<figure><figcaption><strong>{}</strong> {} <span class=\"{}\">{}</span></figcaption>\
         <svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{} {}\">",
        escaped(&row.process),
        row.resource,
        class(row),
        row.verdict,
        WIDTH + 60.0,
        HEIGHT + 26.0,
        escaped(&row.process),
        row.resource,
    );
    for (value, text) in [(0, "0".to_owned()), (top, value(row, top))] {
        let at = y(value);
        _ = write!(page, "<line class=\"axis\" x1=\"50\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>", 50.0 + WIDTH);
        _ = write!(page, "<text x=\"46\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", at + 3.0);
    }
    let (end, unit) = (50.0 + WIDTH, if is_by_work { "boards" } else { "cycles" });
    _ = write!(page, "<text x=\"{end}\" y=\"{}\" text-anchor=\"end\">{right} {unit}</text>", HEIGHT + 22.0);
    if is_by_work || series.points.len() < 40 {
        for place in places() {
            _ = write!(page, "<circle r=\"1.6\" cx=\"{:.1}\" cy=\"{:.1}\"/>", x(place), y(series.points[place].value));
        }
    } else {
        for &begin in &series.begins {
            let at = x(begin);
            _ = write!(
                page,
                "<line class=\"restart\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"8\" y2=\"{}\"/>",
                HEIGHT + 8.0
            );
        }
        page.push_str("<polyline points=\"");
        for place in places() {
            _ = write!(page, "{:.1},{:.1} ", x(place), y(series.points[place].value));
        }
        page.push_str("\"/>");
    }
    page.push_str("</svg></figure>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
