//! The programs under test, as they ship: built in release mode, started with nothing of the caller's configuration.
#![expect(clippy::disallowed_methods, reason = "for tests: looks at what cargo has built")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs, io};

/// What builds the programs; the errors name it.
const BUILD: &str = "cargo build --release";

/// A program of this package: cargo builds it with every test and benchmark; beside another program it is in the same folder.
///
/// # Errors
/// If there is none.
pub fn program_beside(name: &str) -> io::Result<PathBuf> {
    if let Some(path) = env::var_os(format!("CARGO_BIN_EXE_{name}")) {
        return Ok(path.into());
    }
    let path = env::current_exe()?.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    let path = path.display();
    Err(io::Error::other(format!("{path}: no such file, and CARGO_BIN_EXE_{name} is not set (by cargo test or bench)")))
}

/// Builds a program of this package beside this one, unless it is there.
///
/// # Errors
/// If cargo fails.
pub fn build_beside(name: &str) -> io::Result<()> {
    if program_beside(name).is_err() {
        build(&["--bin", name], None)?;
    }
    Ok(())
}

/// The release build of a program, such as `r3e-loader`. The end-to-end tests run what ships, and do not build it.
///
/// # Errors
/// If there is none, or if one of its sources is newer.
pub fn program(name: &str) -> io::Result<PathBuf> {
    // `target/debug/r3e-sim` in tests, `target/release/r3e-sim` in benchmarks.
    let ours = program_beside("r3e-sim")?;
    let profiles = ours.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let program = profiles.join("release").join(name);
    check(&program).map_err(|why| {
        let path = program.display();
        io::Error::other(format!("{path}: {why}: run `{BUILD}` first, with the same CARGO_TARGET_DIR"))
    })?;
    Ok(program)
}

/// Builds programs that `arguments` of cargo select, beside this one or in a folder beside it, and returns their folder.
///
/// # Errors
/// If cargo fails.
pub fn build(arguments: &[&str], apart: Option<&str>) -> io::Result<PathBuf> {
    let this = env::current_exe()?;
    let target = this.parent().and_then(Path::parent);
    let target = target.ok_or_else(|| io::Error::other(format!("{}: no target folder", this.display())))?;
    let target = apart.map_or_else(|| target.to_owned(), |folder| target.join(folder));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What `cargo run` sets for this program would make build scripts run again, and rebuild all that depends on them.
    for (name, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|it| name.to_string_lossy().starts_with(it)) {
            cargo.env_remove(name);
        }
    }
    cargo.args(["build", "--release", "--quiet", "--target-dir"]).arg(&target).args(arguments);
    let status = cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status();
    let status = status.map_err(|error| io::Error::new(error.kind(), format!("cannot run cargo: {error}")))?;
    if !status.success() {
        return Err(io::Error::other(format!("{BUILD} {}: {status}", arguments.join(" "))));
    }
    Ok(target.join("release"))
}

/// Compares a program with the sources in cargo's record of them, which is beside it.
fn check(program: &Path) -> Result<(), String> {
    let built = written(program)?;
    let record = program.with_extension("d");
    let text = fs::read_to_string(&record).map_err(|error| format!("cannot read {}: {error}", record.display()))?;
    for source in sources(&text) {
        if written(&source)? > built {
            return Err(format!("older than {}", source.display()));
        }
    }
    Ok(())
}

/// When a file was written.
fn written(path: &Path) -> Result<SystemTime, String> {
    path.metadata().and_then(|it| it.modified()).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The paths of a make rule, `PROGRAM: SOURCE SOURCE …`, in which spaces within a path are escaped as `\ `.
fn sources(rule: &str) -> Vec<PathBuf> {
    let sources = rule.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, sources)| sources);
    let paths = sources.replace("\\ ", "\0");
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    paths.split_whitespace().map(|path| workspace.join(path.replace('\0', " "))).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_older_than_a_source_or_without_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (program, source) = (path("r3e-some"), path("a source.rs"));
        assert!(check(&program).unwrap_err().contains("r3e-some"));
        for file in [&program, &source] {
            fs::write(file, "").unwrap();
        }
        assert!(check(&program).unwrap_err().contains("r3e-some.d"));
        let escaped = source.to_str().unwrap().replace(' ', "\\ ");
        fs::write(path("r3e-some.d"), format!("{}: {escaped}\n", program.display())).unwrap();
        let set = |hour: u64| {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(hour);
            fs::File::options().write(true).open(&source).unwrap().set_modified(time).unwrap();
        };
        set(1);
        assert_eq!(check(&program), Ok(()));
        set(24 * 365 * 200);
        assert!(check(&program).unwrap_err().contains("a source.rs"));
        fs::remove_file(&source).unwrap();
        assert!(check(&program).unwrap_err().contains("a source.rs"));
    }
}
