//! `heap` and `profile`: which functions of a program hold memory.

use std::io::Write as _;
use std::path::Path;

use r3e_common::runtime::exit::{Exit, Failure};
use r3e_common::runtime::fs::{self, NewFile};
use r3e_common::runtime::memory::profile::ProfileState;
use serde::de::DeserializeOwned;

use super::context::{Context, print};
use crate::ask::{NoAnswer, Question, ask, ask_bytes};
use crate::cli::{HeapArguments, One, ProfileArguments, Switch};
use crate::heap::{self, Dump, NoSymbols, Profile};
use crate::report::{Growth, Heap, ProfileSwitched, Report as _, amount};
use crate::sockets::Socket;

/// Upper bound for a saved profile, compressed.
const MAX_SAVED_BYTES: u64 = 64 << 20;

impl Context<'_> {
    /// `heap`
    pub(crate) async fn heap(self, asked: &HeapArguments) -> Result<Exit, Failure> {
        match (asked.diff.as_deref(), &asked.which) {
            (Some([earlier, later]), _) => self.growth(asked, earlier, later),
            (_, Some(which)) => self.heap_of(asked, &One { which: which.clone() }).await,
            _ => Err(Failure::unexpected("expected a program, or --diff and two saved profiles")),
        }
    }

    async fn heap_of(self, asked: &HeapArguments, one: &One) -> Result<Exit, Failure> {
        let socket = self.one(one).await?;
        let state: ProfileState = self.answer(one, &socket, Question::Profile).await?;
        let answer = if state.available { ask_bytes(&socket.path, Question::Heap).await } else { Err(NoAnswer::Dead) };
        let Socket { program, pid, .. } = &socket;
        let text = match answer {
            Ok(text) => text,
            Err(_) if !state.available => return Err(Failure::unexpected(unavailable(&socket))),
            Err(error) => {
                return Err(Failure::unexpected(format!("cannot get a heap profile of {program} ({pid}): {error}")));
            }
        };
        let text = std::str::from_utf8(&text)
            .map_err(|error| Failure::unexpected(format!("the heap profile of {program} ({pid}): {error}")))?;
        let dump: Dump = text
            .parse()
            .map_err(|error| Failure::unexpected(format!("the heap profile of {program} ({pid}): {error}")))?;
        let (profile, summary, missing) = heap::symbolise(&dump);
        for NoSymbols { file, reason } in missing {
            tracing::warn!(file, reason, "a mapped file has no symbols");
        }
        if !dump.origin.active {
            if dump.samples.iter().all(|it| it.sampled == 0) {
                return Err(Failure::unexpected(format!(
                    "{program} ({pid}) has no samples\nhint: start sampling with r3e-monitor profile on {pid}"
                )));
            }
            tracing::warn!(program, %pid, "sampling is off: later allocations are missing from the profile");
        }
        let title = format!("{program} ({pid}): {} in use", amount(summary.inuse_bytes));
        let written = save(asked, &profile, &title)?;
        print(&Heap { program, pid: pid.id, profile: &profile, summary, limit: asked.top, written }.show(self.json))
    }

    /// `heap --diff`
    fn growth(self, asked: &HeapArguments, earlier: &Path, later: &Path) -> Result<Exit, Failure> {
        let difference = read(later)?.minus(&read(earlier)?);
        let title = format!("growth from {} to {}", earlier.display(), later.display());
        let written = save(asked, &difference, &title)?;
        print(&Growth { difference: &difference, limit: asked.top, written }.show(self.json))
    }

    /// `profile`
    pub(crate) async fn profile(self, asked: &ProfileArguments) -> Result<Exit, Failure> {
        let socket = self.one(&asked.one).await?;
        let active = asked.switch == Switch::On;
        let state: ProfileState = self.answer(&asked.one, &socket, Question::Profile).await?;
        if !state.available {
            return Err(Failure::unexpected(unavailable(&socket)));
        }
        let question = Question::SwitchProfile { active, reset: asked.reset };
        let state: ProfileState = self.answer(&asked.one, &socket, question).await?;
        print(&ProfileSwitched { program: &socket.program, pid: socket.pid.id, state }.show(self.json))
    }

    async fn answer<T: DeserializeOwned>(self, one: &One, socket: &Socket, question: Question) -> Result<T, Failure> {
        match ask(&socket.path, question).await {
            Ok(answer) => Ok(answer),
            Err(NoAnswer::Dead) => Err(self.unknown(&[&one.which])),
            Err(error) => {
                Err(Failure::unexpected(format!("{} ({}) is not answering: {error}", socket.program, socket.pid)))
            }
        }
    }
}

fn unavailable(socket: &Socket) -> String {
    let Socket { program, pid, .. } = socket;
    format!(
        "{program} ({pid}) cannot be profiled: it was started with memory.profile = \"off\"\n\
         hint: start it with R3E_MEMORY__PROFILE=on to sample from the start, or =ready to switch sampling on later"
    )
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
        let mut file = NewFile::create(path)?;
        file.write_all(bytes).map_err(|error| Failure::context(&format!("cannot write {}", path.display()), &error))?;
        file.commit()?;
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
