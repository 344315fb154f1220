//! Lines in any chunks.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chatserver_fuzz::lines(bytes));
