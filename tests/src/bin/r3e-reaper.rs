//! Kills the processes that a killed test run has left: see `harness::processes`. Its standard input is a pipe from the
//! test run, so it ends when the run ends.

fn main() {
    let run = std::env::args().nth(1).unwrap_or_default();
    r3e_tests::harness::reap(&run);
}
