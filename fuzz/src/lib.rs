//! The model of `tests/model/` with the library's own code in it, instrumented for a fuzzer.

mod library {
    pub(crate) use chatserver::ffi::*;
    pub(crate) use chatserver::ffi_ext::*;
}
#[path = "../../tests/model/mod.rs"]
mod model;
#[cfg(feature = "relay")]
mod relay;
#[path = "../../tests/model/telnet.rs"]
mod telnet_model;

use model::{line, room, step};

/// Plays the calls that the bytes mean.
pub fn calls(bytes: &[u8]) {
    room::play(&step::decode(bytes));
}

/// Plays the chunks that the bytes mean.
pub fn lines(bytes: &[u8]) {
    line::play(&line::decode(bytes));
}

/// Plays the pieces that the bytes mean.
pub fn telnet(bytes: &[u8]) {
    use libc::c_char;
    use telnet_model::{Functions, State};

    unsafe extern "C" {
        fn telnet_filter(
            telnet: *mut State,
            text: *mut c_char,
            length: *mut usize,
            answers: *mut c_char,
            answers_length: *mut usize,
        ) -> *mut c_char;
        fn printable_filter(
            printable: *mut State,
            text: *mut c_char,
            length: *mut usize,
        ) -> *mut c_char;
    }
    telnet_model::play(bytes, &Functions { telnet_filter, printable_filter });
}

/// Plays the messages that the bytes mean.
#[cfg(feature = "relay")]
pub fn relay(bytes: &[u8]) {
    relay::play(bytes);
}
