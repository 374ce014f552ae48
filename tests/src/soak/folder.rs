//! The folder of a soak: its paths, and the configuration of the programs.
#![expect(clippy::disallowed_methods, reason = "outside the programs, and their rules for files")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use r3e_common::domain::Catalog;

use crate::programs;
use crate::sim::Simulator;

/// A folder in which programs run, as an operator would set them up.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    /// Where `r3e-monitor serve` listens.
    pub(super) port: u16,
}

impl Folder {
    /// Creates the folder, empty but for configuration, catalogue and certificate. Removes what an earlier soak left.
    ///
    /// # Errors
    /// If the file system fails, or no port is free.
    pub(super) fn create(path: &Path, catalog: &Catalog, sim: &Simulator) -> anyhow::Result<Self> {
        if path.exists() {
            fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::create_dir_all(path.join("logs")).with_context(|| format!("cannot create {}", path.display()))?;
        // Its number stays the same when the server is restarted, as in an installation.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let folder = Self { path: path.canonicalize()?, port };
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

    /// A program that runs here, in a process group of its own: Ctrl-C in a terminal is for the soak.
    #[must_use]
    pub(super) fn command(&self, program: &Path) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = programs::command(program);
        command.current_dir(&self.path).env("SSL_CERT_FILE", self.path("ca.pem")).process_group(0);
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
