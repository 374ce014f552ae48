//! Parses the command line, runs the refresher, and returns its exit code.

fn main() -> std::process::ExitCode {
    r3e_refresher::main(std::env::args_os()).into()
}
