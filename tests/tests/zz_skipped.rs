//! Prints at the end of `cargo test` how many tests were skipped, and what they needed. It tests nothing.

#[expect(clippy::print_stderr, reason = "what it is for")]
fn main() {
    eprintln!("\n{}", r3e_needs::skips_of_this_run());
}
