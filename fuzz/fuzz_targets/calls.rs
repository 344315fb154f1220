//! Any calls, and what programs and peers do meanwhile.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chatserver_fuzz::calls(bytes));
