//! Lists control sockets, and selects them by program or process id.

use std::fmt;
use std::num::ParseIntError;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use r3e_common::runtime::fs;
use r3e_common::runtime::fs::FsError;

/// Upper bound of the sockets that are listed.
pub(crate) const MAX_SOCKETS: usize = 256;

/// Prefix of all program names, which users may omit.
const PREFIX: &str = "r3e-";

/// A process id as in the name of a socket: the one that the process itself sees. Processes in different containers may share
/// one; then an instance number follows, as in `1.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pid {
    /// The process id.
    pub(crate) id: u32,
    /// Number among those of the same program and id, from 1.
    pub(crate) instance: u32,
}

impl Pid {
    /// The instance number, unless it is 1.
    pub(crate) fn later(self) -> Option<u32> {
        (self.instance > 1).then_some(self.instance)
    }
}

impl From<u32> for Pid {
    fn from(id: u32) -> Self {
        Self { id, instance: 1 }
    }
}

impl FromStr for Pid {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (id, instance) = text.split_once('.').unwrap_or((text, "1"));
        Ok(Self { id: id.parse()?, instance: instance.parse()? })
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { id, instance: 1 } => id.fmt(f),
            Self { id, instance } => write!(f, "{id}.{instance}"),
        }
    }
}

/// The control socket of a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Socket {
    pub(crate) program: String,
    pub(crate) pid: Pid,
    pub(crate) path: PathBuf,
}

/// `r3e-loader (4711)`: how results and messages name the process.
impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.program, self.pid)
    }
}

impl Socket {
    pub(crate) fn identity(&self) -> (&str, Pid) {
        (&self.program, self.pid)
    }

    /// Parses a name: `{program}-{pid}.sock`, `{program}-{pid}.2.sock`.
    fn at(path: PathBuf) -> Option<Self> {
        let (program, pid) = path.file_name()?.to_str()?.strip_suffix(".sock")?.rsplit_once('-')?;
        let pid = pid.parse().ok().filter(|it: &Pid| it.id > 0 && it.instance > 0)?;
        let program = Some(program).filter(|it| !it.is_empty())?.to_owned();
        Some(Self { program, pid, path })
    }
}

/// The sockets in a folder, by program and process id. Empty if there is no such folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<Socket>, FsError> {
    let mut sockets: Vec<Socket> = fs::list(folder)?.into_iter().filter_map(Socket::at).collect();
    if sockets.len() > MAX_SOCKETS {
        tracing::warn!(found = sockets.len(), limit = MAX_SOCKETS, "too many control sockets, ignoring the rest");
        sockets.truncate(MAX_SOCKETS);
    }
    sockets.sort();
    Ok(sockets)
}

/// A program or process named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// A process id.
    Pid(Pid),
    /// A program, with or without `r3e-`.
    Program(String),
}

impl From<&str> for Selector {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Program(text.to_owned()), Self::Pid)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "{pid}"),
            Self::Program(name) => f.write_str(name),
        }
    }
}

impl Selector {
    /// Whether it names that program or process.
    pub(crate) fn matches(&self, program: &str, pid: impl Into<Option<Pid>>) -> bool {
        match self {
            Self::Pid(it) => Some(*it) == pid.into(),
            Self::Program(name) => {
                let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
                bare(name) == bare(program)
            }
        }
    }
}

/// Selects processes, or what has no process id: all if none is named.
pub(crate) fn select<T, P: Into<Option<Pid>>>(
    all: Vec<T>,
    named: &[Selector],
    whose: impl Fn(&T) -> (&str, P),
) -> Result<Vec<T>, Vec<Selector>> {
    let matches = |which: &Selector, it: &T| {
        let (program, pid) = whose(it);
        which.matches(program, pid)
    };
    let unknown: Vec<Selector> =
        named.iter().filter(|which| !all.iter().any(|it| matches(which, it))).cloned().collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let keep = |it: &T| named.is_empty() || named.iter().any(|which| matches(which, it));
    Ok(all.into_iter().filter(keep).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_known_by_its_name() {
        let at = |name: &str| Socket::at(Path::new("/run/r3e").join(name)).map(|it| (it.program, it.pid));
        assert_eq!(at("r3e-loader-42.sock"), Some(("r3e-loader".into(), 42.into())));
        assert_eq!(at("other-1.sock"), Some(("other".into(), 1.into())));
        assert_eq!(at("other-1.2.sock"), Some(("other".into(), Pid { id: 1, instance: 2 })));
        let others = "runs r3e-loader.sock -42.sock r3e-loader-0.sock x-1.0.sock x-1.2.3.sock x-.2.sock 42.sock \
            r3e-loader-42.sock.tmp";
        for other in others.split(' ') {
            assert_eq!(at(other), None, "{other}");
        }
    }

    #[test]
    fn a_folder_that_is_missing_has_no_sockets() {
        assert_eq!(list(Path::new("/nowhere/at/all")).unwrap(), []);
        assert!(list(Path::new("/proc/self/status")).is_err());
    }

    #[test]
    fn processes_are_named_by_program_or_number() {
        let second = Pid { id: 7, instance: 2 };
        let all = || vec![("r3e-loader", 7.into()), ("r3e-loader", second), ("r3e-monitor", 9.into())];
        let selected = |named: &[&str]| {
            let named: Vec<Selector> = named.iter().map(|&it| it.into()).collect();
            let pids = select(all(), &named, |it| *it)
                .map(|found| found.iter().map(|it| it.1.to_string()).collect::<Vec<_>>());
            pids.map_err(|unknown| unknown.iter().map(Selector::to_string).collect::<Vec<_>>())
        };
        let found = |pids: &[&str]| Ok(pids.iter().map(|&it| it.to_owned()).collect::<Vec<_>>());
        assert_eq!(selected(&[]), found(&["7", "7.2", "9"]));
        assert_eq!(selected(&["loader"]), found(&["7", "7.2"]));
        assert_eq!(selected(&["7"]), found(&["7"]));
        assert_eq!(selected(&["r3e-monitor", "7.2"]), found(&["7.2", "9"]));
        assert_eq!(selected(&["9"]), found(&["9"]));
        assert_eq!(selected(&["9", "10", "load"]), Err(vec!["10".into(), "load".into()]), "all that are wrong at once");
    }
}
