//! Parses the command line, runs the loader, and returns its exit code.

fn main() -> std::process::ExitCode {
    r3e_loader::main(std::env::args_os()).into()
}
