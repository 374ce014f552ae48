//! Joins a control group, then executes another program (`r3e-in-group FILE PROGRAM …`) or allocates memory on request
//! (`r3e-in-group FILE`). `FILE` is the group's `cgroup.procs`. Requests are lines on standard input with the number of
//! megabytes to hold; each is answered by `held`. It exits at the end of its input.

use std::io::{self, BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

#[expect(clippy::disallowed_methods, reason = "the file is the kernel's")]
fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let group = arguments.next().ok_or_else(|| io::Error::other("expected the group's cgroup.procs"))?;
    // The process that writes 0 is the one that is moved.
    std::fs::write(group, "0")?;
    if let Some(program) = arguments.next() {
        return Err(Command::new(program).args(arguments).exec());
    }
    let mut held: Vec<Vec<u8>> = Vec::new();
    for line in io::stdin().lock().lines() {
        let megabytes: usize = line?.trim().parse().map_err(io::Error::other)?;
        held.resize_with(megabytes, || vec![1; 1 << 20]);
        writeln!(io::stdout(), "held")?;
    }
    Ok(())
}
