//! A Ballista cluster on this machine: processes with the flags of the units in `deploy/ballista`.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a process may take to be ready.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A running cluster.
pub struct Cluster {
    pub scheduler: Option<Process>,
    pub executors: Vec<Process>,
    /// As `--cluster` takes it.
    pub address: String,
    scheduler_port: u16,
    folder: TempDir,
}

/// A process, which ends with the test.
pub struct Process {
    child: Child,
    /// The port of its health checks.
    health: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// Kills it, without a chance to say so to others.
    pub fn kill(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }

    /// Its memory in megabytes.
    pub fn memory_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Waits until it answers `/readyz` with 200.
    fn wait_until_ready(&mut self, what: &str) {
        let begun = Instant::now();
        while !is_ready(self.health) {
            assert!(self.child.try_wait().unwrap().is_none(), "{what} has ended");
            assert!(begun.elapsed() < READY_WITHIN, "{what} is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn is_ready(port: u16) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        write!(connection, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).map(|_| answer)
    };
    ask().is_ok_and(|it: String| it.starts_with("HTTP/1.1 200"))
}

impl Cluster {
    /// A scheduler with these variables, without executors.
    pub fn start(variables: &[(String, String)]) -> Self {
        let port = free_port();
        let scheduler_port = port;
        let changed = [("--bind-port", port.to_string())];
        let scheduler = Process { child: spawn("ballista-scheduler", &changed, variables), health: port };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(begun.elapsed() < READY_WITHIN, "the scheduler does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        let address = format!("http://127.0.0.1:{port}");
        Self {
            scheduler: Some(scheduler),
            executors: Vec::new(),
            address,
            scheduler_port,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Adds an executor with these variables, and waits until the scheduler has it.
    pub fn add_executor(&mut self, variables: &[(String, String)]) {
        let health = free_port();
        let folder = self.folder.path().join(health.to_string());
        std::fs::create_dir(&folder).unwrap();
        let changed = [
            ("--bind-port", free_port().to_string()),
            ("--bind-grpc-port", free_port().to_string()),
            ("--bind-health-port", health.to_string()),
            ("--scheduler-port", self.scheduler_port.to_string()),
            ("--work-dir", folder.display().to_string()),
        ];
        let mut executor = Process { child: spawn("ballista-executor", &changed, variables), health };
        executor.wait_until_ready("an executor");
        self.executors.push(executor);
    }
}

/// A port that is free now.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A program with the flags of its unit, except for those that are changed.
fn spawn(program: &str, changed: &[(&str, String)], variables: &[(String, String)]) -> Child {
    let path = Path::new(env!("CARGO_BIN_EXE_r3e-archive")).with_file_name(program);
    assert!(path.exists(), "{} is missing: cargo build --workspace --all-features", path.display());
    let mut flags = flags_of(program);
    for (name, value) in changed {
        let place = flags.iter().position(|it| it == name).unwrap_or_else(|| panic!("the unit has no {name}"));
        flags[place + 1].clone_from(value);
    }
    let others = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("AWS_"));
    let mut command = Command::new(path);
    command.env_clear().envs(others).envs(variables.iter().map(|(name, value)| (name, value)));
    command.args(flags).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

/// The flags that a unit passes.
fn flags_of(program: &str) -> Vec<String> {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../deploy/ballista", &format!("{program}.service")].iter().collect();
    let unit = std::fs::read_to_string(path).unwrap().replace("\\\n", " ");
    let variables: Vec<(&str, &str)> =
        unit.lines().filter_map(|it| it.strip_prefix("Environment=")?.split_once('=')).collect();
    let start = unit.lines().find_map(|it| it.strip_prefix("ExecStart=")).unwrap();
    let value = |word: &str| {
        let name = word.strip_prefix("${").and_then(|it| it.strip_suffix('}'));
        let found = name.map(|name| variables.iter().find(|it| it.0 == name).unwrap_or_else(|| panic!("{name}")).1);
        found.unwrap_or(word).to_owned()
    };
    start.split_whitespace().skip(1).map(value).collect()
}
