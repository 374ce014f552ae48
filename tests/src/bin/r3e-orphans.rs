//! Creates orphans, as a shell does: `r3e-orphans COUNT [PROGRAM ARGUMENT…]` starts this many processes, each of which
//! exits once a file `over` exists. Then it executes the program, or exits.
#![expect(clippy::unwrap_used, reason = "for tests: whatever is wrong is a panic")]

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use r3e_tests::harness::until;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let Some(count) = arguments.next() else {
        return until("there is a file over", || Path::new("over").exists());
    };
    for _ in 0..count.to_str().unwrap().parse::<usize>().unwrap() {
        #[expect(clippy::zombie_processes, reason = "what this leaves is what is tested")]
        let _left = Command::new("/proc/self/exe").spawn().unwrap();
    }
    if let Some(program) = arguments.next() {
        let error = Command::new(program).args(arguments).exec();
        panic!("cannot become the program: {error}");
    }
}
