//! Tests of the harness: a test that fails or is killed leaves no process behind, and missing programs are named.
#![expect(clippy::unwrap_used, reason = "all of this file is tests")]
#![expect(clippy::disallowed_methods, reason = "tests look at the disk without the programs' own code")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::resource::Resource;
use nix::sys::signal::Signal;
use r3e_tests::harness::{Invocation, NOBODY, Place, Running, command, processes_of, program_beside, until};

/// Tells the test that is run by another one where that looks.
const REPORT: &str = "TEST_REPORT";

/// A job that listens to no signal, and the process that it has started: both without a parent that looks after them.
fn stubborn(place: &Place) -> Running {
    fs::write(place.path("told"), "deaf").unwrap();
    let job = Invocation::new("a job", &place.path("")).executable(program_beside("r3e-told-job"));
    // No pipe, which is open as long as one of them is there.
    let job = job.stdout_to(place.path("out")).stderr_to(place.path("log")).spawn();
    until("both are there", || processes_of(&place.path("")).len() == 2);
    job
}

/// What is run below in a process of its own, and ends there as it is said to.
fn leave_something(how: &str) {
    let Some(report) = std::env::var_os(REPORT) else { return };
    let place = Place::new();
    let _job = stubborn(&place);
    // Whole at once.
    fs::write(Path::new(&report).with_extension("new"), place.path("").to_str().unwrap()).unwrap();
    fs::rename(Path::new(&report).with_extension("new"), report).unwrap();
    assert_ne!(how, "panics", "as it should");
    std::thread::park();
}

#[test]
#[ignore = "run by a_test_that_panics_leaves_no_process"]
fn panics() {
    leave_something("panics");
}

#[test]
#[ignore = "run by a_test_that_is_killed_leaves_no_process"]
fn waits() {
    leave_something("waits");
}

/// That test in a process of its own, and where its programs run.
fn run_ignored(test: &str, place: &Place) -> (std::process::Child, PathBuf) {
    let report = place.path("report");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored"]).env(REPORT, &report);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it has started its programs", || report.exists());
    (child, fs::read_to_string(report).unwrap().into())
}

#[test]
fn a_test_that_panics_leaves_no_process() {
    let place = Place::new();
    let (mut child, folder) = run_ignored("panics", &place);
    assert!(!child.wait().unwrap().success(), "it panics");
    assert_eq!(processes_of(&folder), [0; 0]);
    assert!(!folder.exists());
}

#[test]
fn a_test_that_is_killed_leaves_no_process() {
    let place = Place::new();
    let (mut child, folder) = run_ignored("waits", &place);
    assert_eq!(processes_of(&folder).len(), 2);
    child.kill().unwrap();
    child.wait().unwrap();
    until("no process of it is left", || processes_of(&folder).is_empty());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_was_started_ends_with_its_place() {
    let place = Place::new();
    let folder = place.path("");
    // Its companion is left where it is killed.
    let _killed = stubborn(&place).kill();
    assert_eq!(processes_of(&folder).len(), 1);
    drop(place);
    assert_eq!(processes_of(&folder), [0; 0]);
}

/// Lines of the kernel's account of a job that is about to run, as it runs.
fn account(place: &Place, job: impl FnOnce(Invocation) -> Invocation) -> impl Fn(&str) -> String {
    fs::write(place.path("told"), "held").unwrap();
    let running = job(Invocation::new("a job", &place.path("")).executable(program_beside("r3e-told-job"))).spawn();
    until("it is the job", || place.path("started").exists());
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", running.pid())).unwrap();
    let text = read("status") + &read("limits");
    move |name| {
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn conditions_are_those_of_the_program() {
    let place = Place::new();
    let account = account(&place, |job| {
        let job = job.with_files_up_to(4096).on_one_processor().umask(0o027);
        job.limit(Resource::RLIMIT_NOFILE, 100, 200).ignoring(&[Signal::SIGHUP])
    });
    assert!(account("Cpus_allowed_list:").parse::<u32>().is_ok(), "{}", account("Cpus_allowed_list:"));
    assert_eq!(account("Max file size"), "4096 4096 bytes");
    assert_eq!(account("Max open files"), "100 200 files");
    assert_eq!(account("Umask:"), "0027");
    let ignored = u64::from_str_radix(&account("SigIgn:"), 16).unwrap();
    let bit = |it: Signal| 1 << (it as u64 - 1);
    // Of others a parent may have left some.
    let ours = bit(Signal::SIGHUP) | bit(Signal::SIGINT) | bit(Signal::SIGQUIT);
    assert_eq!(ignored & ours, bit(Signal::SIGHUP), "{ignored:x}");
}

#[test]
fn a_program_can_be_another_users() {
    if !r3e_needs::root() {
        return;
    }
    let place = Place::new();
    std::os::unix::fs::chown(place.path(""), Some(NOBODY), Some(NOBODY)).unwrap();
    let account = account(&place, |job| job.as_user(NOBODY));
    let ids = "65534 65534 65534 65534";
    assert_eq!(["Uid:", "Gid:", "Groups:"].map(account), [ids, ids, ""]);
}

/// On a machine that has nothing but a shell, and cannot install.
#[test]
fn with_ci_a_missing_tool_is_named_and_an_error() {
    let Some(bash) = r3e_needs::program("bash") else { return };
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/run");
    for (ci, code) in [("true", 1), ("", 0)] {
        let mut run = command(&bash, &place.path(""));
        let ended = run.arg(&script).arg("tools").env("PATH", place.path("empty")).env("CI", ci).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        for line in ["missing: gcc (Debian package gcc)", "missing: runsvdir (Debian package runit)"] {
            assert!(told.lines().any(|it| it == line), "{line} in {told}");
        }
        assert_eq!(ended.status.code(), Some(code), "CI={ci}: {told}");
    }
}
