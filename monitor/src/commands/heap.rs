//! `heap` and `profile`: what the functions of a program hold.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use r3e_common::runtime::exit::Exit;
use r3e_common::runtime::fs::{self, NewFile};
use r3e_common::runtime::memory::profile::ProfileState;
use serde::de::DeserializeOwned;

use super::{Asked, print};
use crate::ask::{NoAnswer, Question, ask, ask_bytes};
use crate::cli::{HeapArguments, One, ProfileArguments, Switch};
use crate::heap::{self, Dump, Profile};
use crate::report::{Growth, Heap, ProfileSwitched, Report as _, amount};
use crate::sockets::Socket;

/// The largest saved profile that is read, compressed.
const MAX_SAVED_BYTES: u64 = 64 << 20;

impl Asked<'_> {
    /// `heap`
    pub(crate) async fn heap(self, asked: &HeapArguments) -> anyhow::Result<Exit> {
        match (asked.diff.as_deref(), &asked.which) {
            (Some([earlier, later]), _) => self.growth(asked, earlier, later),
            (_, Some(which)) => self.heap_of(asked, &One { which: which.clone() }).await,
            _ => bail!("expected a program, or --diff and two saved profiles"),
        }
    }

    async fn heap_of(self, asked: &HeapArguments, one: &One) -> anyhow::Result<Exit> {
        let socket = self.one(one).await?;
        let state: ProfileState = self.answer(one, &socket, Question::Profile).await?;
        let answer = if state.available { ask_bytes(&socket.path, Question::Heap).await } else { Err(NoAnswer::Dead) };
        let Socket { program, pid, .. } = &socket;
        let text = match answer {
            Ok(text) => text,
            Err(_) if !state.available => bail!(unavailable(&socket)),
            Err(error) => bail!("{program} ({pid}) gave no profile: {error}"),
        };
        let text =
            std::str::from_utf8(&text).with_context(|| format!("the profile of {program} ({pid}) is no text"))?;
        let dump: Dump = text.parse().with_context(|| format!("the profile of {program} ({pid})"))?;
        let (profile, account, messages) = heap::symbolise(&dump);
        for message in messages {
            tracing::warn!("{message}");
        }
        if !dump.origin.active {
            if dump.samples.iter().all(|it| it.sampled == 0) {
                bail!("nothing of {program} ({pid}) was sampled: r3e-monitor profile on {pid} begins to sample it");
            }
            tracing::warn!("nothing that {program} ({pid}) allocates now is sampled: profile on {pid} goes on");
        }
        let title = format!("{program} ({pid}): {} held", amount(account.inuse_bytes));
        let written = save(asked, &profile, &title)?;
        print(&Heap { program, pid: pid.id, profile: &profile, account, most: asked.top, written }.show(self.json))
    }

    /// `heap --diff`
    fn growth(self, asked: &HeapArguments, earlier: &Path, later: &Path) -> anyhow::Result<Exit> {
        let difference = read(later)?.minus(&read(earlier)?);
        let title = format!("grown from {} to {}", earlier.display(), later.display());
        let written = save(asked, &difference, &title)?;
        print(&Growth { difference: &difference, most: asked.top, written }.show(self.json))
    }

    /// `profile`
    pub(crate) async fn profile(self, asked: &ProfileArguments) -> anyhow::Result<Exit> {
        let socket = self.one(&asked.one).await?;
        let active = asked.switch == Switch::On;
        let state: ProfileState = self.answer(&asked.one, &socket, Question::Profile).await?;
        if !state.available {
            bail!(unavailable(&socket));
        }
        let question = Question::SwitchProfile { active, reset: asked.reset };
        let state: ProfileState = self.answer(&asked.one, &socket, question).await?;
        print(&ProfileSwitched { program: &socket.program, pid: socket.pid.id, state }.show(self.json))
    }

    async fn answer<T: DeserializeOwned>(self, one: &One, socket: &Socket, question: Question) -> anyhow::Result<T> {
        match ask(&socket.path, question).await {
            Ok(answer) => Ok(answer),
            Err(NoAnswer::Dead) => Err(self.unknown(&[&one.which]).into()),
            Err(error) => bail!("{} ({}) is not answering: {error}", socket.program, socket.pid),
        }
    }
}

fn unavailable(socket: &Socket) -> String {
    let Socket { program, pid, .. } = socket;
    format!(
        "{program} ({pid}) cannot be profiled: it was started with memory.profile = \"off\"\n\
         hint: start it with R3E_MEMORY__PROFILE=on to see all that it holds, or with ready to switch that on later"
    )
}

fn read(path: &Path) -> anyhow::Result<Profile> {
    let mut file = Vec::new();
    if fs::read_into(path, &mut file, MAX_SAVED_BYTES)?.is_none() {
        bail!("there is no file {}", path.display());
    }
    if file.len() as u64 > MAX_SAVED_BYTES {
        bail!("{} has more than {MAX_SAVED_BYTES} bytes: expected a saved profile", path.display());
    }
    heap::read(&file).with_context(|| path.display().to_string())
}

/// Writes the files that were asked for; says which, and what is in them.
fn save(asked: &HeapArguments, profile: &Profile, title: &str) -> anyhow::Result<Vec<String>> {
    let mut written = Vec::new();
    let mut put = |path: &Path, bytes: &[u8]| -> anyhow::Result<()> {
        let mut file = NewFile::create(path)?;
        file.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))?;
        file.commit()?;
        written.push(path.display().to_string());
        Ok(())
    };
    if let Some(path) = &asked.output {
        put(path, &heap::write(profile)?)?;
    }
    if let Some(path) = &asked.flamegraph {
        let bytes = |bytes: u64| amount(i64::try_from(bytes).unwrap_or(i64::MAX));
        put(path, heap::draw(profile, title, bytes).as_bytes())?;
    }
    Ok(written)
}
