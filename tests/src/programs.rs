//! The programs under test, as they ship: built in release mode, started with nothing of the caller's configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, io};

/// The release build of `r3e-loader`, built when it is first asked for. The end-to-end tests run what ships, not what is
/// built for tests, and cargo gives one package no other way to another's program.
///
/// # Errors
/// When it does not build; cargo's messages go to standard error.
pub fn loader() -> io::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(|| build("r3e-loader")).clone().map_err(io::Error::other)
}

/// The release build of `r3e-monitor`, built when it is first asked for.
///
/// # Errors
/// When it does not build; cargo's messages go to standard error.
pub fn monitor() -> io::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(|| build("r3e-monitor")).clone().map_err(io::Error::other)
}

fn build(package: &str) -> Result<PathBuf, String> {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--release", "--quiet", "--message-format=json", "--package", package, "--bin", package];
    let built = Command::new(cargo).args(arguments).current_dir(workspace).stderr(Stdio::inherit()).output();
    let output = built.map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("building {package} ended with {}", output.status));
    }
    // One message of JSON a line; that of the program tells where it is.
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let messages = String::from_utf8_lossy(&output.stdout);
    messages.lines().find_map(executable).ok_or_else(|| format!("cargo built no program {package}"))
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
