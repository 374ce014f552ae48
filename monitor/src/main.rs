//! Parses the command line, runs the monitor, and ends with the exit code that tells how it went.

fn main() -> std::process::ExitCode {
    r3e_monitor::main(std::env::args_os()).into()
}
