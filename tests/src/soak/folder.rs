//! The folder of a soak: its paths, and the configuration of the programs.
#![expect(clippy::disallowed_methods, reason = "outside the programs, and their rules for files")]

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use r3e_common::domain::Catalog;

use crate::harness;
use crate::sim::Simulator;

/// A folder in which programs run, as an operator would set them up.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked until the soak ends.
    _lock: Arc<File>,
    /// Where `r3e-monitor serve` listens.
    pub(super) port: u16,
}

impl Folder {
    /// Creates the folder with configuration, catalogue and certificate. Removes what an earlier soak left.
    ///
    /// # Errors
    /// If the folder has content that no soak left, another soak runs there, the file system fails, or no port is free.
    pub(super) fn create(path: &Path, catalog: &Catalog, sim: &Simulator) -> anyhow::Result<Self> {
        let lock = clear(path).with_context(|| format!("cannot run in {}", path.display()))?;
        fs::create_dir(path.join("logs"))?;
        // Its number stays the same when the server is restarted, as in an installation.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let folder = Self { path: path.canonicalize()?, _lock: Arc::new(lock), port };
        fs::write(folder.path("catalog.toml"), catalog.to_toml())?;
        fs::write(folder.path("ca.pem"), sim.ca_pem().context("the simulator has no certificate")?)?;
        fs::write(folder.path("r3e.toml"), folder.configuration(sim))?;
        Ok(folder)
    }

    /// Everything that takes hours or minutes in an installation takes seconds here; all else has its default.
    fn configuration(&self, sim: &Simulator) -> String {
        let (url, port, run) = (sim.base_url(), self.port, self.run());
        format!(
            r#"[cache]
max_age = "1s"

[catalog]
path = "catalog.toml"

[upstream]
base_url = "{url}"
requests_per_second = 100000
# Boards have several pages, and each page fits easily.
page_size = 60
max_body_mb = 4
timeout = "2s"
backoff_min = "10ms"
backoff_max = "50ms"

[index]
every = "500ms"

[schedule]
time_zone = "UTC"
cron = ["* * * * *"]
backoff_min = "50ms"
backoff_max = "500ms"
job_timeout = "1m"

[memory]
purge_every = "10s"

[runtime]
dir = "{run}"

[monitor]
every = "1s"
keep = "1m"
listen = "127.0.0.1:{port}"

[log]
format = "json"
"#,
            run = run.display()
        )
    }

    /// A path in it.
    #[must_use]
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder of the control sockets.
    #[must_use]
    pub(super) fn run(&self) -> PathBuf {
        self.path("run")
    }

    /// The published files.
    #[must_use]
    pub(super) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// The files of the history, those of a damaged one included.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub(super) fn history(&self) -> io::Result<Vec<PathBuf>> {
        let mut paths = files(&self.path)?;
        paths.retain(|it| it.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"monitor.db")));
        Ok(paths)
    }

    /// A program that runs here, in a process group of its own: Ctrl-C in a terminal is for the soak. However the soak ends, the
    /// program and its children end too.
    #[must_use]
    pub(super) fn command(&self, program: &Path) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = harness::command(program, &self.path);
        command.env("SSL_CERT_FILE", self.path("ca.pem")).process_group(0);
        command
    }

    /// Requests a refresh: of these boards, or of all.
    ///
    /// # Errors
    /// If the file system fails.
    pub(super) fn trigger(&self, boards: &str) -> anyhow::Result<()> {
        let hidden = self.cache().join(".soak-trigger");
        fs::write(&hidden, boards)?;
        Ok(fs::rename(hidden, self.cache().join("refresh_now"))?)
    }

    /// Whether a requested refresh is not over yet.
    #[must_use]
    pub(super) fn is_triggered(&self) -> bool {
        ["refresh_now", ".refresh_now.taken"].iter().any(|it| self.cache().join(it).exists())
    }
}

/// Only the folder of a soak has it.
const LOCK: &str = "soak.lock";

/// Creates the folder, or empties that of an earlier soak. Returns its locked file.
fn clear(path: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(path)?;
    let lock = path.join(LOCK);
    ensure!(
        lock.is_file() || files(path)?.is_empty(),
        "expected an empty folder or that of an earlier soak, found files without {LOCK}"
    );
    let file = File::create(&lock)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("another soak runs there"),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    for path in files(path)?.into_iter().filter(|it| *it != lock) {
        let is_folder = path.symlink_metadata()?.is_dir();
        let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(file)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|it| Ok(it?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folder_of_an_earlier_soak_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let (new, other) = (folder.path().join("new/soak"), folder.path().join("other"));
        let lock = clear(&new).unwrap();
        fs::create_dir(new.join("cache")).unwrap();
        fs::write(new.join("cache/some"), "").unwrap();
        assert!(clear(&new).is_err(), "another soak runs there");
        assert!(new.join("cache/some").exists());
        drop(lock);
        let _lock = clear(&new).unwrap();
        assert!(!new.join("cache").exists());
        fs::create_dir(&other).unwrap();
        fs::write(other.join("some"), "").unwrap();
        assert!(clear(&other).is_err());
        assert!(other.join("some").exists());
    }
}
