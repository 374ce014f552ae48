//! A fake job for tests of the scheduler, installed as `r3e-loader` or `r3e-refresher`. A script controls what it does.
//!
//! Each start appends a line with name and arguments to the file `started`. The n-th start follows the n-th line of the
//! file `told`; without such a line it succeeds:
//! - a number: ends with that exit code;
//! - `published`, or `published` and an exit code: publishes, as far as `status.json` tells, and ends;
//! - `talkative`: logs much, then succeeds;
//! - `held`, or `held` and an exit code: ends once there is a file `go`;
//! - `up`: ends with 69 until there is a file `up`, and then succeeds;
//! - `killed`: is killed;
//! - `patient`: starts a child process and runs until SIGTERM or SIGINT;
//! - `deaf`: starts a child process and ignores all signals.
#![expect(clippy::print_stderr, reason = "its log")]
#![expect(clippy::unwrap_used, reason = "for tests: whatever is wrong is a panic")]
#![expect(clippy::disallowed_methods, reason = "for tests: outside the programs, and their rules for files")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use nix::sys::signal::{Signal, raise};
use r3e_common::runtime::timestamp;
use r3e_common::store::{Status, StatusFile};
use r3e_tests::harness::until;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The first argument of the process that a job has started.
const COMPANION: &str = "companion-of-a-job";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, told] = &arguments[..]
        && first == COMPANION
    {
        return wait_for_signals(told, listen());
    }
    let name = Path::new(&arguments[0]).file_name().unwrap().to_string_lossy();
    let line = format!("{name} {}\n", arguments[1..].join(" "));
    File::options().append(true).create(true).open("started").unwrap().write_all(line.as_bytes()).unwrap();
    let number = fs::read_to_string("started").unwrap().lines().count();
    let told = fs::read_to_string("told").unwrap();
    let told = told.lines().nth(number - 1).unwrap_or("0");

    let signals = matches!(told, "deaf" | "patient").then(listen);
    eprintln!("a word of number {number}");
    match (told, signals) {
        (_, Some(signals)) => {
            #[expect(clippy::zombie_processes, reason = "what a job leaves is what is tested")]
            let _companion = Command::new("/proc/self/exe").args([COMPANION, told]).spawn().unwrap();
            return wait_for_signals(told, signals);
        }
        ("killed", _) => raise(Signal::SIGKILL).unwrap(),
        ("up", _) => return ExitCode::from(if Path::new("up").exists() { 0 } else { 69 }),
        ("talkative", _) => (0..9).for_each(|_| eprintln!("{}", "x".repeat(20_000))),
        (told, _) => {
            let code = told.strip_prefix("held").map(|code| {
                until("there is a file go", || Path::new("go").exists());
                if code.is_empty() { "0" } else { code }
            });
            let code = code.or_else(|| {
                let code = told.strip_prefix("published")?;
                publish(number);
                Some(if code.is_empty() { "0" } else { code.trim() })
            });
            return ExitCode::from(code.unwrap_or(told).parse::<u8>().unwrap());
        }
    }
    ExitCode::SUCCESS
}

/// Changes what `status.json` tells of the last publication.
fn publish(number: usize) {
    let changes = Status {
        last_index_update: Some(timestamp(SystemTime::now())),
        generation: Some(format!("generation-{number}")),
        ..Status::default()
    };
    StatusFile::new(Path::new("cache")).update(&changes).unwrap();
}

fn listen() -> Signals {
    Signals::new([SIGTERM, SIGINT]).unwrap()
}

/// Ends at the first signal, as 143, unless it is deaf.
fn wait_for_signals(told: &str, mut signals: Signals) -> ExitCode {
    signals.forever().find(|_| told == "patient");
    ExitCode::from(143)
}
