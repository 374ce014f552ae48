//! See `r3e_fuzz::tokens`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| r3e_fuzz::tokens::check(data));
