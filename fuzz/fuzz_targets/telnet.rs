//! Any bytes, in any pieces, through the server's filters.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chatserver_fuzz::telnet(bytes));
