//! See `r3e_fuzz::ratings`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| r3e_fuzz::ratings::check(data));
