//! Ends what a run of tests has started and left, should it be killed: see `harness::processes`. Waits until its standard
//! input ends, as it does with the run.

fn main() {
    let run = std::env::args().nth(1).unwrap_or_default();
    r3e_tests::harness::reap(&run);
}
