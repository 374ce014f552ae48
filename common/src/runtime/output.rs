//! Output other than the log: results on standard output, and errors on standard error before there is a log.

use std::io::Write as _;

use super::exit::Exit;

/// Writes a line to standard error before logging is set up. A closed standard error is ignored.
pub fn print_error(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// Writes a result to standard output. A reader that has left does not change the exit code: the work is done.
#[must_use]
pub fn print(result: &str, exit: Exit) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(result.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            tracing::error!("cannot write the result to standard output: {error}");
            if exit == Exit::Done { Exit::Unexpected } else { exit }
        }
        _ => exit,
    }
}
