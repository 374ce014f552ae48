//! Parses the command line, runs the monitor, and returns its exit code.

fn main() -> std::process::ExitCode {
    r3e_monitor::main(std::env::args_os()).into()
}
