//! `report`: the page with its data as one file, which opens from disk and makes no requests.

use std::path::Path;
use std::time::{Duration, SystemTime};

use r3e_common::runtime::config::Config;
use r3e_common::runtime::control::{Endpoint, Stats};
use r3e_common::runtime::exit::Failure;
use r3e_common::runtime::fs;
use serde_json::{Value, json};

use super::assets::{ASSETS, PAGE};
use super::{Work, now, past, verdicts};
use crate::history::milliseconds;
use crate::survey::ask_every_program;

/// Writes the report of the time span up to now.
pub(crate) async fn write_report(
    config: &Config,
    file: &Path,
    span: Duration,
    clock: fn() -> SystemTime,
) -> Result<(), Failure> {
    let replies = ask_every_program::<Stats>(&config.runtime.dir, Endpoint::Stats).await?;
    let now_ms = milliseconds(clock());
    let history = &config.monitor.history;
    let data = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": now(&replies, now_ms, None),
        "past": past(history, span, now_ms, config.monitor.every)?,
        "verdicts": verdicts(history, &config.runtime.dir, now_ms)?,
        "work": Work::read(config).to_json(),
    });
    fs::write_whole(file, whole(&data).as_bytes())?;
    Ok(())
}

/// Blocks all requests, whatever the data contains.
const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
    style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">";

/// The page with everything that it loads inline, and its data first.
fn whole(data: &Value) -> String {
    let mut page = PAGE.text.replacen("<meta charset=\"utf-8\">", &format!("<meta charset=\"utf-8\">\n{POLICY}"), 1);
    for asset in ASSETS {
        let path = asset.path.trim_start_matches('/');
        let style = format!("<link rel=\"stylesheet\" href=\"{path}\">");
        let script = format!("<script src=\"{path}\" defer></script>");
        page = page.replacen(&style, &format!("<style>\n{}</style>", asset.text), 1);
        // Inline scripts cannot be deferred, so they go to the end of the body.
        page = page.replacen(&script, "", 1);
        if asset.kind.starts_with("text/javascript") {
            page = page.replacen("</body>", &format!("<script>\n{}</script>\n</body>", asset.text), 1);
        }
    }
    let data = format!("<script type=\"application/json\" id=\"data\">{}</script>", escaped(data));
    // Before the first script, so that the data is there when scripts run.
    page.replacen("<script>\n", &format!("{data}\n<script>\n"), 1)
}

/// JSON escaped so that its texts cannot start or end an element of the page.
fn escaped(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_loaded_and_no_text_ends_the_data() {
        let evil = "</script><script>alert(1)</script><!--<script>";
        let data = json!({ "now": { "processes": [{ "program": evil }] } });
        let page = whole(&data);
        assert!(
            !page.contains("alert(1)</script>") && !page.contains("src=\"assets") && !page.contains("href=\"assets")
        );
        assert_eq!(
            page.matches("<script").count(),
            1 + ASSETS.iter().filter(|it| it.kind.starts_with("text/javascript")).count()
        );
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        let (text, _) = rest.split_once("</script>").unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), data);
    }

    #[test]
    fn no_script_of_the_page_would_end_itself() {
        for asset in ASSETS {
            assert!(!asset.text.to_lowercase().contains("</script") && !asset.text.contains("<!--"), "{}", asset.path);
            assert!(!asset.text.to_lowercase().contains("</style"), "{}", asset.path);
        }
    }
}
