//! Parses the command line, runs the scheduler, and ends with the exit code that tells how it went.

fn main() -> std::process::ExitCode {
    r3e_scheduler::main(std::env::args_os()).into()
}
