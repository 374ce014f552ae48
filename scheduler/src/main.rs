//! Parses the command line, runs the scheduler, and returns its exit code.

fn main() -> std::process::ExitCode {
    r3e_scheduler::main(std::env::args_os()).into()
}
