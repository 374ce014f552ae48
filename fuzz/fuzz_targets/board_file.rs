//! See `r3e_fuzz::board_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| r3e_fuzz::board_file::check(data));
