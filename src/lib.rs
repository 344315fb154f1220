//! The connection pool of a `select()` chat server, under the C header `chatServer.h`.
//!
//! This crate is a C library that happens to be written in Rust. What is public is its C ABI:
//! [`ffi`] has what `chatServer.h` declares, [`ffi_ext`] what `chatServerExt.h` adds, with the same
//! names, layouts and duties of the caller. There is no Rust API on top of it, and none behind it:
//! the inner ring is private, and its types may change in any version. A program in Rust calls the
//! functions as one in C does:
//!
//! ```
//! use chatserver::ffi::{Pool, add_conn, add_msg, init_pool, remove_conn, write_msg};
//! use std::io::Read;
//! use std::mem::MaybeUninit;
//! use std::os::fd::IntoRawFd;
//! use std::os::unix::net::UnixStream;
//!
//! let (near, mut far) = UnixStream::pair()?;
//! // From here to remove_conn, which closes it, the descriptor is the pool's.
//! let sd = near.into_raw_fd();
//! let mut text = *b"hello\n";
//! let mut pool = MaybeUninit::<Pool>::uninit();
//! let pool = pool.as_mut_ptr();
//! // SAFETY: the pool stays where it is and is this thread's alone, init_pool comes before all else,
//! // and there are as many bytes as add_msg is told.
//! unsafe {
//!     assert_eq!(init_pool(pool), 0);
//!     assert_eq!(add_conn(sd, pool), 0);
//!     // Descriptor 0 is not in the pool; the sender need not be.
//!     assert_eq!(add_msg(0, text.as_mut_ptr().cast(), 6, pool), 0);
//!     assert_eq!(write_msg(sd, pool), 0);
//!     assert_eq!(remove_conn(sd, pool), 0);
//! }
//! let mut heard = String::new();
//! far.read_to_string(&mut heard)?;
//! assert_eq!(heard, "hello\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What C programs link is built by `make`, from the same sources: `libchatserver.a` and
//! `libchatserver.so`, without the standard library.
//!
//! # Inside
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
