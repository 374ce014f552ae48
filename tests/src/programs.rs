//! The programs under test, as they ship: built in release mode, started with nothing of the caller's configuration.

use std::path::PathBuf;
use std::process::Command;
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

fn build(package: &str) -> Result<PathBuf, String> {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--release", "--quiet", "--package", package, "--bin", package];
    let status = Command::new(cargo).args(arguments).current_dir(workspace).status();
    match status {
        Ok(status) if status.success() => {
            let target =
                env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from(workspace).join("target"), PathBuf::from);
            Ok(target.join("release").join(package))
        }
        Ok(status) => Err(format!("building {package} ended with {status}")),
        Err(error) => Err(format!("cannot run cargo: {error}")),
    }
}

/// A command that inherits nothing of the caller's configuration: no `R3E_…`, no memory limit, no proxy.
#[must_use]
pub fn command(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let proxy = text.to_ascii_lowercase().ends_with("_proxy");
        if text.starts_with("R3E_") || text == "MEMORY_LIMIT_MB" || proxy {
            command.env_remove(name);
        }
    }
    command
}
