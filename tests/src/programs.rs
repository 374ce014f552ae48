//! The programs under test, as they ship: built in release mode, started with nothing of the caller's configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, io};

/// The programs that are tested from outside, each the package of its name.
const PROGRAMS: [&str; 4] = ["r3e-loader", "r3e-refresher", "r3e-scheduler", "r3e-monitor"];

/// The release build of a program, built with the others when one is first asked for. The end-to-end tests run what ships,
/// not what is built for tests, and cargo gives one package no other way to another's program.
///
/// # Errors
/// When they do not build (cargo's messages go to standard error), or there is no such program.
pub fn program(name: &str) -> io::Result<PathBuf> {
    static BUILT: OnceLock<Result<Vec<PathBuf>, String>> = OnceLock::new();
    let built = BUILT.get_or_init(build).as_ref().map_err(|error| io::Error::other(error.clone()))?;
    let found = built.iter().find(|path| path.file_name().is_some_and(|it| it == name));
    found.cloned().ok_or_else(|| io::Error::other(format!("cargo built no program {name}")))
}

fn build() -> Result<Vec<PathBuf>, String> {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let packages = PROGRAMS.iter().flat_map(|name| ["--package", name, "--bin", name]);
    let arguments = ["build", "--release", "--quiet", "--message-format=json"].into_iter().chain(packages);
    let built = Command::new(cargo).args(arguments).current_dir(workspace).stderr(Stdio::inherit()).output();
    let output = built.map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("building {PROGRAMS:?} ended with {}", output.status));
    }
    // One message of JSON a line; those of the programs tell where they are.
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(executable).collect())
}

/// A command that inherits nothing of the caller's configuration: no `R3E_…`, no memory limit, no proxy.
#[must_use]
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let upper = name.to_string_lossy().to_uppercase();
        if upper.starts_with("R3E_") || upper.ends_with("_PROXY") || upper == "MEMORY_LIMIT_MB" {
            command.env_remove(name);
        }
    }
    command
}
