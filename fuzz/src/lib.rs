//! The model of `tests/model/` with the library's own code in it, instrumented for a fuzzer.

mod library {
    pub(crate) use chatserver::ffi::*;
    pub(crate) use chatserver::ffi_ext::*;
}
#[path = "../../tests/model/mod.rs"]
mod model;

use model::{line, room, step};

/// Plays the calls that the bytes mean.
pub fn calls(bytes: &[u8]) {
    room::play(&step::decode(bytes));
}

/// Plays the chunks that the bytes mean.
pub fn lines(bytes: &[u8]) {
    line::play(&line::decode(bytes));
}
