//! A configuration file with variables and flags: errors are reported within bounds, and what is loaded prints to a file
//! that loads to the same.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use r3e_common::runtime::config::{ConfigArgs, ConfigErrors, Environment, Loaded};

/// The most characters of one error: key, value and another value of 64 each, escaped where necessary, and what was
/// expected.
const MAX_MESSAGE: usize = 1600;

/// A file without a name, in memory where there is such a folder: the configuration file of each run.
static FILE: LazyLock<File> = LazyLock::new(|| {
    tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).expect("making a temporary file")
});

/// Reads the bytes as what a program is started with, in parts that end with a zero byte: the file; then variables as
/// `NAME=value` and flags as `--name=value`.
pub fn check(bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == 0);
    let file = parts.next().unwrap_or_default();
    let (mut flags, mut environment) = (ConfigArgs::default(), environment());
    for part in parts {
        let Some(equals) = part.iter().position(|&byte| byte == b'=') else { continue };
        let (name, value) = (OsStr::from_bytes(&part[..equals]), OsStr::from_bytes(&part[equals + 1..]));
        match flag(&mut flags, name) {
            Some(flag) => *flag = Some(value.to_owned()),
            None => environment.variables.push((name.to_owned(), value.to_owned())),
        }
    }
    match load(file, flags, &environment) {
        Ok(loaded) => loads_again(&loaded),
        Err(errors) => are_reported(&errors, bytes),
    }
}

/// An environment in which nothing of this machine is seen.
fn environment() -> Environment {
    let mut environment = Environment::bare(PathBuf::from("/nowhere/at/all"), 1000);
    environment.system_file = "/nowhere/r3e.toml".into();
    environment.system_runtime_dir = "/nowhere/run".into();
    environment
}

fn flag<'a>(flags: &'a mut ConfigArgs, name: &OsStr) -> Option<&'a mut Option<OsString>> {
    Some(match name.as_bytes() {
        b"--cache" => &mut flags.cache,
        b"--staging" => &mut flags.staging,
        b"--catalog" => &mut flags.catalog,
        b"--upstream" => &mut flags.upstream,
        b"--requests-per-second" => &mut flags.requests_per_second,
        b"--concurrency" => &mut flags.concurrency,
        b"--memory-limit-mb" => &mut flags.memory_limit_mb,
        b"--log-level" => &mut flags.log_level,
        b"--log-format" => &mut flags.log_format,
        _ => return None,
    })
}

fn load(file: &[u8], flags: ConfigArgs, environment: &Environment) -> Result<Loaded, ConfigErrors> {
    FILE.set_len(0).and_then(|()| FILE.write_all_at(file, 0)).expect("writing a temporary file");
    let config = Some(format!("/proc/self/fd/{}", FILE.as_raw_fd()).into());
    ConfigArgs { config, ..flags }.load(environment)
}

fn are_reported(errors: &ConfigErrors, bytes: &[u8]) {
    // A setting takes a few bytes and may be wrong in two ways; of syntax errors, a few are reported.
    assert!((1..=bytes.len() + 5).contains(&errors.0.len()), "{} errors", errors.0.len());
    for error in &errors.0 {
        let message = error.to_string();
        let length = message.chars().count();
        assert!(length <= MAX_MESSAGE, "an error of {length} characters");
        assert!(!message.contains(char::is_control), "a message is one line and cannot steer a terminal: {message:?}");
    }
}

fn loads_again(loaded: &Loaded) {
    let config = &loaded.config;
    let upstream = &config.upstream;
    assert!(upstream.base_url.path().ends_with('/') && upstream.base_url.join("x").is_ok(), "{}", upstream.base_url);
    assert!(upstream.backoff_min <= upstream.backoff_max);
    assert_ne!(config.cache.dir, config.cache.staging_dir);
    let rendered = loaded.to_toml();
    let again = load(rendered.as_bytes(), ConfigArgs::default(), &environment());
    let again = again.unwrap_or_else(|errors| panic!("{errors}\nof\n{rendered}"));
    assert_eq!(&again.config, config, "loaded from\n{rendered}");
    let values = |text: &str| text.lines().map(|line| line.split(" # ").next().map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(values(&again.to_toml()), values(&rendered), "written twice");
}
