//! `heap` and `profile`: which functions of a program hold memory.

use std::fmt::Display;
use std::path::Path;

use r3e_common::runtime::control::Endpoint;
use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::fs;
use r3e_common::runtime::memory::profile::ProfileState;
use serde_json::json;

use super::context::Context;
use crate::ask::{Question, ask_bytes};
use crate::cli::{HeapArguments, One, ProfileArguments, Switch};
use crate::heap::{self, Dump, Profile};
use crate::report::{self, units::signed_bytes};
use crate::sockets::Socket;

/// Upper bound for a saved profile, compressed.
const MAX_SAVED_BYTES: u64 = 64 << 20;

impl Context<'_> {
    /// `heap`
    pub(crate) async fn heap(self, asked: &HeapArguments) -> Result<Exit, Failure> {
        match (asked.diff.as_deref(), &asked.which) {
            (Some([earlier, later]), _) => self.heap_growth(asked, earlier, later),
            (_, Some(which)) => self.heap_of(asked, &One { which: which.clone() }).await,
            _ => Err(Failure::unexpected("expected a program, or --diff and two saved profiles")),
        }
    }

    async fn heap_of(self, asked: &HeapArguments, one: &One) -> Result<Exit, Failure> {
        let socket = &self.one(one).await?;
        self.require_profiling(socket).await?;
        let text = ask_bytes(&socket.path, Endpoint::Heap).await;
        let text =
            text.map_err(|error| Failure::unexpected(format!("cannot get a heap profile of {socket}: {error}")))?;
        let invalid = |error: &dyn Display| Failure::unexpected(format!("the heap profile of {socket}: {error}"));
        let text = std::str::from_utf8(&text).map_err(|error| invalid(&error))?;
        let dump: Dump = text.parse().map_err(|error| invalid(&error))?;
        let (profile, summary) = heap::symbolise(&dump);
        let (program, pid) = (&socket.program, socket.pid);
        if !dump.origin.active {
            if dump.samples.iter().all(|it| it.sampled == 0) {
                let hint = format!("start sampling with r3e-monitor profile on {pid}");
                return Err(Failure::unexpected(format!("{socket} has no samples\nhint: {hint}")));
            }
            tracing::warn!(program, %pid, "sampling is off: later allocations are missing from the profile");
        }
        let written = save(asked, &profile, &format!("{socket}: {} in use", signed_bytes(summary.inuse_bytes)))?;
        let functions = heap::functions(&profile);
        let json = || {
            let mut json = json!(summary);
            json["program"] = json!(program);
            json["pid"] = json!(pid.id);
            json["written"] = json!(written);
            json["functions"] = json!(functions);
            json
        };
        self.show(json, || report::heap(socket, &summary, &functions, asked.top, &written))
    }

    /// `heap --diff`
    fn heap_growth(self, asked: &HeapArguments, earlier: &Path, later: &Path) -> Result<Exit, Failure> {
        let difference = read(later)?.minus(&read(earlier)?);
        let title = format!("growth from {} to {}", earlier.display(), later.display());
        let written = save(asked, &difference, &title)?;
        let (objects, bytes) = difference.total();
        let functions = heap::functions(&difference);
        self.show(
            || json!({ "grown_objects": objects, "grown_bytes": bytes, "written": written, "functions": functions }),
            || report::difference((objects, bytes), &functions, asked.top, &written),
        )
    }

    /// `profile`
    pub(crate) async fn profile(self, asked: &ProfileArguments) -> Result<Exit, Failure> {
        let socket = &self.one(&asked.one).await?;
        self.require_profiling(socket).await?;
        let question = Question::switch_profile(asked.switch == Switch::On, asked.reset);
        let state: ProfileState = self.ask(socket, question).await?;
        let json = || {
            json!({ "program": socket.program, "pid": socket.pid.id, "active": state.active,
                "sample_bytes": state.sample_bytes })
        };
        self.show(json, || report::profile_state(socket, &state))
    }

    /// Fails if the process cannot be profiled.
    async fn require_profiling(&self, socket: &Socket) -> Result<(), Failure> {
        let state: ProfileState = self.ask(socket, Endpoint::Profile).await?;
        if state.available {
            return Ok(());
        }
        Err(Failure::unexpected(format!(
            "{socket} cannot be profiled: it was started with memory.profile = \"off\"\n\
             hint: start it with R3E_MEMORY__PROFILE=on to sample from the start, or =ready to switch sampling on later"
        )))
    }
}

fn read(path: &Path) -> Result<Profile, Failure> {
    let mut file = Vec::new();
    if fs::read_into(path, &mut file, MAX_SAVED_BYTES)?.is_none() {
        return Err(Failure::unexpected(format!("{}: no such file", path.display())));
    }
    if file.len() as u64 > MAX_SAVED_BYTES {
        return Err(Failure::unexpected(format!(
            "{}: expected a saved profile of at most {MAX_SAVED_BYTES} bytes, found a larger file",
            path.display()
        )));
    }
    heap::read(&file).map_err(|error| Failure::unexpected(format!("{}: {error}", path.display())))
}

/// Writes the requested files and returns their names.
fn save(asked: &HeapArguments, profile: &Profile, title: &str) -> Result<Vec<String>, Failure> {
    let mut written = Vec::new();
    let mut put = |path: &Path, bytes: &[u8]| -> Result<(), Failure> {
        fs::write_whole(path, bytes)?;
        written.push(path.display().to_string());
        Ok(())
    };
    if let Some(path) = &asked.output {
        put(path, &heap::write(profile)?)?;
    }
    if let Some(path) = &asked.flamegraph {
        put(path, &heap::draw(profile, title)?)?;
    }
    Ok(written)
}
