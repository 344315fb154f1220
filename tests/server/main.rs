//! The real ./server in a process of its own, and clients that talk to it over TCP.
//!
//! Nothing here sleeps for something to happen: the server tells what it does line by line, and
//! a test waits for the line. Every test has a server and a port of its own.

#[path = "../common/make.rs"]
mod make;

mod client;
mod harness;

mod descriptors;
mod faults;
mod injected;
mod limits;
mod lines;
mod model;
mod options;
mod output;
mod relay;
mod shutdown;
mod slow;
mod telnet;
mod tools;
mod transcript;
mod usage;

use std::env;

/// Notes that a test cannot be run for want of something. Where `CI` is set, everything that is
/// wanted has to be there.
fn skip(why: &str) {
    assert!(env::var_os("CI").is_none(), "cannot be skipped here: {why}");
    println!("skipped: {why}");
}
