//! The connection pool of a `select()` chat server, under the C header `chatServer.h`.
//!
//! This crate is a C library that happens to be written in Rust. What is public is its C ABI:
//! [`ffi`] has what `chatServer.h` declares, [`ffi_ext`] what `chatServerExt.h` adds, with the same
//! names, layouts and duties of the caller, and both are here as well. There is no Rust API: all
//! other modules are private and may change in any version. A program in Rust calls the functions
//! as one in C does:
//!
//! ```
//! use chatserver::{add_conn, add_msg, conn_pool_t, init_pool, remove_conn, write_msg};
//! use std::io::Read;
//! use std::mem::MaybeUninit;
//! use std::os::fd::IntoRawFd;
//! use std::os::unix::net::UnixStream;
//!
//! let (near, mut far) = UnixStream::pair()?;
//! // The descriptor belongs to the pool until remove_conn closes it.
//! let sd = near.into_raw_fd();
//! let mut text = *b"hello\n";
//! let mut pool = MaybeUninit::<conn_pool_t>::uninit();
//! let pool = pool.as_mut_ptr();
//! // SAFETY: the memory is a pool's and this thread's alone; init_pool comes first, so the lists
//! // are sound; and the text has 6 bytes.
//! unsafe {
//!     assert_eq!(init_pool(pool), 0);
//!     assert_eq!(add_conn(sd, pool), 0);
//!     // Descriptor 0 is not in the pool; the sender need not be.
//!     assert_eq!(add_msg(0, text.as_mut_ptr().cast(), 6, pool), 0);
//!     assert_eq!(write_msg(sd, pool), 0);
//!     assert_eq!(remove_conn(sd, pool), 0);
//! }
//! let mut received = String::new();
//! far.read_to_string(&mut received)?;
//! assert_eq!(received, "hello\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What C programs link is built by `make`, from the same sources: `libchatserver.a` and
//! `libchatserver.so`, without the standard library.
//!
//! # Modules
//!
//! The modules are layers, topmost first. A module uses only modules further down in this table,
//! which `tests/suite/layers.rs` checks:
//!
//! | module | what it has |
//! |---|---|
//! | [`ffi_ext`] | the functions of `chatServerExt.h` |
//! | [`ffi`] | the functions of `chatServer.h`: each checks, makes one call, returns a status |
//! | `pool` | what a program can do with a pool, a function each; read it first |
//! | `delivery` | brings a text to its recipients, and cuts off slow readers |
//! | `members` | the list of connections that C sees: find, link, unlink |
//! | `queue` | the messages that wait for one connection |
//! | `index` | leads from a descriptor to its connection without a walk |
//! | `connection` | one connection: its public struct and its hidden members |
//! | `batch` | the broadcasts of a corked pool |
//! | `message` | a text, and copies of it as messages: all of them or none |
//! | `transmit` | the one place that writes to a descriptor |
//! | `line` | whole lines from bytes that arrive in pieces |
//! | `buffer` | a growing array of bytes |
//! | `abi` | the types that C sees |
//! | `fdset` | the one place that touches the bits of an `fd_set` |
//! | `settings` | process-wide settings |
//! | `errno` | `errno` as a type |
//!
//! Only `ffi` and `ffi_ext` meet unchecked pointers.
//!
//! All memory comes from the C library, because programs in C free what they find in the lists, and
//! because running out of it is an error to return and no reason to abort. Rust's collections
//! cannot do that, so the crate is `no_std`. The standard library is linked all the same, for the
//! panic handler that a build with debug assertions needs; the release build has no path to it.

#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

extern crate std as _;

mod abi;
mod batch;
mod buffer;
mod connection;
mod delivery;
mod errno;
mod fdset;
pub mod ffi;
pub mod ffi_ext;
mod index;
mod line;
mod members;
mod message;
mod pool;
mod queue;
mod settings;
mod transmit;

pub use ffi::*;
pub use ffi_ext::*;
