//! Drives the look-up page as a person would: types, clicks, selects and reads.

use std::fs;

use r3e_tests::harness::{Place, gunzip};
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::http::Server;

/// Nothing is wider than the window, and nothing that can be read or used is cut off.
const FITS: &str = "document.documentElement.scrollWidth <= innerWidth
    && [...document.querySelectorAll('td, tbody th, h2, p, li, a, input, select, button')]
        .every((it) => it.getBoundingClientRect().right <= innerWidth + 1)";

/// A page, and the files that it shows.
pub(crate) struct Visit {
    pub(crate) browser: Chromium,
    pub(crate) server: Server,
    pub(crate) place: Place,
}

impl Visit {
    /// A published file, from the disk.
    pub(crate) fn file(&self, name: &str) -> Value {
        let path = self.place.path("").join(name);
        let bytes = fs::read(&path).unwrap();
        let text = if path.extension().is_some_and(|it| it == "gz") { gunzip(&bytes, &path) } else { bytes };
        serde_json::from_slice(&text).unwrap()
    }

    pub(crate) fn shard(&self, kind: &str, key: &str) -> Value {
        let first = key.chars().next().filter(char::is_ascii_lowercase).unwrap_or('_');
        self.file(&format!("cache/index/{kind}/{first}.json.gz"))[key].clone()
    }

    pub(crate) fn open(&mut self, hash: &str) {
        let address = format!("http://{}/{hash}", self.server.address);
        // Another page first: a change of the hash alone loads nothing.
        self.browser.open("about:blank");
        self.browser.open(&address);
        self.shows("");
    }

    /// Waits until the page shows what its address says, and that address begins so.
    pub(crate) fn shows(&mut self, hash: &str) {
        let condition = format!(
            "document.body?.dataset?.shown === location.hash && decodeURIComponent(location.hash).startsWith({})",
            json!(hash)
        );
        self.browser.until(&condition);
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.browser.until("document.activeElement.id === 'name'");
        self.browser.value("document.activeElement.select()");
        self.browser.call("Input.insertText", &json!({ "text": text }));
        self.shows(&format!("#drivers={text}"));
    }

    pub(crate) fn presses(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.browser.call("Input.dispatchKeyEvent", &event);
        }
    }

    pub(crate) fn chooses(&mut self, id: &str, value: &str) {
        let change = "it.dispatchEvent(new Event('change'))";
        let script = format!(
            "(() => {{ const it = document.getElementById('{id}'); it.value = {}; {change}; }})()",
            json!(value)
        );
        self.browser.value(&script);
    }

    pub(crate) fn names(&mut self) -> Vec<String> {
        let names = self.browser.value("[...document.querySelectorAll('#names a')].map((it) => it.textContent)");
        serde_json::from_value(names).unwrap()
    }

    /// The cells of the tables in that place.
    pub(crate) fn rows(&mut self, id: &str) -> Vec<Vec<String>> {
        let cells = "(row) => [...row.children].map((it) => it.textContent)";
        let rows = self.browser.value(&format!("[...document.querySelectorAll('#{id} tbody tr')].map({cells})"));
        serde_json::from_value(rows).unwrap()
    }

    pub(crate) fn text(&mut self, id: &str) -> String {
        self.browser.value(&format!("document.getElementById('{id}').innerText")).as_str().unwrap().to_owned()
    }

    /// In all widths and colours.
    pub(crate) fn fits(&mut self, name: &str) {
        for (width, scheme) in [(360, "light"), (360, "dark"), (1280, "dark"), (1280, "light")] {
            self.browser.look(width, scheme);
            self.browser
                .until(&format!("innerWidth === {width} && matchMedia('(prefers-color-scheme: {scheme})').matches"));
            self.browser.until(FITS);
            self.browser.picture(&format!("lookup-{name}-{width}-{scheme}"));
        }
    }

    pub(crate) fn asked(&self, part: &str) -> usize {
        self.browser.requests.iter().filter(|it| it.contains(part)).count()
    }
}
