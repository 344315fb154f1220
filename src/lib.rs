//! The connection pool of a `select()` chat server, under the C header `chatServer.h`.
//!
//! Two rings. [`ffi`] is the outer one: the types and functions that C sees; each function checks
//! its arguments, makes one call inwards and turns the outcome into a status. The inner ring
//! never meets an unchecked pointer:
//!
//! | module | what it is |
//! |---|---|
//! | `pool` | who is in the room: joining, leaving, broadcasting |
//! | `connection` | one member of the pool and what the kernel says it is |
//! | `cork` | saying much and sending it once |
//! | `batch` | what is said while a pool is corked |
//! | `index` | from a descriptor to its connection without a walk |
//! | `line` | whole lines from what a client sends in pieces |
//! | `queue` | the messages that wait for one connection, and sending them |
//! | `message` | copies of a message, all of them or none |
//! | `buffer` | bytes that grow |
//! | `transmit` | the one place that writes to a descriptor |
//! | `fdset` | the one place that touches the bits of an `fd_set` |
//! | `settings` | what holds for every pool of the process |
//! | `errno` | an error number of the system, as a type |
//!
//! Memory is the C library's, because programs in C free what they find in the lists, and because
//! running out of it is an error to return and no reason to abort. So nothing here allocates
//! through Rust's collections: hence `no_std`. The standard library is linked all the same, for
//! the panic handler that a build with debug assertions needs; the release build has no path to it.

#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

extern crate std as _;

mod batch;
mod buffer;
mod connection;
mod cork;
mod errno;
mod fdset;
pub mod ffi;
pub mod ffi_ext;
mod index;
mod line;
mod message;
mod pool;
mod queue;
mod settings;
mod transmit;
