//! What the tests have in common.

#![allow(dead_code, reason = "each test target uses a part of it")]

pub(crate) mod child;
pub(crate) mod client;
pub(crate) mod compiler;
pub(crate) mod example;
pub(crate) mod folders;
pub(crate) mod headers;
pub(crate) mod installed;
pub(crate) mod make;
pub(crate) mod ports;
pub(crate) mod program;
pub(crate) mod valgrind;
