//! See `r3e_fuzz::catalog`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| r3e_fuzz::catalog::check(data));
