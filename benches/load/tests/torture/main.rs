//! The relay with every allocation and every system call failing (with TLS some of them, since
//! OpenSSL makes thousands), early and late, once and for good, between a real broker and a real
//! server. It has to end with a message, or to go on: then all lines arrive, whole and in order, or
//! their loss is told. It never crashes, and never falls silent.
//!
//! The programs' logs are in build/rooms/.

mod allocations;
mod calls;
mod scene;
