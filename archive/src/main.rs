//! Parses the command line, runs the command, and returns its exit code.

fn main() -> std::process::ExitCode {
    r3e_archive::main(std::env::args_os()).into()
}
