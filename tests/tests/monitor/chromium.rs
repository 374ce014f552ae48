//! A headless Chromium, driven by its own protocol through two pipes: what a page asks for, says and shows.

use std::io::{BufRead as _, BufReader, PipeWriter, Write as _, pipe};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use command_fds::{CommandFdExt as _, FdMapping};
use r3e_tests::harness::{BOUND, command};
use serde_json::{Value, json};

/// A browser with one page; ended when dropped.
pub(crate) struct Chromium {
    child: Child,
    input: PipeWriter,
    messages: Receiver<Value>,
    session: Option<String>,
    next: u64,
    /// What the page's console said, and errors of any kind.
    pub(crate) complaints: Vec<String>,
    /// Every address that was asked for.
    pub(crate) requests: Vec<String>,
}

impl Chromium {
    /// Starts one with its files in that folder; none, which is recorded, where there is none on this machine.
    #[track_caller]
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let program = r3e_needs::program("chromium")?;
        let profile = format!("--user-data-dir={}", folder.join("chromium").display());
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            &profile,
            "about:blank",
        ];
        // The protocol is on descriptors 3 and 4.
        let ((its_input, input), (output, its_output)) = (pipe().unwrap(), pipe().unwrap());
        let mut command = command(&program, folder);
        let descriptors = [(3, its_input.into()), (4, its_output.into())];
        let mappings = descriptors.map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
        command.fd_mappings(mappings.into()).unwrap();
        command.args(flags).env("HOME", folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        // With it go this process's copies of the browser's ends.
        drop(command);
        let (send, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0) {
                let Ok(message) = message else { return };
                if send.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let (complaints, requests) = (Vec::new(), Vec::new());
        let mut it = Self { child, input, messages, session: None, next: 0, complaints, requests };
        let page = it.call("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"].clone();
        let session = it.call("Target.attachToTarget", &json!({ "targetId": page, "flatten": true }));
        it.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            it.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(it)
    }

    /// Calls a method of the protocol, and gives its result.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.clone().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        loop {
            let message = self.messages.recv_timeout(BOUND).unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == self.next {
                assert!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let said = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.complaints.push(said["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" => self.complaints.push(said["args"].to_string()),
            "Log.entryAdded" => self.complaints.push(said["entry"].to_string()),
            "Network.requestWillBeSent" => self.requests.push(said["request"]["url"].as_str().unwrap().to_owned()),
            _ => {}
        }
    }

    /// Opens an address.
    pub(crate) fn open(&mut self, address: &str) {
        self.call("Page.navigate", &json!({ "url": address }));
    }

    /// What an expression comes to in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", &parameters);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    pub(crate) fn until(&mut self, expression: &str) {
        let begun = std::time::Instant::now();
        while self.value(expression) != true {
            let body = || String::from("document.body.innerText");
            assert!(
                begun.elapsed() < BOUND,
                "in vain: {expression}\n{:?}\n{}",
                self.complaints.clone(),
                self.value(&body())
            );
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }

    /// Sees the page so wide, light or dark.
    pub(crate) fn look(&mut self, width: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &features);
    }

    /// A picture of the whole page, which is put where `R3E_SCREENSHOTS` names a folder.
    pub(crate) fn picture(&mut self, name: &str) {
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png", "captureBeyondViewport": true }));
        let data = shot["data"].as_str().unwrap();
        assert!(data.len() > 20_000, "{name} shows something: {}", data.len());
        if let Some(folder) = std::env::var_os("R3E_SCREENSHOTS") {
            let path = Path::new(&folder).join(format!("{name}.png.base64"));
            std::fs::write(path, data).unwrap();
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It ends with its pipe, and is waited for so that its files can be removed.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
