//! Programs under test start with default dispositions, whatever this process was started with.

use std::fs;
use std::sync::Once;

use signal_hook::consts::{SIGHUP, SIGINT};

/// A program inherits which signals are ignored, and ours respect that: they would not stop where the tests run in the
/// background of a shell script, or under nohup. A signal that this process has a handler for is at its default in a child.
pub(super) fn inherit_defaults() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        for number in [SIGHUP, SIGINT].into_iter().filter(|number| mask >> (number - 1) & 1 == 1) {
            // Nobody looks at the flag: this process goes on ignoring the signal.
            signal_hook::flag::register(number, std::sync::Arc::default()).unwrap();
        }
    });
}
