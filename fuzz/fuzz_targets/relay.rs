//! What other relays say.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chatserver_fuzz::relay(bytes));
